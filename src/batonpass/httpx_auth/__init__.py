"""For native clients: an httpx Auth that keeps a session of Batonpass' going by itself.

A CLI, a desktop app or a service logs in with `X-Token-Transport: body`, keeps its tokens in a
store of its own choice, and gives the auth to any `httpx.Client` or `httpx.AsyncClient`. It is not
for browsers (those have cookies, and `@batonpass/client`), and knows nothing of the server's code.

Example:
    auth = BatonpassAuth("https://api.example.com", FileStore("~/.acme/session.json"))
    auth.log_in("ada@example.com", password)
    with httpx.Client(base_url="https://api.example.com", auth=auth) as client:
        client.get("/me")

Source: docs/how-to/native-apps.md; RFC 8252 (native apps), RFC 6749 §6.
"""

try:
    import httpx as _httpx
except ImportError as error:
    message = "batonpass.httpx_auth needs httpx: pip install 'batonpass[httpx]'."
    raise ImportError(message) from error

from batonpass.httpx_auth.auth import BatonpassAuth
from batonpass.httpx_auth.errors import (
    LoginRefusedError,
    SessionError,
    SessionExpiredError,
    SessionUnavailableError,
)
from batonpass.httpx_auth.stores import FileStore, MemoryStore, Tokens, TokenStore

__all__ = [
    "BatonpassAuth",
    "FileStore",
    "LoginRefusedError",
    "MemoryStore",
    "SessionError",
    "SessionExpiredError",
    "SessionUnavailableError",
    "TokenStore",
    "Tokens",
]
del _httpx

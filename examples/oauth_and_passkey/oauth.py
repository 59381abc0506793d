"""The authorization code flow with state and PKCE, by hand: two requests, and what to check.

The verifier is kept in a cookie of this browser, and state and challenge are both hashes of it: so
the answer counts only in the browser that asked, and a code that is stolen on its way is worth
nothing. A provider that signs ID tokens can be asked the same way: the code is exchanged over TLS
with the provider itself, which vouches for what `userinfo` says (OIDC Core §3.1.3.7, 6).

Source: RFC 9700 §2.1.1, §4.7; RFC 7636; OpenID Connect Core §5.3.
"""

import hmac
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from urllib.parse import urlencode

import httpx

_VERIFIER_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A provider, as it knows this app.

    Attributes:
        name: In our addresses and tables.
        url: Its origin.
        client_id: This app's name there.
        client_secret: This app's password there.
        redirect_uri: This app's callback, as registered there, to the letter.
    """

    name: str
    url: str
    client_id: str
    client_secret: str = field(repr=False)
    redirect_uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Who somebody is, by the provider's word."""

    provider: str
    subject: str
    email: str
    email_verified: bool


class OAuthError(Exception):
    """This is no answer to a question of ours, or none that can be used."""


def new_verifier() -> str:
    """Make what this login is known by: the browser keeps it in a cookie."""
    return secrets.token_urlsafe(_VERIFIER_BYTES)


def authorization_url(provider: Provider, verifier: str) -> str:
    """Say where to send the browser."""
    query = {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": provider.redirect_uri,
        "scope": "openid email",
        "state": _hash("state", verifier),
        "code_challenge": _hash("", verifier),
        "code_challenge_method": "S256",
    }
    return f"{provider.url}/authorize?{urlencode(query)}"


async def finish(
    provider: Provider, client: httpx.AsyncClient, *, verifier: str | None, state: str, code: str
) -> Profile:
    """Exchange the code of a callback for who it is.

    Args:
        provider: Whom we asked.
        client: By which it is reached.
        verifier: From this browser's cookie.
        state: As the callback has it.
        code: Likewise.

    Raises:
        OAuthError: The callback is not of a login that this browser began, or the provider says no.
    """
    if not verifier or not hmac.compare_digest(state.encode(), _hash("state", verifier).encode()):
        raise OAuthError
    try:
        tokens = await client.post(
            f"{provider.url}/token",
            data={
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": provider.redirect_uri,
                "code_verifier": verifier,
            },
            auth=(provider.client_id, provider.client_secret),
        )
        access_token = tokens.raise_for_status().json()["access_token"]
        asked = await client.get(
            f"{provider.url}/userinfo", headers={"Authorization": f"Bearer {access_token}"}
        )
        found = asked.raise_for_status().json()
        return Profile(
            provider=provider.name,
            subject=str(found["sub"]),
            email=str(found["email"]),
            email_verified=found.get("email_verified") is True,
        )
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        raise OAuthError from error


def _hash(label: str, verifier: str) -> str:
    # The challenge is the plain hash (RFC 7636 §4.2); with a label it is another one.
    digest = sha256((f"{label}:{verifier}" if label else verifier).encode()).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()

"""A small provider, for trying the example out and for its tests: it believes whatever one says.

What it checks is what a real one checks of the app: client, redirect address, PKCE, each code once.
"""

import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends, FastAPI, Form, Header, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.security import HTTPBasic, HTTPBasicCredentials


@dataclass(frozen=True, slots=True)
class Grant:
    """What a code stands for."""

    challenge: str
    profile: dict[str, str | bool]


def build_provider(client_id: str, client_secret: str, redirect_uri: str) -> FastAPI:
    """Make a provider that knows one app."""
    provider = FastAPI()
    codes: dict[str, Grant] = {}
    profiles: dict[str, dict[str, str | bool]] = {}

    @provider.get("/authorize")
    async def ask(request: Request) -> Response:
        asked = request.query_params
        if asked.get("client_id") != client_id or asked.get("redirect_uri") != redirect_uri:
            raise HTTPException(400, "Who is asking?")
        if asked.get("code_challenge_method") != "S256":
            raise HTTPException(400, "Without PKCE there is no code.")
        hidden = "".join(
            f'<input type="hidden" name="{name}" value="{escape(asked[name])}">'
            for name in ("state", "code_challenge")
        )
        return HTMLResponse(
            f"<form method=post>{hidden}<label>Who are you? <input name=email></label>"
            "<label><input type=checkbox name=verified checked> verified</label>"
            "<button>Continue</button></form>"
        )

    @provider.post("/authorize")
    async def go_back(
        email: Annotated[str, Form()],
        state: Annotated[str, Form()],
        code_challenge: Annotated[str, Form()],
        verified: Annotated[bool, Form()] = False,  # noqa: FBT002 - a checkbox
    ) -> Response:
        code = secrets.token_urlsafe()
        subject = sha256(email.encode()).hexdigest()
        codes[code] = Grant(
            code_challenge, {"sub": subject, "email": email, "email_verified": verified}
        )
        return RedirectResponse(f"{redirect_uri}?{urlencode({'state': state, 'code': code})}", 303)

    @provider.post("/token")
    async def exchange(
        client: Annotated[HTTPBasicCredentials, Depends(HTTPBasic())],
        code: Annotated[str, Form()],
        code_verifier: Annotated[str, Form()],
        to: Annotated[str, Form(alias="redirect_uri")],
    ) -> dict[str, str]:
        grant = codes.pop(code, None)
        digest = urlsafe_b64encode(sha256(code_verifier.encode()).digest()).rstrip(b"=").decode()
        is_client = (client.username, client.password) == (client_id, client_secret)
        if grant is None or not is_client or to != redirect_uri or digest != grant.challenge:
            raise HTTPException(400, "This code is not for you.")
        access_token = secrets.token_urlsafe()
        profiles[access_token] = grant.profile
        return {"access_token": access_token, "token_type": "bearer"}

    @provider.get("/userinfo")
    async def tell(authorization: Annotated[str, Header()]) -> dict[str, str | bool]:
        profile = profiles.get(authorization.removeprefix("Bearer "))
        if profile is None:
            raise HTTPException(401, "Who is asking?")
        return profile

    return provider


def served() -> FastAPI:
    """Make the provider for `uvicorn --factory`."""
    return build_provider(
        "an-example",
        "only-for-this-machine",
        "http://localhost:8000/login/provider/callback",
    )

"""An app whose users come by a provider, by a passkey, or with a password.

Batonpass does not ask how somebody proved who they are: `auth.sign_in` begins the session.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import httpx
from fastapi import Depends, FastAPI, Form, HTTPException, Request
from fastapi.responses import FileResponse, RedirectResponse, Response
from pwdlib import PasswordHash
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from batonpass import Batonpass, Clock, Login
from examples.oauth_and_passkey import oauth
from examples.oauth_and_passkey.accounts import Account, Base, UnverifiedEmailError, account_of
from examples.oauth_and_passkey.oauth import OAuthError, Provider
from examples.oauth_and_passkey.passkeys import passkey_router

PAGE = Path(__file__).with_name("page.html")
LOGIN_COOKIE = "oauth_login"
LOGIN_SECONDS = 600


def build_app(  # noqa: C901, PLR0913 - its routes, each a few lines
    engine: AsyncEngine,
    secret: str,
    provider: Provider,
    to_provider: httpx.AsyncClient,
    *,
    origin: str = "http://localhost:8000",
    passwords: PasswordHash | None = None,
    clock: Clock | None = None,
) -> FastAPI:
    """Put the app together.

    Args:
        engine: Its database.
        secret: SECRET_KEY.
        provider: Whom else it trusts to say who somebody is.
        to_provider: By which that one is reached.
        origin: Where browsers find this app.
        passwords: How passwords are hashed.
        clock: What asks for the time.
    """
    passwords = passwords or PasswordHash.recommended()
    nobody = passwords.hash("nobody's password")  # an unknown name takes as long as a known one
    auth = Batonpass(engine, Base.metadata, user=Account, secret=secret, clock=clock)

    async def get_db() -> AsyncIterator[AsyncSession]:
        async with AsyncSession(engine, expire_on_commit=False) as db:
            yield db

    Db = Annotated[AsyncSession, Depends(get_db)]  # noqa: N806 - a type

    @auth.authenticate
    async def check(form: Login, db: Annotated[AsyncSession, Depends(get_db)]) -> Account | None:
        found = await db.scalar(select(Account).where(Account.email == form.username.casefold()))
        known = found and found.password_hash
        is_right = passwords.verify(form.password, known or nobody)
        return found if known and is_right else None

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        yield

    app = FastAPI(lifespan=lifespan)
    auth.install(app)
    host = httpx.URL(origin).host
    app.include_router(passkey_router(auth, get_db, origin, host))

    @app.get("/")
    async def page() -> Response:
        return FileResponse(PAGE)

    @app.get("/me")
    async def me(account: Annotated[Account, Depends(auth.user)]) -> dict[str, str | bool]:
        return {"email": account.email, "email_verified": account.email_verified}

    @app.post("/register", status_code=201)
    async def register(
        email: Annotated[str, Form()], password: Annotated[str, Form(min_length=12)], db: Db
    ) -> None:
        db.add(Account(email=email.casefold(), password_hash=passwords.hash(password)))
        try:
            await db.commit()
        except IntegrityError as error:
            raise HTTPException(409, "There is an account with this e-mail.") from error

    @app.get("/login/provider")
    async def go_to_provider() -> Response:
        verifier = oauth.new_verifier()
        answer = RedirectResponse(oauth.authorization_url(provider, verifier), 303)
        answer.set_cookie(
            LOGIN_COOKIE,
            verifier,
            max_age=LOGIN_SECONDS,
            path="/login/provider",
            secure=origin.startswith("https:"),
            httponly=True,
            samesite="lax",  # the way back comes from another site
        )
        return answer

    @app.get("/login/provider/callback")
    async def come_back(request: Request, db: Db, state: str = "", code: str = "") -> Response:
        try:
            profile = await oauth.finish(
                provider,
                to_provider,
                verifier=request.cookies.get(LOGIN_COOKIE),
                state=state,
                code=code,
            )
            account = await account_of(db, profile, lambda one: auth.end_sessions(one, request))
        except OAuthError as error:
            raise HTTPException(400, "This login was not begun here. Please try again.") from error
        except UnverifiedEmailError as error:
            raise HTTPException(403, "Please confirm your e-mail at the provider first.") from error
        signed_in = await auth.sign_in(account, request, session=db)
        await db.commit()  # account, identity and session: all or none
        # A page, not JSON: its script asks /auth/refresh for the access token.
        answer = RedirectResponse("/", 303)
        answer.delete_cookie(LOGIN_COOKIE, path="/login/provider")
        answer.raw_headers += [one for one in signed_in.raw_headers if one[0] == b"set-cookie"]
        return answer

    return app


def served() -> FastAPI:
    """Make the app for `uvicorn --factory`, with the provider beside it."""
    provider = Provider(
        name="example",
        url="http://localhost:9000",
        client_id="an-example",
        client_secret="only-for-this-machine",
        redirect_uri="http://localhost:8000/login/provider/callback",
    )
    return build_app(
        create_async_engine("sqlite+aiosqlite:///app.db"),
        os.environ["SECRET_KEY"],
        provider,
        httpx.AsyncClient(),
    )

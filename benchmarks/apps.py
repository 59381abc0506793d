"""The apps that the product is compared with, served as `batonpass serve` serves its own."""

import os
import sys
from typing import Annotated, cast
from uuid import UUID

from fastapi import Depends, FastAPI
from fastapi.middleware.cors import CORSMiddleware
from sqlalchemy import MetaData, String, Table, Uuid
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from starlette.types import ASGIApp, Receive, Scope, Send

from batonpass.access_tokens import Claims
from batonpass.cli.serving import run_server
from batonpass.keys import Algorithm
from batonpass.plugin import Batonpass

ROUTES = 40
DATABASE_URL = "BENCHMARKS_DATABASE_URL"
SECRET_KEY = "BENCHMARKS_SECRET_KEY"  # noqa: S105 - a variable's name
ALGORITHM = "BENCHMARKS_ALGORITHM"

_HEAD = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-length", b"2"), (b"content-type", b"application/json")],
}
_BODY = {"type": "http.response.body", "body": b"{}"}


def empty() -> FastAPI:
    """One POST route that does nothing: the price of FastAPI itself."""
    app = FastAPI()
    _add_empty_route(app)
    return app


def raw() -> ASGIApp:
    """An answer without a framework: the price of the HTTP server."""

    async def answer(scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send(_HEAD)
            await send(_BODY)

    return answer


class Base(DeclarativeBase):
    """An app's own tables."""

    metadata = MetaData()


class Account(Base):
    """An app's own users."""

    __tablename__ = "accounts"

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    email: Mapped[str] = mapped_column(String(254))


ACCOUNTS = cast("Table", Account.__table__)


def plugged_in() -> FastAPI:
    """An app with 40 routes, CORS and an engine of its own, that Batonpass is installed in."""
    auth = Batonpass(
        create_async_engine(
            os.environ[DATABASE_URL].replace("://", "+asyncpg://", 1), pool_size=20
        ),
        Base.metadata,
        user=Account,
        secret=os.environ[SECRET_KEY],
        algorithm=_algorithm(os.environ[ALGORITHM]),
        cookie_secure=True,
        public_url="https://app.example.com",
    )
    app = FastAPI()
    app.add_middleware(
        CORSMiddleware,
        allow_origins=["https://www.example.com"],
        allow_credentials=True,
        allow_methods=["*"],
        allow_headers=["*"],
    )
    for number in range(ROUTES // 2):
        _add_thing(app, number)
    # In the middle: the last of 40 would pay for all that stand before it.
    _add_empty_route(app)

    @app.get("/unprotected", response_model=None)
    async def unprotected() -> dict[str, str]:
        return {}

    async def no_claims() -> None:
        pass

    @app.get("/depending", response_model=None)
    async def depending(_nothing: Annotated[None, Depends(no_claims)]) -> dict[str, str]:
        return {}

    @app.get("/protected", response_model=None)
    async def protected(_claims: Annotated[Claims, Depends(auth.claims)]) -> dict[str, str]:
        return {}

    @app.get("/my-account", response_model=None)
    async def my_account(_user: Annotated[Account, Depends(auth.user)]) -> dict[str, str]:
        return {}

    for number in range(ROUTES // 2, ROUTES):
        _add_thing(app, number)
    auth.install(app)
    return app


def _add_empty_route(app: FastAPI) -> None:
    @app.post("/empty", response_model=None)  # a plain dict, as most routes are written
    async def nothing() -> dict[str, str]:
        return {}


def _add_thing(app: FastAPI, number: int) -> None:
    @app.get(f"/things-{number}/{{thing_id}}")
    async def thing(thing_id: int) -> dict[str, int]:
        return {"id": thing_id, "number": number}


def _algorithm(name: str) -> Algorithm:
    match name:
        case "ES256" | "EdDSA" | "HS256":
            return name
        case _:
            raise ValueError(name)


if __name__ == "__main__":
    run_server(f"benchmarks.apps:{sys.argv[1]}", host="127.0.0.1", port=int(sys.argv[2]), workers=1)

"""The users table's key, where an app has wrapped its type into one of its own."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import String, TypeDecorator

from batonpass.errors import AccessTokenInvalidError
from batonpass.user_keys import stock_type
from tests.support.apps import (
    ADA,
    GUID,
    House,
    Key,
    Kind,
    a_house,
    an_app,
    an_engine,
    bearer,
    log_in,
    serving,
)
from tests.support.servers import refusal
from tests.support.services import dispose


class Wrapped(TypeDecorator[str]):
    """What SQLModel makes of `str`."""

    impl = String
    cache_ok = True


class Sealed(Wrapped):
    """One that converts."""

    def process_bind_param(self, value: str | None, _dialect: object) -> str | None:
        """Seal it."""
        return value


WRAPPED = Key(str, Wrapped(40), "ada, the 1st/ü")


@pytest.fixture(params=["sqlite", "postgresql+asyncpg async", "postgresql+psycopg sync"])
async def house(request: pytest.FixtureRequest, key: Key) -> AsyncIterator[House]:
    kind = Kind(driver=request.param, key=key)
    engine = an_engine(kind, request.getfixturevalue)
    yield a_house(engine, kind)
    await dispose(engine)


@pytest.mark.parametrize("key", [GUID, WRAPPED], ids=["a UUID", "a string"])
async def test_a_wrapped_key_is_found_again(house: House, key: Key) -> None:
    auth = house.plug()
    app = an_app(auth)
    auth.install(app)
    await house.furnish()

    async with serving(app) as client:
        login = await log_in(client)
        session = login.json()["session_id"]
        me = await client.get("/me", headers=bearer(login))
        renewed = await client.post("/auth/refresh")
        shown = await client.get(f"/auth/sessions/{session}", headers=bearer(renewed))
        events = await client.get("/auth/events", headers=bearer(renewed))
        ended = await client.delete("/auth/sessions?all=true", headers=bearer(renewed))
        after = await client.get("/me", headers=bearer(renewed))

    assert me.json() == {"email": ADA, "key": str(key.value)}
    assert shown.json()["id"] == session
    assert [one["event"] for one in events.json()["events"]] == ["session_created"]
    assert ended.status_code == 204
    assert refusal(after) == (401, "session_revoked")


@pytest.mark.parametrize("key", [GUID], ids=["a UUID"])
async def test_what_is_no_key_is_no_token_of_ours(house: House) -> None:
    auth = house.plug()

    assert auth.key_of(str(GUID.value)) == GUID.value
    for text in ("7", "", "ada", "5a63a445-32ad-4a44-9ae9-b2c4bb6d6e0x"):
        with pytest.raises(AccessTokenInvalidError):
            auth.key_of(text)


def test_a_type_that_converts_nothing_is_stored_as_the_stock_one() -> None:
    stock, sealed = stock_type(Wrapped(40)), Sealed(40)

    assert isinstance(stock, String)
    assert stock.length == 40
    assert stock_type(sealed) is sealed

"""Customers and staff: two Batonpass in one app, and nothing of one is anything to the other."""

import base64
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select

from batonpass import Batonpass, Login
from batonpass.errors import ConfigurationError
from tests.support.apps import (
    ADA,
    PASSWORD,
    SECRET,
    House,
    a_house,
    an_app,
    bearer,
    log_in,
    run,
    serving,
)
from tests.support.servers import refusal, set_cookies
from tests.support.services import by_driver, dispose

# A prefix below the other one, and one beside it.
SHOPS = [("sqlite", "/auth/staff"), ("postgresql+asyncpg async", "/staff/auth")]


@dataclass
class Shop:
    """An app with customers and staff of the same keys; Ada is both."""

    house: House
    customers: Batonpass[Any]
    staff: Batonpass[Any]

    @property
    def staff_prefix(self) -> str:
        return self.staff.edge.prefix

    def app(self, *, staff_first: bool = False, fast: bool = True) -> FastAPI:
        """Write the app."""
        app = an_app(self.customers)

        @app.get("/staff/me")
        async def staff_me(account: Annotated[Any, Depends(self.staff.user)]) -> dict[str, str]:
            return {"employee": str(account.number)}

        both = [self.customers, self.staff]
        for auth in reversed(both) if staff_first else both:
            auth.install(app, fast=fast)
        return app


def a_shop(house: House, prefix: str) -> Shop:
    """Plug both in."""
    employees = Table(
        "employees", house.metadata,
        Column("number", Integer, primary_key=True), Column("email", String(80)),
    )  # fmt: skip
    customers = house.plug()
    staff = house.plug(user=employees, name="staff", prefix=prefix, table_prefix=None)

    @staff.authenticate
    async def check(form: Login) -> object:
        by_name = select(employees).where(employees.c.email == form.username)
        found = await run(house.engine, lambda connection: connection.execute(by_name).first())
        return found if form.password == PASSWORD else None

    return Shop(house, customers, staff)


@pytest.fixture(params=SHOPS, ids=[prefix for _, prefix in SHOPS])
async def shop(request: pytest.FixtureRequest) -> AsyncIterator[Shop]:
    driver, prefix = request.param
    name = driver.partition("+")[0]
    house = a_house(by_driver(driver)(request.getfixturevalue(f"{name}_url")))
    shop = a_shop(house, prefix)
    await house.furnish()
    ada = insert(house.metadata.tables["employees"]).values(number=7, email=ADA)
    await run(house.engine, lambda connection: connection.execute(ada))
    yield shop
    await dispose(house.engine)


@pytest.mark.parametrize(("staff_first", "fast"), [(True, True), (False, False), (False, True)])
async def test_one_browser_is_signed_in_to_both(shop: Shop, staff_first: bool, fast: bool) -> None:
    app = shop.app(staff_first=staff_first, fast=fast)
    staff = shop.staff_prefix

    async with serving(app) as client:
        bought = await log_in(client)
        sold = await log_in(client, f"{staff}/token")
        held = set(client.cookies)
        renewed = [await client.post(f"{prefix}/refresh") for prefix in ("/auth", staff) * 2]
        spied = await client.get("/spy")
        out = await client.post("/auth/logout")
        customer = await client.post("/auth/refresh")
        employee = await client.post(f"{staff}/refresh")
        me = await client.get("/staff/me", headers=bearer(employee))

    assert held == {
        "refresh_token", "session_state", "staff_refresh_token", "staff_session_state",
    }  # fmt: skip
    sessions = [bought.json()["session_id"], sold.json()["session_id"]]
    assert [one.json()["session_id"] for one in renewed] == sessions * 2
    assert "bpr_" not in spied.text
    assert set(set_cookies(out)) == {"refresh_token", "session_state"}
    assert refusal(customer) == (401, "refresh_missing")
    assert employee.json()["generation"] == 3
    assert me.json() == {"employee": "7"}


async def test_over_https_each_has_its_own_protected_names(shop: Shop) -> None:
    async with serving(shop.app(), "https://app.example") as client:
        login = await log_in(client, f"{shop.staff_prefix}/token")

    cookies = set_cookies(login)
    assert set(cookies) == {"__Host-Http-staff_refresh_token", "__Host-staff_session_state"}
    assert all({"Secure", "Path=/", "SameSite=Strict"} <= set(one) for one in cookies.values())


async def test_s_key_6_no_token_of_the_one_is_anything_to_the_other(shop: Shop) -> None:
    """Both have the same secret, and users with the same keys."""
    staff = shop.staff_prefix

    async with serving(shop.app()) as client:
        customer = bearer(await log_in(client))
        stolen = client.cookies["refresh_token"]
        employee = bearer(await log_in(client, f"{staff}/token"))
        client.cookies.clear()
        tried = [
            await client.get("/staff/me", headers=customer),
            await client.get(f"{staff}/sessions", headers=customer),
            await client.get("/me", headers=employee),
            await client.get("/auth/sessions", headers=employee),
        ]
        cookie = {"Cookie": f"staff_refresh_token={stolen}"}
        by_cookie = await client.post(f"{staff}/refresh", headers=cookie)
        own = await client.get("/me", headers=customer)

    assert {refusal(one) for one in tried} == {(401, "token_invalid")}
    assert refusal(by_cookie) == (401, "refresh_invalid")
    assert own.status_code == 200


async def test_one_address_has_the_public_keys_of_both(shop: Shop) -> None:
    async with serving(shop.app()) as client:
        logins = [await log_in(client), await log_in(client, f"{shop.staff_prefix}/token")]
        keys = (await client.get("/.well-known/jwks.json")).json()["keys"]

    kids, audiences = zip(*map(read, logins), strict=True)
    assert sorted(one["kid"] for one in keys) == sorted(kids)
    assert len(set(kids)) == 2
    assert audiences == ("batonpass", "staff")


def read(answer: httpx.Response) -> tuple[str, str]:
    """Return an access token's `kid` and `aud`."""
    parts = answer.json()["access_token"].split(".")[:2]
    head, claims = (json.loads(base64.urlsafe_b64decode(one + "==")) for one in parts)
    return head["kid"], claims["aud"]


async def test_the_schema_shows_both(shop: Shop) -> None:
    schema = shop.app().openapi()
    staff = shop.staff_prefix

    schemes = schema["components"]["securitySchemes"]
    assert set(schemes) == {
        "OAuth2PasswordBearer", "RefreshCookie", "OAuth2PasswordBearer_staff",
        "RefreshCookie_staff",
    }  # fmt: skip
    for scheme, prefix in (
        ("OAuth2PasswordBearer", "/auth"),
        ("OAuth2PasswordBearer_staff", staff),
    ):
        flows = schemes[scheme]["flows"]
        assert flows["password"]["tokenUrl"] == f"{prefix}/token".removeprefix("/")
    assert schemes["RefreshCookie"]["name"] == "__Host-Http-refresh_token"
    assert schemes["RefreshCookie_staff"]["name"] == "__Host-Http-staff_refresh_token"
    paths = schema["paths"]
    for prefix, suffix in (("/auth", ""), (staff, "_staff")):
        for route in ("/token", "/refresh", "/logout", "/sessions", "/events"):
            assert prefix + route in paths
        assert secured(paths[f"{prefix}/sessions"]["get"]) == {f"OAuth2PasswordBearer{suffix}"}
        assert secured(paths[f"{prefix}/refresh"]["post"]) == {f"RefreshCookie{suffix}"}
    assert secured(paths["/me"]["get"]) == {"OAuth2PasswordBearer"}
    assert secured(paths["/staff/me"]["get"]) == {"OAuth2PasswordBearer_staff"}
    operations = [one["operationId"] for path in paths.values() for one in path.values()]
    assert len(set(operations)) == len(operations)


def secured(operation: dict[str, Any]) -> set[str]:
    """Name the schemes of an operation."""
    return {name for one in operation["security"] for name in one}


# --- misuse ------------------------------------------------------------------------------------


@pytest.fixture
def two(bare_house: House) -> Callable[..., None]:
    """Install two, the second as asked."""

    def install(**choices: Any) -> None:
        app = FastAPI()
        bare_house.plug().install(app)
        house = a_house(bare_house.engine)  # models of their own, in another MetaData
        house.plug(**choices).install(app)

    return install


@pytest.mark.parametrize(("choices", "sentence"), [
    ({"name": "staff"}, "another Batonpass under '/auth': give this one a prefix"),
    ({"prefix": "/staff"}, "whose cookies have the same names: give this one a name"),
    ({"prefix": "/staff", "name": "staff", "audience": "batonpass"}, "with the same audience"),
])  # fmt: skip
def test_two_that_would_be_mixed_up_are_refused(
    two: Callable[..., None], choices: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        two(**choices)


def test_two_of_different_names_and_prefixes_are_welcome(two: Callable[..., None]) -> None:
    two(prefix="/staff", name="staff")


def test_other_users_under_the_same_name_are_refused(bare_house: House) -> None:
    """Also where the two are in different apps: their keys are the same."""
    employees = Table("employees", bare_house.metadata, Column("number", Integer, primary_key=True))

    bare_house.plug()

    with pytest.raises(ConfigurationError, match=r"of 'accounts' and this one .* Give this one a"):
        bare_house.plug(user=employees, table_prefix="staff_")


@pytest.mark.parametrize("name", ["staff member", "7", "__Host-", "staff;", "ä", "x" * 33])
def test_a_name_is_a_word(bare_house: House, name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"name: .* is no word"):
        bare_house.plug(name=name)


def test_a_name_stands_before_the_tables_names(bare_house: House) -> None:
    metadata = MetaData()
    employees = Table("employees", metadata, Column("number", Integer, primary_key=True))
    engine = bare_house.engine

    named = Batonpass(engine, metadata, user=employees, secret=SECRET, name="staff")
    other = Batonpass(engine, metadata, user=employees, secret=SECRET, name="x", table_prefix="y_")

    assert named.tables.refresh_tokens.name == "staff_refresh_tokens"
    assert other.tables.refresh_tokens.name == "y_refresh_tokens"

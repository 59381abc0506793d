"""A social login and a passkey, each followed by a session of Batonpass': and what may go wrong.

Provider and authenticator are real programs that run here: they check and sign as others do.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import make_url, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from examples.oauth_and_passkey.accounts import Account, Identity
from examples.oauth_and_passkey.app import build_app
from examples.oauth_and_passkey.authenticator import PRESENT, VERIFIED, Authenticator
from examples.oauth_and_passkey.oauth import Provider
from examples.oauth_and_passkey.provider import build_provider
from tests.support.clocks import Clock

ORIGIN, HOST = "http://app.example", "app.example"
ADA, EVE, PASSWORD = "ada@example.com", "eve@example.com", "a long walk at noon"
SECRET_KEY = "8a6f4346e273b13a59fb52648a0a3622019a3bea3ac984bf4d23cf80914591fe"
PROVIDER = Provider(
    name="example",
    url="https://provider.example",
    client_id="an-example",
    client_secret="told to nobody",
    redirect_uri=f"{ORIGIN}/login/provider/callback",
)
CHEAP = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),))


@dataclass
class House:
    """The app and the provider, running; a browser at each."""

    engine: AsyncEngine
    app: Any
    clock: Clock
    browser: httpx.AsyncClient
    at_provider: httpx.AsyncClient

    def another_browser(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=ORIGIN)

    async def agree(self, address: str, email: str, *, verified: bool = True) -> str:
        """Follow the way to the provider, say who one is there; return the way back."""
        form = await self.at_provider.get(address)
        assert form.status_code == 200, form.text
        hidden = dict(re.findall(r'name="(\w+)" value="([^"]*)"', unescape(form.text)))
        said = hidden | {"email": email} | ({"verified": "true"} if verified else {})
        answer = await self.at_provider.post("/authorize", data=said)
        return answer.headers["location"]

    async def come_by_provider(self, email: str, *, verified: bool = True) -> httpx.Response:
        """Log in by the provider, in this browser."""
        away = await self.browser.get("/login/provider")
        back = await self.agree(away.headers["location"], email, verified=verified)
        return await self.browser.get(back)

    async def token(self, browser: httpx.AsyncClient | None = None) -> dict[str, str]:
        """Ask for an access token, as the page's script does."""
        answer = await (browser or self.browser).post("/auth/refresh")
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    async def me(self) -> dict[str, Any]:
        answer = await self.browser.get("/me", headers=await self.token())
        found: dict[str, Any] = answer.json()
        return found

    async def register(self, browser: httpx.AsyncClient, email: str = ADA) -> None:
        """Make an account with a password, and log in."""
        form = {"email": email, "password": PASSWORD}
        assert (await browser.post("/register", data=form)).status_code == 201
        assert (await log_in(browser, email)).status_code == 200

    async def add_passkey(self, device: Authenticator) -> httpx.Response:
        """Add a passkey to the account that is logged in."""
        token = await self.token()
        options = (await self.browser.post("/auth/passkeys/new", headers=token)).json()
        return await self.browser.post("/auth/passkeys", json=device.create(options), headers=token)

    async def come_by_passkey(self, device: Authenticator) -> httpx.Response:
        options = (await self.browser.post("/auth/passkeys/challenge")).json()
        return await self.browser.post("/auth/passkeys/login", json=device.get(options))


async def log_in(browser: httpx.AsyncClient, email: str = ADA) -> httpx.Response:
    return await browser.post("/auth/token", data={"username": email, "password": PASSWORD})


@asynccontextmanager
async def serving(url: str) -> AsyncIterator[House]:
    address = make_url(url)
    driver = "sqlite+aiosqlite" if address.get_backend_name() == "sqlite" else "postgresql+asyncpg"
    engine = create_async_engine(address.set(drivername=driver))
    provider = build_provider(PROVIDER.client_id, PROVIDER.client_secret, PROVIDER.redirect_uri)
    clock = Clock()
    async with (
        httpx.AsyncClient(
            transport=httpx.ASGITransport(provider), base_url=PROVIDER.url
        ) as at_provider,
        httpx.AsyncClient(transport=httpx.ASGITransport(provider)) as of_app,
    ):
        app = build_app(
            engine, SECRET_KEY, PROVIDER, of_app, origin=ORIGIN, passwords=CHEAP, clock=clock
        )
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ORIGIN) as browser,
        ):
            yield House(engine, app, clock, browser, at_provider)
    await engine.dispose()


@pytest.fixture
async def house(sqlite_url: str) -> AsyncIterator[House]:
    async with serving(sqlite_url) as found:
        yield found


@pytest.fixture
def device() -> Authenticator:
    return Authenticator(ORIGIN, HOST)


# --- a social login ----------------------------------------------------------------------------


async def test_the_whole_story_on_both_databases(database_url: str, device: Authenticator) -> None:
    async with serving(database_url) as house:
        first = await house.come_by_provider(ADA)
        by_provider = await house.me()
        added = await house.add_passkey(device)
        left = await house.browser.post("/auth/logout", headers=await house.token())
        by_passkey = await house.come_by_passkey(device)
        me = await house.me()
        sessions = await house.browser.get("/auth/sessions", headers=await house.token())

    assert (first.status_code, first.headers["location"]) == (303, "/")
    assert by_provider == {"email": ADA, "email_verified": True}
    assert (added.status_code, left.status_code) == (201, 204)
    assert by_passkey.json()["session_id"] in {one["id"] for one in sessions.json()}
    assert me == by_provider


async def test_who_comes_again_is_the_same_one_whatever_the_e_mail_is_called_by_then(
    house: House,
) -> None:
    await house.come_by_provider(ADA)
    async with AsyncSession(house.engine) as db:
        account = (await db.scalars(select(Account))).one()
        account.email = "lovelace@example.com"
        await db.commit()

    await house.come_by_provider(ADA, verified=False)

    assert (await house.me())["email"] == "lovelace@example.com"


async def test_s_enum_4_an_e_mail_that_the_provider_has_not_verified_links_to_nothing(
    house: House,
) -> None:
    victim = house.another_browser()
    await house.register(victim)

    refused = await house.come_by_provider(ADA, verified=False)

    assert refused.status_code == 403
    assert (await house.browser.post("/auth/refresh")).json()["code"] == "refresh_missing"
    async with AsyncSession(house.engine) as db:
        assert (await db.scalars(select(Identity))).all() == []
    await victim.aclose()


async def test_s_enum_4_what_somebody_left_in_an_account_not_his_is_void_when_its_owner_comes(
    house: House, device: Authenticator
) -> None:
    trap = House(house.engine, house.app, house.clock, house.another_browser(), house.at_provider)
    await trap.register(trap.browser)
    assert (await trap.add_passkey(device)).status_code == 201
    token = await trap.token()

    await house.come_by_provider(ADA)

    assert await house.me() == {"email": ADA, "email_verified": True}
    assert (await log_in(trap.browser)).json()["code"] == "invalid_credentials"
    assert (await trap.browser.post("/auth/refresh")).json()["code"] == "refresh_revoked"
    assert (await trap.browser.get("/me", headers=token)).json()["code"] == "session_revoked"
    assert (await trap.come_by_passkey(device)).status_code == 401
    await trap.browser.aclose()


async def test_s_enum_4_two_sides_that_have_verified_the_e_mail_are_one_account(
    house: House,
) -> None:
    await house.register(house.browser)
    async with AsyncSession(house.engine) as db:
        account = (await db.scalars(select(Account))).one()
        account.email_verified = True  # as a link in a mail does
        await db.commit()

    await house.come_by_provider("Ada@Example.com")

    assert (await house.me())["email"] == ADA
    assert (await log_in(house.browser)).status_code == 200


async def test_a_login_that_somebody_else_began_is_not_finished_here(house: House) -> None:
    """Else a page could log its visitor into the thief's account."""
    async with house.another_browser() as eves:
        away = await eves.get("/login/provider")
        back = await house.agree(away.headers["location"], EVE)

    without = await house.browser.get(back)
    await house.browser.get("/login/provider")
    with_another = await house.browser.get(back)

    assert (without.status_code, with_another.status_code) == (400, 400)
    assert (await house.browser.post("/auth/refresh")).status_code == 401


async def test_an_answer_that_was_tampered_with_is_none(house: House) -> None:
    tampering = {
        "no state": {"state": ""},
        "another state": {"state": "x" * 43},
        "a state that is none": {"state": "ü"},
        "no code": {"code": ""},
        "a code of nobody's": {"code": "x"},
    }
    statuses = {}
    for name, change in tampering.items():
        away = await house.browser.get("/login/provider")
        back = urlsplit(await house.agree(away.headers["location"], ADA))
        answer = {name: value[0] for name, value in parse_qs(back.query).items()}
        statuses[name] = (await house.browser.get(back.path, params=answer | change)).status_code

    assert statuses == dict.fromkeys(tampering, 400)


async def test_a_code_counts_once(house: House) -> None:
    away = await house.browser.get("/login/provider")
    kept = dict(house.browser.cookies)
    back = await house.agree(away.headers["location"], ADA)

    first = await house.browser.get(back)
    cookie = "; ".join(f"{name}={value}" for name, value in kept.items())
    again = await house.browser.get(back, headers={"Cookie": cookie})

    assert (first.status_code, again.status_code) == (303, 400)


async def test_a_stolen_code_is_worth_nothing_without_the_verifier(house: House) -> None:
    away = await house.browser.get("/login/provider")
    back = urlsplit(await house.agree(away.headers["location"], ADA))
    code = parse_qs(back.query)["code"][0]
    async with house.another_browser() as eves:
        own = parse_qs(urlsplit((await eves.get("/login/provider")).headers["location"]).query)

        refused = await eves.get(back.path, params={"code": code, "state": own["state"][0]})

    assert refused.status_code == 400


async def test_the_cookie_of_a_login_is_for_the_way_back_alone(house: House) -> None:
    away = await house.browser.get("/login/provider")
    line = away.headers["set-cookie"].lower()

    assert all(one in line for one in ("httponly", "samesite=lax", "path=/login/provider"))


# --- a passkey ---------------------------------------------------------------------------------


async def test_a_passkey_is_of_this_origin_verified_and_fresh(
    house: House, device: Authenticator
) -> None:
    await house.come_by_provider(ADA)
    await house.add_passkey(device)

    device.origin = "https://evil.example"
    of_another_page = await house.come_by_passkey(device)
    device.origin, device.flags = ORIGIN, PRESENT
    without_a_finger = await house.come_by_passkey(device)
    device.flags, device.host = PRESENT | VERIFIED, "evil.example"
    of_another_site = await house.come_by_passkey(device)
    device.host = HOST
    copied = Authenticator(ORIGIN, HOST)
    copied.credential_id = device.credential_id
    with_another_key = await house.come_by_passkey(copied)

    refused = [of_another_page, without_a_finger, of_another_site, with_another_key]
    assert [answer.status_code for answer in refused] == [401] * 4
    assert not any(answer.headers.get("set-cookie") for answer in refused)


async def test_a_challenge_counts_once_and_not_for_long(
    house: House, device: Authenticator
) -> None:
    await house.come_by_provider(ADA)
    await house.add_passkey(device)
    options = (await house.browser.post("/auth/passkeys/challenge")).json()

    first, again = [
        await house.browser.post("/auth/passkeys/login", json=device.get(options)) for _ in "ab"
    ]
    options = (await house.browser.post("/auth/passkeys/challenge")).json()
    house.clock.advance(timedelta(minutes=5, seconds=1))
    late = await house.browser.post("/auth/passkeys/login", json=device.get(options))
    of_nobody = await house.browser.post(
        "/auth/passkeys/login", json=device.get({"challenge": "bm9ib2R5cw"})
    )

    options = (await house.browser.post("/auth/passkeys/challenge")).json()
    device.origin = "https://evil.example"
    wrong = await house.browser.post("/auth/passkeys/login", json=device.get(options))
    device.origin = ORIGIN
    after_that = await house.browser.post("/auth/passkeys/login", json=device.get(options))

    assert first.status_code == 200
    refused = [again, late, of_nobody, wrong, after_that]
    assert [answer.status_code for answer in refused] == [401] * 5


async def test_a_passkey_whose_counter_went_back_is_a_copy(
    house: House, device: Authenticator
) -> None:
    await house.come_by_provider(ADA)
    await house.add_passkey(device)
    device.count = 7
    ours = await house.come_by_passkey(device)
    device.count = 3
    copy = await house.come_by_passkey(device)

    assert (ours.status_code, copy.status_code) == (200, 401)


async def test_a_passkey_is_added_to_the_account_that_asked_and_after_a_recent_login(
    house: House, device: Authenticator
) -> None:
    await house.come_by_provider(EVE)
    eves = await house.token()
    options = (await house.browser.post("/auth/passkeys/new", headers=eves)).json()
    house.browser.cookies.clear()
    await house.come_by_provider(ADA)
    adas = await house.token()
    foreign = await house.browser.post("/auth/passkeys", json=device.create(options), headers=adas)
    house.clock.advance(timedelta(minutes=6))
    stale = await house.browser.post("/auth/passkeys/new", headers=await house.token())
    nobody = await house.browser.post("/auth/passkeys/new")

    assert foreign.status_code == 401
    assert stale.json()["code"] == "login_required_again"
    assert nobody.json()["code"] == "token_missing"


async def test_two_accounts_never_share_a_passkey(house: House, device: Authenticator) -> None:
    await house.come_by_provider(ADA)
    await house.add_passkey(device)
    house.browser.cookies.clear()
    await house.come_by_provider(EVE)

    again = await house.add_passkey(device)

    assert again.status_code == 401


async def test_what_is_no_credential_is_refused(house: House) -> None:
    client_data: list[Any] = [7, "e30", "é", "bm90IGpzb24"]  # {}, no base64url, no JSON
    bodies = [
        {},
        {"response": {}},
        {"response": None},
        *({"response": {"clientDataJSON": one}} for one in client_data),
    ]

    refused = [await house.browser.post("/auth/passkeys/login", json=body) for body in bodies]

    assert {answer.status_code for answer in refused} == {401}


async def test_another_site_logs_nobody_in_by_a_passkey(house: House) -> None:
    refused = await house.browser.post(
        "/auth/passkeys/challenge", headers={"Origin": "https://evil.example"}
    )

    assert (refused.status_code, refused.json()["code"]) == (403, "csrf")

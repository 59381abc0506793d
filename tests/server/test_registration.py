"""REGISTRATION=confirm, from the form to the account: the real app, both databases, real mail."""

import asyncio
import json
import os
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, func, select

from batonpass.clock import Clock
from batonpass.errors import ConfigurationError, LinkExpiredError
from batonpass.keys import derive
from batonpass.server import migrations
from batonpass.server.app import LETTERS, REGISTRATIONS_IN_PRODUCTION, build_app, build_auth
from batonpass.server.email_addresses import parse
from batonpass.server.engines import dispose
from batonpass.server.mail import MAX_WAITING
from batonpass.server.models import tables, users
from batonpass.server.registration import MAX_TOKEN_CHARACTERS, RegistrationLinks
from batonpass.server.settings import load_settings, production_problems
from tests.support.smtp import Delivery, SmtpSite, a_mail_server

SECRET, OTHER = os.urandom(32), os.urandom(32)
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR, TICK = timedelta(hours=1), timedelta(microseconds=1)
ADA = parse("Ada@example.com")
PASSWORD = "a battery of staples"
ORIGIN = "https://app.example.com"
LINK = re.compile(rf"^{re.escape(ORIGIN)}/register/finish#token=([\w-]+)$", re.MULTILINE)


# --- the token ---------------------------------------------------------------------------------


def test_a_token_opens_to_what_was_sealed() -> None:
    links = RegistrationLinks([SECRET])

    found = links.open(links.seal(ADA, "hash", NOW), NOW)

    assert (found.email, found.password_hash, found.expires_at) == (ADA, "hash", NOW + HOUR)


@pytest.mark.parametrize(("after", "opens"), [(HOUR - TICK, True), (HOUR, False)])
def test_a_token_is_good_for_an_hour(after: timedelta, opens: bool) -> None:
    links = RegistrationLinks([SECRET])
    token = links.seal(ADA, "hash", NOW)

    try:
        links.open(token, NOW + after)
    except LinkExpiredError:
        assert not opens
    else:
        assert opens


def test_no_letter_of_a_token_can_be_changed() -> None:
    links = RegistrationLinks([SECRET])
    token = links.seal(ADA, "hash", NOW)

    for place, letter in enumerate(token):
        changed = token[:place] + ("A" if letter != "A" else "B") + token[place + 1 :]
        with pytest.raises(LinkExpiredError):
            links.open(changed, NOW)


def test_a_token_shows_nothing_of_what_it_holds() -> None:
    token = RegistrationLinks([SECRET]).seal(ADA, "hash", NOW)

    raw = urlsafe_b64decode(token + "=" * (-len(token) % 4)).lower()
    assert b"ada" not in raw
    assert b"hash" not in raw


def test_a_changed_secret_opens_what_the_old_one_sealed() -> None:
    token = RegistrationLinks([OTHER]).seal(ADA, "hash", NOW)

    assert RegistrationLinks([SECRET, OTHER]).open(token, NOW).email == ADA
    with pytest.raises(LinkExpiredError):
        RegistrationLinks([SECRET]).open(token, NOW)


def test_the_longest_address_fits() -> None:
    domain = ".".join(["𐐨" * 39] * 4)  # four bytes each
    email = parse("𐐨" * 64 + "@" + domain)
    links = RegistrationLinks([SECRET])

    token = links.seal(email, "$argon2id$v=19$m=19456,t=2,p=1$" + "x" * 66, NOW)

    assert len(token) < MAX_TOKEN_CHARACTERS
    assert links.open(token, NOW).email == email


# --- the whole way -----------------------------------------------------------------------------


class MovableClock(Clock):
    """The real clock, moved ahead."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.ahead


@dataclass
class Site:
    """The app, its mail, and somebody in front of it."""

    client: httpx.AsyncClient
    mail: SmtpSite
    clock: MovableClock
    ask: Callable[[Callable[[Connection], object]], Awaitable[object]]
    mail_was_empty_at_the_end: bool = True

    async def register(self, email: str = ADA.stored, password: str = PASSWORD) -> httpx.Response:
        return await self.client.post("/auth/register", json={"email": email, "password": password})

    async def finish(self, token: object) -> httpx.Response:
        return await self.client.post("/auth/register/finish", json={"token": token})

    async def log_in(self, email: str, password: str = PASSWORD) -> int:
        form = {"username": email, "password": password}
        return (await self.client.post("/auth/token", data=form)).status_code

    async def mailed_token(self, email: str = ADA.stored) -> str:
        assert (await self.register(email)).status_code == 202
        return token_in(await self.mail.next_mail())

    async def an_account(self, email: str = ADA.stored) -> None:
        assert (await self.finish(await self.mailed_token(email))).status_code == 201

    async def accounts(self) -> object:
        return await self.ask(
            lambda connection: connection.scalar(select(func.count()).select_from(users))
        )

    async def events(self) -> list[str]:
        events = tables.security_events.c
        found = await self.ask(
            lambda connection: list(connection.scalars(select(events.event).order_by(events.id)))
        )
        assert isinstance(found, list)
        return found


def token_in(mail: Delivery) -> str:
    found = LINK.search(mail.text)
    assert found is not None, mail.text
    return found[1]


@asynccontextmanager
async def a_site(database_url: str, **settings: object) -> AsyncIterator[Site]:
    """Run the app with its lifespan, and a mail server."""
    await asyncio.to_thread(migrations.upgrade, database_url)
    async with a_mail_server() as mail:
        options: dict[str, object] = {
            "environment": "production",
            "BATONPASS_SECRET_KEY": SECRET.hex(),
            "database_url": database_url,
            "public_url": ORIGIN,
            "registration": "confirm",
            "smtp_url": f"smtp://{mail.host}:{mail.port}?from=batonpass@example.com",
        }
        loaded = load_settings(_env_file=None, **{**options, **settings})
        clock = MovableClock()
        app = build_app(loaded, clock)
        auth = build_auth(loaded)
        transport = httpx.ASGITransport(app, client=("192.0.2.7", 50000))
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client,
        ):
            site = Site(client, mail, clock, auth.database.read)
            yield site
        site.mail_was_empty_at_the_end = mail.is_empty()
        await auth.database.aclose()
        await dispose(auth.database.engine)


@pytest.fixture
async def site(database_url: str) -> AsyncIterator[Site]:
    async with a_site(database_url) as site:
        yield site


@pytest.fixture
async def lite(sqlite_url: str) -> AsyncIterator[Site]:
    """Where the database does not matter."""
    async with a_site(sqlite_url) as site:
        yield site


async def test_the_mails_link_makes_the_account_and_nothing_before_it(site: Site) -> None:
    answer = await site.register()
    mail = await site.mail.next_mail()

    assert answer.status_code == 202
    assert mail.recipients == ["Ada@example.com"]
    assert await site.accounts() == 0
    assert await site.log_in("ada@example.com") == 401

    finished = await site.finish(token_in(mail))

    assert finished.status_code == 201
    assert finished.headers["cache-control"] == "no-store"
    assert finished.json().keys() == {"id", "email", "created_at"}
    assert finished.json()["email"] == "Ada@example.com"
    assert await site.log_in("ada@example.com") == 200
    assert (await site.events()).count("user_created") == 1


async def test_a_taken_email_is_answered_as_a_free_one(site: Site) -> None:
    await site.an_account()

    free, taken = await site.register("bob@example.com"), await site.register("ADA@example.com")

    assert shown(free) == shown(taken)
    letters = {one.recipients[0]: one for one in [await site.mail.next_mail() for _ in range(2)]}
    assert token_in(letters["bob@example.com"])
    assert "You have an account already" in letters["Ada@example.com"].text
    assert f"{ORIGIN}/login\n" in letters["Ada@example.com"].text
    assert "token" not in letters["Ada@example.com"].text
    assert (await site.events()).count("register_on_existing") == 1


def shown(answer: httpx.Response) -> tuple[int, bytes, list[tuple[str, str]]]:
    headers = [line for line in answer.headers.multi_items() if line[0] != "x-request-id"]
    return answer.status_code, answer.content, headers


async def test_a_look_alike_writes_to_the_owners_mailbox_only(lite: Site) -> None:
    await lite.an_account()

    await lite.register("\uff21da@example.com")  # full-width A: the same account

    assert (await lite.mail.next_mail()).recipients == ["Ada@example.com"]
    assert lite.mail.is_empty()


@pytest.mark.parametrize("taken", [False, True])
async def test_no_answer_waits_for_the_mail(lite: Site, taken: bool) -> None:
    if taken:
        await lite.an_account()
    lite.mail.open.clear()  # nobody is greeted

    assert (await asyncio.wait_for(lite.register(), 10)).status_code == 202

    assert lite.mail.is_empty()
    lite.mail.open.set()
    await lite.mail.next_mail()


async def test_a_link_opens_once(site: Site) -> None:
    token = await site.mailed_token()

    first, second = await asyncio.gather(site.finish(token), site.finish(token))

    assert sorted([first.status_code, second.status_code]) == [201, 410]
    again = await site.finish(token)
    assert (again.status_code, again.json()["code"]) == (410, "link_expired")
    assert await site.accounts() == 1


async def test_of_two_links_for_one_email_one_opens(site: Site) -> None:
    older, newer = await site.mailed_token(), await site.mailed_token("ada@EXAMPLE.com")

    assert (await site.finish(older)).status_code == 201
    assert (await site.finish(newer)).status_code == 410
    assert await site.accounts() == 1


async def test_a_link_is_over_after_an_hour(site: Site) -> None:
    token = await site.mailed_token()
    site.clock.ahead = HOUR

    answer = await site.finish(token)

    assert (answer.status_code, answer.json()["code"]) == (410, "link_expired")
    assert await site.accounts() == 0


def sealed(content: object, *, label: str = "registration", secret: bytes = SECRET) -> str:
    nonce = os.urandom(12)
    cipher = AESGCM(derive(secret, label))
    raw = nonce + cipher.encrypt(nonce, json.dumps(content).encode(), None)
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


GOOD = ["eve@example.com", "eve@example.com", "$argon2id$", 2**31]
FOREIGN = [
    pytest.param("", 410, id="empty"),
    pytest.param("A", 410, id="no whole byte"),
    pytest.param("AAAA", 410, id="short"),
    pytest.param("A" * 16, 410, id="a nonce and nothing"),
    pytest.param("A" * 40, 410, id="zeros"),
    pytest.param("A" * 8000, 410, id="long"),
    pytest.param("A" * 9000, 422, id="longer than a form takes"),
    pytest.param("../../etc/passwd", 410, id="a path"),
    pytest.param("é", 410, id="no ASCII"),
    pytest.param("\ud800", 422, id="no text"),
    pytest.param(None, 422, id="none"),
    pytest.param(["x"], 422, id="a list"),
    pytest.param(sealed(GOOD, secret=OTHER), 410, id="another server's"),
    pytest.param(sealed(GOOD, label="throttle"), 410, id="another use's"),
    pytest.param(sealed(GOOD) + "=", 410, id="padded"),
]


@pytest.mark.parametrize(("token", "status"), FOREIGN)
async def test_what_is_no_link_of_ours_opens_nothing(
    lite: Site, token: object, status: int
) -> None:
    body = json.dumps({"token": token})  # escapes what is no UTF-8
    answer = await lite.client.post(
        "/auth/register/finish", content=body, headers={"Content-Type": "application/json"}
    )

    code = {410: "link_expired", 422: "invalid_request"}[status]
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await lite.accounts() == 0


async def test_the_table_above_would_open_if_it_were_ours(lite: Site) -> None:
    assert (await lite.finish(sealed(GOOD))).status_code == 201


async def test_a_weak_password_is_told_before_anything_is_looked_up(lite: Site) -> None:
    await lite.an_account()

    answer = await lite.register(password="password1")

    assert (answer.status_code, answer.json()["code"]) == (422, "weak_password")
    assert lite.mail.is_empty()


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "x"}])
async def test_another_sites_page_finishes_nothing(lite: Site, headers: dict[str, str]) -> None:
    token = await lite.mailed_token()

    answer = await lite.client.post("/auth/register/finish", json={"token": token}, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (403, "csrf")
    assert (await lite.finish(token)).status_code == 201


async def test_the_host_header_moves_no_link(lite: Site) -> None:
    body = {"email": ADA.stored, "password": PASSWORD}
    await lite.client.post("/auth/register", json=body, headers={"Host": "evil.example"})

    assert "evil.example" not in (await lite.mail.next_mail()).text


async def test_in_development_a_link_leads_where_the_request_came_in(sqlite_url: str) -> None:
    async with a_site(sqlite_url, environment="development", public_url=None) as site:
        body = {"email": ADA.stored, "password": PASSWORD}
        url = "http://localhost:8000/auth/register"
        assert (await site.client.post(url, json=body)).status_code == 202

        text = (await site.mail.next_mail()).text
    assert "\nhttp://localhost:8000/register/finish#token=" in text


@pytest.mark.parametrize("mode", ["open", "closed"])
async def test_without_confirmation_no_link_counts(sqlite_url: str, mode: str) -> None:
    async with a_site(sqlite_url) as site:
        token = await site.mailed_token()
    async with a_site(sqlite_url, registration=mode) as site:
        finished, asked = await site.finish(token), await site.register()

        expected = {"open": (410, "link_expired", 201), "closed": (403, "registration_closed", 403)}
        found = finished.status_code, finished.json()["code"], asked.status_code
        assert found == expected[mode]
        assert site.mail.came == 0


async def test_accounts_asked_for_from_one_place_are_counted(site: Site) -> None:
    names = [f"user{number}@example.com" for number in range(REGISTRATIONS_IN_PRODUCTION.count)]
    answers = [await site.register(name) for name in names]

    refused = await site.register("one-more@example.com")

    assert {one.status_code for one in answers} == {202}
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert {(await site.mail.next_mail()).recipients[0] for _ in names} == set(names)
    assert site.mail.is_empty()


async def test_nobody_can_fill_a_mailbox(site: Site) -> None:
    for _ in range(LETTERS.count):
        await site.mailed_token()

    answer = await site.register()

    assert answer.status_code == 202, "which tells nobody that no mail goes out"
    await site.register("bob@example.com")
    assert (await site.mail.next_mail()).recipients == ["bob@example.com"]
    assert site.mail.is_empty()
    assert (await site.events()).count("excess_rate_limit_exceeded") == 1
    site.clock.ahead = LETTERS.per
    assert await site.mailed_token()


async def test_what_is_under_way_arrives_before_the_server_ends(database_url: str) -> None:
    async with a_site(database_url) as site:
        site.mail.open.clear()
        await site.register()
        # The mail server is slower than a shutdown that waits for nothing.
        asyncio.get_running_loop().call_later(0.3, site.mail.open.set)

    assert not site.mail_was_empty_at_the_end


# --- the settings ------------------------------------------------------------------------------


@pytest.mark.parametrize("environment", ["development", "production"])
@pytest.mark.parametrize("smtp_url", [None, ""])
def test_confirming_needs_somewhere_to_send_mail(environment: str, smtp_url: str | None) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load_settings(environment=environment, registration="confirm", smtp_url=smtp_url)

    assert refused.value.detail == (
        "BATONPASS_REGISTRATION: confirm sends mail: set BATONPASS_SMTP_URL "
        "(smtp://user:password@host:587), or this to open or closed."
    )


def test_a_bad_smtp_url_is_named_and_not_shown() -> None:
    with pytest.raises(ConfigurationError) as refused:
        load_settings(smtp_url="smtp://ada:hunter2@:1")

    assert refused.value.detail.startswith("BATONPASS_SMTP_URL: write smtp://user:password@host")
    assert "hunter2" not in refused.value.detail


@pytest.mark.parametrize(("public_url", "unsafe"), [(None, True), (ORIGIN, False)])
def test_in_production_a_links_origin_is_the_operators_choice(
    public_url: str | None, unsafe: bool
) -> None:
    settings = load_settings(
        environment="production",
        registration="confirm",
        smtp_url="smtp://localhost",
        public_url=public_url,
    )

    named = {one.setting for one in production_problems(settings)}
    assert ("BATONPASS_PUBLIC_URL" in named) is unsafe


def test_a_block_cannot_take_every_letter() -> None:
    assert REGISTRATIONS_IN_PRODUCTION.count < MAX_WAITING

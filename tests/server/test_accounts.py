"""What users do with their accounts, below HTTP: who is let in, what is counted, what is told."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from pwdlib.hashers.bcrypt import BcryptHasher
from sqlalchemy import Connection, func, select

from batonpass.access_tokens import Claims
from batonpass.auth_service import AuthService, Visit
from batonpass.errors import BusyError, EmailTakenError, InvalidCredentialsError, WrongPasswordError
from batonpass.events import EventName, SecurityEvent
from batonpass.origins import Origin
from batonpass.server import migrations, users
from batonpass.server.accounts import Accounts
from batonpass.server.app import CONFIRMATIONS, build_auth
from batonpass.server.email_addresses import parse
from batonpass.server.engines import dispose
from batonpass.server.models import tables
from batonpass.server.passwords import PasswordHasher
from batonpass.server.throttle import Limit, LoginLimits, Throttle
from batonpass.server.users import User
from tests.support.clocks import Clock
from tests.support.servers import PASSWORD, light_hashes, settings_of
from tests.support.thieves import what_becomes_of

EMAIL = "Ada@Example.com"
NEW = "another horse battery"
ORIGIN = "http://app.example"
HOME = Visit(origin=Origin("192.0.2.1", "Firefox on Linux"), request_id="home")
LIMIT = 3
LIMITS = LoginLimits(pair=Limit(LIMIT, timedelta(minutes=15)))


@dataclass
class House:
    """The accounts of one server, with a clock to move.

    Attributes:
        told: The events, in the order of their commits.
    """

    accounts: Accounts
    service: AuthService
    passwords: PasswordHasher
    told: list[SecurityEvent] = field(default_factory=list)

    async def a_session(self) -> Claims:
        """Log Ada in, as the route does."""
        user = await self.accounts.log_in(EMAIL, PASSWORD, HOME)
        answer = await self.service.create_refresh_token(user.id, HOME)
        return self.service.access_tokens.verify(answer.access_token, self.service.clock.now())

    async def do(self, work: Callable[[Connection], Any]) -> Any:
        return await self.service.database.write(work)

    async def failures_counted(self) -> int:
        """Add up every place that is taken in the throttle."""
        table = self.service.store.tables.refresh_tokens.metadata.tables["throttle"]
        return int(
            await self.service.database.read(
                lambda connection: connection.scalar(select(func.sum(table.c.count))) or 0
            )
        )

    def names(self) -> list[EventName]:
        return [event.name for event in self.told]


@pytest.fixture
async def house(database_url: str) -> AsyncIterator[House]:
    """Give the accounts on a database of their own, with one user: Ada."""
    migrations.upgrade(database_url)
    auth = build_auth(settings_of(database_url), Clock())
    with light_hashes():
        passwords = PasswordHasher()
    accounts = _accounts(auth.service, passwords)
    house = House(accounts, auth.service, passwords)
    await accounts.register(EMAIL, PASSWORD, HOME, origin=ORIGIN)
    auth.service.on_event(house.told.append)
    yield house
    passwords.close()
    await auth.stop()
    await dispose(auth.database.engine)


def _accounts(
    service: AuthService,
    passwords: PasswordHasher,
    log_key: bytes = b"l",
    limits: LoginLimits = LIMITS,
) -> Accounts:
    throttle = Throttle(
        b"t" * 32, login=limits, registration=None, confirmation=CONFIRMATIONS, mail=CONFIRMATIONS
    )
    return Accounts(service, passwords, throttle, registration="open", log_key=log_key * 32)


async def ada(house: House) -> User:
    user: User = await house.do(lambda connection: users.find_by_email(connection, parse(EMAIL)))
    return user


# --- logging in --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [EMAIL, "ada@example.com", "\uff21da@example.com"])
async def test_whoever_knows_name_and_password_is_found(house: House, name: str) -> None:
    user = await house.accounts.log_in(name, PASSWORD, HOME)

    assert user.email.stored == EMAIL
    assert await house.failures_counted() == 0, "a good login gives its places back"


async def test_s_enum_1_unknown_wrong_and_disabled_are_one(house: House) -> None:
    await house.do(
        lambda connection: users.create(
            connection, parse("bob@example.com"), "!", house.service.clock.now()
        )
    )
    await house.do(_disable_ada)
    attempts = [
        (EMAIL, PASSWORD), (EMAIL, "wrong"), ("nobody@example.com", PASSWORD),
        ("bob@example.com", PASSWORD), ("no e-mail", PASSWORD), ("a\x00b\ud800", PASSWORD),
        (EMAIL, "\ud800"),
    ]  # fmt: skip

    for name, password in attempts[:LIMIT]:
        with pytest.raises(InvalidCredentialsError):
            await house.accounts.log_in(name, password, HOME)
    outcomes = {
        await what_becomes_of(house.accounts.log_in(name, password, HOME))
        for name, password in attempts[LIMIT:-1]
    }

    assert outcomes == {"invalid_credentials"}
    assert house.names().count(EventName.LOGIN_FAILED) == len(attempts) - 1


async def test_s_log_2_a_failed_name_is_told_as_a_keyed_digest(house: House) -> None:
    other = _accounts(house.service, house.passwords, log_key=b"m")
    for accounts in (house.accounts, house.accounts, other):
        with pytest.raises(InvalidCredentialsError):
            await accounts.log_in("my-password-by-mistake", "x" * 9, HOME)

    failures = [event for event in house.told if event.name is EventName.LOGIN_FAILED]
    first, second, third = [event.details["name"] for event in failures]
    assert first == second != third
    assert len(str(first)) == 16
    assert "mistake" not in repr(house.told)
    assert all(event.user_id is None for event in house.told)


async def test_the_last_failure_says_that_it_was(house: House) -> None:
    for _ in range(LIMIT):
        with pytest.raises(InvalidCredentialsError):
            await house.accounts.log_in(EMAIL, "wrong", HOME)

    refused = await what_becomes_of(house.accounts.log_in(EMAIL, PASSWORD, HOME))

    assert refused == "rate_limited", "with the right password too"
    assert house.names() == [
        *[EventName.LOGIN_FAILED] * LIMIT,
        EventName.LOGIN_FAILED_TOO_OFTEN,
        EventName.RATE_LIMIT_EXCEEDED,
    ]
    assert {event.user_id for event in house.told} == {(await ada(house)).id}
    assert [event.details.get("bucket") for event in house.told[-2:]] == ["pair", "pair"]


async def test_s_thr_2_failures_from_everywhere_leave_the_owners_home_open(
    house: House, database_url: str
) -> None:
    """From four hundred addresses; strangers are refused, and the owner is told."""
    failures = 500 if database_url.startswith("sqlite") else 120  # as it is, and for its SQL
    accounts = _accounts(house.service, house.passwords, limits=LoginLimits())
    user = await accounts.log_in(EMAIL, PASSWORD, HOME)
    await house.service.create_refresh_token(
        user.id, HOME, events_of=lambda connection: [accounts.success_event(connection, user, HOME)]
    )
    house.told.clear()

    outcomes = [
        await what_becomes_of(accounts.log_in(EMAIL, "wrong", _from(number % 400)))
        for number in range(failures)
    ]
    stranger = await what_becomes_of(accounts.log_in(EMAIL, PASSWORD, _from(1000)))
    owner = await accounts.log_in(EMAIL, PASSWORD, HOME)

    assert owner.id == user.id
    assert outcomes == ["invalid_credentials"] * 100 + ["rate_limited"] * (failures - 100)
    assert stranger == "rate_limited", "the right password too"
    [warned] = [event for event in house.told if event.name is EventName.LOGIN_FAILED_TOO_OFTEN]
    assert (warned.user_id, warned.details["bucket"]) == (user.id, "strangers")


def _from(number: int) -> Visit:
    return Visit(origin=Origin(f"10.0.{number // 250}.{number % 250}", "curl"), request_id="x")


async def test_s_pw_5_a_password_that_nobody_looked_at_is_no_failure(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = await house.a_session()

    async def no_room(*_: object) -> tuple[bool, None]:
        raise BusyError(retry_after=1)

    with monkeypatch.context() as crowded:
        crowded.setattr(house.passwords, "verify", no_room)
        for _ in range(CONFIRMATIONS.count + 1):
            assert await what_becomes_of(house.accounts.log_in(EMAIL, PASSWORD, HOME)) == "busy"
            confirming = house.accounts.confirm(claims, PASSWORD, HOME)
            assert await what_becomes_of(confirming) == "busy"

    assert await house.failures_counted() == 0
    await house.accounts.log_in(EMAIL, PASSWORD, HOME)
    await house.accounts.confirm(claims, PASSWORD, HOME)


async def test_s_pw_4_a_login_replaces_an_older_hash(house: House) -> None:
    user = await ada(house)
    old = BcryptHasher(rounds=4).hash(PASSWORD)
    await house.do(lambda connection: users.set_password_hash(connection, user.id, old))

    found = await house.accounts.log_in(EMAIL, PASSWORD, HOME)

    stored = (await ada(house)).password_hash
    assert stored.startswith("$argon2id$")
    assert found.password_hash == stored, "or `lock_unchanged` would refuse this very login"
    assert (await house.accounts.log_in(EMAIL, PASSWORD, HOME)).id == user.id


# --- the password again ------------------------------------------------------------------------


async def test_s_ses_6_confirming_makes_the_login_young_again(house: House) -> None:
    claims = await house.a_session()
    clock = house.service.clock
    assert isinstance(clock, Clock)
    clock.advance(timedelta(minutes=20))

    answer = await house.accounts.confirm(claims, PASSWORD, HOME)

    confirmed = house.service.access_tokens.verify(answer.access_token, clock.now())
    assert confirmed.auth_time - claims.auth_time == timedelta(minutes=20)
    assert house.names()[-1] is EventName.LOGIN_SUCCEEDED


@pytest.mark.parametrize(("deed", "failure"), [
    ("confirm", EventName.LOGIN_FAILED),
    ("change_password", EventName.PASSWORD_CHANGE_FAILED),
])  # fmt: skip
async def test_s_thr_5_a_session_has_a_few_wrong_passwords(
    house: House, deed: str, failure: EventName
) -> None:
    claims = await house.a_session()
    house.told.clear()

    async def asked(password: str) -> None:
        if deed == "confirm":
            await house.accounts.confirm(claims, password, HOME)
        else:
            await house.accounts.change_password(claims, password, NEW, HOME)

    wrong = [await what_becomes_of(asked("wrong")) for _ in range(CONFIRMATIONS.count)]
    then = await what_becomes_of(asked(PASSWORD))

    assert set(wrong) == {"wrong_password"}
    assert then == "rate_limited"
    assert house.names() == [failure] * (CONFIRMATIONS.count + 1)


async def test_right_passwords_use_up_nothing(house: House) -> None:
    claims = await house.a_session()

    for _ in range(CONFIRMATIONS.count + 1):
        await house.accounts.confirm(claims, PASSWORD, HOME)

    assert await house.failures_counted() == 0


async def test_who_acts_in_a_users_name_confirms_and_changes_nothing(house: House) -> None:
    claims = replace(await house.a_session(), extra={"act": {"sub": "support"}})

    confirmed = await what_becomes_of(house.accounts.confirm(claims, PASSWORD, HOME))
    changed = await what_becomes_of(house.accounts.change_password(claims, PASSWORD, NEW, HOME))

    assert confirmed == changed == "actor_not_allowed"


async def test_a_disabled_users_password_confirms_nothing(house: House) -> None:
    claims = await house.a_session()
    await house.do(_disable_ada)

    with pytest.raises(WrongPasswordError):
        await house.accounts.confirm(claims, PASSWORD, HOME)


async def test_a_deleted_users_session_is_over(house: House) -> None:
    claims = await house.a_session()
    user = await ada(house)
    await house.do(lambda connection: users.remove(connection, user.id))

    over = {
        await what_becomes_of(house.accounts.get(user.id)),
        await what_becomes_of(house.accounts.confirm(claims, PASSWORD, HOME)),
    }

    assert over == {"session_revoked (user_disabled)"}


async def test_s_ses_3_a_new_password_ends_all_other_sessions(house: House) -> None:
    claims, other = await house.a_session(), await house.a_session()
    house.told.clear()

    answer = await house.accounts.change_password(claims, PASSWORD, NEW, HOME)

    assert await house.service.revocations.check(other.family_id) == "password"
    assert await house.service.revocations.check(claims.family_id) is None
    assert (await house.service.check_access_token(answer.access_token)).generation == 1
    assert house.names() == [EventName.PASSWORD_CHANGED, EventName.TOKEN_REVOKED]
    assert await what_becomes_of(house.accounts.log_in(EMAIL, PASSWORD, HOME)) == (
        "invalid_credentials"
    )
    assert (await house.accounts.log_in(EMAIL, NEW, HOME)).email.stored == EMAIL


async def test_of_two_changes_at_once_the_second_is_told(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both tabs gave the password that was right when it was checked."""
    claims, other = await house.a_session(), await house.a_session()
    hash_new = house.passwords.hash

    async def overtaken(password: str) -> str:
        monkeypatch.setattr(house.passwords, "hash", hash_new)
        await house.accounts.change_password(other, PASSWORD, "a third horse battery", HOME)
        return await hash_new(password)

    monkeypatch.setattr(house.passwords, "hash", overtaken)

    second = await what_becomes_of(house.accounts.change_password(claims, PASSWORD, NEW, HOME))

    assert second == "wrong_password"
    await house.accounts.log_in(EMAIL, "a third horse battery", HOME)


async def test_a_weak_new_password_changes_nothing(house: House) -> None:
    claims, other = await house.a_session(), await house.a_session()

    refused = await what_becomes_of(
        house.accounts.change_password(claims, PASSWORD, "ada@example.com", HOME)
    )

    assert refused == "weak_password"
    assert await house.service.revocations.check(other.family_id) is None
    await house.accounts.log_in(EMAIL, PASSWORD, HOME)


# --- registering -------------------------------------------------------------------------------


async def test_registering_a_taken_email_is_refused_and_told(house: House) -> None:
    with pytest.raises(EmailTakenError):
        await house.accounts.register(EMAIL.upper(), NEW, HOME, origin=ORIGIN)

    (event,) = house.told
    assert (event.name, event.user_id) == (EventName.REGISTER_ON_EXISTING, (await ada(house)).id)
    await house.accounts.log_in(EMAIL, PASSWORD, HOME)


async def test_a_new_account_writes_its_event(house: House) -> None:
    user = await house.accounts.register("bob@example.com", PASSWORD, HOME, origin=ORIGIN)

    assert user is not None
    events = tables.security_events
    stored = await house.do(
        lambda connection: connection.execute(
            select(events.c.event, events.c.ip, events.c.request_id).where(
                events.c.user_id == user.id
            )
        ).all()
    )
    assert [tuple(row) for row in stored] == [("user_created", "192.0.2.1", "home")]


def _disable_ada(connection: Connection) -> None:
    user = users.find_by_email(connection, parse(EMAIL))
    assert user is not None
    users.disable(connection, user.id)

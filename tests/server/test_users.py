"""What the users' table promises, on both databases."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, Engine, func, select

from batonpass.errors import EmailTakenError
from batonpass.server import email_addresses, users
from batonpass.server.models import users as table
from tests.server.conftest import NOW

Change = Callable[[Connection, UUID], bool]
Meanwhile = Callable[[Connection, users.User], object]

ADA = email_addresses.parse("Ada@example.com")


def test_a_user_is_found_as_she_was_made(connection: Connection) -> None:
    made = users.create(connection, ADA, "hash", NOW)

    assert users.get(connection, made.id) == made
    assert users.find_by_email(connection, email_addresses.parse("aDA@EXAMPLE.com")) == made
    assert made.email.stored == "Ada@example.com"
    assert made.id.version == 4


def test_nobody_is_found_where_there_is_nobody(connection: Connection) -> None:
    assert users.get(connection, uuid4()) is None
    assert users.find_by_email(connection, ADA) is None


def test_a_taken_email_leaves_the_transaction_alive(connection: Connection) -> None:
    made = users.create(connection, ADA, "hash", NOW)

    with pytest.raises(EmailTakenError):
        users.create(connection, email_addresses.parse("ada@EXAMPLE.com"), "other", NOW)

    assert users.get(connection, made.id) == made


def test_one_email_registered_at_once_makes_one_account(engine: Engine) -> None:
    callers = 10
    together = threading.Barrier(callers)

    def register(number: int) -> bool:
        typed = "Ada@example.com" if number % 2 else "ada@EXAMPLE.COM"
        together.wait(timeout=10)
        try:
            with engine.begin() as connection:
                users.create(connection, email_addresses.parse(typed), "hash", NOW)
        except EmailTakenError:
            return False
        return True

    with ThreadPoolExecutor(callers) as threads:
        registered = list(threads.map(register, range(callers)))

    assert registered.count(True) == 1
    with engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(table)) == 1


def test_the_hash_stays_out_of_the_text_form(connection: Connection) -> None:
    assert "secret-hash" not in repr(users.create(connection, ADA, "secret-hash", NOW))


def test_pages_follow_one_another(connection: Connection) -> None:
    made = [
        users.create(
            connection,
            email_addresses.parse(f"user{number}@example.com"),
            "hash",
            NOW + timedelta(seconds=number // 2),  # two of each moment
        )
        for number in range(7)
    ]

    pages = [users.list_page(connection, limit=3)]
    while pages[-1]:
        pages.append(users.list_page(connection, after=pages[-1][-1], limit=3))

    listed = [user for page in pages for user in page]
    assert [len(page) for page in pages] == [3, 3, 1, 0]
    assert {user.id for user in listed} == {user.id for user in made}
    assert listed == sorted(listed, key=lambda user: user.created_at)


CHANGES = [
    pytest.param(users.disable, False, "old", id="disabled"),
    pytest.param(users.enable, True, "old", id="enabled"),
    pytest.param(
        lambda connection, user_id: users.set_password_hash(connection, user_id, "new"),
        True,
        "new",
        id="another password",
    ),
]


@pytest.mark.parametrize(("change", "is_active", "password_hash"), CHANGES)
def test_a_change_reaches_one_user(
    connection: Connection,
    change: Change,
    is_active: bool,
    password_hash: str,
) -> None:
    ada = users.create(connection, ADA, "old", NOW)
    bob = users.create(connection, email_addresses.parse("bob@example.com"), "old", NOW)

    assert change(connection, ada.id)

    changed = users.get(connection, ada.id)
    assert changed is not None
    assert (changed.is_active, changed.password_hash) == (is_active, password_hash)
    assert users.get(connection, bob.id) == bob
    assert not change(connection, uuid4())


def test_a_removed_user_is_gone(connection: Connection) -> None:
    ada = users.create(connection, ADA, "hash", NOW)

    assert users.remove(connection, ada.id)

    assert users.get(connection, ada.id) is None
    assert not users.remove(connection, ada.id)


def test_a_better_hash_does_not_undo_a_change_of_password(connection: Connection) -> None:
    as_read = users.create(connection, ADA, "weak hash of the old one", NOW)

    assert users.upgrade_password_hash(connection, as_read, "better hash of the old one")
    assert not users.upgrade_password_hash(connection, as_read, "again, by another login")

    found = users.get(connection, as_read.id)
    assert found is not None
    assert found.password_hash == "better hash of the old one"


def _change_password(connection: Connection, user: users.User) -> object:
    return users.set_password_hash(connection, user.id, "new")


MEANWHILE = [
    pytest.param(lambda _connection, _user: None, True, id="nothing"),
    pytest.param(_change_password, False, id="the password was changed"),
    pytest.param(lambda c, user: users.disable(c, user.id), False, id="she was disabled"),
    pytest.param(lambda c, user: users.remove(c, user.id), False, id="she was deleted"),
]


@pytest.mark.parametrize(("meanwhile", "allowed"), MEANWHILE)
def test_s_ses_3_no_login_in_flight_slips_through(
    connection: Connection, meanwhile: Meanwhile, allowed: bool
) -> None:
    as_read = users.create(connection, ADA, "old", NOW)

    meanwhile(connection, as_read)

    assert users.lock_unchanged(connection, as_read) is allowed


def test_s_ses_3_who_was_found_unchanged_stays_so_until_the_commit(engine: Engine) -> None:
    with engine.begin() as connection:
        ada = users.create(connection, ADA, "hash", NOW)
    order: list[str] = []

    def disable() -> None:
        with engine.begin() as connection:
            users.disable(connection, ada.id)
            order.append("disabled")

    with engine.begin() as login, ThreadPoolExecutor(1) as thread:
        assert users.lock_unchanged(login, ada)
        disabling = thread.submit(disable)
        with pytest.raises(TimeoutError):
            disabling.result(timeout=0.2)
        order.append("logged in")
        login.commit()
        disabling.result(timeout=10)

    assert order == ["logged in", "disabled"]

"""`batonpass users`: who may log in. Passwords come from a prompt or stdin, never an argument."""

import asyncio
import sys
from typing import Annotated

import typer
from sqlalchemy import Connection

from batonpass.cli.context import VISIT, AsJson, Row, print_rows, run
from batonpass.errors import InvalidRequestError, NotFoundError
from batonpass.events import EventName, SecurityEvent
from batonpass.family import Ending
from batonpass.plugin import Batonpass
from batonpass.server import users
from batonpass.server.email_addresses import EmailAddress, parse
from batonpass.server.passwords import PasswordHasher, accept_new
from batonpass.server.users import User

app = typer.Typer(help="Who may log in.", no_args_is_help=True)

Email = Annotated[str, typer.Argument(help="The user's e-mail.")]


@app.command()
def add(email: Email) -> None:
    """Add a user; the password is asked for, or read from stdin."""
    address = parse(email)
    password_hash = _hash(accept_new(_ask_password(), address))

    async def deed(auth: Batonpass[User]) -> User:
        def work(connection: Connection) -> User:
            user = users.create(connection, address, password_hash, auth.clock.now())
            _note(auth, connection, EventName.USER_CREATED, user)
            return user

        return await auth.database.write(work)

    print(f"Added {run(deed).email.stored}.")


@app.command(name="list")
def list_users(as_json: AsJson = False) -> None:
    """List the users, oldest first."""

    async def deed(auth: Batonpass[User]) -> list[User]:
        return await auth.database.read(_all)

    rows: list[Row] = [
        {
            "id": str(user.id),
            "email": user.email.stored,
            "created_at": user.created_at.isoformat(timespec="seconds"),
            "is_active": user.is_active,
        }
        for user in run(deed)
    ]
    print_rows(rows, as_json=as_json)


@app.command()
def disable(email: Email) -> None:
    """Refuse a user's logins and end all their sessions."""

    async def deed(auth: Batonpass[User]) -> int:
        user = await auth.database.read(lambda connection: _find(connection, parse(email)))

        def work(connection: Connection) -> None:
            users.disable(connection, user.id)
            _note(auth, connection, EventName.USER_DISABLED, user)

        return await auth.service.end_sessions(
            user.id, VISIT, reason=Ending.USER_DISABLED, deed=work
        )

    print(f"Disabled {email}; sessions ended: {run(deed)}.")


@app.command()
def enable(email: Email) -> None:
    """Let a user log in again."""

    async def deed(auth: Batonpass[User]) -> None:
        def work(connection: Connection) -> None:
            user = _find(connection, parse(email))
            users.enable(connection, user.id)
            _note(auth, connection, EventName.USER_UPDATED, user)

        await auth.database.write(work)

    run(deed)
    print(f"Enabled {email}.")


@app.command()
def delete(email: Email) -> None:
    """Delete a user; all their sessions end."""

    async def deed(auth: Batonpass[User]) -> None:
        user = await auth.database.read(lambda connection: _find(connection, parse(email)))

        # First nobody can log in any more and every process hears of the endings, then the row
        # goes, and with it the families.
        def keep_out(connection: Connection) -> None:
            users.disable(connection, user.id)

        await auth.service.end_sessions(user.id, VISIT, reason=Ending.USER_DISABLED, deed=keep_out)

        def work(connection: Connection) -> None:
            users.remove(connection, user.id)
            _note(auth, connection, EventName.USER_DELETED, user)

        await auth.database.write(work)

    run(deed)
    print(f"Deleted {email}.")


@app.command(name="set-password")
def set_password(email: Email) -> None:
    """Give a user a new password and end all their sessions; it is asked for or read from stdin."""
    address = parse(email)
    password_hash = _hash(accept_new(_ask_password(), address))

    async def deed(auth: Batonpass[User]) -> int:
        user = await auth.database.read(lambda connection: _find(connection, address))

        def work(connection: Connection) -> None:
            users.set_password_hash(connection, user.id, password_hash)
            _note(auth, connection, EventName.PASSWORD_CHANGED, user)

        return await auth.service.end_sessions(user.id, VISIT, reason=Ending.PASSWORD, deed=work)

    print(f"Changed the password of {email}; sessions ended: {run(deed)}.")


def _all(connection: Connection) -> list[User]:
    found: list[User] = []
    while page := users.list_page(connection, after=found[-1] if found else None):
        found.extend(page)
    return found


def _find(connection: Connection, email: EmailAddress) -> User:
    user = users.find_by_email(connection, email)
    if user is None:
        message = f"There is no user {email.stored}."
        raise NotFoundError(message)
    return user


def _note(auth: Batonpass[User], connection: Connection, name: EventName, user: User) -> None:
    event = SecurityEvent(name=name, at=auth.clock.now(), user_id=user.id, origin=VISIT.origin)
    auth.store.add_events(connection, [event])


def _ask_password() -> str:
    """Ask, or read stdin: an argument would stand in the list of processes (S-PW-6)."""
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    try:
        return sys.stdin.buffer.readline().decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        message = "The password on stdin is not UTF-8."
        raise InvalidRequestError(message) from error


def _hash(password: str) -> str:
    hasher = PasswordHasher(threads=1)
    try:
        return asyncio.run(hasher.hash(password))
    finally:
        hasher.close()

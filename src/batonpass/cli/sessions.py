"""`batonpass sessions`: see and end them."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import typer
from sqlalchemy import Connection

from batonpass.cli.context import VISIT, AsJson, Row, print_rows, run
from batonpass.errors import InvalidRequestError, NotFoundError
from batonpass.http import schemas
from batonpass.plugin import Batonpass
from batonpass.server import users
from batonpass.server.email_addresses import parse
from batonpass.server.users import User
from batonpass.storage.store import StoredFamily

app = typer.Typer(help="Who is signed in where.", no_args_is_help=True)


def moment(text: str) -> datetime:
    """Read a time as listings print it, or shorter; without a zone it is UTC.

    Raises:
        BadParameter: It is none.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        message = f"{text[:64]!r} is no time: write for instance 2026-01-31T12:00:00Z."
        raise typer.BadParameter(message) from error
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


@app.command(name="list")
def list_sessions(
    user: Annotated[str | None, typer.Option(help="Only this user's, by e-mail.")] = None,
    as_json: AsJson = False,
) -> None:
    """List sessions, newest first; ended ones for a day."""

    async def deed(auth: Batonpass[User]) -> list[Row]:
        user_id = None if user is None else await _user_id(auth, user)
        return [_row(auth, one) for one in await auth.service.list_sessions(user_id)]

    print_rows(run(deed), as_json=as_json)


@app.command()
def show(
    session_id: Annotated[str, typer.Argument(help="The session's id.")], as_json: AsJson = False
) -> None:
    """Print a session's lineage: what happened to it, generation by generation."""

    async def deed(auth: Batonpass[User]) -> list[Row]:
        family_id = _uuid(session_id)
        stored = await auth.database.read(lambda c: auth.store.get(c, family_id))
        if stored is None:
            raise NotFoundError(_no_session(session_id))
        found = await auth.service.get_session(stored.user_id, family_id)
        entries = schemas.lineage(found, auth.service.policy, auth.clock.now())
        return [entry.model_dump(mode="json") for entry in entries]

    print_rows(run(deed), as_json=as_json)


@app.command()
def revoke(
    session_id: Annotated[str | None, typer.Argument(help="The session's id.")] = None,
    user: Annotated[str | None, typer.Option(help="End all sessions of this user.")] = None,
    everybody: Annotated[bool, typer.Option("--all", help="End everybody's sessions.")] = False,
    before: Annotated[
        datetime | None,
        typer.Option(
            parser=moment,
            metavar="TIME",
            help="End everybody's that were begun before (ISO 8601; UTC where it says no zone).",
        ),
    ] = None,
) -> None:
    """End one session, all of a user, or everybody's; within 2 s on every process."""
    # S-SES-7. Everybody's: one row says since when sessions count, however many there are; a user's
    # are found by an index.
    everybody = everybody or before is not None
    if sum((session_id is not None, user is not None, everybody)) != 1:
        message = "Say which: a session's id, --user E-MAIL, --all, or --before TIME."
        raise InvalidRequestError(message)

    async def deed(auth: Batonpass[User]) -> str:
        if user is not None:
            ended = await auth.service.end_sessions(await _user_id(auth, user), VISIT)
            return f"Sessions ended: {ended}."
        if session_id is not None:
            family_id = _uuid(session_id)
            stored = await auth.database.read(lambda c: auth.store.get(c, family_id))
            if stored is None:
                raise NotFoundError(_no_session(session_id))
            await auth.service.revoke_session(stored.user_id, family_id, VISIT)
            return "Session ended."
        if before is not None and before > auth.clock.now():  # logins to come would be over too
            message = f"{before} is in the future: nobody could log in until then."
            raise InvalidRequestError(message)
        await auth.service.end_everything(VISIT, begun_before=before)
        return "Every session from before that moment has ended."

    print(run(deed))


def _row(auth: Batonpass[User], stored: StoredFamily) -> Row:
    shown = schemas.session(stored, auth.service.policy, auth.clock.now(), current="")
    row: Row = shown.model_dump(mode="json", exclude={"current"})
    return {"id": row.pop("id"), "user_id": str(stored.user_id), **row}


async def _user_id(auth: Batonpass[User], email: str) -> UUID:
    address = parse(email)

    def work(connection: Connection) -> UUID:
        user = users.find_by_email(connection, address)
        if user is None:
            message = f"There is no user {email}."
            raise NotFoundError(message)
        return user.id

    return await auth.database.read(work)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise NotFoundError(_no_session(text)) from error


def _no_session(text: str) -> str:
    return f"There is no session {text[:64]}."

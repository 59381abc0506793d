"""`batonpass keys`: the keys that sign access tokens. No key is ever shown, for none is stored."""

from datetime import datetime
from typing import Annotated

import typer

from batonpass.cli.context import VISIT, AsJson, Row, print_rows, run
from batonpass.keys import LEARNT_WITHIN, DeclaredKey, KeyRotation, KeyState
from batonpass.plugin import Batonpass
from batonpass.server.users import User

app = typer.Typer(help="The keys that sign access tokens.", no_args_is_help=True)


@app.command(name="list")
def list_keys(as_json: AsJson = False) -> None:
    """List the signing keys, oldest first: which one signs, and what is accepted until when."""

    async def deed(auth: Batonpass[User]) -> list[tuple[DeclaredKey, KeyState]]:
        return await auth.service.signing_keys.list_all()

    print_rows([_row(key, state) for key, state in run(deed)], as_json=as_json)


@app.command()
def rotate(
    withdraw: Annotated[
        bool,
        typer.Option(
            "--withdraw", help="A key leaked: refuse at once whatever the older ones signed."
        ),
    ] = False,
) -> None:
    """Announce the next signing key; it signs once everybody knows it. Nobody is logged out."""

    async def deed(auth: Batonpass[User]) -> KeyRotation:
        return await auth.service.rotate_signing_keys(VISIT, withdraw=withdraw)

    print("\n".join(_told(run(deed))))


def _told(rotation: KeyRotation) -> list[str]:
    new = rotation.added[0]
    name = f"Key {new.period.number} (kid {new.kid})"
    if not rotation.withdrawn:
        lines = [f"{name} is announced. It signs from {_shown(new.period.counts_from)} on."]
        until = {key.period.number: key.period.counts_until for key in rotation.retired}
        lines += [
            f"What key {number} signed is good until {_shown(moment)}."
            for number, moment in until.items()
        ]
        return lines
    seconds = int(LEARNT_WITHIN.total_seconds())
    gone = sorted({key.period.number for key in rotation.withdrawn})
    keys = f"key{'s' if len(gone) > 1 else ''} {', '.join(map(str, gone))}"
    return [
        f"{name} signs from now on.",
        f"Withdrawn: {keys}. Every access token that {'it' if len(gone) == 1 else 'they'} signed "
        f"is refused, within {seconds} s on every process.",
        "Sessions go on: each client fetches a new access token with its refresh token.",
        f"Services that read /.well-known/jwks.json follow within {seconds} s more.",
    ]


def _row(key: DeclaredKey, state: KeyState) -> Row:
    return {
        "number": key.period.number,
        "kid": key.kid,
        "algorithm": key.algorithm,
        "state": state.value,
        "counts_from": _iso(key.period.counts_from),
        "counts_until": _iso(key.period.counts_until),
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")


def _shown(moment: datetime | None) -> str:
    return "the beginning" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S} UTC"

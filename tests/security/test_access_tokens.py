"""Access tokens that were made to be believed: S-JWT-1 to 9, A20.

The tables of spoilt tokens are tests/support/hostile_tokens.py; each with its reason is tried in
tests/test_access_tokens.py. Here it is looked at what else must not happen meanwhile.
"""

import base64
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import product
from typing import Any, get_args

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from batonpass.access_tokens import AccessTokenReader, AccessTokenRefusedError, VerifyingKey
from batonpass.keys import Algorithm, KeyRing, SigningKey
from tests.support import hostile_tokens as hostile
from tests.support.clocks import Clock
from tests.support.services import House
from tests.support.thieves import AT_HOME, a_tab, what_becomes_of
from tests.support.tokens import (
    ABSENT,
    GOOD,
    KEY,
    NOW,
    SECRET,
    TOKENS,
    a_token,
    encoded,
)

OPENED = frozenset({"open", "socket.connect", "socket.getaddrinfo", "urllib.Request", "os.listdir"})


def problem_of(token: str, tokens: AccessTokenReader = TOKENS, now: datetime = NOW) -> str | None:
    try:
        tokens.verify(token, now)
    except AccessTokenRefusedError as refused:
        return refused.problem
    return None


# --- what the token may choose: nothing --------------------------------------------------------


class KeysOf:
    """What another service knows: a key of each algorithm, each by its id."""

    declarations = 0

    def __init__(self, keys: list[SigningKey]) -> None:
        self._keys = {key.kid: key for key in keys}
        self.asked: list[str] = []

    def find(
        self,
        kid: str,
        now: datetime,  # noqa: ARG002 - they count for ever
        *,
        ended_by: timedelta = timedelta(0),  # noqa: ARG002 - likewise
    ) -> VerifyingKey | None:
        self.asked.append(kid)
        return self._keys.get(kid)


EACH = {one: KeyRing([SECRET], one).issuing(NOW) for one in get_args(Algorithm)}


@pytest.mark.parametrize(("signs", "says", "names"), list(product(EACH, EACH, EACH)))
def test_s_jwt_1_only_the_one_algorithm_of_the_named_key_is_believed(
    signs: Algorithm, says: Algorithm, names: Algorithm
) -> None:
    """The reader knows all three keys, and each of them signs by its own algorithm alone."""
    tokens = AccessTokenReader(KeysOf(list(EACH.values())), "batonpass", "batonpass")
    header = b'{"typ":"at+jwt","alg":"%b","kid":"%b"}' % (says.encode(), EACH[names].kid.encode())
    message = f"{encoded(header)}.{GOOD.split('.')[1]}"

    problem = problem_of(f"{message}.{encoded(EACH[signs].sign(message.encode()))}", tokens)

    assert (problem is None) is (signs == says == names)


@pytest.mark.parametrize("typ", [
    "JWT", "jwt", "dbsc+jwt", "dpop+jwt", "at+jwt ", "application/jwt", "application/", "at", "",
    "at+jwt;x", None, True, 7, ["at+jwt"], {"at+jwt": 1}, ABSENT,
])  # fmt: skip
def test_s_jwt_2_any_other_typ_is_refused(typ: object) -> None:
    assert problem_of(a_token(header={"typ": typ})) == "wrong_typ"


# --- what is looked up, and where --------------------------------------------------------------


@pytest.mark.parametrize(("length", "problem"), [(64, "unknown_kid"), (65, "malformed_kid")])
def test_s_jwt_5_a_kid_has_up_to_64_characters(length: int, problem: str) -> None:
    assert problem_of(a_token(header={"kid": "k" * length})) == problem


async def test_s_jwt_5_an_unknown_kid_asks_no_database(house: House) -> None:
    tab = await a_tab(house)
    await house.service.check_access_token(tab.access_token)
    _, payload, signature = tab.access_token.split(".")

    with statements_of(house) as statements:
        for kid in ("k" * 43, KEY.kid, "' OR 1=1--", "../../dev/null"):
            other = encoded(b'{"typ":"at+jwt","alg":"HS256","kid":"%b"}' % kid.encode())
            asked = house.service.check_access_token(f"{other}.{payload}.{signature}")
            assert await what_becomes_of(asked) == "token_invalid"

    assert statements == []


@contextmanager
def statements_of(house: House) -> Iterator[list[str]]:
    """Write down what is asked of the database by the process of the house."""
    engine = house.database.engine
    sync = engine.sync_engine if isinstance(engine, AsyncEngine) else engine
    said: list[str] = []

    def note(*asked: Any) -> None:
        said.append(str(asked[2]))

    event.listen(sync, "before_cursor_execute", note)
    try:
        yield said
    finally:
        event.remove(sync, "before_cursor_execute", note)


def every_hostile_token() -> list[str]:
    tables = (
        hostile.SHAPES, hostile.ALGORITHMS, hostile.KEYS, hostile.KIDS, hostile.TYPES,
        hostile.HEADERS, hostile.CLAIMS, hostile.TIMES,
    )  # fmt: skip
    return [str(row.values[0]) for table in tables for row in table]


_watching: list[str] | None = None


def _note_what_is_opened(name: str, _arguments: tuple[object, ...]) -> None:
    if _watching is not None and name in OPENED:
        _watching.append(name)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Tell which files and connections this process opens (PEP 578)."""
    if not hasattr(sys, "_batonpass_watches"):  # a hook is for good
        sys.addaudithook(_note_what_is_opened)
        sys._batonpass_watches = True  # type: ignore[attr-defined]  # said once a process
    found: list[str] = []
    monkeypatch.setattr(sys.modules[__name__], "_watching", found)
    return found


def test_s_jwt_6_no_token_opens_a_connection_or_a_file(opened: list[str]) -> None:
    """With `jku`, `x5u`, `jwk`, `x5c` and paths for a `kid` among them (A17, A18)."""
    tokens = every_hostile_token()
    members = ("jku", "x5u", "jwk", "x5c")

    refused = [problem_of(token) is not None for token in tokens]

    assert len(refused) > 100
    assert all(refused)
    assert all(any(f'"{name}"' in _header_of(token) for token in tokens) for name in members)
    assert opened == []


def _header_of(token: str) -> str:
    part = token.partition(".")[0]
    return base64.urlsafe_b64decode(part.encode("ascii", "ignore") + b"===").decode("latin-1")


def test_s_jwt_7_the_shape_is_looked_at_before_any_key() -> None:
    for row in hostile.SHAPES:
        token, problem = row.values
        keys = KeysOf([KEY])
        said = problem_of(str(token), AccessTokenReader(keys, "batonpass", "batonpass"))
        assert said == problem
        assert bool(keys.asked) is (problem == "bad_signature")


# --- what is remembered ------------------------------------------------------------------------


async def test_s_jwt_9_a_remembered_token_is_asked_about_its_session_each_time(
    house: House, clock: Clock
) -> None:
    tab, neighbour = await a_tab(house), house.another_process()
    for _ in range(2):
        await neighbour.check_access_token(tab.access_token)

    await house.service.revoke_session(house.user_id, tab.family_id, AT_HOME)
    clock.advance(timedelta(seconds=2, microseconds=1))

    asked = neighbour.check_access_token(tab.access_token)
    assert await what_becomes_of(asked) == "session_revoked (revoked)"


async def test_s_jwt_9_a_withdrawn_key_is_forgotten_by_a_neighbour_within_a_minute(
    house: House, clock: Clock
) -> None:
    tab, neighbour = await a_tab(house), house.another_process()
    for _ in range(2):
        await neighbour.check_access_token(tab.access_token)

    await house.service.rotate_signing_keys(AT_HOME, withdraw=True)
    clock.advance(timedelta(seconds=60, microseconds=1))

    asked = neighbour.check_access_token(tab.access_token)
    assert await what_becomes_of(asked) == "token_invalid"


@pytest.mark.parametrize("by", [timedelta(hours=1), -timedelta(hours=1)])
def test_a20_a_verifier_with_a_wrong_clock_refuses(by: timedelta) -> None:
    tokens = AccessTokenReader(KeysOf([KEY]), "batonpass", "batonpass")

    assert problem_of(GOOD, tokens) is None
    assert problem_of(GOOD, tokens, NOW + by) in ("expired", "issued_in_the_future")

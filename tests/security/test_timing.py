"""What the clock tells of a secret: nothing. CPU time, in an order that nobody can guess.

A26. (Who has an account: test_enumeration.py.)
"""

import os
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable

from batonpass import ids, refresh_tokens
from batonpass.family import Presented
from batonpass.refresh_tokens import RefreshToken, Transport
from tests.support.families import T0, a_family
from tests.support.services import House
from tests.support.thieves import a_tab, what_becomes_of
from tests.support.timing import TELLS_APART, in_random_order, welch_t

KEY = bytes(range(32))
EACH = 10_000
MAC_BYTES = 16


def tells_apart(
    work: Callable[[object], object],
    first: Callable[[], object],
    second: Callable[[], object],
    each: int = EACH,
) -> bool:
    """Whether what `work` takes tells which of two kinds of argument it was given."""
    make = (first, second)
    # Made in the order of their use: neither kind lies more favourably in memory.
    given = [(kind, make[kind]()) for kind in in_random_order(each, each)]
    took: list[list[float]] = [[], []]
    for kind, argument in given:
        begun = time.thread_time_ns()
        work(argument)
        took[kind].append(time.thread_time_ns() - begun)
    return abs(welch_t(*took)) >= TELLS_APART


async def test_a26_no_clock_tells_a_foreign_session_from_none(house: House) -> None:
    tab, eve = await a_tab(house), await house.add_user()
    asked = (tab.family_id, ids.new_id(T0))
    took: list[list[float]] = [[], []]

    for kind in in_random_order(500, 500):
        begun = time.process_time()
        outcome = await what_becomes_of(house.service.get_session(eve, asked[kind]))
        took[kind].append(time.process_time() - begun)
        assert outcome == "not_found"

    assert abs(welch_t(*took)) < TELLS_APART


def forged(wrong_from: int) -> str:
    """Write a token of its own whose MAC is wrong from one of its bytes on."""
    token = RefreshToken(Transport.COOKIE, ids.new_id(T0), 3, os.urandom(32))
    raw = urlsafe_b64decode(refresh_tokens.encode(KEY, token)[4:])
    at = len(raw) - MAC_BYTES + wrong_from
    broken = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
    return refresh_tokens.PREFIX + urlsafe_b64encode(broken).decode()


def test_a26_no_clock_tells_how_much_of_a_mac_is_right() -> None:
    def read(text: object) -> None:
        assert refresh_tokens.decode([KEY], str(text)) is None

    assert not tells_apart(read, lambda: forged(0), lambda: forged(MAC_BYTES - 1))


def test_a26_no_clock_tells_how_much_of_a_hash_is_right() -> None:
    family = a_family()

    def compare(presented: object) -> None:
        assert isinstance(presented, Presented)
        assert not presented.is_current(family)
        assert not presented.opens(family)

    def wrong_from(byte: int) -> Presented:
        digest = family.token[:byte] + os.urandom(len(family.token) - byte)
        return Presented(6, digest, digest)

    assert not tells_apart(compare, lambda: wrong_from(0), lambda: wrong_from(28))


def test_a26_a_comparison_that_stops_early_is_found_by_this_clock() -> None:
    """Else the two above prove nothing."""
    right = os.urandom(MAC_BYTES)

    def compare(given: object) -> bool:
        assert isinstance(given, bytes)
        return all(one == other for one, other in zip(right, given, strict=True))

    def wrong_from(byte: int) -> bytes:
        return right[:byte] + os.urandom(MAC_BYTES - byte)

    assert tells_apart(compare, lambda: wrong_from(0), lambda: wrong_from(14), EACH // 10)

"""A batch: whatever it contains, its answers are those of some one-at-a-time order (I12).

An independent reading of the rules, tests/support/rulebook.py, plays every order; the real bench
plays one.
"""

from dataclasses import replace
from datetime import timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batonpass.events import EventName
from batonpass.family import Ending, Verdict
from batonpass.origins import Origin
from batonpass.policy import Policy
from batonpass.refresh_tokens import RefreshToken, Transport, derive_successor, digest
from batonpass.storage.rulings import Bench, Request
from batonpass.storage.store import Locked, StoredFamily
from tests.support.families import GRACE, POLICY, T0, TICK, a_login
from tests.support.rulebook import FIRST, Book, Page

SECOND = timedelta(seconds=1)
KEY, OLD_KEY = bytes(32), bytes(range(32))
HOME, AWAY = Origin("192.0.2.1", "Firefox on Linux"), Origin("203.0.113.66", "curl")
STEPS = st.lists(
    st.tuples(st.integers(0, 6), st.sampled_from([1, 25, 31, 61, 200])), min_size=0, max_size=6
)


def a_stored_login(secret: bytes) -> tuple[StoredFamily, RefreshToken]:
    family = a_login(at=T0)
    stored = StoredFamily(
        family=replace(family, token=digest(secret)),
        user_id=1,
        created_at=T0,
        transport=Transport.COOKIE,
        persistent=True,
        auth_time=T0,
        claims=None,
        origin=HOME,
    )
    return stored, RefreshToken(Transport.COOKIE, family.id, 0, secret)


class Played:
    """A login at the bench and in the book, side by side."""

    def __init__(self, secret: bytes = b"s" * 32) -> None:
        self.stored, first = a_stored_login(secret)
        self.tokens = [first]
        self.book = Book(POLICY.grace.total_seconds())
        self.pages: list[Page] = [FIRST]
        self.bench = Bench((KEY,), POLICY)

    def present(self, which: list[int], at: timedelta) -> list[tuple[str, int | None]]:
        """Present tokens in one batch; each answer as verdict and the successor's number."""
        requests = [Request(self.tokens[i], T0 + at, HOME) for i in which]
        locked = Locked({self.stored.family.id: self.stored}, None)
        outcomes, changes = self.bench.rule(requests, locked, T0 + at)
        self.stored = changes.families.get(self.stored.family.id, self.stored)
        answers: list[tuple[str, int | None]] = []
        for outcome in outcomes:
            successor = outcome.successor
            if successor is not None and successor not in self.tokens:
                self.tokens.append(successor)
            number = None if successor is None else self.tokens.index(successor)
            answers.append((outcome.ruling.verdict.value, number))
        return answers


@given(STEPS, st.lists(st.integers(0, 6), min_size=1, max_size=4), st.sampled_from([0, 20, 31, 70]))
def test_a_batch_answers_as_some_order_one_at_a_time_would(
    history: list[tuple[int, int]], batch: list[int], wait: int
) -> None:
    played, at = Played(), 0
    for which, seconds in history:
        at += seconds
        number = which % len(played.tokens)
        [(verdict, successor)] = played.present([number], timedelta(seconds=at))
        told = played.book.present(played.pages[number], at)
        assert told.verdict == verdict
        if successor is not None and successor == len(played.pages):
            assert told.page is not None
            played.pages.append(told.page)
    at += wait
    which_ones = [number % len(played.tokens) for number in batch]

    answers = played.present(which_ones, timedelta(seconds=at))

    known = len(played.pages)
    possible = set()
    for order in permutations(range(len(which_ones))):
        book = played.book.copy()
        pages = list(played.pages)
        got: dict[int, tuple[str, int | None]] = {}
        for place in order:
            told = book.present(pages[which_ones[place]], at)
            if told.page is not None and told.page not in pages:
                pages.append(told.page)
            got[place] = (told.verdict, None if told.page is None else pages.index(told.page))
        possible.add(tuple(got[place] for place in range(len(which_ones))))
    assert known <= len(played.tokens)
    assert tuple(answers) in possible


def test_a_token_twice_in_a_batch_gets_one_successor_and_one_change() -> None:
    played = Played()

    answers = played.present([0, 0, 0], timedelta(seconds=1))

    assert answers == [("rotate", 1), ("repeat", 1), ("repeat", 1)]
    assert played.stored.family.generation == 1


def test_after_a_theft_in_a_batch_nobody_else_gets_a_token() -> None:
    played = Played()
    for seconds in (1, 100, 200):
        played.present([len(played.tokens) - 1], timedelta(seconds=seconds))

    answers = played.present([0, 3, 0], timedelta(seconds=300))

    assert [verdict for verdict, _ in answers] == ["reused", "revoked", "revoked"]
    assert played.stored.family.ended_reason is Ending.REFRESH_TOKEN_REUSED


def test_a_theft_is_noted_once_for_the_feed_and_the_events() -> None:
    played = Played()
    for seconds in (1, 100, 200):
        played.present([len(played.tokens) - 1], timedelta(seconds=seconds))
    requests = [Request(played.tokens[0], T0 + timedelta(seconds=300), AWAY)] * 3

    _, changes = played.bench.rule(
        requests, Locked({played.stored.family.id: played.stored}, None), T0 + 300 * SECOND
    )

    assert changes.ended == [(played.stored.family.id, Ending.REFRESH_TOKEN_REUSED)]
    [told] = changes.events
    assert told.name is EventName.REFRESH_TOKEN_REUSED
    assert (told.origin, told.details["other_ip"]) == (AWAY, HOME.ip)
    assert (told.details["generation"], told.details["current_generation"]) == (0, 3)


def test_a_family_without_a_row_is_expired_and_changes_nothing() -> None:
    played = Played()

    outcomes, changes = played.bench.rule([Request(played.tokens[0], T0)], Locked({}, None), T0)

    assert outcomes[0].ruling.verdict is Verdict.EXPIRED
    assert (changes.families, changes.ended, changes.events) == ({}, [], [])


@pytest.mark.parametrize("after", [-GRACE, 2 * GRACE], ids=["before", "after"])
def test_what_began_before_not_before_is_revoked(after: timedelta) -> None:
    played = Played()

    outcomes, changes = played.bench.rule(
        [Request(played.tokens[0], T0)],
        Locked({played.stored.family.id: played.stored}, T0 + after),
        T0,
    )

    began_before = after > timedelta(0)
    expected = Verdict.REVOKED if began_before else Verdict.ROTATE
    assert outcomes[0].ruling.verdict is expected
    assert bool(changes.families) is not began_before


def test_while_the_secret_changes_either_key_finds_the_successor_again() -> None:
    """S-KEY-4: one node derives by the old key, its neighbour by the new one."""
    played = Played()
    old_node, new_node = Bench((OLD_KEY, KEY), POLICY), Bench((KEY, OLD_KEY), POLICY)
    request = Request(played.tokens[0], T0, HOME)
    [rotated], changes = old_node.rule(
        [request], Locked({played.stored.family.id: played.stored}, None), T0
    )

    [repeated], _ = new_node.rule([request], Locked(changes.families, None), T0 + GRACE)

    assert repeated.ruling.verdict is Verdict.REPEAT
    assert repeated.successor == rotated.successor


def test_the_first_key_issues() -> None:
    """A node that does not list the other one yet must find the successor again."""
    played = Played()
    bench = Bench((KEY, OLD_KEY), POLICY)

    [rotated], changes = bench.rule(
        [Request(played.tokens[0], T0)], Locked({played.stored.family.id: played.stored}, None), T0
    )

    nonce = changes.families[played.stored.family.id].family.nonce
    assert nonce is not None
    assert rotated.successor is not None
    assert rotated.successor.secret == derive_successor(KEY, played.tokens[0], nonce)


@pytest.mark.parametrize("verdict", [Verdict.ROTATE, Verdict.RECOVER])
def test_a_change_is_dated_by_its_processing_and_its_origin_is_kept(verdict: Verdict) -> None:
    played = Played()
    if verdict is Verdict.RECOVER:
        played.present([0], timedelta(0))
    arrived, now = T0 + 2 * GRACE, T0 + 2 * GRACE + SECOND

    [outcome], changes = played.bench.rule(
        [Request(played.tokens[0], arrived, AWAY)],
        Locked({played.stored.family.id: played.stored}, None),
        now,
    )

    after = changes.families[played.stored.family.id]
    assert outcome.ruling.verdict is verdict
    assert after.family.rotated_at == after.family.window_started_at == now
    assert after.origin == AWAY


def test_the_successor_is_derived_from_what_the_row_keeps() -> None:
    played = Played()

    played.present([0], timedelta(0))

    nonce = played.stored.family.nonce
    assert nonce is not None
    assert derive_successor(KEY, played.tokens[0], nonce) == played.tokens[1].secret
    assert digest(played.tokens[1].secret) == played.stored.family.token


@pytest.mark.parametrize("history", [timedelta(0), timedelta(days=1)], ids=["none", "a day"])
def test_single_rotations_are_kept_where_asked_for(history: timedelta) -> None:
    played = Played()
    bench = Bench((KEY,), Policy(history=history))
    locked = Locked({played.stored.family.id: played.stored}, None)

    _, changes = bench.rule([Request(played.tokens[0], T0, HOME)] * 2, locked, T0 + TICK)

    assert [one.kind for one in changes.rotations] == (["rotated"] if history else [])

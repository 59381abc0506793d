"""The rules of the family: row by row, bound by bound, then against a second reading of them."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from batonpass import ids
from batonpass.family import (
    Ending,
    Family,
    Presented,
    Ruling,
    Verdict,
    change_rights,
    end,
    judge,
    recover,
    rotate,
    settle,
)
from batonpass.policy import Policy
from batonpass.refresh_tokens import NONCE_BYTES, RefreshToken
from tests.support.families import (
    BEGAN,
    GRACE,
    IDLE,
    NONCE,
    POLICY,
    STRICT,
    T0,
    TICK,
    a_family,
    a_login,
    the_token,
    token_digest,
)
from tests.support.logins import Login
from tests.support.reference_family import ReferenceFamily

HOUR = timedelta(hours=1)
MILLISECOND = timedelta(milliseconds=1)
LATE = GRACE + TICK
LIMIT = BEGAN + POLICY.absolute_limit
NEXT_NONCE = bytes(NONCE_BYTES)


# --- What a presented token means: the table, from the top --------------------------------------


@pytest.mark.parametrize(("presented", "at", "verdict"), [
    pytest.param(7, T0,         Verdict.ROTATE,     id="the current one rotates"),
    pytest.param(7, T0 + LATE,  Verdict.ROTATE,     id="the current one rotates, grace or not"),
    pytest.param(6, T0 + GRACE, Verdict.REPEAT,     id="its predecessor, until grace ends"),
    pytest.param(6, T0 + LATE,  Verdict.RECOVER,    id="a tick later its answer counts as lost"),
    pytest.param(6, T0 - HOUR,  Verdict.REPEAT,     id="it arrived before the rotation: in time"),
    pytest.param(5, T0 + GRACE, Verdict.SUPERSEDED, id="two behind, spent just now, a slow tab"),
    pytest.param(5, T0 - HOUR,  Verdict.SUPERSEDED, id="a slow tab that arrived before"),
    pytest.param(5, T0 + LATE,  Verdict.RECOVER,    id="a tick later too: nothing later settled"),
    pytest.param(4, T0,         Verdict.REUSED,     id="older than what has settled is a replay"),
    pytest.param(4, T0 + LATE,  Verdict.REUSED,     id="so it is when the window is over"),
    pytest.param(4, T0 - HOUR,  Verdict.REUSED,     id="so it is when it arrived before"),
    pytest.param(0, T0,         Verdict.REUSED,     id="however old"),
    pytest.param(8, T0,         Verdict.REVOKED,    id="one ahead: a backup was restored"),
    pytest.param(7, T0 + IDLE,  Verdict.EXPIRED,    id="the idle limit is exclusive"),
    pytest.param(8, T0 + IDLE,  Verdict.EXPIRED,    id="over is over, forked or not"),
    pytest.param(4, T0 + IDLE,  Verdict.EXPIRED,    id="over is over, replayed or not"),
])  # fmt: skip
def test_what_a_presented_token_means(presented: int, at: datetime, verdict: Verdict) -> None:
    family = a_family(generation=7, recoverable_from=5, window_generation=5)

    ruling = judge(family, the_token(generation=presented), POLICY, arrived=at)

    assert ruling.verdict is verdict


@pytest.mark.parametrize(("presented", "at", "ending"), [
    pytest.param(7, T0,        None,                        id="rotate"),
    pytest.param(6, T0,        None,                        id="repeat"),
    pytest.param(5, T0,        None,                        id="superseded"),
    pytest.param(5, T0 + LATE, None,                        id="recover"),
    pytest.param(4, T0,        Ending.REFRESH_TOKEN_REUSED, id="reused: the user is told"),
    pytest.param(8, T0,        Ending.HISTORY_FORKED,       id="one ahead"),
    pytest.param(7, T0 + IDLE, Ending.EXPIRED,              id="expired: closed"),
])  # fmt: skip
def test_which_verdicts_end_the_family(presented: int, at: datetime, ending: Ending | None) -> None:
    ruling = judge(a_family(), the_token(generation=presented), POLICY, arrived=at)

    assert ruling.ends is ending


def test_a_purged_family_was_over_long_ago() -> None:
    assert judge(None, the_token(generation=7), POLICY, arrived=T0) == Ruling(Verdict.EXPIRED)


@pytest.mark.parametrize("reason", Ending)
@pytest.mark.parametrize("presented", [4, 5, 6, 7, 8])
@pytest.mark.parametrize("at", [T0 - HOUR, T0, T0 + LATE, T0 + IDLE])
def test_an_ended_family_answers_nothing_else(reason: Ending, presented: int, at: datetime) -> None:
    family = end(a_family(), reason, T0)

    ruling = judge(family, the_token(generation=presented), POLICY, arrived=at)

    assert ruling == Ruling(Verdict.REVOKED)


@pytest.mark.parametrize(("not_before", "verdict"), [
    pytest.param(None,                Verdict.ROTATE,  id="no such moment"),
    pytest.param(BEGAN - MILLISECOND, Verdict.ROTATE,  id="before the login"),
    pytest.param(BEGAN,               Verdict.ROTATE,  id="at the login: exclusive"),
    pytest.param(BEGAN + TICK,        Verdict.REVOKED, id="a tick after the login"),
    pytest.param(T0 + HOUR,           Verdict.REVOKED, id="long after"),
])  # fmt: skip
def test_families_begun_before_not_before_are_over(
    not_before: datetime | None, verdict: Verdict
) -> None:
    policy = replace(POLICY, not_before=not_before)

    ruling = judge(a_family(), the_token(generation=7), policy, arrived=T0)

    assert ruling == Ruling(verdict)  # nothing is written: the moment itself is the record


@pytest.mark.parametrize(("expires_at", "at", "verdict"), [
    pytest.param(LIMIT,     T0 + IDLE - TICK, Verdict.ROTATE,  id="a tick before the idle limit"),
    pytest.param(LIMIT,     T0 + IDLE,        Verdict.EXPIRED, id="at the idle limit"),
    pytest.param(T0 + HOUR, T0 + HOUR - TICK, Verdict.ROTATE,  id="a tick before the absolute one"),
    pytest.param(T0 + HOUR, T0 + HOUR,        Verdict.EXPIRED, id="at the absolute limit"),
])  # fmt: skip
def test_both_limits_are_exclusive(expires_at: datetime, at: datetime, verdict: Verdict) -> None:
    family = a_family(expires_at=expires_at)

    ruling = judge(family, the_token(generation=7), POLICY, arrived=at)

    assert ruling.verdict is verdict


@pytest.mark.parametrize(("presented", "opens", "verdict"), [
    pytest.param(3, 7,    Verdict.REPEAT,  id="after a recover: the one that recovered"),
    pytest.param(6, 6,    Verdict.REUSED,  id="its direct neighbour by number opens nothing"),
    pytest.param(6, None, Verdict.REUSED,  id="nobody opens a row without a nonce"),
])  # fmt: skip
def test_s_rt_4_what_opens_the_row_is_told_by_hash_and_never_by_number(
    presented: int, opens: int | None, verdict: Verdict
) -> None:
    family = a_family(recoverable_from=7, window_generation=7)

    ruling = judge(family, the_token(generation=presented, opens=opens), POLICY, arrived=T0)

    assert ruling.verdict is verdict


def test_the_one_that_opens_the_row_recovers_from_below_recoverable_from() -> None:
    family = a_family(recoverable_from=7, window_generation=7)

    ruling = judge(family, the_token(generation=3, opens=7), POLICY, arrived=T0 + LATE)

    assert ruling == Ruling(Verdict.RECOVER)


def test_two_tokens_of_one_generation_are_two_histories() -> None:
    stranger = replace(the_token(generation=7), digest=token_digest(99))

    ruling = judge(a_family(), stranger, POLICY, arrived=T0)

    assert ruling == Ruling(Verdict.REVOKED, ends=Ending.HISTORY_FORKED)


@pytest.mark.parametrize(("presented", "started_at", "at", "verdict"), [
    pytest.param(5, T0 - GRACE, T0,        Verdict.SUPERSEDED, id="open, until grace ends"),
    pytest.param(5, T0 - GRACE, T0 + TICK, Verdict.RECOVER,    id="over a tick later"),
    pytest.param(6, T0 - GRACE, T0 + TICK, Verdict.REPEAT,     id="over, yet it opens the row"),
    pytest.param(6, T0 + HOUR,  T0 + LATE, Verdict.SUPERSEDED, id="open, though grace is over"),
    pytest.param(4, T0,         T0,        Verdict.REUSED,     id="older than the window"),
    pytest.param(5, None,       T0,        Verdict.RECOVER,    id="no window yet"),
])  # fmt: skip
def test_the_window_has_a_clock_of_its_own(
    presented: int, started_at: datetime | None, at: datetime, verdict: Verdict
) -> None:
    family = a_family(recoverable_from=5, window_generation=5, window_started_at=started_at)

    ruling = judge(family, the_token(generation=presented), POLICY, arrived=at)

    assert ruling.verdict is verdict


@pytest.mark.parametrize(("presented", "at", "ruling"), [
    pytest.param(7, T0,         Ruling(Verdict.ROTATE),
                 id="who got the answer goes on"),
    pytest.param(7, T0 + LATE,  Ruling(Verdict.ROTATE),
                 id="whenever"),
    pytest.param(6, T0 + GRACE, Ruling(Verdict.SUPERSEDED),
                 id="the one left behind, in the window: no second answer to it"),
    pytest.param(6, T0 + LATE,  Ruling(Verdict.REVOKED, ends=Ending.RIGHTS_CHANGED),
                 id="after it: the answer was lost, nobody is called a thief"),
    pytest.param(5, T0 + LATE,  Ruling(Verdict.REVOKED, ends=Ending.RIGHTS_CHANGED),
                 id="older ones too"),
    pytest.param(0, T0,         Ruling(Verdict.REVOKED, ends=Ending.RIGHTS_CHANGED),
                 id="outside the window at once"),
    pytest.param(8, T0,         Ruling(Verdict.REVOKED, ends=Ending.HISTORY_FORKED),
                 id="one ahead is two histories all the same"),
    pytest.param(6, T0 + IDLE,  Ruling(Verdict.EXPIRED, ends=Ending.EXPIRED),
                 id="over is over"),
])  # fmt: skip
def test_a_rights_change_leaves_everybody_else_behind(
    presented: int, at: datetime, ruling: Ruling
) -> None:
    family = a_family(rights_changed=True, nonce=None, recoverable_from=7, window_generation=5)

    assert judge(family, the_token(generation=presented, opens=None), POLICY, arrived=at) == ruling


@pytest.mark.parametrize(("presented", "at", "verdict"), [
    pytest.param(7, T0,        Verdict.ROTATE,  id="the current one"),
    pytest.param(6, T0,        Verdict.REUSED,  id="no repeat, not even at once"),
    pytest.param(6, T0 - HOUR, Verdict.REUSED,  id="no repeat, whatever the clock says"),
    pytest.param(5, T0,        Verdict.REUSED,  id="no superseded"),
    pytest.param(5, T0 - HOUR, Verdict.REUSED,  id="no superseded, whatever the clock says"),
    pytest.param(6, T0 + LATE, Verdict.REUSED,  id="no recover of the one that opens"),
    pytest.param(5, T0 + LATE, Verdict.REUSED,  id="no recover of an unsettled one"),
    pytest.param(8, T0,        Verdict.REVOKED, id="one ahead"),
])  # fmt: skip
def test_grace_zero_is_strict(presented: int, at: datetime, verdict: Verdict) -> None:
    family = a_family(recoverable_from=0, window_generation=0)

    ruling = judge(family, the_token(generation=presented), STRICT, arrived=at)

    assert ruling.verdict is verdict


@pytest.mark.parametrize(("presented", "at", "verdict"), [
    pytest.param(0, T0,        Verdict.ROTATE,  id="the first token rotates"),
    pytest.param(0, T0 - HOUR, Verdict.ROTATE,  id="though a clock went back"),
    pytest.param(1, T0,        Verdict.REVOKED, id="a second one was never issued"),
])  # fmt: skip
def test_a_login_has_one_token(presented: int, at: datetime, verdict: Verdict) -> None:
    ruling = judge(a_login(), the_token(generation=presented, opens=None), POLICY, arrived=at)

    assert ruling.verdict is verdict


# --- What a rotation changes -------------------------------------------------------------------


def rotated(family: Family, at: datetime, policy: Policy = POLICY) -> Family:
    return rotate(family, token_digest(8), NEXT_NONCE, policy, at)


def test_a_rotation_makes_the_successor_current() -> None:
    family = a_family(rights_changed=True)

    after = rotated(family, T0 + GRACE)

    assert after == replace(
        family,
        token=token_digest(8),
        nonce=NEXT_NONCE,
        generation=8,
        rights_changed=False,
        rotated_at=T0 + GRACE,
    )  # neither the absolute limit nor an open window moves


@pytest.mark.parametrize(("at", "recoverable_from"), [
    pytest.param(T0 - HOUR,             0, id="earlier, by a clock that went back"),
    pytest.param(T0 + 2 * GRACE,        0, id="at twice the grace: not yet"),
    pytest.param(T0 + 2 * GRACE + TICK, 7, id="a tick later: it had reached its user"),
])  # fmt: skip
def test_a_late_rotation_settles_what_it_presents(at: datetime, recoverable_from: int) -> None:
    family = a_family(recoverable_from=0, window_generation=0, window_started_at=at)

    assert rotated(family, at).recoverable_from == recoverable_from


@pytest.mark.parametrize(
    ("recoverable_from", "window", "at", "raised_to", "opened_at"), [
    pytest.param(2, 5, T0 + GRACE, 2, None, id="an open window stays, and raises nothing"),
    pytest.param(2, 5, T0 - HOUR,  2, None, id="so it does where a clock went back"),
    pytest.param(2, 5, T0 + LATE,  5, 6,    id="over: raised to it; one lower, as 5 is below 7"),
    pytest.param(6, 5, T0 + LATE,  6, 6,    id="never lowered"),
    pytest.param(2, 6, T0 + LATE,  6, 6,    id="raised to one behind: still below"),
    pytest.param(2, 7, T0 + LATE,  7, 7,    id="raised to the presented one: it opens there"),
    pytest.param(7, 2, T0 + LATE,  7, 7,    id="settled already: it opens at the presented one"),
    pytest.param(2, 5, T0 + 2 * LATE, 7, 7, id="settled by coming late: before anything else"),
])  # fmt: skip
def test_a_rotation_that_finds_the_window_over_raises_and_opens(
    recoverable_from: int, window: int, at: datetime, raised_to: int, opened_at: int | None
) -> None:
    family = a_family(recoverable_from=recoverable_from, window_generation=window)

    after = rotated(family, at)

    opened = (window, T0) if opened_at is None else (opened_at, at)
    assert after.recoverable_from == raised_to
    assert (after.window_generation, after.window_started_at) == opened


@pytest.mark.parametrize(("at", "recoverable_from"), [
    pytest.param(T0,                    0, id="at once"),
    pytest.param(T0 + 2 * GRACE + TICK, 0, id="late: generation 0 is the lowest there is"),
])  # fmt: skip
def test_the_first_rotation_opens_the_first_window(at: datetime, recoverable_from: int) -> None:
    after = rotate(a_login(), token_digest(1), NEXT_NONCE, POLICY, at)

    assert (after.generation, after.recoverable_from) == (1, recoverable_from)
    assert (after.window_generation, after.window_started_at) == (0, at)


@pytest.mark.parametrize(("policy", "at", "shown_at"), [
    pytest.param(POLICY, T0 + GRACE, T0 - HOUR, id="younger than grace: the one before it"),
    pytest.param(POLICY, T0 + LATE,  T0,        id="older than grace: it may be shown"),
    pytest.param(POLICY, T0 - HOUR,  T0 - HOUR, id="a clock that went back shows nothing new"),
    pytest.param(STRICT, T0,         T0,        id="grace zero: there is no replay to time"),
])  # fmt: skip
def test_no_rotation_younger_than_grace_is_shown(
    policy: Policy, at: datetime, shown_at: datetime
) -> None:
    family = a_family(shown_at=T0 - HOUR)

    after = (
        rotated(family, at, policy),
        recovered(family, the_token(generation=6), at, policy),
        change_rights(family, token_digest(8), policy, at),
    )

    assert family.last_shown_at(policy, at) == shown_at
    assert [each.shown_at for each in after] == [shown_at] * 3


# --- What a recovery changes -------------------------------------------------------------------


def recovered(
    family: Family, presented: Presented, at: datetime = T0 + LATE, policy: Policy = POLICY
) -> Family:
    return recover(family, presented, token_digest(8), NEXT_NONCE, policy, at)


@pytest.mark.parametrize(("presented", "opens", "window"), [
    pytest.param(6, 7, 6, id="the direct predecessor: from itself on"),
    pytest.param(5, 6, 5, id="an older one, for the first time: from itself on"),
    pytest.param(5, 7, 7, id="the same again (it opens the row, two behind): the withdrawn one"),
    pytest.param(3, 7, 7, id="the same again, from far behind"),
    pytest.param(3, 4, 3, id="far behind, for the first time"),
])  # fmt: skip
def test_a_recovery_withdraws_what_came_after(presented: int, opens: int, window: int) -> None:
    family = a_family(recoverable_from=3)

    after = recovered(family, the_token(generation=presented, opens=opens))

    assert after == replace(
        family,
        token=token_digest(8),
        nonce=NEXT_NONCE,
        generation=8,
        recoverable_from=8,
        window_generation=window,
        window_started_at=T0 + LATE,
        rotated_at=T0 + LATE,
        shown_at=T0,
    )


@pytest.mark.parametrize(("presented", "opens", "at", "verdict"), [
    pytest.param(7, 99, LATE + GRACE, Verdict.SUPERSEDED, id="the withdrawn one: a slow tab"),
    pytest.param(7, 99, 2 * LATE,     Verdict.REUSED,     id="a thief when the window is over"),
    pytest.param(6, 8,  LATE + GRACE, Verdict.REPEAT,     id="the one that recovered: repeated"),
    pytest.param(6, 8,  2 * LATE,     Verdict.RECOVER,    id="it alone may recover again"),
    pytest.param(5, 99, LATE,         Verdict.REUSED,     id="one older than it may not"),
    pytest.param(8, 99, LATE,         Verdict.ROTATE,     id="the new one is current"),
])  # fmt: skip
def test_what_tokens_mean_after_a_recovery(
    presented: int, opens: int, at: timedelta, verdict: Verdict
) -> None:
    after = recovered(a_family(), the_token(generation=6))

    ruling = judge(after, the_token(generation=presented, opens=opens), POLICY, arrived=T0 + at)

    assert ruling.verdict is verdict


# --- What a rights change, settling and an end change --------------------------------------------


@pytest.mark.parametrize(("started_at", "at", "window"), [
    pytest.param(T0,   T0 + GRACE, 5, id="an open window goes on from where it began"),
    pytest.param(T0,   T0 + LATE,  7, id="over: from the one left behind"),
    pytest.param(None, T0,         7, id="no window yet: from the one left behind"),
    pytest.param(T0,   T0 - HOUR,  5, id="a clock that went back: still open"),
])  # fmt: skip
def test_a_rights_change_restarts_the_window(
    started_at: datetime | None, at: datetime, window: int
) -> None:
    family = a_family(window_started_at=started_at)

    after = change_rights(family, token_digest(8), POLICY, at)

    assert after == replace(
        family,
        token=token_digest(8),
        nonce=None,
        generation=8,
        recoverable_from=8,
        rights_changed=True,
        window_generation=window,
        window_started_at=at,
        rotated_at=at,
        shown_at=family.last_shown_at(POLICY, at),
    )


def test_once_the_new_rights_rotated_whoever_was_left_behind_is_a_thief() -> None:
    changed = a_family(
        generation=8, rights_changed=True, nonce=None, recoverable_from=8, window_generation=7
    )

    after = rotate(changed, token_digest(9), NEXT_NONCE, POLICY, T0)

    left_behind = the_token(generation=7, opens=None)
    assert judge(after, left_behind, POLICY, T0 + GRACE).verdict is Verdict.SUPERSEDED
    assert judge(after, left_behind, POLICY, T0 + LATE).verdict is Verdict.REUSED


def test_settling_makes_every_spent_token_an_alarm() -> None:
    family = a_family(recoverable_from=0, rights_changed=True)

    after = settle(family)

    assert after == replace(family, recoverable_from=7, nonce=None, rights_changed=False)
    spent = the_token(generation=6, opens=None)
    assert judge(after, spent, POLICY, T0 + LATE).verdict is Verdict.REUSED


def test_an_end_says_when_and_why_and_changes_nothing_else() -> None:
    family = a_family()

    after = end(family, Ending.LOGOUT, T0 + HOUR)

    assert after == replace(family, ended_at=T0 + HOUR, ended_reason=Ending.LOGOUT)


# --- Short stories -----------------------------------------------------------------------------


def test_a_lost_answer_is_recovered_eight_hours_later_and_the_withdrawn_one_finds_a_thief() -> None:
    login = Login(POLICY, T0)
    lost = login.present(login.first_token, T0)

    repeated = login.present(login.first_token, T0 + GRACE)
    back = login.present(login.first_token, T0 + 8 * HOUR)

    assert (repeated.verdict, repeated.token) == (Verdict.REPEAT, lost.token)
    assert back.verdict is Verdict.RECOVER
    assert back.token not in (None, lost.token)
    assert lost.token is not None
    assert login.present(lost.token, T0 + 8 * HOUR + GRACE).verdict is Verdict.SUPERSEDED
    assert login.present(lost.token, T0 + 8 * HOUR + LATE).verdict is Verdict.REUSED
    assert login.family.ended_reason is Ending.REFRESH_TOKEN_REUSED


def test_nobody_walks_on_unseen_by_refreshing_fast() -> None:
    login = Login(POLICY, T0)
    token: RefreshToken | None = login.first_token
    for step in range(40):
        assert token is not None
        token = login.present(token, T0 + step * GRACE / 3).token

    replay = login.present(login.first_token, T0 + 13 * GRACE + LATE)

    assert replay.verdict is Verdict.REUSED


def test_a_servers_own_retry_after_a_failover_is_not_late() -> None:
    login = Login(POLICY, T0)
    answered = login.present(login.first_token, arrived=T0, now=T0 + HOUR)

    again = login.present(login.first_token, arrived=T0, now=T0 + 2 * HOUR)

    assert (again.verdict, again.token) == (Verdict.REPEAT, answered.token)


# --- The law: a second reading of the page comes to the same -------------------------------------

# Bounds, and what lies beside them; hypothesis finds the histories in which they meet. What ends a
# family is drawn seldom: most histories should be long ones.
short = st.sampled_from([TICK, GRACE / 3, GRACE - TICK, GRACE, GRACE + TICK])
delays = st.one_of(
    short,
    st.sampled_from([timedelta(0), GRACE, GRACE + TICK, 2 * GRACE, 2 * GRACE + TICK, HOUR]),
)
limits = st.sampled_from([IDLE - TICK, IDLE, IDLE - TICK, IDLE - 2 * GRACE])
queued = st.sampled_from([timedelta(0)] * 4 + [TICK, GRACE, GRACE + TICK, 3 * GRACE, -GRACE])
graces = st.sampled_from([GRACE, GRACE, GRACE, GRACE, timedelta(0), TICK])
not_befores = st.sampled_from([None] * 8 + [T0, T0 + TICK])
present = st.tuples(
    st.just("present"), delays, queued, st.sampled_from([0] * 8 + [1, 1, 1, 2, 2, 3, 5])
)
steps = st.one_of(
    present,
    present,
    present,
    st.tuples(st.just("see"), delays, queued, st.sampled_from([0, 0, 1])),
    st.one_of(
        st.tuples(st.just("rights"), delays, queued, st.just(0)),
        st.tuples(st.just("present"), limits, queued, st.just(0)),
        st.tuples(st.just("present"), limits, queued, st.just(0)),
        st.tuples(st.just("fork"), delays, queued, st.integers(0, 2)),
    ),
)
Step = tuple[str, timedelta, timedelta, int]


@settings(max_examples=1_000)
@given(graces, not_befores, st.lists(steps, min_size=3, max_size=30))
@example(
    GRACE,
    None,
    [
        ("present", TICK, timedelta(0), 0),  # rotate
        ("present", GRACE + TICK, timedelta(0), 1),  # its answer was lost: recover
        ("present", GRACE + TICK, timedelta(0), 2),  # the same token again
        ("present", GRACE, timedelta(0), 1),  # the withdrawn one
    ],
)
@example(GRACE, None, [("present", GRACE + TICK, timedelta(0), 0)] * 5)  # on and on, fast
@example(TICK, None, [("present", TICK, timedelta(0), 0)] * 3 + [("present", GRACE, TICK, 1)])
def test_a_second_reading_of_the_page_comes_to_the_same(
    grace: timedelta, not_before: datetime | None, history: list[Step]
) -> None:
    policy = replace(POLICY, grace=grace, not_before=not_before)
    login = Login(policy, T0)
    reference = ReferenceFamily(
        at=T0,
        grace=grace,
        idle=policy.idle_limit,
        absolute=policy.absolute_limit,
        not_before=not_before,
    )
    tokens = [(login.first_token, reference.current)]
    now = T0
    for what, delay, queue, choice in history:
        now += delay
        if what == "see":
            number = login.family.generation - choice
            login.note_seen(number, now - delay, now)
            reference.seen(number, now - delay, now)
        elif what == "rights":
            if reference.ended is None:
                tokens.append((login.change_rights(now), reference.change_rights(now)))
        else:
            token, name = tokens[-1 - choice % len(tokens)]
            if what == "fork":  # the row says 7, yet a token says 7 (another one), 8 or 9
                token = replace(token, generation=reference.generation + choice, secret=bytes(32))
                name = f"{token.generation}:fork"
            answer = login.present(token, now - queue, now)
            said = reference.present(name, now - queue, now)
            assert (answer.verdict, answer.ends) == (said.verdict, said.ends)
            known = dict(tokens)
            if answer.token is not None and answer.token not in known:
                assert said.token is not None
                tokens.append((answer.token, said.token))
            elif answer.token is not None:
                assert known[answer.token] == said.token  # the same successor to both
        assert_same_state(login.family, reference)


def assert_same_state(family: Family, reference: ReferenceFamily) -> None:
    assert family.generation == reference.generation
    assert family.recoverable_from == reference.recoverable_from
    assert family.rights_changed == reference.marked
    assert family.window_generation == reference.window_generation
    assert family.rotated_at == reference.rotated_at
    assert family.shown_at == reference.shown_at
    assert (family.ended_reason and family.ended_reason.value) == reference.ended
    assert (family.nonce is None) == (reference.opened_by is None)
    if family.window_started_at is not None:
        assert family.window_started_at == reference.window_started_at


def test_the_family_of_the_tests_is_one_that_the_rules_could_have_made() -> None:
    family = a_family()

    assert ids.made_at(family.id) == BEGAN
    assert family.token == token_digest(family.generation)
    assert family.nonce == NONCE
    assert family.recoverable_from <= family.generation

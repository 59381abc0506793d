"""Every short history of a family, walked to the end: what the rules promise, by the real rules.

The owner has several tabs that share one cookie jar, and a lock under which they refresh one after
the other: to the rules they are one client. The lock outlives the request: as long as one is under
way, there is no other. Walked are all orders and delays, in steps of half a grace, of

- a refresh: the request stalls on its way for however long, the answer for up to a grace, or it is
  lost; somebody tries again at once, or years later;
- an access token that is seen, and noted or not; a rights change, answered or lost;
- a browser that dies: the jar is what the disk had at some time within the last grace (Chromium
  writes it every ~30 s).

What must hold for the owner alone: no alarm, ever. `Limits` says where that ends, and each limit is
seen to be one: a step beyond it, the walk does find an alarm.

With a thief who copied the jar once and keeps every token that he ever got (the best two of them):
answers of the owner's are lost, and his browser dies, as often as you like, but not for ever: in an
endless history they stop. Two who go on for ever and never follow each other within a grace need,
at each change-over, a refresh that is answered although a token was made since, more than a grace
ago; it is called *late* below. So no cycle may hold a late refresh of one and any refresh of the
other; and none may hold refreshes of the thief and, of the owner, nothing but `superseded`. Last, a
thief who rotates on and on while the owner is away is found when he is back, unless he stopped
within six graces.

The abstraction is in tests/support/small_rows.py. Limits of life and `not_before` are left out, and
a server that is late itself (an arrival long before its processing): the tables have those.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Flag, auto
from typing import NamedTuple

import pytest

from batonpass import family as rules
from batonpass.family import Ending, Family, Presented, Ruling, Verdict
from batonpass.policy import Policy
from tests.support.small_rows import GRACE_STEPS, OLD, Outcome, Row, Rows, Rules, renumbered

ALARMS = {Ending.REFRESH_TOKEN_REUSED, Ending.HISTORY_FORKED}
REMEMBERED = 3  # values that the jar held within the last grace


# --- The owner alone ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the walk is held to; times in steps of half a grace.

    Attributes:
        answer: From when its token became current until the browser has an answer that brings it.
        orphan: From sending until a request arrives whose browser has died meanwhile; 0: it either
            arrived before, or never will.
        hasty_after_recovery: Whether the token of a recovery may be spent while the disk may
            still have what it replaced.
        hasty_after_rights: Likewise the token of a rights change.
    """

    answer: int = GRACE_STEPS
    orphan: int = 0
    hasty_after_recovery: bool = False
    hasty_after_rights: bool = False


Held = tuple[int, int]  # a token (its generation, as in `Row`), and an age in steps
EARLIER = -1  # the age of an access token of an earlier generation: nobody will ask for it


class Home(NamedTuple):
    """The owner's world: one row on the server, one jar, one lock.

    Attributes:
        row: The server's.
        jar: The token in the jar.
        disk: What the jar held within the last grace, and how long ago.
        access: The age of the page's access token; None: the page has none.
        request: The refresh under way: what it presents, and since when.
        answer: The answer under way: what it brings, and since when.
        orphan: The refresh of a browser that has died: what it presents, and since when.
    """

    row: Row = Row()
    jar: int = 0
    disk: tuple[Held, ...] = ()
    access: int | None = 0
    request: Held | None = None
    answer: Held | None = None
    orphan: Held | None = None

    def tidy(self) -> "Home":
        """Renumber the generations: worlds that the rules cannot tell apart become one."""
        under_way = (self.request, self.answer, self.orphan)
        held = [*self.disk, *(pair for pair in under_way if pair is not None)]
        names = renumbered([*self.row.generations(), self.jar, *(token for token, _ in held)])

        def renamed(pair: Held | None) -> Held | None:
            return None if pair is None else (names[pair[0]], pair[1])

        return self._replace(
            row=self.row.renamed(names),
            jar=names[self.jar],
            disk=tuple((names[token], age) for token, age in self.disk),
            request=renamed(self.request),
            answer=renamed(self.answer),
            orphan=renamed(self.orphan),
        )

    def has_just_begun_anew(self) -> bool:
        """Whether nothing before the jar's token counts any more, yet the disk may have that."""
        return self.row.recoverable_from == self.jar == 0 and bool(self.disk)

    def moved_on(self, row: Row, by: int) -> "Home":
        """Take over the server's new row; what was current is `by` behind now."""

        def further(pair: Held | None) -> Held | None:
            return None if pair is None else (pair[0] + by, pair[1])

        if by == 0:
            return self._replace(row=row)
        return self._replace(
            row=row,
            jar=self.jar + by,
            disk=tuple((token + by, age) for token, age in self.disk),
            access=None if self.access is None else EARLIER,
            request=further(self.request),
            answer=further(self.answer),
            orphan=further(self.orphan),
        )


class Move(NamedTuple):
    """What happened, and the world afterwards; or the alarm that it set off."""

    what: str
    world: Home | None
    alarm: Ending | None = None


def at_home(home: Home, rows: Rows, limits: Limits) -> Iterator[Move]:
    """Everything that may happen next to an owner whom nobody robs."""
    yield from time_passes(home, limits)
    if home.request is None and home.answer is None:  # the lock is free
        if not home.has_just_begun_anew() or (
            limits.hasty_after_rights if home.row.rights_changed else limits.hasty_after_recovery
        ):
            yield Move("a tab sends a refresh", home._replace(request=(home.jar, 0)))
        if home.access is not None:
            changed = home.moved_on(rows.change_rights(home.row), 1)
            yield Move("a rights change whose answer is lost", changed)
            yield Move("a rights change", changed._replace(answer=(0, 0)))
    if home.request is not None:
        yield from arrives(home, home.request[0], rows, "the refresh arrives", answered=True)
    if home.orphan is not None:
        yield from arrives(home, home.orphan[0], rows, "the orphan arrives", answered=False)
    if home.answer is not None:
        yield Move("the answer arrives", delivered(home, home.answer))
    if home.access is not None and rows.can_settle(home.access):
        yield Move("its access token is noted", home._replace(row=rows.settle(home.row)))
    yield from browser_dies(home, limits)


def time_passes(home: Home, limits: Limits) -> Iterator[Move]:
    """Half a grace goes by, unless something under way must come to its end first."""
    if home.answer is not None and home.row.age >= limits.answer:
        return
    orphan = home.orphan
    if orphan is not None and orphan[1] >= limits.orphan:
        orphan = None  # it will not arrive any more
    later = home._replace(
        row=home.row.later(),
        disk=tuple((token, age + 1) for token, age in home.disk if age < GRACE_STEPS),
        access=home.access if home.access in {None, EARLIER} else min(home.access + 1, OLD),
        request=home.request and (home.request[0], min(home.request[1] + 1, limits.orphan + 1)),
        answer=home.answer and (home.answer[0], home.answer[1] + 1),
        orphan=orphan and (orphan[0], orphan[1] + 1),
    )
    yield Move("half a grace passes", later)


def arrives(home: Home, token: int, rows: Rows, what: str, *, answered: bool) -> Iterator[Move]:
    """A refresh reaches the server; its answer sets out, or is lost."""
    outcome = rows.present(home.row, token)
    what = f"{what}: {outcome.verdict}"
    if outcome.ends in ALARMS:
        yield Move(what, None, outcome.ends)
    if outcome.ends is not None:
        return  # the answer to a rights change was lost: the session ends, without an alarm
    after = home.moved_on(outcome.row, outcome.advance)
    after = after._replace(request=None) if answered else after._replace(orphan=None)
    yield Move(f"{what}, and the answer is lost", after)
    if answered and outcome.yields:
        yield Move(what, after._replace(answer=(0, 0)))


def delivered(home: Home, answer: Held) -> Home:
    """The jar takes the answer's token; the disk may keep the former one for a grace."""
    token, age = answer
    return home._replace(
        jar=token,
        disk=((home.jar, 0), *home.disk)[:REMEMBERED] if home.jar != token else home.disk,
        access=age if token == 0 else EARLIER,
        answer=None,
    )


def browser_dies(home: Home, limits: Limits) -> Iterator[Move]:
    """It comes back with what the disk had; a request under way may still arrive."""
    orphan = home.orphan
    if home.request is not None and home.request[1] < limits.orphan:
        orphan = home.request
    for token in {home.jar, *(token for token, _ in home.disk)}:
        back = home._replace(
            jar=token, disk=(), access=None, request=None, answer=None, orphan=orphan
        )
        yield Move("the browser dies", back)


def first_alarm(under_test: Rules, limits: Limits) -> tuple[list[str], int]:
    """Walk every history at home until an alarm: its story; [] if there is none. And how many."""
    rows = Rows(under_test)
    start = Home()
    came_from: dict[Home, tuple[Home, str]] = {}
    seen, waiting = {start}, [start]
    for home in waiting:  # it grows while it is walked: breadth first, so the story is a short one
        for what, world, alarm in at_home(home, rows, limits):
            if world is None:
                return [*story(home, came_from), f"{what}: {alarm}"], len(seen)
            after = world.tidy()
            if after not in seen:
                seen.add(after)
                came_from[after] = (home, what)
                waiting.append(after)
    return [], len(seen)


def story(home: Home, came_from: dict[Home, tuple[Home, str]]) -> list[str]:
    told: list[str] = []
    while home in came_from:
        home, what = came_from[home]
        told.insert(0, what)
    return told


# --- With a thief ------------------------------------------------------------------------------


class Mark(Flag):
    """What a move means for an endless history."""

    NOTHING = 0
    TIME = auto()  # a step passes
    OWNER = auto()  # the owner is answered a token
    OWNER_LATE = auto()  # … though another was made since, more than a grace ago
    OWNER_TURNED_AWAY = auto()  # the owner is superseded
    OWNER_FOLLOWS = auto()  # … though another was made since, at most a grace ago
    THIEF = auto()
    THIEF_LATE = auto()
    THIEF_FOLLOWS = auto()


class Street(NamedTuple):
    """The owner's jar, as at home, and what a thief has of it.

    Attributes:
        row: The server's.
        jar: The token in the owner's jar.
        disk: What the jar held within the last grace, and how long ago.
        loot: The thief's tokens; None: he has not been here yet.
    """

    row: Row = Row()
    jar: int = 0
    disk: tuple[Held, ...] = ()
    loot: tuple[int, ...] | None = None

    def tidy(self) -> "Street":
        """Renumber the generations."""
        loot = self.loot or ()
        names = renumbered(
            [*self.row.generations(), self.jar, *(token for token, _ in self.disk), *loot]
        )
        return self._replace(
            row=self.row.renamed(names),
            jar=names[self.jar],
            disk=tuple((names[token], age) for token, age in self.disk),
            loot=None if self.loot is None else tuple(sorted({names[token] for token in loot})),
        )

    def moved_on(self, outcome: Outcome) -> "Street":
        """Take over the server's new row."""
        by = outcome.advance
        return self._replace(
            row=outcome.row,
            jar=self.jar + by,
            disk=tuple((token + by, age) for token, age in self.disk),
            loot=None if self.loot is None else tuple(token + by for token in self.loot),
        )


class Turn(NamedTuple):
    """What it means, the world afterwards, and whether it may happen again and again for ever."""

    mark: Mark
    world: Street
    endless: bool = True


LOOT = 2  # tokens that the thief keeps


def on_the_street(street: Street, rows: Rows) -> Iterator[Turn]:
    """Everything that may happen next, as long as nobody is told."""
    later = street._replace(
        row=street.row.later(),
        disk=tuple((token, age + 1) for token, age in street.disk if age < GRACE_STEPS),
    )
    yield Turn(Mark.TIME, later)
    if rows.can_settle(street.row.age):  # whoever got it may use its access token, noted or not
        yield Turn(Mark.NOTHING, street._replace(row=rows.settle(street.row)))
    yield from owner_refreshes(street, rows)
    for token, _ in street.disk:  # his browser dies
        yield Turn(Mark.NOTHING, street._replace(jar=token, disk=()), endless=False)
    changed = street.moved_on(
        Outcome(Verdict.ROTATE, None, rows.change_rights(street.row), advance=1)
    )
    yield Turn(Mark.OWNER, changed._replace(jar=0, disk=()))
    if street.loot is None:
        yield Turn(Mark.NOTHING, street._replace(loot=(street.jar,)), endless=False)
    else:
        yield from thief_refreshes(street, street.loot, rows)


def owner_refreshes(street: Street, rows: Rows) -> Iterator[Turn]:
    """The owner presents what is in the jar."""
    outcome = rows.present(street.row, street.jar)
    if outcome.ends is not None:
        return  # he has to log in again; the thief's tokens are worth nothing
    after = street.moved_on(outcome)
    if not outcome.yields:
        yield Turn(Mark.OWNER_TURNED_AWAY, after)
        return
    yield Turn(Mark.NOTHING, after, endless=False)  # the answer is lost
    yield Turn(
        Mark.OWNER | lag(street, street.jar, Mark.OWNER_FOLLOWS, Mark.OWNER_LATE),
        after._replace(jar=0, disk=((after.jar, 0), *after.disk)[:1] if after.jar else after.disk),
    )


def thief_refreshes(street: Street, loot: tuple[int, ...], rows: Rows) -> Iterator[Turn]:
    """The thief presents one of his tokens; of those that he has then, he keeps the best."""
    for token in loot:
        outcome = rows.present(street.row, token)
        if outcome.ends is not None or not outcome.yields:
            continue  # found; or nothing gained
        after = street.moved_on(outcome)
        mark = Mark.THIEF | lag(street, token, Mark.THIEF_FOLLOWS, Mark.THIEF_LATE)
        kept = tuple(sorted({0, *(after.loot or ())}))
        yield Turn(mark, after._replace(loot=kept[:LOOT]))
        for dropped in kept[:LOOT]:
            rest = tuple(each for each in kept if each != dropped)
            yield Turn(mark, after._replace(loot=rest[:LOOT]))


def lag(street: Street, token: int, follows: Mark, late: Mark) -> Mark:
    """How a refresh relates to the last one that made a token."""
    if token == 0:
        return Mark.NOTHING
    return late if street.row.age > GRACE_STEPS else follows


Graph = dict[Street, list[Turn]]


def walk_the_street(under_test: Rules) -> Graph:
    """Walk every history with a thief as far as nobody is told."""
    rows = Rows(under_test)
    graph: Graph = {}
    waiting = [Street()]
    while waiting:
        street = waiting.pop()
        if street in graph:
            continue
        graph[street] = [
            turn._replace(world=turn.world.tidy()) for turn in on_the_street(street, rows)
        ]
        waiting += [turn.world for turn in graph[street] if turn.world not in graph]
    return graph


def endless_histories(graph: Graph, without: Mark = Mark.NOTHING) -> Iterator[Mark]:
    """What each knot of cycles holds: anything in it can happen again and again, in any order."""
    edges = {
        street: [turn for turn in turns if turn.endless and not turn.mark & without]
        for street, turns in graph.items()
    }
    knot = knots({street: [turn.world for turn in turns] for street, turns in edges.items()})
    held: dict[int, Mark] = {}
    for street, turns in edges.items():
        for turn in turns:
            if knot[street] == knot[turn.world]:
                held[knot[street]] = held.get(knot[street], Mark.NOTHING) | turn.mark
    yield from held.values()


def knots(graph: dict[Street, list[Street]]) -> dict[Street, int]:
    """Number the strongly connected components (Kosaraju: two walks, no recursion)."""
    finished: list[Street] = []
    seen: set[Street] = set()
    for root, first in graph.items():
        stack = [(root, iter(first))] if root not in seen else []
        seen.add(root)
        while stack:
            street, following = stack[-1]
            ahead = next((each for each in following if each not in seen), None)
            if ahead is None:
                finished.append(street)
                stack.pop()
            else:
                seen.add(ahead)
                stack.append((ahead, iter(graph[ahead])))
    backwards: dict[Street, list[Street]] = {street: [] for street in graph}
    for street, following_all in graph.items():
        for ahead in following_all:
            backwards[ahead].append(street)
    number: dict[Street, int] = {}
    for count, root in enumerate(reversed(finished)):
        waiting = [root]
        while waiting:
            street = waiting.pop()
            if street not in number:
                number[street] = count
                waiting += [each for each in backwards[street] if each not in number]
    return number


def shared_unseen(held: Mark) -> bool:
    """Whether both go on for ever, more than a grace apart, and nobody is told."""
    return bool(
        (held & Mark.OWNER_LATE and held & Mark.THIEF)
        or (held & Mark.THIEF_LATE and held & Mark.OWNER)
    )


def starves_the_owner(held: Mark) -> bool:
    """Whether the thief goes on for ever and the owner is turned away for ever."""
    return Mark.OWNER_TURNED_AWAY | Mark.THIEF | Mark.TIME in held


class Night(NamedTuple):
    """The owner is away; a thief rotates, as fast as he likes.

    Attributes:
        row: The server's.
        jar: The owner's token.
        since: Steps since the thief's first rotation; None: he has not rotated yet.
        kept: How long after it the last one was.
    """

    row: Row = Row()
    jar: int = 0
    since: int | None = None
    kept: int = 0


FORGIVEN = 6 * GRACE_STEPS  # within this a thief may be displaced without a word


def answered_in_the_morning(under_test: Rules) -> tuple[int, set[Verdict]]:
    """What the owner may be told after each night that was too long; and the longest forgiven."""
    rows = Rows(under_test)
    seen, waiting = {Night()}, [Night()]
    forgiven, told = 0, set[Verdict]()
    for night in waiting:
        verdict = rows.present(night.row, night.jar).verdict
        if night.kept > FORGIVEN:
            told.add(verdict)
        if verdict is Verdict.RECOVER:
            forgiven = max(forgiven, night.kept)
        since = None if night.since is None else min(night.since + 1, FORGIVEN + 1)
        outcome = rows.present(night.row, 0)
        rotated = Night(outcome.row, night.jar + 1, night.since or 0, night.since or 0)
        for after in (night._replace(row=night.row.later(), since=since), rotated):
            names = renumbered([*after.row.generations(), after.jar])
            tidy = after._replace(row=after.row.renamed(names), jar=names[after.jar])
            if tidy not in seen:
                seen.add(tidy)
                waiting.append(tidy)
    return forgiven, told


# --- Mistakes, planted: the walk must find each ------------------------------------------------


class HastyPolicy(Policy):
    """Takes what is one grace old for settled."""

    def has_settled(self, since: datetime, at: datetime) -> bool:
        """Half of what the disk and a late answer need together."""
        return at - since > self.grace


def spent_is_theft(
    family: Family | None, presented: Presented, policy: Policy, arrived: datetime
) -> Ruling:
    ruling = rules.judge(family, presented, policy, arrived)
    return ruling if ruling.verdict is Verdict.ROTATE else REUSED


def grace_only(
    family: Family | None, presented: Presented, policy: Policy, arrived: datetime
) -> Ruling:
    ruling = rules.judge(family, presented, policy, arrived)
    return REUSED if ruling.verdict is Verdict.RECOVER else ruling


def parent_always_accepted(
    family: Family | None, presented: Presented, policy: Policy, arrived: datetime
) -> Ruling:
    ruling = grace_only(family, presented, policy, arrived)
    return Ruling(Verdict.REPEAT) if family and presented.opens(family) else ruling


def rights_marked_as_theft(
    family: Family | None, presented: Presented, policy: Policy, arrived: datetime
) -> Ruling:
    ruling = rules.judge(family, presented, policy, arrived)
    return REUSED if ruling.ends is Ending.RIGHTS_CHANGED else ruling


def rotate_settling_early(
    family: Family, successor: bytes, nonce: bytes, policy: Policy, now: datetime
) -> Family:
    return rules.rotate(family, successor, nonce, HastyPolicy(), now)


def rotate_raising_nothing(
    family: Family, successor: bytes, nonce: bytes, policy: Policy, now: datetime
) -> Family:
    return replace(
        rules.rotate(family, successor, nonce, policy, now),
        recoverable_from=family.recoverable_from,
    )


def rotate_raising_too_far(
    family: Family, successor: bytes, nonce: bytes, policy: Policy, now: datetime
) -> Family:
    return replace(
        rules.rotate(family, successor, nonce, policy, now), recoverable_from=family.generation
    )


def recover_withdrawing_nothing(
    family: Family,
    presented: Presented,
    successor: bytes,
    nonce: bytes,
    policy: Policy,
    now: datetime,
) -> Family:
    return replace(
        rules.recover(family, presented, successor, nonce, policy, now),
        recoverable_from=family.recoverable_from,
    )


def recover_widening_the_window(
    family: Family,
    presented: Presented,
    successor: bytes,
    nonce: bytes,
    policy: Policy,
    now: datetime,
) -> Family:
    return replace(
        rules.recover(family, presented, successor, nonce, policy, now),
        window_generation=presented.generation,
    )


def change_leaving_nobody_behind(
    family: Family, successor: bytes, policy: Policy, now: datetime
) -> Family:
    return replace(
        rules.change_rights(family, successor, policy, now),
        recoverable_from=family.recoverable_from,
        rights_changed=False,
    )


def the_one_before(row: Row) -> int | None:
    """Tell what opens the row by its number."""
    return None if row.opener is None else 1


REUSED = Ruling(Verdict.REUSED, ends=Ending.REFRESH_TOKEN_REUSED)


# --- What is promised --------------------------------------------------------------------------


def test_an_owner_without_a_thief_never_meets_an_alarm() -> None:
    alarm, walked = first_alarm(Rules(), Limits())

    assert alarm == []
    assert walked > 5_000


@pytest.mark.parametrize("planted", [
    pytest.param(Rules(judge=spent_is_theft),             id="every spent token is theft"),
    pytest.param(Rules(judge=grace_only),                 id="a grace and nothing else"),
    pytest.param(Rules(judge=parent_always_accepted),     id="the parent is always accepted"),
    pytest.param(Rules(judge=rights_marked_as_theft),     id="a lost rights change is theft"),
    pytest.param(Rules(rotate=rotate_settling_early),     id="a rotation settles after one grace"),
    pytest.param(Rules(steps_to_settle=GRACE_STEPS),      id="a note settles after one grace"),
    pytest.param(Rules(rotate=rotate_raising_too_far),    id="a rotation settles at once"),
    pytest.param(Rules(opened_by=the_one_before),         id="what opens is told by its number"),
])  # fmt: skip
def test_a_mistake_that_punishes_the_owner_is_found(planted: Rules) -> None:
    alarm, _ = first_alarm(planted, Limits())

    assert alarm


@pytest.mark.parametrize("beyond", [
    pytest.param(Limits(answer=GRACE_STEPS + 1),    id="an answer later than a grace"),
    pytest.param(Limits(orphan=1),                  id="a refresh that outlives its browser"),
    pytest.param(Limits(hasty_after_recovery=True), id="a recovery, spent before the disk has it"),
    pytest.param(Limits(hasty_after_rights=True),   id="a rights change, spent likewise"),
])  # fmt: skip
def test_each_limit_is_one(beyond: Limits) -> None:
    alarm, _ = first_alarm(Rules(), beyond)

    assert "the browser dies" in alarm


def test_nobody_shares_a_session_unseen_for_ever() -> None:
    graph = walk_the_street(Rules())

    never_following = list(
        endless_histories(graph, without=Mark.OWNER_FOLLOWS | Mark.THIEF_FOLLOWS)
    )
    following = list(endless_histories(graph))
    turned_away = list(endless_histories(graph, without=Mark.OWNER))

    assert len(graph) > 5_000
    assert not any(shared_unseen(held) for held in never_following)
    assert any(shared_unseen(held) for held in following)  # what remains; docs/security.md says so
    assert not any(starves_the_owner(held) for held in turned_away)


@pytest.mark.parametrize("planted", [
    pytest.param(Rules(recover=recover_withdrawing_nothing), id="a recovery withdraws nothing"),
    pytest.param(Rules(judge=parent_always_accepted),        id="the parent is always accepted"),
    pytest.param(Rules(change_rights=change_leaving_nobody_behind), id="no rights are left behind"),
])  # fmt: skip
def test_a_mistake_that_lets_a_thief_stay_is_found(planted: Rules) -> None:
    graph = walk_the_street(planted)

    never_following = endless_histories(graph, without=Mark.OWNER_FOLLOWS | Mark.THIEF_FOLLOWS)

    assert any(shared_unseen(held) for held in never_following)


def test_a_mistake_that_turns_the_owner_away_for_ever_is_found() -> None:
    graph = walk_the_street(Rules(recover=recover_widening_the_window))

    turned_away = endless_histories(graph, without=Mark.OWNER)

    assert any(starves_the_owner(held) for held in turned_away)


def test_a_thief_who_walked_on_for_more_than_six_graces_is_found() -> None:
    forgiven, told = answered_in_the_morning(Rules())

    assert told == {Verdict.REUSED}
    assert forgiven == FORGIVEN  # and it is one that can be reached


def test_a_window_that_is_never_raised_is_found() -> None:
    _, told = answered_in_the_morning(Rules(rotate=rotate_raising_nothing))

    assert Verdict.RECOVER in told

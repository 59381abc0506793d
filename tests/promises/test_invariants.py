"""I1 to I12 on real databases: whatever users, thieves, crashes and lost answers do.

Hypothesis plays histories against the real service, several requests at once and by two processes;
an independent reading of the rules (tests/support/rulebook.py) plays every order that they could
have had. After each step the answers, the row, the events and the feed must be those of one order.

HYPOTHESIS_PROFILE=fuzz plays twenty times as many.
"""

import asyncio
import os
from collections.abc import Coroutine, Iterator
from datetime import timedelta
from functools import partial
from itertools import permutations
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from batonpass.auth_service import AuthService, TokenAnswer
from batonpass.errors import BatonpassError
from batonpass.events import EventName
from batonpass.refresh_tokens import Transport
from tests.support.clocks import Clock
from tests.support.families import GRACE, IDLE, POLICY
from tests.support.rulebook import FIRST, Book, Page
from tests.support.services import House, close, open_house
from tests.support.thieves import AT_HOME, ELSEWHERE

FUZZ = os.environ.get("HYPOTHESIS_PROFILE") == "fuzz"
SETTINGS = settings(
    max_examples=400 if FUZZ else 20,
    stateful_step_count=40 if FUZZ else 20,
    deadline=None,
    derandomize=not FUZZ,  # the same histories in every run; the profile "fuzz" looks for more
    phases=set(Phase)
    if FUZZ
    else {Phase.explicit, Phase.reuse, Phase.generate},  # shrinks for minutes
    suppress_health_check=list(HealthCheck),
)


class Deed(NamedTuple):
    """One thing that somebody asks for: "present" a token by its number, "rights", "log out"."""

    kind: str
    number: int
    process: int


class Done(NamedTuple):
    """What came of it: the outcome's name, and the number of the token that was answered."""

    outcome: str
    number: int | None = None


class Version(NamedTuple):
    """One account of what happened so far: the family, and its tokens as the test numbers them."""

    book: Book
    pages: list[Page]


deeds = st.builds(
    Deed,
    st.sampled_from(["present"] * 12 + ["rights", "log out"]),
    st.integers(0, 30),
    st.integers(0, 1),
)
# The newest tokens are what users and thieves mostly have: count from the end.
batches = st.lists(deeds, min_size=1, max_size=4)


class Sessions(RuleBasedStateMachine):
    """One login, and all that may become of it."""

    def __init__(self, house: House, runner: asyncio.Runner) -> None:
        """Log in, a second after whatever was before."""
        super().__init__()
        self.house = house
        self.runner = runner
        assert isinstance(house.clock, Clock)
        self.clock = house.clock
        self.clock.advance(timedelta(seconds=1))
        self.opened: list[AuthService] = []
        self.processes = [house.service, self._another_process()]
        self.noted: list[int | None] = [None, None]
        self.began = self.clock.now()
        login = self.run(self.processes[0].create_refresh_token(house.user_id, AT_HOME))
        self.family_id = login.session.family_id
        self.expires_at = login.session.expires_at
        self.tokens = [login.refresh_token]
        self.access_tokens = [login]
        self.seen_at = [self.clock.now()]
        book = Book(POLICY.grace.total_seconds(), rotated_at=0.0)
        self.versions = [Version(book, [FIRST])]

    def run(self, asked: Coroutine[Any, Any, Any]) -> Any:  # what the coroutine returns
        """Run something on the loop of this test."""
        return self.runner.run(asked)

    @property
    def at(self) -> float:
        """Seconds since the login."""
        return (self.clock.now() - self.began).total_seconds()

    # --- what may happen ---

    @rule(batch=batches)
    def several_at_once(self, batch: list[Deed]) -> None:
        """Tabs, thieves, and processes that know nothing of each other."""
        batch = [deed._replace(number=self._number(deed.number)) for deed in batch]
        told = self.run(self._all(batch))
        done = [self._done(one) for one in told]
        self.versions = [
            after
            for version in self.versions
            for order in permutations(range(len(batch)))
            if (after := self._play(version, batch, done, order)) is not None
        ]
        assert self.versions, f"no order of {batch} gives {done}"

    @rule(number=st.integers(0, 30), process=st.integers(0, 1))
    def somebody_goes_away_before_the_answer(self, number: int, process: int) -> None:
        """The request is cancelled while it is under way: it took place, or it did not."""
        number = self._number(number)
        self.run(self._ask_and_go(process, number))
        for version in list(self.versions):
            book = version.book.copy()
            book.present(version.pages[number], self.at)
            self.versions.append(Version(book, version.pages))

    @rule(seconds=st.sampled_from([1, 15, 30, 31, 60, 61, 100, 3600]))
    def time_passes(self, seconds: int) -> None:
        """At the bounds of grace, beside them, and far beyond."""
        if self.clock.now() + timedelta(seconds=seconds) - self.began < IDLE:
            self.clock.advance(timedelta(seconds=seconds))

    @rule(number=st.integers(0, 30), process=st.integers(0, 1))
    def an_access_token_is_used(self, number: int, process: int) -> None:
        """It is good until its session ends (I11); old enough, it is noted."""
        place = len(self.access_tokens) - 1 - number % len(self.access_tokens)
        answer, issued = self.access_tokens[place], self.seen_at[place]
        if self.clock.now() >= issued + POLICY.access_token_lifetime:
            return
        self.run(self.processes[process].revocations.poll())
        told = self.run(_caught(self.processes[process].check_access_token(answer.access_token)))

        ended = self.versions[0].book.ended is not None
        assert isinstance(told, BatonpassError) is ended
        if not ended and self.clock.now() - issued > 2 * GRACE:
            generation = answer.session.generation
            self.noted[process] = max(generation, self.noted[process] or 0)

    @rule(process=st.integers(0, 1))
    def notes_are_written(self, process: int) -> None:
        """Perhaps much later, when the generation is another one."""
        self.run(self.processes[process].settling.write())
        generation, self.noted[process] = self.noted[process], None
        if generation is not None:
            for version in self.versions:
                version.book.settle(generation)

    @rule(process=st.integers(0, 1))
    def a_process_crashes(self, process: int) -> None:
        """Its memory is gone, with what it had noted; a new one starts."""
        self.processes[process] = self._another_process()
        self.noted[process] = None

    @rule(number=st.integers(0, 30), place=st.integers(4, 90), process=st.integers(0, 1))
    def somebody_forges(self, number: int, place: int, process: int) -> None:
        """A token that is not ours changes nothing (I6)."""
        text = self.tokens[self._number(number)]
        forged = text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]

        told = self.run(
            _caught(self.processes[process].rotate_refresh_token(forged, Transport.COOKIE, AT_HOME))
        )

        assert isinstance(told, BatonpassError)
        assert told.code == "refresh_invalid"

    # --- what must hold after each step ---

    @invariant()
    def the_database_tells_one_of_the_versions(self) -> None:
        """Row, feed and events; from here on only what agrees with them is believed."""
        row = self.run(self.house.row(self.family_id)).family
        matching = [version for version in self.versions if self._agrees(row, version.book)]
        assert matching, f"{row} is none of {self.versions}"
        distinct = {str(version): version for version in matching}
        self.versions = list(distinct.values())
        assert row.expires_at == self.expires_at  # I10
        # In here, not beside it: Hypothesis orders invariants by their names.
        self._tell_an_alarm_once_and_an_end_once()

    def _tell_an_alarm_once_and_an_end_once(self) -> None:
        """I5: the end is committed, although the request that caused it failed."""
        events, feed = self.run(self._events_and_feed())
        book = self.versions[0].book
        assert events.count(EventName.REFRESH_TOKEN_REUSED) == book.alarms
        assert feed.count(self.family_id) == (book.ended is not None)

    def teardown(self) -> None:
        """The current token goes on, or the family has ended: there is no third (I7)."""
        self.several_at_once([Deed("present", number, 0) for number in range(2)])
        for process in self.opened:
            self.house.forget(process)
            self.run(close(process))

    # --- how ---

    def _another_process(self) -> AuthService:
        service = self.house.another_process()
        self.opened.append(service)
        return service

    def _number(self, drawn: int) -> int:
        return len(self.tokens) - 1 - drawn % len(self.tokens)

    async def _all(self, batch: list[Deed]) -> list[object]:
        return await asyncio.gather(*[_caught(self._ask(deed)) for deed in batch])

    def _ask(self, deed: Deed) -> Coroutine[Any, Any, object]:
        service: AuthService = self.processes[deed.process]
        visit = (AT_HOME, ELSEWHERE)[deed.process]
        match deed.kind:
            case "present":
                text = self.tokens[deed.number]
                return service.rotate_refresh_token(text, Transport.COOKIE, visit)
            case "rights":
                return service.change_rights(self.family_id, visit)
            case _:
                text = self.tokens[deed.number]
                return service.revoke_refresh_token(text, Transport.COOKIE, visit)

    async def _ask_and_go(self, process: int, number: int) -> None:
        call = asyncio.ensure_future(_caught(self._ask(Deed("present", number, process))))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait({call})
        await self.processes[process]._group_commit.drain()

    def _done(self, told: object) -> Done:
        if isinstance(told, BatonpassError):
            return Done(told.code)
        if not isinstance(told, TokenAnswer):
            return Done("logged out")
        if told.refresh_token not in self.tokens:
            self.tokens.append(told.refresh_token)
        self.access_tokens.append(told)
        self.seen_at.append(self.clock.now())
        return Done("answered", self.tokens.index(told.refresh_token))

    def _play(
        self, version: Version, batch: list[Deed], done: list[Done], order: tuple[int, ...]
    ) -> Version | None:
        """Play the deeds one at a time; None where that gives other answers."""
        book, pages = version.book.copy(), list(version.pages)
        answered: dict[int, Page] = {}
        for place in order:
            outcome, page = _play_one(book, batch[place], pages, self.at)
            if outcome != done[place].outcome:
                return None
            if page is not None:
                answered[place] = page
        for place, one in enumerate(done):
            if one.number is None:
                continue
            if one.number == len(pages) and answered[place] not in pages:
                pages.append(answered[place])
            elif one.number >= len(pages) or pages[one.number] != answered[place]:
                return None  # another token than every other answer to it (I3)
        return Version(book, pages)

    def _agrees(self, row: Any, book: Book) -> bool:  # a Family
        ended = None if row.ended_reason is None else row.ended_reason.value
        return (
            row.generation == book.current.generation
            and row.recoverable_from == book.recoverable_from
            and row.rights_changed == book.rights_changed
            and row.window_generation == book.window_generation
            and (row.nonce is None) == (book.opener is None)
            and (row.rotated_at - self.began).total_seconds() == book.rotated_at
            and ended == book.ended
        )

    async def _events_and_feed(self) -> tuple[list[EventName], list[object]]:
        events = await self.house.database.read(
            lambda connection: self.house.store.events_in(connection, self.family_id)
        )
        feed = [family_id for family_id, _ in await self.house.feed()]
        return [event.name for event in events], list(feed)


def _play_one(book: Book, deed: Deed, pages: list[Page], at: float) -> tuple[str, Page | None]:
    match deed.kind:
        case "present":
            told = book.present(pages[deed.number], at)
            return ("answered" if told.page else f"refresh_{told.verdict}"), told.page
        case "rights":
            if book.ended is not None:
                return "session_revoked", None
            return "answered", book.change_rights(at)
        case _:
            book.ended = book.ended or "logout"
            return "logged out", None


async def _caught(asked: Coroutine[Any, Any, object]) -> object:
    try:
        return await asked
    except BatonpassError as error:
        return error


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    """Give an event loop that a synchronous test drives."""
    with asyncio.Runner() as runner:
        yield runner


def test_the_invariants_hold_whatever_happens(database_url: str, runner: asyncio.Runner) -> None:
    house = runner.run(open_house(database_url))
    try:
        run_state_machine_as_test(partial(Sessions, house, runner), settings=SETTINGS)  # type: ignore[arg-type]  # what makes one will do
    finally:
        runner.run(house.close())

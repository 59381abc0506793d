"""One user, three tabs and two weeks: what each rule for spent tokens does to honest people.

Not a model of anybody's users, but one and the same world for each rule. It is made of:

- Three tabs, eight hours a day, all 14 days. Each tab reloads every 30 minutes on average (an
  exponential gap); after one reload in four, one of the tabs reloads again 1–15 s later. Every
  reload refreshes: a page keeps its access token in memory.
- No lock between the tabs: each presents what the one cookie jar holds at that moment. A reload
  takes 0.1 s. An answer that comes late puts the jar back to what it brings.
- Faults, each with the probability asked for: the answer is lost (its page tries again, two
  minutes later on average), or it is stalled for 3–25 s (whoever sits there reloads the page
  after 4–12 s; the late answer's cookie is stored all the same).
- The jar reaches the disk every 30 s. The browser crashes every 75 days on average, half of the
  time within 15 s after a reload (that is what makes browsers crash); it comes back 1–5 minutes
  later with the jar that was on the disk, and one of its tabs reloads.
- A tab that got no token, though nobody told it that the session is over, tries again at once with
  the cookie that there is then, and after that ever more rarely, at least once a minute.
- A page that lives uses its access token as soon as that settles a generation, and the server
  notes it at once. Before that, a page that looks finds whether the readable session cookie is
  older than what it was answered (a late answer put the jar back), and refreshes: only our server
  sets that cookie, and only our client looks. Whether its request waits for that refresh is a
  choice (`Looks`).

Everybody is logged out who was told that the session is over. The thief copies the jar once, in the
first week, and refreshes from then on with what he is answered, every 5–25 minutes, day and night;
he is found when the session ends. There are no faults and no crashes then: nothing else ends it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum, auto
from functools import cache, partial
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import NamedTuple

from tests.simulation.rules import GRACE, Server

SECOND, MINUTE, HOUR, DAY = 1.0, 60.0, 3600.0, 86400.0
DAYS = 14
TABS = 3
AT_WORK = (9 * HOUR, 17 * HOUR)
RELOAD_EVERY = 30 * MINUTE  # each tab
AGAIN = 0.25  # of the reloads are followed by another one …
AGAIN_WITHIN = (1 * SECOND, 15 * SECOND)
ANSWERED_AFTER = 0.1 * SECOND
STALLED_FOR = (3 * SECOND, 25 * SECOND)
PATIENCE = (4 * SECOND, 12 * SECOND)  # with a page that hangs; then it is reloaded
RETRIED_AFTER = 2 * MINUTE  # on average
DISK_EVERY = 30 * SECOND  # Chromium's SQLitePersistentCookieStore
CRASH_EVERY = 75 * DAY
CRASHES_SOON = (0 * SECOND, 15 * SECOND)  # after a reload: that is what makes browsers crash
CRASHES_LATER = (0 * SECOND, RELOAD_EVERY)
BACK_AFTER = (1 * MINUTE, 5 * MINUTE)
TRY_AGAIN = (2 * SECOND, 5 * SECOND, 10 * SECOND, 20 * SECOND, 60 * SECOND)
THIEF_EVERY = (5 * MINUTE, 25 * MINUTE)
ON_THE_WAY = 0.05 * SECOND  # a refresh, to the server
NOTED_WITHIN = 1 * SECOND  # `Batonpass.beat`: how long a process keeps what it saw to itself


class Looks(StrEnum):
    """What a page does before it uses its access token, and the jar holds an older cookie."""

    FIRST = auto()  # it refreshes, and the request waits for that
    BESIDE = auto()  # it refreshes, and the request goes out at the same time
    NEVER = auto()  # it does not see that


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How often an answer is lost, and how often it is stalled."""

    lost: float
    stalled: float


NO_FAULTS = Faults(lost=0, stalled=0)


class Page(NamedTuple):
    """One reload of a tab, in one life of the browser."""

    tab: int
    number: int
    life: int


class Planned(NamedTuple):
    """What will happen whatever a server answers: a tab is reloaded, or (no tab) all crashes."""

    time: float
    tab: int | None


class Browser:
    """A cookie jar in memory, what of it the disk has, and three tabs."""

    def __init__(self, server: Server, faults: Faults, random: Random, looks: Looks) -> None:
        """Open it, logged in.

        Args:
            server: What answers.
            faults: What happens to answers.
            random: Where chance comes from.
            looks: What its pages do where a late answer put the jar back.
        """
        self.server, self.faults, self.random, self.looks = server, faults, random, looks
        self.jar = 0
        self.written: list[tuple[float, int]] = [(float("-inf"), 0)]
        self.disk_phase = random.uniform(0, DISK_EVERY)
        self.pages = [0] * TABS  # a count that each reload raises: late events find out
        self.life = 0  # raised by each crash
        self.events: list[tuple[float, int, Callable[[float], None]]] = []
        self.order = count()
        self.now = 0.0
        self.at(DAYS * DAY, lambda _: None)

    def at(self, time: float, event: Callable[[float], None]) -> None:
        """Let something happen later."""
        heappush(self.events, (time, next(self.order), event))

    def follow(self, planned: tuple[Planned, ...]) -> None:
        """Let happen what is planned."""
        for time, tab in planned:
            self.at(time, self.crash if tab is None else partial(self.reload, tab))

    def live(self) -> None:
        """Let two weeks go by, or less if the session ends."""
        while self.now < DAYS * DAY and not self.server.ended:
            self.now, _, event = heappop(self.events)
            event(self.now)

    def reload(self, tab: int, now: float, tries: int = 0) -> None:
        """A tab starts anew and refreshes with what the jar holds."""
        self.pages[tab] += 1
        page = Page(tab, self.pages[tab], self.life)
        token = self.server.present(self.jar, now)
        if token is None:
            wait = TRY_AGAIN[min(tries, len(TRY_AGAIN) - 1)]
            self.at(now + wait, lambda then: self.retry(page, then, tries + 1))
            return
        chance = self.random.random()
        if chance < self.faults.lost:
            wait = self.random.expovariate(1 / RETRIED_AFTER)
            self.at(now + wait, lambda then: self.retry(page, then))
            return
        wait = ANSWERED_AFTER
        if chance < self.faults.lost + self.faults.stalled:
            wait = self.random.uniform(*STALLED_FOR)
            patience = self.random.uniform(*PATIENCE)
            if patience < wait:
                self.at(now + patience, lambda then: self.retry(page, then))
        self.at(now + wait, lambda then: self.take(token, page, now, then))

    def is_alive(self, page: Page) -> bool:
        """Whether it has been neither reloaded nor lost in a crash."""
        return page.number == self.pages[page.tab] and page.life == self.life

    def retry(self, page: Page, now: float, tries: int = 0) -> None:
        """Try again, unless the page is gone."""
        if self.is_alive(page):
            self.reload(page.tab, now, tries)

    def take(self, token: int, page: Page, issued_at: float, now: float) -> None:
        """An answer arrives: its cookie is stored, whether its page still lives or not."""
        if page.life != self.life:
            return
        self.jar = token
        self.written.append((now, token))
        if self.is_alive(page):
            self.at(
                issued_at + 2 * GRACE + SECOND,
                lambda then: self.use_access_token(token, page, issued_at, then),
            )

    def use_access_token(self, token: int, page: Page, issued_at: float, now: float) -> None:
        """The page still lives and uses the access token that it was answered."""
        if not self.is_alive(page):
            return
        if self.looks is Looks.NEVER or self.jar >= token:
            self.server.see(token, issued_at, now)
        elif self.looks is Looks.FIRST:
            self.reload(page.tab, now)
        else:
            noted_at = now + self.random.uniform(0, NOTED_WITHIN)
            self.at(noted_at, lambda then: self.server.see(token, issued_at, then))
            self.at(now + ON_THE_WAY, lambda then: self.retry(page, then))

    def crash(self, now: float) -> None:
        """Everything in memory is gone; the jar is what the disk had."""
        self.life += 1
        on_disk_at = now - (now - self.disk_phase) % DISK_EVERY
        self.jar = next(token for at, token in reversed(self.written) if at <= on_disk_at)
        self.written = [(float("-inf"), self.jar)]
        self.at(now + self.random.uniform(*BACK_AFTER), lambda then: self.reload(0, then))


@cache
def plan(user: int, *, crashes: bool = True) -> tuple[Planned, ...]:
    """Draw two weeks of a user's work, and the crashes: the same for each rule."""
    random = seeded("plan", user)
    planned: list[Planned] = []
    reloads: list[float] = []
    for start, tab in ((day * DAY, tab) for day in range(DAYS) for tab in range(TABS)):
        time = start + AT_WORK[0] + random.expovariate(1 / RELOAD_EVERY)
        while time < start + AT_WORK[1]:
            planned.append(Planned(time, tab))
            reloads.append(time)
            again = time
            while random.random() < AGAIN:
                again += random.uniform(*AGAIN_WITHIN)
                planned.append(Planned(again, random.randrange(TABS)))
            time += random.expovariate(1 / RELOAD_EVERY)
    crash = random.expovariate(1 / CRASH_EVERY)
    while crashes and crash < DAYS * DAY:
        soon_after = random.uniform(*(CRASHES_SOON if random.random() < 0.5 else CRASHES_LATER))
        planned.append(Planned(random.choice(reloads) + soon_after, None))
        crash += random.expovariate(1 / CRASH_EVERY)
    return tuple(planned)


class Thief:
    """Copies the jar once, and goes on from there."""

    def __init__(self, browser: Browser, random: Random) -> None:
        """Wait for an hour in which to come."""
        self.browser, self.random = browser, random
        self.token = 0
        self.since: float | None = None
        day = random.randrange(DAYS // 2)
        browser.at(day * DAY + random.uniform(*AT_WORK), self.steal)

    def steal(self, now: float) -> None:
        """Copy the jar."""
        self.since = now
        self.token = self.browser.jar
        self.browser.at(now + self.random.uniform(*THIEF_EVERY), self.refresh)

    def refresh(self, now: float) -> None:
        """Go on with what there is."""
        token = self.browser.server.present(self.token, now)
        self.token = self.token if token is None else token
        self.browser.at(now + self.random.uniform(*THIEF_EVERY), self.refresh)


def logged_out(
    login: type[Server], faults: Faults, users: int, looks: Looks = Looks.FIRST
) -> float:
    """Return the share of honest users whose session ended within two weeks."""
    ended = 0
    for user in range(users):
        server = login()
        browser = Browser(server, faults, seeded("chance", user), looks)
        browser.follow(plan(user))
        browser.live()
        ended += server.ended
    return ended / users


def seeded(what: str, user: int) -> Random:
    """Return this user's source of chance for one purpose: the same in each run, for each rule."""
    return Random(f"{what} {user}")  # noqa: S311 - a simulation, to be repeated exactly


class Hunt(NamedTuple):
    """How many thieves came while the session lived, and after how many seconds each was found."""

    came: int
    found_after: list[float]


def hunt(login: type[Server], thieves: int) -> Hunt:
    """Let one thief come to each of so many users."""
    came, found_after = 0, list[float]()
    for user in range(thieves):
        server = login()
        browser = Browser(server, NO_FAULTS, seeded("chance", user), Looks.FIRST)
        browser.follow(plan(user, crashes=False))
        thief = Thief(browser, seeded("thief", user))
        browser.live()
        came += thief.since is not None
        if server.ended and thief.since is not None:
            found_after.append(browser.now - thief.since)
    return Hunt(came, found_after)

"""What users do with their sessions, on both databases: each story from login to answer."""

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import Connection, create_engine, select, update

from batonpass import ids
from batonpass.access_tokens import LEEWAY
from batonpass.auth_service import AuthService
from batonpass.errors import InvalidCredentialsError, NotFoundError
from batonpass.events import EventName, SecurityEvent
from batonpass.family import Ending
from batonpass.keys import Keys
from batonpass.logins import Guard
from batonpass.policy import SESSIONS_PER_USER, Policy
from batonpass.refresh_tokens import RefreshToken, Transport, decode, encode
from batonpass.visits import Visit
from tests.support.clocks import Clock
from tests.support.families import GRACE, IDLE, POLICY, STRICT, TICK
from tests.support.services import SECRETS, House, a_house
from tests.support.thieves import AT_HOME, ELSEWHERE, Tab, Thief, a_tab, what_becomes_of

LATER = 3 * GRACE  # long enough for a rotation, or an access token seen then, to settle
DAY = timedelta(hours=24)
HOUR = timedelta(hours=1)
MILLISECOND = timedelta(milliseconds=1)  # what an id tells apart
REUSED_AND_TOLD = [EventName.SESSION_CREATED, EventName.REFRESH_TOKEN_REUSED]


@pytest.fixture
async def house(database_url: str) -> AsyncIterator[House]:
    """Give the service on a database of its own."""
    async with a_house(database_url) as house:
        yield house


def clock_of(house: House) -> Clock:
    assert isinstance(house.clock, Clock)
    return house.clock


def pass_time(house: House, by: timedelta) -> None:
    clock_of(house).advance(by)


# --- The rows of the rule table ----------------------------------------------------------------


async def test_s_rt_3_the_current_token_rotates(house: House) -> None:
    tab = await a_tab(house)

    answer = await tab.refresh()

    claims = await house.service.check_access_token(answer.access_token)
    assert (claims.family_id, claims.generation) == (tab.family_id, 1)
    assert (await house.row(tab.family_id)).family.generation == 1
    assert await what_becomes_of(tab.refresh()) == "answered"


async def test_a22_its_predecessor_gets_the_same_successor_until_grace_ends(house: House) -> None:
    tab = await a_tab(house)
    lost = await tab.refresh_but_lose_the_answer()
    before = await house.row(tab.family_id)

    pass_time(house, GRACE)
    again = await tab.refresh()

    assert again.refresh_token == lost.refresh_token
    assert await house.row(tab.family_id) == before


async def test_a22_a_tick_later_a_lost_answer_is_recovered(house: House) -> None:
    tab = await a_tab(house)
    lost = await tab.refresh_but_lose_the_answer()

    pass_time(house, GRACE + TICK)
    recovered = await tab.refresh()

    assert recovered.refresh_token != lost.refresh_token
    assert recovered.session.generation == 2
    assert await house.events() == [EventName.SESSION_CREATED, EventName.LOST_ANSWER_RECOVERED]


async def test_a22_it_is_recovered_eight_hours_later_and_the_withdrawn_one_is_theft(
    house: House,
) -> None:
    tab = await a_tab(house)
    thief = Thief(tab)
    thief.answer = await tab.refresh_but_lose_the_answer()  # it was the thief who got it

    pass_time(house, timedelta(hours=8))
    await tab.refresh()

    assert await what_becomes_of(thief.refresh()) == "refresh_superseded"
    pass_time(house, GRACE + TICK)
    assert await what_becomes_of(thief.refresh()) == "refresh_reused"
    assert await what_becomes_of(tab.refresh()) == "refresh_revoked (reused)"


async def test_a_slow_tab_two_behind_is_superseded_and_nothing_changes(house: House) -> None:
    tab = await a_tab(house)
    slow = Thief(tab)
    await tab.refresh()
    await tab.refresh()
    before = await house.row(tab.family_id)

    assert await what_becomes_of(slow.refresh()) == "refresh_superseded"
    assert await house.row(tab.family_id) == before


async def test_s_rt_4_one_older_than_what_has_settled_ends_the_session_at_once(
    house: House,
) -> None:
    tab = await a_tab(house)
    thief = Thief(tab)
    await tab.refresh()
    pass_time(house, LATER)
    await tab.refresh()
    pass_time(house, GRACE + TICK)

    assert await what_becomes_of(thief.refresh()) == "refresh_reused"

    assert await what_becomes_of(tab.refresh()) == "refresh_revoked (reused)"
    assert await what_becomes_of(house.service.check_access_token(tab.access_token)) == (
        "session_revoked (reused)"
    )
    assert await house.events() == REUSED_AND_TOLD
    assert await house.feed() == [(tab.family_id, Ending.REFRESH_TOKEN_REUSED)]
    row = await house.row(tab.family_id)
    assert (row.family.ended_at, row.family.ended_reason) == (
        house.clock.now(),
        Ending.REFRESH_TOKEN_REUSED,
    )


async def test_an_access_token_that_is_seen_later_settles_its_generation(house: House) -> None:
    tab = await a_tab(house)
    thief = Thief(tab)
    await tab.refresh()
    pass_time(house, LATER)
    await house.service.check_access_token(tab.access_token)
    await house.service.settling.write()

    assert await what_becomes_of(thief.refresh()) == "refresh_reused"
    assert await what_becomes_of(tab.refresh()) == "refresh_revoked (reused)"


async def test_s_rt_3_every_later_replay_is_revoked_and_tells_nothing_more(
    house: House,
) -> None:
    tab = await a_tab(house)
    thief = Thief(tab)
    await tab.refresh()
    pass_time(house, LATER)
    await tab.refresh()
    pass_time(house, GRACE + TICK)
    await what_becomes_of(thief.refresh())

    outcomes = {await what_becomes_of(thief.refresh()) for _ in range(5)}

    assert outcomes == {"refresh_revoked (reused)"}
    assert await house.events() == REUSED_AND_TOLD
    assert len(await house.feed()) == 1


async def test_s_rt_7_a_token_that_a_backup_undid_closes_the_family(
    house: House,
) -> None:
    tab = await a_tab(house)
    backup = await house.row(tab.family_id)
    await tab.refresh()
    await house.database.write(lambda connection: house.store.save(connection, [backup]))

    assert await what_becomes_of(tab.refresh()) == "refresh_revoked (forked)"
    assert await house.events() == [EventName.SESSION_CREATED, EventName.HISTORY_FORKED]


@pytest.mark.parametrize(
    ("policy", "at"),
    [
        pytest.param(POLICY, IDLE, id="idle"),
        pytest.param(Policy(idle_limit=timedelta(days=40)), POLICY.absolute_limit, id="absolute"),
    ],
)
async def test_past_a_limit_the_family_is_closed(
    database_url: str, policy: Policy, at: timedelta
) -> None:
    async with a_house(database_url, policy=policy) as house:
        tab, spared = await a_tab(house), await a_tab(house)

        pass_time(house, at - TICK)
        assert await what_becomes_of(spared.refresh()) == "answered"
        pass_time(house, TICK)
        assert await what_becomes_of(tab.refresh()) == "refresh_expired"

        assert (await house.row(tab.family_id)).family.ended_reason is Ending.EXPIRED
        assert (await house.events())[-1] is EventName.SESSION_EXPIRED


async def test_s_rt_6_daily_use_does_not_move_the_absolute_limit(house: House) -> None:
    tab = await a_tab(house)
    expires_at = tab.answer.session.expires_at
    for _ in range(29):
        pass_time(house, timedelta(days=1))
        await tab.refresh()

    pass_time(house, timedelta(days=1) - TICK)
    last = await tab.refresh()
    pass_time(house, TICK)

    assert (last.max_age, last.expires_in) == (0, 1)
    assert last.session.expires_at == expires_at
    assert await what_becomes_of(tab.refresh()) == "refresh_expired"


@pytest.mark.parametrize(
    ("ended_by", "code"),
    [
        pytest.param("logout", "refresh_revoked (logout)", id="revoked"),
        pytest.param("disabling", "refresh_revoked (user_disabled)", id="user disabled"),
        pytest.param("restore", "refresh_revoked (revoked)", id="not before"),
        pytest.param("idle", "refresh_expired", id="idle"),
        pytest.param("absolute", "refresh_expired", id="absolute"),
    ],
)
async def test_s_rt_5_a_repeat_inside_the_window_asks_about_every_end(
    database_url: str, ended_by: str, code: str
) -> None:
    limit = GRACE if ended_by in ("idle", "absolute") else IDLE
    policy = Policy(
        idle_limit=limit if ended_by == "idle" else IDLE,
        absolute_limit=limit if ended_by == "absolute" else POLICY.absolute_limit,
        grace=2 * GRACE,
    )
    async with a_house(database_url, policy=policy) as house:
        tab = await a_tab(house)
        answer = await tab.refresh_but_lose_the_answer()
        if ended_by == "logout":
            await house.service.revoke_refresh_token(
                answer.refresh_token, Transport.COOKIE, AT_HOME
            )
        elif ended_by == "disabling":
            await house.another_process().end_sessions(
                house.user_id, AT_HOME, reason=Ending.USER_DISABLED
            )
        pass_time(house, GRACE)
        if ended_by == "restore":
            await house.another_process().end_everything(AT_HOME)

        assert await what_becomes_of(tab.refresh()) == code


async def test_s_rt_4_grace_is_judged_by_arrival(house: House) -> None:
    tab = await a_tab(house)
    lost = await tab.refresh_but_lose_the_answer()
    arrived = clock_of(house).advance(GRACE)
    pass_time(house, LATER)  # in the queue, while the database failed over

    answer = await house.service.rotate_refresh_token(
        tab.refresh_token, Transport.COOKIE, AT_HOME, arrived
    )

    assert answer.refresh_token == lost.refresh_token


async def test_with_grace_zero_every_spent_token_is_theft(database_url: str) -> None:
    async with a_house(database_url, policy=STRICT) as house:
        tab = await a_tab(house)
        await tab.refresh_but_lose_the_answer()

        assert await what_becomes_of(tab.refresh()) == "refresh_reused"


@pytest.mark.parametrize("flipped_byte", [0, 1, 17, 21, 40, 60])
async def test_a_token_that_is_not_ours_changes_nothing(house: House, flipped_byte: int) -> None:
    tab = await a_tab(house)
    text = tab.refresh_token
    position = 4 + flipped_byte * 4 // 3
    forged = text[:position] + ("A" if text[position] != "A" else "B") + text[position + 1 :]
    before = await house.row(tab.family_id)

    assert await what_becomes_of(tab.send(forged)) == "refresh_invalid"
    assert await house.row(tab.family_id) == before
    assert await what_becomes_of(tab.refresh()) == "answered"


async def test_a_token_by_the_wrong_transport_changes_nothing(house: House) -> None:
    tab = await a_tab(house)

    wrong = house.service.rotate_refresh_token(tab.refresh_token, Transport.BODY, AT_HOME)

    assert await what_becomes_of(wrong) == "refresh_invalid"
    assert await what_becomes_of(tab.refresh()) == "answered"


async def test_a_token_of_a_family_that_was_purged_is_expired(house: House) -> None:
    tab = await a_tab(house)
    pass_time(house, POLICY.absolute_limit + timedelta(days=2))

    purged = await house.service.purge()

    assert purged["refresh_tokens"] == 1
    assert await what_becomes_of(tab.refresh()) == "refresh_expired"


async def test_a_secret_that_was_never_issued_yields_nothing(house: House) -> None:
    """With the MAC's key alone (A04, A41): the right generation and any secret."""
    tab = await a_tab(house)
    key = Keys.derive_from(SECRETS).refresh_mac[0]
    forged = encode(key, RefreshToken(Transport.COOKIE, tab.family_id, 0, bytes(32)))

    assert await what_becomes_of(tab.send(forged)) == "refresh_revoked (forked)"


# --- The same answer, elsewhere ----------------------------------------------------------------


async def test_a02_shadowing_is_told_once_an_hour_with_both_sides(house: House) -> None:
    tab = await a_tab(house)
    for _ in range(10):
        shadow = Thief(tab)
        await tab.refresh()
        pass_time(house, timedelta(seconds=5))
        assert (await shadow.refresh()).refresh_token == tab.refresh_token
        pass_time(house, timedelta(minutes=5))

    told = [one for one in house.told if one.name is EventName.ANSWERED_ELSEWHERE]

    assert len(told) == 1
    assert told[0].origin == ELSEWHERE.origin
    assert told[0].details["other_ip"] == AT_HOME.origin.ip
    assert told[0].details["other_device"] == AT_HOME.origin.device


async def test_it_is_told_again_when_the_hour_is_over(house: House) -> None:
    tab, told = await a_tab(house), []
    for wait in (timedelta(0), HOUR, MILLISECOND):
        pass_time(house, wait)
        shadow = Thief(tab)
        await tab.refresh()
        await shadow.refresh()
        told.append([one.name for one in house.told].count(EventName.ANSWERED_ELSEWHERE))

    assert told == [1, 1, 2]


async def test_it_is_told_of_each_session_once_however_many_come_at_once(house: House) -> None:
    tabs = [await a_tab(house) for _ in range(2)]

    for tab in tabs:
        shadows = [Thief(tab) for _ in range(4)]
        await tab.refresh()
        await asyncio.gather(*[shadow.refresh() for shadow in shadows])

    told = [one.family_id for one in house.told if one.name is EventName.ANSWERED_ELSEWHERE]
    assert told == [tab.family_id for tab in tabs]


async def test_a_repeat_from_the_same_place_is_not_told(house: House) -> None:
    tab = await a_tab(house)
    await tab.refresh_but_lose_the_answer()

    await tab.refresh()

    assert await house.events() == [EventName.SESSION_CREATED]


async def test_a02_the_session_list_shows_no_rotation_younger_than_grace(house: House) -> None:
    tab = await a_tab(house)
    began = house.clock.now()
    pass_time(house, LATER)
    await tab.refresh()
    rotated = house.clock.now()

    pass_time(house, GRACE)
    [young] = await house.service.list_sessions(house.user_id)
    shown_while_young = young.family.last_shown_at(POLICY, house.clock.now())
    pass_time(house, TICK)
    [old] = await house.service.list_sessions(house.user_id)

    assert shown_while_young == began
    assert old.family.last_shown_at(POLICY, house.clock.now()) == rotated


# --- Logging in --------------------------------------------------------------------------------


async def test_s_ses_1_a_login_replaces_the_family_whose_cookie_came_along(house: House) -> None:
    attackers = await a_tab(house, await house.add_user())
    held_by_attacker = Thief(attackers)

    victim = await house.service.create_refresh_token(
        house.user_id, AT_HOME, replaces=attackers.refresh_token
    )

    assert await what_becomes_of(held_by_attacker.refresh()) == "refresh_revoked (logout)"
    assert victim.session.user_id == house.user_id
    assert await what_becomes_of(Tab(house.service, victim).refresh()) == "answered"


@pytest.mark.parametrize("rubbish", ["", "bpr_", "x" * 5000, "bpr_" + "A" * 92, "bpr_é"])
async def test_a_cookie_that_is_not_ours_does_not_stop_a_login(house: House, rubbish: str) -> None:
    answer = await house.service.create_refresh_token(house.user_id, AT_HOME, replaces=rubbish)

    assert await what_becomes_of(Tab(house.service, answer).refresh()) == "answered"


async def test_a_login_of_nobody_is_refused(house: House) -> None:
    with pytest.raises(InvalidCredentialsError):
        await house.service.create_refresh_token(uuid4(), AT_HOME)

    assert await house.rows(house.tables.refresh_tokens) == []
    assert await house.events() == []


async def test_a_login_that_its_guard_refuses_leaves_no_trace(house: House) -> None:
    tab = await a_tab(house)

    with pytest.raises(InvalidCredentialsError):
        await house.service.create_refresh_token(
            house.user_id, AT_HOME, replaces=tab.refresh_token, guard=lambda _: False
        )

    assert await what_becomes_of(tab.refresh()) == "answered"
    assert len(await house.rows(house.tables.refresh_tokens)) == 1


async def test_s_ses_5_the_oldest_session_ends_when_there_are_too_many(database_url: str) -> None:
    async with a_house(database_url, policy=Policy(sessions_per_user=3)) as house:
        tabs = []
        for _ in range(5):
            tabs.append(await a_tab(house))
            pass_time(house, MILLISECOND)

        outcomes = [await what_becomes_of(tab.refresh()) for tab in tabs]

        assert outcomes == ["refresh_revoked (excess)"] * 2 + ["answered"] * 3
        assert (await house.events()).count(EventName.SESSIONS_EXCEEDED) == 2


async def test_s_ses_5_many_logins_at_once_leave_no_more_than_allowed(database_url: str) -> None:
    """By two processes; who is told that too many are waiting tries again.

    A third of the default's hundred, and of three hundred logins, which take a minute.
    """
    logins, allowed = 90, 30
    async with a_house(database_url, policy=Policy(sessions_per_user=allowed)) as house:
        services = [house.service, house.another_process()]

        async def log_in(service: AuthService) -> None:
            while await what_becomes_of(service.create_refresh_token(house.user_id, AT_HOME)) != (
                "answered"
            ):
                pass

        await asyncio.gather(*[log_in(services[number % 2]) for number in range(logins)])

        rows = await house.rows(house.tables.refresh_tokens)
        assert len(rows) >= logins
        assert sum(row["ended_at"] is None for row in rows) == allowed
        assert len(await house.feed()) == len(rows) - allowed
    assert SESSIONS_PER_USER == 100


# --- Logging out -------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["current", "spent", "long spent"])
async def test_s_ses_2_a_logout_with_any_token_of_the_family_is_no_alarm(
    house: House, which: str
) -> None:
    tab = await a_tab(house)
    tokens = {"long spent": tab.refresh_token}
    for name in ("spent", "current"):
        pass_time(house, LATER)
        await tab.refresh()
        tokens[name] = tab.refresh_token

    await house.service.log_out(
        AT_HOME, refresh_token=tokens[which], transport=Transport.COOKIE, bearer=None
    )

    assert await what_becomes_of(house.service.check_access_token(tab.access_token)) == (
        "session_revoked (logout)"
    )
    assert await what_becomes_of(tab.refresh()) == "refresh_revoked (logout)"
    assert await house.events() == [EventName.SESSION_CREATED, EventName.SESSION_LOGGED_OUT]


async def test_a_logout_with_an_expired_refresh_token_closes_the_family(house: House) -> None:
    tab = await a_tab(house)
    pass_time(house, IDLE)

    await house.service.revoke_refresh_token(tab.refresh_token, Transport.COOKIE, AT_HOME)

    assert await house.events() == [EventName.SESSION_CREATED, EventName.SESSION_EXPIRED]
    assert await house.feed() == [(tab.family_id, Ending.EXPIRED)]


@pytest.mark.parametrize(
    ("after_exp", "outcome"),
    [
        pytest.param(timedelta(0), "refresh_revoked (logout)", id="just expired"),
        pytest.param(DAY, "refresh_revoked (logout)", id="a day later"),
        pytest.param(DAY + LEEWAY, "answered", id="too late"),
    ],
)
async def test_s_ses_2_a_logout_with_an_access_token(
    house: House, after_exp: timedelta, outcome: str
) -> None:
    tab = await a_tab(house)
    pass_time(house, POLICY.access_token_lifetime + after_exp)

    await house.service.log_out(
        AT_HOME, refresh_token=None, transport=Transport.COOKIE, bearer=tab.access_token
    )

    assert await what_becomes_of(tab.refresh()) == outcome


@pytest.mark.parametrize("rubbish", ["", "not ours", "bpr_" + "A" * 92])
async def test_a_logout_with_rubbish_is_no_error(house: House, rubbish: str) -> None:
    tab = await a_tab(house)

    await house.service.log_out(
        AT_HOME, refresh_token=rubbish, transport=Transport.COOKIE, bearer=rubbish
    )

    assert await what_becomes_of(tab.refresh()) == "answered"


async def test_a_logout_by_the_wrong_transport_changes_nothing(house: House) -> None:
    tab = await a_tab(house)

    await house.service.revoke_refresh_token(tab.refresh_token, Transport.BODY, AT_HOME)

    assert await what_becomes_of(tab.refresh()) == "answered"


async def test_a_second_logout_tells_nothing_more(house: House) -> None:
    tab = await a_tab(house)

    for _ in range(2):
        await house.service.revoke_refresh_token(tab.refresh_token, Transport.COOKIE, AT_HOME)

    assert await house.events() == [EventName.SESSION_CREATED, EventName.SESSION_LOGGED_OUT]
    assert len(await house.feed()) == 1


# --- Rights change -----------------------------------------------------------------------------


async def test_s_ses_3_a_rights_change_leaves_a_thief_of_the_session_behind(
    house: House,
) -> None:
    """S-SES-3: he is superseded, and found once the new generation has rotated."""
    tab = await a_tab(house)
    await tab.refresh()
    thief = Thief(tab)

    tab.answer = await house.service.change_rights(tab.family_id, AT_HOME)

    assert await what_becomes_of(thief.refresh()) == "refresh_superseded"
    assert await what_becomes_of(tab.refresh()) == "answered"
    pass_time(house, GRACE + TICK)
    assert await what_becomes_of(thief.refresh()) == "refresh_reused"


async def test_s_ses_3_a_thief_left_behind_is_found_once_the_new_one_has_settled(
    house: House,
) -> None:
    tab = await a_tab(house)
    thief = Thief(tab)
    tab.answer = await house.service.change_rights(tab.family_id, AT_HOME)
    pass_time(house, LATER)
    await house.service.check_access_token(tab.access_token)
    await house.service.settling.write()

    assert await what_becomes_of(thief.refresh()) == "refresh_reused"


async def test_s_ses_3_a_lost_answer_to_a_rights_change_is_no_alarm(
    house: House,
) -> None:
    tab = await a_tab(house)
    await house.service.change_rights(tab.family_id, AT_HOME)  # its answer is lost
    pass_time(house, GRACE + TICK)

    assert await what_becomes_of(tab.refresh()) == "refresh_revoked (rights_changed)"
    assert await house.events() == [EventName.SESSION_CREATED, EventName.RIGHTS_CHANGE_LOST]


async def test_s_ses_3_a_password_change_ends_every_other_session(
    house: House,
) -> None:
    tab, phone, strangers = (
        await a_tab(house),
        await a_tab(house),
        await a_tab(house, await house.add_user()),
    )

    tab.answer = await house.service.change_rights(
        tab.family_id,
        AT_HOME,
        event=EventName.PASSWORD_CHANGED,
        ends_others=Ending.PASSWORD,
    )

    assert await what_becomes_of(phone.refresh()) == "refresh_revoked (password)"
    assert await what_becomes_of(strangers.refresh()) == "answered"
    assert await what_becomes_of(tab.refresh()) == "answered"
    assert tab.answer.session.auth_time == house.clock.now()
    assert {one.name for one in house.told[-2:]} == {
        EventName.PASSWORD_CHANGED,
        EventName.TOKEN_REVOKED,
    }


async def test_a_deed_that_fails_undoes_the_rights_change(house: House) -> None:
    tab, phone = await a_tab(house), await a_tab(house)

    def wrong_password(connection: Connection) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await house.service.change_rights(
            tab.family_id, AT_HOME, deed=wrong_password, ends_others=Ending.PASSWORD
        )

    assert await what_becomes_of(tab.refresh()) == "answered"
    assert await what_becomes_of(phone.refresh()) == "answered"


@pytest.mark.parametrize(
    ("ended_by", "code"),
    [
        ("logout", "session_revoked (logout)"),
        ("idle", "session_revoked (expired)"),
        ("unknown", "session_revoked (expired)"),
        ("everything", "session_revoked (revoked)"),
    ],
)
async def test_the_rights_of_a_session_that_is_over_cannot_be_changed(
    house: House, ended_by: str, code: str
) -> None:
    tab = await a_tab(house)
    family_id = tab.family_id
    match ended_by:
        case "logout":
            await house.service.revoke_refresh_token(tab.refresh_token, Transport.COOKIE, AT_HOME)
        case "idle":
            pass_time(house, IDLE)
        case "everything":
            pass_time(house, MILLISECOND)
            await house.service.end_everything(Visit())
        case _:
            family_id = ids.new_id(house.clock.now())

    assert await what_becomes_of(house.service.change_rights(family_id, AT_HOME)) == code


# --- Looking, listing, revoking ----------------------------------------------------------------


async def test_a_look_at_a_token_spends_nothing(house: House) -> None:
    tab = await a_tab(house)
    before = await house.row(tab.family_id)

    looked = await house.service.validate_refresh_token(tab.refresh_token, Transport.COOKIE)

    assert looked == before == await house.row(tab.family_id)


async def test_a_look_at_a_stolen_token_raises_no_alarm(house: House) -> None:
    tab = await a_tab(house)
    thief = Thief(tab)
    await tab.refresh()
    await tab.refresh()
    look = house.service.validate_refresh_token(thief.refresh_token, Transport.COOKIE)
    assert await what_becomes_of(look) == "refresh_superseded"
    pass_time(house, LATER)
    await tab.refresh()
    pass_time(house, LATER)

    look = house.service.validate_refresh_token(thief.refresh_token, Transport.COOKIE)

    assert await what_becomes_of(look) == "refresh_reused"
    assert await house.events() == [EventName.SESSION_CREATED]
    assert await what_becomes_of(tab.refresh()) == "answered"


async def test_a_look_at_a_token_from_before_what_was_restored_finds_it_over(house: House) -> None:
    tab = await a_tab(house)
    pass_time(house, MILLISECOND)
    await house.service.end_everything(Visit())

    look = house.service.validate_refresh_token(tab.refresh_token, Transport.COOKIE)

    assert await what_becomes_of(look) == "refresh_revoked (revoked)"


async def test_sessions_are_listed_newest_first_and_ended_ones_for_a_day(house: House) -> None:
    old = await a_tab(house)
    pass_time(house, timedelta(hours=1))
    new = await a_tab(house)
    await a_tab(house, await house.add_user())
    await house.service.revoke_session(house.user_id, old.family_id, AT_HOME)

    today = [one.family.id for one in await house.service.list_sessions(house.user_id)]
    pass_time(house, timedelta(hours=24) + TICK)
    tomorrow = [one.family.id for one in await house.service.list_sessions(house.user_id)]

    assert today == [new.family_id, old.family_id]
    assert tomorrow == [new.family_id]


async def test_a_session_whose_time_is_over_is_listed_as_ended(house: House) -> None:
    tab = await a_tab(house)
    pass_time(house, IDLE)

    [session] = await house.service.list_sessions(house.user_id)

    assert session.family.ended_reason is Ending.EXPIRED
    assert session.family.ended_at == house.clock.now()
    assert (await house.service.get_session(house.user_id, tab.family_id)).family == session


@pytest.mark.parametrize("whose", ["nobody's", "another user's"])
async def test_s_ses_4_a_session_of_somebody_else_is_not_found(house: House, whose: str) -> None:
    family_id = ids.new_id(house.clock.now())
    strangers = await a_tab(house, await house.add_user())
    if whose == "another user's":
        family_id = strangers.family_id

    with pytest.raises(NotFoundError):
        await house.service.get_session(house.user_id, family_id)
    with pytest.raises(NotFoundError):
        await house.service.revoke_session(house.user_id, family_id, AT_HOME)

    assert await what_becomes_of(strangers.refresh()) == "answered"


async def test_ending_all_sessions_keeps_the_one_that_is_named(house: House) -> None:
    tab, phone = await a_tab(house), await a_tab(house)
    strangers = await a_tab(house, await house.add_user())

    ended = await house.service.end_sessions(house.user_id, AT_HOME, keep=tab.family_id)

    assert ended == 1
    assert await what_becomes_of(phone.refresh()) == "refresh_revoked (revoked)"
    assert await what_becomes_of(tab.refresh()) == "answered"
    assert await what_becomes_of(strangers.refresh()) == "answered"


async def test_s_ses_7_ending_everything_ends_what_began_before_and_no_later(
    house: House,
) -> None:
    before = await a_tab(house)
    await house.service.check_access_token(before.access_token)  # it knows of no ending yet
    pass_time(house, MILLISECOND)
    await house.service.end_everything(Visit())
    here = await what_becomes_of(house.service.check_access_token(before.access_token))
    after = await a_tab(house)
    neighbour = house.another_process()

    assert here == "session_revoked (revoked)"
    assert await what_becomes_of(before.refresh()) == "refresh_revoked (revoked)"
    assert await what_becomes_of(neighbour.check_access_token(before.access_token)) == (
        "session_revoked (revoked)"
    )
    assert await what_becomes_of(after.refresh()) == "answered"
    listed = {
        one.family.id: one.family.ended_reason
        for one in await house.service.list_sessions(house.user_id)
    }
    assert listed == {before.family_id: Ending.REVOKED, after.family_id: None}
    assert EventName.ADMINISTERED in [one.name for one in house.told]


async def test_ending_what_began_earlier_does_not_bring_back_what_was_ended(house: House) -> None:
    tab = await a_tab(house)
    pass_time(house, MILLISECOND)
    await house.service.end_everything(Visit())

    await house.service.end_everything(Visit(), begun_before=house.clock.now() - IDLE)

    assert await what_becomes_of(tab.refresh()) == "refresh_revoked (revoked)"


# --- Overtaking: S-SES-3, A07 ------------------------------------------------------------------


async def test_s_ses_3_a_login_in_flight_does_not_slip_through_an_ending(house: House) -> None:
    """The login holds the user's row; whoever ends all sessions waits, and then sees it."""
    in_guard, may_go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    neighbour = house.another_process()

    def guard(connection: Connection) -> bool:
        loop.call_soon_threadsafe(in_guard.set)
        connection.execute(select(1))
        if house.database.dialect == "sqlite":  # in a thread of its own
            may_go_on.wait(10)
        else:  # on the loop: the other side is let run by the database's own wait
            connection.exec_driver_sql("SELECT pg_sleep(0.2)")
        return True

    login = asyncio.ensure_future(
        house.service.create_refresh_token(house.user_id, AT_HOME, guard=guard)
    )
    await in_guard.wait()
    ending = asyncio.ensure_future(neighbour.end_sessions(house.user_id, AT_HOME))
    await asyncio.sleep(0)
    may_go_on.set()
    answer, ended = await asyncio.gather(login, ending)

    assert ended == 1
    assert await what_becomes_of(Tab(house.service, answer).refresh()) == (
        "refresh_revoked (revoked)"
    )


async def test_s_ses_3_a_login_that_a_password_change_overtook_is_refused(house: House) -> None:
    await house.set_password(house.user_id, "old")
    guard = has_still_the_password(house, "old")

    await house.set_password(house.user_id, "new")

    with pytest.raises(InvalidCredentialsError):
        await house.service.create_refresh_token(house.user_id, AT_HOME, guard=guard)


async def test_s_ses_3_a_login_asks_whether_it_holds_once_nobody_else_can_change_it(
    postgresql_url: str,
) -> None:
    """The password change holds the user's row; the login waits for it before it asks."""
    async with a_house(postgresql_url) as house:
        await house.set_password(house.user_id, "old")
        guard = has_still_the_password(house, "old")
        engine = create_engine(postgresql_url.replace("://", "+psycopg://"))

        with engine.begin() as somebody:
            somebody.execute(update(house.users).values(password="new"))
            login = asyncio.ensure_future(
                house.service.create_refresh_token(house.user_id, AT_HOME, guard=guard)
            )
            await asyncio.wait({login}, timeout=0.3)

        assert await what_becomes_of(login) == "invalid_credentials"
        engine.dispose()


def has_still_the_password(house: House, password: str) -> Guard:
    def guard(connection: Connection) -> bool:
        users = house.users
        statement = select(users.c.password).where(users.c.id == house.user_id)
        return connection.scalar(statement) == password

    return guard


async def test_a07_a_refresh_that_meets_a_revocation_yields_nothing_alive(
    house: House,
) -> None:
    """Whichever of the two comes first: after the revocation's answer nothing works."""
    neighbour = house.another_process()
    for number in range(40):
        tab = await a_tab(house)
        calls = [
            what_becomes_of(tab.refresh()),
            neighbour.revoke_session(house.user_id, tab.family_id, AT_HOME),
        ]
        await asyncio.gather(*(calls if number % 2 else reversed(calls)))
        await house.service.revocations.poll()

        assert await what_becomes_of(tab.refresh()) == "refresh_revoked (revoked)"
        seen = what_becomes_of(house.service.check_access_token(tab.access_token))
        assert await seen == "session_revoked (revoked)"


async def test_a_revocation_reaches_a_neighbour_within_two_seconds(house: House) -> None:
    tab = await a_tab(house)
    neighbour = house.another_process()
    await neighbour.check_access_token(tab.access_token)
    await house.service.revoke_session(house.user_id, tab.family_id, AT_HOME)

    pass_time(house, timedelta(seconds=2, microseconds=1))

    assert await what_becomes_of(neighbour.check_access_token(tab.access_token)) == (
        "session_revoked (revoked)"
    )


# --- Telling -----------------------------------------------------------------------------------


async def test_whoever_goes_away_before_the_answer_is_told_of_all_the_same(house: House) -> None:
    tab = await a_tab(house)
    caller = asyncio.ensure_future(
        house.service.revoke_session(house.user_id, tab.family_id, AT_HOME)
    )
    await asyncio.sleep(0)  # it has begun
    caller.cancel()
    await asyncio.wait({caller})
    await house.service.drain()

    told = [one.name for one in house.told]
    assert told == await house.events()


async def test_a_handler_that_fails_undoes_nothing(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(event: SecurityEvent) -> None:
        raise LookupError

    house.service.on_event(fail)
    tab = await a_tab(house)
    await tab.refresh_but_lose_the_answer()
    pass_time(house, GRACE + TICK)

    assert await what_becomes_of(tab.refresh()) == "answered"
    assert "event_handler_failed" in [record.message for record in caplog.records]


async def test_events_are_listed_newest_first_page_by_page(house: House) -> None:
    for _ in range(3):
        await a_tab(house)
        pass_time(house, MILLISECOND)
    await a_tab(house, await house.add_user())

    first = await house.service.list_events(house.user_id, limit=2)
    rest = await house.service.list_events(house.user_id, before=first[-1][0], limit=2)

    times = [one.at for _, one in [*first, *rest]]
    assert (len(first), len(rest)) == (2, 1)
    assert times == sorted(times, reverse=True)


async def test_every_event_carries_user_session_origin_and_request(house: House) -> None:
    tab = await a_tab(house)
    pass_time(house, MILLISECOND)
    await house.service.revoke_refresh_token(tab.refresh_token, Transport.COOKIE, ELSEWHERE)

    [(_, logged_out), (_, created)] = await house.service.list_events(house.user_id)

    for event, visit in ((created, AT_HOME), (logged_out, ELSEWHERE)):
        assert (event.user_id, event.family_id) == (house.user_id, tab.family_id)
        assert (event.origin, event.request_id) == (visit.origin, visit.request_id)


async def test_no_secret_stands_in_the_row(house: House) -> None:
    tab = await a_tab(house)
    await tab.refresh()
    token = decode(Keys.derive_from(SECRETS).refresh_mac, tab.refresh_token)
    assert token is not None

    [row] = await house.rows(house.tables.refresh_tokens)

    assert token.secret not in [bytes(value) for value in row.values() if isinstance(value, bytes)]

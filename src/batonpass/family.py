"""THE RULES: what a presented refresh token means, and what it does to its family. Pure.

A login starts a family; its refresh tokens are numbered by generation, and exactly one is current.
This module decides; it knows no HTTP, no SQL, no key and no clock. Acting on a ruling is others'
work.

Source: docs/security.md, "The rules"; RFC 9700 §4.14.2 (refresh token rotation).
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum, auto
from hmac import compare_digest
from uuid import UUID

from batonpass import ids
from batonpass.policy import Policy


class Verdict(StrEnum):
    """What a presented refresh token means. `judge` decides; nobody else does."""

    INVALID = auto()  # none of ours: nothing changes, for anybody
    REVOKED = auto()  # its family has ended
    EXPIRED = auto()  # past the idle or the absolute limit
    ROTATE = auto()  # the current one: its successor takes over
    REPEAT = auto()  # its predecessor, within grace: the same successor again
    RECOVER = auto()  # spent, but what came after never reached its user: here is another
    SUPERSEDED = auto()  # spent a moment ago by another tab: look for a newer one
    REUSED = auto()  # any other spent one: somebody holds a copy


class Ending(StrEnum):
    """Why a family ended; the `reason` that clients see."""

    LOGOUT = "logout"
    REVOKED = "revoked"
    PASSWORD = "password"  # noqa: S105 - the reason's name, no secret
    REFRESH_TOKEN_REUSED = "reused"  # noqa: S105 - the reason's name, no secret
    HISTORY_FORKED = "forked"
    RIGHTS_CHANGED = "rights_changed"
    EXPIRED = "expired"
    EXCESS = "excess"
    USER_DISABLED = "user_disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One login and all its refresh tokens: the row that is locked while a token is judged.

    Attributes:
        id: UUIDv7; it carries the time of the login.
        token: SHA-256 of the current token's secret.
        nonce: What, with the key and the spent token, derives the current one; None: nobody can.
        generation: The number of the current token.
        recoverable_from: Spent tokens from this generation on are worth a recovery: nothing later
            is known to have reached the user.
        rights_changed: The current token was made by a rights change, and nothing rotated or
            settled since.
        window_generation: Generations from this one on count as just spent, for one grace.
        window_started_at: When that window began; None: no rotation yet.
        rotated_at: When the current token was made.
        expires_at: The absolute limit.
        ended_at: When the family ended; None: it lives.
        ended_reason: Why it ended.
        shown_at: The last rotation that may be shown: older than grace when the next one came.
        user_is_active: What the app says of its user; no column of ours.
    """

    id: UUID
    token: bytes = field(repr=False)
    nonce: bytes | None = field(repr=False)
    generation: int
    recoverable_from: int
    rights_changed: bool
    window_generation: int
    window_started_at: datetime | None
    rotated_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    ended_reason: Ending | None
    shown_at: datetime
    user_is_active: bool = True

    def began_before(self, moment: datetime | None) -> bool:
        """Whether the login was earlier than `moment`; None: no such moment was set."""
        return moment is not None and ids.made_at(self.id) < moment

    def is_over(self, policy: Policy, at: datetime) -> bool:
        """Whether the idle or the absolute limit has been reached; both are exclusive."""
        return at >= self.expires_at or at >= self.rotated_at + policy.idle_limit

    def was_just_spent(self, presented: "Presented", policy: Policy, arrived: datetime) -> bool:
        """Whether the token lies inside the open window: a slow tab, a straggler."""
        return presented.generation >= self.window_generation and policy.in_grace(
            self.window_started_at, arrived
        )

    def last_shown_at(self, policy: Policy, now: datetime) -> datetime:
        """When the family was last used, as far as an access token may see it.

        A rotation younger than grace does not show: a thief could time his replay by it.
        """
        return self.shown_at if policy.in_grace(self.rotated_at, now) else self.rotated_at


@dataclass(frozen=True, slots=True)
class Presented:
    """A refresh token that passed its MAC, as the rules see it.

    Attributes:
        generation: Its number.
        digest: SHA-256 of its secret.
        candidate_digest: SHA-256 of the successor that it derives with the row's nonce; None: the
            row has no nonce.
    """

    generation: int
    digest: bytes = field(repr=False)
    candidate_digest: bytes | None = field(repr=False)

    def is_current(self, family: Family) -> bool:
        """Whether it is the family's one current token."""
        return compare_digest(self.digest, family.token)

    def opens(self, family: Family) -> bool:
        """Whether it derives the current token: compared by hash, never by number."""
        return self.candidate_digest is not None and compare_digest(
            self.candidate_digest, family.token
        )


@dataclass(frozen=True, slots=True)
class Ruling:
    """The verdict, and why the family ends where it does."""

    verdict: Verdict
    ends: Ending | None = None


def judge(  # noqa: C901 - the table's rows, a branch each
    family: Family | None, presented: Presented, policy: Policy, arrived: datetime
) -> Ruling:
    """Decide what a refresh token that passed its MAC means, row by row of docs/security.md."""
    if family is None:  # purged: its time was over long ago
        return Ruling(Verdict.EXPIRED)
    if family.ended_at is not None or family.began_before(policy.not_before):
        return Ruling(Verdict.REVOKED)
    if not family.user_is_active:
        return Ruling(Verdict.REVOKED, ends=Ending.USER_DISABLED)
    if family.is_over(policy, arrived):
        return Ruling(Verdict.EXPIRED, ends=Ending.EXPIRED)
    if presented.is_current(family):  # each use spends it (S-RT-3)
        return Ruling(Verdict.ROTATE)
    if presented.generation >= family.generation:  # two histories: a restore (S-RT-7)
        return Ruling(Verdict.REVOKED, ends=Ending.HISTORY_FORKED)
    opens = presented.opens(family)
    # The same answer only to whoever derives it (S-RT-4), and of a row that was found alive above,
    # under the same lock (S-RT-5).
    if opens and policy.in_grace(family.rotated_at, arrived):
        return Ruling(Verdict.REPEAT)
    if family.was_just_spent(presented, policy, arrived):
        return Ruling(Verdict.SUPERSEDED)
    if family.rights_changed:  # and since then nothing rotated or settled: its answer was lost
        return Ruling(Verdict.REVOKED, ends=Ending.RIGHTS_CHANGED)
    if (opens or presented.generation >= family.recoverable_from) and policy.recovers:
        return Ruling(Verdict.RECOVER)
    return Ruling(Verdict.REUSED, ends=Ending.REFRESH_TOKEN_REUSED)


def rotate(family: Family, successor: bytes, nonce: bytes, policy: Policy, now: datetime) -> Family:
    """Spend the current token: its successor, known by digest, becomes current.

    A rotation long after the last one proves that what it presents had reached its user. One that
    finds the window over first raises `recoverable_from` to where that window began, so that nobody
    walks on unseen by refreshing fast.
    """
    recoverable_from = family.recoverable_from
    window_generation, window_started_at = family.window_generation, family.window_started_at
    if policy.has_settled(family.rotated_at, now):
        recoverable_from = family.generation
    if window_started_at is None or now - window_started_at > policy.grace:
        recoverable_from = max(recoverable_from, window_generation)
        unsettled = recoverable_from < family.generation
        window_generation = family.generation - 1 if unsettled else family.generation
        window_started_at = now
    return replace(
        _advance(family, successor, nonce, policy, now),
        recoverable_from=recoverable_from,
        window_generation=window_generation,
        window_started_at=window_started_at,
    )


def recover(
    family: Family,
    presented: Presented,
    successor: bytes,
    nonce: bytes,
    policy: Policy,
    now: datetime,
) -> Family:
    """Withdraw what came after a token whose answers were lost, and make a new one current.

    If the same token recovers again, the window opens at the withdrawn one: else a thief who
    recovers again and again would keep the owner `superseded` for ever.
    """
    again = presented.opens(family) and family.generation - presented.generation > 1
    return replace(
        _advance(family, successor, nonce, policy, now),
        recoverable_from=family.generation + 1,
        window_generation=family.generation if again else presented.generation,
        window_started_at=now,
    )


def change_rights(family: Family, successor: bytes, policy: Policy, now: datetime) -> Family:
    """Move on with a random token and no nonce: who does not get this answer is left behind."""
    window_is_over = (
        family.window_started_at is None or now - family.window_started_at > policy.grace
    )
    return replace(
        _advance(family, successor, None, policy, now),
        rights_changed=True,
        recoverable_from=family.generation + 1,
        window_generation=family.generation if window_is_over else family.window_generation,
        window_started_at=now,
    )


def settle(family: Family) -> Family:
    """Note that the current token has reached its user: every spent one is an alarm from now on."""
    return replace(family, recoverable_from=family.generation, nonce=None, rights_changed=False)


def end(family: Family, reason: Ending, now: datetime) -> Family:
    """End the family; nothing that it was in the middle of yields a token any more."""
    return replace(family, ended_at=now, ended_reason=reason)


def _advance(
    family: Family, successor: bytes, nonce: bytes | None, policy: Policy, now: datetime
) -> Family:
    # `expires_at` is not among them: nothing moves the absolute limit (S-RT-6).
    return replace(
        family,
        token=successor,
        nonce=nonce,
        generation=family.generation + 1,
        rights_changed=False,
        rotated_at=now,
        shown_at=family.last_shown_at(policy, now),
    )

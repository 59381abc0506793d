"""What a batch of presented tokens does to the rows it has locked. Pure but for fresh nonces.

`family.judge` rules on one token; here each request of a batch is ruled on in turn, so that the
second sees what the first did, and what must be written is gathered (I12: some one-at-a-time order
could have given the same answers, and this is it).
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hmac import compare_digest
from uuid import UUID

from batonpass import family as rules
from batonpass.events import EventName, SecurityEvent
from batonpass.family import Ending, Presented, Ruling, Verdict
from batonpass.origins import Origin
from batonpass.policy import Policy
from batonpass.refresh_tokens import NONCE_BYTES, RefreshToken, derive_successor, digest
from batonpass.storage.store import Grant, Locked, Rotation, StoredFamily

_EVENT_OF_ENDING = {
    Ending.REFRESH_TOKEN_REUSED: EventName.REFRESH_TOKEN_REUSED,
    Ending.HISTORY_FORKED: EventName.HISTORY_FORKED,
    Ending.RIGHTS_CHANGED: EventName.RIGHTS_CHANGE_LOST,
    Ending.EXPIRED: EventName.SESSION_EXPIRED,
    Ending.USER_DISABLED: EventName.TOKEN_REVOKED,
}


@dataclass(frozen=True, slots=True)
class Request:
    """One refresh token that passed its MAC, and how it came here.

    Attributes:
        token: What was presented.
        arrived: When: how late it is, is judged by this.
        origin: From where.
        request_id: Leads to the log.
    """

    token: RefreshToken
    arrived: datetime
    origin: Origin = field(default_factory=Origin)
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one request.

    Attributes:
        ruling: What the rules said.
        grant: What the answer tells of the family, for `rotate`, `repeat` and `recover`.
        successor: The token to answer with, likewise.
        ended_reason: Why the family has ended; None: it lives, or is unknown.
    """

    ruling: Ruling
    grant: Grant | None = None
    successor: RefreshToken | None = field(default=None, repr=False)
    ended_reason: Ending | None = None


@dataclass(slots=True)
class Changes:
    """What a batch must write before it answers."""

    families: dict[UUID, StoredFamily] = field(default_factory=dict)
    ended: list[tuple[UUID, Ending]] = field(default_factory=list)
    events: list[SecurityEvent] = field(default_factory=list)
    rotations: list[Rotation] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Bench:
    """Judges a batch: the keys and the policy it judges by."""

    successor_keys: Sequence[bytes] = field(repr=False)
    policy: Policy

    def rule(
        self, requests: Sequence[Request], locked: Locked, now: datetime
    ) -> tuple[list[Outcome], Changes]:
        """Rule on each request in turn.

        Args:
            requests: What was presented; a token may stand here twice.
            locked: The rows of all their families, as they are now.
            now: When they are processed.
        """
        policy = replace(self.policy, not_before=locked.not_before)
        changes = Changes()
        outcomes = [self._one(request, locked, policy, now, changes) for request in requests]
        return outcomes, changes

    def _one(
        self, request: Request, locked: Locked, policy: Policy, now: datetime, changes: Changes
    ) -> Outcome:
        token = request.token
        stored = changes.families.get(token.family_id) or locked.families.get(token.family_id)
        if stored is None:
            return Outcome(Ruling(Verdict.EXPIRED))
        presented, candidate = self._present(token, stored.family)
        ruling = rules.judge(stored.family, presented, policy, request.arrived)
        if ruling.verdict is Verdict.REPEAT:
            note_elsewhere(changes, request, stored, now)
            successor = _token(token, stored.family.generation, candidate)
            return Outcome(ruling, stored.grant, successor)
        if ruling.ends is not None:
            _end(changes, request, stored, ruling.ends, now)
            return Outcome(ruling, ended_reason=ruling.ends)
        if ruling.verdict not in (Verdict.ROTATE, Verdict.RECOVER):
            return Outcome(ruling, ended_reason=stored.family.ended_reason)

        nonce = secrets.token_bytes(NONCE_BYTES)
        secret = derive_successor(self.successor_keys[0], token, nonce)
        if ruling.verdict is Verdict.ROTATE:
            moved = rules.rotate(stored.family, digest(secret), nonce, policy, now)
        else:
            moved = rules.recover(stored.family, presented, digest(secret), nonce, policy, now)
            note_elsewhere(changes, request, stored, now)
            changes.events.append(_event(EventName.LOST_ANSWER_RECOVERED, request, stored, now))
        after = replace(stored, family=moved, origin=request.origin)
        changes.families[moved.id] = after
        if policy.history:
            kind = "rotated" if ruling.verdict is Verdict.ROTATE else "recovered"
            changes.rotations.append(
                Rotation(moved.id, moved.generation, now, kind, request.origin)
            )
        return Outcome(ruling, after.grant, _token(token, moved.generation, secret))

    def _present(self, token: RefreshToken, family: rules.Family) -> tuple[Presented, bytes]:
        """Put a token as the rules see it, with the successor that it derives (b"": none).

        Any of the keys may have derived it: while SECRET_KEY changes, two nodes issue by different
        ones (S-KEY-4).
        """
        spent = digest(token.secret)
        if family.nonce is None or compare_digest(spent, family.token):
            return Presented(token.generation, spent, None), b""
        for key in self.successor_keys:
            candidate = derive_successor(key, token, family.nonce)
            if compare_digest(digest(candidate), family.token):
                return Presented(token.generation, spent, family.token), candidate
        return Presented(token.generation, spent, None), b""


def note_elsewhere(changes: Changes, request: Request, stored: StoredFamily, now: datetime) -> None:
    """Note that an answer was given again, to somewhere else than where the row was last."""
    if request.origin.is_elsewhere(stored.origin):
        changes.events.append(_event(EventName.ANSWERED_ELSEWHERE, request, stored, now))


def _end(
    changes: Changes, request: Request, stored: StoredFamily, reason: Ending, now: datetime
) -> None:
    family_id = stored.family.id
    changes.families[family_id] = replace(stored, family=rules.end(stored.family, reason, now))
    changes.ended.append((family_id, reason))
    changes.events.append(_event(_EVENT_OF_ENDING[reason], request, stored, now))


def _event(name: EventName, request: Request, stored: StoredFamily, now: datetime) -> SecurityEvent:
    """Tell both sides: who came now, and where the row's last rotation was."""
    return SecurityEvent(
        name=name,
        at=now,
        user_id=stored.user_id,
        family_id=stored.family.id,
        origin=request.origin,
        request_id=request.request_id,
        details={
            "generation": request.token.generation,
            "current_generation": stored.family.generation,
            "other_ip": stored.origin.ip,
            "other_device": stored.origin.device,
        },
    )


def _token(presented: RefreshToken, generation: int, secret: bytes) -> RefreshToken:
    return RefreshToken(presented.transport, presented.family_id, generation, secret)

"""The JSON of our routes, as the OpenAPI schema shows it. Every id is a string, every time UTC."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from batonpass.events import TELLS_OF_A_ROTATION, EventName, SecurityEvent
from batonpass.family import Family
from batonpass.policy import Policy
from batonpass.sessions import Lineage
from batonpass.storage.store import StoredFamily

Kind = Literal["created", "rotated", "recovered", "elsewhere", "reused", "forked", "ended"]

_KINDS: dict[EventName, Kind] = {
    EventName.LOST_ANSWER_RECOVERED: "recovered",
    EventName.ANSWERED_ELSEWHERE: "elsewhere",
    EventName.REFRESH_TOKEN_REUSED: "reused",
    EventName.HISTORY_FORKED: "forked",
}


class ErrorAnswer(BaseModel):
    """What a refusal says."""

    # Some hundred descriptions of refusals name it: without this, each is a schema built at start.
    model_config = ConfigDict(defer_build=True)

    detail: str
    code: str
    reason: str | None = None


class Token(BaseModel):
    """A token answer (RFC 6749 §5.1); the refresh token is in it for body transport only."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the type's name
    expires_in: int
    session_id: str
    generation: int
    refresh_token: str | None = None


class Session(BaseModel):
    """One of the user's sessions."""

    id: str
    created_at: datetime
    last_used_at: datetime
    idle_expires_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    ended_reason: str | None
    ip: str | None
    device: str | None
    current: bool


class LineageEntry(BaseModel):
    """One thing that happened to a session."""

    generation: int
    at: datetime
    kind: Kind
    ip: str | None
    device: str | None


class SessionWithLineage(Session):
    """A session and all that is known of its generations; no token or hash in it."""

    lineage: list[LineageEntry]


class Event(BaseModel):
    """One security event."""

    id: str
    event: str
    at: datetime
    session_id: str | None
    ip: str | None
    device: str | None
    details: dict[str, str | int | None]


class Events(BaseModel):
    """A page of security events, newest first; `next` leads to the one before."""

    events: list[Event]
    next: str | None


def session(stored: StoredFamily, policy: Policy, now: datetime, current: str) -> Session:
    """Show a session to its user."""
    family = stored.family
    shown_at = family.last_shown_at(policy, now)
    return Session(
        id=str(family.id),
        created_at=stored.created_at,
        last_used_at=shown_at,
        idle_expires_at=min(shown_at + policy.idle_limit, family.expires_at),
        expires_at=family.expires_at,
        ended_at=family.ended_at,
        ended_reason=family.ended_reason,
        ip=stored.origin.ip,
        device=stored.origin.device,
        current=str(family.id) == current,
    )


def lineage(found: Lineage, policy: Policy, now: datetime) -> list[LineageEntry]:
    """Tell a session's life, oldest first."""
    stored = found.family
    entries = [_first(stored, found)]
    kept = {"recovered"} if any(one.kind == "recovered" for one in found.rotations) else set()
    entries += [
        LineageEntry(
            generation=one.generation,
            at=one.at,
            kind="recovered" if one.kind == "recovered" else "rotated",
            ip=one.origin.ip,
            device=one.origin.device,
        )
        for one in found.rotations
        if not policy.in_grace(one.at, now)
    ]
    for event in found.events:
        kind = _KINDS.get(event.name)
        if kind is None or kind in kept or not _is_shown(event, policy, now):
            continue
        generation = event.details.get("generation")
        entries.append(
            LineageEntry(
                generation=generation if isinstance(generation, int) else 0,
                at=event.at,
                kind=kind,
                ip=event.origin.ip,
                device=event.origin.device,
            )
        )
    entries.sort(key=lambda entry: (entry.at, entry.generation))
    if stored.family.ended_at is not None:
        entries.append(_last(stored.family))
    return entries


def event(event_id: object, one: SecurityEvent) -> Event:
    """Show a security event to its user."""
    return Event(
        id=str(event_id),
        event=one.name.value,
        at=one.at,
        session_id=None if one.family_id is None else str(one.family_id),
        ip=one.origin.ip,
        device=one.origin.device,
        details=dict(one.details),
    )


def _is_shown(one: SecurityEvent, policy: Policy, now: datetime) -> bool:
    """Whether an event may be seen by an access token already."""
    return one.name not in TELLS_OF_A_ROTATION or not policy.in_grace(one.at, now)


def _first(stored: StoredFamily, found: Lineage) -> LineageEntry:
    created = next((e for e in found.events if e.name is EventName.SESSION_CREATED), None)
    origin = stored.origin if created is None else created.origin
    return LineageEntry(
        generation=0, at=stored.created_at, kind="created", ip=origin.ip, device=origin.device
    )


def _last(family: Family) -> LineageEntry:
    at = family.ended_at or family.expires_at
    return LineageEntry(generation=family.generation, at=at, kind="ended", ip=None, device=None)

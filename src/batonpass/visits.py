"""The request that something is done for, and the security events that tell of it."""

from dataclasses import dataclass, field
from datetime import datetime

from batonpass.events import EventName, SecurityEvent
from batonpass.keys import DeclaredKey
from batonpass.origins import Origin
from batonpass.storage.store import StoredFamily


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """The request that something is done for.

    Attributes:
        origin: From where it came.
        request_id: Leads to the log.
    """

    origin: Origin = field(default_factory=Origin)
    request_id: str | None = None

    def event(self, name: EventName, stored: StoredFamily, now: datetime) -> SecurityEvent:
        """Tell what happened to a session."""
        return SecurityEvent(
            name=name,
            at=now,
            user_id=stored.user_id,
            family_id=stored.family.id,
            origin=self.origin,
            request_id=self.request_id,
            details={"reason": stored.family.ended_reason},
        )

    def key_event(self, name: EventName, declared: DeclaredKey, now: datetime) -> SecurityEvent:
        """Tell what happened to a signing key."""
        return SecurityEvent(
            name=name,
            at=now,
            origin=self.origin,
            request_id=self.request_id,
            details={
                "number": declared.period.number,
                "kid": declared.kid,
                "algorithm": declared.algorithm,
            },
        )

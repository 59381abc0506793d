"""Tells the log what was refused: a try that changed nothing, so it makes no row either.

What an attacker can have refused as often as he likes must fill neither a table nor the disk: of
each event a process writes so many lines a minute, and then how many more there were.

Source: OWASP Logging Vocabulary; docs/security.md, "Events" (S-LOG-1).
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from batonpass.access_tokens import Claims
from batonpass.clock import Clock
from batonpass.errors import (
    ActorNotAllowedError,
    BatonpassError,
    BodyTooLargeError,
    CsrfError,
    HeadersTooLargeError,
    InvalidRequestError,
    MalformedRequestError,
    NotFoundError,
    RefreshTokenExpiredError,
    RefreshTokenInvalidError,
    RefreshTokenRevokedError,
    RegistrationClosedError,
    SessionRevokedError,
    UnsupportedMediaTypeError,
)
from batonpass.events import EventName
from batonpass.visits import Visit

security_log = logging.getLogger("batonpass.security")

LINES_A_MINUTE: Final = 60
MINUTE_SECONDS: Final = 60.0

_TOLD_AS: Final[Mapping[type[BatonpassError], EventName]] = {
    ActorNotAllowedError: EventName.ACCESS_REFUSED,
    BodyTooLargeError: EventName.INPUT_REFUSED,
    CsrfError: EventName.CSRF_REFUSED,
    HeadersTooLargeError: EventName.INPUT_REFUSED,
    InvalidRequestError: EventName.INPUT_REFUSED,
    MalformedRequestError: EventName.INPUT_REFUSED,
    RefreshTokenExpiredError: EventName.SESSION_USED_AFTER_EXPIRY,
    RefreshTokenInvalidError: EventName.INPUT_REFUSED,
    RefreshTokenRevokedError: EventName.SESSION_USED_AFTER_EXPIRY,
    RegistrationClosedError: EventName.ACCESS_REFUSED,
    SessionRevokedError: EventName.SESSION_USED_AFTER_EXPIRY,
    UnsupportedMediaTypeError: EventName.INPUT_REFUSED,
}


@dataclass(slots=True)
class _Minute:
    """How often one event was told since a moment, and how often not."""

    began: float
    told: int = 0
    left_out: int = 0


class Refusals:
    """What one process tells of the requests that it refuses."""

    def __init__(self, clock: Clock) -> None:
        """Begin to count."""
        self._clock = clock
        self._minutes: dict[EventName, _Minute] = {}

    def tell(
        self,
        error: BatonpassError,
        visit: Visit,
        *,
        claims: Claims | None = None,
        family_id: UUID | None = None,
    ) -> None:
        """Tell of an error that is answered, where it is one to know of.

        Args:
            error: What the client hears.
            visit: Its request.
            claims: Of the access token that came along.
            family_id: Whose refresh token it was.
        """
        name = _TOLD_AS.get(type(error))
        if isinstance(error, NotFoundError) and claims is not None:
            name = EventName.ACCESS_REFUSED  # somebody else's session, or none: nobody can tell
        if name is None:
            return
        details: dict[str, str | int] = {"code": error.code}
        if error.reason is not None:
            details["reason"] = error.reason
        if claims is not None:
            family_id = claims.family_id
        subject = None if claims is None else claims.subject
        self.tell_event(name, visit, details, user_id=subject, family_id=family_id)

    def tell_event(
        self,
        name: EventName,
        visit: Visit,
        details: Mapping[str, str | int],
        *,
        user_id: str | None = None,
        family_id: UUID | None = None,
    ) -> None:
        """Write a line, unless there were enough of them this minute."""
        left_out = self._place(name)
        if left_out is None:
            return
        if left_out:
            details = {**details, "left_out": left_out}
        security_log.warning(name.value, extra=_fields(visit, details, user_id, family_id))

    def _place(self, name: EventName) -> int | None:
        """Return how many lines were left out before this one; None: it is left out, too."""
        now = self._clock.monotonic()
        minute = self._minutes.get(name)
        left_out = 0
        if minute is None or now - minute.began >= MINUTE_SECONDS:
            left_out = 0 if minute is None else minute.left_out
            minute = self._minutes[name] = _Minute(now)
        if minute.told == LINES_A_MINUTE:
            minute.left_out += 1
            return None
        minute.told += 1
        return left_out


def tell_renewal(visit: Visit, user_id: object, family_id: UUID, generation: int) -> None:
    """Tell of a refresh, at DEBUG: there is one every half hour for each tab that is open."""
    if security_log.isEnabledFor(logging.DEBUG):
        fields = _fields(visit, {"generation": generation}, str(user_id), family_id)
        security_log.debug(EventName.SESSION_RENEWED.value, extra=fields)


def _fields(
    visit: Visit, details: Mapping[str, str | int], user_id: str | None, family_id: UUID | None
) -> dict[str, object]:
    return {
        "user_id": user_id,
        "session_id": None if family_id is None else str(family_id),
        "ip": visit.origin.ip,
        "device": visit.origin.device,
        "request_id": visit.request_id,
        "details": dict(details),
    }

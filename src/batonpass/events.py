"""Every security event, declared once: its name in the log and in `security_events`.

Source: OWASP Logging Vocabulary Cheat Sheet; docs/security.md, "Events" (S-LOG-1).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from batonpass.origins import Origin


class EventName(StrEnum):
    """What happened. The names are OWASP's where it has one."""

    LOGIN_SUCCEEDED = "authn_login_success"
    LOGIN_SUCCEEDED_AFTER_FAILURES = "authn_login_successafterfail"
    LOGIN_FAILED = "authn_login_fail"
    LOGIN_FAILED_TOO_OFTEN = "authn_login_fail_max"
    PASSWORD_CHANGED = "authn_password_change"  # noqa: S105 - an event's name
    PASSWORD_CHANGE_FAILED = "authn_password_change_fail"  # noqa: S105 - an event's name
    TOKEN_REVOKED = "authn_token_revoked"  # noqa: S105 - an event's name
    REFRESH_TOKEN_REUSED = "refresh_token_reused"  # noqa: S105 - logged as authn_token_reuse
    SESSION_CREATED = "session_created"
    SESSION_RENEWED = "session_renewed"
    SESSION_EXPIRED = "session_expired"
    SESSION_LOGGED_OUT = "session_logout"
    SESSION_USED_AFTER_EXPIRY = "session_use_after_expire"
    RATE_LIMIT_EXCEEDED = "excess_rate_limit_exceeded"
    SESSIONS_EXCEEDED = "excess_sessions_exceeded"
    ACCESS_REFUSED = "authz_fail"
    ADMINISTERED = "authz_admin"
    INPUT_REFUSED = "input_validation_fail"
    CSRF_REFUSED = "malicious_csrf"
    CORS_REFUSED = "malicious_cors"
    USER_CREATED = "user_created"
    USER_UPDATED = "user_updated"
    USER_DISABLED = "user_archived"
    USER_DELETED = "user_deleted"
    DECRYPTION_FAILED = "crypt_decrypt_fail"
    STARTED = "sys_startup"
    STOPPED = "sys_shutdown"
    HISTORY_FORKED = "history_forked"
    RIGHTS_CHANGE_LOST = "rights_changed"
    LOST_ANSWER_RECOVERED = "lost_answer_recovered"
    ANSWERED_ELSEWHERE = "answered_elsewhere"
    REGISTER_ON_EXISTING = "register_on_existing"
    KEY_ROTATED = "key_rotated"
    KEY_WITHDRAWN = "key_withdrawn"


LOGIN_SUCCESSES = (EventName.LOGIN_SUCCEEDED, EventName.LOGIN_SUCCEEDED_AFTER_FAILURES)
# These tell of a rotation; younger than grace, it must not show (a thief could time his replay).
TELLS_OF_A_ROTATION = (EventName.LOST_ANSWER_RECOVERED, EventName.ANSWERED_ELSEWHERE)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityEvent:
    """One thing that happened, as it is stored, logged and told to the app's handlers.

    Attributes:
        name: What happened.
        at: When, UTC.
        user_id: Whose account, as the users table has its key; None: unknown.
        family_id: Which session; None: none.
        origin: Where from.
        request_id: Leads to the log.
        details: What else is worth knowing; plain JSON values, no secret.
    """

    name: EventName
    at: datetime
    user_id: object | None = None
    family_id: UUID | None = None
    origin: Origin = field(default_factory=Origin)
    request_id: str | None = None
    details: Mapping[str, str | int | None] = field(default_factory=dict)

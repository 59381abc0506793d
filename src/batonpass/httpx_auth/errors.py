"""Every error that a native client meets, declared once. None of them shows a token."""


class SessionError(Exception):
    """What all of them are."""


class SessionExpiredError(SessionError):
    """The session is over for good, or there is none: only a login helps.

    Attributes:
        code: The server's `refresh_invalid`, `refresh_expired`, `refresh_revoked` or
            `refresh_reused`; `refresh_missing`: nobody is logged in here; `logged_out`: somebody
            was.
        reason: Why a session was revoked, in the server's word for it.
    """

    def __init__(self, code: str, reason: str | None = None) -> None:
        """Say how it ended."""
        why = code if reason is None else f"{code}, {reason}"
        super().__init__(f"The session is over ({why}). Please log in.")
        self.code = code
        self.reason = reason


class SessionUnavailableError(SessionError):
    """No fresh token can be had just now: offline, server down, timeout. The session is kept.

    Attributes:
        retry_in_seconds: When asking again makes sense; until then nobody is asked.
    """

    def __init__(self, detail: str | None = None, *, retry_in_seconds: float = 0.0) -> None:
        """Say so."""
        super().__init__(detail or "The server cannot be reached just now; the session is kept.")
        self.retry_in_seconds = retry_in_seconds


class LoginRefusedError(SessionError):
    """The server let nobody in.

    Attributes:
        status: The answer's HTTP status.
        code: The server's, such as `invalid_credentials` or `rate_limited`; `unexpected` where the
            answer was none of its.
        detail: A sentence for people.
        retry_after_seconds: From Retry-After, where the server sent one.
    """

    def __init__(
        self, status: int, code: str, detail: str, retry_after_seconds: float | None = None
    ) -> None:
        """Say what the server said."""
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.retry_after_seconds = retry_after_seconds

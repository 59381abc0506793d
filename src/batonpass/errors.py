"""Every error that the outside relies on, declared once: its code, its status, its sentence.

The docs table, the OpenAPI answers and the client's union of codes are made from this file. No
error shows a token, a password or a key.

Source: docs/reference/errors.md; RFC 6750 §3.1 (bearer challenges), RFC 6585 §4 (429).
"""

from typing import ClassVar, Self


class BatonpassError(Exception):
    """What every refusal of ours is.

    Attributes:
        code: Stable: clients branch on it.
        status: The HTTP status of the answer.
        detail: A sentence for people.
        retry_after: Seconds after which a retry makes sense; None: no Retry-After header.
        reason: Why the session ended, where the code has reasons.
    """

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    detail: str = "Something went wrong on our side."

    def __init__(
        self,
        detail: str | None = None,
        *,
        retry_after: int | None = None,
        reason: str | None = None,
    ) -> None:
        """Take the declared sentence, or `detail` in its place."""
        if detail is not None:
            self.detail = detail
        super().__init__(self.detail)
        self.retry_after = retry_after
        self.reason = reason


class InternalError(BatonpassError):
    """Something nobody foresaw; the request id leads to the log."""

    @classmethod
    def of_request(cls, request_id: str | None) -> Self:
        """Name the request, where it has an id."""
        return cls(None if request_id is None else f"{cls.detail} Request {request_id}.")


class ConfigurationError(BatonpassError):
    """A setting that cannot work or is not safe; the sentence names it and its cure."""


# --- a refresh token was refused ---------------------------------------------------------------


class RefreshRefusedError(BatonpassError):
    """A refresh token yields nothing. No cookie is touched: it may be a newer login's by now."""

    status = 401
    code = "refresh_invalid"
    detail = "This refresh token is not one of ours. Please log in."


class RefreshTokenMissingError(RefreshRefusedError):
    """No refresh token came along: nobody is signed in here."""

    code = "refresh_missing"
    detail = "There is no session here. Please log in."


class RefreshTokenInvalidError(RefreshRefusedError):
    """Malformed, foreign, by the wrong transport, or two different ones at once."""


class RefreshTokenExpiredError(RefreshRefusedError):
    """Past the idle or the absolute limit, or purged long ago."""

    code = "refresh_expired"
    detail = "Your session has expired. Please log in."


class RefreshTokenRevokedError(RefreshRefusedError):
    """Its session has been ended; `reason` says why."""

    code = "refresh_revoked"
    detail = "This session has been ended. Please log in."


class RefreshTokenReusedError(RefreshRefusedError):
    """A spent refresh token came back: somebody holds a copy, so its family has been ended.

    Source: RFC 9700 §4.14.2.
    """

    code = "refresh_reused"
    detail = "This session was ended because an old token of it was used again. Please log in."


class RefreshTokenSupersededError(BatonpassError):
    """Another tab spent this token a moment ago; the cookie is newer by now."""

    status = 409
    code = "refresh_superseded"
    detail = "A newer token was issued a moment ago. Try once more with the cookie you have now."


# --- an access token was refused ---------------------------------------------------------------


class BearerError(BatonpassError):
    """An access token was refused; the answer carries a WWW-Authenticate challenge.

    Source: RFC 6750 §3.
    """

    status = 401
    code = "token_invalid"
    detail = "The access token is invalid or has expired."


class AccessTokenMissingError(BearerError):
    """No access token came along; the challenge then carries no `error`."""

    code = "token_missing"
    detail = "An access token is needed."


class AccessTokenInvalidError(BearerError):
    """Malformed, foreign, expired, or not for us."""


class SessionRevokedError(BearerError):
    """The access token's session has been ended; `reason` says why."""

    code = "session_revoked"
    detail = "This session has been ended."


class LoginRequiredAgainError(BearerError):
    """The login is too long ago for this: POST /auth/confirm leads back."""

    code = "login_required_again"
    detail = "Please enter your password again to do this."


class ActorNotAllowedError(BatonpassError):
    """Somebody acts in the user's name: what asks for the user's own password is not for them.

    Source: RFC 8693 §4.1 (`act`).
    """

    status = 403
    code = "actor_not_allowed"
    detail = "Only the user can do this, nobody in their name."


# --- logging in, registering, passwords --------------------------------------------------------


class InvalidCredentialsError(BatonpassError):
    """Unknown name, wrong password or disabled account: nobody learns which."""

    status = 401
    code = "invalid_credentials"
    detail = "The e-mail or the password is wrong."


class WrongPasswordError(BatonpassError):
    """The signed-in user's own password did not match."""

    status = 403
    code = "wrong_password"
    detail = "The password is wrong."


class WeakPasswordError(BatonpassError):
    """The password is too short, too long or too common; the sentence says which."""

    status = 422
    code = "weak_password"
    detail = "Please choose another password."


class EmailTakenError(BatonpassError):
    """There is an account with this e-mail."""

    status = 409
    code = "email_taken"
    detail = "There is an account with this e-mail. Log in instead."


class RegistrationClosedError(BatonpassError):
    """REGISTRATION=closed."""

    status = 403
    code = "registration_closed"
    detail = "New accounts are not open here."


class LinkExpiredError(BatonpassError):
    """The link from the mail is over or was used."""

    status = 410
    code = "link_expired"
    detail = "This link has expired. Please ask for a new one."


class RateLimitedError(BatonpassError):
    """Too many failures; the same for known and unknown names and for every bucket."""

    status = 429
    code = "rate_limited"
    detail = "Too many attempts. Please wait a moment."


class BusyError(BatonpassError):
    """More password checks are waiting than the machine can do soon."""

    status = 429
    code = "busy"
    detail = "The server is busy. Please try again in a moment."


# --- the request itself ------------------------------------------------------------------------


class CsrfError(BatonpassError):
    """A page that is not ours sent this; nothing changed and no token was consumed."""

    status = 403
    code = "csrf"
    detail = "This request came from another site."


class InvalidRequestError(BatonpassError):
    """The request's form or JSON is not what the route takes."""

    status = 422
    code = "invalid_request"
    detail = "The request is not what this route takes."


class MalformedRequestError(BatonpassError):
    """What came is not HTTP, or could be read in two ways: no route has seen it."""

    status = 400
    code = "malformed_request"
    detail = "This is no valid HTTP request."


class NotFoundError(BatonpassError):
    """There is nothing here, or it is somebody else's."""

    status = 404
    code = "not_found"
    detail = "There is nothing here."


class MethodNotAllowedError(BatonpassError):
    """The route knows other methods."""

    status = 405
    code = "method_not_allowed"
    detail = "This method is not for this route."


class TooSlowError(BatonpassError):
    """The request did not become whole in time: 10 s for its head, 20 s for its body."""

    status = 408
    code = "too_slow"
    detail = "The request took too long to arrive. Please try again."


class BodyTooLargeError(BatonpassError):
    """The body is over 64 KiB."""

    status = 413
    code = "body_too_large"
    detail = "The request's body is too large."


class UnsupportedMediaTypeError(BatonpassError):
    """The route takes another content type."""

    status = 415
    code = "unsupported_media_type"
    detail = "This route takes another content type."


class HeadersTooLargeError(BatonpassError):
    """The request's head is over 16 KiB."""

    status = 431
    code = "headers_too_large"
    detail = "The request's headers are too large."


# --- what stands behind us ---------------------------------------------------------------------


class StoreUnavailableError(BatonpassError):
    """The database is away, or a queue or the server is full; the token is still good.

    The cookie is left alone, and Retry-After says when to try again (S-RT-11).
    """

    status = 503
    code = "unavailable"
    detail = "The service cannot answer right now. Nothing is lost; please try again."

    def __init__(self, detail: str | None = None, *, retry_after: int = 1) -> None:
        """Say after how many seconds to try again."""
        super().__init__(detail, retry_after=retry_after)

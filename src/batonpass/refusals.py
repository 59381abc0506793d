"""What is answered to a refresh token that yields nothing: the error of each verdict."""

from collections.abc import Mapping

from batonpass.errors import (
    BatonpassError,
    RefreshTokenExpiredError,
    RefreshTokenInvalidError,
    RefreshTokenReusedError,
    RefreshTokenRevokedError,
    RefreshTokenSupersededError,
    SessionRevokedError,
)
from batonpass.family import Ending, Verdict
from batonpass.storage.rulings import Outcome

REFUSALS: Mapping[Verdict, type[BatonpassError]] = {
    Verdict.INVALID: RefreshTokenInvalidError,
    Verdict.EXPIRED: RefreshTokenExpiredError,
    Verdict.REUSED: RefreshTokenReusedError,
    Verdict.SUPERSEDED: RefreshTokenSupersededError,
}  # REVOKED says why


def raise_unless_answered(outcome: Outcome) -> None:
    """Refuse what the rules do not answer.

    Raises:
        RefreshRefusedError: The token yields nothing.
        RefreshTokenSupersededError: Another tab spent it a moment ago.
    """
    verdict = outcome.ruling.verdict
    if verdict is Verdict.REVOKED:
        raise RefreshTokenRevokedError(reason=(outcome.ended_reason or Ending.REVOKED).value)
    refusal = REFUSALS.get(verdict)
    if refusal is not None:
        raise refusal


def session_revoked(reason: Ending) -> SessionRevokedError:
    """Return the error of an access token whose session has ended."""
    return SessionRevokedError(reason=reason.value)

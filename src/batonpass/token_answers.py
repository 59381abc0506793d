"""What a login, a refresh or a rights change hands out; refresh tokens as text, both ways."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from batonpass.access_tokens import AccessTokens
from batonpass.clock import Clock
from batonpass.errors import RefreshTokenInvalidError
from batonpass.policy import Policy
from batonpass.refresh_tokens import RefreshToken, Transport, decode, encode
from batonpass.storage.store import Grant


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAnswer:
    """What a login, a refresh or a rights change hands out. Its `repr` shows no token.

    Attributes:
        access_token: A JWT.
        expires_in: Seconds that it lives.
        refresh_token: The current one, as text.
        max_age: Seconds until the nearer of idle and absolute limit.
        session: The session it belongs to.
    """

    access_token: str = field(repr=False)
    expires_in: int
    refresh_token: str = field(repr=False)
    max_age: int
    session: Grant


class TokenAnswers:
    """Writes them, and reads what comes back."""

    def __init__(
        self, mac_keys: Sequence[bytes], access_tokens: AccessTokens, policy: Policy, clock: Clock
    ) -> None:
        """Put the parts together.

        Args:
            mac_keys: Prove that a refresh token is ours; the first issues, all are accepted.
            access_tokens: Issues the other kind.
            policy: How long both live.
            clock: Says when it is.
        """
        self._mac_keys = mac_keys
        self._access_tokens = access_tokens
        self._policy = policy
        self._clock = clock

    def find(self, text: str) -> RefreshToken | None:
        """Read a refresh token; None: it is none of ours."""
        return decode(self._mac_keys, text)

    def read(self, text: str, transport: Transport) -> RefreshToken:
        """Read a refresh token that came by a way.

        Raises:
            RefreshTokenInvalidError: It is none of ours, or travels by the other.
        """
        token = decode(self._mac_keys, text)
        if token is None or token.transport is not transport:
            raise RefreshTokenInvalidError
        return token

    def answer(self, grant: Grant, token: RefreshToken) -> TokenAnswer:
        """Write the answer with a family's current token, and a new access token."""
        now = self._clock.now()
        left = min(grant.expires_at, grant.rotated_at + self._policy.idle_limit) - now
        lifetime = min(self._policy.access_token_lifetime, max(left, timedelta(seconds=1)))
        access_token = self._access_tokens.issue(
            subject=str(grant.user_id),
            family_id=grant.family_id,
            generation=grant.generation,
            auth_time=grant.auth_time,
            now=now,
            lifetime=lifetime,
            extra=grant.claims,
        )
        return TokenAnswer(
            access_token=access_token,
            expires_in=int(lifetime.total_seconds()),
            refresh_token=encode(self._mac_keys[0], token),
            max_age=max(round(left.total_seconds()), 0),
            session=grant,
        )

"""One login in memory, treated as storage treats it: derive, judge, change, answer.

The rules are the real ones (`batonpass.family`), and so is the derivation of successors; what is
left out is what they do not depend on: text forms, MACs, rows. Nonces are counted, not drawn: a
history repeats exactly.
"""

from dataclasses import dataclass
from datetime import datetime
from itertools import count

from batonpass import family as rules
from batonpass import ids
from batonpass.family import Ending, Family, Presented, Verdict
from batonpass.policy import Policy
from batonpass.refresh_tokens import (
    NONCE_BYTES,
    SECRET_BYTES,
    RefreshToken,
    Transport,
    derive_successor,
    digest,
)

KEY = bytes(range(32))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a refresh is answered: the verdict, why the family ended, the token if there is one."""

    verdict: Verdict
    ends: Ending | None = None
    token: RefreshToken | None = None


class Login:
    """A family, the key, and nothing that a database would not have."""

    def __init__(self, policy: Policy, at: datetime) -> None:
        """Log in at `at`; the first token is `first_token`."""
        self._policy = policy
        self._random = count(1)
        self.first_token = RefreshToken(Transport.COOKIE, ids.new_id(at), 0, self._secret())
        self.family = Family(
            id=self.first_token.family_id,
            token=digest(self.first_token.secret),
            nonce=None,
            generation=0,
            recoverable_from=0,
            rights_changed=False,
            window_generation=0,
            window_started_at=None,
            rotated_at=at,
            expires_at=at + policy.absolute_limit,
            ended_at=None,
            ended_reason=None,
            shown_at=at,
        )

    def present(
        self, token: RefreshToken, arrived: datetime, now: datetime | None = None
    ) -> Answer:
        """Refresh with a token that arrived at `arrived` and is judged at `now`."""
        now = arrived if now is None else now
        family = self.family
        opened = derive_successor(KEY, token, family.nonce) if family.nonce is not None else None
        presented = Presented(
            token.generation, digest(token.secret), None if opened is None else digest(opened)
        )
        ruling = rules.judge(family, presented, self._policy, arrived)
        if ruling.ends is not None:
            self.family = rules.end(family, ruling.ends, now)
        match ruling.verdict:
            case Verdict.REPEAT:
                assert opened is not None
                return Answer(ruling.verdict, token=self._issue(opened))
            case Verdict.ROTATE | Verdict.RECOVER:
                nonce = next(self._random).to_bytes(NONCE_BYTES)
                secret = derive_successor(KEY, token, nonce)
                successor = digest(secret)
                self.family = (
                    rules.rotate(family, successor, nonce, self._policy, now)
                    if ruling.verdict is Verdict.ROTATE
                    else rules.recover(family, presented, successor, nonce, self._policy, now)
                )
                return Answer(ruling.verdict, token=self._issue(secret))
            case _:
                return Answer(ruling.verdict, ends=ruling.ends)

    def change_rights(self, now: datetime) -> RefreshToken:
        """Answer a password change: a random token that nobody else can open."""
        secret = self._secret()
        self.family = rules.change_rights(self.family, digest(secret), self._policy, now)
        return self._issue(secret)

    def note_seen(self, generation: int, issued_at: datetime, seen_at: datetime) -> bool:
        """Note that an access token was seen; whether that settled the family."""
        current = self.family.ended_at is None and generation == self.family.generation
        if not (current and self._policy.has_settled(issued_at, seen_at)):
            return False
        self.family = rules.settle(self.family)
        return True

    def _secret(self) -> bytes:
        return digest(b"random %d" % next(self._random))[:SECRET_BYTES]

    def _issue(self, secret: bytes) -> RefreshToken:
        return RefreshToken(Transport.COOKIE, self.family.id, self.family.generation, secret)

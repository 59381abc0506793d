"""Which signing keys count: read by every process, changed by `batonpass keys rotate`.

The keys themselves are derived (keys.py); the table `signing_keys` says when each of them counts.
Each process reads it again every few seconds, so it has heard of a rotation long before the new key
signs anything, and of a withdrawal within a minute.

Source: docs/security.md, S-KEY-2 and S-KEY-3; NIST SP 800-57 part 1 §5.3.6 (cryptoperiods).
"""

import logging
from datetime import datetime, timedelta

from sqlalchemy import Connection

from batonpass.access_tokens import LEEWAY
from batonpass.clock import Clock
from batonpass.events import EventName
from batonpass.keys import (
    LEARNT_WITHIN,
    DeclaredKey,
    KeyRing,
    KeyRotation,
    KeyState,
    NoSigningKeyError,
)
from batonpass.storage.engine import Database
from batonpass.storage.store import Store

logger = logging.getLogger(__name__)
security_log = logging.getLogger("batonpass.security")

POLL_KEYS_SECONDS = 5.0
# A process may sign with the old key until it is told the time: it asks every second.
_LATE_ANSWER = timedelta(minutes=1)


class SigningKeys:
    """What this process knows of `signing_keys`; what it read, its ring takes over."""

    def __init__(
        self,
        database: Database,
        store: Store,
        ring: KeyRing,
        clock: Clock,
        access_token_lifetime: timedelta,
    ) -> None:
        """Start with what needs no row; the first `poll` reads what there is."""
        self.ring = ring
        self._database = database
        self._store = store
        self._clock = clock
        self._overlap = access_token_lifetime + LEEWAY + _LATE_ANSWER
        self._declared: list[DeclaredKey] | None = None
        self._polled_at: float | None = None
        self._complained_of: set[str] = set()

    def is_due(self) -> bool:
        """Whether it is time to read the table again."""
        return not self._was_read_within(POLL_KEYS_SECONDS)

    def is_fresh(self) -> bool:
        """Whether what was read is young enough to be believed."""
        return self._was_read_within(LEARNT_WITHIN.total_seconds())

    async def poll(self) -> None:
        """Read the table.

        Raises:
            StoreUnavailableError: The database cannot be reached.
        """
        started = self._clock.monotonic()
        self._take_over(await self._database.read(self._store.signing_keys))
        self._polled_at = started

    async def list_all(self) -> list[tuple[DeclaredKey, KeyState]]:
        """List every key with what it is good for, oldest first.

        Raises:
            StoreUnavailableError: The database cannot be reached.
        """
        declared = await self._database.read(self._store.signing_keys)
        return self.ring.states(declared, self._clock.now())

    def rotate(self, connection: Connection, now: datetime, *, withdraw: bool) -> KeyRotation:
        """Write the next key's row, and the end of the older ones.

        Raises:
            ConfigurationError: More keys would be accepted at once than a verifier takes.
        """
        self._store.lock_signing_keys(connection)
        declared = self._store.signing_keys(connection)
        rotation = self.ring.plan_rotation(declared, now, overlap=self._overlap, withdraw=withdraw)
        self._store.write_signing_keys(connection, rotation.changed)
        return rotation

    def _was_read_within(self, seconds: float) -> bool:
        polled_at = self._polled_at
        return polled_at is not None and self._clock.monotonic() - polled_at <= seconds

    def _take_over(self, declared: list[DeclaredKey]) -> None:
        if declared == self._declared:
            return
        unknown = self.ring.declare(declared)
        self._declared = declared
        now = self._clock.now()
        for row in unknown:
            # Once over it cannot matter. Else somebody edited it, or SECRET_KEY lacks its secret.
            if row.kid not in self._complained_of and not row.period.is_over(now):
                self._complained_of.add(row.kid)
                security_log.warning(
                    EventName.DECRYPTION_FAILED.value,
                    extra={"kid": row.kid, "number": row.period.number, "table": "signing_keys"},
                )
        try:
            issuing = self.ring.issuing(now)
        except NoSigningKeyError:
            logger.exception("no_signing_key")
        else:
            logger.info("signing_keys_read", extra={"issuing": issuing.kid})

"""Identifiers that carry the time they were made at: UUIDv7.

Ordered by time; never issued twice, also where a restored backup has forgotten them, and not to be
guessed, for 74 of their bits are random (S-RT-8). Purging is a range of the primary key.

Source: RFC 9562 §5.7.
"""

import secrets
from datetime import UTC, datetime, timedelta
from uuid import UUID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_VERSION_7 = 7 << 76
_VARIANT = 0b10 << 62
_RANDOM_A_MASK = 0xFFF << 64
_RANDOM_B_MASK = (1 << 62) - 1


def new_id(now: datetime) -> UUID:
    """Make an id that carries `now` to the millisecond and 74 random bits."""
    milliseconds = (now - _EPOCH) // _MILLISECOND
    random = secrets.randbits(76)
    return UUID(
        int=milliseconds << 80
        | _VERSION_7
        | (random & _RANDOM_A_MASK)
        | _VARIANT
        | (random & _RANDOM_B_MASK)
    )


def made_at(identifier: UUID) -> datetime:
    """Return when the id was made, to the millisecond below."""
    return _EPOCH + (identifier.int >> 80) * _MILLISECOND


def lowest_id(at: datetime) -> UUID:
    """Return the lower bound of all ids made at `at` or later: what a purge compares with."""
    return UUID(int=((at - _EPOCH) // _MILLISECOND) << 80)

"""Families and tokens as a test speaks of them: by generation, at times counted from T0."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypedDict, Unpack
from uuid import UUID

from batonpass import ids
from batonpass.family import Ending, Family, Presented
from batonpass.policy import Policy
from batonpass.refresh_tokens import NONCE_BYTES, digest

T0 = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)  # when the current token of `a_family()` was made
TICK = timedelta.resolution  # one microsecond: the least by which two times differ
POLICY = Policy()
STRICT = Policy(grace=timedelta(0))
GRACE = POLICY.grace
IDLE = POLICY.idle_limit
BEGAN = T0 - timedelta(days=1)  # the login
NONCE = bytes(range(NONCE_BYTES))


class FamilyChanges(TypedDict, total=False):
    """What a test may want to be different in `a_family()`."""

    id: UUID
    token: bytes
    nonce: bytes | None
    generation: int
    recoverable_from: int
    rights_changed: bool
    window_generation: int
    window_started_at: datetime | None
    rotated_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    ended_reason: Ending | None
    shown_at: datetime


def token_digest(generation: int) -> bytes:
    """What the row of a family keeps while this generation is current."""
    return digest(b"the secret of generation %d" % generation)


def a_family(**changes: Unpack[FamilyChanges]) -> Family:
    """Make a family that rotated at T0, to generation 7; the ones before 5 have been left behind.

    Generation 6 opens the row, and its window is open since T0, from generation 5 on.
    """
    family = Family(
        id=ids.new_id(BEGAN),
        token=token_digest(changes.get("generation", 7)),
        nonce=NONCE,
        generation=7,
        recoverable_from=5,
        rights_changed=False,
        window_generation=5,
        window_started_at=T0,
        rotated_at=T0,
        expires_at=BEGAN + POLICY.absolute_limit,
        ended_at=None,
        ended_reason=None,
        shown_at=T0 - timedelta(hours=1),
    )
    return replace(family, **changes)


def a_login(*, at: datetime = T0) -> Family:
    """Make a family as a login at `at` writes it: generation 0, no nonce, no window."""
    return a_family(
        id=ids.new_id(at),
        nonce=None,
        generation=0,
        recoverable_from=0,
        window_generation=0,
        window_started_at=None,
        rotated_at=at,
        expires_at=at + POLICY.absolute_limit,
        shown_at=at,
    )


def the_token(*, generation: int, opens: int | None = -1) -> Presented:
    """Make the family's token of a generation, as `judge` is shown it.

    Args:
        generation: Its number.
        opens: The generation that it derives with the row's nonce: by default the next one, as
            after a rotation; None: the row has no nonce.
    """
    if opens is None:
        return Presented(generation, token_digest(generation), None)
    successor = generation + 1 if opens == -1 else opens
    return Presented(generation, token_digest(generation), token_digest(successor))

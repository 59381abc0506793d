"""Verified once and remembered; believed no longer than a token that is verified each time."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from batonpass.access_tokens import LEEWAY, AccessTokenRefusedError, AccessTokens, Claims
from batonpass.keys import KeyRing
from batonpass.verified_tokens import VerifiedTokens

SECRET = bytes.fromhex("3a7f1c9be2d4405861fa0c77b39de815a6c2f0914e8b5d23970c6fd1be48a352")
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LIFETIME = timedelta(minutes=30)
TICK = timedelta(microseconds=1)
FAMILY_ID = UUID("01936f3c-0000-7000-8000-0123456789ab")


class Counting(AccessTokens):
    """The real thing, that also counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__(KeyRing([SECRET], "ES256"), "batonpass", "batonpass")
        self.asked = 0

    def verify(self, token: str, now: datetime, *, expired_by: timedelta = timedelta(0)) -> Claims:
        self.asked += 1
        return super().verify(token, now, expired_by=expired_by)


def a_token(tokens: AccessTokens, generation: int = 0) -> str:
    return tokens.issue(
        subject="42",
        family_id=FAMILY_ID,
        generation=generation,
        auth_time=NOW,
        now=NOW,
        lifetime=LIFETIME,
    )


def test_a_token_is_verified_once() -> None:
    tokens = Counting()
    verified = VerifiedTokens(tokens)
    token = a_token(tokens)

    first = verified.verify(token, NOW)
    again = verified.verify(token, NOW + TICK)

    assert again is first
    assert first == AccessTokens.verify(tokens, token, NOW)
    assert tokens.asked == 1


def test_s_jwt_9_what_is_remembered_ends_with_the_token() -> None:
    tokens = Counting()
    verified = VerifiedTokens(tokens)
    token = a_token(tokens)
    verified.verify(token, NOW)

    verified.verify(token, NOW + LIFETIME + LEEWAY - TICK)

    with pytest.raises(AccessTokenRefusedError) as refused:
        verified.verify(token, NOW + LIFETIME + LEEWAY)
    assert refused.value.problem == "expired"


def test_s_jwt_9_what_is_remembered_is_not_believed_before_its_time() -> None:
    """Not where a clock was set back since either (A20)."""
    tokens = Counting()
    verified = VerifiedTokens(tokens)
    token = a_token(tokens)
    verified.verify(token, NOW)

    verified.verify(token, NOW - LEEWAY)

    with pytest.raises(AccessTokenRefusedError) as refused:
        verified.verify(token, NOW - LEEWAY - TICK)
    assert refused.value.problem == "issued_in_the_future"


def test_s_jwt_9_a_withdrawn_key_is_forgotten_with_all_that_it_signed() -> None:
    tokens = Counting()
    verified = VerifiedTokens(tokens)
    token = a_token(tokens)
    verified.verify(token, NOW)

    rotation = tokens.ring.plan_rotation([], NOW, overlap=LIFETIME, withdraw=True)
    tokens.ring.declare(rotation.changed)

    with pytest.raises(AccessTokenRefusedError) as refused:
        verified.verify(token, NOW + TICK)
    assert refused.value.problem == "unknown_kid"


def test_s_jwt_9_a_token_that_differs_in_its_last_letter_is_another() -> None:
    tokens = Counting()
    verified = VerifiedTokens(tokens)
    token = a_token(tokens)
    verified.verify(token, NOW)

    with pytest.raises(AccessTokenRefusedError):
        verified.verify(token[:-1] + ("A" if token[-1] != "A" else "Q"), NOW)
    with pytest.raises(AccessTokenRefusedError):
        verified.verify(token + "\ud800", NOW)


def test_a_refused_token_is_refused_again() -> None:
    tokens = Counting()
    verified = VerifiedTokens(tokens)

    for _ in range(2):
        with pytest.raises(AccessTokenRefusedError):
            verified.verify("rubbish", NOW)

    assert tokens.asked == 2


def test_s_jwt_9_so_many_are_remembered_and_the_one_unused_for_longest_goes() -> None:
    tokens = Counting()
    verified = VerifiedTokens(tokens, size=2)
    old, used, new = (a_token(tokens, generation) for generation in range(3))
    for token in (old, used, old, new):
        verified.verify(token, NOW)
    assert tokens.asked == 3

    verified.verify(old, NOW)
    assert tokens.asked == 3
    verified.verify(used, NOW)
    assert tokens.asked == 4

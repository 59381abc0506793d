"""What is derived from a secret."""

import base64
import dataclasses
import hashlib
import hmac
import json
import warnings
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, get_args

import pytest

from batonpass.errors import ConfigurationError
from batonpass.keys import (
    MAX_ACCEPTED_KEYS,
    Algorithm,
    DeclaredKey,
    KeyPeriod,
    KeyRing,
    Keys,
    KeyState,
    NoSigningKeyError,
    SigningKey,
    derive,
    secrets_of,
)

ALGORITHMS = get_args(Algorithm)
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
OLD = bytes.fromhex("3a7f1c9be2d4405861fa0c77b39de815a6c2f0914e8b5d23970c6fd1be48a352")
NEW = bytes.fromhex("c81e05d7936ab24f7d20e9583bf4160c9da571e8624fb03917dc8a65f02b4ed3")


def base64url(secret: bytes) -> str:
    return base64.urlsafe_b64encode(secret).decode()


# --- deriving ----------------------------------------------------------------------------------


def hkdf(secret: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869 in six lines, to hold ours against."""
    pseudorandom = hmac.digest(bytes(32), secret, "sha256")
    output, block, count = b"", b"", 0
    while len(output) < length:
        count += 1
        block = hmac.digest(pseudorandom, block + info + bytes([count]), "sha256")
        output += block
    return output[:length]


USES = (
    "refresh-mac", "successor", "throttle", "log", "registration", "of/staff",
    *(f"{kind}/{algorithm}/{n}" for kind in ("sign", "kid") for algorithm in ALGORITHMS
      for n in (1, 2)),
)  # fmt: skip


@pytest.mark.parametrize(("use", "length"), [(use, 32) for use in USES] + [("sign/ES256/1", 48)])
def test_s_key_1_a_key_is_hkdf_of_its_label(use: str, length: int) -> None:
    assert derive(OLD, use, length) == hkdf(OLD, f"batonpass/{use}/1".encode(), length)


def test_s_key_1_keys_never_change_from_one_release_to_the_next() -> None:
    keys = Keys.derive_from([OLD])

    assert keys.refresh_mac[0].hex()[:16] == "e34b2b3580d14b4b"
    assert keys.successor[0].hex()[:16] == "164a6b3ea18bf017"
    assert keys.throttle.hex()[:16] == "c3bee5d9ae5e88f5"
    assert keys.log.hex()[:16] == "d87cee87e0d38be3"
    assert SigningKey(OLD, "ES256", 1).kid == "k3fcRMbkchj3xL29Je0bs5IrmNjfKlsqz_ZOZ002mok"
    assert SigningKey(OLD, "EdDSA", 1).kid == "qTzqjrAZs1fCPDk5VDr4hasnRF7ErNhEHrNA6fgKTAE"
    assert SigningKey(OLD, "HS256", 1).kid == "Jyj7VifGMi0nAUB1EUn689PYEjDgoOd1oz8psrb0ZQM"


def test_s_key_1_every_use_has_a_key_of_its_own() -> None:
    keys = Keys.derive_from([NEW, OLD])

    every = [*keys.refresh_mac, *keys.successor, keys.throttle, keys.log, NEW, OLD]
    assert len(set(every)) == len(every) == 8
    labelled = {derive(secret, use) for secret in (OLD, NEW) for use in USES}
    assert len(labelled) == 2 * len(USES)
    assert set(every) <= labelled | {NEW, OLD}
    theirs = Keys.derive_from(secrets_of("staff", [OLD]))
    assert not {*theirs.refresh_mac, *theirs.successor, theirs.throttle, theirs.log} & labelled


def test_s_key_4_all_secrets_are_accepted_and_the_first_issues() -> None:
    keys = Keys.derive_from([NEW, OLD])

    assert keys.refresh_mac == (derive(NEW, "refresh-mac"), derive(OLD, "refresh-mac"))
    assert keys.successor == (derive(NEW, "successor"), derive(OLD, "successor"))
    assert keys.throttle == derive(NEW, "throttle")
    assert keys.log == derive(NEW, "log")


def test_without_a_secret_there_is_no_key() -> None:
    with pytest.raises(ConfigurationError, match="SECRET_KEY"):
        Keys.derive_from([])
    with pytest.raises(ConfigurationError, match="SECRET_KEY"):
        KeyRing([], "ES256")


def test_no_key_shows_itself() -> None:
    keys = Keys.derive_from([OLD])
    signing = SigningKey(OLD, "HS256", 1)

    shown = repr(keys) + str(keys) + repr(signing) + str(signing)
    derived = [*keys.refresh_mac, *keys.successor, keys.throttle, keys.log]
    for key in [OLD, *derived, derive(OLD, "sign/HS256/1")]:
        assert key.hex() not in shown
        assert repr(key)[2:-1] not in shown
        assert base64url(key).rstrip("=") not in shown


def test_keys_cannot_be_changed() -> None:
    keys = Keys.derive_from([OLD])

    with pytest.raises(dataclasses.FrozenInstanceError):
        keys.log = b""  # type: ignore[misc]  # that is what is tested


# --- signing keys ------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_verifies_what_it_signed_and_nothing_else(algorithm: Algorithm) -> None:
    key = SigningKey(OLD, algorithm, 1)
    same, other = SigningKey(OLD, algorithm, 1), SigningKey(OLD, algorithm, 2)

    signature = key.sign(b"a message")

    assert same.verify(b"a message", signature)
    assert not other.verify(b"a message", signature)
    assert not key.verify(b"another message", signature)
    for bit in range(len(signature) * 8):
        flipped = bytearray(signature)
        flipped[bit // 8] ^= 1 << bit % 8
        assert not key.verify(b"a message", bytes(flipped))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("signature", [
    pytest.param(b"", id="empty"),
    pytest.param(bytes(64), id="zeros (CVE-2022-21449)"),
    pytest.param(b"\xff" * 64, id="all ones"),
    pytest.param(bytes(63), id="a byte short"),
    pytest.param(bytes(65), id="a byte long"),
    pytest.param(bytes(32), id="half"),
])  # fmt: skip
def test_a_made_up_signature_is_refused(algorithm: Algorithm, signature: bytes) -> None:
    assert not SigningKey(OLD, algorithm, 1).verify(b"a message", signature)


def test_an_es256_signature_is_r_and_s_in_32_bytes_each() -> None:
    key = SigningKey(OLD, "ES256", 1)

    lengths = {len(key.sign(bytes([n]))) for n in range(256)}  # one r in 256 begins with a zero

    assert lengths == {64}


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
def test_s_key_2_a_kid_is_the_public_keys_thumbprint(algorithm: Algorithm) -> None:
    key = SigningKey(OLD, algorithm, 1)
    jwk = key.public_jwk()
    assert jwk is not None

    required = {name: jwk[name] for name in ("crv", "kty", "x", "y") if name in jwk}
    canonical = json.dumps(required, separators=(",", ":"), sort_keys=True).encode()
    assert key.kid == base64url(hashlib.sha256(canonical).digest()).rstrip("=")


def test_s_key_2_an_hs256_kid_tells_nothing_of_its_key() -> None:
    key = SigningKey(OLD, "HS256", 1)
    secret = derive(OLD, "sign/HS256/1")

    thumbprinted = json.dumps({"k": base64url(secret).rstrip("="), "kty": "oct"},
                              separators=(",", ":")).encode()  # fmt: skip
    guessed = {base64url(hashlib.sha256(one).digest()) for one in (secret, thumbprinted)}
    assert key.kid + "=" not in guessed | {base64url(secret)}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_secret_number_and_algorithm_has_a_kid_of_its_own(algorithm: Algorithm) -> None:
    kids = {
        SigningKey(secret, each, number).kid
        for secret in (OLD, NEW)
        for each in ALGORITHMS
        for number in (1, 2)
    }

    assert len(kids) == 12
    assert SigningKey(OLD, algorithm, 1).kid in kids


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
def test_s_jwt_11_the_jwks_holds_public_members_alone(algorithm: Algorithm) -> None:
    ring = KeyRing([NEW, OLD], algorithm, [KeyPeriod(number=1), KeyPeriod(number=2)])

    jwks = ring.jwks(NOW)["keys"]

    assert len({jwk["kid"] for jwk in jwks}) == 4
    for jwk in jwks:
        assert jwk["alg"] == algorithm
        assert jwk["use"] == "sig"
        assert set(jwk) <= {"kty", "crv", "x", "y", "kid", "use", "alg"}


def test_s_jwt_11_hs256_publishes_nothing() -> None:
    assert KeyRing([OLD], "HS256").jwks(NOW) == {"keys": []}


# --- the ring ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("now", "issues", "accepted"), [
    pytest.param(NOW - TICK, 1, {1, 2}, id="the next one is published before it issues"),
    pytest.param(NOW, 2, {1, 2}, id="from its moment on it issues"),
    pytest.param(NOW + timedelta(hours=1) - TICK, 2, {1, 2}, id="what the old one signed is good"),
    pytest.param(NOW + timedelta(hours=1), 2, {2}, id="until the last of it is over"),
])  # fmt: skip
def test_s_key_3_a_rotation_of_signing_keys(now: datetime, issues: int, accepted: set[int]) -> None:
    ring = KeyRing([OLD], "ES256", [
        KeyPeriod(number=1, counts_until=NOW + timedelta(hours=1)),
        KeyPeriod(number=2, counts_from=NOW),
    ])  # fmt: skip
    kids = {number: SigningKey(OLD, "ES256", number).kid for number in (1, 2)}

    assert ring.issuing(now).number == issues
    assert {number for number, kid in kids.items() if ring.find(kid, now)} == accepted
    assert {jwk["kid"] for jwk in ring.jwks(now)["keys"]} == {kids[number] for number in accepted}


def test_a_withdrawn_key_leaves_the_one_before_it_issuing() -> None:
    ring = KeyRing([OLD], "ES256", [KeyPeriod(number=1), KeyPeriod(number=2, counts_until=NOW)])

    assert ring.issuing(NOW - TICK).number == 2
    assert ring.issuing(NOW).number == 1


def test_s_key_4_a_change_of_secret_accepts_both_and_issues_with_the_first() -> None:
    ring = KeyRing([NEW, OLD], "ES256")

    old = SigningKey(OLD, "ES256", 1)
    found = ring.find(old.kid, NOW)
    assert ring.issuing(NOW).kid == SigningKey(NEW, "ES256", 1).kid
    assert found is not None
    assert found.verify(b"a message", old.sign(b"a message"))


@pytest.mark.parametrize("periods", [
    pytest.param([KeyPeriod(number=1, counts_until=NOW)], id="all are over"),
    pytest.param([KeyPeriod(number=1, counts_from=NOW + TICK)], id="none has begun"),
])  # fmt: skip
def test_a_ring_without_a_key_that_counts_says_so(periods: list[KeyPeriod]) -> None:
    with pytest.raises(NoSigningKeyError, match="keys rotate"):
        KeyRing([OLD], "ES256", periods).issuing(NOW)


def test_a_ring_needs_a_period() -> None:
    with pytest.raises(ConfigurationError, match="keys rotate"):
        KeyRing([OLD], "ES256", [])


def test_s_key_3_a_retired_key_is_found_a_while_longer_and_a_withdrawn_one_never() -> None:
    retired, withdrawn = SigningKey(OLD, "ES256", 1), SigningKey(OLD, "ES256", 2)
    ring = KeyRing([OLD], "ES256", [
        KeyPeriod(number=1, counts_until=NOW),
        KeyPeriod(number=2, counts_until=NOW, is_withdrawn=True),
    ])  # fmt: skip
    day = timedelta(days=1)

    assert ring.find(retired.kid, NOW + day - TICK, ended_by=day) is not None
    assert ring.find(retired.kid, NOW + day, ended_by=day) is None
    assert ring.find(withdrawn.kid, NOW, ended_by=day) is None
    assert ring.find(withdrawn.kid, NOW - TICK) is None, "a clock may be behind"


# --- what the database says --------------------------------------------------------------------


OVERLAP = timedelta(minutes=31)
ANNOUNCED_FOR = timedelta(seconds=180)  # 60 until everybody knows, 120 in every JWKS


def a_row(
    secret: bytes,
    number: int,
    algorithm: Algorithm = "ES256",
    **period: Any,  # KeyPeriod's
) -> DeclaredKey:
    return DeclaredKey(
        kid=SigningKey(secret, algorithm, number).kid,
        algorithm=algorithm,
        period=KeyPeriod(number=number, **period),
    )


def after(
    ring: KeyRing, rows: list[DeclaredKey], now: datetime, *, withdraw: bool = False
) -> list[DeclaredKey]:
    """Rotate, and return the table as it is then."""
    done = ring.plan_rotation(rows, now, overlap=OVERLAP, withdraw=withdraw)
    return list(({row.kid: row for row in rows} | {row.kid: row for row in done.changed}).values())


def shown(ring: KeyRing, rows: list[DeclaredKey], now: datetime) -> dict[int, KeyState]:
    return {row.period.number: state for row, state in ring.states(rows, now)}


def test_without_a_row_the_first_key_counts_since_ever() -> None:
    ring = KeyRing([OLD], "ES256")

    assert ring.declare([]) == ()
    assert ring.issuing(NOW).number == 1
    assert shown(ring, [], NOW) == {1: KeyState.ISSUING}


BEGINS = NOW + ANNOUNCED_FOR


@pytest.mark.parametrize(("now", "first", "second"), [
    pytest.param(NOW,                    KeyState.ISSUING,  KeyState.ANNOUNCED, id="announced"),
    pytest.param(BEGINS - TICK,          KeyState.ISSUING,  KeyState.ANNOUNCED, id="up to 180 s"),
    pytest.param(BEGINS,                 KeyState.ACCEPTED, KeyState.ISSUING,   id="then it signs"),
    pytest.param(BEGINS + OVERLAP - TICK, KeyState.ACCEPTED, KeyState.ISSUING,
                 id="until the last token of the old one is over"),
    pytest.param(BEGINS + OVERLAP,       KeyState.OVER,     KeyState.ISSUING,   id="it is gone"),
])  # fmt: skip
def test_s_key_3_a_rotation_as_time_passes(
    now: datetime, first: KeyState, second: KeyState
) -> None:
    ring = KeyRing([OLD], "ES256")
    rows = after(ring, [], NOW)

    ring.declare(rows)

    assert shown(ring, rows, now) == {1: first, 2: second}
    assert ring.issuing(now).number == (1 if first is KeyState.ISSUING else 2)
    published = {jwk["kid"] for jwk in ring.jwks(now)["keys"]}
    gone = first is KeyState.OVER
    assert published == {SigningKey(OLD, "ES256", n).kid for n in ((2,) if gone else (1, 2))}


def test_s_key_3_a_withdrawal_ends_all_that_was_and_signs_at_once() -> None:
    ring = KeyRing([OLD], "ES256")
    rows = after(ring, after(ring, [], NOW), NOW + TICK, withdraw=True)

    ring.declare(rows)

    assert shown(ring, rows, NOW + TICK) == {
        1: KeyState.WITHDRAWN, 2: KeyState.WITHDRAWN, 3: KeyState.ISSUING
    }  # fmt: skip
    assert ring.issuing(NOW + TICK).number == 3
    assert [jwk["kid"] for jwk in ring.jwks(NOW)["keys"]] == [SigningKey(OLD, "ES256", 3).kid]


def test_a_key_that_was_over_is_withdrawn_too_and_its_end_stands() -> None:
    """Else a forger could still log people out with it: a logout takes old tokens."""
    ring = KeyRing([OLD], "ES256")
    rows = after(ring, [], NOW)
    later = BEGINS + OVERLAP + timedelta(hours=1)

    done = ring.plan_rotation(rows, later, overlap=OVERLAP, withdraw=True)

    ends = {row.period.number: row.period.counts_until for row in done.withdrawn}
    assert ends == {1: BEGINS + OVERLAP, 2: later}


def test_a_second_rotation_leaves_the_ends_that_were_told() -> None:
    ring = KeyRing([OLD], "ES256")
    once = after(ring, [], NOW)

    done = ring.plan_rotation(once, NOW + TICK, overlap=OVERLAP, withdraw=False)

    assert [row.period.number for row in done.added] == [3]
    assert [(row.period.number, row.period.counts_until) for row in done.retired] == [
        (2, BEGINS + TICK + OVERLAP)
    ]


def test_every_secret_gets_the_next_key_and_the_first_ones_signs() -> None:
    ring = KeyRing([NEW, OLD], "ES256")
    rows = after(ring, [], NOW)

    ring.declare(rows)

    assert len(rows) == 4
    assert ring.issuing(BEGINS).kid == SigningKey(NEW, "ES256", 2).kid
    assert [state for _, state in ring.states(rows, BEGINS)].count(KeyState.ISSUING) == 1
    assert ring.find(SigningKey(OLD, "ES256", 2).kid, NOW) is not None


def test_s_key_4_a_change_of_secret_after_rotations_needs_no_row() -> None:
    """old,new → new,old → new: each step knows what the step before signed with."""
    rows = after(KeyRing([OLD], "ES256"), [], NOW)
    steps = [KeyRing(secrets, "ES256") for secrets in ([OLD], [OLD, NEW], [NEW, OLD], [NEW])]
    for ring in steps:
        ring.declare(rows)

    signed_by = [ring.issuing(BEGINS) for ring in steps]

    assert [key.number for key in signed_by] == [2, 2, 1, 1]
    for before, then in pairwise(range(len(steps))):  # both run while the change rolls
        assert steps[then].find(signed_by[before].kid, BEGINS) is not None
        assert steps[before].find(signed_by[then].kid, BEGINS) is not None


def test_a_number_is_never_used_twice() -> None:
    """Also where its row was edited: else a withdrawn key could come back as the next one."""
    edited = DeclaredKey(kid="x" * 43, algorithm="ES256", period=KeyPeriod(number=7))

    done = KeyRing([OLD], "ES256").plan_rotation([edited], NOW, overlap=OVERLAP, withdraw=False)

    assert [row.period.number for row in done.added] == [8]
    assert edited.kid not in {row.kid for row in done.changed}, "it is not ours to end"


@pytest.mark.parametrize("edited", [
    pytest.param({"kid": SigningKey(NEW, "ES256", 2).kid}, id="another secret's key"),
    pytest.param({"kid": SigningKey(OLD, "ES256", 3).kid}, id="another number's key"),
    pytest.param({"period": KeyPeriod(number=3)}, id="another number"),
])  # fmt: skip
def test_s_key_2_a_row_that_was_edited_is_ignored(edited: dict[str, Any]) -> None:
    good, row = a_row(OLD, 1), a_row(OLD, 2)
    bad = dataclasses.replace(row, **edited)
    ring = KeyRing([OLD], "ES256")

    ignored = ring.declare([good, bad])

    assert ignored == (bad,)
    assert ring.find(row.kid, NOW) is None
    assert ring.find(bad.kid, NOW) is None
    assert ring.issuing(NOW).number == 1
    assert shown(ring, [good, bad], NOW)[bad.period.number] is KeyState.UNKNOWN


def test_keys_of_another_algorithm_are_left_alone() -> None:
    ring = KeyRing([OLD], "EdDSA")
    rows = [a_row(OLD, 4, counts_until=NOW)]

    assert ring.declare(rows) == ()
    assert ring.issuing(NOW).number == 1
    done = ring.plan_rotation(rows, NOW, overlap=OVERLAP, withdraw=True)
    assert [row.algorithm for row in done.changed] == ["EdDSA", "EdDSA"]


def test_no_more_keys_are_accepted_than_a_verifier_takes() -> None:
    ring = KeyRing([NEW, OLD], "HS256")
    rows: list[DeclaredKey] = []
    for _ in range(MAX_ACCEPTED_KEYS - 1):
        rows = after(ring, rows, NOW)

    with pytest.raises(ConfigurationError, match="--withdraw"):
        after(ring, rows, NOW)

    assert len(after(ring, rows, NOW, withdraw=True)) == 2 * (MAX_ACCEPTED_KEYS + 1)
    assert len(after(ring, rows, BEGINS + OVERLAP)) == 2 * (MAX_ACCEPTED_KEYS + 1)


def test_an_unknown_kid_is_not_found() -> None:
    assert KeyRing([OLD], "ES256").find("unknown", NOW) is None


def test_deriving_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for algorithm in ALGORITHMS:
            key = SigningKey(OLD, algorithm, 1)
            assert key.verify(b"", key.sign(b""))

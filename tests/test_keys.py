"""What may be a secret, and what is derived from one."""

import base64
import dataclasses
import hashlib
import hmac
import json
import secrets
import warnings
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest

from batonpass.errors import ConfigurationError
from batonpass.keys import Algorithm, KeyPeriod, KeyRing, Keys, SigningKey, derive, parse_secrets

ALGORITHMS = get_args(Algorithm)
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
OLD = bytes.fromhex("3a7f1c9be2d4405861fa0c77b39de815a6c2f0914e8b5d23970c6fd1be48a352")
NEW = bytes.fromhex("c81e05d7936ab24f7d20e9583bf4160c9da571e8624fb03917dc8a65f02b4ed3")


def base64url(secret: bytes) -> str:
    return base64.urlsafe_b64encode(secret).decode()


# --- reading SECRET_KEY ------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "read"), [
    pytest.param(OLD.hex(), (OLD,), id="hex"),
    pytest.param(OLD.hex().upper(), (OLD,), id="hex in capitals"),
    pytest.param(base64url(OLD), (OLD,), id="base64url with its padding"),
    pytest.param(base64url(OLD).rstrip("="), (OLD,), id="base64url without"),
    pytest.param(f" {NEW.hex()} , {base64url(OLD)} ", (NEW, OLD), id="the first one issues"),
    pytest.param(f"{OLD.hex()},{base64url(OLD)}", (OLD,), id="the same twice counts once"),
    pytest.param((OLD + NEW).hex(), (OLD + NEW,), id="longer than needed"),
])  # fmt: skip
def test_a_good_secret_is_read(text: str, read: tuple[bytes, ...]) -> None:
    assert parse_secrets(text) == read


@pytest.mark.parametrize(("text", "problem"), [
    pytest.param("", "is empty", id="nothing"),
    pytest.param(OLD.hex() + ",", "key 2 is empty", id="a comma too many"),
    pytest.param(OLD[:31].hex(), "31 bytes", id="one byte short, hex"),
    pytest.param(base64url(OLD[:31]), "31 bytes", id="one byte short, base64url"),
    pytest.param(OLD.hex()[:-1], "odd number", id="a digit got lost"),
    pytest.param(OLD.hex() + "!", "neither hex nor base64url", id="another character"),
    pytest.param("+/" + base64url(OLD), "neither hex nor base64url", id="plain base64"),
    pytest.param("é" * 64, "neither hex nor base64url", id="not ASCII"),
    pytest.param("Z" * 45, "neither hex nor base64url", id="a length that base64url never has"),
    pytest.param("my-very-own-Secret-that-is-long-enough-for-all", "everybody", id="a phrase"),
    pytest.param("ChangeMe" + base64url(OLD)[:36], "everybody", id="a default with a tail"),
    pytest.param("09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7", "everybody",
                 id="the one of FastAPI's tutorial"),
    pytest.param(hashlib.sha256(b"password").hexdigest(), "everybody", id="a word, hashed"),
    pytest.param("00" * 32, "pattern", id="zeros"),
    pytest.param("Z" * 43, "pattern", id="one letter"),
    pytest.param("deadbeef" * 8, "pattern", id="a short period"),
    pytest.param("0123456789abcdef" * 4, "pattern", id="a longer period"),
    pytest.param("xyz-12" * 10, "pattern", id="a period that base64url hides"),
    pytest.param(bytes(range(32)).hex(), "pattern", id="counting up"),
    pytest.param(bytes(range(255, 191, -2)).hex(), "pattern", id="counting down by two"),
    pytest.param("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQR", "pattern", id="the alphabet"),
    pytest.param("00" * 40 + OLD[:8].hex(), "pattern", id="mostly zeros"),
    pytest.param(bytes([*OLD[:10], *OLD[9::-1], *OLD[:12]]).hex(), "pattern", id="few bytes"),
    pytest.param(f"{OLD.hex()},{NEW[:31].hex()}", "key 2 has 31 bytes", id="the second is short"),
])  # fmt: skip
def test_a_bad_secret_is_refused_with_its_cure(text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse_secrets(text)

    assert "SECRET_KEY" in refused.value.detail
    assert problem in refused.value.detail
    assert "secrets.token_hex(32)" in refused.value.detail


def test_a_refusal_shows_nothing_of_the_secret() -> None:
    text = OLD[:31].hex()

    with pytest.raises(ConfigurationError) as refused:
        parse_secrets(text)

    shown = repr(refused.value) + refused.value.detail
    assert not any(text[at : at + 6] in shown for at in range(len(text) - 5))


def test_a_random_secret_is_never_refused() -> None:
    for _ in range(500):
        secret = secrets.token_bytes(32)
        assert parse_secrets(secret.hex()) == parse_secrets(base64url(secret)) == (secret,)


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


@pytest.mark.parametrize(("use", "length"), [("refresh-mac", 32), ("sign/ES256/1", 48)])
def test_a_key_is_hkdf_of_its_label(use: str, length: int) -> None:
    assert derive(OLD, use, length) == hkdf(OLD, f"batonpass/{use}/1".encode(), length)


def test_keys_never_change_from_one_release_to_the_next() -> None:
    keys = Keys.derive_from([OLD])

    assert keys.refresh_mac[0].hex()[:16] == "e34b2b3580d14b4b"
    assert keys.successor[0].hex()[:16] == "164a6b3ea18bf017"
    assert keys.throttle.hex()[:16] == "c3bee5d9ae5e88f5"
    assert keys.log.hex()[:16] == "d87cee87e0d38be3"
    assert SigningKey(OLD, "ES256", 1).kid == "k3fcRMbkchj3xL29Je0bs5IrmNjfKlsqz_ZOZ002mok"
    assert SigningKey(OLD, "EdDSA", 1).kid == "qTzqjrAZs1fCPDk5VDr4hasnRF7ErNhEHrNA6fgKTAE"
    assert SigningKey(OLD, "HS256", 1).kid == "Jyj7VifGMi0nAUB1EUn689PYEjDgoOd1oz8psrb0ZQM"


def test_every_use_has_a_key_of_its_own() -> None:
    keys = Keys.derive_from([NEW, OLD])

    every = [*keys.refresh_mac, *keys.successor, keys.throttle, keys.log, NEW, OLD]
    assert len(set(every)) == len(every) == 8


def test_all_secrets_are_accepted_and_the_first_issues() -> None:
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
def test_a_kid_is_the_public_keys_thumbprint(algorithm: Algorithm) -> None:
    key = SigningKey(OLD, algorithm, 1)
    jwk = key.public_jwk()
    assert jwk is not None

    required = {name: jwk[name] for name in ("crv", "kty", "x", "y") if name in jwk}
    canonical = json.dumps(required, separators=(",", ":"), sort_keys=True).encode()
    assert key.kid == base64url(hashlib.sha256(canonical).digest()).rstrip("=")


def test_an_hs256_kid_tells_nothing_of_its_key() -> None:
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
def test_the_jwks_holds_public_members_alone(algorithm: Algorithm) -> None:
    ring = KeyRing([NEW, OLD], algorithm, [KeyPeriod(number=1), KeyPeriod(number=2)])

    jwks = ring.jwks(NOW)["keys"]

    assert len({jwk["kid"] for jwk in jwks}) == 4
    for jwk in jwks:
        assert jwk["alg"] == algorithm
        assert jwk["use"] == "sig"
        assert set(jwk) <= {"kty", "crv", "x", "y", "kid", "use", "alg"}


def test_hs256_publishes_nothing() -> None:
    assert KeyRing([OLD], "HS256").jwks(NOW) == {"keys": []}


# --- the ring ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("now", "issues", "accepted"), [
    pytest.param(NOW - TICK, 1, {1, 2}, id="the next one is published before it issues"),
    pytest.param(NOW, 2, {1, 2}, id="from its moment on it issues"),
    pytest.param(NOW + timedelta(hours=1) - TICK, 2, {1, 2}, id="what the old one signed is good"),
    pytest.param(NOW + timedelta(hours=1), 2, {2}, id="until the last of it is over"),
])  # fmt: skip
def test_a_rotation_of_signing_keys(now: datetime, issues: int, accepted: set[int]) -> None:
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


def test_a_change_of_secret_accepts_both_and_issues_with_the_first() -> None:
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
    with pytest.raises(ConfigurationError, match="keys rotate"):
        KeyRing([OLD], "ES256", periods).issuing(NOW)


def test_a_ring_needs_a_period() -> None:
    with pytest.raises(ConfigurationError, match="keys rotate"):
        KeyRing([OLD], "ES256", [])


def test_an_unknown_kid_is_not_found() -> None:
    assert KeyRing([OLD], "ES256").find("unknown", NOW) is None


def test_deriving_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for algorithm in ALGORITHMS:
            key = SigningKey(OLD, algorithm, 1)
            assert key.verify(b"", key.sign(b""))

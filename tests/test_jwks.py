"""Which keys of a JWK set count, and which sets are not believed at all."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OKPKey, RSAKey

from batonpass.jwks import MAX_KEYS, JwksRefusedError, read_jwks
from batonpass.keys import SigningKey
from tests.support.tokens import KEY, OTHER_SECRET, SECRET

EDDSA = SigningKey(SECRET, "EdDSA", 1)
OTHER = SigningKey(OTHER_SECRET, "ES256", 1)
Jwk = Mapping[str, Any]  # JSON


def a_jwk(key: SigningKey = KEY, **changes: object) -> dict[str, object]:
    """Write a key as we publish it, but for what is named."""
    jwk = key.public_jwk()
    assert jwk is not None
    return {**jwk, **changes}


def a_set(*jwks: object) -> bytes:
    return json.dumps({"keys": jwks}).encode()


@pytest.mark.parametrize("key", [KEY, EDDSA], ids=lambda key: key.algorithm)
def test_what_we_publish_verifies_what_we_sign_and_nothing_else(key: SigningKey) -> None:
    read = read_jwks(a_set(a_jwk(key)))[key.kid]

    assert (read.kid, read.algorithm) == (key.kid, key.algorithm)
    assert read.verify(b"message", key.sign(b"message"))
    assert not read.verify(b"massage", key.sign(b"message"))
    assert not read.verify(b"message", OTHER.sign(b"message"))
    assert not read.verify(b"message", bytes(64))
    assert not read.verify(b"message", b"")


def test_every_key_is_read() -> None:
    keys = [SigningKey(SECRET, "ES256", number) for number in range(MAX_KEYS)]

    assert list(read_jwks(a_set(*map(a_jwk, keys)))) == [key.kid for key in keys]


@pytest.mark.parametrize("passed_over", [
    pytest.param(a_jwk(alg="ES384"), id="another alg"),
    pytest.param(a_jwk(alg="EdDSA"), id="an alg of another kind of key"),
    pytest.param(a_jwk(alg="none"), id="alg none"),
    pytest.param(a_jwk(alg="HS256"), id="HS256 over a public key"),
    pytest.param({name: value for name, value in a_jwk().items() if name != "alg"}, id="no alg"),
    pytest.param({name: value for name, value in a_jwk().items() if name != "kid"}, id="no kid"),
    pytest.param(a_jwk(kid=7), id="a kid that is no text"),
    pytest.param(a_jwk(use="enc"), id="for encryption"),
    pytest.param(a_jwk(crv="P-384"), id="another curve"),
    pytest.param(a_jwk(crv=["P-256"]), id="a list for a curve"),
    pytest.param(a_jwk(crv="secp256k1"), id="a curve that we do not know"),
    pytest.param(a_jwk(x=a_jwk()["y"]), id="a point off the curve"),
    pytest.param(a_jwk(x="AAAA"), id="a short coordinate"),
    pytest.param(a_jwk(x="!"), id="no base64url"),
    pytest.param(a_jwk(x=None), id="null for a coordinate"),
    pytest.param(a_jwk(EDDSA, x="AAAA"), id="a short Ed25519 key"),
    pytest.param({"kty": "oct", "k": "c2VjcmV0", "kid": "k", "alg": "HS256"}, id="a secret"),
    pytest.param({**RSAKey.generate_key(2048, private=False).as_dict(), "kid": "k",
                  "alg": "RS256"}, id="RSA"),
    pytest.param({**ECKey.generate_key("P-256", private=True).as_dict(private=True), "kid": "k",
                  "alg": "ES256"}, id="with its private half"),
    pytest.param({**OKPKey.generate_key("X25519", private=False).as_dict(), "kid": "k",
                  "alg": "EdDSA"}, id="X25519"),
    pytest.param("ES256", id="a text"),
    pytest.param(None, id="null"),
])  # fmt: skip
def test_a_key_that_is_not_for_us_is_passed_over(passed_over: object) -> None:
    assert list(read_jwks(a_set(passed_over, a_jwk(OTHER)))) == [OTHER.kid]


@pytest.mark.parametrize("body", [
    pytest.param(b"", id="nothing"),
    pytest.param(b"<html>", id="HTML"),
    pytest.param(b"\xff\xfe{", id="no text"),
    pytest.param(b"[" * 60_000, id="deep"),
    pytest.param(b"null", id="null"),
    pytest.param(b"[]", id="an array"),
    pytest.param(b"{}", id="an object"),
    pytest.param(b'{"keys": {}}', id="an object of keys"),
    pytest.param(a_set(*[{"kty": "RSA"}] * (MAX_KEYS + 1)), id="33 keys, though none for us"),
    pytest.param(a_set(a_jwk(), a_jwk(OTHER, kid=KEY.kid)), id="two keys of one kid"),
])  # fmt: skip
def test_what_is_no_set_of_ours_is_refused(body: bytes) -> None:
    with pytest.raises(JwksRefusedError):
        read_jwks(body)


def test_a_set_without_keys_is_one() -> None:
    assert read_jwks(a_set()) == {}


JSON = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text(), max_size=2)


@given(st.dictionaries(st.sampled_from([*a_jwk(), "d", "key_ops", "x5c"]), JSON))
def test_a_key_of_any_json_is_read_or_passed_over(changes: dict[str, object]) -> None:
    for key in (KEY, EDDSA):
        read_jwks(a_set(a_jwk(key, **changes)))

"""A JWK set, as somebody reads it who only verifies: which keys stand in it. Pure.

What is fetched is hostile until it has been read: it is small, holds few keys, and of each key only
what is public is taken. Keys of other kinds stand there for others.

Source: RFC 7517 §5 (JWK set), RFC 8037 (Ed25519); docs/security.md, S-JWT-10.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey

PublicAlgorithm = Literal["ES256", "EdDSA"]
Verify = Callable[[bytes, bytes], bool]

MAX_KEYS = 32  # twice what an issuer of ours accepts at a time: its secrets may be two
P256_BYTES = 32
ECDSA_SHA256 = ECDSA(SHA256())
_KINDS: Mapping[tuple[object, object], PublicAlgorithm] = {
    ("EC", "P-256"): "ES256",
    ("OKP", "Ed25519"): "EdDSA",
}


class JwksRefusedError(Exception):
    """What was fetched is not believed to be an issuer's keys; the sentence says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """One key that verifies access tokens, and can sign none.

    Attributes:
        kid: Its id in the set.
        algorithm: The only one it verifies with (RFC 8725 §3.1).
        verify: Whether this key made a signature (second) over exactly this message (first).
    """

    kid: str
    algorithm: PublicAlgorithm
    verify: Verify


def read_jwks(body: bytes) -> dict[str, PublicKey]:
    """Read a JWK set: its keys for ES256 and EdDSA, by their ids.

    Keys of another kind or use, or without an id, are passed over (RFC 7517 §5), and so is one that
    comes with its private half: whoever reads the set could sign with it.

    Raises:
        JwksRefusedError: It is no JWK set, has over MAX_KEYS keys, or an id stands for two.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        message = "it is no JWK set"
        raise JwksRefusedError(message)
    if len(listed) > MAX_KEYS:
        message = f"it holds {len(listed)} keys, over {MAX_KEYS}"
        raise JwksRefusedError(message)
    keys: dict[str, PublicKey] = {}
    for key in map(_read_key, listed):
        if key is None:
            continue
        if key.kid in keys:
            message = "two of its keys have one kid"
            raise JwksRefusedError(message)
        keys[key.kid] = key
    return keys


def es256(public: EllipticCurvePublicKey) -> Verify:
    """Verify as a JWS signs: r and s, 32 bytes each (RFC 7518 §3.4)."""

    def verify(message: bytes, signature: bytes) -> bool:
        if len(signature) != 2 * P256_BYTES:
            return False
        r, s = int.from_bytes(signature[:P256_BYTES]), int.from_bytes(signature[P256_BYTES:])
        try:
            public.verify(encode_dss_signature(r, s), message, ECDSA_SHA256)
        except InvalidSignature:
            return False
        return True

    return verify


def eddsa(public: Ed25519PublicKey) -> Verify:
    """Verify with Ed25519 (RFC 8037 §3.1)."""

    def verify(message: bytes, signature: bytes) -> bool:
        try:
            public.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    return verify


def _read_key(jwk: object) -> PublicKey | None:
    if not isinstance(jwk, dict) or "d" in jwk or jwk.get("use", "sig") != "sig":
        return None
    kid, kind = jwk.get("kid"), (jwk.get("kty"), jwk.get("crv"))
    if not isinstance(kid, str) or not all(isinstance(part, str) for part in kind):
        return None
    algorithm = _KINDS.get(kind)
    if algorithm is None or jwk.get("alg") != algorithm:
        return None
    try:
        return PublicKey(kid=kid, algorithm=algorithm, verify=_import(algorithm, jwk))
    except (JoseError, ValueError, TypeError, KeyError):  # no point of the curve, no base64url
        return None


def _import(algorithm: PublicAlgorithm, jwk: dict[str, str | list[str]]) -> Verify:
    if algorithm == "ES256":
        return es256(ECKey.import_key(jwk).public_key)
    return eddsa(cast("Ed25519PublicKey", OKPKey.import_key(jwk).public_key))  # by its `crv`

"""The refresh token: its text form, its MAC, its hash, and how a successor is derived. Pure.

    bpr_ + base64url( transport 1 | family id 16 | generation 4 | secret 32 | MAC 16 )

The MAC is checked before any database is asked, so garbage costs microseconds and changes nothing;
and it proves that we issued that generation, so a replay of any older one is known by its number
alone.

Source: RFC 2104 (HMAC), RFC 4648 §5 (base64url); docs/security.md, "The token".
"""

import hashlib
import hmac
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from uuid import UUID

PREFIX = "bpr_"
SECRET_BYTES = 32  # from the system's CSPRNG, or derived from such (S-RT-1)
NONCE_BYTES = 16
MAC_BYTES = 16  # 128 bits: ASVS 5.0 V11.2.3
MAX_GENERATION = 2**32 - 1
_FAMILY_ID = slice(1, 17)  # behind the transport
_BODY = struct.Struct(f">B16sI{SECRET_BYTES}s")
TEXT_LENGTH = len(PREFIX) + (_BODY.size + MAC_BYTES) * 4 // 3
_SUCCESSOR_LABEL = b"successor"
_KEYS_PREPARED = 64  # two for each secret of SECRET_KEY


class Transport(IntEnum):
    """How a family's tokens travel; by the other way they are invalid. A token's first byte."""

    COOKIE = 1
    BODY = 2


_TRANSPORTS = {int(transport): transport for transport in Transport}


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """One refresh token. Its `repr` shows no secret."""

    transport: Transport
    family_id: UUID
    generation: int
    secret: bytes = field(repr=False)


def encode(key: bytes, token: RefreshToken) -> str:
    """Write a token as text, with its MAC.

    Args:
        key: 32 bytes, HKDF label "batonpass/refresh-mac/1".
        token: What to write.

    Raises:
        ValueError: The secret has another length; packing would pad or cut it without a word.
    """
    if len(token.secret) != SECRET_BYTES:
        msg = f"a secret has {SECRET_BYTES} bytes, not {len(token.secret)}"
        raise ValueError(msg)
    body = _BODY.pack(token.transport, token.family_id.bytes, token.generation, token.secret)
    return PREFIX + urlsafe_b64encode(body + _mac(key, body)).decode()


def decode(keys: Sequence[bytes], text: str) -> RefreshToken | None:
    """Read a token's text; None when it is not one that a holder of one of `keys` wrote.

    Exactly one text form is accepted for each token: 69 bytes fill their base64 without padding.
    """
    if len(text) != TEXT_LENGTH or not text.startswith(PREFIX) or not text.isascii():
        return None
    if "+" in text or "/" in text:
        return None
    try:
        raw = urlsafe_b64decode(text[len(PREFIX) :])
    except Base64Error:
        return None
    body, mac = raw[:-MAC_BYTES], raw[-MAC_BYTES:]
    # In constant time: who tries MACs learns nothing from how long a refusal took (S-RT-1).
    # Characters outside the alphabet were skipped: what is left then is no body that we ever wrote.
    for key in keys:
        if hmac.compare_digest(mac, _mac(key, body)):
            break
    else:
        return None
    number, family_id, generation, secret = _BODY.unpack(body)
    transport = _TRANSPORTS.get(number)
    if transport is None:
        return None  # ours, but of a newer version that has been rolled back
    return RefreshToken(transport, UUID(bytes=family_id), generation, secret)


def family_named_in(text: str) -> UUID | None:
    """Read which family a token's text names; whether it is ours, `decode` alone can tell."""
    try:
        raw = urlsafe_b64decode(text[len(PREFIX) :])
        return UUID(bytes=raw[_FAMILY_ID])
    except ValueError:
        return None


def digest(secret: bytes) -> bytes:
    """Hash a secret as the database keeps it (S-RT-2); 256 random bits need no slow hash."""
    return hashlib.sha256(secret).digest()


def derive_successor(key: bytes, presented: RefreshToken, nonce: bytes) -> bytes:
    """Compute the secret of the token that follows `presented`.

    The same three inputs give the same secret, so a retry gets the same successor although the
    database keeps only its hash and the nonce. None can be left out: a dump without the spent
    token, or without the server's key, derives nothing (I9).

    Args:
        key: 32 bytes, HKDF label "batonpass/successor/1".
        presented: The token that is being spent.
        nonce: NONCE_BYTES random bytes, written by the rotation itself.

    Raises:
        ValueError: `nonce` has another length.

    Source: RFC 2104 (HMAC); docs/security.md, "The successor".
    """
    if len(nonce) != NONCE_BYTES:
        msg = f"a nonce has {NONCE_BYTES} bytes, not {len(nonce)}"
        raise ValueError(msg)
    message = (
        _SUCCESSOR_LABEL
        + presented.family_id.bytes
        + presented.generation.to_bytes(4)
        + presented.secret
        + nonce
    )
    return _hmac(key, message)


def _mac(key: bytes, body: bytes) -> bytes:
    return _hmac(key, body)[:MAC_BYTES]


def _hmac(key: bytes, message: bytes) -> bytes:
    one = _keyed(key).copy()
    one.update(message)
    return one.digest()


@lru_cache(_KEYS_PREPARED)
def _keyed(key: bytes) -> hmac.HMAC:
    """Prepare a key once; `hmac.digest` does it each time, and takes 1.4 times as long."""
    return hmac.new(key, digestmod="sha256")

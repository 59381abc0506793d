"""SECRET_KEY: what may be one. Pure.

Whoever guesses it can make every token, so what is short, published or follows a pattern is refused
before anything is derived from it.

Source: ASVS 5.0 V11.2.3 and V13.2.3; docs/security.md, S-KEY-5.
"""

import hashlib
import re
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import Final

from batonpass.errors import ConfigurationError

MIN_SECRET_BYTES = 32  # ASVS 5.0 V11.2.3 asks for 128 bits; as long as every key derived from it
CURE: Final = "Make one with: python3 -c 'import secrets; print(secrets.token_hex(32))'"
_HEX = re.compile(r"[0-9A-Fa-f]+")
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+={0,2}")
_MIN_DISTINCT_BYTES = 16  # 32 random bytes have fewer once in 10^15 times
# A phrase out of these characters looks like base64url. In random text one of these words stands
# less than once in 10^7 times.
_TELLTALE_WORDS = (
    "secret", "password", "passwort", "changeme", "change-me", "change_me", "example", "insecure",
    "default", "replace", "placeholder", "batonpass",
)  # fmt: skip
# Printed in the documentation others copy from: FastAPI's and Flask's tutorials, RFC 7515 A.1.
_PUBLISHED: Final = frozenset({
    bytes.fromhex("09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7"),
    bytes.fromhex("192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf"),
    urlsafe_b64decode(
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T"
        "-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow=="
    ),
    *(
        hashlib.sha256(word).digest()
        for word in (b"", b"secret", b"password", b"changeme", b"test", b"key", b"batonpass")
    ),
})  # fmt: skip


def parse_secrets(text: str) -> tuple[bytes, ...]:
    """Read SECRET_KEY: one or more secrets, comma-separated; the first issues, all are accepted.

    Text of nothing but hexadecimal digits is hex, everything else base64url. The same secret twice
    counts once.

    Raises:
        ConfigurationError: One is missing, malformed, short, published or follows a pattern. The
            sentence names which one and the cure, and shows none of it.

    Source: ASVS 5.0 V13.2.3 (no default credentials); docs/security.md, S-KEY-5.
    """
    secrets: dict[bytes, None] = {}
    for position, item in enumerate(text.split(","), start=1):
        problem, secret = _read_secret(item.strip())
        if problem:
            msg = f"SECRET_KEY: key {position} {problem}. {CURE}"
            raise ConfigurationError(msg)
        secrets[secret] = None
    return tuple(secrets)


def check_secrets(given: object) -> tuple[bytes, ...]:
    """Take secrets that were read already; only their length can be judged.

    Raises:
        ConfigurationError: They are no list of bytes, or one is too short.
    """
    if not isinstance(given, Iterable) or isinstance(given, bytes):
        message = "SECRET_KEY: pass text (hex or base64url), or a list of bytes."
        raise ConfigurationError(message)
    secrets = tuple(given)
    for position, secret in enumerate(secrets, start=1):
        if not isinstance(secret, bytes) or len(secret) < MIN_SECRET_BYTES:
            message = f"SECRET_KEY: key {position} is not at least {MIN_SECRET_BYTES} bytes long."
            raise ConfigurationError(message)
    if not secrets:
        message = "SECRET_KEY: there is none."
        raise ConfigurationError(message)
    return secrets


def _read_secret(text: str) -> tuple[str | None, bytes]:
    """Return what is wrong with a secret, if anything, and its bytes."""
    if not text:
        return "is empty", b""
    if _HEX.fullmatch(text):
        if len(text) % 2:
            return "is hex with an odd number of digits: one got lost", b""
        secret = bytes.fromhex(text)
    elif _BASE64URL.fullmatch(text) and len(text.rstrip("=")) % 4 != 1:
        unpadded = text.rstrip("=")
        secret = urlsafe_b64decode(unpadded + "=" * (-len(unpadded) % 4))
    else:
        return "is neither hex nor base64url", b""
    if len(secret) < MIN_SECRET_BYTES:
        return f"has {len(secret)} bytes; at least {MIN_SECRET_BYTES} are needed", b""
    if secret in _PUBLISHED or any(word in text.lower() for word in _TELLTALE_WORDS):
        return "is known to everybody", b""
    few = len(set(secret)) < _MIN_DISTINCT_BYTES
    if few or _has_pattern(secret) or _has_pattern(text.lower().encode()):
        return "follows a pattern, so it can be guessed", b""
    return None, secret


def _has_pattern(data: bytes) -> bool:
    """Whether the data repeats itself, or mostly counts up or down."""
    repeats = any(
        data == (data[:period] * len(data))[: len(data)]
        for period in range(1, min(MIN_SECRET_BYTES, len(data) // 2 + 1))
    )
    steps = Counter((after - before) % 256 for before, after in pairwise(data))
    return repeats or max(steps.values()) > len(data) // 2

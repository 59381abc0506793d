"""Access tokens as tests write them: good ones, and ones that are good but for one thing.

What spoils a token is signed with the true key, so that no check hides behind the signature.
"""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from batonpass.access_tokens import AccessTokens
from batonpass.keys import KeyRing, SigningKey

SECRET = bytes.fromhex("3a7f1c9be2d4405861fa0c77b39de815a6c2f0914e8b5d23970c6fd1be48a352")
OTHER_SECRET = bytes.fromhex("c81e05d7936ab24f7d20e9583bf4160c9da571e8624fb03917dc8a65f02b4ed3")
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
TICK = timedelta(microseconds=1)
LIFETIME = timedelta(minutes=30)
LOGIN = NOW - timedelta(hours=3)
FAMILY_ID = UUID("01936f3c-0000-7000-8000-0123456789ab")
RING = KeyRing([SECRET], "ES256")
KEY = RING.issuing(NOW)
TOKENS = AccessTokens(RING, "batonpass", "batonpass")
HEADER: Mapping[str, object] = {"typ": "at+jwt", "alg": "ES256", "kid": KEY.kid}
PAYLOAD: Mapping[str, object] = {
    "iss": "batonpass",
    "aud": "batonpass",
    "client_id": "batonpass",
    "sub": "42",
    "iat": int(NOW.timestamp()),
    "exp": int((NOW + LIFETIME).timestamp()),
    "jti": "an id",
    "sid": str(FAMILY_ID),
    "gen": 7,
    "auth_time": int(LOGIN.timestamp()),
}


class _Absent:
    """Stands for a member that is left out."""


ABSENT = _Absent()


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(part: str) -> Any:  # JSON
    return json.loads(base64.urlsafe_b64decode(part + "=="))


def signed(header: bytes, payload: bytes, key: SigningKey = KEY) -> str:
    """Sign exactly these bytes: what an attacker with our key could send, so no check hides."""
    message = f"{encoded(header)}.{encoded(payload)}"
    return f"{message}.{encoded(key.sign(message.encode()))}"


def a_token(claims: Mapping[str, object] = {}, header: Mapping[str, object] = {}) -> str:
    """Write a good token, but for what is named; ABSENT leaves a member out."""
    return signed(_changed(HEADER, header), _changed(PAYLOAD, claims))


def _changed(members: Mapping[str, object], changes: Mapping[str, object]) -> bytes:
    changed = {**members, **changes}
    kept = {name: value for name, value in changed.items() if value is not ABSENT}
    return json.dumps(kept).encode()


def at(offset: timedelta) -> int:
    """Write a time as claims do: counted from NOW."""
    return int((NOW + offset).timestamp())


def issued(tokens: AccessTokens = TOKENS, **changes: Any) -> str:  # as `issue` takes them
    arguments: dict[str, Any] = {
        "subject": "42", "family_id": FAMILY_ID, "generation": 7, "auth_time": LOGIN, "now": NOW,
        "lifetime": LIFETIME,
    }  # fmt: skip
    return tokens.issue(**(arguments | changes))


GOOD_HEADER, GOOD_PAYLOAD = json.dumps(HEADER).encode(), json.dumps(PAYLOAD).encode()
GOOD = signed(GOOD_HEADER, GOOD_PAYLOAD)
H, P, S = GOOD.split(".")


def a_payload_with(text: str) -> bytes:
    """The good payload, and one more member as it stands."""
    return GOOD_PAYLOAD[:-1] + b"," + text.encode() + b"}"

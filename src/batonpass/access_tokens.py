"""The access token: how it is written, and everything that is checked before one is believed. Pure.

A token is hostile until all of it has been checked: its shape before its signature, its signature
before its claims. Nothing in it chooses the algorithm or the key: its `kid` names one of ours in a
dictionary, and that key knows its only algorithm.

Source: RFC 7515 (JWS), RFC 7519 (JWT), RFC 8725 (their best practice), RFC 9068 (`at+jwt`);
docs/security.md, S-JWT-1 to 8.
"""

import json
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import NoReturn, Protocol
from uuid import UUID

from batonpass.errors import AccessTokenInvalidError
from batonpass.keys import KeyRing, SigningKey
from batonpass.refresh_tokens import MAX_GENERATION

MAX_TOKEN_LENGTH = 8 * 1024  # S-JWT-7
MAX_EXTRA_BYTES = 4 * 1024  # of an app's own claims: the header travels with every request
ACTOR = "act"  # RFC 8693 §4.1
MAX_DEPTH = 8  # arrays and objects inside each other, the claims themselves being the first
LEEWAY = timedelta(seconds=10)  # S-JWT-4: nodes are 2 s apart at most; more lengthens every token
MAX_LIFETIME = timedelta(hours=24)
_NOTHING = timedelta(0)
_LAST_TIMESTAMP = 253_402_300_799  # 9999-12-31T23:59:59Z: the last one that datetime knows
_JTI_BYTES = 16
_TYPES = frozenset({"at+jwt", "application/at+jwt"})  # S-JWT-2; RFC 9068 §4
_KID = re.compile(r"[A-Za-z0-9_-]{1,64}")  # a name in a dictionary, never a path (S-JWT-5)
# These change how the rest is to be read (RFC 7515 §4.1.11, RFC 7797, RFC 7516); jku, jwk, x5u and
# x5c only offer a key, and nobody looks (S-JWT-6).
REFUSED_HEADERS = frozenset({"crit", "b64", "zip", "enc"})
_OUR_CLAIMS = frozenset({
    "iss", "aud", "client_id", "sub", "iat", "exp", "nbf", "jti", "sid", "gen", "auth_time",
})  # fmt: skip

_write_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


class AccessTokenRefusedError(AccessTokenInvalidError):
    """What outside is any bad access token; the log also learns why.

    Attributes:
        problem: One of a fixed set of words, such as "bad_signature" or "claim_exp"; nothing of the
            token stands in it.
    """

    def __init__(self, problem: str) -> None:
        """Keep the reason; the sentence for outside stays the same for all of them."""
        super().__init__()
        self.problem = problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a believed access token says.

    Attributes:
        subject: The user's id.
        family_id: The session it was issued in.
        generation: The refresh token's that it was issued beside.
        issued_at: To the second.
        expires_at: To the second; it was checked with LEEWAY.
        auth_time: When the user last proved who they are, to the second.
        jti: The token's own id.
        extra: What the app added.
    """

    subject: str
    family_id: UUID
    generation: int
    issued_at: datetime
    expires_at: datetime
    auth_time: datetime
    jti: str
    extra: Mapping[str, object] = field(default_factory=dict)

    @property
    def actor(self) -> str | None:
        """Who acts in the user's name; None: it is the user (RFC 8693 §4.1)."""
        return actor_in(self.extra)


class VerifyingKey(Protocol):
    """A key that a token can be verified with: ours, or one of an issuer's JWK set."""

    @property
    def algorithm(self) -> str:
        """The only one it verifies with."""
        ...

    def verify(self, message: bytes, signature: bytes, /) -> bool:
        """Whether this key made the signature over exactly this message."""
        ...


class KnownKeys(Protocol):
    """The keys of one issuer, by their ids."""

    @property
    def declarations(self) -> int:
        """How often what counts has changed."""
        ...

    def find(self, kid: str, now: datetime, *, ended_by: timedelta = ...) -> VerifyingKey | None:
        """Look a key up, in memory alone; as `KeyRing.find` does."""
        ...


class AccessTokenReader:
    """Reads the access tokens of one issuer for one audience."""

    def __init__(self, keys: KnownKeys, issuer: str, audience: str) -> None:
        """Believe what these keys signed.

        Args:
            keys: The issuer's; whoever declares others to it changes what is believed here.
            issuer: What `iss` must be.
            audience: What must stand in `aud`.
        """
        self.keys = keys
        self.issuer = issuer
        self.audience = audience

    def verify(self, token: str, now: datetime, *, expired_by: timedelta = _NOTHING) -> Claims:
        """Check everything about an access token but whether its session still lives.

        Args:
            token: What the Authorization header carried.
            now: The time to judge it by.
            expired_by: How long past `exp` it is still believed: a logout takes an old one, also
                one whose key was retired since; never one whose key was withdrawn.

        Raises:
            AccessTokenRefusedError: Anything is wrong with it; `problem` says what.
        """
        header, payload, message, signature = take_apart(token)
        key = self._find_key(header, now, expired_by)
        if not key.verify(message, signature):
            _refuse("bad_signature")
        self._check_issuer(payload)
        claims = _read_claims(payload)
        _check_times(payload, claims, now, expired_by)
        return claims

    def _find_key(
        self, header: Mapping[str, object], now: datetime, expired_by: timedelta
    ) -> VerifyingKey:
        if not REFUSED_HEADERS.isdisjoint(header):
            _refuse("unsupported_header")
        typ = header.get("typ")
        if not isinstance(typ, str) or typ.lower() not in _TYPES:
            _refuse("wrong_typ")
        kid = header.get("kid")
        if not isinstance(kid, str) or not _KID.fullmatch(kid):
            _refuse("malformed_kid")
        key = self.keys.find(kid, now, ended_by=expired_by)
        if key is None:
            _refuse("unknown_kid")
        if header.get("alg") != key.algorithm:
            _refuse("wrong_alg")
        return key

    def _check_issuer(self, payload: Mapping[str, object]) -> None:
        if payload.get("iss") != self.issuer:
            _refuse("claim_iss")
        audience = payload.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        if self.audience not in audiences or not all(isinstance(one, str) for one in audiences):
            _refuse("claim_aud")


class AccessTokens(AccessTokenReader):
    """Writes and reads the access tokens of one issuer for one audience."""

    def __init__(self, ring: KeyRing, issuer: str, audience: str) -> None:
        """Prepare what is the same in every token.

        Args:
            ring: The keys; whoever declares others to it changes what is signed and believed here.
            issuer: `iss`.
            audience: `aud`, and `client_id` as well (RFC 9068 §2.2 wants one): the app that our
                tokens are for logs its own users in.
        """
        super().__init__(ring, issuer, audience)
        self.ring = ring
        same = {"iss": issuer, "aud": audience, "client_id": audience}
        self._same_claims = _write_json(same)[:-1]
        self._headers: dict[str, bytes] = {}

    def issue(  # noqa: PLR0913 - the claims, each by its name
        self,
        *,
        subject: str,
        family_id: UUID,
        generation: int,
        auth_time: datetime,
        now: datetime,
        lifetime: timedelta,
        extra: Mapping[str, object] | None = None,
    ) -> str:
        """Write and sign an access token.

        The header is prepared and the key called directly: joserfc's encode takes 1.6 times as long
        for ES256 and 1.8 times for HS256 (measured: 54 against 33 µs, 14 against 8).

        Raises:
            ValueError: `extra` would not pass `check_extra`, `lifetime` is not within MAX_LIFETIME,
                or the token would be one that we refuse ourselves.
        """
        if not _NOTHING < lifetime <= MAX_LIFETIME:
            msg = f"an access token lives up to {MAX_LIFETIME}, not {lifetime}"
            raise ValueError(msg)
        added = ""
        if extra:
            _check_names(extra)
            added = "," + _write_json(dict(extra))[1:-1]
        # Written out: all but `sub` are numbers or of an alphabet that needs no escaping, and the
        # encoder takes 2 µs for what takes 0.5 so.
        payload = (
            f'{self._same_claims},"sub":{_write_json(subject)},"iat":{int(now.timestamp())}'
            f',"exp":{int((now + lifetime).timestamp())},"jti":"{secrets.token_hex(_JTI_BYTES)}"'
            f',"sid":"{family_id}","gen":{generation}'
            f',"auth_time":{int(auth_time.timestamp())}{added}}}'
        )
        key = self.ring.issuing(now)
        message = self._header(key) + _encode(payload.encode())
        token = (message + b"." + _encode(key.sign(message))).decode()
        if len(token) > MAX_TOKEN_LENGTH:
            msg = f"an access token has up to {MAX_TOKEN_LENGTH} characters, not {len(token)}"
            raise ValueError(msg)
        return token

    def _header(self, key: SigningKey) -> bytes:
        header = self._headers.get(key.kid)
        if header is None:
            text = _write_json({"typ": "at+jwt", "alg": key.algorithm, "kid": key.kid})
            header = self._headers[key.kid] = _encode(text.encode()) + b"."
        return header


def check_extra(extra: Mapping[str, object] | None) -> None:
    """Check what an app wants to add, before it is kept: tokens are issued after the commit.

    Raises:
        ValueError: It names a claim of ours, has no JSON form, or is too long or too deep.
    """
    if not extra:
        return
    _check_names(extra)
    try:
        written = _write_json(dict(extra))
    except (TypeError, ValueError) as error:
        msg = f"claims are JSON: {error}"
        raise ValueError(msg) from error
    if len(written.encode("utf-8", "surrogatepass")) > MAX_EXTRA_BYTES or not _is_unicode(extra):
        msg = f"claims are Unicode and take up to {MAX_EXTRA_BYTES} bytes as JSON"
        raise ValueError(msg)


def actor_in(claims: Mapping[str, object]) -> str | None:
    """Return who acts in the user's name, as the claim `act` says it; None: nobody does."""
    found = claims.get(ACTOR)
    subject = found.get("sub") if isinstance(found, Mapping) else None
    return subject if isinstance(subject, str) else None


def _refuse(problem: str) -> NoReturn:
    raise AccessTokenRefusedError(problem) from None


def _encode(raw: bytes) -> bytes:
    return urlsafe_b64encode(raw).rstrip(b"=")


def _check_names(extra: Mapping[str, object]) -> None:
    if ours := _OUR_CLAIMS.intersection(extra):
        msg = f"these claims are not the app's to set: {', '.join(sorted(ours))}"
        raise ValueError(msg)
    if _depth(extra) > MAX_DEPTH:
        msg = f"claims go up to {MAX_DEPTH} levels deep"
        raise ValueError(msg)


# --- its shape: before any signature -----------------------------------------------------------


def take_apart(token: str) -> tuple[dict[str, object], dict[str, object], bytes, bytes]:
    """Return header, claims, the bytes that were signed, and their signature: nothing is believed.

    No key is looked for before a token has the one shape that counts (S-JWT-7).

    Raises:
        AccessTokenRefusedError: It has no shape that every reader would read alike.
    """
    if len(token) > MAX_TOKEN_LENGTH:
        _refuse("too_long")
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 -- header, payload, signature (RFC 7515 §7.1)
        _refuse("not_three_parts")
    header, payload, signature = (_decode(part) for part in parts)
    message = token[: token.rindex(".")].encode()
    return _read_json(header), _read_json(payload), message, signature


def _decode(part: str) -> bytes:
    """Read base64url in the only form that RFC 7515 §2 knows: no padding, no spare bits."""
    try:
        text = part.encode("ascii")
        raw = urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except (UnicodeEncodeError, Base64Error):
        _refuse("not_base64url")
    if _encode(raw) != text:  # what is outside the alphabet was skipped
        _refuse("not_base64url")
    return raw


def _read_json(raw: bytes) -> dict[str, object]:
    """Read a JSON object that every parser would read alike."""
    try:
        text = raw.decode()
        value = _STRICT_JSON.decode(text)
    except UnicodeDecodeError:
        _refuse("not_utf8")
    except RecursionError:
        _refuse("too_deep")
    except ValueError:
        _refuse("not_json")
    if not isinstance(value, dict):
        _refuse("not_an_object")
    if _depth(value) > MAX_DEPTH:
        _refuse("too_deep")
    if "\\u" in text and not _is_unicode(value):
        _refuse("not_utf8")
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        _refuse("duplicate_key")
    return members


def _no_constant(_name: str) -> NoReturn:
    _refuse("not_json")  # NaN and Infinity are Python's own


_STRICT_JSON = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)


def _depth(value: object) -> int:
    """Count the levels of objects and arrays, without recursion: the parser's limit is far away."""
    depth, level = 0, [value]
    while level := [one for one in level if isinstance(one, Mapping | list | tuple)]:
        depth += 1
        level = [inner for one in level for inner in _members(one)]
    return depth


def _members(value: object) -> Iterable[object]:
    match value:
        case Mapping():
            return value.values()
        case list() | tuple():
            return value
        case _:
            return ()


def _is_unicode(value: object) -> bool:
    """Whether no string in it holds half of a surrogate pair, which has no UTF-8 form."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


# --- its claims: after the signature -----------------------------------------------------------


def _read_claims(payload: dict[str, object]) -> Claims:
    """Read what has to be there, each of the one JSON type that it has (S-JWT-3)."""
    _text(payload, "client_id")
    return Claims(
        subject=_text(payload, "sub"),
        family_id=_family_id(payload),
        generation=_integer(payload, "gen", MAX_GENERATION),
        issued_at=_time(payload, "iat"),
        expires_at=_time(payload, "exp"),
        auth_time=_time(payload, "auth_time"),
        jti=_text(payload, "jti"),
        extra=MappingProxyType(
            {name: value for name, value in payload.items() if name not in _OUR_CLAIMS}
        ),
    )


def _check_times(
    payload: dict[str, object], claims: Claims, now: datetime, expired_by: timedelta
) -> None:
    if claims.issued_at - now > LEEWAY:
        _refuse("issued_in_the_future")
    if "nbf" in payload and _time(payload, "nbf") - now > LEEWAY:
        _refuse("not_yet_valid")
    if not _NOTHING <= claims.expires_at - claims.issued_at <= MAX_LIFETIME:
        _refuse("lives_too_long")
    if now - claims.expires_at >= LEEWAY + expired_by:  # RFC 7519 §4.1.4: `exp` itself is too late
        _refuse("expired")


def _text(payload: dict[str, object], name: str) -> str:
    value = payload.get(name)
    if not isinstance(value, str) or not value:
        _refuse(f"claim_{name}")
    return value


def _integer(payload: dict[str, object], name: str, highest: int) -> int:
    value = payload.get(name)
    if type(value) is not int or not 0 <= value <= highest:  # True is an int as well
        _refuse(f"claim_{name}")
    return value


def _time(payload: dict[str, object], name: str) -> datetime:
    return datetime.fromtimestamp(_integer(payload, name, _LAST_TIMESTAMP), UTC)


def _family_id(payload: dict[str, object]) -> UUID:
    text = _text(payload, "sid")
    try:
        family_id = UUID(text)
    except ValueError:
        _refuse("claim_sid")
    if str(family_id) != text:  # braces, capitals, "urn:uuid:"
        _refuse("claim_sid")
    return family_id

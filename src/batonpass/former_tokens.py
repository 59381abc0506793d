"""Access tokens that an app gave out before it moved in: believed until they are over, no longer.

They keep people signed in who logged in before the change. A former token says who somebody is, and
nothing more: it has no session, so nothing of ours but `auth.user`, `auth.optional_user` and
`auth.exchange_former_token` takes one. It has a key and one algorithm of its own, which it does not
choose; it was issued before the move; and after `until` there are none. Which of both verifiers is
asked, `typ` decides before any signature: what calls itself `at+jwt` is never a former token.

Source: RFC 7519, RFC 8725 §3.1 and 3.11; docs/security.md, S-JWT-12.
"""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NoReturn, get_args

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from batonpass.access_tokens import (
    LEEWAY,
    REFUSED_HEADERS,
    AccessTokenRefusedError,
    take_apart,
)
from batonpass.errors import ConfigurationError

FormerAlgorithm = Literal[
    "HS256", "HS384", "HS512",
    "RS256", "RS384", "RS512",
    "PS256", "PS384", "PS512",
    "ES256", "ES384", "ES512",
    "EdDSA",
]  # fmt: skip

FOREIGN_TYP = "wrong_typ"  # what our own verifier says of every former token
_LAST_TIMESTAMP = 253_402_300_799  # 9999-12-31T23:59:59Z
_PUBLIC_KEYS: Mapping[str, type[RSAKey] | type[ECKey] | type[OKPKey]] = {
    "RS": RSAKey,
    "PS": RSAKey,
    "ES": ECKey,
    "Ed": OKPKey,
}
_Verify = Callable[[bytes, bytes], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class FormerClaims:
    """What a believed former token says.

    Attributes:
        subject: Whom it names: by the key of the users table, or by the column `named_by`.
        issued_at: When its user logged in, as far as it tells.
    """

    subject: str
    issued_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FormerTokens:
    """How an app's own tokens looked before it moved in, and until when they count.

    `FormerTokens(key=OLD_SECRET, lifetime=timedelta(minutes=30), issued_before=THE_MOVE)`

    Attributes:
        key: The secret they are signed with; for an asymmetric algorithm the public key, as PEM.
        algorithm: The only one that counts, whatever a token says.
        lifetime: How long each of them lives: a token without `iat` began that long before its
            `exp`, and one that would live longer is none (a refresh or a reset token, say).
        issued_before: When the last process that issued them has stopped; later ones are refused.
        until: When none counts any more; None: `issued_before` + `lifetime`, when all are over.
        subject: The claim that names the user.
        named_by: The column that it names the user by, such as `Account.email`; None: the key.
        requires: What else has to stand in it: `{"type": "access"}`, `{"aud": "shop"}`.

    Raises:
        ConfigurationError: The key does not fit the algorithm, or a time has no zone.
    """

    key: str | bytes = field(repr=False)
    algorithm: FormerAlgorithm = "HS256"
    lifetime: timedelta
    issued_before: datetime
    until: datetime | None = None
    subject: str = "sub"
    named_by: Any = None  # a column of the app's
    requires: Mapping[str, object] = field(default_factory=dict)
    _verify: _Verify = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Read the key."""
        if any(one is not None and one.tzinfo is None for one in (self.issued_before, self.until)):
            raise ConfigurationError("FormerTokens: issued_before and until need a time zone.")
        if self.lifetime <= timedelta(0):
            raise ConfigurationError("FormerTokens: lifetime is how long one of them lives.")
        key = self.key.encode() if isinstance(self.key, str) else self.key
        object.__setattr__(self, "_verify", _verifier(self.algorithm, key))

    @property
    def end(self) -> datetime:
        """When none counts any more."""
        return self.until or self.issued_before + self.lifetime

    def verify(self, token: str, now: datetime) -> FormerClaims:
        """Check everything about a former token.

        Raises:
            AccessTokenRefusedError: Anything is wrong with it; `problem` says what.
        """
        if now >= self.end:
            _refuse("former_tokens_are_over")
        header, payload, message, signature = take_apart(token)
        if not REFUSED_HEADERS.isdisjoint(header):
            _refuse("unsupported_header")
        typ = header.get("typ", "JWT")  # RFC 7519 §5.1
        if not isinstance(typ, str) or typ.upper() != "JWT":
            _refuse("wrong_typ")
        if header.get("alg") != self.algorithm:
            _refuse("wrong_alg")
        if not self._verify(message, signature):
            _refuse("bad_signature")
        for name, value in {"aud": None, **self.requires}.items():  # RFC 7519 §4.1.3
            if payload.get(name) != value:
                _refuse(f"claim_{name}")
        return FormerClaims(subject=self._subject(payload), issued_at=self._issued_at(payload, now))

    def _issued_at(self, payload: Mapping[str, object], now: datetime) -> datetime:
        expires_at = _time(payload, "exp")
        issued_at = _time(payload, "iat") if "iat" in payload else expires_at - self.lifetime
        if now >= expires_at:
            _refuse("expired")
        if "nbf" in payload and _time(payload, "nbf") - now > LEEWAY:
            _refuse("not_yet_valid")
        if expires_at - issued_at > self.lifetime + LEEWAY:
            _refuse("lives_too_long")
        if issued_at >= self.issued_before:
            _refuse("issued_after_the_move")
        if issued_at - now > LEEWAY:
            _refuse("issued_in_the_future")
        return issued_at

    def _subject(self, payload: Mapping[str, object]) -> str:
        subject = payload.get(self.subject)
        if type(subject) is int:
            return str(subject)
        if not isinstance(subject, str) or not subject:
            _refuse(f"claim_{self.subject}")
        return subject


def _refuse(problem: str) -> NoReturn:
    raise AccessTokenRefusedError(problem) from None


def _time(payload: Mapping[str, object], name: str) -> datetime:
    value = payload.get(name)
    if type(value) not in (int, float) or not 0 <= value <= _LAST_TIMESTAMP:  # type: ignore[operator]  # it is a number
        _refuse(f"claim_{name}")
    return datetime.fromtimestamp(value, UTC)  # type: ignore[arg-type]  # likewise


def _verifier(algorithm: str, key: bytes) -> _Verify:
    """Return what checks a signature; nothing of it is chosen by a token (RFC 8725 §3.1)."""
    if algorithm not in get_args(FormerAlgorithm):
        message = f"FormerTokens: {algorithm!r} is no algorithm that protects anything."
        raise ConfigurationError(message)
    if algorithm.startswith("HS"):
        if not key or key.lstrip().startswith((b"-----BEGIN", b"ssh-")):
            message = f"FormerTokens: {algorithm} needs its secret, and this is none."
            raise ConfigurationError(message)
        hash_name = f"sha{algorithm[2:]}"
        return lambda message, signature: hmac.compare_digest(
            hmac.digest(key, message, hash_name), signature
        )
    model = JWSRegistry.algorithms[algorithm]
    try:
        public = _PUBLIC_KEYS[algorithm[:2]].import_key(key)
        model.check_key(public)
    except (ValueError, JoseError) as error:
        message = f"FormerTokens: the key is none for {algorithm}: pass the public key, as PEM."
        raise ConfigurationError(message) from error
    return lambda message, signature: model.verify(message, signature, public)

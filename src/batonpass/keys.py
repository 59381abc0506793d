"""Every key, derived from SECRET_KEY. Pure.

Nothing here is ever stored. Each use has an HKDF label of its own, so a key that leaks opens
nothing else, and every process that knows the secret has the same keys. Several secrets may be
accepted at once: the first one issues. The database keeps which signing keys count, and when; never
a key.

Source: RFC 5869 (HKDF), RFC 7517 (JWK), RFC 7638 (thumbprint); docs/security.md, "Keys".
"""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum, auto
from typing import Final, Literal, Self

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc.jwk import ECKey, OctKey, OKPKey

from batonpass.errors import ConfigurationError
from batonpass.jwks import ECDSA_SHA256, P256_BYTES, Verify, eddsa, es256
from batonpass.secret_key import CURE

Algorithm = Literal["ES256", "EdDSA", "HS256"]
VerifyingKey = ECKey | OKPKey | OctKey

KEY_BYTES = 32
# From when a rotation is committed until its key signs: every process learns of the key within
# LEARNT_WITHIN, and from then on it stands in its JWKS, which others read once a minute (S-KEY-3).
LEARNT_WITHIN = timedelta(seconds=60)
PUBLISHED_BEFORE_USE = timedelta(seconds=120)
MAX_ACCEPTED_KEYS = 16  # numbers at a time: a verifier takes 32 keys, and secrets may be two
# FIPS 186-5 A.2.1: 64 bits more than the order, so that the remainder is as good as uniform
_P256_SEED_BYTES = 48
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def derive(secret: bytes, use: str, length: int = KEY_BYTES) -> bytes:
    """Derive the key for one use; another's tells nothing of it (S-KEY-1).

    Args:
        secret: One of SECRET_KEY's.
        use: The label without its frame, such as "refresh-mac": it becomes
            "batonpass/refresh-mac/1", where 1 is the version of that use.
        length: Bytes wanted.

    Source: RFC 5869, with SHA-256 and no salt (the secret is random already: §3.1).
    """
    info = f"batonpass/{use}/1".encode()
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(secret)


def secrets_of(name: str, secrets: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return the secrets of one of several Batonpass that share SECRET_KEY.

    All its keys are its own then: no token of customers is anything to staff, whatever their
    audiences are called (S-KEY-6).

    Args:
        name: What tells it from the others; "": the only one, or the first.
        secrets: SECRET_KEY's.
    """
    if not name:
        return tuple(secrets)
    return tuple(derive(secret, f"of/{name}") for secret in secrets)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Keys:
    """The symmetric keys. Its `repr` shows nothing.

    Attributes:
        refresh_mac: Prove that a refresh token is ours; the first issues, all are accepted.
        successor: Derive a refresh token's successor; likewise.
        throttle: Turns a login name or an address into a bucket's name.
        log: Turns a login name that failed into what a log may show.
    """

    refresh_mac: tuple[bytes, ...]
    successor: tuple[bytes, ...]
    throttle: bytes
    log: bytes

    @classmethod
    def derive_from(cls, secrets: Sequence[bytes]) -> Self:
        """Derive every key; the order of the secrets is the order of the keys.

        Raises:
            ConfigurationError: There is no secret.
        """
        _refuse_none(secrets)
        return cls(
            refresh_mac=tuple(derive(secret, "refresh-mac") for secret in secrets),
            successor=tuple(derive(secret, "successor") for secret in secrets),
            throttle=derive(secrets[0], "throttle"),
            log=derive(secrets[0], "log"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPeriod:
    """When the signing keys of one number count: one row of `signing_keys`.

    Attributes:
        number: Which key; a rotation adds the next one.
        counts_from: From then on it issues; it stands in the JWKS before. None: since ever.
        counts_until: From then on nothing of it is accepted, and it is out of the JWKS; a
            withdrawal sets it to now. None: for ever.
        is_withdrawn: Nothing of its keys is believed any more, whatever the time.
    """

    number: int
    counts_from: datetime | None = None
    counts_until: datetime | None = None
    is_withdrawn: bool = False

    def has_begun(self, now: datetime) -> bool:
        """Whether its keys may issue."""
        return self.counts_from is None or now >= self.counts_from

    def is_over(self, now: datetime) -> bool:
        """Whether what its keys signed is no longer accepted."""
        return self.is_withdrawn or (self.counts_until is not None and now >= self.counts_until)

    def retired(self, until: datetime) -> "KeyPeriod":
        """Return the period with an end, where it has none yet."""
        return replace(self, counts_until=until) if self.counts_until is None else self

    def withdrawn(self, now: datetime) -> "KeyPeriod":
        """Return the period as it is once its keys are withdrawn."""
        until = now if self.counts_until is None else min(now, self.counts_until)
        return self if self.is_withdrawn else replace(self, counts_until=until, is_withdrawn=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredKey:
    """One row of `signing_keys`: a key, by the name that only its secret's holder can make.

    Attributes:
        kid: The key's id.
        algorithm: How it signs.
        period: Its number, and when it counts.
    """

    kid: str
    algorithm: str
    period: KeyPeriod


class KeyState(StrEnum):
    """What a signing key is good for at a moment."""

    ANNOUNCED = auto()  # in the JWKS; it signs nothing yet
    ISSUING = auto()  # it signs every new access token
    ACCEPTED = auto()  # it signs nothing, and what it signed is good
    OVER = auto()  # what it signed has expired
    WITHDRAWN = auto()  # what it signed is refused
    UNKNOWN = auto()  # no secret derives it: the row was edited, or its secret is not listed


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRotation:
    """What `keys rotate` did.

    Attributes:
        added: The new key, one for each secret; the first one's is to issue.
        retired: The keys that got an end.
        withdrawn: The keys that nothing is believed of any more.
    """

    added: tuple[DeclaredKey, ...]
    retired: tuple[DeclaredKey, ...]
    withdrawn: tuple[DeclaredKey, ...]

    @property
    def changed(self) -> tuple[DeclaredKey, ...]:
        """Every row that is to be written."""
        return (*self.added, *self.retired, *self.withdrawn)


class SigningKey:
    """One key that signs access tokens. Its `repr` shows no key.

    Attributes:
        kid: The RFC 7638 thumbprint of the public key. For HS256, which has none, another output of
            HKDF, which tells nothing of the key.
        algorithm: The only one it signs and verifies with (RFC 8725 §3.1).
        number: Which key of its secret it is.
        verifying_key: The public half, for joserfc; for HS256 the key itself.
    """

    __slots__ = ("_sign", "_verify", "algorithm", "kid", "number", "verifying_key")

    def __init__(self, secret: bytes, algorithm: Algorithm, number: int) -> None:
        """Derive the key; the same three always give the same one."""
        self.algorithm: Algorithm = algorithm
        self.number = number
        make = {"ES256": _es256, "EdDSA": _eddsa, "HS256": _hs256}[algorithm]
        parts = make(secret, f"{algorithm}/{number}")
        self.kid: str = parts.kid
        self.verifying_key: VerifyingKey = parts.verifying_key
        self._sign = parts.sign
        self._verify = parts.verify

    def sign(self, message: bytes) -> bytes:
        """Sign, in the form a JWS wants: for ES256 r and s, 32 bytes each (RFC 7518 §3.4)."""
        return self._sign(message)

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether this key made the signature over exactly this message."""
        return self._verify(message, signature)

    def public_jwk(self) -> dict[str, str] | None:
        """Return what the JWKS publishes: no private member (S-JWT-11).

        None for HS256, which has nothing to publish.
        """
        if isinstance(self.verifying_key, OctKey):
            return None
        parameters = {"kid": self.kid, "use": "sig", "alg": self.algorithm}
        public = self.verifying_key.as_dict(private=False)
        return {**{name: str(value) for name, value in public.items()}, **parameters}

    def __repr__(self) -> str:
        """Name the key without showing it."""
        return f"SigningKey(kid={self.kid!r}, algorithm={self.algorithm!r}, number={self.number})"


_FIRST_PERIOD: Final = (KeyPeriod(number=1),)
_NO_TIME: Final = timedelta(0)


class NoSigningKeyError(Exception):
    """Every key is over, withdrawn or yet to begin: a fault of ours, no refusal of a request."""


class KeyRing:
    """The signing keys of every secret and number; one of them issues.

    Each secret counts its own keys: what the database says of one is in the row with its `kid`,
    and of a secret without a row the first key counts, since ever. So a new secret needs no row to
    begin, and a row that somebody edited says nothing of any key.
    """

    def __init__(
        self,
        secrets: Sequence[bytes],
        algorithm: Algorithm,
        periods: Iterable[KeyPeriod] = _FIRST_PERIOD,
    ) -> None:
        """Derive a key for each secret and period; `declare` takes over what the database says.

        Raises:
            ConfigurationError: There is no secret or no period.
        """
        _refuse_none(secrets)
        every = tuple(periods)
        if not every:
            msg = "No signing key is declared: run `batonpass keys rotate`."
            raise ConfigurationError(msg)
        self.algorithm: Algorithm = algorithm
        self._secrets = tuple(secrets)
        self.declarations = 0  # how often `declare` has changed what counts
        self._derived: dict[tuple[int, int], SigningKey] = {}
        self._held = self._hold([every] * len(self._secrets))

    def declare(self, declared: Iterable[DeclaredKey]) -> tuple[DeclaredKey, ...]:
        """Take over the rows of `signing_keys`, all at once.

        Returns:
            The rows of our algorithm that no secret derives: they are ignored.
        """
        ours, unknown = self._sort(declared)
        self._held = self._hold([[one.period for one in rows] or _FIRST_PERIOD for rows in ours])
        self.declarations += 1
        return tuple(unknown)

    def issuing(self, now: datetime) -> SigningKey:
        """Return the first secret's newest key that counts.

        Raises:
            NoSigningKeyError: None counts: somebody wrote into the table.
        """
        for period, key in self._held.issuers:
            if period.has_begun(now) and not period.is_over(now):
                return key
        msg = "No signing key counts: run `batonpass keys rotate --withdraw`, and see who wrote."
        raise NoSigningKeyError(msg)

    def find(self, kid: str, now: datetime, *, ended_by: timedelta = _NO_TIME) -> SigningKey | None:
        """Look a key up by its id, in memory alone; None when it is unknown, over or withdrawn.

        A key that is yet to begin is found: another process' clock may be ahead of ours.

        Args:
            kid: The key's id.
            now: The time to judge by.
            ended_by: How long past its end it is still found; a withdrawn one never is.
        """
        found = self._held.by_kid.get(kid)
        if found is None or found[0].is_over(now - ended_by):
            return None
        return found[1]

    def jwks(self, now: datetime) -> dict[str, list[dict[str, str]]]:
        """Return the public keys as a JWK set (RFC 7517 §5), those yet to begin among them."""
        public = (
            key.public_jwk()
            for period, key in self._held.by_kid.values()
            if not period.is_over(now)
        )
        return {"keys": [jwk for jwk in public if jwk is not None]}

    def states(
        self, declared: Iterable[DeclaredKey], now: datetime
    ) -> list[tuple[DeclaredKey, KeyState]]:
        """Tell what each key is good for: those that have a row, and those that need none."""
        ours, unknown = self._sort(declared)
        listed: list[tuple[DeclaredKey, KeyState]] = []
        for secret, rows in enumerate(ours):
            # As `issuing` looks: newest first, and of the first secret alone.
            may_issue = secret == 0
            for row in sorted(
                rows or [self._first_of(secret)], key=lambda one: one.period.number, reverse=True
            ):
                state = _state(row.period, now, may_issue=may_issue)
                may_issue = may_issue and state is not KeyState.ISSUING
                listed.append((row, state))
        listed += [(row, KeyState.UNKNOWN) for row in unknown]
        return sorted(listed, key=lambda one: one[0].period.number)

    def plan_rotation(
        self, declared: Iterable[DeclaredKey], now: datetime, *, overlap: timedelta, withdraw: bool
    ) -> KeyRotation:
        """Decide what a rotation writes; it touches no row that is not of our secrets.

        Args:
            declared: Every row of `signing_keys`, as it stands in the same transaction.
            now: When the rotation is made.
            overlap: How long after a key's last use something that it signed may be presented.
            withdraw: Whether the new key counts at once, and nothing older any more.

        Raises:
            ConfigurationError: More keys would be accepted at once than a verifier takes.
        """
        rows = tuple(declared)
        ours = [
            row
            for secret, found in enumerate(self._sort(rows)[0])
            for row in found or [self._first_of(secret)]
        ]
        begins = now if withdraw else now + LEARNT_WITHIN + PUBLISHED_BEFORE_USE
        number = 1 + max(row.period.number for row in (*rows, *ours))
        added = tuple(
            DeclaredKey(
                kid=self._key(secret, number).kid,
                algorithm=self.algorithm,
                period=KeyPeriod(number=number, counts_from=begins),
            )
            for secret in range(len(self._secrets))
        )
        if withdraw:
            old = [replace(row, period=row.period.withdrawn(now)) for row in ours]
            return KeyRotation(added=added, retired=(), withdrawn=_changed(ours, old))
        accepted = {row.period.number for row in ours if not row.period.is_over(now)}
        if len(accepted) >= MAX_ACCEPTED_KEYS:
            msg = (
                f"{len(accepted)} signing keys are accepted at this moment, and services that read "
                "the JWKS take no more. Wait until one is over, or run: batonpass keys rotate "
                "--withdraw"
            )
            raise ConfigurationError(msg)
        old = [replace(row, period=row.period.retired(begins + overlap)) for row in ours]
        return KeyRotation(added=added, retired=_changed(ours, old), withdrawn=())

    def _sort(
        self, declared: Iterable[DeclaredKey]
    ) -> tuple[list[list[DeclaredKey]], list[DeclaredKey]]:
        """Return each secret's rows, and those of our algorithm that are no secret's."""
        ours: list[list[DeclaredKey]] = [[] for _ in self._secrets]
        unknown: list[DeclaredKey] = []
        for row in declared:
            if row.algorithm != self.algorithm:
                continue
            for secret, rows in enumerate(ours):
                if self._key(secret, row.period.number).kid == row.kid:
                    rows.append(row)
                    break
            else:
                unknown.append(row)
        return ours, unknown

    def _first_of(self, secret: int) -> DeclaredKey:
        (period,) = _FIRST_PERIOD
        kid = self._key(secret, period.number).kid
        return DeclaredKey(kid=kid, algorithm=self.algorithm, period=period)

    def _key(self, secret: int, number: int) -> SigningKey:
        place = (secret, number)
        if place not in self._derived:
            self._derived[place] = SigningKey(self._secrets[secret], self.algorithm, number)
        return self._derived[place]

    def _hold(self, periods: Sequence[Iterable[KeyPeriod]]) -> "_Held":
        keys = [
            [
                (period, self._key(secret, period.number))
                for period in sorted(counted, key=lambda one: one.number, reverse=True)
            ]
            for secret, counted in enumerate(periods)
        ]
        by_kid = {held[1].kid: held for of_secret in keys for held in of_secret}
        return _Held(issuers=tuple(keys[0]), by_kid=by_kid)


@dataclass(frozen=True, slots=True, repr=False)
class _Held:
    """What a ring holds; replaced as a whole, so no reader sees half of a rotation."""

    issuers: tuple[tuple[KeyPeriod, SigningKey], ...]  # the first secret's, newest first
    by_kid: dict[str, tuple[KeyPeriod, SigningKey]]


def _state(period: KeyPeriod, now: datetime, *, may_issue: bool) -> KeyState:
    if period.is_withdrawn:
        return KeyState.WITHDRAWN
    if period.is_over(now):
        return KeyState.OVER
    if not period.has_begun(now):
        return KeyState.ANNOUNCED
    return KeyState.ISSUING if may_issue else KeyState.ACCEPTED


def _changed(
    before: Sequence[DeclaredKey], after: Sequence[DeclaredKey]
) -> tuple[DeclaredKey, ...]:
    return tuple(new for old, new in zip(before, after, strict=True) if new != old)


def _refuse_none(secrets: Sequence[bytes]) -> None:
    if not secrets:
        msg = f"SECRET_KEY: there is none. {CURE}"
        raise ConfigurationError(msg)


# --- deriving a signing key --------------------------------------------------------------------


@dataclass(frozen=True, slots=True, repr=False)
class _Parts:
    kid: str
    verifying_key: VerifyingKey
    sign: Callable[[bytes], bytes]
    verify: Verify


def _es256(secret: bytes, name: str) -> _Parts:
    seed = int.from_bytes(derive(secret, f"sign/{name}", _P256_SEED_BYTES))
    private = derive_private_key(seed % (_P256_ORDER - 1) + 1, SECP256R1())

    def sign(message: bytes) -> bytes:
        r, s = decode_dss_signature(private.sign(message, ECDSA_SHA256))
        return r.to_bytes(P256_BYTES) + s.to_bytes(P256_BYTES)

    public = private.public_key()
    key = ECKey.import_key(public)
    return _Parts(key.thumbprint(), key, sign, es256(public))


def _eddsa(secret: bytes, name: str) -> _Parts:
    private = Ed25519PrivateKey.from_private_bytes(derive(secret, f"sign/{name}"))
    public = private.public_key()
    key = OKPKey.import_key(public)
    return _Parts(key.thumbprint(), key, private.sign, eddsa(public))


def _hs256(secret: bytes, name: str) -> _Parts:
    key = derive(secret, f"sign/{name}")
    kid = urlsafe_b64encode(derive(secret, f"kid/{name}")).rstrip(b"=").decode()

    def sign(message: bytes) -> bytes:
        return hmac.digest(key, message, "sha256")

    def verify(message: bytes, signature: bytes) -> bool:
        return hmac.compare_digest(sign(message), signature)

    return _Parts(kid, OctKey.import_key(key), sign, verify)

"""Throttles: how many failures one may have before the next password is not even looked at.

A place is taken before the password is hashed and given back when it was right, so only failures
stay counted, and forty requests at once count as forty. The buckets stand in the database, shared
by all processes and kept over a restart (S-THR-1); their keys are keyed hashes, so the table tells
no name and no address. Nobody can lock an account's owner out of a place that its logins came from
(S-THR-2).

Functions of a connection in somebody else's transaction. Everybody takes the buckets in one
order, so two transactions that meet wait for each other and never deadlock.

Source: OWASP ASVS 5.0 V6.3.1; docs/security.md, "Throttles and registration";
docs/decisions/0001-throttle-in-sql.md.
"""

import hmac
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, Final, Self
from uuid import UUID

from sqlalchemy import (
    Connection,
    Executable,
    Select,
    Table,
    bindparam,
    case,
    delete,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from batonpass import ids
from batonpass.errors import RateLimitedError
from batonpass.events import LOGIN_SUCCESSES
from batonpass.origins import block
from batonpass.server.models import THROTTLE_KEY_BYTES, throttle

KNOWN_FOR: Final = timedelta(days=90)  # after its last good login a block is a stranger again
SITE_BITS: Final = 48  # what one subscriber of IPv6 is usually given: 65,536 blocks
SITE_FACTOR: Final = 4
MAX_ROWS: Final = 262_144  # of about 100 bytes each, with their index
TAKES_BETWEEN_PURGES: Final = 10_000  # of one process, and each makes four rows at most
MAX_TOLD: Final = 4096  # full buckets that a process remembers to have told of

# The same for every bucket: one that told its own end would tell which one is full (S-THR-3).
RETRY_AFTER_SECONDS: Final = 60

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_LIMIT: Final = re.compile(r"([1-9]\d{0,5})/([1-9]\d{0,3})([smhd])", re.ASCII)
_NOBODY: Final = UUID(int=0)


class Bucket(StrEnum):
    """What failures are counted by."""

    ADDRESS = "address"  # a block
    SITE = "site"  # the IPv6 network around it
    PAIR = "pair"  # an account and a block
    STRANGERS = "strangers"  # an account, over all blocks that it never logged in from
    REGISTRATION = "registration"  # a block
    CONFIRMATION = "confirmation"  # a session
    MAIL = "mail"  # an account: letters that strangers can have sent to it


@dataclass(frozen=True, slots=True)
class Limit:
    """So many within so long.

    Attributes:
        count: How many places there are.
        per: For how long a place that was not given back stays taken, at most.
    """

    count: int
    per: timedelta

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `10/15m`: ten within fifteen minutes (s, m, h, d).

        Raises:
            ValueError: It is not of this form.
        """
        found = _LIMIT.fullmatch(text)
        if found is None:
            msg = f"{text!r} is not of the form 10/15m (so many within so many s, m, h or d)"
            raise ValueError(msg)
        count, length, unit = found.groups()
        return cls(int(count), timedelta(**{_UNITS[unit]: int(length)}))


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginLimits:
    """The limits of the three buckets that a login goes through (docs/security.md, §3)."""

    pair: Limit = Limit(10, timedelta(minutes=15))
    address: Limit = Limit(50, timedelta(minutes=15))
    strangers: Limit = Limit(100, timedelta(hours=1))

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read RATE_LIMIT_LOGIN: `pair=10/15m,address=50/15m,strangers=100/1h`, or `off` (None).

        A bucket that is not named keeps its default.

        Raises:
            ValueError: It is not of this form, or names a bucket that there is not, or one twice.
        """
        if text.strip() == "off":
            return None
        limits: dict[str, Limit] = {}
        for item in text.split(","):
            name, equals, limit = item.strip().partition("=")
            if not equals or name not in {Bucket.PAIR, Bucket.ADDRESS, Bucket.STRANGERS}:
                msg = f"{item.strip()!r} is none of pair=…, address=…, strangers=…, off"
                raise ValueError(msg)
            if name in limits:
                msg = f"{name} stands there twice"
                raise ValueError(msg)
            limits[name] = Limit.parse(limit)
        return cls(**limits)


@dataclass(frozen=True, slots=True)
class Place:
    """Places that were taken: to be given back when the password was right, or never looked at.

    Attributes:
        taken: Key and end of each bucket's window.
        filled: Buckets whose last place this was: should the attempt fail, an event is due
            (authn_login_fail_max), and of `strangers` the owner is told.
    """

    taken: Sequence[tuple[bytes, datetime]] = ()
    filled: Sequence[Bucket] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """There was no place. Nothing stays taken.

    Attributes:
        bucket: Which one is full: for the log, never for the answer.
        is_news: Whether an event is due. Refusing costs an attacker nothing, so a flood of it must
            not fill the disk, nor the list in which a user looks for the one alarm.
    """

    bucket: Bucket
    is_news: bool = field(default=True, compare=False)

    def error(self) -> RateLimitedError:
        """Return what to raise, the same for every bucket, once the transaction is committed."""
        return RateLimitedError(retry_after=RETRY_AFTER_SECONDS)


@dataclass(frozen=True, slots=True)
class _Counted:
    """One bucket as it will be looked up."""

    bucket: Bucket
    parts: tuple[str, ...]
    limit: Limit


class Throttle:
    """Takes places, by the limits of one server."""

    def __init__(
        self,
        key: bytes,
        *,
        login: LoginLimits | None,
        registration: Limit | None = None,
        confirmation: Limit | None = None,
        mail: Limit | None = None,
    ) -> None:
        """Take the limits; None: there is none.

        Args:
            key: 32 bytes, HKDF label "batonpass/throttle/1".
            login: RATE_LIMIT_LOGIN.
            registration: New accounts a block may make; None in development.
            confirmation: Wrong passwords a session may give to /auth/confirm and /auth/password.
            mail: Letters that anybody may have sent to one e-mail address.
        """
        self._key = key
        self._login = login
        self._registration = registration
        self._confirmation = confirmation
        self._mail = mail
        self._told: OrderedDict[bytes, datetime] = OrderedDict()  # full buckets, by row key
        self._takes = 0

    def take_login(
        self,
        connection: Connection,
        *,
        account: str,
        address: str | None,
        known: bool,
        now: datetime,
    ) -> Place | Refusal:
        """Take a place for a login, before its password is hashed.

        Args:
            connection: In a transaction that is committed, also after a refusal.
            account: The canonical e-mail; what cannot be one, as it was typed.
            address: Where the request comes from.
            known: What `knows_block` said: such a place is never refused for strangers' failures.
            now: UTC.
        """
        if self._login is None:
            return Place()
        where = block(address) or ""
        # The address first: what it refuses makes no row for yet another name.
        buckets = [_Counted(Bucket.ADDRESS, (where,), self._login.address)]
        site = _site(address)
        if site is not None:
            wider = Limit(self._login.address.count * SITE_FACTOR, self._login.address.per)
            buckets.append(_Counted(Bucket.SITE, (site,), wider))
        buckets.append(_Counted(Bucket.PAIR, (account, where), self._login.pair))
        if not known:
            buckets.append(_Counted(Bucket.STRANGERS, (account,), self._login.strangers))
        return self._take(connection, buckets, now)

    def take_registration(
        self, connection: Connection, *, address: str | None, now: datetime
    ) -> Place | Refusal:
        """Take a place for a registration; it is kept, whatever becomes of it."""
        if self._registration is None:
            return Place()
        where = block(address) or ""
        return self._take(
            connection, [_Counted(Bucket.REGISTRATION, (where,), self._registration)], now
        )

    def take_confirmation(
        self, connection: Connection, *, family_id: UUID, now: datetime
    ) -> Place | Refusal:
        """Take a place for a password that a signed-in user gives again."""
        if self._confirmation is None:
            return Place()
        return self._take(
            connection, [_Counted(Bucket.CONFIRMATION, (str(family_id),), self._confirmation)], now
        )

    def take_mail(self, connection: Connection, *, account: str, now: datetime) -> Place | Refusal:
        """Take a place for a letter that somebody unknown has sent to an e-mail address.

        By the address alone: whoever wants to fill a mailbox has many blocks to ask from.
        """
        if self._mail is None:
            return Place()
        return self._take(connection, [_Counted(Bucket.MAIL, (account,), self._mail)], now)

    def _take(
        self, connection: Connection, buckets: Sequence[_Counted], now: datetime
    ) -> Place | Refusal:
        place = self._take_all(connection, buckets, now)
        self._takes += 1
        if self._takes % TAKES_BETWEEN_PURGES == 0:
            # Last: it waits for nobody, and whoever waits for what it deletes waits for no place.
            purge(connection, now, max_rows=MAX_ROWS)
        return place

    def _take_all(
        self, connection: Connection, buckets: Sequence[_Counted], now: datetime
    ) -> Place | Refusal:
        taken: list[tuple[bytes, datetime]] = []
        filled: list[Bucket] = []
        for counted in buckets:
            key = self._row_key(counted)
            count = _take_one(connection, key, counted.limit, now)
            if count is None:
                give_back(connection, Place(taken))
                return Refusal(counted.bucket, self._is_news(key, counted.limit, now))
            number, resets_at = count
            taken.append((key, resets_at))
            if number == counted.limit.count:
                filled.append(counted.bucket)
        return Place(taken, filled)

    def _is_news(self, key: bytes, limit: Limit, now: datetime) -> bool:
        """Whether this process has not told within the bucket's window that it is full."""
        told_at = self._told.get(key)
        if told_at is not None and now - told_at < limit.per:
            return False
        self._told[key] = now
        self._told.move_to_end(key)
        if len(self._told) > MAX_TOLD:
            self._told.popitem(last=False)
        return True

    def _row_key(self, counted: _Counted) -> bytes:
        # Each part with its length, so that no two lists of parts make one text.
        parts = [part.encode("utf-8", "surrogatepass") for part in (counted.bucket, *counted.parts)]
        message = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
        return hmac.digest(self._key, message, sha256)[:THROTTLE_KEY_BYTES]


def give_back(connection: Connection, place: Place) -> None:
    """Give places back: the password was right, or nobody looked at it.

    A row that counts nothing more goes, so only failures leave rows.
    """
    for key, resets_at in place.taken:
        this = {"row_key": key, "window": resets_at}
        if connection.execute(_GIVE_LAST_BACK, this).rowcount == 0:
            connection.execute(_GIVE_ONE_BACK, this)


def knows_block(
    connection: Connection,
    security_events: Table,
    *,
    user_id: UUID | None,
    address: str | None,
    now: datetime,
) -> bool:
    """Tell whether a login to this account succeeded from this block within KNOWN_FOR.

    Args:
        connection: In a transaction.
        security_events: The library's table.
        user_id: Whose; None: there is no such account. It then asks as much, and finds nothing.
        address: Where the request comes from.
        now: UTC.
    """
    events = security_events.c
    query = select(events.ip).where(
        events.user_id == (user_id or _NOBODY),
        events.id >= ids.lowest_id(now - KNOWN_FOR),  # an id carries its time
        # Written out: bound values would not tell the database that the index of logins serves.
        events.event.in_([literal(name.value, literal_execute=True) for name in LOGIN_SUCCESSES]),
    )
    where = block(address)
    if where is None:
        return connection.execute(query.where(events.ip.is_(None)).limit(1)).first() is not None
    head = _textual_head(where)
    if head is None:
        query = query.where(events.ip == where)
    else:
        query = query.where(events.ip.startswith(head, autoescape=True))
    return any(block(ip) == where for ip in connection.scalars(query.distinct()))


def purge(connection: Connection, now: datetime, *, max_rows: int = MAX_ROWS) -> int:
    """Delete what no longer counts, and of what does the least, beyond `max_rows`.

    An attacker with a million names fills the table no further; what he pushes out are the buckets
    with the fewest failures, so nobody who is near a limit comes free. The server does this once an
    hour, and after so many attempts that the table may have grown by a sixth (S-THR-6).

    Returns:
        How many rows went.
    """
    over = _delete(connection, select(throttle.c.key).where(throttle.c.resets_at <= now))
    rows = connection.scalar(select(func.count()).select_from(throttle)) or 0
    if rows <= max_rows:
        return over
    least = select(throttle.c.key).order_by(throttle.c.count, throttle.c.resets_at)
    return over + _delete(connection, least.limit(rows - max_rows))


def _delete(connection: Connection, keys: Select[bytes]) -> int:
    # Rows that a login holds are left for the next time: waiting for them, in an order that is not
    # the logins', could deadlock.
    free = keys.with_for_update(skip_locked=True)
    return connection.execute(delete(throttle).where(throttle.c.key.in_(free))).rowcount


def _take_one(
    connection: Connection, key: bytes, limit: Limit, now: datetime
) -> tuple[int, datetime] | None:
    """Count one more in the bucket's window, or in a new one; None: it is full, nothing written."""
    row = connection.execute(
        _TAKE[connection.dialect.name],
        {"row_key": key, "now": now, "ends": now + limit.per, "most": limit.count},
    ).first()
    return None if row is None else (row[0], row[1])


# Each login takes and gives back several: the statements are written once, not each time.
_TIME: Final = throttle.c.resets_at.type


def _taking(insert: Callable[[Table], Any]) -> Executable:  # each dialect's own type
    now, ends = bindparam("now", type_=_TIME), bindparam("ends", type_=_TIME)
    over = throttle.c.resets_at <= now
    statement = insert(throttle).values(key=bindparam("row_key"), count=1, resets_at=ends)
    counted = statement.on_conflict_do_update(
        index_elements=["key"],
        set_={
            "count": case((over, 1), else_=throttle.c.count + 1),
            "resets_at": case((over, ends), else_=throttle.c.resets_at),
        },
        where=over | (throttle.c.count < bindparam("most")),
    )
    written: Executable = counted.returning(throttle.c.count, throttle.c.resets_at)
    return written


_TAKE: Final = {"sqlite": _taking(sqlite.insert), "postgresql": _taking(postgresql.insert)}
# Only in the window that it was taken in: a later one never counted it.
_THIS: Final = (
    throttle.c.key == bindparam("row_key"),
    throttle.c.resets_at == bindparam("window"),
)
_GIVE_LAST_BACK: Final = delete(throttle).where(*_THIS, throttle.c.count <= 1)
_GIVE_ONE_BACK: Final = update(throttle).where(*_THIS).values(count=throttle.c.count - 1)


def _site(address: str | None) -> str | None:
    """Return the IPv6 network of SITE_BITS around an address; None for any other."""
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return None
    if not isinstance(parsed, IPv6Address) or parsed.ipv4_mapped is not None:
        return None
    return str(ip_network((parsed.packed, SITE_BITS), strict=False))


def _textual_head(where: str) -> str | None:
    """Return the text that every address of an IPv6 block begins with; None for an IPv4 address.

    Only the groups in front of the first zero are sure: from there on `::` may stand for it.
    """
    if "/" not in where:
        return None
    head = ""
    for group in ip_network(where).network_address.exploded.split(":")[:4]:
        if not int(group, 16):
            return head
        head += f"{int(group, 16):x}:"
    return head

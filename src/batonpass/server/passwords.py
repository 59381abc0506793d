"""Passwords: which ones an account may have, and their hashes.

Length and commonness alone decide; no composition rules, no forced change. Hashing costs what 170
refreshes cost, so it has threads of its own and a queue with an end: at the end, `BusyError`.

Source: OWASP ASVS 5.0 V6.2; NIST SP 800-63B-4 §3.1.1; docs/security.md, S-PW-1 to S-PW-5, S-ENUM-1.
"""

import asyncio
import importlib.util
import os
import secrets
import sys
import threading
import unicodedata
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import Final, TypeVar

from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from pwdlib.hashers.argon2 import Argon2Hasher
from pwdlib.hashers.bcrypt import BcryptHasher

from batonpass.errors import BusyError, WeakPasswordError
from batonpass.server.email_addresses import EmailAddress

# S-PW-1: code points, after NFC. NIST wants 15 for a sole factor; the page advises it.
MIN_PASSWORD_CHARACTERS: Final = 8  # ASVS V6.2.1
MAX_PASSWORD_CHARACTERS: Final = 1_024  # ASVS V6.2.9 wants at least 64
PRODUCT_NAMES: Final = frozenset({"batonpass", "baton pass", "baton-pass"})

# OWASP Password Storage Cheat Sheet: Argon2id, 19 MiB, t=2, p=1 (S-PW-4)
ARGON2_MEMORY_KIB: Final = 19_456
ARGON2_ITERATIONS: Final = 2
ARGON2_LANES: Final = 1
_ARGON2_SALT_BYTES: Final = 16  # RFC 9106 §3.1
_ARGON2_HASH_BYTES: Final = 32

WORKERS_VARIABLE: Final = "WEB_CONCURRENCY"  # how many processes share the cores
NICENESS: Final = 10
QUEUE_PER_THREAD: Final = 8  # at 17.5 ms a hash the last in the queue waits 140 ms
BUSY_RETRY_AFTER_SECONDS: Final = 1
_BCRYPT_MAX_BYTES: Final = 72  # bcrypt looks at no more
_MAX_RAW_CHARACTERS: Final = 4 * MAX_PASSWORD_CHARACTERS  # NFC may shorten; this bounds its work

T = TypeVar("T")


def normalise(password: str) -> str:
    """Return the password as it is hashed: NFC, so that é typed two ways is one password (S-PW-2).

    Not NFKC: it would make different passwords equal.

    Raises:
        WeakPasswordError: It is longer than any account's, or holds what no keyboard types.
    """
    if len(password) <= _MAX_RAW_CHARACTERS:
        password = unicodedata.normalize("NFC", password)
    if len(password) > MAX_PASSWORD_CHARACTERS:
        msg = f"Please choose a password of at most {MAX_PASSWORD_CHARACTERS:,} characters."
        raise WeakPasswordError(msg)
    if "\x00" in password or any("\ud800" <= letter <= "\udfff" for letter in password):
        raise WeakPasswordError("This password holds characters that cannot be typed again.")
    return password


def accept_new(password: str, email: EmailAddress) -> str:
    """Return a new password as it is hashed, if an account may have it.

    Too short, too long, common, or a name that stands on the page: nothing else is asked (S-PW-3).

    Args:
        password: As somebody typed it; every character counts, spaces too.
        email: The account's own.

    Raises:
        WeakPasswordError: It may not; the sentence says why.
    """
    password = normalise(password)
    if len(password) < MIN_PASSWORD_CHARACTERS:
        msg = f"Please choose a password of at least {MIN_PASSWORD_CHARACTERS} characters."
        raise WeakPasswordError(msg)
    folded = password.casefold()
    if folded in common_passwords():
        raise WeakPasswordError("This password is among the most common ones. Choose another.")
    if folded in PRODUCT_NAMES:
        raise WeakPasswordError("This password is the name of this product. Choose another.")
    if folded in _own_names(email):
        raise WeakPasswordError("This password is your own e-mail. Choose another.")
    return password


@cache
def common_passwords() -> frozenset[str]:
    """Return the 11,611 most common passwords that are long enough otherwise, in lower case.

    They are data of zxcvbn (MIT); read at first use, and without the rest of that package.
    """
    package = importlib.util.find_spec("zxcvbn")
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError("zxcvbn", name="zxcvbn")
    [folder] = package.submodule_search_locations
    spec = importlib.util.spec_from_file_location(
        "_frequency_lists", f"{folder}/frequency_lists.py"
    )
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError("zxcvbn.frequency_lists", name="zxcvbn.frequency_lists")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    listed: list[str] = module.FREQUENCY_LISTS["passwords"]
    return frozenset(word for word in listed if len(word) >= MIN_PASSWORD_CHARACTERS)


def _own_names(email: EmailAddress) -> set[str]:
    whole = {email.stored.casefold(), email.canonical}
    return whole | {name.partition("@")[0] for name in whole}


class PasswordHasher:
    """Hashes passwords, one a core at a time, and remembers none.

    Attributes:
        places: How many may be in its hands at once, in threads and in the queue.
    """

    def __init__(self, threads: int | None = None) -> None:
        """Start with this process' share of the cores; no thread runs before the first password."""
        threads = threads or _own_cores()
        self._executor = ThreadPoolExecutor(
            threads, thread_name_prefix="batonpass-password", initializer=_step_back
        )
        self.places = threads * (1 + QUEUE_PER_THREAD)
        self._free = threading.BoundedSemaphore(self.places)
        self._argon2 = Argon2Hasher(
            time_cost=ARGON2_ITERATIONS,
            memory_cost=ARGON2_MEMORY_KIB,
            parallelism=ARGON2_LANES,
            hash_len=_ARGON2_HASH_BYTES,
            salt_len=_ARGON2_SALT_BYTES,
        )
        self._any = PasswordHash((self._argon2, BcryptHasher()))
        self._nobodys = _hash_of_no_password()

    async def hash(self, password: str) -> str:
        """Hash a password that `accept_new` took.

        Raises:
            BusyError: Too many are waiting already.
        """
        return await self._in_thread(lambda: self._argon2.hash(password))

    async def verify(self, password: str, hashed: str | None) -> tuple[bool, str | None]:
        """Tell whether the password is the one that was hashed.

        Args:
            password: As somebody typed it.
            hashed: Argon2 or, from an import, bcrypt; None where there is no such account: that
                takes as long as a wrong password (S-ENUM-1).

        Returns:
            Whether it is, and a new hash where the old one is weaker than today's.

        Raises:
            BusyError: Too many are waiting already.
        """
        try:
            password = normalise(password)
        except WeakPasswordError:  # nobody's; said at once, and the same for every account
            return False, None
        return await self._in_thread(lambda: self._verify(password, hashed))

    def close(self) -> None:
        """End the threads; those who wait are cancelled."""
        self._executor.shutdown(cancel_futures=True)

    def _verify(self, password: str, hashed: str | None) -> tuple[bool, str | None]:
        if hashed is None or _is_beyond_bcrypt(password, hashed):
            self._argon2.verify(password, self._nobodys)
            return False, None
        try:
            return self._any.verify_and_update(password, hashed)
        except UnknownHashError:  # no password opens this account; an operator may set one
            self._argon2.verify(password, self._nobodys)
            return False, None

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if not self._free.acquire(blocking=False):
            raise BusyError(retry_after=BUSY_RETRY_AFTER_SECONDS)
        try:
            future: Future[T] = self._executor.submit(work)
        except BaseException:
            self._free.release()
            raise
        # Called when it is done and when it was cancelled in the queue: a caller who leaves takes
        # the place along, unless a thread has begun; then its end frees it.
        future.add_done_callback(lambda _: self._free.release())
        return await asyncio.wrap_future(future)


def _own_cores() -> int:
    """Return how many cores are this process' to hash on: its part of those that the server has.

    Else eight workers on eight cores hash 64 passwords at once, in 1.2 GiB (S-PW-5). Uvicorn reads
    WEB_CONCURRENCY where `--workers` is not given; `batonpass serve` sets it.
    """
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    workers = os.environ.get(WORKERS_VARIABLE, "")
    return max(1, cores // int(workers)) if workers.isdecimal() and int(workers) else cores


def _step_back() -> None:
    """Give this thread a core only when nobody else wants it: refreshes do not wait for hashes.

    Linux alone gives threads a niceness of their own; elsewhere it would be the whole process'.
    """
    if sys.platform == "linux":
        os.nice(NICENESS)


def _hash_of_no_password() -> str:
    """Return a hash that costs what every other does and that nothing matches."""

    def b64(data: bytes) -> str:
        return b64encode(data).decode("ascii").rstrip("=")

    salt, digest = secrets.token_bytes(_ARGON2_SALT_BYTES), secrets.token_bytes(_ARGON2_HASH_BYTES)
    parameters = f"m={ARGON2_MEMORY_KIB},t={ARGON2_ITERATIONS},p={ARGON2_LANES}"
    return f"$argon2id$v=19${parameters}${b64(salt)}${b64(digest)}"


def _is_beyond_bcrypt(password: str, hashed: str) -> bool:
    # The bytes after the 72nd were never hashed: a match would prove only a part of the password.
    return hashed.startswith("$2") and len(password.encode()) > _BCRYPT_MAX_BYTES

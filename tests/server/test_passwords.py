"""Which passwords an account may have, and what hashing them costs and promises."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import bcrypt
import pytest
from pwdlib.hashers.argon2 import Argon2Hasher

from batonpass.errors import BusyError, WeakPasswordError
from batonpass.server import email_addresses
from batonpass.server.passwords import (
    NICENESS,
    QUEUE_PER_THREAD,
    WORKERS_VARIABLE,
    PasswordHasher,
    accept_new,
    common_passwords,
    normalise,
)

ADA = email_addresses.parse("Ada.Lovelace@example.com")
GOOD = "correct horse battery"


@pytest.fixture
def hasher() -> Iterator[PasswordHasher]:
    hasher = PasswordHasher(threads=1)
    yield hasher
    hasher.close()


REFUSED = [
    pytest.param("sevench", "at least 8", id="7 characters"),
    pytest.param("", "at least 8", id="none"),
    pytest.param("x" * 1_025, "at most 1,024", id="1,025 characters"),
    pytest.param("x" * 10**6, "at most 1,024", id="a million"),
    pytest.param("password1", "most common", id="a common one"),
    pytest.param("PassWord1", "most common", id="a common one in other letters"),
    pytest.param("BatonPass", "name of this product", id="the product"),
    pytest.param("ada.lovelace@example.com", "own e-mail", id="the own e-mail"),
    pytest.param("ADA.LOVELACE", "own e-mail", id="its name alone"),
    pytest.param("passphrase\ud800", "cannot be typed", id="half a surrogate pair"),
    pytest.param("passphrase\x00", "cannot be typed", id="NUL"),
    pytest.param("e\u0301" * 7, "at least 8", id="seven that were typed as fourteen"),
]


@pytest.mark.parametrize(("password", "reason"), REFUSED)
def test_s_pw_3_a_weak_password_is_refused_with_the_reason(password: str, reason: str) -> None:
    with pytest.raises(WeakPasswordError, match=reason):
        accept_new(password, ADA)


ACCEPTED = [
    pytest.param("eightchr", id="8 characters"),
    pytest.param("x" * 1_024, id="1,024 characters"),
    pytest.param("e\u0301" * 1_024, id="1,024 that were typed as 2,048"),
    pytest.param("        ", id="spaces count"),
    pytest.param("🐎🔋📎🐎🔋📎🐎🔋", id="emoji count"),
    pytest.param("password1 and more", id="a common one is only a part of it"),
    pytest.param("ada.lovelace@example.com!", id="the e-mail is only a part of it"),
]


@pytest.mark.parametrize("password", ACCEPTED)
def test_any_other_password_is_accepted(password: str) -> None:
    assert accept_new(password, ADA) == normalise(password)


def test_s_pw_3_the_list_of_common_ones_is_as_long_as_promised() -> None:
    assert len(common_passwords()) >= 10_000
    assert all(len(password) >= 8 for password in common_passwords())


def test_the_list_is_read_without_the_rest_of_its_package() -> None:
    code = (
        "import sys; from batonpass.server.passwords import common_passwords;"
        "assert 'zxcvbn' not in sys.modules; common_passwords();"
        "assert not [name for name in sys.modules if 'zxcvbn' in name]"
    )

    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


async def test_s_pw_4_a_hash_is_argon2id_with_todays_parameters(hasher: PasswordHasher) -> None:
    hashed = await hasher.hash(GOOD)

    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await hasher.verify(GOOD, hashed) == (True, None)
    assert await hasher.verify(GOOD + " ", hashed) == (False, None)


@pytest.mark.parametrize(
    "weaker",
    [
        pytest.param(bcrypt.hashpw(GOOD.encode(), bcrypt.gensalt(4)).decode(), id="bcrypt"),
        pytest.param(Argon2Hasher(1, 8_192, 1).hash(GOOD), id="argon2 of other parameters"),
    ],
)
async def test_a_weaker_hash_is_replaced_at_login(hasher: PasswordHasher, weaker: str) -> None:
    matched, better = await hasher.verify(GOOD, weaker)

    assert matched
    assert better is not None
    assert better.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await hasher.verify(GOOD, better) == (True, None)
    assert await hasher.verify("wrong", weaker) == (False, None)


NOBODYS = [
    pytest.param(GOOD, None, id="no such account"),
    pytest.param(GOOD, "!", id="a hash of no kind that we know"),
    pytest.param(GOOD, "", id="an empty hash"),
    pytest.param("x" * 1_025, None, id="longer than any"),
    pytest.param("passphrase\ud800", None, id="half a surrogate pair"),
    pytest.param("passphrase\x00", None, id="NUL"),
    pytest.param(
        "a" * 73, bcrypt.hashpw(b"a" * 72, bcrypt.gensalt(4)).decode(), id="more than bcrypt sees"
    ),
    pytest.param(GOOD, "$2b$04$short", id="a torn bcrypt hash"),
    pytest.param(GOOD, "$argon2id$v=19$m=19456,t=2,p=1$!$!", id="a torn argon2 hash"),
]


@pytest.mark.parametrize(("password", "hashed"), NOBODYS)
async def test_nothing_opens_it(hasher: PasswordHasher, password: str, hashed: str | None) -> None:
    assert await hasher.verify(password, hashed) == (False, None)


@pytest.mark.parametrize(("cores", "workers", "threads"), [
    (8, None, 8), (8, "1", 8), (8, "3", 2), (8, "8", 1), (2, "9", 1), (4, "0", 4), (4, "x", 4),
])  # fmt: skip
def test_s_pw_5_workers_share_the_cores_they_hash_on(
    monkeypatch: pytest.MonkeyPatch, cores: int, workers: str | None, threads: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    if workers is None:
        monkeypatch.delenv(WORKERS_VARIABLE, raising=False)
    else:
        monkeypatch.setenv(WORKERS_VARIABLE, workers)
    hasher = PasswordHasher()

    hasher.close()

    assert hasher._executor._max_workers == threads


async def test_s_pw_5_the_queue_has_an_end(hasher: PasswordHasher) -> None:
    takes = 1 + QUEUE_PER_THREAD
    answers = await asyncio.gather(
        *(hasher.verify(GOOD, None) for _ in range(takes + 5)), return_exceptions=True
    )

    busy = [answer for answer in answers if isinstance(answer, BusyError)]
    assert len(busy) == 5
    assert {error.retry_after for error in busy} == {1}
    assert await hasher.verify(GOOD, None) == (False, None)


@pytest.mark.skipif(sys.platform != "linux", reason="a niceness is the whole process' there")
async def test_a_thread_that_hashes_lets_others_go_first(hasher: PasswordHasher) -> None:
    ours = os.getpriority(os.PRIO_PROCESS, 0)

    await hasher.hash(GOOD)

    threads = {thread.name: thread.native_id for thread in threading.enumerate()}
    hashing = threads["batonpass-password_0"]
    assert hashing is not None
    assert os.getpriority(os.PRIO_PROCESS, hashing) == min(ours + NICENESS, 19)
    assert os.getpriority(os.PRIO_PROCESS, 0) == ours


async def test_a_caller_who_leaves_takes_the_place_along(hasher: PasswordHasher) -> None:
    async def leave() -> None:
        callers = [asyncio.create_task(hasher.hash(GOOD)) for _ in range(1 + QUEUE_PER_THREAD)]
        await asyncio.sleep(0)
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)

    for _ in range(20):
        await leave()
    await hasher.hash(GOOD)  # behind whatever a thread had begun

    whole_queue = (hasher.hash(GOOD) for _ in range(1 + QUEUE_PER_THREAD))
    assert len(await asyncio.gather(*whole_queue)) == 1 + QUEUE_PER_THREAD

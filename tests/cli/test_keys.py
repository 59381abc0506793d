"""`batonpass keys`: what an operator is told, and that nothing of a key is shown."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from batonpass.clock import Clock as RealClock
from batonpass.keys import LEARNT_WITHIN, Algorithm, derive
from tests.support.clocks import Clock
from tests.support.families import TICK
from tests.support.servers import SECRET_KEY, a_server
from tests.support.shell import Shell


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    made = Shell(tmp_path)
    assert made("migrate")[0] == 0
    return made


def listed(shell: Shell, **settings: str) -> list[dict[str, Any]]:
    code, out, err = shell("keys", "list", "--json", **settings)
    assert (code, err) == (0, "")
    keys: list[dict[str, Any]] = json.loads(out)
    return keys


def test_before_any_rotation_there_is_one_key(shell: Shell) -> None:
    (only,) = listed(shell)

    assert set(only) == {"number", "kid", "algorithm", "state", "counts_from", "counts_until"}
    assert (only["number"], only["algorithm"], only["state"]) == (1, "ES256", "issuing")
    assert only["counts_from"] is only["counts_until"] is None


def test_s_key_3_a_rotation_says_when_the_next_key_signs_and_how_long_the_old_one_is_good(
    shell: Shell,
) -> None:
    code, out, err = shell("keys", "rotate")

    first, second = listed(shell)
    assert (code, err) == (0, "")
    assert [first["state"], second["state"]] == ["issuing", "announced"]
    assert f"Key 2 (kid {second['kid']}) is announced." in out
    assert _as_told(second["counts_from"]) in out
    assert f"What key 1 signed is good until {_as_told(first['counts_until'])}." in out


def test_s_key_3_a_withdrawal_says_what_it_ends(shell: Shell) -> None:
    shell("keys", "rotate")

    code, out, err = shell("keys", "rotate", "--withdraw")

    assert (code, err) == (0, "")
    assert [key["state"] for key in listed(shell)] == ["withdrawn", "withdrawn", "issuing"]
    assert out.startswith("Key 3 (kid ")
    assert "Withdrawn: keys 1, 2." in out
    assert "refused, within 60 s on every process" in out
    assert "Sessions go on" in out


async def test_s_key_3_a_running_server_refuses_a_withdrawn_keys_tokens_and_goes_on(
    tmp_path: Path,
) -> None:
    now = Clock(RealClock().now())  # the command's clock cannot be moved
    async with a_server(f"sqlite:///{tmp_path / 'batonpass.db'}", clock=now) as server:
        client = await server.signed_in()

        assert (await asyncio.to_thread(Shell(tmp_path), "keys", "rotate", "--withdraw"))[0] == 0
        server.clock.advance(LEARNT_WITHIN + TICK)
        refused = await client.get("/auth/me")
        renewed = await client.post("/auth/refresh")
        client.headers["Authorization"] = f"Bearer {renewed.json()['access_token']}"
        answered = await client.get("/auth/me")

    assert refused.json()["code"] == "token_invalid"
    assert (renewed.status_code, answered.status_code) == (200, 200)


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "HS256"])
def test_s_key_2_no_key_is_ever_shown_or_stored(shell: Shell, algorithm: Algorithm) -> None:
    secret = bytes.fromhex(SECRET_KEY)

    said = [
        shell(*words, JWT_ALGORITHM=algorithm)
        for words in (
            ("keys", "rotate", "--withdraw"),
            ("keys", "list"),
        )
    ]

    kept = b"".join(path.read_bytes() for path in shell.folder.glob("batonpass.db*"))
    for number in (1, 2):
        for length in (32, 48):
            key = derive(secret, f"sign/{algorithm}/{number}", length)
            assert key not in kept
            assert key.hex() not in repr(said)
    assert SECRET_KEY not in repr(said)


def test_both_secrets_keys_are_listed_and_the_first_ones_signs(shell: Shell) -> None:
    other = SECRET_KEY[::-1]
    (alone,) = listed(shell)

    both = listed(shell, SECRET_KEY=f"{other},{SECRET_KEY}")

    states = {key["kid"]: key["state"] for key in both}
    assert states.pop(alone["kid"]) == "accepted"
    assert list(states.values()) == ["issuing"]


def test_the_wrong_secret_ends_no_key(shell: Shell) -> None:
    """An operator whose environment lacks the servers' SECRET_KEY does no harm."""
    shell("keys", "rotate")
    before = listed(shell)

    shell("keys", "rotate", "--withdraw", SECRET_KEY=SECRET_KEY[::-1])

    ours = [key for key in listed(shell) if key["state"] != "unknown"]
    assert ours == before


def _as_told(moment: str) -> str:
    return moment.replace("T", " ").replace("+00:00", " UTC")

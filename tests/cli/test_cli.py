"""The command line: each command with its output, and each mistake as one clear line."""

import asyncio
import errno
import json
import os
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from batonpass.cli import sessions
from tests.support.servers import PASSWORD, a_server
from tests.support.shell import Shell

EMAIL = "ada@example.com"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_without_a_database_each_command_says_what_to_run_and_makes_none(shell: Shell) -> None:
    for words in (("users", "list"), ("sessions", "list"), ("purge",)):
        code, out, err = shell(*words)

        assert (code, out) == (1, "")
        assert err == "batonpass: There is no database batonpass.db yet. Run: batonpass migrate\n"
    assert shell("doctor")[0] == 1
    assert not (shell.folder / "batonpass.db").exists()


def test_a_database_out_of_reach_is_one_line(shell: Shell) -> None:
    code, out, err = shell("users", "list", DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")

    assert (code, out) == (1, "")
    assert err == "batonpass: The database of BATONPASS_DATABASE_URL cannot be reached.\n"


@pytest.mark.parametrize("words", [("migrate",), ("users", "list"), ("purge",)], ids=" ".join)
def test_a_file_that_is_no_database_is_one_line(shell: Shell, words: tuple[str, ...]) -> None:
    (shell.folder / "batonpass.db").write_bytes(b"anything else" * 100)

    code, out, err = shell(*words)

    assert (code, out) == (1, "")
    assert err == "batonpass: The database of BATONPASS_DATABASE_URL cannot be reached.\n"


def test_a_port_that_is_taken_is_one_line_and_nothing_is_begun(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        code, out, err = shell("serve", "--port", str(port))

    assert (code, out) == (1, "")
    assert err.startswith(f"batonpass: Port {port} is taken")
    assert err.count("\n") == 1
    assert list(shell.folder.iterdir()) == []


def test_an_address_that_is_not_this_machines_is_one_line(shell: Shell) -> None:
    code, out, err = shell("serve", "--host", "192.0.2.1", "--port", "0")

    assert (code, out) == (1, "")
    reason = os.strerror(errno.EADDRNOTAVAIL)
    assert err == f"batonpass: Cannot listen on 192.0.2.1, port 0: {reason}.\n"


def test_a_misspelt_setting_is_named_with_its_neighbour(shell: Shell) -> None:
    _, _, err = shell("openapi", REFRESH_GRACE_SECOND="30")

    assert err == (
        "unknown_setting: BATONPASS_REFRESH_GRACE_SECOND is none of ours. "
        "Did you mean BATONPASS_REFRESH_GRACE_SECONDS?\n"
    )


def test_users_are_added_listed_and_refused(shell: Shell) -> None:
    assert shell("migrate")[0] == 0

    added = shell("users", "add", EMAIL, stdin=PASSWORD + "\n")
    twice = shell("users", "add", EMAIL, stdin=PASSWORD + "\n")
    weak = shell("users", "add", "bob@example.com", stdin="short\n")
    unknown = shell("users", "disable", "nobody@example.com")
    listed = json.loads(shell("users", "list", "--json")[1])

    assert added == (0, f"Added {EMAIL}.\n", "")
    for code, out, err in (twice, weak, unknown):
        assert (code, out) == (1, "")
        assert err.startswith("batonpass: ")
        assert err.count("\n") == 1
    assert [(user["email"], user["is_active"]) for user in listed] == [(EMAIL, True)]


async def test_s_ses_7_an_operator_sees_and_ends_sessions(shell: Shell) -> None:
    async with a_server(f"sqlite:///{shell.folder / 'batonpass.db'}") as server:
        client = await server.signed_in()
        session_id = (await client.get("/auth/me")).json()["session_id"]

        async def run(*words: str) -> tuple[int, str, str]:
            return await asyncio.to_thread(shell, *words)

        shown = await run("sessions", "show", session_id, "--json")
        ahead = await run("sessions", "revoke", "--before", "2999-01-01")
        ended = await run("sessions", "revoke", session_id)
        refused = await client.post("/auth/refresh")

    assert [one["kind"] for one in json.loads(shown[1])] == ["created"]
    assert ahead[:2] == (1, "")
    assert "in the future" in ahead[2]
    assert ended == (0, "Session ended.\n", "")
    assert refused.json()["code"] == "refresh_revoked"


async def test_s_ses_3_disabling_a_user_ends_their_sessions(shell: Shell) -> None:
    async with a_server(f"sqlite:///{shell.folder / 'batonpass.db'}") as server:
        client = await server.signed_in()

        done = await asyncio.to_thread(shell, "users", "disable", EMAIL)
        refused = await client.post("/auth/refresh")

    assert done == (0, f"Disabled {EMAIL}; sessions ended: 1.\n", "")
    assert refused.json()["reason"] == "user_disabled"


def test_which_sessions_to_revoke_must_be_said(shell: Shell) -> None:
    shell("migrate")

    assert shell("sessions", "revoke")[0] == 1
    assert shell("sessions", "revoke", "--all", "--user", EMAIL)[0] == 1


@pytest.mark.parametrize("words", [
    ("nonsense",),
    ("users", "add"),
    ("users", "add", EMAIL, "--password", PASSWORD),
    ("serve", "--port", "abc"),
    ("serve", "--workers", "0"),
    ("sessions", "revoke", "--before", "yesterday"),
], ids=" ".join)  # fmt: skip
def test_a_word_that_no_command_knows_is_one_line(shell: Shell, words: tuple[str, ...]) -> None:
    code, out, err = shell(*words)

    assert (code, out) == (2, "")
    assert err.startswith("batonpass: ")
    assert err.count("\n") == 1


def test_s_pw_6_there_is_no_account_before_somebody_makes_one(shell: Shell) -> None:
    shell("migrate")

    code, out, _ = shell("users", "list", "--json")

    assert (code, json.loads(out)) == (0, [])


@pytest.mark.parametrize("command", ["add", "set-password"])
@pytest.mark.parametrize("how", [(PASSWORD,), ("--password", PASSWORD)])
def test_s_pw_6_no_command_takes_a_password_as_an_argument(
    shell: Shell, command: str, how: tuple[str, ...]
) -> None:
    """Every process of a machine can read the arguments of every other."""
    code, out, _ = shell("users", command, EMAIL, *how, stdin=PASSWORD + "\n")

    assert (code, out) == (2, "")


def test_a_password_that_is_no_text_is_one_line(shell: Shell) -> None:
    shell("migrate")

    code, out, err = shell("users", "add", EMAIL, stdin=PASSWORD + "\udcff\n")

    assert (code, out, err) == (1, "", "batonpass: The password on stdin is not UTF-8.\n")


@pytest.mark.parametrize("moment", [
    "2026-01-31", "2026-01-31 12:00:00", "2026-01-31T12:00:00Z", "2026-01-31T12:00:00.123456Z",
    "2026-01-31T12:00:00.123+00:00", "2026-01-31T14:00:00+02:00",
])  # fmt: skip
def test_a_time_is_read_as_listings_print_it(moment: str) -> None:
    expected = datetime(2026, 1, 31, 0 if len(moment) == 10 else 12, tzinfo=UTC)

    read = sessions.moment(moment)

    assert read.replace(microsecond=0) == expected
    assert read.utcoffset() == timedelta(0)


def test_openapi_prints_both_security_schemes(shell: Shell) -> None:
    code, out, _ = shell("openapi")

    assert code == 0
    schemes = json.loads(out)["components"]["securitySchemes"]
    assert {(one["type"], one.get("in")) for one in schemes.values()} == {
        ("oauth2", None),
        ("apiKey", "cookie"),
    }


def test_help_explains_each_command_and_a_wrong_word_is_an_error(shell: Shell) -> None:
    code, out, _ = shell("--help")

    assert code == 0
    for name in ("serve", "openapi", "migrate", "doctor", "purge", "users", "sessions", "keys"):
        assert any(name in line and len(line.split()) > 3 for line in out.splitlines()), name
    assert shell("nonsense")[0] == 2


def test_a_noun_alone_shows_its_help(shell: Shell) -> None:
    code, out, err = shell("users")

    assert (code, err) == (2, "")
    assert "set-password" in out

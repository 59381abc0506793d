"""`acme`: a command line client that stays logged in from one run to the next.

python acme.py login ada@example.com
python acme.py whoami
python acme.py logout
"""

import argparse
import os
import sys
from getpass import getpass

import httpx

from batonpass.httpx_auth import (
    BatonpassAuth,
    FileStore,
    LoginRefusedError,
    SessionExpiredError,
    SessionUnavailableError,
)

SERVER = "http://localhost:8000"
TOKENS = "~/.config/acme/session.json"


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit code."""
    parser = argparse.ArgumentParser(prog="acme", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("login", help="begin a session").add_argument("email")
    commands.add_parser("whoami", help="ask the server who you are")
    commands.add_parser("logout", help="end the session")
    chosen = parser.parse_args(arguments)

    server = os.environ.get("ACME_SERVER", SERVER)
    tokens = FileStore(os.environ.get("ACME_TOKENS", TOKENS))
    auth = BatonpassAuth(server, tokens, user_agent="acme-cli/1.0")
    try:
        match chosen.command:
            case "login":
                auth.log_in(chosen.email, read_password())
                print("Logged in.")
            case "whoami":
                with httpx.Client(base_url=server, auth=auth) as client:
                    print(client.get("/auth/me").raise_for_status().json()["email"])
            case _:
                auth.log_out()
                print("Logged out.")
    except SessionExpiredError as error:
        return complain(f"{error} Run: acme login")
    except (LoginRefusedError, SessionUnavailableError, httpx.HTTPError) as error:
        return complain(str(error))
    return 0


def read_password() -> str:
    """Ask for the password; from a pipe, read it. Never an argument: others could see it."""
    return getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")


def complain(sentence: str) -> int:
    """Say what is wrong."""
    print(f"acme: {sentence}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())

"""The README's story, played with two processes that share nothing but a URL."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

HERE = Path(__file__).parent
PATIENCE_SECONDS = 60
SECRET = "c07d1b6e94f2a85360e7b9d41c8f2a7350d96be18c4f7203a5bd61e9f0348c27"
ADA = {"email": "ada@example.com", "password": "a long walk at noon"}
BOB = {"email": "bob@example.com", "password": "seven green bicycles"}


class Service:
    """One of the two, as a process of its own."""

    def __init__(self, name: str, folder: Path, **settings: str) -> None:
        """Start it in `folder`, and wait until it answers."""
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        words = ("-m", "uvicorn", f"{name}:app", f"--app-dir={HERE}", f"--port={port}")
        given = {name: value for name, value in os.environ.items() if name != "SECRET_KEY"}
        self._process = subprocess.Popen(
            [sys.executable, *words, "--log-level=warning"], cwd=folder, env=given | settings
        )
        self.client = httpx.Client(base_url=self.url, timeout=PATIENCE_SECONDS)
        self._wait()

    def stop(self) -> None:
        """End it, as its machine going down would."""
        self.client.close()
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def _wait(self) -> None:
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while self._process.poll() is None and time.monotonic() < give_up_at:
            try:
                self.client.get("/openapi.json")
            except httpx.TransportError:
                time.sleep(0.05)
            else:
                return
        pytest.fail(f"{self._process.args!r} does not answer")


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Give the accounts; whoever stops them is the last test."""
    service = Service("accounts", tmp_path_factory.mktemp("accounts"), SECRET_KEY=SECRET)
    yield service
    service.stop()


@pytest.fixture(scope="module")
def orders(accounts: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Give the orders: they are told where the keys stand, and nothing else."""
    jwks_url = f"{accounts.url}/.well-known/jwks.json"
    service = Service("orders", tmp_path_factory.mktemp("orders"), JWKS_URL=jwks_url)
    yield service
    service.stop()


def signed_in(accounts: Service, person: dict[str, str]) -> dict[str, str]:
    """Log in, registering first where that is needed; return the headers that say so."""
    accounts.client.cookies.clear()
    accounts.client.post("/register", json=person)
    form = {"username": person["email"], "password": person["password"]}
    answer = accounts.client.post("/auth/token", data=form)
    assert answer.status_code == 200, answer.text
    return bearer(answer)


def bearer(answer: httpx.Response) -> dict[str, str]:
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def test_one_login_is_good_at_both(accounts: Service, orders: Service) -> None:
    ada, bob = signed_in(accounts, ADA), signed_in(accounts, BOB)
    tea = {"item": "tea", "count": 2}

    ordered = orders.client.post("/orders", json=tea, headers=ada)

    assert (ordered.status_code, ordered.json()) == (201, tea)
    assert orders.client.get("/orders", headers=ada).json() == [tea]
    assert orders.client.get("/orders", headers=bob).json() == []
    assert accounts.client.get("/me", headers=ada).json() == ADA["email"]


def test_a_refresh_at_one_goes_on_at_the_other(accounts: Service, orders: Service) -> None:
    signed_in(accounts, ADA)

    renewed = accounts.client.post("/auth/refresh")

    assert renewed.status_code == 200
    assert orders.client.get("/orders", headers=bearer(renewed)).status_code == 200


def test_nobody_else_orders_anything(accounts: Service, orders: Service) -> None:
    token = signed_in(accounts, ADA)["Authorization"]
    head, payload, signature = token.split(".")
    spoilt = f"{head}.{payload}.{signature[::-1]}"

    missing = orders.client.get("/orders")
    refused = orders.client.get("/orders", headers={"Authorization": spoilt})

    assert (missing.status_code, missing.json()["code"]) == (401, "token_missing")
    assert (refused.status_code, refused.json()["code"]) == (401, "token_invalid")
    assert 'error="invalid_token"' in refused.headers["WWW-Authenticate"]


def test_a_logout_is_heard_at_once_by_the_accounts_and_later_by_the_orders(
    accounts: Service, orders: Service
) -> None:
    """As the README says: a service without the sessions' database believes a token to its end."""
    ada = signed_in(accounts, ADA)

    assert accounts.client.post("/auth/logout").status_code == 204

    assert accounts.client.get("/me", headers=ada).json()["code"] == "session_revoked"
    assert orders.client.get("/orders", headers=ada).status_code == 200


def test_while_the_accounts_are_away_the_orders_go_on(accounts: Service, orders: Service) -> None:
    ada = signed_in(accounts, ADA)
    assert orders.client.get("/orders", headers=ada).status_code == 200

    accounts.stop()

    assert orders.client.get("/orders", headers=ada).status_code == 200

"""What monitoring is told: every verdict and event, from zero, and nothing where nobody asked."""

import os
from pathlib import Path

import pytest
from httpx import ASGITransport, AsyncClient

from batonpass.server import migrations
from batonpass.server.app import build_app
from batonpass.server.metrics import counted_together
from batonpass.server.settings import load_settings
from tests.support.processes import serving

ASKED = 20


def a_client(folder: Path, *, metrics: bool) -> AsyncClient:
    url = f"sqlite:///{folder / 'metrics.db'}"
    migrations.upgrade(url)
    app = build_app(load_settings(database_url=url, metrics=metrics))
    return AsyncClient(transport=ASGITransport(app), base_url="http://localhost")


async def test_refreshes_are_counted_by_verdict_and_events_by_name(tmp_path: Path) -> None:
    async with a_client(tmp_path, metrics=True) as client:
        account = {"email": "ada@example.com", "password": "a long walk at noon"}
        await client.post("/auth/register", json=account)
        await client.post("/auth/token", data={"username": account["email"], **account})
        await client.post("/auth/refresh")
        await client.post("/auth/refresh", headers={"Cookie": "refresh_token=" + "x" * 96})

        shown = (await client.get("/metrics")).text

    assert 'batonpass_refreshes_total{verdict="rotate"} 1.0' in shown
    assert 'batonpass_refreshes_total{verdict="reused"} 0.0' in shown
    assert 'batonpass_refreshes_total{verdict="invalid"} 1.0' in shown
    assert 'batonpass_security_events_total{event="authn_login_success"} 1.0' in shown


@pytest.mark.parametrize(("metrics", "status"), [(True, 200), (False, 404)])
async def test_metrics_are_served_only_where_asked_for(
    tmp_path: Path, metrics: bool, status: int
) -> None:
    async with a_client(tmp_path, metrics=metrics) as client:
        assert (await client.get("/metrics")).status_code == status


async def test_every_worker_answers_for_all_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # the server is killed, its files are ours to clear
    url = f"sqlite:///{tmp_path / 'metrics.db'}"
    async with serving(url, tmp_path, workers=2, METRICS="true") as server:
        for _ in range(ASKED):  # a connection each: the kernel gives it to either worker
            async with AsyncClient(base_url=server.url) as client:
                await client.post("/auth/refresh", headers={"Cookie": f"refresh_token={'x' * 96}"})
        shown = []
        for _ in range(ASKED):
            async with AsyncClient(base_url=server.url) as client:
                shown.append((await client.get("/metrics")).text)

    assert all(f'batonpass_refreshes_total{{verdict="invalid"}} {ASKED}.0' in one for one in shown)
    assert all('batonpass_refreshes_total{verdict="reused"} 0.0' in one for one in shown)


def test_a_folder_that_another_server_set_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with counted_together():
        ours = os.environ["PROMETHEUS_MULTIPROC_DIR"]
    assert "PROMETHEUS_MULTIPROC_DIR" not in os.environ
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))

    with counted_together():
        theirs = os.environ["PROMETHEUS_MULTIPROC_DIR"]

    assert not Path(ours).exists()
    assert theirs == os.environ["PROMETHEUS_MULTIPROC_DIR"] == str(tmp_path)

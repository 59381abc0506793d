"""What monitoring is told: every verdict and event, from zero, and nothing where nobody asked."""

from pathlib import Path

import pytest
from httpx import ASGITransport, AsyncClient

from batonpass.server import migrations
from batonpass.server.app import build_app
from batonpass.server.settings import load_settings


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

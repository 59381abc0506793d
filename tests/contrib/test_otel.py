"""What OpenTelemetry is told, by its own SDK; the app is the one of docs/how-to/watching.md."""

import json
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import insert

from batonpass.contrib import otel
from tests.docs.pages import DOCS, code_blocks
from tests.support.servers import refusal

SECRET = "c7a1f05d92be4836a8d7e3f1b6094c25f8e2d1a7b3960c4e5f7d8a9b0c1e2f34"


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> InMemoryMetricReader:
    """What counts for the whole process, as an app's own set-up chooses it."""
    found = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[found])
    monkeypatch.setattr(metrics, "get_meter", lambda name, **_: provider.get_meter(name))
    return found


@pytest.fixture
def page(
    reader: InMemoryMetricReader, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """Run the page's Python, with somebody in its user table and a way to log in."""
    monkeypatch.setenv("DATABASE_URL", sqlite_url)
    monkeypatch.setenv("SECRET_KEY", SECRET)
    names: dict[str, Any] = {"__name__": "app"}
    (block,) = code_blocks(DOCS / "how-to" / "watching.md", "python")
    exec(block, names)  # noqa: S102 - our own page
    names["Base"].metadata.create_all(names["engine"])
    with names["engine"].begin() as connection:
        connection.execute(insert(names["Account"]).values(id=7))

    async def enter(request: Request) -> Response:
        found: Response = await names["auth"].sign_in(names["Account"](id=7), request)
        return found

    names["app"].post("/enter")(enter)
    return names


def traced(app: FastAPI) -> InMemorySpanExporter:
    """Put a span around each request, as OpenTelemetry's own instrumentation does."""
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    tracer = provider.get_tracer("app")

    @app.middleware("http")
    async def span(request: Request, call_next: Any) -> Response:
        with tracer.start_as_current_span(request.url.path):
            answer: Response = await call_next(request)
            return answer

    return spans


def counted(reader: InMemoryMetricReader, name: str) -> dict[str, int]:
    """Read a counter: how often, by its one attribute."""
    data = reader.get_metrics_data()
    assert data is not None
    (resource,) = json.loads(data.to_json())["resource_metrics"]
    (scope,) = resource["scope_metrics"]
    (metric,) = [one for one in scope["metrics"] if one["name"] == name]
    points = metric["data"]["data_points"]
    return {next(iter(one["attributes"].values())): one["value"] for one in points}


async def test_verdicts_and_events_are_counted_and_the_span_knows_its_verdict(
    page: dict[str, Any], reader: InMemoryMetricReader
) -> None:
    app = page["app"]
    spans = traced(app)
    transport = httpx.ASGITransport(app)

    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://app.example") as client,
    ):
        await client.post("/enter")
        kept = dict(client.cookies)
        await client.post("/auth/refresh")
        client.cookies.clear()
        stolen = f"refresh_token={kept['refresh_token']}"
        forged = stolen[:-4] + ("aaaa" if stolen[-4:] != "aaaa" else "bbbb")
        repeated = await client.post("/auth/refresh", headers={"Cookie": stolen})
        refused = await client.post("/auth/refresh", headers={"Cookie": forged})

    assert repeated.status_code == 200
    assert refusal(refused) == (401, "refresh_invalid")
    assert counted(reader, "batonpass.refreshes") == {"rotate": 1, "repeat": 1, "invalid": 1}
    assert counted(reader, "batonpass.security_events") == {"session_created": 1}
    told = [
        span.attributes.get(otel.VERDICT)
        for span in spans.get_finished_spans()
        if span.attributes is not None
    ]
    assert told == [None, "rotate", "repeat", "invalid"]

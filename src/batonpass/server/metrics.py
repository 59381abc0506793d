"""What an operator's monitoring asks: how often each verdict and each security event came.

A scrape reaches one of the workers, so they count into files that all of them read: each answers
for the whole server. prometheus_client decides that when it is imported, by a variable.

Source: https://prometheus.io/docs/practices/naming/;
https://prometheus.github.io/client_python/multiprocess/
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from batonpass.auth_service import AuthService
from batonpass.events import EventName, SecurityEvent
from batonpass.family import Verdict

_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client's own; another server may set it


@contextmanager
def counted_together() -> Iterator[None]:
    """Have the worker processes that are started within count into one folder, from zero."""
    if _FOLDER in os.environ:  # whoever set it also empties it
        yield
        return
    with TemporaryDirectory(prefix="batonpass-metrics-") as folder:
        os.environ[_FOLDER] = folder
        try:
            yield
        finally:
            del os.environ[_FOLDER]


class Metrics:
    """The counters of one app; every name stands there from the start, at zero."""

    def __init__(self, service: AuthService) -> None:
        """Count what the service tells from now on."""
        self._registry = CollectorRegistry()
        self._refreshes = Counter(
            "batonpass_refreshes",
            "Refresh tokens presented, by verdict.",
            ["verdict"],
            registry=self._registry,
        )
        self._events = Counter(
            "batonpass_security_events",
            "Security events, by name.",
            ["event"],
            registry=self._registry,
        )
        for verdict in Verdict:
            self._refreshes.labels(verdict.value)
        for name in EventName:
            self._events.labels(name.value)
        service.on_verdict(self._count_verdict)
        service.on_event(self._count_event)

    def route(self) -> Route:
        """Make GET /metrics."""
        return Route("/metrics", self._show)

    async def _show(self, _request: Request) -> Response:
        registry = self._registry
        if _FOLDER in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # untyped there
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    def _count_verdict(self, verdict: Verdict) -> None:
        self._refreshes.labels(verdict.value).inc()

    def _count_event(self, event: SecurityEvent) -> None:
        self._events.labels(event.name.value).inc()

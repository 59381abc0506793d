"""What an operator's monitoring asks: how often each verdict and each security event came.

Each worker process counts for itself: a scrape reaches one of them.

Source: https://prometheus.io/docs/practices/naming/
"""

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, generate_latest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from batonpass.auth_service import AuthService
from batonpass.events import EventName, SecurityEvent
from batonpass.family import Verdict


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
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)

    def _count_verdict(self, verdict: Verdict) -> None:
        self._refreshes.labels(verdict.value).inc()

    def _count_event(self, event: SecurityEvent) -> None:
        self._events.labels(event.name.value).inc()

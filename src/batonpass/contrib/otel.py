"""OpenTelemetry is told how often each verdict and each security event came.

Spans are not made here. The gate stands inside of the app's own middlewares, so OpenTelemetry's
instrumentation of FastAPI sees a refresh as any other request; its span is told the verdict.

Example:
    auth = Batonpass(engine, Base.metadata, user=Account, secret=settings.secret)
    observe(auth)

Source: OpenTelemetry's conventions for names of metrics and attributes; docs/how-to/watching.md.
"""

from typing import Any

from batonpass.events import SecurityEvent
from batonpass.family import Verdict
from batonpass.plugin import Batonpass

try:
    from opentelemetry import metrics, trace
except ModuleNotFoundError as error:
    message = "batonpass.contrib.otel counts by OpenTelemetry: pip install 'batonpass[otel]'"
    raise ModuleNotFoundError(message, name="opentelemetry") from error

VERDICT, EVENT = "batonpass.verdict", "batonpass.event"


def observe(auth: Batonpass[Any], meter_provider: metrics.MeterProvider | None = None) -> None:
    """Count what happens to an app's sessions, from now on.

    Counters: `batonpass.refreshes` by `batonpass.verdict` (rotate, repeat, recover, superseded,
    reused, …) and `batonpass.security_events` by `batonpass.event`. No user, address or token
    stands in either.

    Args:
        auth: The app's.
        meter_provider: Who counts; None: the one that is set for the whole process.
    """
    meter = metrics.get_meter("batonpass", meter_provider=meter_provider)
    refreshes = meter.create_counter(
        "batonpass.refreshes", unit="{refresh}", description="Refresh tokens presented, by verdict."
    )
    events = meter.create_counter(
        "batonpass.security_events", unit="{event}", description="Security events, by name."
    )

    def on_verdict(verdict: Verdict) -> None:
        refreshes.add(1, {VERDICT: verdict.value})
        trace.get_current_span().set_attribute(VERDICT, verdict.value)

    def on_event(event: SecurityEvent) -> None:
        events.add(1, {EVENT: event.name.value})

    auth.service.on_verdict(on_verdict)
    auth.service.on_event(on_event)

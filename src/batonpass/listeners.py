"""An app's own handlers of security events: told after the commit, and unable to harm it."""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable

from batonpass.errors import ConfigurationError
from batonpass.events import EventName, SecurityEvent

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 10.0  # with handlers at the end: one that hangs does not keep the process

Handler = Callable[[SecurityEvent], Awaitable[object] | object]


class Listeners:
    """Who is told of what."""

    def __init__(self) -> None:
        """Tell nobody yet."""
        self._handlers: list[tuple[frozenset[EventName], Handler]] = []
        self._telling: set[asyncio.Task[None]] = set()

    def add(self, names: frozenset[EventName], handler: Handler) -> None:
        """Tell `handler` of these events from now on."""
        self._handlers.append((names, handler))

    def tell(self, event: SecurityEvent) -> None:
        """Begin to tell everybody who listens; whoever caused the event does not wait for it."""
        for names, handler in self._handlers:
            if event.name in names:
                task = asyncio.ensure_future(_call(handler, event))
                self._telling.add(task)
                task.add_done_callback(self._telling.discard)

    async def drain(self) -> None:
        """Wait until all have heard what happened so far, or long enough."""
        loop = asyncio.get_running_loop()
        ours = {task for task in self._telling if task.get_loop() is loop}
        if ours:
            await asyncio.wait(ours, timeout=PATIENCE_SECONDS)


def event_names(given: tuple[EventName | str, ...]) -> frozenset[EventName]:
    """Read what an app wants to be told of.

    Raises:
        ConfigurationError: There is no such event; or none was named.
    """
    try:
        names = frozenset(EventName(name) for name in given)
    except ValueError as error:
        message = f"auth.on: {error}; batonpass.EventName lists them."
        raise ConfigurationError(message) from error
    if not names:
        raise ConfigurationError("auth.on needs the name of an event: batonpass.EventName.")
    return names


async def _call(handler: Handler, event: SecurityEvent) -> None:
    """Call a handler; a sync one in a thread, so that it may wait."""
    try:
        if inspect.iscoroutinefunction(handler):
            await handler(event)
        else:
            said = await asyncio.to_thread(handler, event)
            if inspect.isawaitable(said):  # an object that is called like an async function
                await said
    except Exception:  # committed: whoever only listens cannot undo it
        logger.exception("event_handler_failed", extra={"event": event.name.value})

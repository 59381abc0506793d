"""What a process does while its app serves: begin, read and write once a second, end in order."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from sqlalchemy import Connection, inspect

from batonpass.auth_service import AuthService
from batonpass.errors import ConfigurationError, StoreUnavailableError
from batonpass.listeners import Listeners
from batonpass.models import Tables
from batonpass.revocations import POLL_SECONDS

logger = logging.getLogger(__name__)

PURGE_EVERY_SECONDS = 3600.0


class Heartbeat:
    """The heartbeat of one process.

    Attributes:
        is_running: Whether it beats now.
    """

    def __init__(self, service: AuthService, tables: Tables, listeners: Listeners) -> None:
        """Take what it tends; it begins with `running`."""
        self.is_running = False
        self._service = service
        self._database = service.database
        self._tables = tables
        self._listeners = listeners

    async def start(self) -> None:
        """Learn what has ended and which keys count: the first request is judged by all of it.

        Raises:
            ConfigurationError: The database is there, but our tables are not.
        """
        with contextlib.suppress(StoreUnavailableError):  # each request asks again; readyz says so
            await self._require_tables()
            await self._service.revocations.poll()
            await self._service.signing_keys.poll()

    async def beat(self) -> None:
        """Do once what the process does every second; a database that is away is no error."""
        if self._database.is_lent_a_connection:  # a test's, which it may be using at this moment
            return
        try:
            await self._service.revocations.poll()
            if self._service.signing_keys.is_due():
                await self._service.signing_keys.poll()
            await self._service.settling.write()
        except StoreUnavailableError as error:
            logger.warning("database_unavailable", extra={"why": repr(error.__cause__)})

    async def stop(self) -> None:
        """Answer what was taken in, and let the threads go."""
        with contextlib.suppress(StoreUnavailableError):
            await self._service.drain()
        await self._listeners.drain()
        await self._database.aclose()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Beat until the end of the block."""
        await self.start()
        heart = asyncio.create_task(self._beat_for_ever())
        self.is_running = True
        try:
            yield
        finally:
            self.is_running = False
            heart.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await heart
            await self.stop()

    def around(self, lifespan: Any) -> Any:  # Starlette's Lifespan[Any]
        """Return the lifespan of an app that has a heartbeat as well."""

        @asynccontextmanager
        async def extended(app: FastAPI) -> AsyncIterator[Any]:
            async with lifespan(app) as state, self.running():
                yield state

        return extended

    async def _beat_for_ever(self) -> None:
        clock = self._service.clock
        purge_at = clock.monotonic() + PURGE_EVERY_SECONDS
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                await self.beat()
                if clock.monotonic() >= purge_at:
                    purge_at += PURGE_EVERY_SECONDS
                    await self._service.purge()
            except Exception:
                logger.exception("heartbeat_failed")

    async def _require_tables(self) -> None:
        missing = await self._database.read(self._missing_tables)
        if missing:
            message = (
                f"The database has no table {missing[0]!r}: create Batonpass's tables with your "
                "own, by a migration or by metadata.create_all(engine), before the app is served."
            )
            raise ConfigurationError(message)

    def _missing_tables(self, connection: Connection) -> list[str]:
        found = inspect(connection)
        every = self._tables.all
        return [one.fullname for one in every if not found.has_table(one.name, schema=one.schema)]

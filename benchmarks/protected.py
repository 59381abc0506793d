"""What does a protected route cost, beside the same route unprotected?

5,000 different access tokens, as 5,000 users would bring them; ES256, the default.
"""

from benchmarks.databases import access_tokens
from benchmarks.driver import Load
from benchmarks.rounds import Rounds, compare, measure, typical
from benchmarks.rows import Bar, Row, table
from benchmarks.stage import a_stage

QUESTION = "protected"
TOKENS = 5_000
UNPROTECTED, CLAIMS, USER = "unprotected", "auth.claims", "auth.user (one query)"
DEPENDING = "a dependency that does nothing"  # what FastAPI itself takes for any
PATHS = {
    UNPROTECTED: "/unprotected",
    DEPENDING: "/depending",
    CLAIMS: "/protected",
    USER: "/my-account",
}
# issue 4: requests/s, of the unprotected route's
BARS = {DEPENDING: None, CLAIMS: 0.95, USER: None}


def run() -> list[Row]:
    """Measure, and hold against the bar."""
    with a_stage() as stage:
        running = stage.serve_app("ES256", keep=TOKENS)
        bearers = access_tokens(running.sessions, "ES256")
        variants = [
            stage.crowd(
                running,
                Load(
                    name=name,
                    port=running.server.port,
                    path=path,
                    method="GET",
                    bearers=bearers,
                ),
            )
            for name, path in PATHS.items()
        ]
        return judge(measure(stage.driver, variants, rounds=4))


def judge(rounds: Rounds) -> list[Row]:
    """Turn the rounds into rows."""
    bare = rounds[UNPROTECTED]
    return [
        Row(
            question=QUESTION,
            what=f"{name}: requests/s, of the unprotected route's",
            figure=f"{typical(rounds[name], lambda one: one.rate):,.0f}/s, "
            f"{typical(rounds[name], lambda one: one.cpu_us):.0f} µs; unprotected "
            f"{typical(bare, lambda one: one.cpu_us):.0f} µs",
            ratio=compare(rounds[name], bare, lambda one: one.rate),
            side=Bar.AT_LEAST,
            bar=bar,
        )
        for name, bar in BARS.items()
    ]


if __name__ == "__main__":
    print(table(run()))

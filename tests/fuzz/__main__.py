"""`make fuzz`: every law, again and again on other examples, until the minutes are over.

What is found is printed with the smallest example that still breaks the law, and the exit status
is 1. Nothing is kept from run to run: each draws examples of its own.
"""

import logging
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, settings

from batonpass.server import migrations
from batonpass.server.app import build_app
from batonpass.server.connections import Connection
from tests.fuzz import laws
from tests.support.live_server import listening
from tests.support.servers import settings_of

MINUTES = 10.0
EXAMPLES = 200  # of one law before it is the next one's turn
_HYPOTHESIS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=False,
    suppress_health_check=list(HealthCheck),
)


def main(minutes: float) -> int:
    """Take turns until the time is over; the status is 1 where a law was broken."""
    logging.getLogger("uvicorn").setLevel(logging.ERROR)  # it warns of each head that is none
    tried: Counter[str] = Counter()
    broken: set[str] = set()
    end = time.monotonic() + 60 * minutes
    with TemporaryDirectory() as folder:
        database_url = f"sqlite:///{Path(folder, 'batonpass.db')}"
        migrations.upgrade(database_url)
        with listening(build_app(settings_of(database_url)), http=Connection) as url:
            of_heads = partial(laws.a_head_is_answered_as_documented, url=url)
            turns = [(law.__name__, law, law) for law in laws.LAWS]
            turns.append((of_heads.func.__name__, of_heads.func, of_heads))
            for name, law, _ in turns:
                _count(name, law, tried)
                _HYPOTHESIS(law)
            while time.monotonic() < end and len(broken) < len(turns):
                for name, _, run in turns:
                    is_due = name not in broken and time.monotonic() < end
                    if is_due and not _holds(run):
                        broken.add(name)
    for name, count in tried.items():
        print(f"{count:>9,} {'BROKEN' if name in broken else 'held'}  {name}")
    print(f"{tried.total():>9,} examples; {len(broken)} laws of {len(turns)} broken")
    return 1 if broken else 0


def _count(name: str, law: Callable[..., None], tried: Counter[str]) -> None:
    """Count a law's examples: below hypothesis, which alone knows when it draws one."""
    handle = law.hypothesis  # type: ignore[attr-defined]  # what @given puts there
    inner = handle.inner_test

    @wraps(inner)
    def counted(*arguments: object, **named: object) -> None:
        tried[name] += 1
        inner(*arguments, **named)

    handle.inner_test = counted


def _holds(law: Callable[[], None]) -> bool:
    try:
        law()
    except Exception:  # noqa: BLE001 - whatever it is, the other laws go on
        traceback.print_exc()
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if sys.argv[1:] else MINUTES))

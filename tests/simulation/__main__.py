"""Print the table of docs/security.md: `python -m tests.simulation`. Takes less than a minute."""

import sys
from statistics import median

from tests.simulation.rules import GraceOnly, Ours, ParentAccepted, Server, Strict
from tests.simulation.world import MINUTE, Faults, hunt, logged_out

USERS = 400
RATES = (0.001, 0.005)
RULES: tuple[tuple[str, type[Server]], ...] = (
    ("strict: every spent token is theft", Strict),
    ("a grace of 30 s", GraceOnly),
    ("the parent is always accepted", ParentAccepted),
    ("ours", Ours),
)


def main() -> None:
    """Run every rule in the same world."""
    say(f"{USERS} users, 14 days, 3 tabs without a lock; answers lost and stalled: logged out")
    say(f"{'rule':40}" + "".join(f"{rate:>8.1%}" for rate in RATES) + "   thieves found, median")
    for name, server in RULES:
        result = hunt(server, USERS)
        share_found = len(result.found_after) / result.came
        minutes = median(result.found_after) / MINUTE
        shares = "".join(share(server, rate, USERS) for rate in RATES)
        say(f"{name:40}{shares}   {share_found:.0%} of {result.came}, {minutes:.0f} min")
    shares = "".join(share(Ours, rate, USERS // 4, looks=False) for rate in RATES)
    say(f"{'ours, where no page looks at its cookie':40}{shares}   ({USERS // 4} users)")


def share(server: type[Server], rate: float, users: int, *, looks: bool = True) -> str:
    """Say how many users were logged out."""
    faults = Faults(lost=rate, stalled=rate)
    return f"{logged_out(server, faults, users, looks=looks):>8.1%}"


def say(line: str) -> None:
    """Print a line as soon as it is known."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


main()

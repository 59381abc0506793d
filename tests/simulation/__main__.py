"""Print the tables of docs/honest-users.md: `python -m tests.simulation [--clients] [--users N]`.

Every cell is a piece of work for one of the machine's cores; a row is printed as soon as it is
known. Either table takes about half a minute on two idle cores.
"""

import argparse
import sys
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from statistics import median

from tests.simulation.table import CLIENTS, RATES, RULES, USERS, share
from tests.simulation.world import MINUTE, Hunt, hunt


def main() -> None:
    """Run every rule, or every client, in the same world."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--clients", action="store_true", help="our rules with other clients")
    parser.add_argument("--users", type=int, default=USERS)
    options = parser.parse_args()
    users: int = options.users
    names, hunted = (CLIENTS, {}) if options.clients else (RULES, RULES)
    say(f"{users:,} users, 14 days, 3 tabs without a lock; answers lost and stalled: logged out")
    say(f"{'what happens to a spent token':44}{'0.1 %':>9}{'0.5 %':>9}   thieves found, median")
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as cores:
        shares = {
            name: [cores.submit(share, name, rate, users) for rate in RATES] for name in names
        }
        hunts = {name: cores.submit(hunt, rule, users) for name, rule in hunted.items()}
        for name, cells in shares.items():
            logged_out = "".join(f"{cell.result():>9}" for cell in cells)
            say(f"{name:44}{logged_out}   {thieves(hunts.get(name))}".rstrip())


def thieves(result: Future[Hunt] | None) -> str:
    """Say how many thieves were found; what the client does makes no difference to that."""
    if result is None:
        return ""
    came, found_after = result.result()
    return f"{len(found_after)} of {came}, {median(found_after) / MINUTE:.0f} min"


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

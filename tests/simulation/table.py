"""The tables of docs/honest-users.md: rows, columns, and how a cell is found out."""

from tests.simulation.rules import GraceOnly, Ours, ParentAccepted, Server, Strict
from tests.simulation.world import Faults, Looks, logged_out

USERS = 400
RATES = (0.001, 0.005)  # of the answers are lost, and as many stalled

# What happens to a spent token.
RULES: dict[str, type[Server]] = {
    "it is always theft": Strict,
    "30 s of grace": GraceOnly,
    "the predecessor is always accepted": ParentAccepted,
    "Batonpass": Ours,
}
# The last one once more, by what a page does that sees that a late answer put the cookie back.
CLIENTS = {
    "it refreshes, and its request waits": Looks.FIRST,
    "it refreshes, and its request goes out too": Looks.BESIDE,
    "it does not look": Looks.NEVER,
}


def share(name: str, rate: float, users: int = USERS) -> str:
    """Say how many users are logged out although nobody stole anything."""
    faults = Faults(lost=rate, stalled=rate)
    looks = CLIENTS.get(name, Looks.FIRST)
    return f"{100 * logged_out(RULES.get(name, Ours), faults, users, looks):.1f} %"

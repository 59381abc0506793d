"""Other libraries beside ours: what is said of them, and that setup installs none of them."""

import re
from pathlib import Path

import pytest

from benchmarks.driver import TOKEN
from benchmarks.peers import __main__ as peers
from benchmarks.peers.__main__ import PEERS, Peer
from tests.benchmarks.measurements import measured

ROOT = Path(__file__).parents[2]


def test_each_peer_s_cpu_is_held_against_ours_of_the_same_round() -> None:
    rows = peers.judge(
        {
            peers.OURS: [
                measured(rate=1000, server_us=80, database_us=20),
                measured(rate=1000, server_us=160, database_us=40),
                measured(rate=1000, server_us=240, database_us=60),
            ],
            "another": [
                measured(rate=100, server_us=700, database_us=300),
                measured(rate=100, server_us=1400, database_us=600),
                measured(rate=100, server_us=1200, database_us=600),
            ],
        }
    )

    assert [(row.what, row.figure, row.ratio, row.met) for row in rows] == [
        (peers.OURS, "1,000/s, 160 + 40 µs CPU (server + PostgreSQL)", None, None),
        ("another: CPU, of ours", "100/s, 1,200 + 600 µs CPU (server + PostgreSQL)", 10.0, None),
    ]


@pytest.mark.parametrize("peer", [pytest.param(peer, id=peer.name) for peer in PEERS])
def test_each_peer_s_token_has_its_place_and_its_successor_a_name(peer: Peer) -> None:
    assert peer.template.count(TOKEN) == 1
    assert peer.member


def test_who_stores_nothing_is_said_not_to() -> None:
    assert [peer.name for peer in PEERS if not peer.stores] == [
        "authx (stateless: nothing is stored, no reuse is noticed)"
    ]


def test_what_is_installed_for_peers_is_locked_with_hashes_and_names_no_registry() -> None:
    lock = (ROOT / "requirements" / "peers.txt").read_text()
    asked = re.findall(
        r"^[a-z][a-z-]*", (ROOT / "requirements" / "peers.in").read_text(), re.MULTILINE
    )

    for name in asked:
        pinned = rf"^{name}(\[\w+\])?==\S+ .*\\\n    --hash=sha256:"
        assert re.search(pinned, lock, re.MULTILINE), name
    assert "://" not in lock

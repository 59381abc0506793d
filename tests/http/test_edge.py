"""A request's headers, and what is read from them."""

import pytest

from batonpass.http.edge import Head

LINES = [(b"host", b"a"), (b"cookie", b"x=1"), (b"accept", b"*/*"), (b"cookie", b"y=\xfc")]


def test_a_headers_first_value_counts() -> None:
    assert Head({"headers": LINES}).get(b"cookie") == "x=1"


def test_every_value_is_there_in_order() -> None:
    assert list(Head({"headers": LINES}).values(b"cookie")) == [b"x=1", b"y=\xfc"]
    assert list(Head({"headers": LINES[:3]}).values(b"cookie")) == [b"x=1"]


@pytest.mark.parametrize("lines", [LINES, LINES[:3], []])
def test_what_did_not_come_is_not_there(lines: list[tuple[bytes, bytes]]) -> None:
    head = Head({"headers": lines})

    assert b"origin" not in head
    assert head.get(b"origin") is None
    assert not head.values(b"origin")


def test_a_value_is_read_as_http_means_it() -> None:
    assert Head({"headers": [(b"user-agent", b"J\xfcrgen")]}).get(b"user-agent") == "Jürgen"


def test_all_names_and_values_have_a_size() -> None:
    assert Head({"headers": LINES}).size == 5 + 9 + 9 + 9

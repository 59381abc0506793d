"""Which e-mail addresses an account may have, and which of them are the same account."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batonpass.errors import InvalidRequestError
from batonpass.server.email_addresses import parse
from tests.support.effort import in_additions

ADDRESSES = [
    pytest.param("ada@example.com", "ada@example.com", id="as it is"),
    pytest.param("Ada@Example.COM", "ada@example.com", id="case is folded"),
    pytest.param("a.b+c@x.test", "a.b+c@x.test", id="a tag is part of the name"),
    pytest.param("user@localhost", "user@localhost", id="one label, for development"),
    pytest.param("ａｄａ@example.com", "ada@example.com", id="full-width letters are letters"),
    pytest.param("ada@münchen.de", "ada@xn--mnchen-3ya.de", id="a domain in its ASCII form"),
    pytest.param("ada@xn--mnchen-3ya.de", "ada@xn--mnchen-3ya.de", id="which may be typed too"),
    pytest.param("jos\u0065\u0301@x.com", "jos\u00e9@x.com", id="é typed as two"),
    pytest.param("mıke@example.com", "mıke@example.com", id="a dotless ı is no i"),
    pytest.param("\u0430da@example.com", "\u0430da@example.com", id="a Cyrillic а is no a"),
    pytest.param("Straße@example.com", "strasse@example.com", id="ß folds to ss"),
    pytest.param("l" * 64 + "@x.com", "l" * 64 + "@x.com", id="the longest local part"),
]


@pytest.mark.parametrize(("typed", "canonical"), ADDRESSES)
def test_s_enum_5_what_is_an_address_and_whose(typed: str, canonical: str) -> None:
    address = parse(typed)

    assert (address.stored, address.canonical) == (typed, canonical)


NO_ADDRESSES = [
    pytest.param("", id="nothing"),
    pytest.param("ada", id="no @"),
    pytest.param("@example.com", id="no name"),
    pytest.param("ada@", id="no domain"),
    pytest.param("a@b@example.com", id="two @"),
    pytest.param("ada＠example.com", id="a full-width @ is none"),
    pytest.param("a da@example.com", id="a space"),
    pytest.param(" ada@example.com", id="a space in front"),
    pytest.param("ada@example.com\n", id="a line end"),
    pytest.param("ada\u00a0@example.com", id="a no-break space"),
    pytest.param("ada\x00@example.com", id="NUL"),
    pytest.param("ada\u200b@example.com", id="zero width"),
    pytest.param("ada\u202e@example.com", id="right to left"),
    pytest.param("ada@exam\u00adple.com", id="a soft hyphen"),
    pytest.param("ada\ud800@example.com", id="half a surrogate pair"),
    pytest.param("ada@example..com", id="an empty label"),
    pytest.param("ada@.example.com", id="a dot in front of the domain"),
    pytest.param("ada@example.com.", id="a dot at the end"),
    pytest.param("a..b@example.com", id="two dots"),
    pytest.param("ada@-example.com", id="a hyphen in front"),
    pytest.param("ada@[127.0.0.1]", id="an address literal"),
    pytest.param('"a b"@example.com', id="quoted"),
    pytest.param("Ada <ada@example.com>", id="with a display name"),
    pytest.param("ada⑴@example.com", id="what folds to parentheses"),
    pytest.param("ada⒈@example.com", id="what folds to a dot at the end"),
    pytest.param("l" * 65 + "@x.com", id="a local part too long"),
    pytest.param("a@" + "d" * 64 + ".com", id="a label too long"),
    pytest.param("a@" + "d." * 126 + "com", id="255 characters"),
]


@pytest.mark.parametrize("typed", NO_ADDRESSES)
def test_s_enum_5_what_is_no_address(typed: str) -> None:
    with pytest.raises(InvalidRequestError):
        parse(typed)


@pytest.mark.parametrize(
    "typed", ["a@" + "a." * 5_000, '"' * 10_000 + "@x", '"\\"' * 9_999, "@" * 10**6]
)
def test_a36_a_long_one_is_refused_at_once(typed: str) -> None:
    def refuse() -> None:
        with contextlib.suppress(InvalidRequestError):
            parse(typed)

    with pytest.raises(InvalidRequestError):
        parse(typed)
    assert in_additions(refuse) < 2_000  # 150, 5 µs


@given(st.text(max_size=300) | st.emails())
def test_s_enum_5_a_canonical_form_is_its_own(typed: str) -> None:
    try:
        address = parse(typed)
    except InvalidRequestError:
        return

    assert parse(address.canonical).canonical == address.canonical

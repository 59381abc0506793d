"""Our cookies: what is written, what is read, what no handler sees."""

import contextlib
from collections.abc import Sequence
from datetime import timedelta
from http.cookies import SimpleCookie
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batonpass.errors import RefreshTokenInvalidError
from batonpass.http.cookies import CookiePolicy, SameSite, session_state
from batonpass.http.edge import Head
from batonpass.refresh_tokens import TEXT_LENGTH, RefreshToken, Transport, encode
from tests.support.effort import in_additions

FAMILY_ID = UUID("01936f3c-0000-7000-8000-0123456789ab")
OTHER_FAMILY_ID = UUID("01936f3c-0000-7000-8000-0123456789ac")
TOKEN = encode(b"k" * 32, RefreshToken(Transport.COOKIE, FAMILY_ID, 7, b"s" * 32))
OTHER = encode(b"k" * 32, RefreshToken(Transport.COOKIE, OTHER_FAMILY_ID, 7, b"s" * 32))
SECURE = CookiePolicy(secure=True, samesite="strict")
PLAIN = CookiePolicy(secure=False, samesite="strict")
SECURE_NAME, PLAIN_NAME = "__Host-Http-refresh_token", "refresh_token"
BLANKS = "\x00\t "
NAMES = {SECURE_NAME, PLAIN_NAME}
WEEK = int(timedelta(days=7).total_seconds())


def a_request(*cookies: str) -> list[tuple[bytes, bytes]]:
    """Headers with a Cookie header for each text, between others."""
    sent = [(b"cookie", text.encode("latin-1")) for text in cookies]
    return [(b"host", b"app.example"), *sent, (b"accept", b"*/*")]


def lines_of(headers: list[tuple[bytes, bytes]]) -> Sequence[bytes]:
    """The Cookie headers, as the gate finds them."""
    return Head({"headers": headers}).values(b"cookie")


def written(headers: list[tuple[bytes, bytes]]) -> list[str]:
    assert {name for name, _ in headers} == {b"set-cookie"}
    return [value.decode("ascii") for _, value in headers]


# --- written -----------------------------------------------------------------------------------


def test_over_https_both_cookies_carry_every_protection() -> None:
    assert written(SECURE.issue(TOKEN, FAMILY_ID, 7, WEEK)) == [
        f"__Host-Http-refresh_token={TOKEN}; Max-Age=604800; Path=/; Secure; SameSite=Strict;"
        " HttpOnly",
        f"__Host-session_state={session_state(FAMILY_ID, 7)}; Max-Age=604800; Path=/; Secure;"
        " SameSite=Strict",
    ]


def test_over_plain_http_the_names_are_plain_and_not_secure() -> None:
    assert written(PLAIN.issue(TOKEN, FAMILY_ID, 7, WEEK)) == [
        f"refresh_token={TOKEN}; Max-Age=604800; Path=/; SameSite=Strict; HttpOnly",
        f"session_state={session_state(FAMILY_ID, 7)}; Max-Age=604800; Path=/; SameSite=Strict",
    ]


def test_without_remember_they_last_until_the_browser_is_closed() -> None:
    for cookie in written(SECURE.issue(TOKEN, FAMILY_ID, 7, None)):
        assert "Max-Age" not in cookie
        assert "Expires" not in cookie


def test_in_the_last_second_they_do_not_last_until_the_browser_is_closed() -> None:
    assert all("Max-Age=0;" in cookie for cookie in written(SECURE.issue(TOKEN, FAMILY_ID, 7, 0)))


@pytest.mark.parametrize(("samesite", "secure", "attribute"), [
    ("strict", True, "Strict"), ("lax", True, "Lax"), ("none", True, "None"),
    ("strict", False, "Strict"), ("lax", False, "Lax"),
    pytest.param("none", False, "Lax", id="browsers drop None without Secure"),
])  # fmt: skip
def test_samesite_is_as_set(samesite: SameSite, secure: bool, attribute: str) -> None:
    policy = CookiePolicy(secure, samesite)

    for cookie in written(policy.issue(TOKEN, FAMILY_ID, 7, WEEK) + policy.clear()):
        assert cookie.count("SameSite=") == 1
        assert f"; SameSite={attribute}" in cookie


def test_a_logout_clears_both_with_the_same_name_path_and_secure() -> None:
    over = "Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/"

    assert written(SECURE.clear()) == [
        f"__Host-Http-refresh_token=; {over}; Secure; SameSite=Strict; HttpOnly",
        f"__Host-session_state=; {over}; Secure; SameSite=Strict",
    ]
    assert written(PLAIN.clear()) == [
        f"refresh_token=; {over}; SameSite=Strict; HttpOnly",
        f"session_state=; {over}; SameSite=Strict",
    ]


@pytest.mark.parametrize("policy", [SECURE, PLAIN], ids=["secure", "plain"])
def test_s_cookie_3_name_and_value_fit_what_every_browser_keeps(policy: CookiePolicy) -> None:
    for cookie in written(policy.issue(TOKEN, FAMILY_ID, 2**32 - 1, WEEK)):
        assert len(cookie.partition(";")[0]) <= 4096
        assert "Domain" not in cookie


def test_another_parser_reads_what_we_write() -> None:
    jar = SimpleCookie()
    for cookie in written(SECURE.issue(TOKEN, FAMILY_ID, 7, WEEK)):
        jar.load(cookie)

    assert jar[SECURE_NAME].value == TOKEN
    assert jar[SECURE_NAME]["httponly"]
    assert jar["__Host-session_state"]["max-age"] == "604800"
    assert not jar["__Host-session_state"]["httponly"]


def test_the_session_state_names_family_and_generation_but_not_the_id() -> None:
    assert session_state(FAMILY_ID, 7) == "yG2ZBqbf.7"
    assert session_state(FAMILY_ID, 8) == "yG2ZBqbf.7".replace(".7", ".8")
    assert session_state(OTHER_FAMILY_ID, 7) != session_state(FAMILY_ID, 7)
    assert FAMILY_ID.hex[:8] not in session_state(FAMILY_ID, 7)


# --- read --------------------------------------------------------------------------------------


@pytest.mark.parametrize("cookies", [
    pytest.param([f"{SECURE_NAME}={TOKEN}"], id="alone"),
    pytest.param([f"a=1; {SECURE_NAME}={TOKEN}; b=2"], id="among others"),
    pytest.param(["a=1", f"{SECURE_NAME}={TOKEN}", "b=2"], id="in a header of its own (HTTP/2)"),
    pytest.param([f"{SECURE_NAME}={TOKEN}; {SECURE_NAME}={TOKEN}"], id="the same twice"),
    pytest.param([f"{SECURE_NAME}={TOKEN}", f"{SECURE_NAME}={TOKEN}"], id="in two headers"),
    pytest.param([f"a=1;{SECURE_NAME}={TOKEN};b=2"], id="without blanks"),
    pytest.param([f" \t{SECURE_NAME} = {TOKEN}\t ;"], id="with too many"),
    pytest.param([f"; ;=; =x;; novalue; \x00\x1f=\x7f; {SECURE_NAME}={TOKEN}"], id="rubbish"),
    pytest.param([f'a="b;c"; d="; {SECURE_NAME}={TOKEN}'], id="quotes quote nothing"),
    pytest.param([f"é=ü; {SECURE_NAME}={TOKEN}; \xff\xfe"], id="not ASCII"),
    pytest.param(["; ".join([*(f"c{n}={n}" for n in range(200)), f"{SECURE_NAME}={TOKEN}"])],
                 id="200 others"),
    pytest.param([f"{SECURE_NAME}={TOKEN}; {PLAIN_NAME}={OTHER}"], id="the plain name unread"),
])  # fmt: skip
def test_the_token_is_found(cookies: list[str]) -> None:
    assert SECURE.read_refresh_token(lines_of(a_request(*cookies))) == TOKEN


@pytest.mark.parametrize(("policy", "cookies"), [
    pytest.param(SECURE, [], id="no cookie"),
    pytest.param(SECURE, ["a=1; b=2"], id="others only"),
    pytest.param(SECURE, [f"{PLAIN_NAME}={TOKEN}"], id="https: the plain name is not read"),
    pytest.param(PLAIN, [f"{SECURE_NAME}={TOKEN}"], id="http: the prefixed one is not read"),
    pytest.param(PLAIN, [f"x{PLAIN_NAME}={TOKEN}; {PLAIN_NAME}x={TOKEN}"], id="a longer name"),
    pytest.param(PLAIN, [f"Refresh_Token={TOKEN}"], id="names are case-sensitive"),
    pytest.param(PLAIN, [f"a={PLAIN_NAME}={TOKEN}"], id="inside a value"),
    pytest.param(SECURE, ["\x00" * 100_000], id="a long header without ours"),
])  # fmt: skip
def test_there_is_none(policy: CookiePolicy, cookies: list[str]) -> None:
    assert policy.read_refresh_token(lines_of(a_request(*cookies))) is None


def test_another_header_is_no_cookie() -> None:
    headers = [(b"x-cookie", f"{SECURE_NAME}={TOKEN}".encode())]

    assert SECURE.read_refresh_token(lines_of(headers)) is None


@pytest.mark.parametrize("cookies", [
    pytest.param([f"{SECURE_NAME}={TOKEN}; {SECURE_NAME}={OTHER}"], id="the owner's first"),
    pytest.param([f"{SECURE_NAME}={OTHER}; {SECURE_NAME}={TOKEN}"], id="the attacker's first"),
    pytest.param([f"{SECURE_NAME}={TOKEN}", f"{SECURE_NAME}={OTHER}"], id="in two headers"),
    pytest.param([f"{SECURE_NAME}={TOKEN}; {SECURE_NAME}="], id="and an empty one"),
    pytest.param([f"{SECURE_NAME}={TOKEN}; {SECURE_NAME}"], id="and one without a value"),
    pytest.param([f"{SECURE_NAME}={TOKEN}", f"{SECURE_NAME}={TOKEN[:-1]}"], id="and a cut one"),
])  # fmt: skip
def test_a09_of_two_different_ones_neither_is_taken(cookies: list[str]) -> None:
    with pytest.raises(RefreshTokenInvalidError):
        SECURE.read_refresh_token(lines_of(a_request(*cookies)))


@pytest.mark.parametrize("value", [
    pytest.param("", id="empty"),
    pytest.param(TOKEN[:-1], id="a character short"),
    pytest.param(TOKEN + "A", id="a character long"),
    pytest.param(f'"{TOKEN}"', id="quoted"),
    pytest.param("x" * 10**6, id="1 MB"),
    pytest.param(TOKEN + "\x00", id="NUL"),
    pytest.param(TOKEN + ";" * 10**6, id="a token and 1 MB of separators"),
    pytest.param(f"; {SECURE_NAME}" * 40_000, id="the name 40,000 times"),
])  # fmt: skip
def test_another_length_is_refused_before_decoding(value: str) -> None:
    with pytest.raises(RefreshTokenInvalidError):
        SECURE.read_refresh_token(lines_of(a_request(f"{SECURE_NAME}={value}")))


def test_what_has_the_length_is_the_decoders_to_judge() -> None:
    hostile = "\xff\x00" * (TEXT_LENGTH // 2)
    assert len(hostile) == TEXT_LENGTH

    assert SECURE.read_refresh_token(lines_of(a_request(f"{SECURE_NAME}={hostile}"))) == hostile


PIECES = st.sampled_from(
    [SECURE_NAME, PLAIN_NAME, TOKEN, OTHER, "=", ";", " ", "\t", '"', "\x00", "\xff", ",", "a"]
)


@given(st.lists(st.lists(PIECES, max_size=12).map("".join), max_size=3))
def test_no_cookie_header_leads_to_another_error(cookies: list[str]) -> None:
    headers = a_request(*cookies)

    for policy in (SECURE, PLAIN):
        try:
            text = policy.read_refresh_token(lines_of(headers))
        except RefreshTokenInvalidError:
            continue
        assert text is None or len(text) == TEXT_LENGTH


# --- hidden ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [SECURE_NAME, PLAIN_NAME])
@pytest.mark.parametrize(("before", "after"), [
    pytest.param("{}", None, id="alone: the header goes"),
    pytest.param("{}; {}", None, id="twice"),
    pytest.param("a=1; {}; b=2", "a=1; b=2", id="in the middle"),
    pytest.param("{}; a=1; b=2", "a=1; b=2", id="first"),
    pytest.param("a=1; b=2; {}", "a=1; b=2", id="last"),
    pytest.param('a="x; {}"', 'a="x', id="inside quotes, which some parsers heed"),
    pytest.param("a=1;\x0b{}", "a=1", id="after what some parsers strip"),
    pytest.param('a=é;  b="\x00 ;c;;; {};=', 'a=é;  b="\x00 ;c;;;=', id="the rest byte for byte"),
])  # fmt: skip
def test_the_refresh_cookie_is_hidden_by_either_name(
    name: str, before: str, after: str | None
) -> None:
    headers = a_request("x=y", before.replace("{}", f"{name}={TOKEN}"))

    expected = a_request("x=y") if after is None else a_request("x=y", after)
    assert SECURE.hide(headers) == PLAIN.hide(headers) == expected


@pytest.mark.parametrize("cookie", [
    "a=1; b=2", "my_refresh_token=1", "refresh_token2=1 ;x", "a=refresh_token", ";; =; \xff",
    "__Host-session_state=abcdefgh.7; session_state=abcdefgh.7",
])  # fmt: skip
def test_other_cookies_stay_byte_for_byte(cookie: str) -> None:
    headers = [*a_request(cookie), (b"x-note", b"refresh_token=mine")]

    assert SECURE.hide(headers) == headers


@given(st.lists(PIECES, max_size=16).map("".join))
def test_what_stays_are_the_other_cookies_in_their_order(cookie: str) -> None:
    def others(text: str) -> list[str]:
        pairs = (pair.strip(" \t") for pair in text.split(";"))
        return [one for one in pairs if one.partition("=")[0].strip(BLANKS) not in NAMES]

    left = "; ".join(value.decode("latin-1") for name, value in SECURE.hide([
        (b"cookie", cookie.encode("latin-1"))
    ]))  # fmt: skip

    assert [one for one in others(left) if one] == [one for one in others(cookie) if one]


@given(st.lists(st.lists(PIECES, max_size=12).map("".join), max_size=3))
def test_after_hiding_nobody_reads_a_token(cookies: list[str]) -> None:
    hidden = SECURE.hide(a_request(*cookies))

    assert SECURE.read_refresh_token(lines_of(hidden)) is None
    assert PLAIN.read_refresh_token(lines_of(hidden)) is None
    assert SECURE.hide(hidden) == hidden


@pytest.mark.parametrize("cookie", [
    pytest.param(PLAIN_NAME + ";" * 60_000, id="separators"),
    pytest.param(f"{PLAIN_NAME};" * 1_100, id="the name, as often as 16 KiB hold"),
    pytest.param(f"{PLAIN_NAME} " * 4_000, id="the name and no separator"),
    pytest.param(f"{PLAIN_NAME}={TOKEN}; " * 500, id="the cookie again and again"),
    pytest.param(" " * 60_000 + PLAIN_NAME, id="blanks"),
    pytest.param(PLAIN_NAME + "=" + "x" * 10**6, id="1 MB of value"),
    pytest.param(PLAIN_NAME + ";" * 10**6, id="1 MB of separators"),
])  # fmt: skip
def test_s_cookie_3_a_hostile_header_costs_little(cookie: str) -> None:
    headers = a_request(cookie)

    def work() -> None:
        PLAIN.hide(headers)
        with contextlib.suppress(RefreshTokenInvalidError):
            PLAIN.read_refresh_token(lines_of(headers))

    assert in_additions(work) < 160_000  # the dearest: 84,000, 4 ms

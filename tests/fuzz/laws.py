"""What must hold for every text that somebody may send, whatever it is.

A law is never "it does not raise": what is accepted is what we issued, in its one form, and what is
refused is refused by the error that is documented for it. Texts are near the edge: good ones, with
a few bytes changed.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from http.client import HTTPResponse
from ipaddress import IPv6Address, ip_address, ip_network
from socket import create_connection
from urllib.parse import urlsplit
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OctKey

from batonpass import errors
from batonpass.access_tokens import LEEWAY, MAX_LIFETIME, AccessTokenRefusedError
from batonpass.errors import BatonpassError, RefreshTokenInvalidError
from batonpass.former_tokens import FormerTokens
from batonpass.http.cookies import CookiePolicy
from batonpass.jwks import MAX_KEYS, JwksRefusedError, read_jwks
from batonpass.refresh_tokens import TEXT_LENGTH, RefreshToken, Transport, decode, encode
from batonpass.secret_key import parse_secrets
from batonpass.server.proxies import Proxies
from batonpass.server.throttle import LoginLimits
from tests.support.tokens import (
    FAMILY_ID,
    GOOD,
    GOOD_HEADER,
    GOOD_PAYLOAD,
    NOW,
    PAYLOAD,
    RING,
    TOKENS,
    signed,
)

KEY, OLD_KEY, FOREIGN_KEY = (bytes([number]) * 32 for number in (1, 2, 3))
BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@st.composite
def nearly(draw: st.DrawFn, good: st.SearchStrategy[str], alphabet: str) -> str:
    """A good text in which up to four places are changed, doubled, lost or swapped."""
    text = draw(good)
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(text)))
        until = min(len(text), at + draw(st.integers(0, 3)))
        kept = draw(st.sampled_from(["", text[at:until] * 2, text[at:until].swapcase()]))
        text = text[:at] + (kept or draw(st.text(alphabet, max_size=3))) + text[until:]
    return text


# --- the refresh token -------------------------------------------------------------------------

_tokens = st.builds(
    RefreshToken,
    st.sampled_from(Transport),
    st.binary(min_size=16, max_size=16).map(lambda raw: UUID(bytes=raw)),
    st.integers(0, 2**32 - 1),
    st.binary(min_size=32, max_size=32),
)
_written = st.builds(encode, st.sampled_from([KEY, OLD_KEY, FOREIGN_KEY]), _tokens)


@given(st.data(), _tokens, st.sampled_from([KEY, OLD_KEY, FOREIGN_KEY]))
def a_refresh_token_is_accepted_in_the_one_form_in_which_it_was_issued(
    data: st.DataObject, token: RefreshToken, key: bytes
) -> None:
    """Nothing near it is, and nothing that another key wrote."""
    issued = encode(key, token)
    text = data.draw(nearly(st.just(issued), BASE64URL + "+/=. \né\0"))

    read = decode([KEY, OLD_KEY], text)

    ours = text == issued and key != FOREIGN_KEY
    assert read == (token if ours else None)


# --- the cookies -------------------------------------------------------------------------------

_names = st.sampled_from([
    "refresh_token", "__Host-Http-refresh_token", "Refresh_token", "refresh_token2",
    "xrefresh_token",    "session_state", "a", "", '"refresh_token"', "__Host-refresh_token",
])  # fmt: skip
_blanks = st.sampled_from(["", " ", "\t", "  ", "\x85", "\xa0", "\0"])
_pairs = st.builds(
    "".join,
    st.tuples(
        _blanks, _names, _blanks, st.sampled_from(["=", "", "=="]), _blanks,
        nearly(_written, BASE64URL + '";=, \xff') | st.text("ab;= ", max_size=5), _blanks,
    ),
)  # fmt: skip
_cookies = st.lists(st.lists(_pairs, max_size=5).map("; ".join), max_size=3).map(
    lambda lines: [line.encode("latin-1") for line in lines]
)


@given(_cookies, st.booleans())
def a_refresh_cookie_is_read_from_one_name_and_hidden_under_both(
    lines: list[bytes],
    secure: bool,
) -> None:
    """What is read stands there; what a handler is shown has none, and all the rest."""
    policy = CookiePolicy(secure=secure, samesite="strict")
    try:
        read = policy.read_refresh_token(lines)
    except RefreshTokenInvalidError:
        read = None
    shown = policy.hide([(b"cookie", line) for line in lines])

    if read is not None:
        assert len(read) == TEXT_LENGTH
        [wanted] = {
            value.strip(b" \t")
            for name, _, value in (pair.partition(b"=") for line in lines for pair in _split(line))
            if _named(name) == policy.refresh_token_name
        }
        assert wanted.decode("latin-1") == read
    hidden = {"refresh_token", "__Host-Http-refresh_token"}
    left = [pair for _, line in shown for pair in _split(line)]
    assert not [pair for pair in left if _named(pair.partition(b"=")[0]) in hidden]
    assert policy.hide(shown) == shown
    others = [
        pair
        for line in lines
        for pair in _split(line)
        if _named(pair.partition(b"=")[0]) not in hidden
    ]
    assert [one.strip() for one in left if one.strip()] == [
        one.strip() for one in others if one.strip()
    ]


def _split(line: bytes) -> list[bytes]:
    return line.split(b";")


def _named(name: bytes) -> str:
    return name.decode("latin-1").strip("".join(map(chr, [*range(0x21), 0x7F, 0x85, 0xA0])))


# --- access tokens, former tokens, key sets ----------------------------------------------------

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
_claims = st.dictionaries(
    st.sampled_from([*PAYLOAD, "nbf", "act", "x"]),
    _json | st.integers(-(2**40), 2**40) | st.sampled_from([*PAYLOAD.values()]),
    max_size=3,
)


@given(nearly(st.just(GOOD), BASE64URL + "+/=. \né\0"))
def an_access_token_that_was_changed_says_nothing_else(token: str) -> None:
    """Whatever is still believed has header and claims as they were signed."""
    try:
        claims = TOKENS.verify(token, NOW)
    except AccessTokenRefusedError:
        assert token != GOOD
        return
    assert token.rpartition(".")[0] == GOOD.rpartition(".")[0]
    assert claims.family_id == FAMILY_ID


@given(_claims, st.timedeltas(timedelta(days=-1), timedelta(days=1)))
def even_a_signed_access_token_counts_only_whole_and_in_time(
    claims: Mapping[str, object], offset: timedelta
) -> None:
    """Signed by our own key: what else is wrong is seen."""
    payload, now = {**PAYLOAD, **claims}, NOW + offset
    try:
        read = TOKENS.verify(signed(GOOD_HEADER, json.dumps(payload).encode()), now)
    except AccessTokenRefusedError:
        return
    assert payload["iss"] == "batonpass"
    audience = payload["aud"]
    assert "batonpass" in (audience if isinstance(audience, list) else [audience])
    assert (read.subject, str(read.family_id)) == (payload["sub"], payload["sid"])
    began, over = (payload[name] for name in ("iat", "exp"))
    assert isinstance(began, int)
    assert isinstance(over, int)
    assert timedelta(0) <= timedelta(seconds=over - began) <= MAX_LIFETIME
    seconds = now.timestamp()
    assert began - LEEWAY.total_seconds() <= seconds < over + LEEWAY.total_seconds()


@given(nearly(st.just(GOOD_PAYLOAD.decode()), '{}[]",:\\u0129eE+-. nulltruefasé\0'))
def claims_that_two_readers_may_read_differently_are_refused(payload: str) -> None:
    """Two members of one name, or anything that Python reads and JSON does not know."""
    try:
        TOKENS.verify(signed(GOOD_HEADER, payload.encode()), NOW)
    except AccessTokenRefusedError:
        return
    assert not re.search(r"NaN|Infinity", payload)
    pairs: list[str] = []
    json.loads(payload, object_pairs_hook=lambda found: pairs.extend(name for name, _ in found))
    assert len(pairs) == len(set(pairs)) or "{" in payload[1:]


OLD_SECRET = "the secret of an app before it moved in, long"
MOVE = datetime(2026, 11, 23, tzinfo=UTC)
FORMER = FormerTokens(key=OLD_SECRET, lifetime=timedelta(minutes=30), issued_before=MOVE)
_FORMER = jwt.encode(
    {"alg": "HS256"},
    {"sub": "7", "exp": int((MOVE + timedelta(minutes=20)).timestamp())},
    OctKey.import_key(OLD_SECRET),
)


@given(nearly(st.just(_FORMER), BASE64URL + "+/=. \né\0"))
def a_former_token_is_believed_as_it_was_issued_alone(token: str) -> None:
    """HS256 has one signature: nothing near it counts."""
    try:
        claims = FORMER.verify(token, MOVE)
    except AccessTokenRefusedError:
        assert token != _FORMER
        return
    assert (token, claims.subject) == (_FORMER, "7")


_jwks = json.dumps(RING.jwks(NOW))


@given(nearly(st.just(_jwks), '{}[]",: kidalgcrvxyuse0129AZ_-'))
def of_a_key_set_only_whole_public_keys_are_taken(text: str) -> None:
    """Each of them stands there with its id and algorithm, and no private half."""
    try:
        keys = read_jwks(text.encode())
    except JwksRefusedError:
        return
    listed = json.loads(text)["keys"]
    assert len(keys) <= len(listed) <= MAX_KEYS
    for kid, key in keys.items():
        [jwk] = [one for one in listed if isinstance(one, dict) and one.get("kid") == kid]
        assert (jwk["alg"], "d" in jwk) == (key.algorithm, False)
        assert not key.verify(b"anything", bytes(64))


# --- who asks ----------------------------------------------------------------------------------

_OURS = ("10.0.0.0/8", "fd00::/8")
PROXIES = Proxies([ip_network(one) for one in _OURS])
_strangers = st.ip_addresses(v=4, network="203.0.113.0/24") | st.ip_addresses(
    v=6, network="2001:db8::/32"
)
_proxies = st.ip_addresses(v=4, network="10.0.0.0/8") | st.ip_addresses(v=6, network="fd00::/8")
_hops = st.builds(
    str, _strangers | _proxies | st.just("::ffff:10.0.0.1") | st.just("unknown")
) | st.text("0123456789abcdef.:[]%, \t_\xff", max_size=40)


def _scope(peer: object, *lines: str, name: bytes = b"x-forwarded-for") -> dict[str, object]:
    headers = [(name, line.encode("latin-1")) for line in lines]
    return {"type": "http", "client": (str(peer), 1), "headers": headers, "scheme": "http"}


@given(st.lists(_hops, max_size=5), _strangers, st.lists(_proxies, max_size=3), _proxies)
def what_a_client_writes_in_front_changes_nothing(
    claimed: list[str], client: object, passed: list[object], peer: object
) -> None:
    """The address is the one that our own outermost proxy saw."""
    added = [str(one) for one in (client, *passed)]

    found = PROXIES.address_of(_scope(peer, ", ".join(claimed), ", ".join(added)))

    assert found == str(client)


@given(st.lists(_hops, max_size=5), _strangers)
def nobody_but_a_proxy_is_believed(claimed: list[str], peer: object) -> None:
    """Whatever the header says, and whatever it is called."""
    for name in (b"x-forwarded-for", b"x-real-ip", b"forwarded"):
        assert PROXIES.address_of(_scope(peer, *claimed, name=name)) == str(peer)


@given(st.lists(_hops, max_size=5), _proxies)
def an_address_is_one_in_its_one_form(claimed: list[str], peer: object) -> None:
    """It ends up in keys of buckets: two forms would be two buckets."""
    found = PROXIES.address_of(_scope(peer, *claimed))

    assert found is not None
    parsed = ip_address(found)
    assert str(parsed) == found
    assert not isinstance(parsed, IPv6Address) or parsed.ipv4_mapped is None


@given(st.text("abhtps:/.@#?[]0129, \t\xff", max_size=30), st.sampled_from(["proto", "host"]))
def an_origin_has_a_scheme_and_a_host_and_no_more(said: str, what: str) -> None:
    """A header of a proxy's cannot put a path, a user or a blank into it."""
    scope = _scope("10.0.0.1", said, name=f"x-forwarded-{what}".encode())
    headers = scope["headers"]
    assert isinstance(headers, list)
    headers.append((b"host", b"app.example"))

    found = PROXIES.origin_of(scope)

    assert re.fullmatch(r"https?://[A-Za-z0-9.\-_:\[\]]+", found)
    if what == "proto":
        assert urlsplit(found).hostname == "app.example"


# --- settings ----------------------------------------------------------------------------------


@given(
    nearly(st.just("pair=10/15m,address=50/15m,strangers=100/1h"), "0123456789/=,smhdoff -_²٣")
    | st.text(max_size=30)
)
def limits_that_are_read_are_limits(text: str) -> None:
    """Each lets somebody in, lasts, and is what the text says in digits."""
    try:
        limits = LoginLimits.parse(text)
    except ValueError:
        return
    if limits is None:
        assert text.strip() == "off"
        return
    for name in ("pair", "address", "strangers"):
        limit = getattr(limits, name)
        assert limit.count >= 1
        assert limit.per > timedelta(0)
        if name in text:
            assert re.search(rf"{name}\s*=\s*0*{limit.count}/", text)


_secrets = st.binary(min_size=28, max_size=36).map(bytes.hex)


@given(nearly(st.lists(_secrets, min_size=1, max_size=3).map(",".join), "0123456789abcdefgG-_=, é"))
def a_secret_that_is_read_is_long_enough_and_no_error_shows_it(text: str) -> None:
    """As many as the commas part, each of 32 bytes at least; one that comes twice counts once."""
    try:
        secrets = parse_secrets(text)
    except (errors.ConfigurationError, ValueError) as error:
        told = str(error)
    else:
        assert 1 <= len(secrets) == len(set(secrets)) <= text.count(",") + 1
        assert all(len(secret) >= 32 for secret in secrets)
        return
    longest = max(re.split(r"[,\s]", text), key=len)
    assert len(longest) < 8 or longest not in told


# --- the whole head, at a real server ----------------------------------------------------------

_methods = st.sampled_from(["GET", "POST", "HEAD", "OPTIONS", "DELETE", "PUT", "get", "P OST", ""])
_paths = nearly(
    st.sampled_from([
        "/auth/refresh", "/auth/token", "/auth/me", "/auth/logout", "/auth/sessions", "/healthz",
        "/auth/register", "/", "/.well-known/jwks.json", "/openapi.json", "*",
    ]),
    "/.%2f0?#;\\\0 é",
)  # fmt: skip
_lines = nearly(
    st.sampled_from([
        "Host: a", "Cookie: refresh_token=bpr_x", "Authorization: Bearer x.y.z", "Origin: null",
        "Sec-Fetch-Site: cross-site", "X-Forwarded-For: ::1", "Content-Type: application/json",
        "X-Token-Transport: body", "Accept: */*", "Accept-Encoding: gzip", "Range: bytes=0-1",
        "If-None-Match: *", "Expect: 100-continue", "Transfer-Encoding: chunked",
        "Content-Length: 0", "Upgrade: websocket", "Connection: upgrade", "X-Request-ID: 1",
    ]),
    "\0\r\n\t :;=,\"é\x85\xff",
)  # fmt: skip
_bodies = st.sampled_from(["", "{}", "{", "[]", '{"refresh_token": 1}', "0\r\n\r\n", "\0"])
DOCUMENTED = {
    (one.status, one.code)
    for one in vars(errors).values()
    if isinstance(one, type) and issubclass(one, BatonpassError)
} - {(500, "internal_error")}


@given(method=_methods, path=_paths, lines=st.lists(_lines, max_size=6), body=_bodies)
def a_head_is_answered_as_documented(
    url: str, method: str, path: str, lines: list[str], body: str
) -> None:
    """By a refusal that stands in docs/reference/errors.md, or by what was asked for."""
    said = [f"{method} {path} HTTP/1.1", "Connection: close", *lines, "", body]
    head = "\r\n".join(said).encode("latin-1", "replace")
    origin = urlsplit(url)

    with create_connection((origin.hostname, origin.port), timeout=30) as connection:
        connection.sendall(head + b"\r\n\r\n")
        connection.shutdown(1)  # nothing follows: who waits for more hears so
        answer = HTTPResponse(connection, method=method if method == "HEAD" else None)
        try:
            answer.begin()
            content = answer.read()
        except ConnectionError:  # it hung up on what was no request
            return
    assert answer.status < 500, (head, content)
    assert answer.getheader("set-cookie") is None or path.startswith("/auth/logout")
    if answer.status >= 400 and content:
        assert (answer.status, json.loads(content)["code"]) in DOCUMENTED


LAWS: tuple[Callable[[], None], ...] = (
    a_refresh_token_is_accepted_in_the_one_form_in_which_it_was_issued,
    a_refresh_cookie_is_read_from_one_name_and_hidden_under_both,
    an_access_token_that_was_changed_says_nothing_else,
    even_a_signed_access_token_counts_only_whole_and_in_time,
    claims_that_two_readers_may_read_differently_are_refused,
    a_former_token_is_believed_as_it_was_issued_alone,
    of_a_key_set_only_whole_public_keys_are_taken,
    what_a_client_writes_in_front_changes_nothing,
    nobody_but_a_proxy_is_believed,
    an_address_is_one_in_its_one_form,
    an_origin_has_a_scheme_and_a_host_and_no_more,
    limits_that_are_read_are_limits,
    a_secret_that_is_read_is_long_enough_and_no_error_shows_it,
)

"""Whatever comes in: its documented status and code, never a 500, and no row changes.

Every route is asked with every kind of body, cookie and Authorization; what it must answer is
computed from what the route takes. `test_gate.py` holds single cases with their stories.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import httpx
import pytest

from batonpass.keys import Keys
from batonpass.refresh_tokens import TEXT_LENGTH, decode, encode
from tests.support.servers import PASSWORD, SECRET_KEY, Server, a_server, refusal

Refused = tuple[int, str]
Takes = Literal["json", "form", "token"]

NOBODYS = "0199b1de-0000-7000-8000-000000000000"
ANOTHER_SECRET = "3b9f0c2d4e6a8175c9d3e5f7a1b2086447e9d1c3b5a7f90812e4d6c8ba0f1e2d"
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"

TYPE: Refused = (415, "unsupported_media_type")
BAD: Refused = (422, "invalid_request")
LARGE: Refused = (413, "body_too_large")
NONE: Refused = (401, "refresh_missing")
FOREIGN: Refused = (401, "refresh_invalid")
NOBODY: Refused = (401, "invalid_credentials")


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """Serve all of this file: what is refused here changes nothing, as each test holds."""
    database = tmp_path_factory.mktemp("bad-input") / "batonpass.db"
    async with a_server(f"sqlite:///{database}") as server:
        yield server


@pytest.fixture
async def both(database_url: str) -> AsyncIterator[Server]:
    async with a_server(database_url) as server:
        yield server


# --- bodies ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Body:
    """A body, and what each kind of route says to it.

    Attributes:
        content_type: None: it says none.
        content: Its bytes.
        json: What a route says that takes JSON.
        form: What the login says, which takes a form.
        token: What the refresh says, which takes a native client's token, or nothing.
    """

    content_type: str | None
    content: bytes
    json: Refused
    form: Refused
    token: Refused


# The field names of every route at once: each finds its own.
_JSON_FIELDS = b"email", b"password", b"token", b"current_password", b"new_password"
_FIELDS = *_JSON_FIELDS, b"refresh_token"


def of(value: bytes) -> bytes:
    """Write a JSON object in which every field has this value, as it stands."""
    return b"{" + b",".join(b'"%s":%s' % (name, value) for name in _FIELDS) + b"}"


def twice(value: bytes) -> bytes:
    """Write one in which every field stands twice: the last one counts."""
    return of(b'"x"')[:-1] + b"," + of(value)[1:]


BODIES: dict[str, Body] = {
    #                          content type, content                   JSON,  form,   token
    "nothing":                Body(None, b"",                          TYPE,  TYPE,   NONE),
    "nothing, said to be":    Body(JSON, b"",                          BAD,   TYPE,   NONE),
    "blanks":                 Body(JSON, b" \r\n\t ",                  BAD,   TYPE,   NONE),
    "an empty form":          Body(FORM, b"",                          TYPE,  BAD,    NONE),
    "no content type":        Body(None, of(b'"x"'),                   TYPE,  TYPE,   TYPE),
    "plain text":             Body("text/plain", of(b'"x"'),           TYPE,  TYPE,   TYPE),
    "XML":                    Body("application/xml", b"<a/>",         TYPE,  TYPE,   TYPE),
    "a type of JSON's kin":   Body("application/problem+json", of(b"7"), TYPE,  TYPE,   TYPE),
    "a type that is none":    Body("\xff/;;;=", of(b"7"),              TYPE,  TYPE,   TYPE),
    "a list of types":        Body(f"{JSON}, {FORM}", of(b"7"),        TYPE,  TYPE,   TYPE),
    "half an object":         Body(JSON, b'{"email":',                 BAD,   TYPE,   BAD),
    "two values":             Body(JSON, b"{} {}",                     BAD,   TYPE,   BAD),
    "single quotes":          Body(JSON, b"{'email': 'a'}",            BAD,   TYPE,   BAD),
    "null":                   Body(JSON, b"null",                      BAD,   TYPE,   NONE),
    "true":                   Body(JSON, b"true",                      BAD,   TYPE,   NONE),
    "a number":               Body(JSON, b"7",                         BAD,   TYPE,   NONE),
    "a text":                 Body(JSON, b'"refresh_token"',           BAD,   TYPE,   NONE),
    "an array":               Body(JSON, b"[" + of(b'"x"') + b"]",     BAD,   TYPE,   NONE),
    "an empty object":        Body(JSON, b"{}",                        BAD,   TYPE,   NONE),
    "numbers":                Body(JSON, of(b"7"),                     BAD,   TYPE,   FOREIGN),
    "nulls":                  Body(JSON, of(b"null"),                  BAD,   TYPE,   FOREIGN),
    "booleans":               Body(JSON, of(b"true"),                  BAD,   TYPE,   FOREIGN),
    "arrays":                 Body(JSON, of(b'["x"]'),                 BAD,   TYPE,   FOREIGN),
    "objects":                Body(JSON, of(b'{"x":"x"}'),             BAD,   TYPE,   FOREIGN),
    "NaN":                    Body(JSON, of(b"NaN"),                   BAD,   TYPE,   FOREIGN),
    "beyond a float":         Body(JSON, of(b"1e400"),                 BAD,   TYPE,   FOREIGN),
    "a number of 9 kB":       Body(JSON, of(b"9" * 9_000),             BAD,   TYPE,   BAD),
    "deep arrays":            Body(JSON, b"[" * 60_000,                BAD,   TYPE,   BAD),
    "deep objects":           Body(JSON, b'{"a":' * 9_000 + b"1" + b"}" * 9_000,
                                                                       BAD,   TYPE,   BAD),
    "Latin-1":                Body(JSON, of(b'"\xe9"'),                BAD,   TYPE,   BAD),
    "cut UTF-8":              Body(JSON, b'{"email":"\xe2\x82',        BAD,   TYPE,   BAD),
    "a byte that is none":    Body(JSON, b"\xff\xfe\x00",              BAD,   TYPE,   BAD),
    "a raw NUL":              Body(JSON, of(b'"\x00"'),                BAD,   TYPE,   BAD),
    "lone surrogates":        Body(JSON, of(b'"\\ud800"'),             BAD,   TYPE,   FOREIGN),
    "twice, a number last":   Body(JSON, twice(b"7"),                  BAD,   TYPE,   FOREIGN),
    "65 KiB":                 Body(JSON, of(b'"%s"' % (b"x" * 13_000)), LARGE, LARGE,  LARGE),
    "a form of 65 KiB":       Body(FORM, b"password=" + b"x" * 65_536, LARGE, LARGE,  LARGE),
    "a form":                 Body(FORM, b"refresh_token=x&email=x",   TYPE,  BAD,    TYPE),
    "a form with half":       Body(FORM, b"username=x",                TYPE,  BAD,    TYPE),
    "a form of nothing":      Body(FORM, b"username=&password=",       TYPE,  BAD,    TYPE),
    "a form of noise":        Body(FORM, b"&&;=%zz&%=&\xff\x00",       TYPE,  BAD,    TYPE),
    "a form twice":           Body(FORM, b"username=x&username=y&password=x&password=",
                                                                       TYPE,  BAD,    TYPE),
    "a form twice, wrong":    Body(FORM, b"username=x&username=y&password=x&password=y",
                                                                       TYPE,  NOBODY, TYPE),
    "a form with NUL":        Body(FORM, b"username=%00&password=%00", TYPE,  NOBODY, TYPE),
    "a form of no UTF-8":     Body(FORM, b"username=%ff&password=%ed%a0%80", TYPE,  NOBODY, TYPE),
    "a form with a file":     Body(
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="username"; filename="a"\r\n\r\nada\r\n'
        b'--x\r\nContent-Disposition: form-data; name="password"\r\n\r\nx\r\n--x--\r\n',
        TYPE, BAD, TYPE,
    ),
    "a form without bounds":  Body("multipart/form-data", b"--x",      TYPE,  BAD,    TYPE),
}  # fmt: skip

TAKES: list[tuple[str, Takes]] = [
    ("/auth/register", "json"), ("/auth/register/finish", "json"), ("/auth/confirm", "json"),
    ("/auth/password", "json"), ("/auth/token", "form"), ("/auth/refresh", "token"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "takes"), TAKES)
async def test_no_body_is_a_fault_or_changes_a_row(both: Server, path: str, takes: Takes) -> None:
    bearer = {"Authorization": (await both.signed_in()).headers["authorization"]}
    before = both.rows()

    told = {name: refusal(await sent(both, path, body, bearer)) for name, body in BODIES.items()}

    assert told == {name: getattr(body, takes) for name, body in BODIES.items()}
    assert both.rows() == before


async def test_a_logout_without_a_token_succeeds_and_ends_nothing(both: Server) -> None:
    await both.signed_in()
    before = both.rows()

    told = {name: await sent(both, "/auth/logout", body, {}) for name, body in BODIES.items()}

    refused = {name: body.token for name, body in BODIES.items() if body.token in (LARGE, TYPE)}
    assert {name: refusal(told[name]) for name in refused} == refused
    assert {told[name].status_code for name in BODIES.keys() - refused.keys()} == {204}
    assert both.rows() == before


async def sent(server: Server, path: str, body: Body, headers: dict[str, str]) -> httpx.Response:
    said = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    if body.content_type is not None:
        said.append((b"content-type", body.content_type.encode("latin-1")))
    return await server.somebody().post(path, content=body.content, headers=said)


@pytest.mark.parametrize("query", [
    "limit=0", "limit=201", "limit=-1", "limit=x", "limit=", "limit=1e3", f"limit={'9' * 5_000}",
    "limit=1&limit=x", "limit=%ff", "limit=%00", "before=x", "before=", "before=%00", "before=%ff",
    "before=-1", f"before={'x' * 5_000}", f"before={NOBODYS}x",
])  # fmt: skip
async def test_what_a_page_of_events_is_not_asked_by(server: Server, query: str) -> None:
    client = await server.signed_in()

    assert refusal(await client.get(f"/auth/events?{query}")) == BAD


@pytest.mark.parametrize("query", ["all=maybe", "all=", "all=2", "all=%00", "all=no&all=x"])
async def test_what_is_neither_yes_nor_no_ends_no_session(server: Server, query: str) -> None:
    client = await server.signed_in()
    before = server.rows()

    assert refusal(await client.delete(f"/auth/sessions?{query}")) == BAD
    assert server.rows() == before


# --- cookies -----------------------------------------------------------------------------------


def forged(token: str, secret: str = ANOTHER_SECRET) -> str:
    """Write the token again, as the holder of another server's key would."""
    found = decode(_mac_keys(SECRET_KEY), token)
    assert found is not None
    return encode(_mac_keys(secret)[0], found)


def _mac_keys(secret: str) -> Sequence[bytes]:
    return Keys.derive_from([bytes.fromhex(secret)]).refresh_mac


def spoilt_cookies(own: str, another: str) -> Iterator[tuple[str, bytes, Refused]]:
    """Name Cookie headers that must not refresh, with what they are told."""
    name = "refresh_token"
    yield from (
        ("empty header", b"", NONE),
        ("other cookies", b"theme=dark; session_state=abcdefgh.7", NONE),
        ("no name", b"=x", NONE),
        ("no value", b"refresh_token", FOREIGN),
        ("empty", b"refresh_token=", FOREIGN),
        ("blanks", b"refresh_token=   ", FOREIGN),
        ("5 kB", b"refresh_token=" + b"x" * 5_000, FOREIGN),
        ("its length", b"refresh_token=" + b"x" * TEXT_LENGTH, FOREIGN),
        ("NUL", b"refresh_token=" + b"\x00" * TEXT_LENGTH, FOREIGN),
        ("no ASCII", b"refresh_token=" + b"\xff" * TEXT_LENGTH, FOREIGN),
        ("only separators", b";" * 5_000, NONE),
        ("200 cookies", b"; ".join(b"c%d=x" % n for n in range(200)), NONE),
    )
    for what, text, told in (
        ("quoted", f'{name}="{own}"', FOREIGN),
        ("two", f"{name}={own}; {name}={another}", FOREIGN),
        ("two, the other first", f"{name}={another}; {name}={own}", FOREIGN),
        ("and an empty one", f"{name}={own}; {name}=", FOREIGN),
        ("the prefix of https", f"__Host-Http-{name}={own}", NONE),
        ("the common prefix", f"__Host-{name}={own}", NONE),
        ("in capitals", f"Refresh_Token={own}", NONE),
        ("cut", f"{name}={own[:-1]}", FOREIGN),
        ("cut in front", f"{name}={own[1:]}", FOREIGN),
        ("without its MAC", f"{name}={own[:-22]}", FOREIGN),
        ("with another's MAC", f"{name}={own[:-22]}{another[-22:]}", FOREIGN),
        ("by another key", f"{name}={forged(own)}", FOREIGN),
        ("twice in one", f"{name}={own}{own}", FOREIGN),
        ("with more behind", f"{name}={own}=", FOREIGN),
        ("URL-encoded", f"{name}={own.replace('_', '%5F', 1)}", FOREIGN),
        ("with a comma", f"{name}={own},", FOREIGN),
    ):
        yield what, text.encode(), told


async def test_no_cookie_is_a_fault_or_changes_a_row(both: Server) -> None:
    own, another = [(await both.signed_in()).cookies["refresh_token"] for _ in range(2)]
    cases = list(spoilt_cookies(own, another))
    before = both.rows()

    told = {
        what: refusal(await with_cookie(both, "/auth/refresh", cookie)) for what, cookie, _ in cases
    }
    logouts = {
        what: (await with_cookie(both, "/auth/logout", cookie)).status_code
        for what, cookie, _ in cases
    }

    assert forged(own, SECRET_KEY) == own
    assert told == {what: expected for what, _, expected in cases}
    assert set(logouts.values()) == {204}
    assert both.rows() == before


async def test_a_cookie_of_the_other_scheme_is_none(server: Server) -> None:
    plain = (await server.signed_in()).cookies["refresh_token"].encode()
    before = server.rows()

    told = {
        name: refusal(await with_cookie(server, "/auth/refresh", name + plain, "https://a.example"))
        for name in (b"refresh_token=", b"__Host-refresh_token=", b"__Secure-refresh_token=")
    }

    assert set(told.values()) == {NONE}
    assert server.rows() == before


async def test_no_letter_of_a_token_may_be_another(server: Server) -> None:
    """Each by its neighbour in the alphabet, which differs in the lowest bit too, and by none."""
    token = (await server.signed_in()).cookies["refresh_token"]
    before = server.rows()

    told: set[Refused] = set()
    for at, letter in enumerate(token):
        for other in (ALPHABET[ALPHABET.index(letter) ^ 1], "!"):
            cookie = f"refresh_token={token[:at]}{other}{token[at + 1 :]}".encode()
            told.add(refusal(await with_cookie(server, "/auth/refresh", cookie)))

    assert told == {FOREIGN}
    assert server.rows() == before


async def with_cookie(
    server: Server, path: str, cookie: bytes, origin: str = "http://app.example"
) -> httpx.Response:
    return await server.somebody(origin).post(path, headers={b"cookie": cookie})


# --- Authorization -----------------------------------------------------------------------------

BEARER_ROUTES = [
    ("GET", "/auth/me"), ("GET", "/auth/sessions"), ("GET", f"/auth/sessions/{NOBODYS}"),
    ("GET", "/auth/events"), ("DELETE", f"/auth/sessions/{NOBODYS}"), ("DELETE", "/auth/sessions"),
    ("POST", "/auth/confirm"), ("POST", "/auth/password"),
]  # fmt: skip
NO_BEARER: Refused = (401, "token_missing")
BAD_BEARER: Refused = (401, "token_invalid")
CHALLENGES = {
    NO_BEARER: "Bearer",
    BAD_BEARER: (
        'Bearer error="invalid_token",'
        ' error_description="The access token is invalid or has expired."'
    ),
}


def spoilt_authorizations(access: str, refresh: str) -> dict[str, tuple[list[str], Refused]]:
    """Name Authorization headers that must not let anybody in, with what they are told."""
    header, payload, signature = access.split(".")
    return {
        "absent":               ([],                                       NO_BEARER),
        "empty":                ([""],                                     NO_BEARER),
        "blanks":               (["  "],                                   NO_BEARER),
        "Basic":                (["Basic YTpi"],                           NO_BEARER),
        "another scheme":       ([f"DPoP {access}"],                       NO_BEARER),
        "no scheme":            ([access],                                 NO_BEARER),
        "a glued scheme":       ([f"Bearer{access}"],                      NO_BEARER),
        "Bearer alone":         (["Bearer"],                               BAD_BEARER),
        "Bearer and a blank":   (["Bearer "],                              BAD_BEARER),
        "garbage":              (["Bearer garbage"],                       BAD_BEARER),
        "two tokens":           ([f"Bearer {access} {access}"],            BAD_BEARER),
        "two with a comma":     ([f"Bearer {access},{access}"],            BAD_BEARER),
        "two headers":          ([f"Bearer {access}", "Bearer garbage"],   BAD_BEARER),
        "the same twice":       ([f"Bearer {access}"] * 2,                 BAD_BEARER),
        "the good one last":    (["Basic YTpi", f"Bearer {access}"],       BAD_BEARER),
        "9 KiB":                ([f"Bearer {'x' * 9 * 1024}"],             BAD_BEARER),
        "9 KiB of dots":        ([f"Bearer {'.' * 9 * 1024}"],             BAD_BEARER),
        "a refresh token":      ([f"Bearer {refresh}"],                    BAD_BEARER),
        "no ASCII":             (["Bearer \xff\xfe.\xe9.\x80"],            BAD_BEARER),
        "no ASCII in a good one": ([f"Bearer {access}\xe9"],               BAD_BEARER),
        "NUL":                  (["Bearer \x00"],                          BAD_BEARER),
        "quoted":               ([f'Bearer "{access}"'],                   BAD_BEARER),
        "padded":               ([f"Bearer {access}="],                    BAD_BEARER),
        "cut":                  ([f"Bearer {access[:-1]}"],                BAD_BEARER),
        "two parts":            ([f"Bearer {header}.{payload}"],           BAD_BEARER),
        "no signature":         ([f"Bearer {header}.{payload}."],          BAD_BEARER),
        "no payload":           ([f"Bearer {header}..{signature}"],        BAD_BEARER),
        "four parts":           ([f"Bearer {access}.{signature}"],         BAD_BEARER),
        "five parts":           ([f"Bearer {header}.{header}.{access}"],   BAD_BEARER),
        "in another order":     ([f"Bearer {payload}.{header}.{signature}"], BAD_BEARER),
    }  # fmt: skip


@pytest.mark.parametrize(("method", "path"), BEARER_ROUTES)
async def test_no_authorization_is_a_fault_or_changes_a_row(
    both: Server, method: str, path: str
) -> None:
    client = await both.signed_in()
    cases = spoilt_authorizations(
        client.headers["authorization"].removeprefix("Bearer "), client.cookies["refresh_token"]
    )
    fields = {"password": PASSWORD, "current_password": PASSWORD, "new_password": "a longer walk"}
    body = fields if method == "POST" else None
    before = both.rows()

    told = {
        what: await authorized(both, method, path, headers, body)
        for what, (headers, _) in cases.items()
    }

    assert {what: refusal(answer) for what, answer in told.items()} == {
        what: expected for what, (_, expected) in cases.items()
    }
    for answer in told.values():
        assert answer.headers.get_list("www-authenticate") == [CHALLENGES[refusal(answer)]]
    assert both.rows() == before


async def test_a_logout_by_no_good_authorization_ends_nothing(both: Server) -> None:
    client = await both.signed_in()
    cases = spoilt_authorizations(
        client.headers["authorization"].removeprefix("Bearer "), client.cookies["refresh_token"]
    )
    before = both.rows()

    statuses = {
        what: (await authorized(both, "POST", "/auth/logout", headers, None)).status_code
        for what, (headers, _) in cases.items()
    }

    assert set(statuses.values()) == {204}
    assert both.rows() == before


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_schemes_letters_may_be_of_any_size(server: Server, scheme: str) -> None:
    """RFC 9110 §11.1: a scheme's name is case-insensitive."""
    authorization = (await server.signed_in()).headers["authorization"].replace("Bearer", scheme)

    answer = await authorized(server, "GET", "/auth/me", [authorization], None)

    assert answer.status_code == 200


async def authorized(
    server: Server, method: str, path: str, headers: list[str], body: dict[str, str] | None
) -> httpx.Response:
    said = [(b"authorization", value.encode("latin-1")) for value in headers]
    return await server.somebody().request(method, path, headers=said, json=body)

"""Who may send what changes something: every pair of what a browser says."""

import pytest

from batonpass.errors import CsrfError
from batonpass.http.csrf import CsrfPolicy, serialised
from batonpass.http.edge import Head

OWN = "https://app.example"
LISTED = "https://spa.example:8443"
FOREIGN = "https://evil.example"
POLICY = CsrfPolicy(OWN, frozenset({LISTED}), cookies_cross_site=False)


def a_request(site: str | None, origin: str | None) -> list[tuple[bytes, bytes]]:
    said = {b"sec-fetch-site": site, b"origin": origin}
    return [
        (b"host", b"app.example"),
        *((name, value.encode("latin-1")) for name, value in said.items() if value is not None),
    ]


def passes(
    policy: CsrfPolicy,
    headers: list[tuple[bytes, bytes]],
    *,
    method: str = "POST",
    has_cookie: bool = True,
    request_origin: str = OWN,
) -> bool:
    try:
        head = Head({"headers": headers})
        policy.check(
            method,
            sites=head.values(b"sec-fetch-site"),
            origins=head.values(b"origin"),
            has_cookie=has_cookie,
            request_origin=request_origin,
        )
    except CsrfError:
        return False
    return True


@pytest.mark.parametrize(("site", "origin", "expected"), [
    # Sec-Fetch-Site     Origin   passes
    ("same-origin",      OWN,     True),
    ("same-origin",      None,    True),
    ("same-origin",      LISTED,  True),
    ("same-origin",      "null",  False),
    ("same-site",        OWN,     False),
    ("same-site",        None,    False),
    ("same-site",        LISTED,  True),
    ("same-site",        FOREIGN, False),
    ("same-site",        "null",  False),
    ("cross-site",       OWN,     False),
    ("cross-site",       None,    False),
    ("cross-site",       LISTED,  True),
    ("cross-site",       FOREIGN, False),
    ("cross-site",       "null",  False),
    ("none",             None,    False),
    ("none",             OWN,     False),
    ("none",             LISTED,  True),
    ("none",             "null",  False),
    ("unheard-of",       None,    False),
    ("unheard-of",       OWN,     False),
    ("",                 None,    False),
    ("Same-Origin",      None,    False),
    ("same-origin, none", None,   False),
    ("same-origin\xff",  None,    False),
    (None,               OWN,     True),
    (None,               LISTED,  True),
    (None,               FOREIGN, False),
    (None,               "null",  False),
    (None,               "",      False),
    (None,               None,    True),
])  # fmt: skip
def test_s_csrf_3_what_a_browser_says_decides(
    site: str | None, origin: str | None, expected: bool
) -> None:
    assert passes(POLICY, a_request(site, origin)) is expected


def test_a12_a_listed_null_is_refused_all_the_same() -> None:
    careless = CsrfPolicy(OWN, frozenset({"null", "://null", LISTED}), cookies_cross_site=False)

    for site in (None, "cross-site", "same-origin"):
        assert not passes(careless, a_request(site, "null"))


@pytest.mark.parametrize("headers", [
    pytest.param([(b"sec-fetch-site", b"same-origin")] * 2, id="Sec-Fetch-Site"),
    pytest.param([(b"origin", OWN.encode())] * 2, id="Origin"),
    pytest.param([(b"origin", LISTED.encode()), (b"origin", FOREIGN.encode())], id="two Origins"),
])  # fmt: skip
def test_s_csrf_3_what_comes_twice_is_refused(headers: list[tuple[bytes, bytes]]) -> None:
    assert not passes(POLICY, headers)


@pytest.mark.parametrize(("cookies_cross_site", "has_cookie", "expected"), [
    pytest.param(False, True, True, id="no browser: our cookie would not come from elsewhere"),
    pytest.param(True, True, False, id="SameSite=none with the cookie: nobody can tell"),
    pytest.param(True, False, True, id="SameSite=none, no cookie: nothing to abuse"),
])  # fmt: skip
def test_a13_a_request_that_says_nothing(
    cookies_cross_site: bool, has_cookie: bool, expected: bool
) -> None:  # fmt: skip
    policy = CsrfPolicy(OWN, frozenset(), cookies_cross_site)

    assert passes(policy, a_request(None, None), has_cookie=has_cookie) is expected


@pytest.mark.parametrize(("method", "expected"), [
    ("GET", True), ("HEAD", True), ("OPTIONS", True),
    ("POST", False), ("DELETE", False), ("PUT", False), ("PATCH", False), ("BREW", False),
    ("get", False),
])  # fmt: skip
def test_only_what_changes_nothing_passes_unchecked(method: str, expected: bool) -> None:
    assert passes(POLICY, a_request("cross-site", FOREIGN), method=method) is expected


@pytest.mark.parametrize("origin", [
    pytest.param("http://app.example", id="another scheme"),
    pytest.param("https://app.example:444", id="another port"),
    pytest.param("https://app.example:443", id="a port that no browser writes"),
    pytest.param("https://app.example.evil.example", id="a prefix"),
    pytest.param("https://evil-app.example", id="a suffix"),
    pytest.param("https://sub.app.example", id="a subdomain"),
    pytest.param("https://app.exampl", id="cut"),
    pytest.param("https://app.example/", id="a path"),
    pytest.param("https://user@app.example", id="a user"),
    pytest.param("https://APP.example", id="capitals, which no browser writes"),
    pytest.param("https://app.example https://app.example", id="a list"),
    pytest.param(" https://app.example", id="a blank"),
    pytest.param("https://app.example\xff", id="not ASCII"),
    pytest.param("app.example", id="no scheme"),
])  # fmt: skip
def test_s_csrf_5_an_origin_is_compared_whole(origin: str) -> None:
    assert not passes(POLICY, a_request(None, origin))
    assert not passes(CsrfPolicy(FOREIGN, frozenset({OWN}), False), a_request(None, origin))  # noqa: FBT003


@pytest.mark.parametrize(("own_origin", "request_origin", "origin", "expected"), [
    pytest.param(None, "http://localhost:8000", "http://localhost:8000", True,
                 id="unset: what the request says"),
    pytest.param(None, "http://localhost:8000", "http://localhost:8001", False, id="another port"),
    pytest.param(None, "http://localhost:80", "http://localhost", True,
                 id="its default port is not written"),
    pytest.param(OWN, "http://10.0.0.7:8000", OWN, True, id="behind a proxy PUBLIC_URL counts"),
    pytest.param(OWN, FOREIGN, FOREIGN, False, id="and a forged Host does not"),
    pytest.param("https://App.Example:443/base/", FOREIGN, OWN, True, id="its origin"),
    pytest.param(None, "", "", False, id="no Host, an empty Origin"),
    pytest.param(None, "http://a b:99999999", FOREIGN, False, id="a hostile Host"),
])  # fmt: skip
def test_which_origin_is_our_own(
    own_origin: str | None, request_origin: str, origin: str, expected: bool
) -> None:  # fmt: skip
    policy = CsrfPolicy(own_origin, frozenset(), cookies_cross_site=False)

    assert passes(policy, a_request(None, origin), request_origin=request_origin) is expected


@pytest.mark.parametrize(("origin", "as_browsers_do"), [
    ("https://Spa.Example", "https://spa.example"),
    ("https://spa.example:443", "https://spa.example"),
    ("http://spa.example:80", "http://spa.example"),
    ("http://spa.example:443", "http://spa.example:443"),
    ("https://spa.example:80", "https://spa.example:80"),
    ("https://spa.example:8443", "https://spa.example:8443"),
    ("http://[::1]:80", "http://[::1]"),
    ("http://[::1]", "http://[::1]"),
    ("capacitor://localhost", "capacitor://localhost"),
])  # fmt: skip
def test_origins_are_written_as_browsers_do(origin: str, as_browsers_do: str) -> None:
    policy = CsrfPolicy(OWN, frozenset({origin}), cookies_cross_site=False)

    assert serialised(origin) == as_browsers_do
    assert passes(policy, a_request("cross-site", as_browsers_do))

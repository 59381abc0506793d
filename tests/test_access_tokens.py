"""What an access token says, and each way in which one is not believed."""

import hashlib
import json
import warnings
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import KeySet, OctKey

from batonpass.access_tokens import (
    LEEWAY,
    MAX_LIFETIME,
    MAX_TOKEN_LENGTH,
    AccessTokenRefusedError,
    AccessTokens,
    Claims,
)
from batonpass.errors import AccessTokenInvalidError
from batonpass.keys import Algorithm, KeyPeriod, KeyRing
from tests.support import hostile_tokens as hostile
from tests.support.effort import in_additions
from tests.support.tokens import (
    FAMILY_ID,
    GOOD,
    GOOD_HEADER,
    HEADER,
    LIFETIME,
    LOGIN,
    NOW,
    OTHER_SECRET,
    PAYLOAD,
    SECOND,
    SECRET,
    TICK,
    TOKENS,
    P,
    S,
    a_payload_with,
    a_token,
    at,
    decoded,
    encoded,
    issued,
    signed,
)

ALGORITHMS = get_args(Algorithm)


def problem_of(token: str, now: datetime = NOW, **options: Any) -> str | None:
    try:
        TOKENS.verify(token, now, **options)
    except AccessTokenRefusedError as refused:
        return refused.problem
    return None


# --- what we issue -----------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_we_issue_we_believe(algorithm: Algorithm) -> None:
    tokens = AccessTokens(KeyRing([SECRET], algorithm), "us", "them")

    claims = tokens.verify(issued(tokens, extra={"roles": ["admin"], "né": "ü"}), NOW)

    assert claims == Claims(
        subject="42",
        family_id=FAMILY_ID,
        generation=7,
        issued_at=NOW,
        expires_at=NOW + LIFETIME,
        auth_time=LOGIN,
        jti=claims.jti,
        extra={"roles": ["admin"], "né": "ü"},
    )


def test_a_token_says_exactly_what_the_contract_says() -> None:
    header, payload, _ = issued().split(".")

    assert decoded(header) == HEADER
    claims = decoded(payload)
    assert len(claims.pop("jti")) == 32
    assert claims == {name: value for name, value in PAYLOAD.items() if name != "jti"}


def test_no_two_tokens_have_the_same_id() -> None:
    assert len({TOKENS.verify(issued(), NOW).jti for _ in range(50)}) == 50


@given(st.text(min_size=1, max_size=50), st.dictionaries(st.text(), st.text(), max_size=3))
def test_any_subject_and_claim_survives(subject: str, extra: dict[str, str]) -> None:
    extra = {f"x-{name}": value for name, value in extra.items()}

    claims = TOKENS.verify(issued(subject=subject, extra=extra), NOW)

    assert claims.subject == subject
    assert claims.extra == extra


@pytest.mark.parametrize("name", [*PAYLOAD, "nbf"])
def test_an_app_cannot_override_a_claim_of_ours(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        issued(extra={"mine": 1, name: "theirs"})


@pytest.mark.parametrize("changes", [
    pytest.param({"extra": {"deep": [[[[[[[[]]]]]]]]}}, id="too deep"),
    pytest.param({"extra": {"long": "x" * MAX_TOKEN_LENGTH}}, id="too long"),
    pytest.param({"extra": {"number": float("nan")}}, id="no JSON number"),
    pytest.param({"extra": {"half": "\ud800"}}, id="half a surrogate pair"),
    pytest.param({"subject": "\ud800"}, id="half a surrogate pair for a subject"),
    pytest.param({"lifetime": MAX_LIFETIME + TICK}, id="lives too long"),
    pytest.param({"lifetime": timedelta(0)}, id="does not live"),
])  # fmt: skip
def test_what_we_would_not_believe_we_do_not_issue(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 -- json's own among them
        issued(**changes)


def test_the_claims_of_a_believed_token_cannot_be_changed() -> None:
    claims = TOKENS.verify(issued(extra={"role": "user"}), NOW)

    with pytest.raises(TypeError):
        claims.extra["role"] = "admin"  # type: ignore[index]  # that is what is tested


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
def test_another_library_believes_ours_by_the_jwks(algorithm: Algorithm) -> None:
    ring = KeyRing([OTHER_SECRET, SECRET], algorithm, [KeyPeriod(number=1), KeyPeriod(number=2)])
    token = issued(AccessTokens(ring, "batonpass", "batonpass"))
    published: Any = json.loads(json.dumps(ring.jwks(NOW)))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)  # RFC 9864 renames EdDSA to Ed25519
        theirs = jwt.decode(token, KeySet.import_key_set(published), algorithms=[algorithm])

    assert theirs.header == {"typ": "at+jwt", "alg": algorithm, "kid": ring.issuing(NOW).kid}
    assert theirs.claims["sub"] == "42"
    jwt.JWTClaimsRegistry(
        now=lambda: int(NOW.timestamp()),
        iss={"essential": True, "value": "batonpass"},
        aud={"essential": True, "value": "batonpass"},
    ).validate(theirs.claims)


def test_another_library_believes_our_hs256_by_the_key() -> None:
    ring = KeyRing([SECRET], "HS256")

    theirs = jwt.decode(
        issued(AccessTokens(ring, "batonpass", "batonpass")),
        ring.issuing(NOW).verifying_key,
        algorithms=["HS256"],
    )

    assert theirs.claims["sid"] == str(FAMILY_ID)


def test_we_believe_what_another_library_wrote_with_our_key() -> None:
    ring = KeyRing([SECRET], "HS256")
    key = ring.issuing(NOW)

    token = jwt.encode({**HEADER, "alg": "HS256", "kid": key.kid}, dict(PAYLOAD), key.verifying_key)

    assert AccessTokens(ring, "batonpass", "batonpass").verify(token, NOW).subject == "42"


# --- its shape ---------------------------------------------------------------------------------


def test_the_token_that_the_tables_spoil_is_good() -> None:
    assert problem_of(GOOD) is None
    assert problem_of(a_token()) is None
    assert problem_of(signed(GOOD_HEADER, a_payload_with('"x": [[[[[[[]]]]]]]'))) is None


@pytest.mark.parametrize(("token", "problem"), hostile.SHAPES)
def test_s_jwt_7_a_malformed_token_is_refused(token: str, problem: str) -> None:
    assert problem_of(token) == problem


# --- its header and signature ------------------------------------------------------------------


@pytest.mark.parametrize(("token", "problem"), hostile.ALGORITHMS)
def test_a16_the_token_does_not_choose_the_algorithm(token: str, problem: str) -> None:
    assert problem_of(token) == problem


@pytest.mark.parametrize(("token", "problem"), hostile.KEYS)
def test_a17_the_token_does_not_choose_the_key(token: str, problem: str) -> None:
    assert problem_of(token) == problem


@pytest.mark.parametrize(("token", "problem"), hostile.KIDS)
def test_a18_a_kid_is_looked_up_and_nothing_else(token: str, problem: str) -> None:
    assert problem_of(token) == problem


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"])
def test_s_jwt_2_a_typ_of_ours_is_believed_in_any_case(typ: str) -> None:
    assert problem_of(a_token(header={"typ": typ})) is None


@pytest.mark.parametrize(("token", "problem"), hostile.TYPES)
def test_a19_another_kind_of_token_is_refused(token: str, problem: str) -> None:
    assert problem_of(token) == problem


@pytest.mark.parametrize(("token", "problem"), hostile.HEADERS)
def test_s_jwt_6_a_header_that_changes_how_to_read_is_refused(token: str, problem: str) -> None:
    assert problem_of(token) == problem


def test_a_withdrawn_key_is_refused_at_once() -> None:
    token = issued()
    ring = KeyRing([SECRET], "ES256", [KeyPeriod(number=1, counts_until=NOW), KeyPeriod(number=2)])
    tokens = AccessTokens(ring, "batonpass", "batonpass")

    assert tokens.verify(token, NOW - TICK).subject == "42"
    with pytest.raises(AccessTokenRefusedError) as refused:
        tokens.verify(token, NOW)
    assert refused.value.problem == "unknown_kid"


def test_a_token_of_an_older_secret_is_believed_while_it_is_listed() -> None:
    token = issued()

    both = AccessTokens(KeyRing([OTHER_SECRET, SECRET], "ES256"), "batonpass", "batonpass")
    new = AccessTokens(KeyRing([OTHER_SECRET], "ES256"), "batonpass", "batonpass")

    assert both.verify(token, NOW).subject == "42"
    with pytest.raises(AccessTokenRefusedError):
        new.verify(token, NOW)


# --- its claims --------------------------------------------------------------------------------


@pytest.mark.parametrize(("token", "problem"), hostile.CLAIMS)
def test_s_jwt_3_a_claim_missing_wrong_or_of_another_type_is_refused(
    token: str, problem: str
) -> None:
    assert problem_of(token) == problem


@pytest.mark.parametrize(("token", "problem"), hostile.TIMES)
def test_a_token_out_of_its_time_is_refused(token: str, problem: str) -> None:
    assert problem_of(token) == problem


@pytest.mark.parametrize("audience", ["batonpass", ["batonpass"], ["another", "batonpass"]])
def test_s_jwt_3_our_audience_alone_or_among_others_is_believed(audience: object) -> None:
    assert problem_of(a_token({"aud": audience})) is None


EXP = NOW + LIFETIME


@pytest.mark.parametrize(("token", "now", "problem"), [
    pytest.param(GOOD, EXP + LEEWAY - SECOND, None, id="a second before exp and leeway are over"),
    pytest.param(GOOD, EXP + LEEWAY - TICK, None, id="a tick before"),
    pytest.param(GOOD, EXP + LEEWAY, "expired", id="then it is expired"),
    pytest.param(GOOD, EXP + LEEWAY + SECOND, "expired", id="a second later too"),
    pytest.param(GOOD, NOW - LEEWAY, None, id="a clock 10 s behind believes it"),
    pytest.param(GOOD, NOW - LEEWAY - TICK, "issued_in_the_future", id="a tick more, no longer"),
    pytest.param(GOOD, NOW - LEEWAY - SECOND, "issued_in_the_future", id="a second more neither"),
    pytest.param(GOOD, datetime(2400, 1, 1, tzinfo=UTC), "expired", id="centuries later"),
    pytest.param(GOOD, datetime(1, 1, 1, tzinfo=UTC), "issued_in_the_future", id="before all time"),
    pytest.param(a_token({"nbf": at(LEEWAY)}), NOW, None, id="nbf within the leeway"),
    pytest.param(a_token({"nbf": at(LEEWAY + SECOND)}), NOW, "not_yet_valid", id="a second later"),
    pytest.param(a_token({"exp": at(MAX_LIFETIME)}), NOW, None, id="24 hours to live"),
    pytest.param(a_token({"exp": at(MAX_LIFETIME + SECOND)}), NOW, "lives_too_long",
                 id="and a second"),
    pytest.param(a_token({"exp": 253_402_300_799}), NOW, "lives_too_long", id="until 9999"),
    pytest.param(a_token({"exp": at(-SECOND)}), NOW, "lives_too_long", id="over before it began"),
    pytest.param(a_token({"iat": 0, "exp": 1}), NOW, "expired", id="1970"),
])  # fmt: skip
def test_s_jwt_4_when_a_token_is_believed(token: str, now: datetime, problem: str | None) -> None:
    assert problem_of(token, now) == problem


@pytest.mark.parametrize(("late", "problem"), [
    pytest.param(timedelta(hours=24) + LEEWAY - TICK, None, id="until then"),
    pytest.param(timedelta(hours=24) + LEEWAY, "expired", id="no longer"),
])  # fmt: skip
def test_a_logout_takes_an_old_token(late: timedelta, problem: str | None) -> None:
    assert problem_of(GOOD, EXP + late, expired_by=timedelta(hours=24)) == problem


# --- whatever it is ----------------------------------------------------------------------------


def test_outside_every_bad_token_looks_the_same_and_shows_nothing() -> None:
    for token in (GOOD[:-5], GOOD, "", hostile.evil(kid=hostile.EVIL.kid)):
        with pytest.raises(AccessTokenInvalidError) as refused:
            TOKENS.verify(token, NOW + timedelta(days=1))
        assert refused.value.detail == AccessTokenInvalidError.detail == str(refused.value)
        assert refused.value.code == "token_invalid"
        assert refused.value.__cause__ is None
        assert refused.value.__suppress_context__  # the parser's error quotes what it parsed


@given(st.lists(st.text(), min_size=3, max_size=3))
def test_garbage_is_refused_and_never_another_error(parts: list[str]) -> None:
    assert problem_of(".".join(parts)) is not None


@given(st.binary(), st.binary())
def test_signed_garbage_is_refused_and_never_another_error(header: bytes, payload: bytes) -> None:
    assert problem_of(signed(header, payload)) is not None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*PAYLOAD, "nbf", "x"]), JSON, min_size=1))
def test_claims_of_any_json_are_read_or_refused(changes: dict[str, object]) -> None:
    problem_of(a_token(changes))


@pytest.mark.parametrize("token", [
    pytest.param("." * MAX_TOKEN_LENGTH, id="dots"),
    pytest.param("x" * 10**7, id="10 MB"),
    *(pytest.param(f"{encoded(header)}.{P}.{S}", id=name) for name, header in {
        "brackets": b"[" * 5700,
        "objects": b'{"a":' * 1100,
        "escaped quotes": b'"' + b'\\"' * 2800,
        "many small arrays": b"[" + b"[]," * 1800 + b"[]]",
        "a long number": b"9" * 4299,
        "many members": b"{" + b",".join(b'"%d":0' % n for n in range(700)) + b"}",
    }.items()),
])  # fmt: skip
def test_s_jwt_7_a_hostile_shape_costs_little(token: str) -> None:
    assert problem_of(token) is not None

    assert in_additions(lambda: problem_of(token)) < 40_000  # the dearest: 21,000, 1 ms


def test_the_same_bytes_hash_alike_for_a_cache_only_if_they_are_the_same_token() -> None:
    """A cache keyed by digest is sound: of the text forms of one token we believe exactly one."""
    spellings = [
        GOOD + "=",
        GOOD[:-1] + hostile.other_last_character(S)[-1],
        GOOD + "\n",
        " " + GOOD,
    ]

    believed = {hashlib.sha256(one.encode()).digest() for one in [GOOD, *spellings]
                if problem_of(one) is None}  # fmt: skip

    assert believed == {hashlib.sha256(GOOD.encode()).digest()}


def test_s_jwt_11_the_hs256_key_never_leaves_by_the_jwks() -> None:
    ring = KeyRing([SECRET], "HS256")

    key = ring.issuing(NOW)

    assert isinstance(key.verifying_key, OctKey)
    assert key.public_jwk() is None
    assert ring.jwks(NOW) == {"keys": []}

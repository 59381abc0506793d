"""What an access token says, and each way in which one is not believed."""

import base64
import hashlib
import hmac
import json
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, KeySet, OctKey

from batonpass.access_tokens import (
    LEEWAY,
    MAX_LIFETIME,
    MAX_TOKEN_LENGTH,
    AccessTokenRefusedError,
    AccessTokens,
    Claims,
)
from batonpass.errors import AccessTokenInvalidError
from batonpass.keys import Algorithm, KeyPeriod, KeyRing, SigningKey
from tests.support.effort import in_additions

ALGORITHMS = get_args(Algorithm)
SECRET = bytes.fromhex("3a7f1c9be2d4405861fa0c77b39de815a6c2f0914e8b5d23970c6fd1be48a352")
OTHER_SECRET = bytes.fromhex("c81e05d7936ab24f7d20e9583bf4160c9da571e8624fb03917dc8a65f02b4ed3")
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
TICK = timedelta(microseconds=1)
LIFETIME = timedelta(minutes=30)
LOGIN = NOW - timedelta(hours=3)
FAMILY_ID = UUID("01936f3c-0000-7000-8000-0123456789ab")
RING = KeyRing([SECRET], "ES256")
KEY = RING.issuing(NOW)
TOKENS = AccessTokens(RING, "batonpass", "batonpass")
HEADER: Mapping[str, object] = {"typ": "at+jwt", "alg": "ES256", "kid": KEY.kid}
PAYLOAD: Mapping[str, object] = {
    "iss": "batonpass",
    "aud": "batonpass",
    "client_id": "batonpass",
    "sub": "42",
    "iat": int(NOW.timestamp()),
    "exp": int((NOW + LIFETIME).timestamp()),
    "jti": "an id",
    "sid": str(FAMILY_ID),
    "gen": 7,
    "auth_time": int(LOGIN.timestamp()),
}


class _Absent:
    """Stands for a member that is left out."""


ABSENT = _Absent()


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(part: str) -> Any:  # JSON
    return json.loads(base64.urlsafe_b64decode(part + "=="))


def signed(header: bytes, payload: bytes, key: SigningKey = KEY) -> str:
    """Sign exactly these bytes: what an attacker with our key could send, so no check hides."""
    message = f"{encoded(header)}.{encoded(payload)}"
    return f"{message}.{encoded(key.sign(message.encode()))}"


def a_token(claims: Mapping[str, object] = {}, header: Mapping[str, object] = {}) -> str:
    """Write a good token, but for what is named; ABSENT leaves a member out."""
    return signed(_changed(HEADER, header), _changed(PAYLOAD, claims))


def _changed(members: Mapping[str, object], changes: Mapping[str, object]) -> bytes:
    changed = {**members, **changes}
    kept = {name: value for name, value in changed.items() if value is not ABSENT}
    return json.dumps(kept).encode()


def issued(tokens: AccessTokens = TOKENS, **changes: Any) -> str:  # as `issue` takes them
    arguments: dict[str, Any] = {
        "subject": "42", "family_id": FAMILY_ID, "generation": 7, "auth_time": LOGIN, "now": NOW,
        "lifetime": LIFETIME,
    }  # fmt: skip
    return tokens.issue(**(arguments | changes))


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

GOOD_HEADER, GOOD_PAYLOAD = json.dumps(HEADER).encode(), json.dumps(PAYLOAD).encode()
GOOD = signed(GOOD_HEADER, GOOD_PAYLOAD)
H, P, S = GOOD.split(".")


def a_payload_with(text: str) -> bytes:
    """The good payload, and one more member as it stands."""
    return GOOD_PAYLOAD[:-1] + b"," + text.encode() + b"}"


def other_last_character(part: str) -> str:
    """The same bytes by a lenient decoder: a spare bit of the last character is set."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert len(part) % 4, "this part has no spare bits"
    return part[:-1] + alphabet[alphabet.index(part[-1]) + 1]


def test_the_token_that_the_tables_spoil_is_good() -> None:
    assert problem_of(GOOD) is None
    assert problem_of(a_token()) is None
    assert problem_of(signed(GOOD_HEADER, a_payload_with('"x": [[[[[[[]]]]]]]'))) is None


@pytest.mark.parametrize(("token", "problem"), [
    pytest.param("", "not_three_parts", id="nothing"),
    pytest.param("bpr_" + "x" * 92, "not_three_parts", id="a refresh token (A19)"),
    pytest.param(f"{H}.{P}", "not_three_parts", id="no signature part"),
    pytest.param(f"{H}.{P}.{S}.", "not_three_parts", id="four parts"),
    pytest.param(f"{H}.{P}.{S}.{S}.{S}", "not_three_parts", id="five parts, as a JWE has"),
    pytest.param("..", "not_json", id="three empty parts"),
    pytest.param(f".{P}.{S}", "not_json", id="no header"),
    pytest.param(f"{H}..{S}", "not_json", id="detached (RFC 7797)"),
    pytest.param(f"{H}.{P}.", "bad_signature", id="an empty signature"),
    pytest.param(GOOD + "A" * (MAX_TOKEN_LENGTH - len(GOOD)), "bad_signature", id="8 KiB"),
    pytest.param(GOOD + "A" * (MAX_TOKEN_LENGTH - len(GOOD) + 1), "too_long", id="and one more"),
    pytest.param("." * MAX_TOKEN_LENGTH, "not_three_parts", id="dots"),
    pytest.param(f"{H}=.{P}.{S}", "not_base64url", id="padding"),
    pytest.param(f"{H}.{P}.{S[:-1]}+", "not_base64url", id="plain base64"),
    pytest.param(f"{H}.{P}.{S[:-1]}\n", "not_base64url", id="a line break"),
    pytest.param(f"{H}.{P}.{S[:10]} {S[10:]}", "not_base64url", id="a blank, skipped by many"),
    pytest.param(f"{H}.{P}.{S}AAA", "not_base64url", id="a length that base64 never has"),
    pytest.param(f"{H}.{P}.{S[:-1]}é", "not_base64url", id="not ASCII"),
    pytest.param(f"{H}.{P}.{S[:-1]}\ud800", "not_base64url", id="not even Unicode"),
    pytest.param(f"{H}.{P}.{S}\0", "not_base64url", id="NUL"),
    pytest.param(f"{H}.{P}.{other_last_character(S)}", "not_base64url", id="spare bits set"),
    pytest.param(signed(GOOD_HEADER, b"\xff" + GOOD_PAYLOAD), "not_utf8", id="not UTF-8"),
    pytest.param(signed(GOOD_HEADER, GOOD_PAYLOAD.decode().encode("utf-16")), "not_utf8",
                 id="UTF-16"),
    pytest.param(signed(GOOD_HEADER, b"\xef\xbb\xbf" + GOOD_PAYLOAD), "not_json", id="a BOM"),
    pytest.param(signed(GOOD_HEADER, a_payload_with(r'"x": "\ud800"')), "not_utf8",
                 id="half a surrogate pair"),
    pytest.param(signed(GOOD_HEADER, GOOD_PAYLOAD[:-1]), "not_json", id="cut JSON"),
    pytest.param(signed(GOOD_HEADER, GOOD_PAYLOAD + b"{}"), "not_json", id="two JSON values"),
    pytest.param(signed(GOOD_HEADER, b"[]"), "not_an_object", id="an array"),
    pytest.param(signed(GOOD_HEADER, b'"sub"'), "not_an_object", id="a string"),
    pytest.param(signed(b"null", GOOD_PAYLOAD), "not_an_object", id="null for a header"),
    pytest.param(signed(GOOD_HEADER, a_payload_with('"x": NaN')), "not_json", id="NaN"),
    pytest.param(signed(GOOD_HEADER, a_payload_with('"x": -Infinity')), "not_json", id="-Infinity"),
    pytest.param(signed(GOOD_HEADER, a_payload_with('"x": ' + "9" * 5000)), "not_json",
                 id="an integer of 5000 digits"),
    pytest.param(signed(GOOD_HEADER, a_payload_with('"sub": "1"')), "duplicate_key",
                 id="sub twice"),
    pytest.param(signed(GOOD_HEADER, a_payload_with(r'"\u0073ub": "1"')), "duplicate_key",
                 id="sub twice, once escaped"),
    pytest.param(signed(GOOD_HEADER, a_payload_with('"x": {"a": 1, "a": 2}')), "duplicate_key",
                 id="a key twice further in"),
    pytest.param(signed(GOOD_HEADER[:-1] + b', "alg": "none"}', GOOD_PAYLOAD), "duplicate_key",
                 id="alg twice"),
    pytest.param(signed(GOOD_HEADER, a_payload_with('"x": [[[[[[[[]]]]]]]]')), "too_deep",
                 id="nine levels"),
    pytest.param(signed(GOOD_HEADER, b"[" * 5000), "too_deep", id="thousands of levels"),
    pytest.param(signed(b'{"a":' * 1000, GOOD_PAYLOAD), "too_deep", id="the header as well"),
])  # fmt: skip
def test_a_malformed_token_is_refused(token: str, problem: str) -> None:
    assert problem_of(token) == problem


# --- its header and signature ------------------------------------------------------------------


def hs256_over(secret: bytes) -> str:
    """The old trick: our public key as an HMAC key (RFC 8725 §2.1)."""
    message = f"{encoded(json.dumps({**HEADER, 'alg': 'HS256'}).encode())}.{P}"
    return f"{message}.{encoded(hmac.digest(secret, message.encode(), 'sha256'))}"


def public_key(encoding: Encoding) -> bytes:
    assert isinstance(KEY.verifying_key, ECKey)
    return KEY.verifying_key.public_key.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)


ADMIN = '"admin": true'
EVIL = SigningKey(OTHER_SECRET, "ES256", 1)
EVIL_JWK = EVIL.public_jwk()
HS256_KEY = SigningKey(SECRET, "HS256", 1)


def evil(**header: object) -> str:
    return signed(json.dumps({**HEADER, **header}).encode(), GOOD_PAYLOAD, EVIL)


@pytest.mark.parametrize(("token", "problem"), [
    pytest.param(a_token(header={"alg": "none"}), "wrong_alg", id="none"),
    pytest.param(a_token(header={"alg": "None"}), "wrong_alg", id="None"),
    pytest.param(a_token(header={"alg": ""}), "wrong_alg", id="empty"),
    pytest.param(a_token(header={"alg": "es256"}), "wrong_alg", id="in small letters"),
    pytest.param(a_token(header={"alg": ABSENT}), "wrong_alg", id="absent"),
    pytest.param(a_token(header={"alg": None}), "wrong_alg", id="null"),
    pytest.param(a_token(header={"alg": ["ES256"]}), "wrong_alg", id="a list"),
    pytest.param(a_token(header={"alg": "none"}).rsplit(".", 1)[0] + ".", "wrong_alg",
                 id="none, unsigned"),
    pytest.param(hs256_over(public_key(Encoding.PEM)), "wrong_alg", id="HS256 over the PEM"),
    pytest.param(hs256_over(public_key(Encoding.DER)), "wrong_alg", id="HS256 over the DER"),
    pytest.param(hs256_over(json.dumps(KEY.public_jwk()).encode()), "wrong_alg",
                 id="HS256 over the JWK"),
])  # fmt: skip
def test_a16_the_token_does_not_choose_the_algorithm(token: str, problem: str) -> None:
    assert problem_of(token) == problem


@pytest.mark.parametrize(("token", "problem"), [
    pytest.param(evil(), "bad_signature", id="another key under our kid"),
    pytest.param(evil(jwk=EVIL_JWK), "bad_signature", id="own key in jwk"),
    pytest.param(evil(jku="https://evil.example/jwks"), "bad_signature", id="own key behind jku"),
    pytest.param(evil(x5u="https://evil.example/x5u"), "bad_signature", id="own key behind x5u"),
    pytest.param(evil(x5c=["MIIB"]), "bad_signature", id="own key in x5c"),
    pytest.param(evil(kid=EVIL.kid), "unknown_kid", id="own key's kid"),
    pytest.param(f"{H}.{P}.{encoded(bytes(64))}", "bad_signature", id="zeros (CVE-2022-21449)"),
    pytest.param(f"{H}.{P}.{encoded(bytes(63))}", "bad_signature", id="a byte short"),
    pytest.param(f"{H}.{encoded(a_payload_with(ADMIN))}.{S}", "bad_signature",
                 id="claims of one, signature of another"),
    pytest.param(signed(json.dumps({**HEADER, "kid": HS256_KEY.kid, "alg": "HS256"}).encode(),
                        GOOD_PAYLOAD, HS256_KEY), "unknown_kid", id="kid of another alg's key"),
])  # fmt: skip
def test_a17_the_token_does_not_choose_the_key(token: str, problem: str) -> None:
    assert problem_of(token) == problem


@pytest.mark.parametrize(("kid", "problem"), [
    pytest.param("../../dev/null", "malformed_kid", id="a path"),
    pytest.param("' OR 1=1--", "malformed_kid", id="SQL"),
    pytest.param("k" * 64, "unknown_kid", id="64 characters"),
    pytest.param("k" * 65, "malformed_kid", id="65"),
    pytest.param("k" * 5000, "malformed_kid", id="many"),
    pytest.param(7, "malformed_kid", id="a number"),
    pytest.param(["k"], "malformed_kid", id="a list, which no dictionary takes"),
    pytest.param("k\0", "malformed_kid", id="NUL"),
    pytest.param(KEY.kid + "\n", "malformed_kid", id="ours and a line break"),
    pytest.param("٣", "malformed_kid", id="a digit, but not ASCII"),
    pytest.param("", "malformed_kid", id="empty"),
    pytest.param(ABSENT, "malformed_kid", id="absent"),
])  # fmt: skip
def test_a18_a_kid_is_looked_up_and_nothing_else(kid: object, problem: str) -> None:
    assert problem_of(a_token(header={"kid": kid})) == problem


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"])
def test_a_typ_of_ours_is_believed_in_any_case(typ: str) -> None:
    assert problem_of(a_token(header={"typ": typ})) is None


@pytest.mark.parametrize("typ", ["JWT", "dbsc+jwt", "dpop+jwt", "", "at+jwt ", None, 1, ABSENT])
def test_a19_another_kind_of_token_is_refused(typ: object) -> None:
    assert problem_of(a_token(header={"typ": typ})) == "wrong_typ"


@pytest.mark.parametrize("member", [
    {"crit": ["exp"]}, {"crit": []}, {"b64": False}, {"b64": True}, {"zip": "DEF"},
    {"enc": "A256GCM"},
])  # fmt: skip
def test_a_header_that_changes_how_to_read_is_refused(member: dict[str, object]) -> None:
    assert problem_of(a_token(header=member)) == "unsupported_header"


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

TIMES = ("iat", "exp", "auth_time")
TEXTS = ("client_id", "sub", "jti", "sid")
NOT_INTEGERS: tuple[object, ...] = (
    True,
    "1764000000",
    1764000000.5,
    1.0,
    -1,
    10**300,
    None,
    [],
    {},
    ABSENT,
)
NOT_TEXTS: tuple[object, ...] = (True, 42, 4.2, "", None, ["42"], {}, ABSENT)


@pytest.mark.parametrize(("name", "value"), [
    *((name, value) for name in (*TIMES, "gen") for value in NOT_INTEGERS),
    *((name, value) for name in TEXTS for value in NOT_TEXTS),
    *(("nbf", value) for value in NOT_INTEGERS if value is not ABSENT),
    *(("iss", value) for value in ("another", "Batonpass", "batonpass/", ["batonpass"])),
    *(("iss", value) for value in NOT_TEXTS),
    *(("aud", value) for value in ("another", "batonpass2", [], ["another"], [["batonpass"]],
                                   ["batonpass", 7], {"batonpass": 1}, True, None, ABSENT)),
    ("sid", "not-a-uuid"), ("sid", str(FAMILY_ID).upper()), ("sid", f"{{{FAMILY_ID}}}"),
    ("sid", f"urn:uuid:{FAMILY_ID}"), ("sid", FAMILY_ID.hex), ("gen", 2**32),
    *((name, 253_402_300_800) for name in TIMES),
])  # fmt: skip
def test_a_claim_that_is_missing_wrong_or_of_another_type_is_refused(
    name: str, value: object
) -> None:
    assert problem_of(a_token({name: value})) == f"claim_{name}"


@pytest.mark.parametrize("name", [*TIMES, "nbf", "gen"])
def test_a_number_too_large_for_json_is_refused(name: str) -> None:
    payload = {member: value for member, value in PAYLOAD.items() if member != name}
    text = json.dumps(payload)[:-1] + f', "{name}": 1e400}}'

    assert problem_of(signed(GOOD_HEADER, text.encode())) == f"claim_{name}"


@pytest.mark.parametrize("audience", ["batonpass", ["batonpass"], ["another", "batonpass"]])
def test_our_audience_alone_or_among_others_is_believed(audience: object) -> None:
    assert problem_of(a_token({"aud": audience})) is None


def at(offset: timedelta) -> int:
    return int((NOW + offset).timestamp())


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
def test_when_a_token_is_believed(token: str, now: datetime, problem: str | None) -> None:
    assert problem_of(token, now) == problem


@pytest.mark.parametrize(("late", "problem"), [
    pytest.param(timedelta(hours=24) + LEEWAY - TICK, None, id="until then"),
    pytest.param(timedelta(hours=24) + LEEWAY, "expired", id="no longer"),
])  # fmt: skip
def test_a_logout_takes_an_old_token(late: timedelta, problem: str | None) -> None:
    assert problem_of(GOOD, EXP + late, expired_by=timedelta(hours=24)) == problem


# --- whatever it is ----------------------------------------------------------------------------


def test_outside_every_bad_token_looks_the_same_and_shows_nothing() -> None:
    for token in (GOOD[:-5], GOOD, "", evil(kid=EVIL.kid)):
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
def test_a_hostile_shape_costs_little(token: str) -> None:
    assert problem_of(token) is not None

    assert in_additions(lambda: problem_of(token)) < 40_000  # the dearest: 21,000, 1 ms


def test_the_same_bytes_hash_alike_for_a_cache_only_if_they_are_the_same_token() -> None:
    """A cache keyed by digest is sound: of the text forms of one token we believe exactly one."""
    spellings = [GOOD + "=", GOOD[:-1] + other_last_character(S)[-1], GOOD + "\n", " " + GOOD]

    believed = {hashlib.sha256(one.encode()).digest() for one in [GOOD, *spellings]
                if problem_of(one) is None}  # fmt: skip

    assert believed == {hashlib.sha256(GOOD.encode()).digest()}


def test_the_hs256_key_never_leaves_by_the_jwks() -> None:
    ring = KeyRing([SECRET], "HS256")

    key = ring.issuing(NOW)

    assert isinstance(key.verifying_key, OctKey)
    assert key.public_jwk() is None
    assert ring.jwks(NOW) == {"keys": []}

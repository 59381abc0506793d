"""Every way to spoil an access token that we know of, and why each is refused.

One table for whoever reads tokens: the issuer itself, and the verifier of another service.
"""

import hmac
import json
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.jwk import ECKey

from batonpass.access_tokens import LEEWAY, MAX_LIFETIME, MAX_TOKEN_LENGTH
from batonpass.keys import SigningKey
from tests.support.tokens import (
    ABSENT,
    FAMILY_ID,
    GOOD,
    GOOD_HEADER,
    GOOD_PAYLOAD,
    HEADER,
    KEY,
    LIFETIME,
    OTHER_SECRET,
    PAYLOAD,
    SECOND,
    SECRET,
    H,
    P,
    S,
    a_payload_with,
    a_token,
    at,
    encoded,
    signed,
)


def _shown(value: object) -> str:
    return "absent" if value is ABSENT else f"{value!r}"[:40]


def without(name: str, member: str) -> str:
    """Write a good token that has `member`, as it stands, in the place of a claim."""
    payload = {key: value for key, value in PAYLOAD.items() if key != name}
    return signed(GOOD_HEADER, f"{json.dumps(payload)[:-1]}, {member}}}".encode())


def other_last_character(part: str) -> str:
    """The same bytes by a lenient decoder: a spare bit of the last character is set."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert len(part) % 4, "this part has no spare bits"
    return part[:-1] + alphabet[alphabet.index(part[-1]) + 1]


# S-JWT-7: before any signature.
SHAPES = [
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
]  # fmt: skip


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


# S-JWT-1, A16: the token does not choose the algorithm.
ALGORITHMS = [
    pytest.param(a_token(header={"alg": "none"}), "wrong_alg", id="none"),
    pytest.param(a_token(header={"alg": "None"}), "wrong_alg", id="None"),
    pytest.param(a_token(header={"alg": "NONE"}), "wrong_alg", id="NONE"),
    pytest.param(a_token(header={"alg": "nOnE"}), "wrong_alg", id="nOnE"),
    pytest.param(a_token(header={"alg": "none "}), "wrong_alg", id="none and a blank"),
    pytest.param(a_token(header={"alg": "n\u043ene"}), "wrong_alg", id="none with a Cyrillic o"),
    pytest.param(a_token(header={"alg": ""}), "wrong_alg", id="empty"),
    pytest.param(a_token(header={"alg": "ES384"}), "wrong_alg", id="a sister of ours"),
    pytest.param(a_token(header={"alg": "EdDSA"}), "wrong_alg", id="another of ours"),
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
]  # fmt: skip

# S-JWT-6, A17: nor the key.
KEYS = [
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
]  # fmt: skip

# S-JWT-5, A18: a kid is looked up, and nothing else.
KIDS = [
    pytest.param(a_token(header={"kid": "../../dev/null"}), "malformed_kid", id="a path"),
    pytest.param(a_token(header={"kid": "' OR 1=1--"}), "malformed_kid", id="SQL"),
    pytest.param(a_token(header={"kid": "k" * 64}), "unknown_kid", id="64 characters"),
    pytest.param(a_token(header={"kid": "k" * 65}), "malformed_kid", id="65"),
    pytest.param(a_token(header={"kid": "k" * 5000}), "malformed_kid", id="many"),
    pytest.param(a_token(header={"kid": 7}), "malformed_kid", id="a number"),
    pytest.param(a_token(header={"kid": ["k"]}), "malformed_kid",
                 id="a list, which no dictionary takes"),
    pytest.param(a_token(header={"kid": "k\0"}), "malformed_kid", id="NUL"),
    pytest.param(a_token(header={"kid": KEY.kid + "\n"}), "malformed_kid",
                 id="ours and a line break"),
    pytest.param(a_token(header={"kid": "٣"}), "malformed_kid", id="a digit, but not ASCII"),
    pytest.param(a_token(header={"kid": ""}), "malformed_kid", id="empty"),
    pytest.param(a_token(header={"kid": ABSENT}), "malformed_kid", id="absent"),
]  # fmt: skip

TYPES = [
    pytest.param(a_token(header={"typ": typ}), "wrong_typ", id=f"{typ!r}")
    for typ in ("JWT", "dbsc+jwt", "dpop+jwt", "", "at+jwt ", "jwt+at", None, 1, ["at+jwt"])
] + [pytest.param(a_token(header={"typ": ABSENT}), "wrong_typ", id="absent")]

# What would change how the rest is read; also where the token does without it (RFC 7515 §4.1.11).
MEMBERS: tuple[dict[str, object], ...] = (
    {"crit": ["exp"]}, {"crit": []}, {"crit": ["https://example.com/unknown"]},
    {"crit": ["b64"], "b64": False}, {"b64": False}, {"b64": True}, {"zip": "DEF"},
    {"enc": "A256GCM"},
)  # fmt: skip
HEADERS = [
    pytest.param(a_token(header=member), "unsupported_header", id=json.dumps(member))
    for member in MEMBERS
]

NUMBERS = ("iat", "exp", "auth_time", "gen")
TEXTS = ("client_id", "sub", "jti", "sid")
NOT_NUMBERS: tuple[object, ...] = (
    True, "1764000000", 1764000000.5, 1.0, -1, 10**300, None, [], {}, ABSENT,
)  # fmt: skip
NOT_TEXTS: tuple[object, ...] = (True, 42, 4.2, "", None, ["42"], {}, ABSENT)
OTHER_ISSUERS: tuple[object, ...] = (
    "another", "Batonpass", "batonpass/", "batonpass\0", ["batonpass"], *NOT_TEXTS,
)  # fmt: skip
OTHER_AUDIENCES: tuple[object, ...] = (
    "another", "batonpass2", [], ["another"], [["batonpass"]], ["batonpass", 7], {"batonpass": 1},
    True, None, ABSENT,
)  # fmt: skip
NOT_SESSIONS = (
    "not-a-uuid", str(FAMILY_ID).upper(), f"{{{FAMILY_ID}}}", f"urn:uuid:{FAMILY_ID}",
    FAMILY_ID.hex,
)  # fmt: skip
TOO_LARGE = 253_402_300_800  # a second after 9999

CLAIMS = [
    pytest.param(a_token({name: value}), f"claim_{name}", id=f"{name}: {_shown(value)}")
    for name, value in (
        *((name, value) for name in NUMBERS for value in NOT_NUMBERS),
        *((name, value) for name in TEXTS for value in NOT_TEXTS),
        *(("nbf", value) for value in NOT_NUMBERS if value is not ABSENT),
        *(("iss", value) for value in OTHER_ISSUERS),
        *(("aud", value) for value in OTHER_AUDIENCES),
        *(("sid", value) for value in NOT_SESSIONS),
        *((name, TOO_LARGE) for name in ("iat", "exp", "auth_time")),
        ("gen", 2**32),
    )
] + [
    pytest.param(without(name, f'"{name}": 1e400'), f"claim_{name}", id=f"{name}: 1e400")
    for name in (*NUMBERS, "nbf")
]  # fmt: skip


TIMES = [
    pytest.param(a_token({"iat": at(-2 * LIFETIME), "exp": at(-LEEWAY)}), "expired",
                 id="over, and the leeway too"),
    pytest.param(a_token({"iat": 0, "exp": 1}), "expired", id="1970"),
    pytest.param(a_token({"iat": at(LEEWAY + SECOND)}), "issued_in_the_future",
                 id="issued a second after the leeway"),
    pytest.param(a_token({"iat": at(timedelta(days=365)), "exp": at(timedelta(days=365, hours=1))}),
                 "issued_in_the_future", id="issued in a year"),
    pytest.param(a_token({"nbf": at(LEEWAY + SECOND)}), "not_yet_valid", id="not yet"),
    pytest.param(a_token({"exp": at(MAX_LIFETIME + SECOND)}), "lives_too_long",
                 id="a second over 24 hours to live"),
    pytest.param(a_token({"exp": TOO_LARGE - 1}), "lives_too_long", id="until 9999"),
    pytest.param(a_token({"exp": at(-SECOND)}), "lives_too_long", id="over before it began"),
]  # fmt: skip

HOSTILE = [
    pytest.param(*row.values, id=f"{table}: {row.id}")
    for table, rows in {
        "shape": SHAPES, "alg": ALGORITHMS, "key": KEYS, "kid": KIDS, "typ": TYPES,
        "header": HEADERS, "claim": CLAIMS, "time": TIMES,
    }.items()
    for row in rows
]  # fmt: skip

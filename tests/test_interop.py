"""Other libraries verify our tokens from our JWKS, and refuse what we did not sign.

joserfc, which we use ourselves, is asked in test_access_tokens.py.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from jose import jwt as python_jose
from jose.exceptions import JWKError, JWTError

from batonpass.access_tokens import AccessTokens
from batonpass.clock import Clock
from batonpass.keys import KeyPeriod, KeyRing
from tests.support.tokens import OTHER_SECRET, SECRET, a_payload_with, encoded, issued
from tools.runners import run

VERIFY_BY_JOSE = Path(__file__).with_name("verify_by_jose.mjs")
ISSUER, AUDIENCE = "https://accounts.example.com", "shop"
# Two secrets in the middle of a rotation: the set holds four keys, and one of them has signed.
PERIODS = (KeyPeriod(number=1), KeyPeriod(number=2))
RINGS = {
    "ES256": KeyRing([SECRET, OTHER_SECRET], "ES256", PERIODS),
    "EdDSA": KeyRing([SECRET, OTHER_SECRET], "EdDSA", PERIODS),
}
Jwks = dict[str, Any]  # JSON
Verify = Callable[[str, Jwks, str], dict[str, Any]]


def a_token(algorithm: str) -> str:
    now = Clock().now()  # they ask for the time themselves
    tokens = AccessTokens(RINGS[algorithm], ISSUER, AUDIENCE)
    return issued(tokens, now=now, auth_time=now)


def published(algorithm: str) -> Jwks:
    jwks: Jwks = json.loads(json.dumps(RINGS[algorithm].jwks(Clock().now())))
    assert len(jwks["keys"]) == 4
    return jwks


def forged(token: str) -> str:
    header, _, signature = token.split(".")
    payload = encoded(a_payload_with('"admin": true'))
    return f"{header}.{payload}.{signature}"


def by_pyjwt(token: str, jwks: Jwks, algorithm: str) -> dict[str, Any]:
    key = jwt.PyJWKSet.from_dict(jwks)[jwt.get_unverified_header(token)["kid"]]
    options: Any = {"require": ["exp", "iat", "sub", "jti"]}
    return jwt.decode(
        token, key, algorithms=[algorithm], issuer=ISSUER, audience=AUDIENCE, options=options
    )


def by_python_jose(token: str, jwks: Jwks, algorithm: str) -> dict[str, Any]:
    return python_jose.decode(token, jwks, algorithms=[algorithm], issuer=ISSUER, audience=AUDIENCE)


@pytest.mark.parametrize(("verify", "refusal", "algorithm"), [
    pytest.param(by_pyjwt, jwt.InvalidSignatureError, "ES256", id="PyJWT, ES256"),
    pytest.param(by_pyjwt, jwt.InvalidSignatureError, "EdDSA", id="PyJWT, EdDSA"),
    pytest.param(by_python_jose, JWTError, "ES256", id="python-jose, ES256"),
])  # fmt: skip
def test_a_python_library_believes_what_we_signed_and_nothing_else(
    verify: Verify, refusal: type[Exception], algorithm: str
) -> None:
    token, jwks = a_token(algorithm), published(algorithm)

    claims = verify(token, jwks, algorithm)

    assert (claims["iss"], claims["sub"], claims["gen"]) == (ISSUER, "42", 7)
    with pytest.raises(refusal):
        verify(forged(token), jwks, algorithm)


def test_python_jose_knows_no_eddsa() -> None:
    """So a service that verifies with it wants ES256, which is the default."""
    with pytest.raises(JWKError, match="Unable to find an algorithm"):
        by_python_jose(a_token("EdDSA"), published("EdDSA"), "EdDSA")


def test_jose_in_node_believes_what_we_signed_and_nothing_else(tmp_path: Path) -> None:
    asked = [
        {"token": token, "jwks": published(algorithm), "algorithm": algorithm,
         "issuer": ISSUER, "audience": AUDIENCE}
        for algorithm in RINGS
        for token in (a_token(algorithm), forged(a_token(algorithm)))
    ]  # fmt: skip
    path = tmp_path / "asked.json"
    path.write_text(json.dumps(asked))

    done = run("node", str(VERIFY_BY_JOSE), str(path), quiet=True)

    refused = "ERR_JWS_SIGNATURE_VERIFICATION_FAILED"
    assert done.output.split() == ["42", refused, "42", refused]
    assert done.status == 0

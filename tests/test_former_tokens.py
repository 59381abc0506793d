"""Tokens from before the move: believed until they are over, and no way around what came after.

The good ones are made by the libraries that apps have, python-jose and PyJWT, as their tutorials
make them.
"""

import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from fastapi import Depends, FastAPI, Request
from jose import jwt as python_jose
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from starlette.responses import Response

from batonpass import Batonpass, Claims, FormerTokens
from batonpass.access_tokens import AccessTokenRefusedError
from batonpass.errors import ConfigurationError
from batonpass.http.cookies import PLAIN_REFRESH_TOKEN
from tests.support.clocks import Clock
from tests.support.families import T0, TICK
from tests.support.servers import refusal

OLD_SECRET = "the app's own secret, from before, and long enough"
OUR_SECRET = "91c47be05fa83d26e1907cb4d85a3f6e20b97d14c8f35ea6072b9d41e8c6f053"
LIFETIME = timedelta(minutes=30)
MOVE = T0  # when the last process that issued them stopped
BEFORE = MOVE - timedelta(minutes=5)
AFTER = MOVE + timedelta(minutes=1)
SECOND = timedelta(seconds=1)
FORMER = FormerTokens(key=OLD_SECRET, lifetime=LIFETIME, issued_before=MOVE)
Make = Callable[[Mapping[str, object]], str]


def as_tutorials_do(subject: object = "7", at: datetime = BEFORE, **more: object) -> dict[str, Any]:
    """Return the claims of FastAPI's tutorial: who, and until when."""
    return {"sub": subject, "exp": at + LIFETIME, **more}


def signed(claims: Mapping[str, object], header: Mapping[str, object] | None = None) -> str:
    return jwt.encode(dict(claims), OLD_SECRET, headers=dict(header or {}))


def by_hand(header: str, claims: Mapping[str, object], signature: bytes = b"") -> str:
    seconds = {
        name: int(value.timestamp()) if isinstance(value, datetime) else value
        for name, value in claims.items()
    }
    parts = (header.encode(), json.dumps(seconds).encode(), signature)
    return ".".join(urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


# --- one token by itself -----------------------------------------------------------------------


@pytest.mark.parametrize("make", [
    pytest.param(lambda claims: python_jose.encode(dict(claims), OLD_SECRET), id="python-jose"),
    pytest.param(signed, id="PyJWT"),
    pytest.param(lambda claims: signed({**claims, "iat": BEFORE}), id="with iat"),
    pytest.param(lambda claims: signed(claims, {"typ": None}), id="without typ"),
    pytest.param(lambda claims: signed(claims, {"kid": "old"}), id="with a kid"),
    pytest.param(lambda claims: signed({**claims, "exp": claims["exp"].timestamp()}),
                 id="with a fraction of a second"),
    pytest.param(lambda claims: signed({**claims, "scope": "admin", "jti": "1"}), id="with more"),
])  # fmt: skip
def test_what_an_app_gave_out_is_believed(make: Make) -> None:
    found = FORMER.verify(make(as_tutorials_do()), AFTER)

    assert (found.subject, found.issued_at) == ("7", BEFORE)


_EXP = {"exp": BEFORE + LIFETIME}


@pytest.mark.parametrize(("token", "problem"), [
    pytest.param(signed(as_tutorials_do(at=MOVE)), "issued_after_the_move",
                 id="issued at the move, as its exp tells"),
    pytest.param(signed(as_tutorials_do(iat=MOVE, at=MOVE)), "issued_after_the_move",
                 id="issued at the move, as it says"),
    pytest.param(signed(as_tutorials_do(iat=BEFORE, at=BEFORE + timedelta(days=7))),
                 "lives_too_long", id="a refresh token of a week"),
    pytest.param(signed(as_tutorials_do(at=BEFORE + timedelta(days=7))),
                 "issued_after_the_move", id="a refresh token of a week that has no iat"),
    pytest.param(signed(as_tutorials_do(nbf=AFTER + timedelta(hours=1))), "not_yet_valid",
                 id="not yet valid"),
    pytest.param(signed({"sub": "7"}), "claim_exp", id="no exp"),
    pytest.param(signed({"sub": "7", "exp": 1e300}), "claim_exp", id="an exp beyond all time"),
    pytest.param(signed({"sub": "7", "exp": True}), "claim_exp", id="an exp that is true"),
    pytest.param(by_hand('{"alg":"HS256","exp":"1"}', {"exp": "soon"}), "bad_signature",
                 id="unsigned"),
    pytest.param(signed(_EXP), "claim_sub", id="nobody's"),
    pytest.param(signed({**_EXP, "sub": ""}), "claim_sub", id="the empty name's"),
    pytest.param(by_hand('{"alg":"none"}', as_tutorials_do()), "wrong_alg", id="alg none"),
    pytest.param(by_hand('{"alg":"nOnE","typ":"JWT"}', as_tutorials_do()), "wrong_alg",
                 id="alg none, spelt otherwise"),
    pytest.param(by_hand('{"typ":"JWT"}', as_tutorials_do()), "wrong_alg", id="no alg"),
    pytest.param(by_hand('{"alg":["HS256"]}', as_tutorials_do()), "wrong_alg", id="alg a list"),
    pytest.param(jwt.encode(as_tutorials_do(), OLD_SECRET * 2, "HS512"), "wrong_alg",
                 id="another algorithm"),
    pytest.param(jwt.encode(as_tutorials_do(), OLD_SECRET + "!"), "bad_signature",
                 id="another secret"),
    pytest.param(signed(as_tutorials_do())[:-4] + "AAAA", "bad_signature", id="another signature"),
    pytest.param(signed(as_tutorials_do(), {"crit": ["exp"]}), "unsupported_header", id="crit"),
    pytest.param(signed(as_tutorials_do(), {"typ": "at+jwt"}), "wrong_typ", id="our typ"),
    pytest.param(signed(as_tutorials_do(), {"typ": "dpop+jwt"}), "wrong_typ", id="another typ"),
    pytest.param(signed(as_tutorials_do(aud="shop")), "claim_aud", id="for somebody, not named"),
    pytest.param("a.b", "not_three_parts", id="two parts"),
    pytest.param("é.b.c", "not_base64url", id="no base64url"),
    pytest.param("a" * 9000, "too_long", id="too long"),
])  # fmt: skip
def test_s_jwt_12_any_other_is_refused(token: str, problem: str) -> None:
    with pytest.raises(AccessTokenRefusedError) as refused:
        FORMER.verify(token, AFTER)

    assert refused.value.problem == problem


@pytest.mark.parametrize(("now", "problem"), [
    (BEFORE + LIFETIME - TICK, None),
    (BEFORE + LIFETIME, "expired"),
    (MOVE + LIFETIME, "former_tokens_are_over"),
])  # fmt: skip
def test_s_jwt_12_each_has_its_end_and_all_of_them_have(now: datetime, problem: str | None) -> None:
    assert problem_of(FORMER, signed(as_tutorials_do()), now) == problem


def test_s_jwt_12_the_end_may_come_earlier() -> None:
    hasty = FormerTokens(key=OLD_SECRET, lifetime=LIFETIME, issued_before=MOVE, until=AFTER)
    token = signed(as_tutorials_do())

    assert problem_of(hasty, token, AFTER - TICK) is None
    assert problem_of(hasty, token, AFTER) == "former_tokens_are_over"


@pytest.mark.parametrize(("claims", "problem"), [
    ({"type": "access", "aud": "shop"}, None),
    ({"type": "refresh", "aud": "shop"}, "claim_type"),
    ({"aud": "shop"}, "claim_type"),
    ({"type": "access"}, "claim_aud"),
    ({"type": "access", "aud": "bank"}, "claim_aud"),
])  # fmt: skip
def test_s_jwt_12_what_has_to_stand_in_it_does(claims: dict[str, Any], problem: str | None) -> None:
    requires = {"type": "access", "aud": "shop"}
    strict = FormerTokens(key=OLD_SECRET, lifetime=LIFETIME, issued_before=MOVE, requires=requires)

    assert problem_of(strict, signed(as_tutorials_do(**claims)), AFTER) == problem


def test_the_user_may_be_named_by_another_claim_and_by_a_number() -> None:
    former = FormerTokens(key=OLD_SECRET, lifetime=LIFETIME, issued_before=MOVE, subject="user_id")

    assert former.verify(signed({**_EXP, "user_id": 7}), AFTER).subject == "7"
    assert problem_of(former, signed(as_tutorials_do()), AFTER) == "claim_user_id"
    assert problem_of(former, signed({**_EXP, "user_id": True}), AFTER) == "claim_user_id"


def problem_of(former: FormerTokens, token: str, now: datetime) -> str | None:
    try:
        former.verify(token, now)
    except AccessTokenRefusedError as refused:
        return refused.problem
    return None


# --- keys --------------------------------------------------------------------------------------

RSA = rsa.generate_private_key(65537, 2048)
P256 = ec.generate_private_key(ec.SECP256R1())


def pem(private: Any) -> tuple[bytes, bytes]:  # a key pair of cryptography's
    """Return the private and the public half."""
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), public


@pytest.mark.parametrize(
    ("private", "algorithm"), [(RSA, "RS256"), (RSA, "PS384"), (P256, "ES256")]
)
def test_an_app_that_signed_with_a_key_pair_moves_in_as_well(private: Any, algorithm: Any) -> None:
    secret, public = pem(private)
    former = FormerTokens(key=public, algorithm=algorithm, lifetime=LIFETIME, issued_before=MOVE)
    token = jwt.encode(as_tutorials_do(), secret, algorithm)

    assert former.verify(token, AFTER).subject == "7"
    assert problem_of(former, token[:-6] + "AAAAAA", AFTER) == "bad_signature"


def test_s_jwt_12_no_public_key_becomes_a_secret() -> None:
    """The old key confusion: HS256 over the public key, which everybody has."""
    public = pem(RSA)[1]
    former = FormerTokens(key=public, algorithm="RS256", lifetime=LIFETIME, issued_before=MOVE)
    forged = by_hand('{"alg":"HS256","typ":"JWT"}', as_tutorials_do())
    message = forged.rpartition(".")[0]
    mac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    signature = urlsafe_b64encode(mac.sign(message.encode(), public)).rstrip(b"=").decode()

    assert problem_of(former, f"{message}.{signature}", AFTER) == "wrong_alg"


@pytest.mark.parametrize("choices", [
    pytest.param({"algorithm": "none"}, id="no algorithm at all"),
    pytest.param({"key": ""}, id="no secret"),
    pytest.param({"key": pem(RSA)[1]}, id="a public key as a secret"),
    pytest.param({"algorithm": "RS256"}, id="a secret as a public key"),
    pytest.param({"algorithm": "ES256", "key": pem(RSA)[1]}, id="a key of another kind"),
    pytest.param({"algorithm": "ES384", "key": pem(P256)[1]}, id="a key on another curve"),
    pytest.param({"issued_before": datetime(2026, 12, 1)}, id="a move without a zone"),  # noqa: DTZ001
    pytest.param({"until": datetime(2026, 12, 1)}, id="an end without a zone"),  # noqa: DTZ001
    pytest.param({"lifetime": timedelta(0)}, id="no life"),
])  # fmt: skip
def test_what_cannot_work_says_so_at_the_start(choices: dict[str, Any]) -> None:
    given: dict[str, Any] = {"key": OLD_SECRET, "lifetime": LIFETIME, "issued_before": MOVE}

    with pytest.raises(ConfigurationError, match="FormerTokens"):
        FormerTokens(**{**given, **choices})


def test_the_secret_is_shown_to_nobody() -> None:
    assert OLD_SECRET not in repr(FORMER)


# --- in an app ---------------------------------------------------------------------------------


@dataclass
class Site:
    """An app that has moved in, and its client."""

    client: httpx.AsyncClient
    clock: Clock
    auth: Batonpass[Any]

    async def get(self, path: str, token: str) -> httpx.Response:
        return await self.client.get(path, headers=_bearer(token))

    async def exchange(self, token: str) -> httpx.Response:
        return await self.client.post("/auth/upgrade", headers=_bearer(token))


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


ADA_ID = UUID("5a63a445-32ad-4a44-9ae9-b2c4bb6d6e01")
EVE_ID = UUID("5a63a445-32ad-4a44-9ae9-b2c4bb6d6e02")


class Base(DeclarativeBase):
    """The app's models."""


class Account(Base):
    """Somebody."""

    __tablename__ = "accounts"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    team: Mapped[str] = mapped_column(default="library")
    is_active: Mapped[bool] = mapped_column(default=True)


@asynccontextmanager
async def moved_in(url: str, **choices: Any) -> AsyncIterator[Site]:
    """Serve an app on an empty database; Ada has been its user for long."""
    engine = create_engine(url)
    clock = Clock(AFTER)
    given = {"key": OLD_SECRET, "lifetime": LIFETIME, "issued_before": MOVE, **choices}
    former = FormerTokens(**given) if choices.get("key", "given") else None
    auth = Batonpass(
        engine,
        Base.metadata,
        user=Account,
        secret=OUR_SECRET,
        active=Account.is_active,
        former_tokens=former,
        clock=clock,
    )
    auth.claims_for(lambda account: {"team": account.team})
    app = FastAPI()

    @app.get("/me")
    async def me(account: Annotated[Account, Depends(auth.user)]) -> str:
        return account.email

    @app.get("/greeting")
    async def greeting(account: Annotated[Account | None, Depends(auth.optional_user)]) -> str:
        return "nobody" if account is None else account.email

    @app.get("/claims")
    async def claims(found: Annotated[Claims, Depends(auth.claims)]) -> str:
        return found.subject

    @app.get("/team")
    async def team(found: Annotated[Claims, Depends(auth.claims)]) -> object:
        return found.extra["team"]

    @app.get("/fresh")
    async def fresh(found: Annotated[Claims, Depends(auth.fresh())]) -> str:
        return found.subject

    @app.post("/auth/upgrade")
    async def upgrade(request: Request) -> Response:
        return await auth.exchange_former_token(request)

    auth.install(app)
    Base.metadata.create_all(engine)
    with Session(engine) as db:
        db.add(Account(id=ADA_ID, email="ada@example.com"))
        db.add(Account(id=EVE_ID, email="eve@example.com", is_active=False))
        db.commit()
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        yield Site(client, clock, auth)
    engine.dispose()


@pytest.fixture
async def site(sqlite_url: str) -> AsyncIterator[Site]:
    async with moved_in(sqlite_url) as site:
        yield site


TOKEN = signed(as_tutorials_do(str(ADA_ID)))


async def test_whoever_logged_in_before_the_move_is_who_they_were(site: Site) -> None:
    me, greeting = await site.get("/me", TOKEN), await site.get("/greeting", TOKEN)
    nobody = await site.client.get("/greeting")
    site.clock.advance(LIFETIME)

    assert (me.json(), greeting.json(), nobody.json()) == (
        "ada@example.com", "ada@example.com", "nobody",
    )  # fmt: skip
    for path in ("/me", "/greeting"):
        assert refusal(await site.get(path, TOKEN)) == (401, "token_invalid")


async def test_a_token_may_name_its_user_by_another_column(sqlite_url: str) -> None:
    async with moved_in(sqlite_url, named_by=Account.email) as site:
        ada, eve, nobody = [
            await site.get("/me", signed(as_tutorials_do(email)))
            for email in ("ada@example.com", "eve@example.com", "nobody@example.com")
        ]

    assert ada.json() == "ada@example.com"
    assert refusal(eve) == refusal(nobody) == (401, "token_invalid")


async def test_s_jwt_12_a_name_that_several_people_have_is_nobodys(sqlite_url: str) -> None:
    async with moved_in(sqlite_url, named_by=Account.team) as site:
        assert refusal(await site.get("/me", signed(as_tutorials_do("library")))) == (
            401, "token_invalid",
        )  # fmt: skip


@pytest.mark.parametrize("path", ["/claims", "/fresh", "/auth/sessions", "/auth/events"])
async def test_s_jwt_12_it_says_who_somebody_is_and_nothing_more(site: Site, path: str) -> None:
    assert refusal(await site.get(path, TOKEN)) == (401, "token_invalid")


@pytest.mark.parametrize("token", [
    pytest.param(signed(as_tutorials_do(str(ADA_ID), at=AFTER)), id="issued after the move"),
    pytest.param(signed(as_tutorials_do(str(ADA_ID)), {"typ": "at+jwt"}), id="as one of ours"),
    pytest.param(signed(as_tutorials_do(str(EVE_ID))), id="of somebody who was made inactive"),
    pytest.param(signed(as_tutorials_do("no UUID")), id="of nobody that there could be"),
    pytest.param(signed(as_tutorials_do(str(UUID(int=1)))), id="of somebody who has gone"),
    pytest.param(by_hand('{"alg":"none"}', as_tutorials_do(str(ADA_ID))), id="alg none"),
    pytest.param("garbage", id="garbage"),
])  # fmt: skip
async def test_s_jwt_12_no_other_opens_anything(site: Site, token: str) -> None:
    for answer in (await site.get("/me", token), await site.exchange(token)):
        assert refusal(answer) == (401, "token_invalid")
    assert not site.client.cookies


async def test_s_jwt_12_without_former_tokens_there_are_none(sqlite_url: str) -> None:
    async with moved_in(sqlite_url, key=None) as site:
        me, exchanged = await site.get("/me", TOKEN), await site.exchange(TOKEN)

    assert refusal(me) == refusal(exchanged) == (401, "token_invalid")


# --- a session for it --------------------------------------------------------------------------


async def test_an_exchange_keeps_somebody_signed_in_beyond_the_tokens_life(site: Site) -> None:
    exchanged = await site.exchange(TOKEN)
    site.clock.advance(LIFETIME)
    renewed = await site.client.post("/auth/refresh")

    me, team = [await site.get(path, renewed.json()["access_token"]) for path in ("/me", "/team")]

    assert exchanged.status_code == 200
    assert PLAIN_REFRESH_TOKEN in site.client.cookies
    assert (me.json(), team.json()) == ("ada@example.com", "library")


async def test_s_jwt_12_an_exchange_is_no_fresh_login(site: Site) -> None:
    site.clock.advance(SECOND)  # five minutes and a second past the login
    earlier = signed(as_tutorials_do(str(ADA_ID), at=MOVE - timedelta(minutes=4)))
    exchanged = await site.exchange(earlier)

    fresh = await site.get("/fresh", exchanged.json()["access_token"])

    assert refusal(fresh) == (401, "login_required_again")


async def test_s_jwt_12_a_token_of_ours_is_exchanged_for_nothing(site: Site) -> None:
    """Else a copied access token, half an hour at most, would become a session."""
    ours = (await site.exchange(TOKEN)).json()["access_token"]
    site.client.cookies.clear()

    again = await site.exchange(ours)

    assert refusal(again) == (401, "token_invalid")
    assert not site.client.cookies


async def test_an_exchange_without_a_token_says_so(site: Site) -> None:
    assert refusal(await site.client.post("/auth/upgrade")) == (401, "token_missing")


async def test_ours_go_by_unseen(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = (await site.exchange(TOKEN)).json()["access_token"]
    asked: list[str] = []
    monkeypatch.setattr(FormerTokens, "verify", lambda _self, token, _now: asked.append(token))

    assert (await site.get("/me", ours)).json() == "ada@example.com"
    site.clock.advance(timedelta(hours=1))
    assert refusal(await site.get("/me", ours)) == (401, "token_invalid")
    assert not asked


async def test_both_routes_show_their_scheme_to_openapi(site: Site) -> None:
    schema = (await site.client.get("/openapi.json")).json()

    for path in ("/me", "/greeting", "/claims"):
        assert schema["paths"][path]["get"]["security"] == [{"OAuth2PasswordBearer": []}]

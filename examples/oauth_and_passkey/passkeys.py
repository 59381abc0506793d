"""Passkeys: a challenge of ours, signed by a key that the device keeps. py_webauthn verifies.

A challenge is stored, counts once and for five minutes, and belongs to who asked for it. The routes
stand under /auth, where Batonpass holds every request to its own origin.

Source: W3C Web Authentication Level 3, §7.1 and §7.2.
"""

import json
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Depends, HTTPException, Request, Response
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession
from webauthn import (
    base64url_to_bytes,
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import parse_client_data_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from batonpass import Batonpass, Claims
from examples.oauth_and_passkey.accounts import Account, Challenge, Passkey

ANSWER_WITHIN = timedelta(minutes=5)
REQUIRED = UserVerificationRequirement.REQUIRED  # a PIN or a finger: else a found key logs in

Credential = Annotated[dict[str, Any], Body()]  # JSON of the browser's; py_webauthn reads it


def passkey_router(
    auth: Batonpass[Account], get_db: Callable[..., Any], origin: str, host: str
) -> APIRouter:
    """Make the four routes: two to add a passkey, two to log in by one.

    Args:
        auth: Signs in.
        get_db: The dependency that gives the app's database session.
        origin: This app's, as browsers write it.
        host: Its host: what a passkey is bound to.
    """
    router = APIRouter(prefix="/auth/passkeys")
    Db = Annotated[AsyncSession, Depends(get_db)]  # noqa: N806 - a type
    Fresh = Annotated[Claims, Depends(auth.fresh())]  # noqa: N806 - a type
    Me = Annotated[Account, Depends(auth.user)]  # noqa: N806 - a type

    @router.post("/new")
    async def ask_for_a_new_one(me: Me, _recent: Fresh, db: Db) -> Response:
        options = generate_registration_options(
            rp_id=host,
            rp_name="An example",
            user_id=me.id.bytes,
            user_name=me.email,
            challenge=await new_challenge(db, me.id, auth.clock.now()),
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED, user_verification=REQUIRED
            ),
        )
        return Response(options_to_json(options), media_type="application/json")

    @router.post("", status_code=201)
    async def add(me: Me, _recent: Fresh, db: Db, credential: Credential) -> None:
        challenge = await spend_challenge(db, credential, me.id, auth.clock.now())
        try:
            made = verify_registration_response(
                credential=credential,
                expected_challenge=challenge,
                expected_rp_id=host,
                expected_origin=origin,
                require_user_verification=True,
            )
        except WebAuthnException as error:
            raise no_passkey() from error
        if await db.get(Passkey, made.credential_id) is not None:
            raise no_passkey()
        db.add(
            Passkey(
                credential_id=made.credential_id,
                account_id=me.id,
                public_key=made.credential_public_key,
                sign_count=made.sign_count,
            )
        )
        await db.commit()

    @router.post("/challenge")
    async def ask_who_it_is(db: Db) -> Response:
        options = generate_authentication_options(
            rp_id=host,
            challenge=await new_challenge(db, None, auth.clock.now()),
            user_verification=REQUIRED,
        )
        return Response(options_to_json(options), media_type="application/json")

    @router.post("/login")
    async def log_in(request: Request, db: Db, credential: Credential) -> Response:
        challenge = await spend_challenge(db, credential, None, auth.clock.now())
        passkey = await db.get(Passkey, _bytes(credential.get("rawId")))
        if passkey is None:
            raise no_passkey()
        try:
            shown = verify_authentication_response(
                credential=credential,
                expected_challenge=challenge,
                expected_rp_id=host,
                expected_origin=origin,
                credential_public_key=passkey.public_key,
                credential_current_sign_count=passkey.sign_count,
                require_user_verification=True,
            )
        except WebAuthnException as error:
            raise no_passkey() from error
        passkey.sign_count = shown.new_sign_count
        account = await db.get_one(Account, passkey.account_id)
        answer = await auth.sign_in(account, request, session=db)
        await db.commit()
        return answer

    return router


async def new_challenge(db: AsyncSession, account_id: UUID | None, now: datetime) -> bytes:
    """Store a challenge for somebody; None: for whoever it will turn out to be."""
    value = secrets.token_bytes(32)
    await db.execute(delete(Challenge).where(Challenge.expires_at < now))
    db.add(Challenge(value=value, account_id=account_id, expires_at=now + ANSWER_WITHIN))
    await db.commit()
    return value


async def spend_challenge(
    db: AsyncSession, credential: dict[str, Any], account_id: UUID | None, now: datetime
) -> bytes:
    """Return the challenge that a credential answers, which is then gone, whatever comes of it.

    Raises:
        HTTPException: It is none of ours, is over, was answered, or was given to somebody else.
    """
    try:
        value = parse_client_data_json(_bytes(credential["response"]["clientDataJSON"])).challenge
    except (WebAuthnException, KeyError, TypeError, json.JSONDecodeError) as error:
        raise no_passkey() from error
    gone = await db.execute(
        delete(Challenge)
        .where(Challenge.value == value, Challenge.expires_at >= now)
        .returning(Challenge.account_id)
    )
    found = gone.one_or_none()
    await db.commit()
    if found is None or found.account_id != account_id:
        raise no_passkey()
    return value


def no_passkey() -> HTTPException:
    """Refuse; nobody learns why."""
    return HTTPException(401, "This passkey is not known here, or has come too late.")


def _bytes(text: object) -> bytes:
    try:
        return base64url_to_bytes(text) if isinstance(text, str) else b""
    except ValueError:
        return b""

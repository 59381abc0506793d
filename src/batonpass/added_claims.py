"""What access tokens carry besides our own claims: what the app says, and who acts."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection

from batonpass.access_tokens import ACTOR, check_extra

ClaimsOf = Callable[[Connection], Mapping[str, Any] | None]


def added_claims(claims: Mapping[str, Any] | None, actor: str | None) -> Mapping[str, Any] | None:
    """Put together what a session's tokens carry; the app's own claims cannot say who acts.

    Args:
        claims: What the app says.
        actor: Who acts in the user's name, if anybody.

    Raises:
        ValueError: The app names a claim of ours, or what it says has no place in a token.

    Source: RFC 8693 §4.1 (`act`).
    """
    if claims and ACTOR in claims:
        message = f"The claim {ACTOR!r} is said by sign_in(actor=…), not by the app's claims."
        raise ValueError(message)
    every = claims if actor is None else {**(claims or {}), ACTOR: {"sub": actor}}
    check_extra(every)
    return every

"""REGISTRATION=confirm: an account begins in its owner's mailbox, and nothing is kept before.

The link carries what the account will be made of, encrypted and authenticated: the e-mail and the
password's hash. No row stands for an address that nobody has shown to be theirs, so there is none
to fill up, to leak or to purge. It opens once, because the second time the e-mail is taken; only
where the account was deleted within the hour would it make it again.

The token stands in the link's fragment, which browsers keep to themselves: it reaches no server's
log and no Referer. The page posts it.

Source: docs/security.md, S-ENUM-2; NIST SP 800-38D (GCM, random nonces); RFC 3986 §3.5.
"""

import binascii
import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from batonpass.errors import LinkExpiredError
from batonpass.keys import derive
from batonpass.server.email_addresses import EmailAddress
from batonpass.server.mail import Letter

LINK_LIFETIME: Final = timedelta(hours=1)
MAX_TOKEN_CHARACTERS: Final = 4096  # the longest e-mail, in four-byte letters, makes 3,000
FINISH_PATH: Final = "/register/finish"
_LOGIN_PATH: Final = "/login"
_USE: Final = "registration"  # HKDF label "batonpass/registration/1"
_NONCE_BYTES: Final = 12  # NIST SP 800-38D §8.2.2: random, good for 2³² links a key


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """An account that is asked for.

    Attributes:
        email: Where its link was mailed to.
        password_hash: Of the password that was chosen.
        expires_at: From then on the link opens nothing; whole seconds, UTC.
    """

    email: EmailAddress
    password_hash: str = field(repr=False)
    expires_at: datetime


class RegistrationLinks:
    """Seals registrations into tokens and opens them. Its `repr` shows no key."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        """Derive a key from each of SECRET_KEY's; the first seals, all open."""
        self._ciphers = [AESGCM(derive(secret, _USE)) for secret in secrets]

    def seal(self, email: EmailAddress, password_hash: str, now: datetime) -> str:
        """Make the token of a link that is good for LINK_LIFETIME."""
        expires_at = int((now + LINK_LIFETIME).timestamp())
        content = [email.stored, email.canonical, password_hash, expires_at]
        plain = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
        nonce = os.urandom(_NONCE_BYTES)
        return _encode(nonce + self._ciphers[0].encrypt(nonce, plain, None))

    def open(self, token: str, now: datetime) -> Registration:
        """Read a token.

        Raises:
            LinkExpiredError: It is over, or none of ours.
        """
        sealed = _decode(token)
        for cipher in self._ciphers:
            try:
                plain = cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None)
            except InvalidTag:
                continue
            stored, canonical, password_hash, expires_at = json.loads(plain)
            found = Registration(
                email=EmailAddress(stored=stored, canonical=canonical),
                password_hash=password_hash,
                expires_at=datetime.fromtimestamp(expires_at, UTC),
            )
            if now >= found.expires_at:
                raise LinkExpiredError
            return found
        raise LinkExpiredError


def finish_letter(origin: str, email: EmailAddress, token: str, now: datetime) -> Letter:
    """Write to an address that has no account: the link that makes it.

    Nothing in it is of the asker's choosing but the address itself: it cannot carry a message.
    """
    text = (
        f"Somebody, most likely you, asked for an account with this address at {origin}.\n\n"
        "To create it, open this link within an hour:\n\n"
        f"{origin}{FINISH_PATH}#token={token}\n\n"
        "It was not you? Then do not open the link: without it there is no account,\n"
        "and this address is not kept.\n"
    )
    return Letter(to=email, subject="Finish creating your account", text=text, at=now)


def taken_letter(origin: str, email: EmailAddress, now: datetime) -> Letter:
    """Write to the owner of an account that somebody asked for again."""
    text = (
        f"Somebody, most likely you, asked for an account with this address at {origin}.\n\n"
        "You have an account already. Log in here:\n\n"
        f"{origin}{_LOGIN_PATH}\n\n"
        "It was not you? Then there is nothing to do: nothing has changed, and whoever asked\n"
        "was not told that this account exists.\n"
    )
    return Letter(to=email, subject="You have an account already", text=text, at=now)


def _encode(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _decode(token: str) -> bytes:
    """Read canonical base64url without padding: each token has one text.

    Raises:
        LinkExpiredError: It is none, or too short or too long.
    """
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise LinkExpiredError
    try:
        data = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        raise LinkExpiredError from None
    if _encode(data) != token or len(data) <= _NONCE_BYTES:
        raise LinkExpiredError
    return data

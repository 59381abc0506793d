"""E-mail addresses: which ones an account may have, and when two of them are one account.

The check is linear and only about form: whether mail arrives, mail tells. It takes what people have
(also `user@localhost` and non-ASCII names) and refuses what only attackers type: quoted local
parts, zero-width and bidirectional characters, whitespace. Mail goes to the stored form, never to
the canonical one: whoever types a look-alike gets no mail of somebody else.

Source: RFC 5321 §4.1.2 (dot-string), RFC 6531 §3.3 (non-ASCII), UTS #46; docs/security.md,
S-ENUM-5.
"""

import unicodedata
from dataclasses import dataclass
from typing import Final

import idna

from batonpass.errors import InvalidRequestError
from batonpass.server.models import MAX_EMAIL_CHARACTERS

_MAX_LOCAL_CHARACTERS: Final = 64  # RFC 5321 §4.5.3.1.1
_MAX_LABEL_CHARACTERS: Final = 63  # RFC 1035 §2.3.4
_ATEXT_MARKS: Final = frozenset("!#$%&'*+-/=?^_`{|}~")  # RFC 5322 §3.2.3
_LETTERS_MARKS_NUMBERS: Final = frozenset("LMN")  # Unicode's major classes; C and Z are the traps


@dataclass(frozen=True, slots=True)
class EmailAddress:
    """An address that passed `parse`.

    Attributes:
        stored: As typed: where mail goes, what people see.
        canonical: NFKC, case-folded, the domain in its ASCII form: who it is.
    """

    stored: str
    canonical: str


def parse(text: str) -> EmailAddress:
    """Read an e-mail address as somebody typed it.

    Raises:
        InvalidRequestError: It has not the form of one.
    """
    local, domain = _split(text)
    folded_local, folded_domain = _fold(local), _to_ascii(_fold(domain))
    canonical = f"{folded_local}@{folded_domain}"
    # Folding may bring forth what the check above kept out ("⒈" becomes "1.").
    _split(canonical)
    return EmailAddress(stored=text, canonical=canonical)


def _split(text: str) -> tuple[str, str]:
    if not text:
        raise InvalidRequestError("An e-mail address is needed.")
    if len(text) > MAX_EMAIL_CHARACTERS:  # first, so that nothing below sees more
        msg = f"An e-mail address has at most {MAX_EMAIL_CHARACTERS} characters."
        raise InvalidRequestError(msg)
    local, at, domain = text.partition("@")
    if not at or "@" in domain:
        raise InvalidRequestError("An e-mail address has exactly one @, as in name@example.com.")
    if len(local) > _MAX_LOCAL_CHARACTERS or not all(map(_is_atom, local.split("."))):
        raise InvalidRequestError("What stands before the @ is not the name of a mailbox.")
    if not all(map(_is_label, domain.split("."))):
        raise InvalidRequestError("What stands after the @ is not a domain.")
    return local, domain


def _is_atom(text: str) -> bool:
    return bool(text) and all(_is_word(letter) or letter in _ATEXT_MARKS for letter in text)


def _is_label(text: str) -> bool:
    if not 0 < len(text) <= _MAX_LABEL_CHARACTERS or "-" in {text[0], text[-1]}:
        return False
    return all(_is_word(letter) or letter == "-" for letter in text)


def _is_word(letter: str) -> bool:
    return unicodedata.category(letter)[0] in _LETTERS_MARKS_NUMBERS


def _fold(text: str) -> str:
    # Twice: case folding may leave NFKC again (Unicode §3.13, identifier caseless match).
    folded = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", folded).casefold()


def _to_ascii(domain: str) -> str:
    """Return the domain's A-label form, or the domain as it is where it has none."""
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError:
        return domain

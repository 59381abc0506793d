"""Access tokens that were verified a moment ago: nobody checks a signature twice.

What is remembered is what the token says, never that it may be used: its times are looked at each
time, for a clock may have been set back since (A20), and whether its session still lives is asked
elsewhere, each time. Another set of signing keys forgets everything, so a withdrawn key is
withdrawn here too.

Source: docs/security.md, S-JWT-9.
"""

import hashlib
from collections import OrderedDict
from datetime import datetime

from batonpass.access_tokens import LEEWAY, AccessTokenReader, Claims

MAX_REMEMBERED = 8192


class VerifiedTokens:
    """What one process remembers."""

    def __init__(self, access_tokens: AccessTokenReader, size: int = MAX_REMEMBERED) -> None:
        """Start remembering nothing."""
        self._access_tokens = access_tokens
        self._size = size
        self._declarations = access_tokens.keys.declarations
        self._claims: OrderedDict[bytes, Claims] = OrderedDict()  # by the whole token's digest

    def verify(self, token: str, now: datetime) -> Claims:
        """Check everything about an access token but whether its session still lives.

        Raises:
            AccessTokenRefusedError: Anything is wrong with it; `problem` says what.
        """
        declarations = self._access_tokens.keys.declarations
        if declarations != self._declarations:
            self._claims.clear()
            self._declarations = declarations
        key = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        claims = self._claims.get(key)
        if claims is not None and claims.issued_at - LEEWAY <= now < claims.expires_at + LEEWAY:
            self._claims.move_to_end(key)
            return claims
        claims = self._access_tokens.verify(token, now)
        self._claims[key] = claims
        if len(self._claims) > self._size:
            self._claims.popitem(last=False)
        return claims

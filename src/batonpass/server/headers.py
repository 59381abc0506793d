"""The headers that every answer of the server carries, pages and API.

Pure ASGI: what an answer sets itself stands (the API docs need another policy), the rest is added.
No Clear-Site-Data: `"cache"` takes Chromium 3 to 20 s, `"cookies"` empties sibling apps on the same
domain. The library sets none of these: whose page it is decides.

Source: docs/security.md, S-HDR-1 to S-HDR-5; ASVS 5.0 V3.4; OWASP Secure Headers Project.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from batonpass.http.cookies import Header
from batonpass.http.edge import OriginOf, request_origin

HSTS: Final = "max-age=31536000; includeSubDomains"  # a year; never preload: that cannot be undone
API_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"

# What a page could ask for and ours never does. Of names it does not know Chromium complains on
# every page: on Linux bluetooth and web-share are such.
_FEATURES: Final = (
    "accelerometer",
    "autoplay",
    "camera",
    "clipboard-read",
    "clipboard-write",
    "display-capture",
    "encrypted-media",
    "fullscreen",
    "gamepad",
    "geolocation",
    "gyroscope",
    "hid",
    "idle-detection",
    "local-fonts",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "picture-in-picture",
    "publickey-credentials-create",
    "publickey-credentials-get",
    "screen-wake-lock",
    "serial",
    "storage-access",
    "usb",
    "window-management",
    "xr-spatial-tracking",
)

_COMMON: Final = {
    b"x-content-type-options": b"nosniff",
    b"cross-origin-resource-policy": b"same-origin",
    # Not no-referrer: it would turn the Origin of our own forms' posts into null (S-HDR-3).
    b"referrer-policy": b"same-origin",
    b"permissions-policy": ", ".join(f"{feature}=()" for feature in _FEATURES).encode(),
}
_ORIGINS_REMEMBERED: Final = 1024  # a Host header may say anything
_LOCAL_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def page_policy(script_hashes: Sequence[str] = ()) -> str:
    """Return the Content-Security-Policy of an HTML page.

    Args:
        script_hashes: Of inline scripts, as `sha256-…`, where a page has any.
    """
    scripts = " ".join(("'self'", *(f"'{digest}'" for digest in script_hashes)))
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {scripts}",
            "style-src 'self'",
            "connect-src 'self'",
            "font-src 'self'",
            "img-src 'self' data:",
            "object-src 'none'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
            "form-action 'self'",
            "require-trusted-types-for 'script'",
        )
    )


class HeaderRules:
    """Which of these headers an answer lacks: every one gets them, refusals too (S-HDR-2)."""

    def __init__(
        self,
        *,
        https: bool = False,
        own_origin: str | None = None,
        origin_of: OriginOf = request_origin,
        script_hashes: Sequence[str] = (),
    ) -> None:
        """Write down what is the same in every answer.

        Args:
            https: Whether users always come over https, whatever the request says.
            own_origin: Where users see us, whatever the request says; None: what it says.
            origin_of: Reads the origin that a request was sent to, proxies looked through.
            script_hashes: Of inline scripts in our pages.
        """
        self._https = https
        self._own_origin = own_origin
        self._origin_of = origin_of
        self._for_api = {**_COMMON, b"content-security-policy": API_POLICY.encode()}
        self._for_pages = {
            **_COMMON,
            b"content-security-policy": page_policy(script_hashes).encode(),
            b"cross-origin-opener-policy": b"same-origin",
        }

    def of_api(self, origin: str) -> list[Header]:
        """Return what an answer of the API needs that sets none of these itself.

        Args:
            origin: Where the request was sent, as `origin_of` reads it.
        """
        return [*self._for_api.items(), *self._hsts(origin)]

    def missing(self, scope: Scope, given: Sequence[Header]) -> list[Header]:
        """Return what an answer with the headers `given` lacks."""
        present = {name.lower(): value for name, value in given}
        is_page = present.get(b"content-type", b"").lower().startswith(b"text/html")
        wanted = self._for_pages if is_page else self._for_api
        missing = [(name, value) for name, value in wanted.items() if name not in present]
        return [*missing, *self._hsts(self._origin_of(scope))]

    def _hsts(self, origin: str) -> list[Header]:
        is_https = _is_https(self._own_origin or origin, always=self._https)
        return [(b"strict-transport-security", HSTS.encode())] if is_https else []


class SecurityHeaders:
    """Adds to each answer the headers that it does not set itself."""

    def __init__(self, app: ASGIApp, rules: HeaderRules) -> None:
        """Wrap `app`."""
        self.app = app
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and complete what comes back."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_completed(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                message = {**message, "headers": [*given, *self._rules.missing(scope, given)]}
            await send(message)

        await self.app(scope, receive, send_completed)


@lru_cache(_ORIGINS_REMEMBERED)
def _is_https(origin: str, *, always: bool) -> bool:
    """Whether users come to `origin` over https; `always`: whatever it says, but here at home."""
    try:
        parsed = urlsplit(origin)
        host = parsed.hostname or ""
    except ValueError:  # a Host header that is none
        return False
    # Never for this machine's own name: every other project on it would be held to https (S-HDR-4).
    if host in _LOCAL_HOSTS or host.endswith(".localhost"):
        return False
    return always or parsed.scheme == "https"

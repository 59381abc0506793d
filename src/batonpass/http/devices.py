"""From which device a request came, in the words that its user sees.

A hint for people: a User-Agent says whatever its sender likes. No rule of a session rests on it but
the event "answered elsewhere", which is a hint itself.

Source: RFC 9110 §10.1.5 (User-Agent).
"""

import importlib
import re
from functools import cache, lru_cache
from typing import Any

UNKNOWN_DEVICE = "Unknown device"
MAX_NAME_LENGTH = 64
_READ_LENGTH = 512  # of a User-Agent; what a browser sends is half as long
_REMEMBERED = 4096

_BROWSERS = (  # the first that stands in it: each claims to be those below as well
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iOS"),
    ("iPad", "iOS"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Macintosh", "macOS"),
    ("Linux", "Linux"),
)
_PRODUCT = re.compile(r"([A-Za-z][A-Za-z0-9._+-]{0,39})(?=[/ ]|\Z)")  # curl/8.5.0
_SHORTER = {  # ua-parser's names, where users know another
    "Chrome Mobile": "Chrome",
    "Chrome Mobile iOS": "Chrome",
    "Chrome Mobile WebView": "Chrome",
    "HeadlessChrome": "Chrome",
    "Edge Mobile": "Edge",
    "Firefox Mobile": "Firefox",
    "Firefox iOS": "Firefox",
    "Mobile Safari": "Safari",
    "Opera Mobile": "Opera",
    "Mac OS X": "macOS",
    "Chrome OS": "ChromeOS",
}


def device_name(user_agent: str | None) -> str:
    """Name a device: "Firefox on Linux", "curl", "Unknown device"; never longer than 64 characters.

    Control and direction characters never pass. Where ua-parser is installed, the very first call
    takes 0.1 s (it compiles its patterns): a server makes one before its first request.
    """
    return _remembered_name(user_agent[:_READ_LENGTH]) if user_agent else UNKNOWN_DEVICE


def named_by_hand(user_agent: str) -> str:
    """Name the device without a library: the common browsers, else the product's name."""
    if not user_agent.startswith("Mozilla/"):
        product = _PRODUCT.match(user_agent)
        return product[1] if product else UNKNOWN_DEVICE
    return _on(_first(_BROWSERS, user_agent), _first(_SYSTEMS, user_agent))


@lru_cache(_REMEMBERED)
def _remembered_name(user_agent: str) -> str:
    name = _named_by_library(user_agent) or named_by_hand(user_agent)
    # ua-parser copies up to 200 characters of whatever stands before "/1.0 CFNetwork"
    return "".join(filter(str.isprintable, name))[:MAX_NAME_LENGTH].strip() or UNKNOWN_DEVICE


def _named_by_library(user_agent: str) -> str | None:
    parser = _ua_parser()
    browser = parser and parser.parse_user_agent(user_agent)
    if not browser:
        return None
    system = parser.parse_os(user_agent)
    return _on(_known(browser.family), _known(system.family) if system else None)


@cache
def _ua_parser() -> Any:  # the module or None: it is an extra, so no checker can rely on its types
    try:
        return importlib.import_module("ua_parser")
    except ImportError:
        return None


def _known(family: str) -> str:
    return _SHORTER.get(family, family)


def _first(table: tuple[tuple[str, str], ...], user_agent: str) -> str | None:
    return next((name for sign, name in table if sign in user_agent), None)


def _on(browser: str | None, system: str | None) -> str:
    if browser and system:
        return f"{browser} on {system}"
    return browser or system or UNKNOWN_DEVICE

"""The web app: static files out of `static/`, and its page for each of its paths.

The pages are routed in the browser, so each path answers with the same index.html, never cached.
Assets carry a hash of their content in their name and are cached for ever. What the build packed
(`app.js.gz` beside `app.js`) goes out packed: nothing in it is secret, so its length tells nothing.

Source: RFC 9110 §12.5.3 (Accept-Encoding).
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from batonpass.errors import NotFoundError

STATIC = Path(__file__).with_name("static")
PAGES = (
    "/",
    "/login",
    "/register",
    "/register/finish",
    "/sessions",
    "/sessions/{session_id}",
    "/activity",
    "/settings/{page}",
)
LAB = "/lab"  # in development only: it steals tokens before your eyes
_GZIP = re.compile(r"(x-)?gzip(\s*;\s*q=(?!0(\.0*)?\Z)[\d.]+)?", re.ASCII | re.IGNORECASE)
_NAME = re.compile(r"\w[\w.-]{0,199}", re.ASCII)
# Ours, not the machine's: with nosniff a wrong one keeps the app from starting.
_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".json": "application/json",
    ".map": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
_FOR_EVER = "public, max-age=31536000, immutable"
_NOT_BUILT = "The web app has not been built. Run: make setup\n"


def web_routes(*, production: bool) -> Sequence[BaseRoute]:
    """Make the routes of the pages, the assets and what stands at the root (theme, icon)."""
    pages = PAGES if production else (*PAGES, LAB)
    page = _page if production else _page_with_lab
    return [
        *(Route(path, page) for path in pages),
        Route("/assets/{name}", _asset),
        Route("/{name}", _file),
    ]


async def _page(_request: Request) -> Response:
    return _index(b"<html ")


async def _page_with_lab(_request: Request) -> Response:
    """Mark the page: its script then shows the way to the Lab."""
    return _index(b"<html data-lab ")


def _index(root: bytes) -> Response:
    content = _read(STATIC / "index.html")
    if content is None:
        return PlainTextResponse(_NOT_BUILT, status_code=503)
    content = content.replace(b"<html ", root, 1)
    return Response(content, media_type="text/html", headers={"Cache-Control": "no-store"})


async def _asset(request: Request) -> Response:
    return _static(request, STATIC / "assets", _FOR_EVER)


async def _file(request: Request) -> Response:
    return _static(request, STATIC, "no-cache")


def _static(request: Request, folder: Path, cache_control: str) -> Response:
    name = request.path_params["name"]
    # No slash and no dot in front: nothing outside the folder has such a name.
    is_ours = _NAME.fullmatch(name) is not None and name != "index.html"
    content = _read(folder / name) if is_ours else None
    if content is None:
        raise NotFoundError
    headers = {"Cache-Control": cache_control}
    packed = _read(folder / f"{name}.gz")
    if packed is not None:
        headers["Vary"] = "Accept-Encoding"
        if _takes_gzip(request):
            content = packed
            headers["Content-Encoding"] = "gzip"
    media_type = _TYPES.get(Path(name).suffix, "application/octet-stream")
    return Response(content, media_type=media_type, headers=headers)


def _takes_gzip(request: Request) -> bool:
    offers = ",".join(request.headers.getlist("accept-encoding"))
    return any(_GZIP.fullmatch(offer.strip()) for offer in offers.split(","))


def _read(path: Path) -> bytes | None:
    """Read a file that was built, once; None: there is none, yet."""
    try:
        return _read_once(path)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None


@lru_cache(maxsize=256)
def _read_once(path: Path) -> bytes:
    return path.read_bytes()

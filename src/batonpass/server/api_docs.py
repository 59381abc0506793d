"""The OpenAPI page with its Authorize button, from files of our own: in development only.

FastAPI's own page loads from a foreign host and has an inline script, both of which our policy
forbids. Swagger UI needs inline styles, so this one page allows those, and nothing else more.

Source: docs/security.md, S-HDR-6.
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PATH = "/docs"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; font-src 'self'; object-src 'none'; "
    "base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)
# The files come out of the web app's build; api-docs.js starts Swagger UI on /openapi.json.
_PAGE = b"""<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>API - Batonpass</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" href="/swagger-ui.css">
  </head>
  <body>
    <div id="swagger-ui"></div>
    <script src="/swagger-ui-bundle.js"></script>
    <script src="/api-docs.js"></script>
  </body>
</html>
"""


def docs_route() -> Route:
    """Make GET /docs."""
    return Route(PATH, _show)


async def _show(_request: Request) -> Response:
    headers = {"Cache-Control": "no-store", "Content-Security-Policy": _POLICY}
    return Response(_PAGE, media_type="text/html", headers=headers)

"""What stays open longer than a token lives: it comes again by itself, with a fresh one.

When the token is over the server says; to the browser it still looks good.
"""

from collections.abc import Iterator
from http.client import OK, UNAUTHORIZED

import pytest
from playwright.async_api import Page

from tests.support import live_server
from tests.support.client_page import client_logs_in, client_page_routes, open_client_page
from tests.support.live_server import LiveServer
from tests.support.streams import Streams

CONNECT = """([kind, path, options]) => {
  const url = new URL(path, location.href);
  if (kind === "webSocket") url.protocol = "ws";
  window.told = [];
  window.connection = live[kind](session, url.href, options);
  connection.addEventListener("open", () => told.push("open"));
  connection.addEventListener("message", ({ data }) => told.push(data));
  connection.addEventListener("close", () => told.push("close"));
}"""
HAS_TOLD = "expected => told.join() === expected"


@pytest.fixture
def streams() -> Streams:
    """Give what the open routes see."""
    return Streams()


@pytest.fixture
def server(sqlite_url: str, streams: Streams) -> Iterator[LiveServer]:
    """Serve the app with those routes beside it."""
    routes = [*client_page_routes(), *streams.routes()]
    with live_server.running(sqlite_url, extra_routes=routes) as started:
        yield started
        streams.end()


@pytest.fixture
async def page(page: Page, account: None) -> Page:
    """Open a tab in which somebody is signed in."""
    await open_client_page(page)
    await client_logs_in(page)
    return page


async def test_server_sent_events_go_on_with_a_fresh_token_where_they_ended(
    page: Page, server: LiveServer, streams: Streams
) -> None:
    await page.evaluate(CONNECT, ["eventSource", "/events", {}])
    await page.wait_for_function(HAS_TOLD, arg="open,1")
    server.expire_access_tokens()
    before = server.refreshes

    streams.end()
    await page.wait_for_function(HAS_TOLD, arg="open,1,open,2")

    first, refused, again = streams.connections
    assert [one.status for one in streams.connections] == [OK, UNAUTHORIZED, OK]
    assert refused.token == first.token != again.token
    assert (first.last_event_id, again.last_event_id) == (None, "1")
    assert server.refreshes == before + 1


@pytest.mark.parametrize("token_in", ["message", "subprotocol"])
async def test_a_web_socket_is_opened_again_with_a_fresh_token(
    page: Page, server: LiveServer, streams: Streams, token_in: str
) -> None:
    await page.evaluate(CONNECT, ["webSocket", "/socket", {"tokenIn": token_in}])
    await page.wait_for_function(HAS_TOLD, arg="open,1")
    server.expire_access_tokens()
    before = server.refreshes

    streams.end()
    await page.wait_for_function(HAS_TOLD, arg="open,1,open,open,2")

    first, refused, again = streams.connections
    assert [one.status for one in streams.connections] == [OK, UNAUTHORIZED, OK]
    assert refused.token == first.token != again.token
    assert server.refreshes == before + 1

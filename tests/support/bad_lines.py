"""A line between a native client and the server that fails as lines do, when the test says so."""

import ssl
from collections.abc import Callable

import httpx

# Read once: each client of httpx would read them all anew, for 30 ms.
CERTIFICATES = ssl.create_default_context()

Fault = Callable[[httpx.Request, Callable[[], httpx.Response]], httpx.Response]


class BadLine(httpx.HTTPTransport):
    """Carries requests; the next ones meet the faults that lie ahead, one each."""

    def __init__(self) -> None:
        """Be a good line."""
        super().__init__(verify=CERTIFICATES)
        self.ahead: list[Fault] = []
        self.carried: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Carry one request."""
        self.carried.append(request)
        if not self.ahead:
            return super().handle_request(request)
        return self.ahead.pop(0)(request, lambda: super(BadLine, self).handle_request(request))


def lost(_request: httpx.Request, carry: Callable[[], httpx.Response]) -> httpx.Response:
    """Let the server do its work, and lose its answer."""
    answer = carry()
    answer.read()
    answer.close()
    message = "the answer is lost"
    raise httpx.ReadError(message)


def offline(_request: httpx.Request, _carry: Callable[[], httpx.Response]) -> httpx.Response:
    """Reach nobody."""
    message = "there is no network"
    raise httpx.ConnectError(message)


def answering(status: int, text: str = "", **headers: str) -> Fault:
    """Have somebody in between answer: a proxy, a hotel."""

    def answer(_request: httpx.Request, _carry: Callable[[], httpx.Response]) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.Response(status, text=text, headers=named)

    return answer

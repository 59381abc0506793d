"""Mail: one SMTP server, and an outbox in front of it that no request waits for.

What stands in a letter is looked up off the request's path as well, so neither the answer nor its
time tells what was written, or whether anything was. The outbox is bounded and lives in memory: a
letter that fails is logged, without its address or its text, and not tried again; whoever waits for
it asks once more.

Source: RFC 5321, RFC 3207 (STARTTLS), RFC 8314 (smtps), RFC 3834 (Auto-Submitted).
"""

import asyncio
import logging
import smtplib
import ssl
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final, Literal, Self, cast
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import uuid4

from batonpass.errors import BatonpassError, BusyError, InvalidRequestError
from batonpass.server.email_addresses import EmailAddress, parse

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS: Final = 10.0  # for each step of the dialogue
LETTERS_AT_ONCE: Final = 2
MAX_WAITING: Final = 64
CLOSING_SECONDS: Final = 15.0  # a letter under way may end; longer no restart should take
_BUSY_RETRY_AFTER_SECONDS: Final = 5
_PORTS: Final = {"smtp": 587, "smtps": 465}  # RFC 6409 (submission), RFC 8314 §3.3
_THIS_MACHINE: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_FORM: Final = "write smtp://user:password@host:587 or smtps://user:password@host"


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A mail before it is addressed.

    Attributes:
        to: Its stored form is where it goes.
        subject: One line.
        text: Plain.
        at: When it was written, UTC.
    """

    to: EmailAddress
    subject: str
    text: str
    at: datetime


Compose = Callable[[], Awaitable[Letter | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpServer:
    """Where mail goes out: SMTP_URL.

    Attributes:
        scheme: `smtps` speaks TLS from the first byte; `smtp` goes over to it when it is offered.
        host: Its name, which its certificate has to show unless it is this machine.
        port: Its port.
        user: Who logs in there; None: nobody does.
        password: Theirs.
        sender: What stands in From.
    """

    scheme: Literal["smtp", "smtps"]
    host: str
    port: int
    user: str | None = None
    password: str = field(default="", repr=False)
    sender: str

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read `smtp://user:password@host:port?from=name@example.com`.

        User and password are percent-encoded. Without `from` it is the user, where that is an
        e-mail address, else `noreply@<host>`.

        Raises:
            ValueError: It is not of this form; the sentence shows nothing of it.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
            options = parse_qs(parts.query, strict_parsing=bool(parts.query))
        except ValueError:
            raise ValueError(_FORM) from None  # its sentence would show the password
        if parts.scheme not in _PORTS or not host or parts.path.strip("/") or parts.fragment:
            raise ValueError(_FORM)
        if not options.keys() <= {"from"}:
            msg = "the only option is ?from=name@example.com"
            raise ValueError(msg)
        user = unquote(parts.username) if parts.username else None
        return cls(
            scheme=cast("Literal['smtp', 'smtps']", parts.scheme),
            host=host,
            port=port or _PORTS[parts.scheme],
            user=user,
            password=unquote(parts.password or ""),
            sender=_sender(options.get("from", [None])[-1], user, host),
        )

    @property
    def is_this_machine(self) -> bool:
        """Whether nothing between here and there could listen."""
        return self.host in _THIS_MACHINE

    def send(self, letter: Letter) -> None:
        """Hand a letter over; waits for the server.

        Raises:
            OSError: The server is away, or its certificate is not to be trusted.
            smtplib.SMTPException: It refused, or the password would have gone out in the clear.
        """
        with self._connect() as connection:
            if self.scheme == "smtp":
                self._go_over_to_tls(connection)
            if self.user is not None:
                connection.login(self.user, self.password)
            # One recipient, whatever the message's head says.
            connection.send_message(
                self._message(letter), from_addr=self.sender, to_addrs=[letter.to.stored]
            )

    def _connect(self) -> smtplib.SMTP:
        if self.scheme == "smtps":
            return smtplib.SMTP_SSL(
                self.host, self.port, timeout=TIMEOUT_SECONDS, context=self._tls()
            )
        return smtplib.SMTP(self.host, self.port, timeout=TIMEOUT_SECONDS)

    def _go_over_to_tls(self, connection: smtplib.SMTP) -> None:
        connection.ehlo_or_helo_if_needed()
        if connection.has_extn("starttls"):
            connection.starttls(context=self._tls())
        elif self.user is not None and not self.is_this_machine:
            # Somebody on the way may have taken the offer out (RFC 3207 §6).
            msg = "no TLS is offered: the password stays here"
            raise smtplib.SMTPNotSupportedError(msg)

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self.is_this_machine:  # whose mail server usually signed for itself
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def _message(self, letter: Letter) -> EmailMessage:
        message = EmailMessage()  # refuses line breaks in a header
        message["From"] = self.sender
        message["To"] = letter.to.stored
        message["Subject"] = letter.subject
        message["Date"] = format_datetime(letter.at)
        message["Message-ID"] = f"<{uuid4()}@{self.sender.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(letter.text)
        return message


class Outbox:
    """Letters on their way: a bounded number, two at a time."""

    def __init__(self, server: SmtpServer) -> None:
        """Start empty; no thread runs before the first letter."""
        self._server = server
        self._threads = ThreadPoolExecutor(LETTERS_AT_ONCE, thread_name_prefix="batonpass-mail")
        self._under_way: set[asyncio.Task[None]] = set()

    def require_room(self) -> None:
        """Refuse before anything costly is done.

        Raises:
            BusyError: Too many letters wait already.
        """
        if len(self._under_way) >= MAX_WAITING:
            raise BusyError(retry_after=_BUSY_RETRY_AFTER_SECONDS)

    def post(self, compose: Compose) -> None:
        """Compose a letter and send it, later; None: there is none to send.

        Raises:
            BusyError: Too many letters wait already.
        """
        self.require_room()
        task = asyncio.create_task(self._deliver(compose))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def aclose(self) -> None:
        """Let what is under way arrive, for a while; what does not is logged."""
        if self._under_way:
            _, late = await asyncio.wait(self._under_way, timeout=CLOSING_SECONDS)
            for task in late:
                task.cancel()
            if late:
                logger.warning("mail_dropped", extra={"letters": len(late)})
                await asyncio.wait(late)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _deliver(self, compose: Compose) -> None:
        try:
            letter = await compose()
            if letter is not None:
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(self._threads, self._server.send, letter)
        except (OSError, smtplib.SMTPException, BatonpassError) as error:
            # Their own words may hold the address: only what kind it was, and the server's number.
            code = getattr(error, "smtp_code", None)
            logger.warning("mail_failed", extra={"why": type(error).__name__, "smtp_code": code})
        except Exception as error:  # noqa: BLE001 - the task's owner; a traceback may hold the text
            logger.error("mail_failed", extra={"why": type(error).__name__})  # noqa: TRY400


def _sender(chosen: str | None, user: str | None, host: str) -> str:
    if chosen is not None:
        try:
            return parse(chosen).stored
        except InvalidRequestError:
            msg = "what stands behind from= is no e-mail address"
            raise ValueError(msg) from None
    with suppress(InvalidRequestError):
        return parse(user or "").stored
    with suppress(InvalidRequestError):
        return parse(f"noreply@{host}").stored
    return "noreply@localhost"

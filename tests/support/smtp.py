"""A real mail server on a free port: it speaks SMTP, with TLS and logins where asked to."""

import asyncio
import ssl
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

PATIENCE_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Delivery:
    """A mail as it came in.

    Attributes:
        message: Head and text.
        sender: Of the envelope.
        recipients: Of the envelope.
        over_tls: Whether the line was encrypted.
        login: User and password; None: nobody logged in.
    """

    message: EmailMessage
    sender: str
    recipients: list[str]
    over_tls: bool
    login: tuple[str, str] | None

    @property
    def text(self) -> str:
        """The body, decoded."""
        return str(self.message.get_content()).replace("\r\n", "\n")


@dataclass
class SmtpSite:
    """The running server.

    Attributes:
        host: Where it listens.
        port: A free one.
        tls: Offered by STARTTLS, or spoken from the first byte.
        from_the_start: Which of the two.
        refuses: It takes no recipient.
        open: Cleared: nobody is greeted.
        came: How many clients have connected.
    """

    host: str
    port: int = 0
    tls: ssl.SSLContext | None = None
    from_the_start: bool = False
    refuses: bool = False
    open: asyncio.Event = field(default_factory=asyncio.Event)
    came: int = 0
    _arrived: asyncio.Queue[Delivery] = field(default_factory=asyncio.Queue)

    async def next_mail(self) -> Delivery:
        """Wait for the next mail and take it."""
        return await asyncio.wait_for(self._arrived.get(), PATIENCE_SECONDS)

    def is_empty(self) -> bool:
        """Whether every mail was taken."""
        return self._arrived.empty()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Speak with one client until it leaves."""
        self.came += 1
        await self.open.wait()
        try:
            await self._talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass  # it hung up, or did not like the certificate
        finally:
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        over_tls, login, sender, recipients = self.from_the_start, None, "", list[str]()
        writer.write(b"220 mail.test\r\n")
        while line := (await reader.readline()).decode().strip():
            verb, _, rest = line.partition(" ")
            match verb.upper():
                case "EHLO":
                    offers = ["mail.test", "SMTPUTF8", "8BITMIME", "AUTH PLAIN"]
                    offers += ["STARTTLS"] if self.tls and not over_tls else []
                    lines = [f"250-{one}\r\n" for one in offers[:-1]] + [f"250 {offers[-1]}\r\n"]
                    writer.write("".join(lines).encode())
                case "STARTTLS":
                    writer.write(b"220 go on\r\n")
                    assert self.tls is not None
                    await writer.start_tls(self.tls)
                    over_tls = True
                case "AUTH":
                    _, user, password = b64decode(rest.split()[1]).decode().split("\0")
                    login = (user, password)
                    writer.write(b"235 welcome\r\n")
                case "MAIL":
                    sender, recipients = _address(rest), []
                    writer.write(b"250 ok\r\n")
                case "RCPT" if self.refuses:
                    writer.write(f"550 no {_address(rest)} here\r\n".encode())
                case "RCPT":
                    recipients.append(_address(rest))
                    writer.write(b"250 ok\r\n")
                case "DATA":
                    writer.write(b"354 go on\r\n")
                    raw = (await reader.readuntil(b"\r\n.\r\n")).removesuffix(b".\r\n")
                    message = message_from_bytes(raw.replace(b"\r\n..", b"\r\n."), policy=default)
                    self._arrived.put_nowait(Delivery(message, sender, recipients, over_tls, login))
                    writer.write(b"250 taken\r\n")
                case "QUIT":
                    writer.write(b"221 bye\r\n")
                    return
                case _:
                    writer.write(b"250 ok\r\n")


@asynccontextmanager
async def a_mail_server(
    *,
    host: str = "127.0.0.1",
    tls: ssl.SSLContext | None = None,
    from_the_start: bool = False,
    refuses: bool = False,
) -> AsyncIterator[SmtpSite]:
    """Run a mail server."""
    site = SmtpSite(host, tls=tls, from_the_start=from_the_start, refuses=refuses)
    site.open.set()
    context = tls if from_the_start else None
    server = await asyncio.start_server(site.serve, host, 0, ssl=context)
    site.port = server.sockets[0].getsockname()[1]
    async with server:
        yield site
        site.open.set()


def a_certificate(folder: Path, name: str = "localhost") -> ssl.SSLContext:
    """Make a server's side of TLS with a certificate that it signed itself."""
    key = generate_private_key(SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begins = datetime(2020, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=36500))
        .sign(key, SHA256())
    )
    path = folder / "certificate.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def _address(path: str) -> str:
    return path.partition("<")[2].partition(">")[0]

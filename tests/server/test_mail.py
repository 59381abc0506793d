"""Mail goes out to a real SMTP server, or is logged as failed."""

import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest

from batonpass.errors import BusyError
from batonpass.server.email_addresses import EmailAddress, parse
from batonpass.server.mail import MAX_WAITING, Letter, Outbox, SmtpServer
from tests.support.smtp import SmtpSite, a_certificate, a_mail_server

ADA = parse("Ada@example.com")
ELSEWHERE = "127.0.0.2"  # another host, as far as trust goes
LETTER = Letter(
    to=ADA,
    subject="Hello",
    text="Dear Ada,\n.a line with a dot\n",
    at=datetime(2026, 11, 23, 12, tzinfo=UTC),
)


async def send(site: SmtpSite, url: str, letter: Letter | None = LETTER) -> None:
    """Send through an outbox and wait for what becomes of it."""
    outbox = Outbox(SmtpServer.parse(url.format(at=f"{site.host}:{site.port}")))

    async def compose() -> Letter | None:
        return letter

    outbox.post(compose)
    await outbox.aclose()


READ = [
    pytest.param("smtp://mail.example.com", (587, None, "noreply@mail.example.com"), id="bare"),
    pytest.param("smtps://mail.example.com/", (465, None, "noreply@mail.example.com"), id="smtps"),
    pytest.param("smtp://[::1]:25", (25, None, "noreply@localhost"), id="an address"),
    pytest.param("smtp://a%40b.org:p%2Fw@m.org:26", (26, "a@b.org", "a@b.org"), id="a user"),
    pytest.param("smtp://m.org?from=x@y.org", (587, None, "x@y.org"), id="a sender"),
]


@pytest.mark.parametrize(("url", "expected"), READ)
def test_how_a_url_is_read(url: str, expected: tuple[int, str | None, str]) -> None:
    server = SmtpServer.parse(url)

    assert (server.port, server.user, server.sender) == expected
    assert "p/w" not in repr(server)


@pytest.mark.parametrize(
    "url",
    [
        "mail.example.com:25",
        "http://mail.example.com",
        "smtp://",
        "smtp://u:hunter2@m.org:port",
        "smtp://u:hunter2@m.org/inbox",
        "smtp://u:hunter2@[m.org",
        "smtp://u:hunter2@m.org?to=x@y.org",
        "smtp://u:hunter2@m.org?from=x%0d%0aBcc:z@y.org",
    ],
)
def test_what_is_no_url_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ValueError, match=r"write smtp|only option|no e-mail") as refused:
        SmtpServer.parse(url)

    assert "hunter2" not in str(refused.value)


async def test_a_letter_arrives_as_it_was_written() -> None:
    async with a_mail_server() as site:
        await send(site, "smtp://{at}?from=batonpass@example.org")

        mail = await site.next_mail()
    assert (mail.sender, mail.recipients) == ("batonpass@example.org", ["Ada@example.com"])
    assert mail.text == LETTER.text
    assert mail.message.get_content_type() == "text/plain"
    head = {name: mail.message[name] for name in ("From", "To", "Subject", "Date")}
    assert head == {
        "From": "batonpass@example.org",
        "To": "Ada@example.com",
        "Subject": "Hello",
        "Date": "Mon, 23 Nov 2026 12:00:00 +0000",
    }
    assert mail.message["Auto-Submitted"] == "auto-generated"
    assert not mail.over_tls


async def test_an_address_beyond_ascii_gets_its_mail() -> None:
    async with a_mail_server() as site:
        letter = Letter(to=parse("dörte@exämple.com"), subject="Hello", text="x\n", at=LETTER.at)
        await send(site, "smtp://{at}", letter)

        assert (await site.next_mail()).recipients == ["dörte@exämple.com"]


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_tls_is_used_where_it_is_offered(tmp_path: Path, scheme: str) -> None:
    tls = a_certificate(tmp_path)
    async with a_mail_server(tls=tls, from_the_start=scheme == "smtps") as site:
        await send(site, scheme + "://ada:p%2Fw@{at}")

        mail = await site.next_mail()
    assert mail.over_tls
    assert mail.login == ("ada", "p/w")


@pytest.mark.parametrize(
    ("has_tls", "why"), [(True, "SSLCertVerificationError"), (False, "SMTPNotSupportedError")]
)
async def test_a_password_goes_to_no_stranger_and_not_in_the_clear(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, has_tls: bool, why: str
) -> None:
    tls = a_certificate(tmp_path) if has_tls else None
    async with a_mail_server(host=ELSEWHERE, tls=tls) as site:
        await send(site, "smtp://ada:secret@{at}")

        assert site.is_empty()
    assert [(one.message, vars(one)["why"]) for one in caplog.records] == [("mail_failed", why)]


async def test_a_refused_letter_is_logged_without_its_address(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with a_mail_server(refuses=True) as site:
        await send(site, "smtp://{at}")

        assert site.is_empty()
    (record,) = [one for one in caplog.records if one.name.startswith("batonpass")]
    assert record.message == "mail_failed"
    assert vars(record)["why"] == "SMTPRecipientsRefused"
    assert "example.com" not in str(vars(record))


async def test_a_server_that_is_away_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with a_mail_server() as site:
        pass

    await send(site, "smtp://{at}")

    assert [vars(one)["why"] for one in caplog.records] == ["ConnectionRefusedError"]


async def test_a_line_break_in_an_address_reaches_no_header(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """`parse` lets none through; should it ever, the message itself refuses."""
    to = EmailAddress(stored="ada@example.com\r\nBcc: eve@example.com", canonical="")
    async with a_mail_server() as site:
        await send(site, "smtp://{at}", Letter(to=to, subject="Hello", text="x\n", at=LETTER.at))

        assert site.is_empty()
    assert [vars(one)["why"] for one in caplog.records] == ["ValueError"]
    assert "eve" not in caplog.text


async def test_nothing_is_sent_where_nothing_was_written() -> None:
    async with a_mail_server() as site:
        await send(site, "smtp://{at}", None)

        assert site.came == 0


async def test_letters_that_wait_are_bounded() -> None:
    async with a_mail_server() as site:
        site.open.clear()
        outbox = Outbox(SmtpServer.parse(f"smtp://{site.host}:{site.port}"))

        async def compose() -> Letter:
            return LETTER

        for _ in range(MAX_WAITING):
            outbox.post(compose)
        with pytest.raises(BusyError):
            outbox.require_room()
        with pytest.raises(BusyError):
            outbox.post(compose)

        site.open.set()
        await outbox.aclose()
        for _ in range(MAX_WAITING):
            await site.next_mail()
        assert site.is_empty()

"""As in production: PostgreSQL, https, and the cookies that only https allows."""

from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from playwright.async_api import Browser, expect

from batonpass.clock import Clock
from tests.support import live_server
from tests.support.live_server import HOST, LiveServer
from tests.support.visits import (
    cookies,
    expect_no_cookies,
    expect_sessions,
    go_to,
    log_in,
    log_out_button,
)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Make a certificate for the server's address, signed by nobody else."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = Clock().now()
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def server(postgresql_url: str, certificate: Path) -> Iterator[LiveServer]:
    """Serve over https, on PostgreSQL, with the settings of production."""
    with live_server.running(
        postgresql_url, certificate=certificate, environment="production"
    ) as started:
        yield started


async def test_the_whole_path_over_https_on_postgresql(
    browser: Browser, server: LiveServer
) -> None:
    await server.register()
    context = await browser.new_context(base_url=server.url, ignore_https_errors=True)
    page = await context.new_page()
    await log_in(page)
    server.expire_access_tokens()

    await go_to(page, "Sessions")
    await expect_sessions(page)

    await expect(page.get_by_role("link", name="Lab")).to_have_count(0)
    jar = await cookies(context)
    assert set(jar) == {"__Host-Http-refresh_token", "__Host-session_state"}
    assert all(one["secure"] and one["path"] == "/" for one in jar.values())
    assert jar["__Host-session_state"]["value"].endswith(".1")
    assert server.wire.count("POST", "/auth/token") == 1

    await log_out_button(page).click()
    await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    await expect_no_cookies(context)
    await context.close()

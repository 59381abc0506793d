"""docs/how-to/several-services.md, played: its service believes tokens from a real port."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from batonpass.access_tokens import AccessTokens
from batonpass.clock import Clock
from tests.docs.pages import DOCS, ROOT, code_blocks
from tests.support import issuers
from tests.support.issuers import Issuer
from tests.support.tokens import RING, issued
from tools.runners import run

PAGE = DOCS / "how-to" / "several-services.md"
BAD = "no.good.token"


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuer]:
    """Give an issuer, where the page says that its keys stand."""
    with issuers.publishing() as issuer:
        monkeypatch.setenv("JWKS_URL", issuer.url)
        yield issuer


@pytest.fixture
def token() -> str:
    """Give a token that is good now."""
    now = Clock().now()
    return issued(AccessTokens(RING, "batonpass", "batonpass"), now=now, auth_time=now)


@pytest.fixture
def page(issuer: Issuer) -> SimpleNamespace:
    """Run the first block of the page's Python; give its names."""
    return run_blocks(code_blocks(PAGE, "python")[:1])


def run_blocks(blocks: list[str], **names: Any) -> SimpleNamespace:
    exec(compile("\n\n".join(blocks), str(PAGE), "exec"), names)  # noqa: S102 - the page, as it is
    return SimpleNamespace(**names)


async def get_orders(page: SimpleNamespace, **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(page.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://orders") as client:
        return await client.get("/orders", headers=headers)


async def test_the_service_of_the_page_knows_who_asks(page: SimpleNamespace, token: str) -> None:
    believed = await get_orders(page, Authorization=f"Bearer {token}")
    refused = await get_orders(page, Authorization=f"Bearer {BAD}")

    assert (believed.status_code, believed.json()) == (200, ["tea for 42"])
    assert (refused.status_code, refused.json()["code"]) == (401, "token_invalid")


async def test_the_pages_way_to_test_needs_no_token(page: SimpleNamespace) -> None:
    run_blocks(code_blocks(PAGE, "python")[1:2], **vars(page))

    assert (await get_orders(page)).json() == ["tea for 1"]


async def test_the_pages_way_without_fastapi_says_who(page: SimpleNamespace, token: str) -> None:
    blocks = code_blocks(PAGE, "python")
    assert len(blocks) == 3
    who = run_blocks(blocks[2:], **vars(page)).who

    assert (await who(token), await who(BAD)) == ("42", None)


def test_the_pages_way_in_node_reads_the_same_claims(
    issuer: Issuer, token: str, tmp_path: Path
) -> None:
    (block,) = code_blocks(PAGE, "js")
    asked = f"console.log(JSON.stringify(await claimsOf({json.dumps(token)})));"
    (tmp_path / "orders.mjs").write_text(block + asked)
    (tmp_path / "node_modules").symlink_to(ROOT / "node_modules")

    done = run("node", str(tmp_path / "orders.mjs"), quiet=True)

    assert done.status == 0, done.output
    assert json.loads(done.output)["sub"] == "42"

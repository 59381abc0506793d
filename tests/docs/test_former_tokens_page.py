"""docs/how-to/former-tokens.md: its lines in the README's app, which takes what the page says."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import httpx
import jwt
import pytest
from fastapi import Depends, FastAPI
from sqlalchemy.orm import Session

from batonpass import FormerTokens
from tests.docs.pages import DOCS, ROOT, code_blocks, table_under

PAGE = DOCS / "how-to" / "former-tokens.md"
SECRET = "e0b7c25d91f84a36b8d1437ce95f20a64d3817fb6c0e92a5d74138be6f90c2a1"
FORMER_SECRET = "the secret that the app has signed its tokens with"
TEN_PAST_SIX = datetime(2027, 3, 1, 6, 10, tzinfo=UTC)


async def test_the_lines_of_the_page_keep_somebody_signed_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRET_KEY", SECRET)
    monkeypatch.setenv("FORMER_SECRET", FORMER_SECRET)
    names: dict[str, Any] = {"__name__": "app"}
    for block in (code_blocks(ROOT / "README.md", "python")[0], *code_blocks(PAGE, "python")):
        exec(compile(block, PAGE.name, "exec"), names)  # noqa: S102 - it is ours
    auth, app, account = names["auth"], names["app"], names["Account"]
    assert isinstance(app, FastAPI)

    @app.get("/me")
    def me(found: Annotated[Any, Depends(auth.user)]) -> str:
        return str(found.email)

    auth.install(app)
    names["Base"].metadata.create_all(names["engine"])
    with Session(names["engine"]) as db:
        db.add(account(email="ada@example.com", password_hash="none"))
        db.commit()
    auth.clock.follow(TEN_PAST_SIX)
    claims = {"sub": "1", "exp": TEN_PAST_SIX + timedelta(minutes=5)}
    former = {"Authorization": f"Bearer {jwt.encode(claims, FORMER_SECRET)}"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://localhost"
    ) as client:
        known = await client.get("/me", headers=former)
        await client.post("/auth/upgrade", headers=former)
        auth.clock.follow(TEN_PAST_SIX + timedelta(hours=1))
        refused = await client.get("/me", headers=former)
        renewed = await client.post("/auth/refresh")
    await auth.database.aclose()
    names["engine"].dispose()

    assert known.json() == "ada@example.com"
    assert refused.status_code == 401
    assert renewed.json()["generation"] == 1


def test_the_page_names_every_choice_there_is() -> None:
    rows = table_under(PAGE, "Move in without logging anybody out", first_column="`FormerTokens`")
    told = {name.strip("` ") for row in rows for name in row["`FormerTokens`"].split(",")}

    assert told == {name for name in FormerTokens.__slots__ if not name.startswith("_")}

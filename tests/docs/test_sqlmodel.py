"""The app of docs/how-to/sqlmodel.md keeps sessions; SQLModel is in .venv-oldest alone."""

from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from tests.docs.apps import EMAIL, FORM, PASSWORD, written
from tests.docs.pages import DOCS, files_of
from tests.docs.terminal import serving

pytest.importorskip("sqlmodel", reason="it runs with the oldest versions")

# What the reader has already, as far as the page uses it.
SECURITY = """
import hashlib


def get_password_hash(password: str) -> str:
    return hashlib.scrypt(password.encode(), salt=b"of this test", n=16, r=1, p=1).hex()


def verify_password(password: str, hashed: str) -> bool:
    return get_password_hash(password) == hashed
"""


async def test_an_app_with_sqlmodel_keeps_sessions(folder: Path) -> None:
    files = {**files_of(DOCS / "how-to" / "sqlmodel.md", "python"), "security.py": SECURITY}
    with written(files, folder) as names:
        user = names["User"]
        user.metadata.create_all(names["engine"])
        with Session(names["engine"]) as db:
            db.add(user(email=EMAIL, hashed_password=names["get_password_hash"](PASSWORD)))
            db.commit()
        async with serving(names["app"]) as client:
            await client.post("/auth/token", data=FORM)
            renewed = await client.post("/auth/refresh")
            bearer = {"Authorization": f"Bearer {renewed.json()['access_token']}"}
            me = await client.get("/users/me", headers=bearer)

    assert renewed.json()["generation"] == 1
    assert (me.status_code, me.json()["email"]) == (200, EMAIL)

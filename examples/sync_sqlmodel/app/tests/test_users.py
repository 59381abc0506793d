"""What users do, and what is done to them."""

from app.core.auth import auth
from app.core.config import settings
from app.main import app
from app.models import User
from app.tests.passwords import PASSWORD
from fastapi.testclient import TestClient
from sqlmodel import Session, select

from batonpass.testing import logged_in


def test_a_new_password_ends_every_session_but_the_new_one(client: TestClient, ada: User) -> None:
    elsewhere = logged_in(TestClient(app), auth, ada)

    changed = client.patch(
        "/api/v1/users/me/password",
        json={"current_password": PASSWORD, "new_password": "another walk at dusk"},
    )

    token = {"Authorization": f"Bearer {changed.json()['access_token']}"}
    assert client.get("/api/v1/users/me", headers=token).json()["email"] == "ada@example.com"
    assert elsewhere.get("/api/v1/users/me").json()["code"] == "session_revoked"
    assert elsewhere.post("/api/v1/auth/refresh").json()["code"] == "refresh_revoked"


def test_a_wrong_password_changes_nothing(client: TestClient) -> None:
    refused = client.patch(
        "/api/v1/users/me/password",
        json={"current_password": "wrong password", "new_password": "another walk at dusk"},
    )

    assert refused.status_code == 403
    assert client.get("/api/v1/users/me").status_code == 200


def test_whoever_is_made_inactive_is_out_at_once(
    client: TestClient, db: Session, ada: User
) -> None:
    admin = db.exec(select(User).where(User.email == settings.FIRST_SUPERUSER)).one()
    office = logged_in(TestClient(app), auth, admin)

    assert client.patch(f"/api/v1/users/{ada.id}", json={"is_active": False}).status_code == 403
    assert office.patch(f"/api/v1/users/{ada.id}", json={"is_active": False}).status_code == 200

    assert client.get("/api/v1/users/me").json()["code"] == "session_revoked"


def test_whoever_deletes_herself_is_gone(client: TestClient, db: Session, ada: User) -> None:
    assert client.delete("/api/v1/users/me").status_code == 204

    assert client.get("/api/v1/users/me").status_code == 401
    assert db.get(User, ada.id) is None

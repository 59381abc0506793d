"""Logging in with a password."""

from app.main import app
from app.models import User
from app.tests.passwords import PASSWORD
from fastapi.testclient import TestClient
from sqlmodel import Session


def log_in(client: TestClient, password: str = PASSWORD) -> int:
    """Log Ada in; return the status."""
    form = {"username": "ada@example.com", "password": password}
    answer = client.post("/api/v1/auth/token", data=form)
    if answer.status_code == 200:
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return answer.status_code


def test_whoever_signs_up_logs_in_and_stays_so(db: Session) -> None:
    with TestClient(app) as client:
        new = {"email": "ada@example.com", "password": PASSWORD}
        signed_up = client.post("/api/v1/users/signup", json=new)

        assert log_in(client) == 200
        assert client.get("/api/v1/users/me").json() == signed_up.json()
        assert client.post("/api/v1/auth/refresh").json()["generation"] == 1


def test_nobody_else_does(ada: User) -> None:
    assert log_in(TestClient(app), "wrong password") == 401


def test_whoever_is_inactive_does_not(db: Session, ada: User) -> None:
    ada.is_active = False
    db.add(ada)
    db.commit()

    assert log_in(TestClient(app)) == 401

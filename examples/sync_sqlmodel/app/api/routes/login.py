"""Who may log in; the routes themselves are Batonpass's, under /api/v1/auth."""

from app import crud
from app.api.deps import SessionDep
from app.core.auth import auth
from app.models import User

from batonpass import Login


@auth.authenticate
def login_access_token(form: Login, session: SessionDep) -> User | None:
    """Take a password, say whose it is."""
    return crud.authenticate(session=session, email=form.username, password=form.password)

"""Creates the first user: `python -m app.initial_data`."""

from app.core.db import engine, init_db
from sqlmodel import Session

with Session(engine) as session:
    init_db(session)

"""An app of somebody else's, on SQLite."""

import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from tests.support.apps import House, a_house


@pytest.fixture
def bare_house(sqlite_url: str) -> House:
    """Nothing is in its database."""
    return a_house(create_engine(sqlite_url, poolclass=NullPool))


@pytest.fixture
async def plain_house(bare_house: House) -> House:
    """Ada is in its user table already, and our tables are among its own."""
    bare_house.plug()
    await bare_house.furnish()
    return bare_house

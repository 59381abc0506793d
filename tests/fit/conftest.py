"""An app of somebody else's, on SQLite, with our tables among its own."""

import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from tests.support.apps import House, a_house


@pytest.fixture
async def plain_house(sqlite_url: str) -> House:
    """Ada is in its user table already."""
    house = a_house(create_engine(sqlite_url, poolclass=NullPool))
    house.plug()
    await house.furnish()
    return house

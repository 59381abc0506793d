"""What the attacks aim at: the service on both databases, with a clock to move."""

from collections.abc import AsyncIterator

import pytest

from tests.support.clocks import Clock
from tests.support.services import House, a_house


@pytest.fixture
async def house(database_url: str) -> AsyncIterator[House]:
    """Give the service on a database of its own."""
    async with a_house(database_url) as house:
        yield house


@pytest.fixture
def clock(house: House) -> Clock:
    """Give the clock of the house: every process of it shares it."""
    assert isinstance(house.clock, Clock)
    return house.clock

"""The migrations are all that the models need, ours and Batonpass's."""

from alembic import command
from alembic.config import Config


def test_autogenerate_finds_nothing_more() -> None:
    command.check(Config("alembic.ini"))

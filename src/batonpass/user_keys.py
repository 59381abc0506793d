"""The users table's key: which type we store, and how the text in a token becomes a key again.

An app may have wrapped its key's type, and its value, into one of its own (a `TypeDecorator`), as
SQLModel does with strings and fastapi-users with UUIDs.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Dialect, TypeDecorator
from sqlalchemy.types import TypeEngine

# What a type overrides that reads or writes values in its own way
_CONVERT = (
    "bind_expression", "bind_processor", "column_expression", "process_bind_param",
    "process_literal_param", "process_result_value", "result_processor",
)  # fmt: skip


def stock_type(key: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return the stock type behind one that converts nothing.

    The column is the same, and an app's migration needs to import SQLAlchemy alone.
    """
    if not isinstance(key, TypeDecorator):
        return key
    converts = any(getattr(type(key), one) is not getattr(TypeDecorator, one) for one in _CONVERT)
    return key if converts else key.impl_instance


def reader_of(key: TypeEngine[Any], dialect: Dialect) -> Callable[[str], object]:
    """Return what makes a key of the text that `str` has made of it.

    What it raises for another text is the type's own: ValueError, TypeError, AttributeError.

    Args:
        key: The column's type.
        dialect: Where the column stands.
    """
    stock = stock_type(key)
    if not isinstance(stock, TypeDecorator):
        return stock.python_type
    # No decorated type says which Python type it has; so the text goes through it and comes back.
    own = stock.dialect_impl(dialect)
    write, read = own.bind_processor(dialect), own.result_processor(dialect, None)

    def through(text: str) -> object:
        written = text if write is None else write(text)
        return written if read is None else read(written)

    return through

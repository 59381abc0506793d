"""Several Batonpass in one app: what keeps customers and staff apart, and what they share.

Each has routes, tables, cookies, keys and an audience of its own; all but the routes follow from
its name. Two that could take each other's tokens or cookies are refused where the app is made.

Source: RFC 8725 §3.9 and 3.12 (audience, mutually exclusive rules); docs/security.md, S-JWT-2.
"""

import re
from typing import Any

from fastapi import FastAPI
from sqlalchemy import Column, MetaData

from batonpass import models
from batonpass.errors import ConfigurationError
from batonpass.http.edge import Edge
from batonpass.models import Tables

_NAME = re.compile(r"[A-Za-z]\w{0,31}", re.ASCII)  # it stands in names of cookies, tables, schemes
_INFO = "batonpass names"


def check_name(name: str) -> None:
    """Take a name that can stand everywhere.

    Raises:
        ConfigurationError: It cannot.
    """
    if name and not _NAME.fullmatch(name):
        message = f"name: {name!r} is no word such as 'staff'."
        raise ConfigurationError(message)


def tables_of(
    name: str, metadata: MetaData, user_key: Column[Any], *, prefix: str | None, schema: str | None
) -> Tables:
    """Define the tables of a Batonpass in an app's MetaData, and note that its name is theirs.

    Args:
        name: The Batonpass' own.
        metadata: The app's.
        user_key: The primary key of the users whose sessions these are.
        prefix: Stands before each table's name; None: the name and "_", if any.
        schema: Of the tables.

    Raises:
        ConfigurationError: The tables are other users', or the name is, whose tokens would pass for
            these.
    """
    if prefix is None:
        prefix = f"{name}_" if name else ""
    tables = models.define(metadata, user_key, prefix=prefix, schema=schema)
    if tables.user_key is not user_key:
        message = (
            f"These tables belong to the users in {tables.user_key.table.name!r}. Give other "
            "users a Batonpass with a name (name='staff', say) or a table_prefix."
        )
        raise ConfigurationError(message)
    names: dict[str, Tables] = metadata.info.setdefault(_INFO, {})
    if names.setdefault(name, tables) is not tables:
        others = names[name].user_key.table.fullname
        message = (
            f"The Batonpass of {others!r} and this one would take each other's tokens. Give this "
            "one a name: name='staff', say."
        )
        raise ConfigurationError(message)
    return tables


def join(app: FastAPI, edge: Edge) -> list[Edge]:
    """Add a Batonpass to those of an app.

    Returns:
        All of them; the list grows with those that come later.

    Raises:
        ConfigurationError: Another has the same routes, cookies or audience.
    """
    edges: list[Edge] = getattr(app.state, "batonpass", [])
    for other in edges:
        problem = _clash(edge, other)
        if problem is not None:
            message = f"This app has another Batonpass {problem}"
            raise ConfigurationError(message)
    edges.append(edge)
    app.state.batonpass = edges
    return edges


def _clash(one: Edge, other: Edge) -> str | None:
    if one.prefix == other.prefix:
        return f"under {one.prefix!r}: give this one a prefix of its own."
    if one.name == other.name:
        return "whose cookies have the same names: give this one a name: name='staff', say."
    if _audience(one) == _audience(other):
        return "with the same audience, for which other services would take both's tokens."
    return None


def _audience(edge: Edge) -> tuple[str, str]:
    tokens = edge.service.access_tokens
    return tokens.issuer, tokens.audience

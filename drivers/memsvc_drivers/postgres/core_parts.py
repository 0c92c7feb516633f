"""What the statements of the Postgres driver are put together from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import ARRAY, Label, Subquery, Text, bindparam, cast, func, literal_column, select, type_coerce
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.sql.base import ReadOnlyColumnCollection
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import TypeEngine

DIALECT = PGDialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
"""Parameters are $1, $2, ..., one for each name."""

NO_JOIN: Any = literal_column("0")
"""The offset of a LATERAL subquery that must stay one: Postgres makes joins of those that have none."""

_PARAMETER = re.compile(r"\$(\d+)")

_Type = type[TypeEngine[Any]]


def given(name: str, kind: _Type) -> ColumnElement[Any]:
    """Return a parameter."""
    return cast(bindparam(f"given_{name}"), kind)


def unnested(name: str, **columns: _Type) -> Subquery:
    """Return a table whose columns are parameters `<name>_<column>`, arrays of one length."""
    # Side by side in a SELECT they are read one by one; in a FROM each would be stored first.
    return select(*_elements(name, columns)).subquery(name)


def numbered(name: str, **columns: _Type) -> Subquery:
    """Return the same with one more column, `ordinal`, which counts from 1."""
    first = _array(name, *next(iter(columns.items())))
    ordinal = func.generate_subscripts(first, literal_column("1")).label("ordinal")
    return select(*_elements(name, columns), ordinal).subquery(name)


def _elements(name: str, columns: Mapping[str, _Type]) -> list[Label[Any]]:
    return [type_coerce(func.unnest(_array(name, each, kind)), kind).label(each) for each, kind in columns.items()]


def _array(name: str, each: str, kind: _Type) -> ColumnElement[Any]:
    return cast(bindparam(f"given_{name}_{each}"), ARRAY(kind))


def of_user(columns: ReadOnlyColumnCollection[str, Any]) -> tuple[Any, Any]:
    """Return the conditions that a row is of the user given."""
    return columns["namespace"] == given("namespace", Text), columns["user_id"] == given("user_id", Text)


def compiled(statement: Any, *names: str) -> str:
    """Return the SQL of a statement that takes these parameters, in this order."""
    done = statement.compile(dialect=DIALECT)
    order = tuple(name.removeprefix("given_") for name in done.positiontup or ())
    assert sorted(order) == sorted(names), f"{done} takes {order}"
    return _PARAMETER.sub(lambda found: f"${names.index(order[int(found[1]) - 1]) + 1}", str(done))

"""What the SQL drivers share: the tables and views of a store as SQLAlchemy Core metadata.

Four tables: `heads` (where each journal ends), `journal` (the records), `rows` (the rows of every kind, clustered by
user) and `meta` (schema version, generation). A row's body is JSON; what people read are views, whose columns the
database takes out of the bodies, so the two can never disagree and a write pays nothing for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Column, Index, LargeBinary, MetaData, PrimaryKeyConstraint, Table, Text
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeEngine

from memsvc.storage.driver import RowKind
from memsvc_drivers.sql.names import TableNames

USER = ("namespace", "user_id")
"""The columns that every table but `meta` begins with."""


class Readable(msgspec.Struct, frozen=True, gc=False):
    """A column for people, derived from the body."""

    name: str
    path: tuple[str, ...]
    """Where in the JSON it is found."""
    default: str = ""
    """What a body that leaves it out means; empty: NULL."""
    is_time: bool = False
    """Microseconds since the epoch there, ISO-8601 in UTC here."""
    is_integer: bool = False


class View(msgspec.Struct, frozen=True):
    """What people read of one kind of row."""

    kind: RowKind
    field: str
    """Its name in `TableNames`."""
    row_id: str
    """What the columns of the row itself are called."""
    group: str = ""
    position: str = ""
    readable: tuple[Readable, ...] = ()


class Tables(msgspec.Struct, frozen=True):
    """All tables of one store."""

    metadata: MetaData
    meta: Table
    heads: Table
    journal: Table
    rows: Table


def build_tables(names: TableNames, dialect: str, *, text: TypeEngine[str]) -> Tables:
    """Return the tables for one dialect of SQLAlchemy's. `text` must compare by UTF-8 bytes."""
    metadata = MetaData()
    # An option of another dialect would import that dialect.
    clustered: dict[str, Any] = {"sqlite_with_rowid": False} if dialect == "sqlite" else {}
    # So that Postgres lists users from the index alone.
    listing: dict[str, Any] = {"postgresql_include": ["erased"]} if dialect == "postgresql" else {}

    def table(name: str, *items: SchemaItem) -> Table:
        return Table(name, metadata, *items, **clustered)

    def user_key() -> list[Column[object]]:
        return [key(part, text) for part in USER]

    def key(name: str, kind: TypeEngine[Any]) -> Column[object]:
        return Column(name, kind, primary_key=True, nullable=False, autoincrement=False)

    def column(name: str, kind: TypeEngine[Any]) -> Column[object]:
        return Column(name, kind, nullable=False)

    integer = BigInteger()
    meta = table(names.meta, key("name", text), column("value", integer))
    heads = table(
        names.heads,
        *user_key(),
        column("seq", integer),
        column("nonce", text),
        column("floor", integer),
        column("due", integer),
        column("erased", integer),
        PrimaryKeyConstraint(*USER, **listing),
    )
    journal = table(
        names.journal,
        *user_key(),
        key("seq", integer),
        column("nonce", text),
        column("kind", text),
        column("time", integer),
        column("body", LargeBinary()),
    )
    rows = table(
        names.rows,
        *user_key(),
        key("kind", text),
        key("row_id", text),
        column("row_group", text),
        column("row_position", integer),
        column("body", Text()),
    )

    def partial_index(name: str, *columns: Column[Any], where: Any) -> None:
        Index(name, *columns, **{f"{dialect}_where": where})

    partial_index(f"{names.heads}_due", heads.c.due, where=heads.c.due > 0)
    user = [rows.c[part] for part in USER]
    # An index costs every write: only where rows are many and large.
    partial_index(
        f"{names.rows}_of_session", *user, rows.c.row_group, rows.c.row_position, where=rows.c.kind == RowKind.RUN.value
    )
    partial_index(f"{names.rows}_accepted", *user, rows.c.row_position, where=rows.c.kind == RowKind.EXTRACTION.value)
    return Tables(metadata, meta, heads, journal, rows)


def view_sql(view: View, names: TableNames, expression: Callable[[Readable], str]) -> str:
    """Return the statement that makes a view; `expression` takes a readable column out of `body`."""
    columns = [*USER, f"row_id AS {view.row_id}"]
    columns += [f"{expression(each)} AS {each.name}" for each in view.readable]
    columns += [f"row_group AS {view.group}"] if view.group else []
    columns += [f"row_position AS {view.position}"] if view.position else []
    columns.append("body")
    name, rows = getattr(names, view.field), names.rows
    return f"CREATE VIEW {name} AS SELECT {', '.join(columns)} FROM {rows} WHERE kind = '{view.kind.value}'"  # noqa: S608


def _text(name: str, *path: str, default: str = "") -> Readable:
    return Readable(name, path or (name,), default)


def _integer(name: str, *, default: str = "") -> Readable:
    return Readable(name, (name,), default, is_integer=True)


def _time(name: str, source: str) -> Readable:
    return Readable(name, (source,), is_time=True)


VIEWS: Sequence[View] = (
    View(
        RowKind.MEMORY,
        "memories",
        "memory_id",
        readable=(
            _text("memory"),
            _text("topics", default="[]"),
            _text("input"),
            _text("agent_id", "origin", "agent_id"),
            _text("team_id", "origin", "team_id"),
            _time("updated_at", "update_time"),
            _text("layer", default="knowledge"),
            _text("key"),
            _text("value", "value_json"),
            _integer("number"),
            _text("session_id", "origin", "session_id"),
            _text("polarity"),
            _text("trust", default="stated"),
            _time("created_at", "create_time"),
            _time("observed_at", "observe_time"),
            _time("expires_at", "expire_time"),
        ),
    ),
    View(
        RowKind.RUN,
        "runs",
        "run_id",
        group="session_id",
        position="run_index",
        readable=(_text("agent_id"), _text("team_id"), _time("created_at", "create_time"), _text("extraction_id")),
    ),
    View(
        RowKind.SESSION,
        "sessions",
        "session_id",
        position="last_index",
        readable=(
            _integer("run_count", default="0"),
            _integer("message_count", default="0"),
            _text("agent_id"),
            _text("team_id"),
            _time("created_at", "create_time"),
            _time("updated_at", "update_time"),
        ),
    ),
    View(
        RowKind.EXTRACTION,
        "extractions",
        "extraction_id",
        position="accepted_seq",
        readable=(
            _text("kind", default="runs"),
            _text("state", default="waiting"),
            _text("reason"),
            _text("detail"),
            _integer("attempt", default="0"),
            _text("session_id"),
            _integer("revision", default="0"),
            _time("created_at", "create_time"),
            _time("ended_at", "end_time"),
        ),
    ),
)
"""All views, in the words of the model."""

"""What the SQL drivers share: the tables as SQLAlchemy Core metadata, and their names.

One table a kind of row, clustered by user, and three of the driver's own: `heads` (where each journal ends), `journal`
(the records) and `meta` (schema version, generation). A row's body is JSON; the columns that people read are derived
from it by the database, so the two can never disagree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Column, Computed, Index, LargeBinary, MetaData, Table, Text
from sqlalchemy.types import TypeEngine

from memsvc.errors import invalid
from memsvc.storage.driver import RowKind
from memsvc_drivers.options import option_path

DEFAULT_PREFIX = "memsvc_"

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


@dataclass(frozen=True, slots=True)
class TableNames:
    """What each table is called: `table_prefix` and the field's name, or the option `table_<field>` as it stands."""

    meta: str
    heads: str
    journal: str
    states: str
    memories: str
    runs: str
    sessions: str
    extractions: str
    requests: str

    def __iter__(self) -> Iterator[str]:
        return iter(getattr(self, field.name) for field in fields(self))


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


class RowTable(msgspec.Struct, frozen=True):
    """The table of one kind of row, and which of its columns hold what."""

    kind: RowKind
    table: Table
    row_id: Column[str]
    group: Column[str]
    position: Column[int]
    body: Column[str]


class Tables(msgspec.Struct, frozen=True):
    """All tables of one store."""

    metadata: MetaData
    meta: Table
    heads: Table
    journal: Table
    rows: Mapping[RowKind, RowTable]


def table_names(options: Mapping[str, str]) -> TableNames:
    """Return the names that the options ask for. Raises InvalidArgument for one that is no identifier, or taken."""
    prefix = options.get("table_prefix", DEFAULT_PREFIX)
    if prefix and not _IDENTIFIER.fullmatch(prefix):
        raise invalid(
            option_path("table_prefix"), f"{prefix!r} must be letters, digits and _, not starting with a digit"
        )
    names: dict[str, str] = {}
    for name in (field.name for field in fields(TableNames)):
        option = f"table_{name}"
        chosen = options.get(option, prefix + name)
        blamed = option if option in options else "table_prefix"
        if not _IDENTIFIER.fullmatch(chosen) or chosen.lower().startswith("sqlite_"):
            raise invalid(option_path(blamed), f"{chosen!r} must be letters, digits and _, at most 63, not sqlite_...")
        if chosen.lower() in (taken.lower() for taken in names.values()):
            raise invalid(option_path(blamed), f"{chosen!r} is the name of another table too")
        names[name] = chosen
    return TableNames(**names)


def name_options() -> list[str]:
    """Return the options that `table_names` reads."""
    return ["table_prefix", *(f"table_{field.name}" for field in fields(TableNames))]


def build_tables(
    names: TableNames, dialect: str, *, text: TypeEngine[str], expression: Callable[[Readable], str]
) -> Tables:
    """Return the tables for one dialect of SQLAlchemy's.

    `text` must compare by UTF-8 bytes; `expression` derives a readable column from `body`.
    """
    metadata = MetaData()
    # An option of another dialect would import that dialect.
    clustered: dict[str, Any] = {"sqlite_with_rowid": False} if dialect == "sqlite" else {}

    def column(readable: Readable) -> Column[object]:
        kind: TypeEngine[Any] = BigInteger() if readable.is_integer else Text()
        return Column(readable.name, kind, Computed(expression(readable), persisted=False))

    def table(name: str, *columns: Column[object]) -> Table:
        return Table(name, metadata, *columns, **clustered)

    def user_key() -> list[Column[object]]:
        return [Column(part, text, primary_key=True, nullable=False) for part in ("namespace", "user_id")]

    def integer(name: str, *, primary_key: bool = False) -> Column[object]:
        return Column(name, BigInteger, primary_key=primary_key, nullable=False, autoincrement=False)

    meta = table(names.meta, Column("name", text, primary_key=True, nullable=False), integer("value"))
    heads = table(
        names.heads,
        *user_key(),
        integer("seq"),
        Column("nonce", text, nullable=False),
        integer("floor"),
        integer("due"),
        integer("erased"),
    )
    due: dict[str, Any] = {f"{dialect}_where": heads.c.due > 0}
    Index(f"{names.heads}_due", heads.c.due, **due)
    journal = table(
        names.journal,
        *user_key(),
        integer("seq", primary_key=True),
        Column("nonce", text, nullable=False),
        Column("kind", text, nullable=False),
        integer("time"),
        Column("body", LargeBinary, nullable=False),
    )
    rows = {}
    for kind, shape in _SHAPES.items():
        name = getattr(names, shape.table)
        found = table(
            name,
            *user_key(),
            Column(shape.row_id, text, primary_key=True, nullable=False),
            *map(column, shape.readable),
            Column(shape.group, text, nullable=False),
            integer(shape.position),
            Column("body", Text, nullable=False),
        )
        if shape.index:
            Index(f"{name}_order", found.c.namespace, found.c.user_id, *(found.c[part] for part in shape.index))
        rows[kind] = RowTable(
            kind, found, found.c[shape.row_id], found.c[shape.group], found.c[shape.position], found.c.body
        )
    return Tables(metadata, meta, heads, journal, rows)


class _Shape(msgspec.Struct, frozen=True):
    table: str
    row_id: str
    group: str = "row_group"
    position: str = "row_position"
    index: tuple[str, ...] = ()
    """What `rows` needs beyond the primary key. An index costs every write: only where rows are many and large."""
    readable: tuple[Readable, ...] = ()


def _text(name: str, *path: str, default: str = "") -> Readable:
    return Readable(name, path or (name,), default)


def _integer(name: str, *, default: str = "") -> Readable:
    return Readable(name, (name,), default, is_integer=True)


def _time(name: str, source: str) -> Readable:
    return Readable(name, (source,), is_time=True)


_SHAPES: Mapping[RowKind, _Shape] = {
    RowKind.STATE: _Shape("states", "row_id"),
    RowKind.MEMORY: _Shape(
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
    RowKind.RUN: _Shape(
        "runs",
        "run_id",
        group="session_id",
        position="run_index",
        index=("session_id", "run_index"),
        readable=(_text("agent_id"), _text("team_id"), _time("created_at", "create_time"), _text("extraction_id")),
    ),
    RowKind.SESSION: _Shape(
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
    RowKind.EXTRACTION: _Shape(
        "extractions",
        "extraction_id",
        position="accepted_seq",
        index=("accepted_seq",),
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
    RowKind.REQUEST: _Shape("requests", "request_id", position="expire_time"),
}

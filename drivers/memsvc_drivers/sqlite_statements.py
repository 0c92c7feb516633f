"""The SQL of the SQLite driver: SQLAlchemy Core statements, each compiled once, to be run on raw connections.

Values are given by position, in the order that a statement's docstring names them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple, TypeVarTuple

from sqlalchemy import (
    BindParameter,
    Delete,
    Insert,
    LargeBinary,
    Select,
    Text,
    Update,
    bindparam,
    cast,
    delete,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects.sqlite.dml import insert as sqlite_insert
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from memsvc.storage.driver import RowKind
from memsvc_drivers.sql import Readable, RowTable, TableNames, build_tables

_DIALECT = SQLiteDialect_pysqlite(paramstyle="qmark")
_USER = ("namespace", "user_id")

_Ts = TypeVarTuple("_Ts")
_Columns = ReadOnlyColumnCollection[str, Any]


class Page(NamedTuple):
    """Which arguments of `rows` are given."""

    group: bool
    after: bool
    before: bool
    descending: bool


class Statements:
    """The statements of one store; each is compiled when first used."""

    def __init__(self, names: TableNames) -> None:
        self.names = names
        self.tables = build_tables(names, "sqlite", text=Text(), expression=_readable)
        self.rows: Mapping[RowKind, RowStatements] = {
            kind: RowStatements(table) for kind, table in self.tables.rows.items()
        }

    @cached_property
    def create(self) -> list[str]:
        """What makes an empty store, one by one."""
        tables = self.tables.metadata.sorted_tables
        made = [str(CreateTable(table).compile(dialect=_DIALECT)).strip() for table in tables]
        indexes = [index for table in tables for index in table.indexes]
        return made + [str(CreateIndex(index).compile(dialect=_DIALECT)).strip() for index in indexes]

    @cached_property
    def read_meta(self) -> str:
        """name"""
        meta = self.tables.meta.c
        return _sql(select(meta.value).where(meta.name == _given("name")), "name")

    @cached_property
    def write_meta(self) -> str:
        """name, value"""
        return _sql(insert(self.tables.meta).prefix_with("OR REPLACE"), "name", "value")

    @cached_property
    def count_up(self) -> str:
        """name"""
        meta = self.tables.meta
        counted = sqlite_insert(meta).values(name=_given("name"), value=literal_column("1"))
        return _sql(counted.on_conflict_do_update(set_={"value": meta.c.value + literal_column("1")}), "name")

    @cached_property
    def tip(self) -> str:
        """namespace, user_id"""
        heads = self.tables.heads.c
        return _sql(select(heads.seq, heads.nonce).where(*_of_user(heads)), *_USER)

    @cached_property
    def extent(self) -> str:
        """namespace, user_id; read as floor, seq"""
        heads = self.tables.heads.c
        return _sql(select(heads.floor, heads.seq).where(*_of_user(heads)), *_USER)

    @cached_property
    def begin_journal(self) -> str:
        """namespace, user_id, seq, nonce, floor, due, erased: changes nothing where the user has a head"""
        heads = self.tables.heads
        return _sql(sqlite_insert(heads).on_conflict_do_nothing(), *heads.c.keys())

    @cached_property
    def move_head(self) -> str:
        """seq, nonce, due, erased, namespace, user_id, seq before, nonce before: the compare-and-set"""
        heads = self.tables.heads
        set_ = ("seq", "nonce", "due", "erased")
        moved = update(heads).values({name: _given(name) for name in set_})
        held = (heads.c.seq == _given("old_seq"), heads.c.nonce == _given("old_nonce"))
        return _sql(moved.where(*_of_user(heads.c), *held), *set_, *_USER, "old_seq", "old_nonce")

    @cached_property
    def raise_floor(self) -> str:
        """floor, namespace, user_id"""
        heads = self.tables.heads
        return _sql(update(heads).values(floor=_given("floor")).where(*_of_user(heads.c)), "floor", *_USER)

    @cached_property
    def due(self) -> str:
        """before, limit"""
        heads = self.tables.heads.c
        found = select(heads.namespace, heads.user_id, heads.due).where(
            heads.due > literal_column("0"), heads.due <= _given("before")
        )
        return _sql(_first(found.order_by(heads.due, heads.namespace, heads.user_id)), "before", "limit")

    @cached_property
    def users(self) -> str:
        """namespace, after, limit"""
        heads = self.tables.heads.c
        found = select(heads.user_id).where(
            heads.namespace == _given("namespace"),
            heads.user_id > _given("after"),
            heads.erased == literal_column("0"),
        )
        return _sql(_first(found.order_by(heads.user_id)), "namespace", "after", "limit")

    @cached_property
    def add_record(self) -> str:
        """namespace, user_id, seq, nonce, kind, time, body"""
        return _sql(insert(self.tables.journal), *self.tables.journal.c.keys())

    @cached_property
    def records(self) -> str:
        """namespace, user_id, after, limit"""
        journal = self.tables.journal.c
        found = select(journal.seq, journal.nonce, journal.kind, journal.time, journal.body).where(
            *_of_user(journal), journal.seq > _given("after")
        )
        return _sql(_first(found.order_by(journal.seq)), *_USER, "after", "limit")

    @cached_property
    def replace_body(self) -> str:
        """body, namespace, user_id, seq"""
        journal = self.tables.journal
        replaced = update(journal).values(body=_given("body"))
        return _sql(replaced.where(*_of_user(journal.c), journal.c.seq == _given("seq")), "body", *_USER, "seq")

    @cached_property
    def drop_records(self) -> str:
        """namespace, user_id, floor: the records below it"""
        journal = self.tables.journal
        return _sql(delete(journal).where(*_of_user(journal.c), journal.c.seq < _given("floor")), *_USER, "floor")


class RowStatements:
    """The statements of one kind of row. Rows are read as row_id, body, group, position."""

    def __init__(self, table: RowTable) -> None:
        self._table = table
        self._pages: dict[Page, str] = {}

    @cached_property
    def put(self) -> str:
        """namespace, user_id, row_id, group, position, body"""
        table = self._table
        values: dict[Any, Any] = {name: _given(name) for name in _USER}
        values |= {table.row_id: _given("row_id"), table.group: _given("group"), table.position: _given("position")}
        values |= {table.body: cast(_given("body"), Text)}
        put = insert(table.table).prefix_with("OR REPLACE").values(values)
        return _sql(put, *_USER, "row_id", "group", "position", "body")

    @cached_property
    def remove(self) -> str:
        """namespace, user_id, row_id"""
        table = self._table
        return _sql(
            delete(table.table).where(*_of_user(table.table.c), table.row_id == _given("row_id")), *_USER, "row_id"
        )

    @cached_property
    def remove_all(self) -> str:
        """namespace, user_id"""
        table = self._table.table
        return _sql(delete(table).where(*_of_user(table.c)), *_USER)

    @cached_property
    def all(self) -> str:
        """namespace, user_id"""
        return _sql(self._read(), *_USER)

    @cached_property
    def one(self) -> str:
        """namespace, user_id, row_id"""
        return _sql(self._read().where(self._table.row_id == _given("row_id")), *_USER, "row_id")

    def page(self, page: Page) -> str:
        """namespace, user_id (twice), of group, after, before what is given, limit"""
        if page not in self._pages:
            self._pages[page] = self._compile_page(page)
        return self._pages[page]

    def _compile_page(self, page: Page) -> str:
        # The ids are picked from the index alone, so that no body is read which is not returned.
        table = self._table
        inner = table.table.alias("page")
        position, group = inner.c[table.position.name], inner.c[table.group.name]
        conditions = {
            "group": (page.group, group == _given("group")),
            "after": (page.after, position > _given("after")),
            "before": (page.before, position < _given("before")),
        }
        wanted = [condition for given, condition in conditions.values() if given]
        picked = _first(
            select(inner.c[table.row_id.name])
            .where(*_of_user(inner.c), *wanted)
            .order_by(position.desc() if page.descending else position)
        )
        ordered = self._read().order_by(table.position.desc() if page.descending else table.position)
        names = [name for name, (given, _) in conditions.items() if given]
        return _sql(ordered.where(table.row_id.in_(picked)), *_USER, *_USER, *names, "limit")

    def _read(self) -> Select[str, bytes, str, int]:
        table = self._table
        return select(table.row_id, cast(table.body, LargeBinary), table.group, table.position).where(
            *_of_user(table.table.c)
        )


def _readable(column: Readable) -> str:
    value = f"json_extract(body, '$.{'.'.join(column.path)}')"
    if column.is_time:
        value = f"strftime('%Y-%m-%dT%H:%M:%fZ', {value} / 1e6, 'unixepoch')"
    if column.default:
        value = f"coalesce({value}, {column.default if column.is_integer else repr(column.default)})"
    # A generated column that fails would refuse the row.
    return f"CASE WHEN json_valid(body) THEN {value} END"


def _given(name: str) -> BindParameter[Any]:
    return bindparam(f"given_{name}")


def _of_user(columns: _Columns) -> tuple[Any, Any]:
    return columns["namespace"] == _given("namespace"), columns["user_id"] == _given("user_id")


def _first(found: Select[*_Ts]) -> Select[*_Ts]:
    # Without an offset of its own the dialect would add one more parameter.
    return found.limit(_given("limit")).offset(literal_column("0"))


def _sql(statement: Select[*tuple[Any, ...]] | Insert | Update | Delete, *names: str) -> str:
    compiled = statement.compile(dialect=_DIALECT)
    order = tuple(name.removeprefix("given_") for name in compiled.positiontup or ())
    assert order == names, f"{compiled} takes {order}"
    return str(compiled)

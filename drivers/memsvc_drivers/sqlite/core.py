"""Where the SQL of the SQLite driver comes from: SQLAlchemy Core statements, compiled by `tools/compile-sql`.

What is compiled is committed as `statements.json`, with marks in place of table names, so that a sidecar starts
without SQLAlchemy: that would double both its time to start and its memory. A test holds the two together.
"""

from __future__ import annotations

from itertools import product
from typing import Any, TypeVarTuple

from sqlalchemy import (
    BindParameter,
    Delete,
    Insert,
    LargeBinary,
    Select,
    Text,
    Update,
    and_,
    bindparam,
    case,
    cast,
    delete,
    insert,
    literal_column,
    null,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.sqlite.dml import insert as sqlite_insert
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from memsvc.storage.driver import RowKind
from memsvc_drivers.sql.names import TableNames, name_fields
from memsvc_drivers.sql.statements import KIND_MARK, Page, table_mark
from memsvc_drivers.sql.tables import USER, VIEWS, Readable, Tables, build_tables, view_sql
from memsvc_drivers.sqlite.statements import ROWS_AT_ONCE, Compiled

_DIALECT = SQLiteDialect_pysqlite(paramstyle="qmark")
_ROW = (*USER, "kind", "row_id")

_Ts = TypeVarTuple("_Ts")
_Columns = ReadOnlyColumnCollection[str, Any]


def compile_statements() -> Compiled:
    """Return the statements with marks in place of table names."""
    names = TableNames(**{name: table_mark(name) for name in name_fields()})
    tables = build_tables(names, "sqlite", text=Text())
    return Compiled(
        create=_create(tables, names),
        **_of_meta(tables),
        **_of_heads(tables),
        **_of_journal(tables),
        **_of_rows(tables),
        pages={page.name: _page(tables, page) for page in map(Page._make, product((False, True), repeat=4))},
    )


def _create(tables: Tables, names: TableNames) -> list[str]:
    found = tables.metadata.sorted_tables
    made = [str(CreateTable(table).compile(dialect=_DIALECT)).strip() for table in found]
    indexes = sorted((index for table in found for index in table.indexes), key=lambda index: str(index.name))
    made += [str(CreateIndex(index).compile(dialect=_DIALECT)).strip() for index in indexes]
    return made + [view_sql(view, names, _readable) for view in VIEWS]


def _of_meta(tables: Tables) -> dict[str, str]:
    meta = tables.meta
    counted = sqlite_insert(meta).values(name=_given("name"), value=literal_column("1"))
    return {
        "read_meta": _sql(select(meta.c.value).where(meta.c.name == _given("name")), "name"),
        "write_meta": _sql(insert(meta).prefix_with("OR REPLACE"), "name", "value"),
        "count_up": _sql(counted.on_conflict_do_update(set_={"value": meta.c.value + literal_column("1")}), "name"),
    }


def _of_heads(tables: Tables) -> dict[str, str]:
    heads, columns = tables.heads, tables.heads.c
    moving = ("seq", "nonce", "due", "erased")
    moved = update(heads).values({name: _given(name) for name in moving})
    held = (columns.seq == _given("old_seq"), columns.nonce == _given("old_nonce"))
    due = select(columns.namespace, columns.user_id, columns.due).where(
        columns.due > literal_column("0"), columns.due <= _given("before")
    )
    users = select(columns.user_id).where(
        columns.namespace == _given("namespace"),
        columns.user_id > _given("after"),
        columns.erased == literal_column("0"),
    )
    scopes = select(columns.namespace, columns.user_id).order_by(columns.namespace, columns.user_id)
    edge = tuple_(columns.namespace, columns.user_id) > tuple_(*map(_given, USER))
    return {
        "tip": _sql(select(columns.seq, columns.nonce).where(*_of_user(columns)), *USER),
        "extent": _sql(select(columns.floor, columns.seq).where(*_of_user(columns)), *USER),
        "begin_journal": _sql(sqlite_insert(heads).on_conflict_do_nothing(), *columns.keys()),
        "move_head": _sql(moved.where(*_of_user(columns), *held), *moving, *USER, "old_seq", "old_nonce"),
        "raise_floor": _sql(update(heads).values(floor=_given("floor")).where(*_of_user(columns)), "floor", *USER),
        "due": _sql(_first(due.order_by(columns.due, columns.namespace, columns.user_id)), "before", "limit"),
        "users": _sql(_first(users.order_by(columns.user_id)), "namespace", "after", "limit"),
        "first_scopes": _sql(_first(scopes), "limit"),
        "scopes": _sql(_first(scopes.where(edge)), *USER, "limit"),
    }


def _of_journal(tables: Tables) -> dict[str, str]:
    journal, columns = tables.journal, tables.journal.c
    tail = select(columns.seq, columns.nonce, columns.kind, columns.time, columns.body).where(
        *_of_user(columns), columns.seq > _given("after")
    )
    replaced = update(journal).values(body=_given("body"))
    replaced = replaced.where(*_of_user(columns), columns.seq == _given("seq"), columns.body == _given("old_body"))
    dropped = delete(journal).where(*_of_user(columns), columns.seq < _given("floor"))
    return {
        "add_record": _sql(insert(journal), *columns.keys()),
        "records": _sql(_first(tail.order_by(columns.seq)), *USER, "after", "limit"),
        "replace_body": _sql(replaced, "body", *USER, "seq", "old_body"),
        "drop_records": _sql(dropped, *USER, "floor"),
    }


def _of_rows(tables: Tables) -> dict[str, str]:
    rows, columns = tables.rows, tables.rows.c
    given = {name: _given(name) for name in (*_ROW, "row_group", "row_position")}
    put = sqlite_insert(rows).values({**given, "body": cast(_given("body"), Text)})
    changed = {name: put.excluded[name] for name in ("row_group", "row_position", "body")}
    put = put.on_conflict_do_update(index_elements=_ROW, set_=changed)
    of_kind = (*_of_user(columns), columns.kind == _given("kind"))
    one = (*of_kind, columns.row_id == _given("row_id"))
    some_ids = [f"row_id_{number}" for number in range(ROWS_AT_ONCE)]
    some = [_given(name) for name in some_ids]
    nowhere = and_(columns.row_group == literal_column("''"), columns.row_position == literal_column("0"))
    spelled = cast(columns.row_position, Text) + literal_column("' '") + columns.row_group
    # Each value read costs a load of thousands of rows: most have neither group nor position.
    place = case((nowhere, null()), else_=spelled)
    no_request = columns.kind != literal_column(f"'{RowKind.REQUEST.value}'")
    return {
        "put_row": _sql(put, *_ROW, "row_group", "row_position", "body"),
        "remove_row": _sql(delete(rows).where(*one), *_ROW),
        "remove_rows": _sql(delete(rows).where(*_of_user(columns), no_request), *USER),
        "remove_all_rows": _sql(delete(rows).where(*_of_user(columns)), *USER),
        "rows_of_kind": _sql(select(columns.row_id, _body(tables), place).where(*of_kind), *USER, "kind"),
        "row": _sql(_read(tables).where(*one), *_ROW),
        "some_rows": _sql(_read(tables).where(*of_kind, columns.row_id.in_(some)), *USER, "kind", *some_ids),
    }


def _page(tables: Tables, page: Page) -> str:
    # The ids are picked from the index alone, so that no body is read which is not returned; and the kind stands in
    # the statement, because no partial index serves one that is only given.
    rows, inner = tables.rows.c, tables.rows.alias("page").c
    conditions = {
        "group": (page.group, inner.row_group == _given("group")),
        "after": (page.after, inner.row_position > _given("after")),
        "before": (page.before, inner.row_position < _given("before")),
    }
    wanted = [condition for given, condition in conditions.values() if given]
    kind: Any = literal_column(f"'{KIND_MARK}'")
    picked = _first(
        select(inner.row_id)
        .where(*_of_user(inner), inner.kind == kind, *wanted)
        .order_by(inner.row_position.desc() if page.descending else inner.row_position)
    )
    ordered = _read(tables).where(*_of_user(rows), rows.kind == kind, rows.row_id.in_(picked))
    names = [name for name, (given, _) in conditions.items() if given]
    by_position = rows.row_position.desc() if page.descending else rows.row_position
    return _sql(ordered.order_by(by_position), *USER, *USER, *names, "limit")


def _read(tables: Tables) -> Select[str, bytes, str, int]:
    columns = tables.rows.c
    return select(columns.row_id, _body(tables), columns.row_group, columns.row_position)


def _body(tables: Tables) -> Any:
    return cast(tables.rows.c.body, LargeBinary)


def _readable(column: Readable) -> str:
    value = f"json_extract(body, '$.{'.'.join(column.path)}')"
    if column.is_time:
        value = f"strftime('%Y-%m-%dT%H:%M:%fZ', {value} / 1e6, 'unixepoch')"
    if column.default:
        value = f"coalesce({value}, {column.default if column.is_integer else repr(column.default)})"
    # A column that fails would fail the query.
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

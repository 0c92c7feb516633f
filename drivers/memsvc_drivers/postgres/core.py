"""Where the SQL of the Postgres driver comes from: SQLAlchemy Core statements, compiled by `tools/compile-sql`.

What is compiled is committed as `statements.json`, with marks in place of table names, so that a sidecar
starts without SQLAlchemy. A test holds the two together.
"""

from __future__ import annotations

from itertools import product
from typing import Any, TypeVarTuple

from sqlalchemy import (
    BigInteger,
    LargeBinary,
    Select,
    Text,
    and_,
    delete,
    func,
    literal_column,
    select,
    true,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.schema import CreateIndex, CreateTable

from memsvc.storage.driver import RowKind
from memsvc_drivers.postgres.core_append import compile_append
from memsvc_drivers.postgres.core_parts import DIALECT, NO_JOIN, compiled, given, numbered, of_user, unnested
from memsvc_drivers.postgres.core_views import create_views
from memsvc_drivers.postgres.statements import AppendShape, Compiled
from memsvc_drivers.sql.names import TableNames, name_fields
from memsvc_drivers.sql.statements import KIND_MARK, Page, table_mark
from memsvc_drivers.sql.tables import USER, Tables, build_tables

_READ = ("row_id", "body", "row_group", "row_position")
_PUT = ("kind", "row_id", "row_group", "row_position", "body")

_Ts = TypeVarTuple("_Ts")


def compile_statements() -> Compiled:
    """Return the statements with marks in place of table names."""
    names = TableNames(**{name: table_mark(name) for name in name_fields()})
    tables = build_tables(names, "postgresql", text=Text(collation="C"))
    shapes = [AppendShape(*needs) for needs in product((False, True), repeat=5)]
    return Compiled(
        create=_create(tables, names),
        appends={shape.name: compile_append(tables, shape) for shape in shapes if shape.is_possible},
        pages={page.name: _page(tables, page) for page in map(Page._make, product((False, True), repeat=4))},
        **_of_meta(tables),
        **_of_heads(tables),
        **_of_journal(tables),
        **_of_rows(tables),
    )


def _create(tables: Tables, names: TableNames) -> list[str]:
    found = tables.metadata.sorted_tables
    made = [str(CreateTable(table).compile(dialect=DIALECT)).strip() for table in found]
    indexes = sorted((index for table in found for index in table.indexes), key=lambda index: str(index.name))
    made += [str(CreateIndex(index).compile(dialect=DIALECT)).strip() for index in indexes]
    # Room for the next version of a head or state on its own page, so that no index has to hear of it; and vacuums
    # often enough that the versions before do not pile up.
    made += [
        f"ALTER TABLE {names.heads} SET (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05)",
        f"ALTER TABLE {names.rows} SET (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05)",
    ]
    return made + create_views(names)


def _of_meta(tables: Tables) -> dict[str, str]:
    meta = tables.meta
    put = insert(meta).inline().values(name=given("name", Text), value=given("value", BigInteger))
    put = put.on_conflict_do_update(index_elements=[meta.c.name], set_={"value": put.excluded.value})
    return {
        "read_meta": compiled(select(meta.c.value).where(meta.c.name == given("name", Text)), "name"),
        "write_meta": compiled(put, "name", "value"),
    }


def _of_heads(tables: Tables) -> dict[str, str]:
    heads = tables.heads.c
    tip = select(heads.seq, heads.nonce)
    asked = numbered("asked", namespace=Text, user_id=Text)
    each = tip.where(*(heads[name] == asked.c[name] for name in USER)).offset(NO_JOIN).lateral("tip")
    tips = select(asked.c.ordinal, each.c.seq, each.c.nonce).select_from(asked.join(each, true()))
    due = select(heads.namespace, heads.user_id, heads.due).where(
        heads.due > literal_column("0"), heads.due <= given("before", BigInteger)
    )
    users = select(heads.user_id).where(
        heads.namespace == given("namespace", Text),
        heads.user_id > given("after", Text),
        heads.erased == literal_column("0"),
    )
    scopes = select(heads.namespace, heads.user_id).order_by(heads.namespace, heads.user_id)
    edge = tuple_(heads.namespace, heads.user_id) > tuple_(given("namespace", Text), given("user_id", Text))
    return {
        "tip": compiled(tip.where(*of_user(heads)), *USER),
        "tips": compiled(tips, "asked_namespace", "asked_user_id"),
        "due": compiled(_first(due.order_by(heads.due, heads.namespace, heads.user_id)), "before", "limit"),
        "users": compiled(_first(users.order_by(heads.user_id)), "namespace", "after", "limit"),
        "first_scopes": compiled(_first(scopes), "limit"),
        "scopes": compiled(_first(scopes.where(edge)), *USER, "limit"),
    }


def _of_journal(tables: Tables) -> dict[str, str]:
    heads, journal = tables.heads, tables.journal
    columns = (journal.c.seq, journal.c.nonce, journal.c.kind, journal.c.time, journal.c.body)
    tail = _first(
        select(*columns).where(*of_user(journal.c), journal.c.seq > given("after", BigInteger)).order_by(journal.c.seq)
    ).lateral("tail")
    records = (
        select(heads.c.floor, *tail.c)
        .select_from(heads.outerjoin(tail, true()))
        .where(*of_user(heads.c))
        .order_by(tail.c.seq)
    )
    wanted = func.least(given("floor", BigInteger), heads.c.seq)
    raised = (
        update(heads)
        .values(floor=wanted)
        .where(*of_user(heads.c), heads.c.floor < wanted)
        .returning(heads.c.floor)
        .cte("raised")
    )
    # A journal that is not truncated has no floor to compare with: nothing is dropped.
    dropped = delete(journal).where(*of_user(journal.c), journal.c.seq < select(raised.c.floor).scalar_subquery())
    # Whoever appends to or truncates the journal waits meanwhile.
    held = select(heads.c.seq).where(*of_user(heads.c)).with_for_update().cte("held").prefix_with("MATERIALIZED")
    new = unnested("new", seq=BigInteger, old_body=LargeBinary, body=LargeBinary)
    redacted = (
        update(journal)
        .values(body=new.c.body)
        .where(*of_user(journal.c), journal.c.seq == new.c.seq, journal.c.body == new.c.old_body)
        .where(select(held.c.seq).exists())
        .returning(journal.c.seq)
    )
    return {
        "records": compiled(records, *USER, "after", "limit"),
        "truncate": compiled(dropped, *USER, "floor"),
        "redact": compiled(redacted, *USER, "new_seq", "new_old_body", "new_body"),
    }


def _of_rows(tables: Tables) -> dict[str, str]:
    heads, rows = tables.heads, tables.rows
    nothing: Any = literal_column("''")
    memory: Any = literal_column(f"'{RowKind.MEMORY.value}'")
    tip = select(nothing, heads.c.nonce, nothing, nothing, heads.c.seq).where(*of_user(heads.c))
    # What most rows have is not worth a text for each.
    kind, group = (
        func.nullif(rows.c.kind, memory),
        func.nullif(rows.c.row_group, nothing),
    )
    wanted = unnested("wanted", kind=Text)
    of_kind = (
        select(kind.label("kind"), rows.c.row_id, rows.c.body, group.label("row_group"), rows.c.row_position)
        .where(*of_user(rows.c), rows.c.kind == wanted.c.kind)
        .offset(NO_JOIN)
        .lateral("of_kind")
    )
    load = union_all(tip, select(*of_kind.c).select_from(wanted.join(of_kind, true())))
    asked = unnested("asked", row_id=Text)
    one = (
        select(*(rows.c[name] for name in _READ))
        .where(*of_user(rows.c), rows.c.kind == given("kind", Text), rows.c.row_id == asked.c.row_id)
        .offset(NO_JOIN)
        .lateral("one")
    )
    some = select(*one.c).select_from(asked.join(one, true()))
    new = unnested("new", kind=Text, row_id=Text, row_group=Text, row_position=BigInteger, body=Text)
    values = select(given("namespace", Text), given("user_id", Text), *(new.c[name] for name in _PUT))
    put = insert(rows).from_select([*USER, *_PUT], values)
    replaced = {name: put.excluded[name] for name in ("row_group", "row_position", "body")}
    put = put.on_conflict_do_update(index_elements=list(rows.primary_key), set_=replaced)
    return {
        "load": compiled(load, *USER, "wanted_kind"),
        "row": compiled(some, *USER, "kind", "asked_row_id"),
        "remove_all_rows": compiled(delete(rows).where(*of_user(rows.c)), *USER),
        "put_rows": compiled(put, *USER, *(f"new_{name}" for name in _PUT)),
    }


def _page(tables: Tables, page: Page) -> str:
    # The kind stands in the statement, because no partial index serves one that is only given.
    rows = tables.rows.c
    conditions: dict[str, tuple[bool, Any]] = {
        "group": (page.group, rows.row_group == given("group", Text)),
        "after": (page.after, rows.row_position > given("after", BigInteger)),
        "before": (page.before, rows.row_position < given("before", BigInteger)),
    }
    kind: Any = literal_column(f"'{KIND_MARK}'")
    found = select(*(rows[name] for name in _READ)).where(
        and_(*of_user(rows), rows.kind == kind, *(condition for wanted, condition in conditions.values() if wanted))
    )
    names = [name for name, (wanted, _) in conditions.items() if wanted]
    return compiled(
        _first(found.order_by(rows.row_position.desc() if page.descending else rows.row_position)),
        *USER,
        *names,
        "limit",
    )


def _first(found: Select[*_Ts]) -> Select[*_Ts]:
    return found.limit(given("limit", BigInteger))

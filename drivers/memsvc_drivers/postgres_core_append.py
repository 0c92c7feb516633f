"""The statement that appends a batch, in one round trip and one transaction of its own.

It locks the heads of the journals that end where their items say, in the order of their users, so that two batches over
the same users wait for each other and never in a circle; then it begins the new journals, in the same order; then it
writes. All parts of a statement see what was there before it: so no row may be touched by two of them.

Lookups in large tables stand in LATERAL subqueries rather than joins: those can only be done one by one, by index,
whatever the planner believed about the tables' size when it made the plan that a connection then keeps.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    Delete,
    LargeBinary,
    Select,
    Subquery,
    Table,
    Text,
    and_,
    case,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy import delete as delete_from
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.elements import ColumnElement

from memsvc.storage.driver import RowKind
from memsvc_drivers.postgres_core_parts import NO_JOIN, compiled, unnested
from memsvc_drivers.postgres_statements import AppendShape
from memsvc_drivers.sql import USER, Tables

_ITEM = {
    "namespace": Text,
    "user_id": Text,
    "first_seq": BigInteger,
    "seq": BigInteger,
    "nonce": Text,
    "due": BigInteger,
    "erased": BigInteger,
}
_AFTER = {"after_seq": BigInteger, "after_nonce": Text}
_RECORD = {
    "item": BigInteger,
    "seq": BigInteger,
    "nonce": Text,
    "kind": Text,
    "time": BigInteger,
    "body": LargeBinary,
}
_PUT = {
    "item": BigInteger,
    "kind": Text,
    "row_id": Text,
    "row_group": Text,
    "row_position": BigInteger,
    "body": Text,
}
_GONE = {"item": BigInteger, "kind": Text, "row_id": Text}


def compile_append(tables: Tables, shape: AppendShape) -> str:
    """Return the statement for batches of this shape."""
    everything = shape.erases
    continues, deletes = shape.continues or everything, shape.deletes or everything
    item_columns = {**_ITEM, **_AFTER} if continues else _ITEM
    item = select(unnested("item", **item_columns)).cte("batch")
    put = select(unnested("put", **_PUT)).cte("puts")
    known = ("ordinal", *USER, "first_seq", "erased") if everything else ("ordinal", *USER)
    done: list[Any] = []
    sources: list[Select[Any]] = []
    held = None
    if continues:
        held = _held(tables, item)
        done.append(_moved(tables, held))
        sources.append(select(*(held.c[name] for name in known)))
    if shape.begins or everything:
        begun = _begun(tables, item, held)
        mine = and_(*(begun.c[name] == item.c[name] for name in USER))
        sources.append(select(*(item.c[name] for name in known)).select_from(item.join(begun, mine)))
    applied = (sources[0].union_all(*sources[1:])).cte("applied").prefix_with("MATERIALIZED")
    if everything:
        done += [_forgotten(tables, applied), _cleared(tables, applied, put)]
    done += [_recorded(tables, applied), _put(tables, applied, put)]
    if deletes:
        done.append(_removed(tables, applied))
    names = [f"item_{name}" for name in item_columns]
    names += [*(f"record_{name}" for name in _RECORD), *(f"put_{name}" for name in _PUT)]
    names += [f"gone_{name}" for name in _GONE] if deletes else []
    return compiled(select(applied.c.ordinal).add_cte(*done), *names)


def _held(tables: Tables, item: CTE) -> CTE:
    heads = tables.heads.c
    ordered = select(item).order_by(*(item.c[name].collate("C") for name in USER)).subquery("ordered")
    head = (
        select(heads.floor)
        .where(
            *(heads[name] == ordered.c[name] for name in USER),
            heads.seq == ordered.c.after_seq,
            heads.nonce == ordered.c.after_nonce,
        )
        .with_for_update()
        .lateral("head")
    )
    held = select(*ordered.c, head.c.floor).select_from(ordered.join(head, true()))
    return held.cte("held").prefix_with("MATERIALIZED")


def _moved(tables: Tables, held: CTE) -> CTE:
    # An update that joins is one that the planner may do otherwise than by index; an insert that conflicts is not.
    heads = tables.heads
    floor = case((held.c.erased > literal_column("0"), held.c.first_seq), else_=held.c.floor)
    values = {**{name: held.c[name] for name in (*USER, "seq", "nonce")}, "floor": floor}
    values |= {name: held.c[name] for name in ("due", "erased")}
    moved = insert(heads).from_select(list(values), select(*values.values()))
    replaced = {name: moved.excluded[name] for name in ("seq", "nonce", "floor", "due", "erased")}
    return moved.on_conflict_do_update(index_elements=list(heads.primary_key), set_=replaced).cte("moved")


def _begun(tables: Tables, item: CTE, held: CTE | None) -> CTE:
    heads = tables.heads
    columns = {**{name: item.c[name] for name in (*USER, "seq", "nonce")}, "floor": item.c.first_seq}
    columns |= {name: item.c[name] for name in ("due", "erased")}
    new = select(*columns.values()).order_by(*(item.c[name].collate("C") for name in USER))
    if held is not None:
        # Counting makes the locks come first.
        locked = select(func.count()).select_from(held).scalar_subquery()
        new = new.where(item.c.after_seq == literal_column("0"), item.c.after_nonce == literal_column("''"))
        new = new.where(locked >= literal_column("0"))
    begun = insert(heads).from_select(list(columns), new).on_conflict_do_nothing(index_elements=list(heads.primary_key))
    return begun.returning(*(heads.c[name] for name in USER)).cte("begun")


def _recorded(tables: Tables, applied: CTE) -> CTE:
    record = unnested("record", **_RECORD)
    found = [applied.c[name] for name in USER] + [record.c[name] for name in _RECORD if name != "item"]
    rows = select(*found).select_from(applied.join(record, record.c.item == applied.c.ordinal))
    return insert(tables.journal).from_select([column.name for column in found], rows).cte("recorded")


def _put(tables: Tables, applied: CTE, put: CTE) -> CTE:
    found = [applied.c[name] for name in USER] + [put.c[name] for name in _PUT if name != "item"]
    rows = select(*found).select_from(applied.join(put, put.c.item == applied.c.ordinal))
    statement = insert(tables.rows).from_select([column.name for column in found], rows)
    replaced = {name: statement.excluded[name] for name in ("row_group", "row_position", "body")}
    return statement.on_conflict_do_update(index_elements=list(tables.rows.primary_key), set_=replaced).cte("put")


def _removed(tables: Tables, applied: CTE) -> CTE:
    gone = unnested("gone", **_GONE)
    found = select(*(applied.c[name] for name in USER), gone.c.kind, gone.c.row_id)
    named = found.select_from(applied.join(gone, gone.c.item == applied.c.ordinal)).subquery("named")
    rows = tables.rows.c
    conditions = [rows[name] == named.c[name] for name in (*USER, "kind", "row_id")]
    return _deleted(tables.rows, named, conditions).cte("removed")


def _forgotten(tables: Tables, applied: CTE) -> CTE:
    erased = select(applied).where(applied.c.erased > literal_column("0")).subquery("erased_journal")
    journal = tables.journal.c
    conditions = [*(journal[name] == erased.c[name] for name in USER), journal.seq < erased.c.first_seq]
    return _deleted(tables.journal, erased, conditions).cte("forgotten")


def _cleared(tables: Tables, applied: CTE, put: CTE) -> CTE:
    erased = select(applied).where(applied.c.erased > literal_column("0")).subquery("erased_rows")
    rows = tables.rows.c
    replaced = select(put.c.item).where(
        put.c.item == erased.c.ordinal, put.c.kind == rows.kind, put.c.row_id == rows.row_id
    )
    conditions = [*(rows[name] == erased.c[name] for name in USER)]
    conditions += [rows.kind != literal_column(f"'{RowKind.REQUEST.value}'"), ~replaced.exists()]
    return _deleted(tables.rows, erased, conditions).cte("cleared")


def _deleted(table: Table, of: Subquery, conditions: list[ColumnElement[bool]]) -> Delete:
    """Return what deletes the rows that meet the conditions for any row of `of`.

    They are named by where they are, which does not change while their user's head is locked.
    """
    place: Any = literal_column(f"{table.name}.ctid")
    row = select(place.label("place")).select_from(table).where(*conditions).offset(NO_JOIN).lateral("found")
    places = select(row.c.place).select_from(of.join(row, true()))
    return delete_from(table).where(place == func.any(func.array(places.scalar_subquery())))

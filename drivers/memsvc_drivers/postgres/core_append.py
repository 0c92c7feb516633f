"""The statements that append a batch, each in one round trip and one transaction of its own.

First the heads of the journals that end where their items say are locked, in the order of their users, so that two
batches over the same users wait for each other and never in a circle; then new journals begin, in the same order; then
it is written. For an item that is alone nothing needs an order, which saves much. All parts of a statement see what was
there before it: so no row may be touched by two of them.

Lookups in large tables stand in LATERAL subqueries rather than joins: those can only be done one by one, by index,
whatever the planner believed about the tables' size when it made the plan that a connection then keeps.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    Delete,
    FromClause,
    Join,
    LargeBinary,
    Subquery,
    Table,
    Text,
    and_,
    case,
    func,
    literal_column,
    select,
    true,
    update,
)
from sqlalchemy import delete as delete_from
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.elements import ColumnElement

from memsvc.storage.driver import RowKind
from memsvc_drivers.postgres.core_parts import NO_JOIN, compiled, given, numbered, unnested
from memsvc_drivers.postgres.statements import AppendShape
from memsvc_drivers.sql.tables import USER, Tables

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
    "seq": BigInteger,
    "nonce": Text,
    "kind": Text,
    "time": BigInteger,
    "body": LargeBinary,
}
_PUT = {
    "kind": Text,
    "row_id": Text,
    "row_group": Text,
    "row_position": BigInteger,
    "body": Text,
}
_GONE = {"kind": Text, "row_id": Text}
_OF_ITEM = {"item": BigInteger}
"""What these begin with where there are several items: the number of theirs."""


def compile_append(tables: Tables, shape: AppendShape) -> str:
    """Return the statement for batches of this shape."""
    if shape.alone:
        return _compile_alone(tables, shape)
    everything = shape.erases
    continues, deletes = shape.continues or everything, shape.deletes or everything
    item_columns = {**_ITEM, **_AFTER} if continues else _ITEM
    item = select(numbered("item", **item_columns)).cte("batch")
    put = select(unnested("put", **_OF_ITEM, **_PUT)).cte("puts")
    done: list[Any] = []
    held = _held(tables, item) if continues else None
    if held is not None:
        done.append(_moved(tables, held))
    applied = held
    if held is None or shape.begins or everything:
        begun = _begun(tables, item, held)
        known = ("ordinal", *USER, "first_seq", "erased") if everything else ("ordinal", *USER)
        mine = and_(*(begun.c[name] == item.c[name] for name in USER))
        new = select(*(item.c[name] for name in known)).select_from(item.join(begun, mine))
        both = new if held is None else select(*(held.c[name] for name in known)).union_all(new)
        applied = both.cte("applied").prefix_with("MATERIALIZED")
    assert applied is not None
    if everything:
        done += [_forgotten(tables, applied), _cleared(tables, applied, put)]
    record, gone = unnested("record", **_OF_ITEM, **_RECORD), unnested("gone", **_OF_ITEM, **_GONE)
    done += [_recorded(tables, applied, record), _put(tables, applied, put)]
    if deletes:
        done.append(_removed(tables, applied, gone))
    names = [f"item_{name}" for name in item_columns]
    names += _named(record=[*_OF_ITEM, *_RECORD], put=[*_OF_ITEM, *_PUT], gone=[*_OF_ITEM, *_GONE] if deletes else [])
    return compiled(select(applied.c.ordinal).add_cte(*done), *names)


def _compile_alone(tables: Tables, shape: AppendShape) -> str:
    """Return the statement for an item alone that erases nothing: its own values are no arrays."""
    applied = (_begun_alone(tables) if shape.begins else _moved_alone(tables)).cte("applied")
    record, put, gone = unnested("record", **_RECORD), unnested("put", **_PUT), unnested("gone", **_GONE)
    done = [_recorded(tables, applied, record), _put(tables, applied, put)]
    if shape.deletes:
        done.append(_removed(tables, applied, gone))
    own = ("first_seq", "seq", "nonce", "due") if shape.begins else ("seq", "nonce", "due", *_AFTER)
    names = [f"item_{name}" for name in (*USER, *own)]
    names += _named(record=_RECORD, put=_PUT, gone=_GONE if shape.deletes else ())
    return compiled(select(applied.c.ordinal).add_cte(*done), *names)


def _begun_alone(tables: Tables) -> Any:
    heads = tables.heads
    values = {name: _value(name) for name in (*USER, "seq", "nonce", "due")}
    begun = insert(heads).values({**values, "floor": _value("first_seq"), "erased": literal_column("0")})
    begun = begun.on_conflict_do_nothing(index_elements=list(heads.primary_key))
    return begun.returning(literal_column("1").label("ordinal"), *(heads.c[name] for name in USER))


def _moved_alone(tables: Tables) -> Any:
    heads = tables.heads
    values = {name: _value(name) for name in ("seq", "nonce", "due")}
    moved = update(heads).values({**values, "erased": literal_column("0")})
    moved = moved.where(*(heads.c[name] == _value(name) for name in USER))
    moved = moved.where(heads.c.seq == _value("after_seq"), heads.c.nonce == _value("after_nonce"))
    return moved.returning(literal_column("1").label("ordinal"), *(heads.c[name] for name in USER))


def _value(name: str) -> ColumnElement[Any]:
    return given(f"item_{name}", {**_ITEM, **_AFTER}[name])


def _named(**columns: Iterable[str]) -> list[str]:
    """Return what the parameters of these tables are called, in order."""
    return [f"{table}_{name}" for table, names in columns.items() for name in names]


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


def _recorded(tables: Tables, applied: CTE, record: Subquery) -> CTE:
    found = [applied.c[name] for name in USER] + [record.c[name] for name in _RECORD]
    rows = select(*found).select_from(_of_each(applied, record))
    return insert(tables.journal).from_select([column.name for column in found], rows).cte("recorded")


def _put(tables: Tables, applied: CTE, put: FromClause) -> CTE:
    found = [applied.c[name] for name in USER] + [put.c[name] for name in _PUT]
    rows = select(*found).select_from(_of_each(applied, put))
    statement = insert(tables.rows).from_select([column.name for column in found], rows)
    replaced = {name: statement.excluded[name] for name in ("row_group", "row_position", "body")}
    return statement.on_conflict_do_update(index_elements=list(tables.rows.primary_key), set_=replaced).cte("stored")


def _removed(tables: Tables, applied: CTE, gone: Subquery) -> CTE:
    found = select(*(applied.c[name] for name in USER), gone.c.kind, gone.c.row_id)
    named = found.select_from(_of_each(applied, gone)).subquery("named")
    rows = tables.rows.c
    conditions = [rows[name] == named.c[name] for name in (*USER, "kind", "row_id")]
    return _deleted(tables.rows, named, conditions).cte("removed")


def _of_each(applied: CTE, parts: FromClause) -> Join:
    """Return what belongs to the items applied; to the one applied where they have no numbers."""
    return applied.join(parts, parts.c.item == applied.c.ordinal if "item" in parts.c else true())


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

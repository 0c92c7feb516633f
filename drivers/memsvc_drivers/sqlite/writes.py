"""What the writer does inside its transaction: appends, truncation, redaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from memsvc.log import Log
from memsvc.model import Scope
from memsvc.storage.driver import EMPTY, Append, Outcome, Redaction, Row
from memsvc_drivers.sqlite.errors import concerns_one_item
from memsvc_drivers.sqlite.schema import REMNANTS_ROW
from memsvc_drivers.sqlite.statements import Statements

log = Log(__name__)

_PAGE_BYTES = 4096


def append_batch(
    cursor: sqlite3.Cursor, statements: Statements, batch: Sequence[Append], *, isolated: bool
) -> list[Outcome]:
    """Apply each item whose compare-and-set succeeds.

    `isolated` keeps an item that the database refuses from harming its neighbours; without it such an error is raised,
    and the transaction must be rolled back.
    """
    if isolated:
        return [_append_isolated(cursor, statements, item) for item in batch]
    outcomes = [_move_head(cursor, statements, item) for item in batch]
    moved = [item for item, outcome in zip(batch, outcomes, strict=True) if outcome is Outcome.APPENDED]
    _fill(cursor, statements, moved)
    return outcomes


def seed(cursor: sqlite3.Cursor, statements: Statements, scope: Scope, rows: Sequence[Row], *, afresh: bool) -> None:
    """Put rows; with `afresh` instead of all that are there."""
    if afresh:
        cursor.execute(statements.remove_all_rows, (scope.namespace, scope.user_id))
    cursor.executemany(statements.put_row, _values(scope, rows))


def truncate(cursor: sqlite3.Cursor, statements: Statements, scope: Scope, floor: int) -> None:
    """Drop the records below `floor`, but not the newest."""
    user = (scope.namespace, scope.user_id)
    found = cursor.execute(statements.extent, user).fetchall()
    if not found:
        return
    ((old_floor, seq),) = found
    new_floor = min(floor, seq)
    if new_floor > old_floor:
        cursor.execute(statements.drop_records, (*user, new_floor))
        cursor.execute(statements.raise_floor, (new_floor, *user))


def redact(cursor: sqlite3.Cursor, statements: Statements, scope: Scope, redactions: Sequence[Redaction]) -> list[int]:
    """Replace the bodies of the records that still are as they were; return which."""
    replaced = []
    for each in redactions:
        values = (each.new, scope.namespace, scope.user_id, each.seq, each.old)
        if cursor.execute(statements.replace_body, values).rowcount:
            replaced.append(each.seq)
    if replaced:
        cursor.execute(statements.write_meta, (REMNANTS_ROW, 1))
    return replaced


def written_bytes(batch: Sequence[Append]) -> int:
    """Return about how much the log grows: each row dirties a page, and long bodies more."""
    total = 0
    for item in batch:
        total += _PAGE_BYTES * (len(item.records) + len(item.deletes) + 1) + seeded_bytes(item.puts)
        for record in item.records:
            total += len(record.body)
    return total


def seeded_bytes(rows: Sequence[Row]) -> int:
    """Return about how much the log grows by rows alone."""
    total = _PAGE_BYTES * len(rows)
    for row in rows:
        total += len(row.body)
    return total


def _append_isolated(cursor: sqlite3.Cursor, statements: Statements, item: Append) -> Outcome:
    cursor.execute("SAVEPOINT item")
    try:
        outcome = _move_head(cursor, statements, item)
        if outcome is Outcome.APPENDED:
            _fill(cursor, statements, [item])
    except sqlite3.Error as error:
        if not concerns_one_item(error) or not cursor.connection.in_transaction:
            raise
        log.error("append_refused", error=error.sqlite_errorname)
        cursor.execute("ROLLBACK TO item")
        outcome = Outcome.UNKNOWN
    cursor.execute("RELEASE item")
    return outcome


def _move_head(cursor: sqlite3.Cursor, statements: Statements, item: Append) -> Outcome:
    """Move the journal's end to where the item leads; with `erases` drop what was there."""
    execute = cursor.execute
    user = namespace, user_id = item.scope.namespace, item.scope.user_id
    first, last, erases = item.records[0], item.records[-1], int(item.erases)
    if item.after == EMPTY:
        execute(statements.begin_journal, (namespace, user_id, last.seq, last.nonce, first.seq, item.due, erases))
    else:
        execute(statements.move_head, (last.seq, last.nonce, item.due, erases, namespace, user_id, *item.after))
    if cursor.rowcount != 1:
        return Outcome.CONFLICT
    if erases:
        execute(statements.raise_floor, (first.seq, namespace, user_id))
        execute(statements.drop_records, (namespace, user_id, first.seq))
        execute(statements.remove_rows, user)
        execute(statements.write_meta, (REMNANTS_ROW, 1))
    return Outcome.APPENDED


def _fill(cursor: sqlite3.Cursor, statements: Statements, moved: Sequence[Append]) -> None:
    """Add the records and rows of items whose heads were moved: no user is named twice, so all of a kind at once.

    Bodies go as bytearrays, and flags as numbers: for bytes and bool, Python's module first looks for an adapter.
    """
    records, keys, rows = [], [], []
    for item in moved:
        namespace, user_id = item.scope.namespace, item.scope.user_id
        for each in item.records:
            body = bytearray(each.body)
            records.append((namespace, user_id, each.seq, each.nonce, each.kind._value_, each.time, body))
        keys += [(namespace, user_id, key.kind._value_, key.row_id) for key in item.deletes]
        rows += _values(item.scope, item.puts)
    cursor.executemany(statements.add_record, records)
    if keys:
        cursor.executemany(statements.remove_row, keys)
    cursor.executemany(statements.put_row, rows)


def _values(scope: Scope, rows: Sequence[Row]) -> list[tuple[object, ...]]:
    namespace, user_id = scope.namespace, scope.user_id
    return [
        (namespace, user_id, row.kind._value_, row.row_id, row.group, row.position, bytearray(row.body)) for row in rows
    ]

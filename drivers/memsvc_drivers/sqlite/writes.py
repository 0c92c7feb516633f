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
    connection: sqlite3.Connection, statements: Statements, batch: Sequence[Append], *, isolated: bool
) -> list[Outcome]:
    """Apply each item whose compare-and-set succeeds.

    `isolated` keeps an item that the database refuses from harming its neighbours; without it such an error is raised,
    and the transaction must be rolled back.
    """
    cursor = connection.cursor()
    if not isolated:
        return [_append(cursor, statements, item) for item in batch]
    return [_append_isolated(cursor, statements, item) for item in batch]


def seed(
    connection: sqlite3.Connection, statements: Statements, scope: Scope, rows: Sequence[Row], *, afresh: bool
) -> None:
    """Put rows; with `afresh` instead of all that are there."""
    cursor = connection.cursor()
    if afresh:
        cursor.execute(statements.remove_all_rows, (scope.namespace, scope.user_id))
    _put(cursor, statements, scope, rows)


def truncate(connection: sqlite3.Connection, statements: Statements, scope: Scope, floor: int) -> None:
    """Drop the records below `floor`, but not the newest."""
    user = (scope.namespace, scope.user_id)
    found = connection.execute(statements.extent, user).fetchall()
    if not found:
        return
    ((old_floor, seq),) = found
    new_floor = min(floor, seq)
    if new_floor > old_floor:
        connection.execute(statements.drop_records, (*user, new_floor))
        connection.execute(statements.raise_floor, (new_floor, *user))


def redact(
    connection: sqlite3.Connection, statements: Statements, scope: Scope, redactions: Sequence[Redaction]
) -> list[int]:
    """Replace the bodies of the records that still are as they were; return which."""
    replaced = []
    for each in redactions:
        values = (each.new, scope.namespace, scope.user_id, each.seq, each.old)
        if connection.execute(statements.replace_body, values).rowcount:
            replaced.append(each.seq)
    if replaced:
        connection.execute(statements.write_meta, (REMNANTS_ROW, 1))
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
        outcome = _append(cursor, statements, item)
    except sqlite3.Error as error:
        if not concerns_one_item(error) or not cursor.connection.in_transaction:
            raise
        log.error("append_refused", error=error.sqlite_errorname)
        cursor.execute("ROLLBACK TO item")
        outcome = Outcome.UNKNOWN
    cursor.execute("RELEASE item")
    return outcome


def _append(cursor: sqlite3.Cursor, statements: Statements, item: Append) -> Outcome:
    execute = cursor.execute
    user = namespace, user_id = item.scope.namespace, item.scope.user_id
    first, last = item.records[0], item.records[-1]
    if item.after == EMPTY:
        head = (namespace, user_id, last.seq, last.nonce, first.seq, item.due, item.erases)
        execute(statements.begin_journal, head)
    else:
        execute(statements.move_head, (last.seq, last.nonce, item.due, item.erases, namespace, user_id, *item.after))
    if cursor.rowcount != 1:
        return Outcome.CONFLICT
    if item.erases:
        execute(statements.raise_floor, (first.seq, namespace, user_id))
        execute(statements.drop_records, (namespace, user_id, first.seq))
        execute(statements.remove_rows, user)
        execute(statements.write_meta, (REMNANTS_ROW, 1))
    for record in item.records:
        execute(
            statements.add_record,
            (namespace, user_id, record.seq, record.nonce, record.kind.value, record.time, record.body),
        )
    for key in item.deletes:
        execute(statements.remove_row, (namespace, user_id, key.kind.value, key.row_id))
    _put(cursor, statements, item.scope, item.puts)
    return Outcome.APPENDED


def _put(cursor: sqlite3.Cursor, statements: Statements, scope: Scope, rows: Sequence[Row]) -> None:
    namespace, user_id = scope.namespace, scope.user_id
    cursor.executemany(
        statements.put_row,
        [(namespace, user_id, row.kind.value, row.row_id, row.group, row.position, row.body) for row in rows],
    )

"""What the driver writes: appends, seeding, truncation, redaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from memsvc.errors import InvalidArgument, invalid
from memsvc.log import Log
from memsvc.model import Scope
from memsvc.storage.crashpoints import reach
from memsvc.storage.driver import EMPTY, Append, Outcome, Record, Redaction, Row, RowKey
from memsvc_drivers.postgres.connecting import Connection
from memsvc_drivers.postgres.errors import PostgresError, concerns_one_item, sqlstate_of
from memsvc_drivers.postgres.reads import require_text
from memsvc_drivers.postgres.statements import AppendShape, Statements

log = Log(__name__)

_STATEMENT_BYTES = 16 << 20
"""About what one statement carries; a larger batch goes in several, each of them a commit."""


def require_appendable(batch: Sequence[Append]) -> None:
    """Raise InvalidArgument for what Postgres cannot hold, before anything is written."""
    names = [name for item in batch for name in (item.scope.namespace, item.scope.user_id)]
    names += [key.row_id for item in batch for key in item.deletes]
    rows = [row for item in batch for row in item.puts]
    require_text(names)
    require_rows(rows)


def require_rows(rows: Sequence[Row]) -> None:
    """Raise InvalidArgument for rows that Postgres cannot hold."""
    require_text([row.row_id for row in rows])
    require_text([row.group for row in rows])
    for row in rows:
        if b"\0" in row.body:
            raise _no_json()


def parts(batch: Sequence[Append]) -> Iterable[Sequence[Append]]:
    """Return the batch in parts that a statement can carry: nearly always one."""
    size = sum([len(record.body) for item in batch for record in item.records])
    size += sum([len(row.body) for item in batch for row in item.puts])
    return [batch] if size <= _STATEMENT_BYTES else _split(batch)


def _split(batch: Sequence[Append]) -> Iterator[Sequence[Append]]:
    part: list[Append] = []
    size = 0
    for item in batch:
        added = sum(len(record.body) for record in item.records) + sum(len(row.body) for row in item.puts)
        if part and size + added > _STATEMENT_BYTES:
            yield part
            part, size = [], 0
        part.append(item)
        size += added
    if part:
        yield part


async def append(connection: Connection, statements: Statements, batch: Sequence[Append]) -> list[Outcome]:
    """Apply each item whose journal ends where it says, in one statement; one by one if an item is refused."""
    try:
        return await _append(connection, statements, batch)
    except PostgresError as error:
        if not concerns_one_item(error):
            raise
        log.warning("append_refused", sqlstate=sqlstate_of(error), items=len(batch))
        if len(batch) == 1:
            return [Outcome.UNKNOWN]
    outcomes = []
    for item in batch:
        outcomes += await append(connection, statements, [item])
    return outcomes


async def seed(
    connection: Connection, statements: Statements, scope: Scope, rows: Sequence[Row], *, afresh: bool
) -> None:
    """Put rows; with `afresh` instead of all that are there."""
    user = (scope.namespace, scope.user_id)
    async with connection.transaction(isolation="read_committed"):
        if afresh:
            await connection.execute(statements.remove_all_rows, *user)
        # The last of a key: a statement cannot put one twice.
        distinct = list({(row.kind, row.row_id): row for row in rows}.values())
        if distinct:
            await connection.execute(statements.put_rows, *user, *_rows(distinct))


async def truncate(connection: Connection, statements: Statements, scope: Scope, floor: int) -> None:
    """Drop the records below `floor`, but not the newest."""
    await connection.execute(statements.truncate, scope.namespace, scope.user_id, floor)


async def redact(
    connection: Connection, statements: Statements, scope: Scope, redactions: Sequence[Redaction]
) -> list[int]:
    """Replace the bodies of the records that still are as they were; return which."""
    columns = [[each.seq for each in redactions], [each.old for each in redactions], [each.new for each in redactions]]
    return [seq for (seq,) in await connection.fetch(statements.redact, scope.namespace, scope.user_id, *columns)]


async def _append(connection: Connection, statements: Statements, batch: Sequence[Append]) -> list[Outcome]:
    shape = _shape_of(batch)
    arguments = _of_one(batch[0], shape) if shape.alone else _of_several(batch, shape)
    reach("postgres.before_append")
    applied = await connection.fetch(statements.appends[shape.name], *arguments)
    if connection.is_closed():
        raise ConnectionAbortedError("the server warned that the commit may not be where it should")
    reach("postgres.after_append")
    outcomes = [Outcome.CONFLICT] * len(batch)
    for (number,) in applied:
        outcomes[number - 1] = Outcome.APPENDED
    return outcomes


def _shape_of(batch: Sequence[Append]) -> AppendShape:
    erases = any(item.erases for item in batch)
    return AppendShape(
        alone=len(batch) == 1 and not erases,
        begins=any(item.after == EMPTY for item in batch),
        continues=any(item.after != EMPTY for item in batch),
        deletes=any(item.deletes for item in batch),
        erases=erases,
    )


def _of_one(item: Append, shape: AppendShape) -> list[object]:
    """Return what `Compiled.appends` takes for an item alone, in its order."""
    last = item.records[-1]
    own: list[object] = [item.scope.namespace, item.scope.user_id]
    if shape.begins:
        own += [item.records[0].seq, last.seq, last.nonce, item.due]
    else:
        own += [last.seq, last.nonce, item.due, item.after.seq, item.after.nonce]
    gone = _keys(item.deletes) if shape.deletes else ()
    return [*own, *_records(item.records), *_rows(item.puts), *gone]


def _of_several(batch: Sequence[Append], shape: AppendShape) -> list[object]:
    """Return what `Compiled.appends` takes, in its order."""
    numbered = list(enumerate(batch, start=1))
    own: list[object] = [
        [item.scope.namespace for item in batch],
        [item.scope.user_id for item in batch],
        [item.records[0].seq for item in batch],
        [item.records[-1].seq for item in batch],
        [item.records[-1].nonce for item in batch],
        [item.due for item in batch],
        [int(item.erases) for item in batch],
    ]
    if shape.continues or shape.erases:
        own += [[item.after.seq for item in batch], [item.after.nonce for item in batch]]
    own += [[number for number, item in numbered for _ in item.records]]
    own += _records([record for item in batch for record in item.records])
    own += [[number for number, item in numbered for _ in item.puts]]
    own += _rows([row for item in batch for row in item.puts])
    if shape.deletes or shape.erases:
        own += [[number for number, item in numbered for _ in item.deletes]]
        own += _keys([key for item in batch for key in item.deletes])
    return own


def _records(records: Sequence[Record]) -> list[list[object]]:
    return [
        [record.seq for record in records],
        [record.nonce for record in records],
        [record.kind for record in records],
        [record.time for record in records],
        [record.body for record in records],
    ]


def _rows(rows: Sequence[Row]) -> list[list[object]]:
    return [
        [row.kind for row in rows],
        [row.row_id for row in rows],
        [row.group for row in rows],
        [row.position for row in rows],
        _texts(rows),
    ]


def _keys(keys: Sequence[RowKey]) -> list[list[object]]:
    return [[key.kind for key in keys], [key.row_id for key in keys]]


def _texts(rows: Sequence[Row]) -> list[object]:
    try:
        return [row.body.decode() for row in rows]
    except UnicodeDecodeError as error:
        raise _no_json() from error


def _no_json() -> InvalidArgument:
    return invalid("rows.body", "must be JSON, in UTF-8 and without NUL")

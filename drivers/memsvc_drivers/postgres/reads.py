"""What the driver reads: each call one statement, so one round trip and one snapshot."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from memsvc.errors import InvalidArgument, invalid
from memsvc.model import Scope
from memsvc.storage.driver import EMPTY, Due, Loaded, PageOf, Record, RecordKind, Row, RowKind, Tip, TruncatedJournal
from memsvc_drivers.postgres.connecting import Connection
from memsvc_drivers.postgres.statements import Statements
from memsvc_drivers.sql.statements import Page
from memsvc_drivers.unicode import is_unicode

_ROW_KINDS: Mapping[str | None, RowKind] = {None: RowKind.MEMORY, **{kind.value: kind for kind in RowKind}}
_RECORD_KINDS = {kind.value: kind for kind in RecordKind}


def require_text(texts: Iterable[str]) -> None:
    """Raise InvalidArgument for names that Postgres cannot hold: with NUL, or half a surrogate pair."""
    text = "".join(texts)
    if "\0" in text or not is_unicode(text):
        raise not_text()


def not_text() -> InvalidArgument:
    """Return the error for a name that is no text to Postgres."""
    return invalid("scope", "names must be valid Unicode without NUL")


async def tips(connection: Connection, statements: Statements, scopes: Sequence[Scope]) -> list[Tip]:
    """Read where journals end."""
    if len(scopes) == 1:
        found = await connection.fetch(statements.tip, scopes[0].namespace, scopes[0].user_id)
        return [Tip(*found[0]) if found else EMPTY]
    in_order = [EMPTY] * len(scopes)
    namespaces, user_ids = [scope.namespace for scope in scopes], [scope.user_id for scope in scopes]
    for number, seq, nonce in await connection.fetch(statements.tips, namespaces, user_ids):
        in_order[number - 1] = Tip(seq, nonce)
    return in_order


async def load(connection: Connection, statements: Statements, scope: Scope, kinds: Collection[RowKind]) -> Loaded:
    """Read tip and rows."""
    wanted = [kind.value for kind in dict.fromkeys(kinds)]
    found = await connection.fetch(statements.load, scope.namespace, scope.user_id, wanted)
    # Without a tip there is no journal yet, whatever was seeded.
    if not found or found[0][0] != "":
        return Loaded(EMPTY, [])
    tip, kinds_by_name = Tip(found[0][4], found[0][1]), _ROW_KINDS
    return Loaded(
        tip,
        [
            Row(kinds_by_name[kind], row_id, body.encode(), group or "", position)
            for kind, row_id, body, group, position in islice(found, 1, None)
        ],
    )


async def records(connection: Connection, statements: Statements, scope: Scope, after: int, limit: int) -> list[Record]:
    """Read a journal's tail. Raises TruncatedJournal."""
    found = await connection.fetch(statements.records, scope.namespace, scope.user_id, after, limit)
    if found and after + 1 < found[0][0]:
        raise TruncatedJournal(found[0][0])
    return [
        Record(seq, nonce, _RECORD_KINDS[kind], time, body)
        for _, seq, nonce, kind, time, body in found
        if seq is not None
    ]


async def page(connection: Connection, statements: Statements, wanted: PageOf) -> list[Row]:
    """Read rows by position."""
    given = [value for value in (wanted.group, wanted.after, wanted.before) if value is not None]
    shape = Page(wanted.group is not None, wanted.after is not None, wanted.before is not None, wanted.descending)
    sql = statements.page(wanted.kind, shape)
    found = await connection.fetch(sql, wanted.scope.namespace, wanted.scope.user_id, *given, wanted.limit)
    return _rows(wanted.kind, found)


async def get(
    connection: Connection, statements: Statements, scope: Scope, kind: RowKind, row_ids: Sequence[str]
) -> dict[str, Row]:
    """Read rows by id."""
    found = await connection.fetch(statements.row, scope.namespace, scope.user_id, kind.value, list(row_ids))
    return {row.row_id: row for row in _rows(kind, found)}


async def due(connection: Connection, statements: Statements, before: int, limit: int) -> list[Due]:
    """Read who may have work."""
    found = await connection.fetch(statements.due, before, limit)
    return [Due(Scope(namespace, user_id), time) for namespace, user_id, time in found]


async def users(connection: Connection, statements: Statements, namespace: str, after: str, limit: int) -> list[str]:
    """Read who of a namespace has a journal."""
    return [user_id for (user_id,) in await connection.fetch(statements.users, namespace, after, limit)]


async def scopes(connection: Connection, statements: Statements, after: Scope | None, limit: int) -> list[Scope]:
    """Read who has a journal, in any namespace."""
    if after is None:
        found = await connection.fetch(statements.first_scopes, limit)
    else:
        found = await connection.fetch(statements.scopes, after.namespace, after.user_id, limit)
    return [Scope(namespace, user_id) for namespace, user_id in found]


def _rows(kind: RowKind, found: Sequence[Any]) -> list[Row]:
    return [Row(kind, row_id, body.encode(), group, position) for row_id, body, group, position in found]

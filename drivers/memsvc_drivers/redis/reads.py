"""Reads of one user's journal and rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from memsvc.model import Scope
from memsvc.storage.driver import EMPTY, Loaded, PageOf, Record, Row, RowKind, Tip, TruncatedJournal
from memsvc_drivers.redis import scripts
from memsvc_drivers.redis.calls import Call, Calls
from memsvc_drivers.redis.connections import Reply
from memsvc_drivers.redis.keys import (
    JSON_OBJECT,
    META,
    PAGED,
    Keys,
    group_prefix,
    ordered,
    read_record,
    read_row,
    utf8,
)

_MAX_LIMIT = 1 << 31
_POSITION_BYTES = 16


async def tips(calls: Calls, keys: Keys, scopes: Sequence[Scope], *, one_node: bool) -> list[Tip]:
    """Read where journals end: a command for all or, on a cluster, for each bucket."""
    wanted: dict[int, list[tuple[int, bytes]]] = {}
    for place, scope in enumerate(scopes):
        user = keys.of(scope)
        wanted.setdefault(META if one_node else user.bucket, []).append((place, user.head))
    found = [EMPTY] * len(scopes)
    asked = [Call(bucket, "MGET", *(head for _, head in heads)) for bucket, heads in wanted.items()]
    for heads, values in zip(wanted.values(), await calls.values(asked), strict=True):
        for (place, _), head in zip(heads, values, strict=True):
            found[place] = _tip(head)
    return found


async def load(calls: Calls, keys: Keys, scope: Scope, kinds: Collection[RowKind]) -> Loaded:
    """Read tip and rows, between two looks at the head: every append changes it, so what is between is of one time."""
    user = keys.of(scope)
    wanted = [kind for kind in RowKind if kind in kinds]
    while True:
        head = Call(user.bucket, "GET", user.head)
        rows = [Call(user.bucket, "HGETALL", user.rows(kind)) for kind in wanted]
        again = Call(user.bucket, "GET", user.head)
        before, *found, after = await calls.values([head, *rows, again] if rows else [head, again], together=True)
        if before == after:
            break
    tip = _tip(before)
    if tip == EMPTY:
        # What was seeded shows once there is a journal.
        return Loaded(EMPTY, ())
    return Loaded(tip, [row for kind, pairs in zip(wanted, found, strict=True) for row in _rows(kind, pairs)])


async def records(calls: Calls, keys: Keys, scope: Scope, after: int, limit: int) -> list[Record]:
    """Read the journal. Raises TruncatedJournal."""
    user = keys.of(scope)
    values = (after, min(limit, _MAX_LIMIT))
    call = Call.of_script(user.bucket, scripts.RECORDS, (user.head, user.journal), values)
    floor, found = await calls.value(call)
    if floor:
        raise TruncatedJournal(int(floor))
    return list(map(read_record, found))


async def page(calls: Calls, keys: Keys, wanted: PageOf) -> list[Row]:
    """Read a page of rows."""
    user = keys.of(wanted.scope)
    if wanted.kind not in PAGED:
        rows = _rows(wanted.kind, await calls.value(Call(user.bucket, "HGETALL", user.rows(wanted.kind))))
        return wanted.of(rows)
    prefix = group_prefix(None if wanted.group is None else utf8(wanted.group))
    # Nothing in UTF-8 has the byte 0xff: with it an edge is past every row of its position.
    lowest = b"[" + prefix if wanted.after is None else b"(" + prefix + ordered(wanted.after) + b"\xff"
    highest = b"(" + prefix + (b"\xff" if wanted.before is None else ordered(wanted.before))
    values = (lowest, highest, int(wanted.descending), min(wanted.limit, _MAX_LIMIT), len(prefix) + _POSITION_BYTES)
    names = (user.rows(wanted.kind), user.order(wanted.kind))
    ids, found = await calls.value(Call.of_script(user.bucket, scripts.PAGE, names, values))
    return [read_row(wanted.kind, row_id.decode(), value) for row_id, value in zip(ids, found, strict=True)]


async def get(calls: Calls, keys: Keys, scope: Scope, kind: RowKind, row_ids: Sequence[str]) -> Mapping[str, Row]:
    """Read rows by id."""
    user = keys.of(scope)
    if not row_ids:
        return {}
    found = await calls.value(Call(user.bucket, "HMGET", user.rows(kind), *map(utf8, row_ids)))
    pairs = zip(row_ids, found, strict=True)
    return {row_id: read_row(kind, row_id, value) for row_id, value in pairs if value is not None}


def _tip(head: bytes | None) -> Tip:
    if head is None:
        return EMPTY
    seq, nonce, _ = head.split(b" ", 2)
    return Tip(int(seq), nonce.decode())


def _rows(kind: RowKind, pairs: Reply) -> list[Row]:
    entries = iter(pairs)
    # What `read_row` does first, without calling it for each of ten thousand memories.
    return [
        Row(kind, row_id.decode(), value) if value[0] == JSON_OBJECT else read_row(kind, row_id.decode(), value)
        for row_id, value in zip(entries, entries, strict=True)
    ]

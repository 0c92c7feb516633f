"""What is asked of Redis for each operation of the driver: calls are built, sent, and their replies read.

First what reads of one user, then what reads over all buckets, then what writes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from memsvc.model import Scope
from memsvc.storage.driver import (
    EMPTY,
    Append,
    Due,
    Loaded,
    Outcome,
    PageOf,
    Record,
    Redaction,
    Row,
    RowKey,
    RowKind,
    Tip,
    TruncatedJournal,
)
from memsvc_drivers.redis import scripts
from memsvc_drivers.redis.calls import Call, Calls
from memsvc_drivers.redis.connections import Reply
from memsvc_drivers.redis.keys import (
    JSON_OBJECT,
    PAGED,
    Keys,
    UserKeys,
    group_prefix,
    members,
    number_in,
    ordered,
    read_record,
    read_row,
    scope_of,
    utf8,
    write_record,
    write_row,
)

_MAX_LIMIT = 1 << 31
_POSITION_BYTES = 16
_MAX_INT64 = (1 << 63) - 1
_LEAST_SHARE = 2
"""More would mostly be read for nothing; of less, more buckets would have to be asked twice."""
_SCOPES_BUCKETS = 16
_Value = bytes | str | int
_SENT_AGAIN = 8
"""Which argument of the append script says that it was sent before."""


async def tips(calls: Calls, keys: Keys, scopes: Sequence[Scope]) -> list[Tip]:
    """Read where journals end: a command for each bucket."""
    wanted: dict[int, list[tuple[int, bytes]]] = {}
    for place, scope in enumerate(scopes):
        user = keys.of(scope)
        wanted.setdefault(user.bucket, []).append((place, user.head))
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


async def due(calls: Calls, keys: Keys, before: int, limit: int) -> list[Due]:
    """Read who is due, earliest first."""
    names = {bucket: keys.bucket(bucket, "due") for bucket in range(keys.buckets)}
    highest = b"[" + ordered(min(max(before, 0), _MAX_INT64)) + b"\xff"
    entries = await _first(calls, names, b"[" + ordered(1), highest, limit)
    return [Due(scope_of(entry[_POSITION_BYTES:]), number_in(entry[:_POSITION_BYTES])) for entry in entries]


async def users(calls: Calls, keys: Keys, namespace: str, after: str, limit: int) -> list[str]:
    """Read who of a namespace has a journal."""
    names = {bucket: keys.users(bucket, namespace) for bucket in range(keys.buckets)}
    found = await _first(calls, names, b"(" + utf8(after), b"+", limit)
    return [user_id.decode() for user_id in found]


async def scopes(calls: Calls, keys: Keys, after: Scope | None, limit: int) -> list[Scope]:
    """Read who has a journal, bucket by bucket."""
    found: list[bytes] = []
    bucket, lowest = 0, b"-"
    if after is not None:
        user = keys.of(after)
        bucket, lowest = user.bucket, b"(" + user.name
    while bucket < keys.buckets and len(found) < limit:
        group = range(bucket, min(bucket + _SCOPES_BUCKETS, keys.buckets))
        edges = [lowest, *[b"-"] * (len(group) - 1)]
        for names in await calls.values(
            [
                Call(number, "ZRANGEBYLEX", keys.bucket(number, "scopes"), edge, b"+", "LIMIT", 0, limit)
                for number, edge in zip(group, edges, strict=True)
            ]
        ):
            found += names
        bucket, lowest = group.stop, b"-"
    return [scope_of(name) for name in found[:limit]]


async def _first(calls: Calls, names: dict[int, bytes], lowest: bytes, highest: bytes, limit: int) -> list[bytes]:
    """Return the first `limit` members, by bytes, of sorted sets taken together.

    Each is asked for a little more than its share; then those that may have more of the first, until none may, for what
    they have before the last of those.
    """
    share = _LEAST_SHARE + 2 * limit // len(names)
    edges = dict.fromkeys(names, lowest)
    found: list[bytes] = []
    while True:
        share = min(share, limit)
        more: dict[int, bytes] = {}
        ranges = [
            Call(bucket, "ZRANGEBYLEX", names[bucket], edge, highest, "LIMIT", 0, share)
            for bucket, edge in edges.items()
        ]
        for bucket, firsts in zip(edges, await calls.values(ranges), strict=True):
            found += firsts
            if len(firsts) == share:
                more[bucket] = firsts[-1]
        found.sort()
        del found[limit:]
        if len(found) == limit:
            highest = b"(" + found[-1]
            more = {bucket: last for bucket, last in more.items() if last < found[-1]}
        if not more:
            return found
        edges = {bucket: b"(" + last for bucket, last in more.items()}
        share *= 4


def append_call(keys: Keys, item: Append) -> Call:
    """Return the call that applies one item. Raises InvalidArgument."""
    user = keys.of(item.scope)
    last = item.records[-1]
    values: list[_Value] = [
        f"{item.after.seq} {item.after.nonce}",
        item.records[0].seq,
        last.seq,
        last.nonce,
        ordered(item.due) if item.due else b"-",
        user.name,
        item.scope.user_id,
        1 if item.erases else 0,
        0,
        len(item.records),
        *map(write_record, item.records),
    ]
    names = [user.head, user.journal, *user.shared()]
    kinds = tuple(RowKind) if item.erases else ()
    _add_blocks(user, names, values, item.puts, item.deletes, kinds)
    return Call.of_script(user.bucket, scripts.APPEND, names, values, mark=_SENT_AGAIN)


def outcome_of(reply: Reply) -> Outcome:
    """Return what became of an item."""
    if reply == 1:
        return Outcome.APPENDED
    return Outcome.CONFLICT if reply == 0 else Outcome.UNKNOWN


def seed_call(keys: Keys, scope: Scope, rows: Sequence[Row], *, afresh: bool) -> Call:
    """Return the call that puts rows of a user who is being copied. Raises InvalidArgument."""
    user = keys.of(scope)
    names: list[bytes] = []
    values: list[_Value] = [1 if afresh else 0]
    _add_blocks(user, names, values, rows, (), tuple(RowKind) if afresh else (), keeps_requests=False)
    return Call.of_script(user.bucket, scripts.SEED, names, values)


def truncate_call(keys: Keys, scope: Scope, floor: int) -> Call:
    """Return the call that forgets records."""
    user = keys.of(scope)
    return Call.of_script(user.bucket, scripts.TRUNCATE, (user.head, user.journal), (floor,))


def redact_call(keys: Keys, scope: Scope, redactions: Sequence[Redaction]) -> Call:
    """Return the call that replaces bodies of records, and answers which, counted from 1."""
    user = keys.of(scope)
    values = [value for each in redactions for value in (each.seq, each.old, each.new)]
    return Call.of_script(user.bucket, scripts.REDACT, (user.head, user.journal), values)


def _add_blocks(
    user: UserKeys,
    names: list[bytes],
    values: list[_Value],
    puts: Iterable[Row],
    deletes: Iterable[RowKey],
    kinds: Iterable[RowKind],
    *,
    keeps_requests: bool = True,
) -> None:
    """Add what is to happen to the rows of each kind, at least of these: see `read_blocks` in the scripts."""
    blocks: dict[RowKind, tuple[list[Row], list[str]]] = {kind: ([], []) for kind in kinds}
    for row in puts:
        blocks.setdefault(row.kind, ([], []))[0].append(row)
    for key in deletes:
        blocks.setdefault(key.kind, ([], []))[1].append(key.row_id)
    for kind, (rows, gone) in blocks.items():
        paged = kind in PAGED
        names.append(user.rows(kind))
        if paged:
            names.append(user.order(kind))
        values += (int(paged), int(keeps_requests and kind is RowKind.REQUEST), len(rows), len(gone))
        places: list[bytes] = []
        for row in rows:
            row_id, group = utf8(row.row_id), utf8(row.group)
            values += (row_id, write_row(row, group))
            if paged:
                places += members(ordered(row.position), group, row_id)
        values += places
        values += map(utf8, gone)

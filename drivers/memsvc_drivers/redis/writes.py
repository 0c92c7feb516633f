"""Builds the calls that write, and reads what they answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from memsvc.model import Scope
from memsvc.storage.driver import Append, Outcome, Redaction, Row, RowKey, RowKind
from memsvc_drivers.redis import scripts
from memsvc_drivers.redis.calls import Call
from memsvc_drivers.redis.connections import Reply
from memsvc_drivers.redis.keys import PAGED, Keys, UserKeys, members, ordered, utf8, write_record, write_row

_Value = bytes | str | int

_SENT_AGAIN = 8
"""Which argument of the append script says that it was sent before."""


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

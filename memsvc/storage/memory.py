"""The reference driver: journals in RAM. The shortest statement of what every driver does; for tests and trials.

`memory://` is private to its driver object; `memory://name` is shared by all drivers of that name in the process, so
that several replicas can be tried against one store.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from memsvc.errors import StorageUnavailable, invalid
from memsvc.model import Scope
from memsvc.storage.driver import (
    EMPTY,
    Append,
    Capabilities,
    Capability,
    Due,
    Loaded,
    Migration,
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


@dataclass(slots=True)
class _User:
    tip: Tip = EMPTY
    floor: int = 1
    due: int = 0
    erased: bool = False
    records: dict[int, Record] = field(default_factory=dict)
    rows: dict[RowKey, Row] = field(default_factory=dict)


_Store = dict[Scope, _User]
_shared: dict[str, _Store] = {}


class MemoryDriver:
    """Keeps journals in RAM. Nothing survives the process."""

    def __init__(self, url: str, options: Mapping[str, str]) -> None:
        for name in options:
            raise invalid(f"storage_options.{name}", "no such option: the memory driver has none")
        name = url.partition("://")[2]
        self._store: _Store = _shared.setdefault(name, {}) if name else {}
        self._open = False

    @property
    def generation(self) -> int:
        return 0

    async def open(self) -> None:
        self._open = True

    async def close(self) -> None:
        self._open = False

    async def ping(self) -> None:
        self._users()

    async def migrate(self, *, check: bool = False) -> Migration:
        return Migration(found=1, wanted=1)

    def capabilities(self) -> Capabilities:
        in_ram = Capability(False, "kept in RAM only")
        return Capabilities(
            durable=in_ram,
            failover=in_ram,
            shared=Capability(False, "one process only"),
            hints=Capability(False, "one process only"),
            tips_cost_nothing=True,
        )

    async def append(self, batch: Sequence[Append]) -> Sequence[Outcome]:
        users = self._users()
        return [_append(users, item) for item in batch]

    async def tips(self, scopes: Sequence[Scope]) -> Sequence[Tip]:
        users = self._users()
        return [users[scope].tip if scope in users else EMPTY for scope in scopes]

    async def load(self, scope: Scope, kinds: Collection[RowKind]) -> Loaded:
        user = self._user(scope)
        # What was seeded shows once there is a journal.
        rows = [] if user.tip == EMPTY else [row for row in user.rows.values() if row.kind in kinds]
        return Loaded(user.tip, rows)

    async def records(self, scope: Scope, after: int, limit: int) -> Sequence[Record]:
        user = self._user(scope)
        if after + 1 < user.floor:
            raise TruncatedJournal(user.floor)
        return [user.records[seq] for seq in range(after + 1, min(after + limit, user.tip.seq) + 1)]

    async def rows(self, page: PageOf) -> Sequence[Row]:
        return page.of(self._user(page.scope).rows.values())

    async def get(self, scope: Scope, kind: RowKind, row_ids: Sequence[str]) -> Mapping[str, Row]:
        rows = self._user(scope).rows
        keys = [RowKey(kind, row_id) for row_id in row_ids]
        return {key.row_id: rows[key] for key in keys if key in rows}

    async def due(self, before: int, limit: int) -> Sequence[Due]:
        found = [Due(scope, user.due) for scope, user in self._users().items() if 0 < user.due <= before]
        return sorted(found, key=lambda due: due.time)[:limit]

    async def users(self, namespace: str, after: str, limit: int) -> Sequence[str]:
        edge = after.encode()
        found = [
            scope.user_id
            for scope, user in self._users().items()
            if scope.namespace == namespace and user.tip != EMPTY and not user.erased and scope.user_id.encode() > edge
        ]
        return sorted(found, key=str.encode)[:limit]

    async def scopes(self, after: Scope | None, limit: int) -> Sequence[Scope]:
        found = (scope for scope, user in self._users().items() if user.tip != EMPTY)
        return sorted(scope for scope in found if after is None or scope > after)[:limit]

    async def seed(self, scope: Scope, rows: Sequence[Row], *, afresh: bool) -> None:
        user = self._users().setdefault(scope, _User())
        if afresh:
            user.rows = {}
        user.rows.update((RowKey(row.kind, row.row_id), row) for row in rows)

    async def truncate(self, scope: Scope, floor: int) -> None:
        user = self._user(scope)
        floor = min(floor, user.tip.seq)
        for seq in range(user.floor, floor):
            del user.records[seq]
        user.floor = max(user.floor, floor)

    async def redact(self, scope: Scope, redactions: Sequence[Redaction]) -> Collection[int]:
        records = self._user(scope).records
        known = [each for each in redactions if each.seq in records and records[each.seq].body == each.old]
        records.update((each.seq, replace(records[each.seq], body=each.new)) for each in known)
        return [each.seq for each in known]

    async def hints(self) -> AsyncIterator[Scope | None]:
        self._users()
        await asyncio.Event().wait()
        yield None

    def _users(self) -> _Store:
        if not self._open:
            raise StorageUnavailable("driver is not open")
        return self._store

    def _user(self, scope: Scope) -> _User:
        return self._users().get(scope, _User())


def _append(users: _Store, item: Append) -> Outcome:
    user = users.setdefault(item.scope, _User()) if item.after == EMPTY else users.get(item.scope)
    if user is None or user.tip != item.after:
        return Outcome.CONFLICT
    last = item.records[-1]
    if item.after == EMPTY or item.erases:
        user.records = {}
        user.floor = item.records[0].seq
    if item.erases:
        user.rows = {key: row for key, row in user.rows.items() if row.kind is RowKind.REQUEST}
    user.tip = Tip(last.seq, last.nonce)
    user.due = item.due
    user.erased = item.erases
    user.records.update((record.seq, record) for record in item.records)
    for key in item.deletes:
        user.rows.pop(key, None)
    user.rows.update((RowKey(row.kind, row.row_id), row) for row in item.puts)
    return Outcome.APPENDED

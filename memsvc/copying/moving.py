"""Copies users from one database to another. Whatever cuts it off, the same copy goes on where it was.

A user's rows are seeded first, the records follow in appends, and the last of these puts the STATE row: so a user whose
copy was cut off has no journal, or one without a STATE row, and is copied again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from memsvc.copying.side import Side
from memsvc.journal.state import due_time, load
from memsvc.model import Scope
from memsvc.storage.crashpoints import reach
from memsvc.storage.driver import (
    EMPTY,
    MAX_APPEND_BYTES,
    Append,
    Loaded,
    Record,
    RecordKind,
    Row,
    RowKind,
    Tip,
    TruncatedJournal,
)

_Part = TypeVar("_Part", Record, Row)

MAX_CHUNK = 1_000
"""Rows or records that are handed over at once."""

USED = "was used at the destination: its journal there is not a part of the source's"
MOVED = "kept moving while it was copied: stop the servers of the source, and repeat"

_TRIES = 3
_LEFT_NAMED = 100


@dataclass(slots=True)
class Progress:
    """How far a copy is, for who watches it."""

    users: int = 0
    """Found so far at the source."""
    counted: bool = False
    """Whether `users` is all of them."""
    users_done: int = 0
    bytes_copied: int = 0


@dataclass(frozen=True, slots=True)
class Left:
    """A user who was not copied."""

    scope: Scope
    why: str


@dataclass(slots=True)
class Copied:
    """What a copy did."""

    copied: int = 0
    there_already: int = 0
    left_count: int = 0
    left: list[Left] = field(default_factory=list)
    """The first of them."""


async def copy(source: Side, destination: Side, progress: Progress, *, concurrency: int) -> Copied:
    """Copy every user who is not at the destination yet; return what was done. Both sides are open.

    Nobody else may use the destination meanwhile; a source in use leaves those users behind who do not hold still.
    Raises SideFailed.
    """
    copied = Copied()
    waiting: asyncio.Queue[Scope | None] = asyncio.Queue(concurrency)

    async def work() -> None:
        while (scope := await waiting.get()) is not None:
            why = await _copy_user(source, destination, scope, progress)
            if why:
                copied.left_count += 1
                if len(copied.left) < _LEFT_NAMED:
                    copied.left.append(Left(scope, why))
            else:
                copied.copied += 1
            progress.users_done += 1

    async def hand_out() -> None:
        async for scopes in source.scopes():
            ends = zip(scopes, await source.tips(scopes), await destination.tips(scopes), strict=True)
            for scope, there, here in ends:
                if there == here:
                    copied.there_already += 1
                    progress.users_done += 1
                else:
                    await waiting.put(scope)
        for _ in range(concurrency):
            await waiting.put(None)

    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_count(source, progress))
            tasks.create_task(hand_out())
            for _ in range(concurrency):
                tasks.create_task(work())
    except ExceptionGroup as group:
        # One side that fails, fails all: the first says it.
        raise group.exceptions[0] from group
    return copied


async def _count(source: Side, progress: Progress) -> None:
    async for scopes in source.scopes():
        progress.users += len(scopes)
    progress.counted = True


async def _copy_user(source: Side, destination: Side, scope: Scope, progress: Progress) -> str:
    """Return why the user was left; empty: copied."""
    for _ in range(_TRIES):
        loaded = await source.load(scope)
        end = await destination.tip(scope)
        if end == loaded.tip:
            return ""
        if end != EMPTY and not await _is_part(source, scope, end):
            return USED
        try:
            outcome = await _Move(source, destination, scope, loaded, end, progress).run()
        except TruncatedJournal:
            continue
        if outcome is not None:
            return outcome
    return MOVED


async def _is_part(source: Side, scope: Scope, end: Tip) -> bool:
    record = await source.record(scope, end.seq)
    return record is not None and record.nonce == end.nonce


@dataclass(slots=True)
class _Move:
    """One user on the way."""

    source: Side
    destination: Side
    scope: Scope
    loaded: Loaded
    end: Tip
    """Where the journal at the destination ends."""
    progress: Progress

    async def run(self) -> str | None:
        """Return "" once copied, why not, or None to try again. Raises TruncatedJournal."""
        await self._seed()
        if self.end == EMPTY:
            after = await self.source.floor(self.scope) - 1
        else:
            after = self.end.seq
            await self.destination.truncate(self.scope, await self.source.floor(self.scope))
        state = [row for row in self.loaded.rows if row.kind is RowKind.STATE]
        room = MAX_APPEND_BYTES - sum(len(row.body) for row in state)
        last: Sequence[Record] = ()
        async for records in _chunked(self.source.records(self.scope, after), room):
            if last and not await self._append(last):
                return USED
            last = records
        if not last or Tip(last[-1].seq, last[-1].nonce) != self.loaded.tip or await self._has_moved():
            return None
        reach("copy.before_last")
        done = await self._append(last, state=state)
        reach("copy.after_last")
        return "" if done else USED

    async def _has_moved(self) -> bool:
        # Everything was read between two looks at the tip: the same tip, the same user.
        return await self.source.tip(self.scope) != self.loaded.tip

    async def _seed(self) -> None:
        afresh = True
        async for rows in _chunked(self._rows(), MAX_APPEND_BYTES):
            await self._put(rows, afresh=afresh)
            afresh = False
        if afresh:
            await self._put((), afresh=True)

    async def _rows(self) -> AsyncIterator[Sequence[Row]]:
        yield [row for row in self.loaded.rows if row.kind is not RowKind.STATE]
        async for page in self.source.paged_rows(self.scope):
            yield page

    async def _put(self, rows: Sequence[Row], *, afresh: bool) -> None:
        reach("copy.before_seed")
        await self.destination.seed(self.scope, rows, afresh=afresh)
        reach("copy.after_seed")
        self.progress.bytes_copied += sum(len(row.body) for row in rows)

    async def _append(self, records: Sequence[Record], *, state: Sequence[Row] | None = None) -> bool:
        """Append; with `state`, the last of the journal."""
        is_last = state is not None
        item = Append(
            scope=self.scope,
            after=self.end,
            records=records,
            puts=state or (),
            due=due_time(load(self.scope, Loaded(self.loaded.tip, state or ()))),
            erases=is_last and records[-1].kind is RecordKind.ERASE,
        )
        reach("copy.before_append")
        appended = await self.destination.append(item)
        reach("copy.after_append")
        self.end = Tip(records[-1].seq, records[-1].nonce)
        self.progress.bytes_copied += sum(len(record.body) for record in records)
        self.progress.bytes_copied += sum(len(row.body) for row in item.puts)
        return appended


async def _chunked(pages: AsyncIterator[Sequence[_Part]], room_bytes: int) -> AsyncIterator[Sequence[_Part]]:
    chunk: list[_Part] = []
    size_bytes = 0
    async for page in pages:
        for part in page:
            if chunk and (size_bytes + len(part.body) > room_bytes or len(chunk) == MAX_CHUNK):
                yield chunk
                chunk, size_bytes = [], 0
            chunk.append(part)
            size_bytes += len(part.body)
    if chunk:
        yield chunk

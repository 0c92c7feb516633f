"""Copies users from one database to another. Whatever cuts it off, the same copy goes on where it was.

A user's rows are seeded first, the records follow in appends, and the last of these puts the STATE row: so a user whose
copy was cut off has no journal, or one without a STATE row, and is copied again.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

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


class Fate(enum.Enum):
    """What became of a user."""

    COPIED = "was copied"
    USED = "was used at the destination: the journal there is not a part of the source's"
    UNREADABLE = "has a state that cannot be read"
    MOVED = "kept moving while being copied: stop the servers of the source, and repeat"


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
    fate: Fate


@dataclass(slots=True)
class Copied:
    """What a copy did."""

    copied: int = 0
    there_already: int = 0
    left_count: int = 0
    left: list[Left] = field(default_factory=list)
    """The first of them."""

    def add(self, scope: Scope, fate: Fate) -> None:
        """Count a user."""
        if fate is Fate.COPIED:
            self.copied += 1
            return
        self.left_count += 1
        if len(self.left) < _LEFT_NAMED:
            self.left.append(Left(scope, fate))


async def copy(source: Side, destination: Side, progress: Progress, *, concurrency: int) -> Copied:
    """Copy every user who is not at the destination yet; return what was done. Both sides are open.

    Nobody else may use the destination meanwhile; a source in use leaves those users behind who do not hold still.
    Raises SideFailed.
    """
    copied = Copied()
    waiting: asyncio.Queue[Scope | None] = asyncio.Queue(concurrency)

    async def work() -> None:
        while (scope := await waiting.get()) is not None:
            copied.add(scope, await _copy_user(source, destination, scope, progress))
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


async def _copy_user(source: Side, destination: Side, scope: Scope, progress: Progress) -> Fate:
    for _ in range(_TRIES):
        loaded = await source.load(scope)
        end = await destination.tip(scope)
        if end == loaded.tip:
            return Fate.COPIED
        if end != EMPTY and not await _is_part(source, scope, end):
            return Fate.USED
        try:
            fate = await _Move(source, destination, scope, loaded, end, progress).run()
        except TruncatedJournal:
            continue
        if fate is not Fate.MOVED:
            return fate
    return Fate.MOVED


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

    async def run(self) -> Fate:
        """Copy the user as it was loaded. Raises TruncatedJournal where the source trimmed the journal meanwhile."""
        await self._seed()
        if self.end == EMPTY:
            after = await self.source.floor(self.scope) - 1
        else:
            after = self.end.seq
            await self.destination.truncate(self.scope, await self.source.floor(self.scope))
        room = MAX_APPEND_BYTES - sum(len(row.body) for row in self._state())
        last: Sequence[Record] = ()
        async for records in _chunked(self.source.records(self.scope, after, self.loaded.tip.seq), room):
            if last and not await self._append(last):
                return Fate.USED
            last = records
        return await self._append_last(last) if last else Fate.MOVED

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

    def _state(self) -> Sequence[Row]:
        return [row for row in self.loaded.rows if row.kind is RowKind.STATE]

    async def _append(self, records: Sequence[Record]) -> bool:
        reach("copy.before_append")
        appended = await self._hand_over(Append(scope=self.scope, after=self.end, records=records))
        reach("copy.after_append")
        return appended

    async def _append_last(self, records: Sequence[Record]) -> Fate:
        """Append what makes the user whole, if the source has not moved on meanwhile."""
        puts = self._state()
        erases = records[-1].kind is RecordKind.ERASE
        if erases:
            # What an erased user has is a note of what the erasure ended; it came with the erasure.
            puts = [row async for page in self._rows() for row in page if row.kind is not RowKind.REQUEST] + [*puts]
        try:
            due = due_time(load(self.scope, Loaded(self.loaded.tip, self._state())))
        except msgspec.MsgspecError:
            return Fate.UNREADABLE
        # What was read between two looks at the tip belongs together if both saw the same.
        if self.loaded.tip != _end_of(records) or self.loaded.tip != await self.source.tip(self.scope):
            return Fate.MOVED
        item = Append(scope=self.scope, after=self.end, records=records, puts=puts, due=due, erases=erases)
        reach("copy.before_last")
        appended = await self._hand_over(item)
        reach("copy.after_last")
        return Fate.COPIED if appended else Fate.USED

    async def _hand_over(self, item: Append) -> bool:
        appended = await self.destination.append(item)
        self.end = _end_of(item.records)
        self.progress.bytes_copied += sum(len(record.body) for record in item.records)
        self.progress.bytes_copied += sum(len(row.body) for row in item.puts)
        return appended


def _end_of(records: Sequence[Record]) -> Tip:
    return Tip(records[-1].seq, records[-1].nonce)


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

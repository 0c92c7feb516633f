"""What a user's memories were: the journal read backwards from the state, each change undone.

The state is at hand and the past that is asked for is mostly near, so this reads what happened since rather than all
that happened before. A record is undone by the memories before it, which it holds. For example, revision 2, from the
state at revision 4:

    4  m1 deleted  before: skis     ->  m1 is "skis" again
    3  m2 created                   ->  m2 is not there
    2  ...                              it is as asked for: this record's time is when that was

A text that was purged, or that is to be, is nowhere to be had: such a memory is among `purged`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing

from msgspec import Struct

from memsvc.errors import FailedPrecondition, OutOfRange, Reason, ResourceExhausted
from memsvc.journal.purged import has_to_go
from memsvc.journal.records import Body, decode_body
from memsvc.journal.state import Core, Layers, State, place
from memsvc.model import Cause, Change, Layer, Memory
from memsvc.storage.driver import Driver, Record, TruncatedJournal

MAX_RECORDS = 20_000
MAX_BYTES = 64 << 20
"""So much of a journal is read for one past at most."""

_FIRST_PAGE, _LARGEST_PAGE = 16, 256
_PAGE_BYTES = 2 << 20
"""A page that held more than this is followed by a shorter one."""


class AsOf(Struct, frozen=True):
    """Which past: at a revision or, where that is None, at a time."""

    revision: int | None = None
    time: int = 0
    """Microseconds since the epoch."""

    def includes(self, record: Record, body: Body) -> bool:
        """Return whether the record was there then: what is older was too."""
        if self.revision is None:
            return record.time <= self.time
        return bool(body.changes or body.erase is not None) and body.revision <= self.revision


class Past(Struct, frozen=True):
    """A user's memories as they were."""

    revision: int
    time: int
    """The time asked for; of a revision when it was made, or when it was there at the latest."""
    memories: Mapping[str, Memory]
    """By id, expired or not."""
    purged: Mapping[str, Memory]
    """Those that were there too, and whose text is gone for good."""
    changed: frozenset[str]
    """Ids of all that changed since."""

    def state(self, now: State) -> State:
        """Return a state with what could be seen of these memories then, and with nothing else of the user."""
        layers: dict[str, dict[str, Memory]] = {layer.value: {} for layer in Layer}
        keys: dict[str, str] = {}
        former: dict[str, Memory] = {}
        for memory in sorted(self.memories.values(), key=lambda memory: memory.number):
            if memory.expire_time and memory.expire_time <= self.time:
                continue
            if memory.superseded:
                former[memory.memory_id] = memory
            else:
                layers[memory.layer][memory.memory_id] = memory
                if memory.key:
                    keys[place(memory.layer, memory.key)] = memory.memory_id
        core = Core(revision=self.revision, time=self.time)
        return State(now.scope, now.seq, now.nonce, core, Layers(**layers), keys, former=former)


async def read_past(driver: Driver, state: State, asked: AsOf) -> Past:
    """Return the memories as they were.

    Raises FailedPrecondition (REVISION_NOT_REACHED), OutOfRange (HISTORY_TRIMMED), ResourceExhausted
    (RESULT_TOO_LARGE).
    """
    if asked.revision is not None:
        _check_reached(state, asked.revision)
    memories = {memory.memory_id: memory for memory in state.all_memories()}
    revision, time = state.revision, state.core.time
    purged: set[str] = set()
    changed: set[str] = set()
    walk = Walk(driver, state)
    is_there = False
    async with aclosing(walk.records()) as records:
        async for record, body in records:
            time = record.time
            is_there = asked.includes(record, body)
            if is_there:
                break
            if body.erase is not None:
                raise _trimmed(f"user was erased at revision {body.revision}", asked)
            for change in body.changes:
                if change.former is not None:
                    changed.add(change.former.memory_id)
                    purged.discard(change.former.memory_id)
                    memories.pop(change.former.memory_id, None)
                changed.add(change.memory_id)
                purged.discard(change.memory_id)
                if change.before is None:
                    memories.pop(change.memory_id, None)
                else:
                    memories[change.memory_id] = change.before
                    if is_purged(change.before, record.seq, state):
                        purged.add(change.memory_id)
            if body.changes:
                revision = body.revision - 1
    if not is_there and (asked.revision is None or asked.revision < revision):
        walk.check_whole(asked)
    gone = {memory_id: memories.pop(memory_id) for memory_id in purged}
    if asked.revision is None:
        time = asked.time
    return Past(revision, time, memories, gone, frozenset(changed))


def is_purged(memory: Memory, seq: int, state: State) -> bool:
    """Return whether what record `seq` says of a memory was purged, or is to be."""
    return not memory.text or has_to_go(memory, seq, state.core.purges)


class Walk:
    """The way back through a journal, from a state on: bounded, and no longer than what is kept of it."""

    def __init__(self, driver: Driver, state: State) -> None:
        self._driver = driver
        self._state = state
        self._end = state.seq + 1
        """What is not read yet is older than this record."""
        self._records = self._bytes = 0
        self._first = 0
        """Where the journal begins now, as far as it was seen that something is gone."""

    async def records(self) -> AsyncGenerator[tuple[Record, Body], None]:
        """Yield the records, newest first, until none is left or enough were read: see `check_whole`."""
        page = _FIRST_PAGE
        while self._end > max(self._first, 1) and not self._is_spent:
            read = await self._page(max(1, self._end - page))
            size = sum(len(record.body) for record in read)
            self._records += len(read)
            self._bytes += size
            page = max(1, page // 4) if size > _PAGE_BYTES else min(_LARGEST_PAGE, page * 2)
            for record in reversed(read):
                yield record, decode_body(record.body)
                # Others are served in between: a page may hold megabytes.
                await asyncio.sleep(0)
                self._end = record.seq
            if not read:
                self._first = self._end

    async def _page(self, start: int) -> Sequence[Record]:
        try:
            return await self._driver.records(self._state.scope, start - 1, self._end - start)
        except TruncatedJournal as truncated:
            self._first = truncated.first
        if self._first >= self._end:
            return ()
        try:
            return await self._driver.records(self._state.scope, self._first - 1, self._end - self._first)
        except TruncatedJournal:
            # It is being trimmed.
            return ()

    @property
    def _is_spent(self) -> bool:
        return self._records >= MAX_RECORDS or self._bytes >= MAX_BYTES

    def check_whole(self, asked: AsOf) -> None:
        """Raise unless the walk has come to the user's first record."""
        if self._end == 1:
            return
        if self._end > max(self._first, 1):
            message = f"{self._records} records since were read, and what was asked for is older"
            raise ResourceExhausted(Reason.RESULT_TOO_LARGE, message, metadata={"records": str(self._records)})
        raise _trimmed(f"journal starts at {self._end}", asked)


def _trimmed(why: str, asked: AsOf) -> OutOfRange:
    what = f"revision {asked.revision}" if asked.revision is not None else "an earlier time"
    return OutOfRange(Reason.HISTORY_TRIMMED, f"{why}, asked for {what}")


class Made(Struct, frozen=True):
    """What made a revision."""

    revision: int
    seq: int = 0
    """Its record; 0: there is none."""
    changes: Sequence[Change] = ()


async def read_revision(driver: Driver, state: State, revision: int) -> Made:
    """Return what made a revision; of 0 the newest one that is not of expirations alone. Raises as `read_past`."""
    _check_reached(state, revision)
    asked = AsOf(revision)
    walk = Walk(driver, state)
    async with aclosing(walk.records()) as records:
        async for record, body in records:
            if body.erase is not None and body.revision >= revision:
                raise _trimmed(f"user was erased at revision {body.revision}", asked)
            if body.changes and (body.revision == revision if revision else not _is_of_expirations(body)):
                return Made(body.revision, record.seq, body.changes)
    walk.check_whole(asked)
    return Made(revision)


def _is_of_expirations(body: Body) -> bool:
    return all(change.cause is Cause.EXPIRED for change in body.changes)


def _check_reached(state: State, revision: int) -> None:
    if revision > state.revision:
        raise FailedPrecondition(
            Reason.REVISION_NOT_REACHED,
            f"user is at revision {state.revision}, asked for {revision}",
            metadata={"revision": str(state.revision)},
        )

"""What happened to memories: pages of the past, and a stream from now on. Both are read from the journal."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from memsvc.config import DEFAULTS
from memsvc.errors import OutOfRange, Reason, invalid
from memsvc.journal.purged import is_blanked, with_texts
from memsvc.journal.records import Body, commit_of, decode_body, reply_bytes
from memsvc.limits import REPLY_BYTES
from memsvc.memories.writing import Target
from memsvc.model import Change, ChangeKind, Commit, Memory, Scope
from memsvc.paging import binding, make_token, read_token
from memsvc.search.filter import MemoryFilter, matcher
from memsvc.storage.driver import EMPTY, Record, Tip, TruncatedJournal
from memsvc.users import Users

_CHUNK_RECORDS = 200
_MAX_SCANNED_RECORDS = 5_000
_POLL_SECONDS = 0.5


class ChangePage(Struct, frozen=True):
    """Commits, newest first."""

    commits: Sequence[Commit]
    next_page_token: str
    trimmed: bool


class Initial(Struct, frozen=True):
    """One of the present memories."""

    memory: Memory


class InitialDone(Struct, frozen=True):
    """All present memories were sent."""

    revision: int


class Committed(Struct, frozen=True):
    """A commit, with the changes that match."""

    commit: Commit


class Bookmark(Struct, frozen=True):
    """Nothing happened for a while."""

    revision: int


class Erased(Struct, frozen=True):
    """The user was erased: nothing follows."""

    revision: int


WatchEvent = Initial | InitialDone | Committed | Bookmark | Erased


class MemoryHistory(Struct):
    """Reads what happened from users' journals."""

    users: Users
    heartbeat_seconds: float = DEFAULTS.heartbeat_seconds

    async def changes(self, scope: Scope, target: Target | None, page_size: int, page_token: str) -> ChangePage:
        """Return a page of commits, newest first; of one memory, or one place, only its changes are in them.

        A page looks through a bounded number of records, and ends before it passes 3 MiB: it may be short, even
        empty, and still have a next one.
        """
        bound_to = binding("changes", scope, target)
        position = read_token(page_token, bound_to, int)
        tip = (await self.users.latest(scope)).state.tip
        end = int(position[0]) if position is not None else tip.seq + 1
        commits: list[Commit] = []
        trimmed = False
        size, full = 0, False
        lowest = max(1, end - _MAX_SCANNED_RECORDS)
        while end > lowest and len(commits) < page_size and not full:
            start = max(lowest, end - _CHUNK_RECORDS)
            try:
                records = await self.users.driver.records(scope, start - 1, end - start)
            except TruncatedJournal as truncated:
                trimmed = True
                if truncated.first >= end:
                    return ChangePage(commits, "", trimmed)
                records = await self.users.driver.records(scope, truncated.first - 1, end - truncated.first)
                start = lowest = truncated.first
            for record in reversed(records):
                commit = _matching(record, target)
                if commit is not None:
                    added = reply_bytes(scope, record.body, len(commit.changes))
                    full = bool(commits) and size + added > REPLY_BYTES
                    if full or len(commits) == page_size:
                        break
                    commits.append(commit)
                    size += added
                end = record.seq
            else:
                end = start
        more = end > 1 and not (trimmed and end <= lowest)
        return ChangePage(commits, make_token(bound_to, end) if more else "", trimmed)

    async def watch(
        self, scope: Scope, wanted: MemoryFilter, *, send_initial: bool, resume_token: str
    ) -> AsyncGenerator[tuple[str, WatchEvent], None]:
        """Yield events with their resume tokens; ends only after `Erased`. The first one comes at once.

        Raises OutOfRange (HISTORY_TRIMMED) where the journal no longer reaches back to the token.
        """
        if send_initial and resume_token:
            raise invalid("send_initial", "must not be set with resume_token")
        matches = None if wanted.empty else matcher(wanted)
        bound_to = binding("watch", scope, wanted)
        position = read_token(resume_token, bound_to, int, str, field="resume_token")
        with self.users.moves.watch(scope) as moved:
            user = await self.users.latest(scope)
            seen = Tip(int(position[0]), str(position[1])) if position is not None else user.state.tip
            if send_initial:
                memories, revision = list(user.memories()), user.revision
                for memory in memories:
                    if matches is None or matches(memory):
                        yield "", Initial(memory)
                yield make_token(bound_to, *seen), InitialDone(revision)
            # Whoever is cut off before the first event could not know what it missed.
            waited = 0.0 if send_initial else math.inf
            while True:
                user = await self.users.latest(scope)
                if user.state.core.erase_seq > seen.seq:
                    erasure = await self._erasure(scope, user.state.core.erase_seq, seen)
                    if erasure is None:
                        continue
                    yield make_token(bound_to, erasure.seq, erasure.nonce), Erased(decode_body(erasure.body).revision)
                    return
                if user.state.tip != seen:
                    async for record in self._since(scope, seen):
                        seen = Tip(record.seq, record.nonce)
                        body = decode_body(record.body)
                        if body.erase is not None:
                            yield make_token(bound_to, *seen), Erased(body.revision)
                            return
                        if is_blanked(body):
                            body = with_texts(body, (await self.users.latest(scope)).state)
                        commit = _visible_part(body, record.time, matches)
                        if commit is not None:
                            waited = 0.0
                            yield make_token(bound_to, *seen), Committed(commit)
                if waited >= self.heartbeat_seconds:
                    waited = 0.0
                    yield make_token(bound_to, *seen), Bookmark(user.revision)
                if not await moved.wait(_POLL_SECONDS):
                    waited += _POLL_SECONDS

    async def _erasure(self, scope: Scope, seq: int, seen: Tip) -> Record | None:
        """Return the record of an erasure: what was before it is gone, and cannot be read up to it.

        None: it was erased once more, and this record is gone too.
        """
        try:
            records = await self.users.driver.records(scope, seq - 1, 1)
        except TruncatedJournal as truncated:
            if await self._is_erased_after(scope, seq):
                return None
            raise _trimmed(truncated.first, seen.seq) from truncated
        if not records:
            raise _trimmed(0, seen.seq)
        return records[0]

    async def _is_erased_after(self, scope: Scope, seq: int) -> bool:
        return (await self.users.latest(scope)).state.core.erase_seq > seq

    async def _since(self, scope: Scope, seen: Tip) -> AsyncGenerator[Record, None]:
        """Yield the records after `seen`, checked to be of the same history; none more once the user is erased."""
        last = seen
        while True:
            records: Sequence[Record] = ()
            try:
                records = await self.users.driver.records(scope, max(last.seq - 1, 0), _CHUNK_RECORDS)
                first = records[0].seq if records else 0
                known = last == EMPTY or (bool(records) and records[0].nonce == last.nonce)
            except TruncatedJournal as truncated:
                first, known = truncated.first, False
            if not known:
                if await self._is_erased_after(scope, last.seq):
                    return
                raise _trimmed(first, seen.seq)
            if last != EMPTY:
                records = records[1:]
            if not records:
                return
            for record in records:
                yield record
            last = Tip(records[-1].seq, records[-1].nonce)


def _trimmed(first: int, asked: int) -> OutOfRange:
    return OutOfRange(Reason.HISTORY_TRIMMED, f"journal starts at {first}, asked for {asked}: start over")


def _matching(record: Record, target: Target | None) -> Commit | None:
    body = decode_body(record.body)
    changes = body.changes
    if target is not None:
        changes = tuple(change for change in changes if _is_of(change, target))
    return replace(commit_of(body, record.time), changes=changes) if changes else None


def _is_of(change: Change, target: Target) -> bool:
    """Return whether a change is of the memory named, or of one that was at the place named."""
    if target.memory_id:
        return change.memory_id == target.memory_id
    memory = change.after or change.before
    return memory is not None and (memory.layer, memory.key) == (target.layer, target.key)


def _visible_part(body: Body, time: int, matches: Callable[[Memory], bool] | None) -> Commit | None:
    if not body.changes:
        return None
    if matches is None:
        return commit_of(body, time)
    changes = []
    for change in body.changes:
        before = change.before is not None and matches(change.before)
        after = change.after is not None and matches(change.after)
        if after and not before:
            changes.append(replace(change, kind=ChangeKind.CREATED, before=None))
        elif after:
            changes.append(change)
        elif before:
            changes.append(Change(ChangeKind.DELETED, change.before, None, change.cause))
    return replace(commit_of(body, time), changes=tuple(changes)) if changes else None

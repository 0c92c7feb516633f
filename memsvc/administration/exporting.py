"""Exporting a user, page by page, as it was at the first page.

Memories are versioned: the journal says what they were at a revision, whatever was written since. Runs never change
and are only added: those below the index that the first page saw are the runs of then. For example, a token after 200
memories of a user at revision 7 who had 41 runs:

    [revision 7, seq 90, time ..., runs below 42, phase memories, number 200]
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import aclosing

from msgspec import Struct
from msgspec.structs import replace

from memsvc.errors import OutOfRange, Reason
from memsvc.journal.past import AsOf
from memsvc.limits import REPLY_BYTES
from memsvc.model import LearningState, Memory, Run, Scope, encode
from memsvc.paging import binding, make_token, read_token
from memsvc.sessions.learning import learnings_of
from memsvc.sessions.walking import walk_runs
from memsvc.storage.driver import PageOf, RowKind
from memsvc.users import Consistency, HotUser, Users

_MEMORIES, _RUNS = 0, 1
_FRAME_BYTES = 200
"""What a record may take more than it is stored in, the name of its user aside."""


class Export(Struct, frozen=True):
    """A page of an export."""

    memories: Sequence[Memory]
    runs: Sequence[tuple[Run, LearningState]]
    next_page_token: str
    revision: int
    memory_count: int = 0
    """On all pages; only on the first."""
    run_count: int = 0


class _Pin(Struct, frozen=True):
    """What an export is of, and how far it has come."""

    revision: int
    seq: int
    time: int
    """What had expired by then is left out."""
    end_index: int
    phase: int = _MEMORIES
    last: int = 0
    """The number of the last memory, or the index of the last run."""

    def token(self, bound_to: str) -> str:
        return make_token(bound_to, self.revision, self.seq, self.time, self.end_index, self.phase, self.last)


class Exporter(Struct):
    """Exports users."""

    users: Users

    async def page(self, scope: Scope, page_size: int, page_token: str) -> Export:
        """Return a page; it ends early before it passes 3 MiB.

        Raises OutOfRange (HISTORY_TRIMMED), ResourceExhausted (RESULT_TOO_LARGE) where the revision of the first page
        can no longer be read.
        """
        bound_to = binding("export", scope)
        position = read_token(page_token, bound_to, int, int, int, int, int, int)
        user = await self.users.latest(scope)
        state = user.state
        first = position is None
        if position is None:
            pin = _Pin(user.revision, state.seq, self.users.clock(), state.core.next_index)
        else:
            pin = _Pin(*map(int, position))
        if state.core.erase_seq > pin.seq:
            raise OutOfRange(Reason.HISTORY_TRIMMED, f"user was erased after revision {pin.revision}")
        memories: Sequence[Memory] = ()
        count = size = 0
        if pin.phase == _MEMORIES:
            every = await self._memories(user, pin)
            count = len(every)
            left = [memory for memory in every if memory.number > pin.last]
            memories, size = _fitting(left, page_size, _FRAME_BYTES + len(encode(scope)))
            pin = replace(pin, last=memories[-1].number if memories else pin.last)
            if len(memories) < len(left):
                return Export(memories, (), pin.token(bound_to), pin.revision, *_counts(first, count, state.core.runs))
            pin = replace(pin, phase=_RUNS, last=0)
        runs, more = await self._runs(scope, pin, page_size - len(memories), REPLY_BYTES - size, bool(memories))
        token = replace(pin, last=runs[-1].index if runs else pin.last).token(bound_to) if more else ""
        learnings = await learnings_of(self.users, scope, runs)
        found = list(zip(runs, learnings, strict=True))
        return Export(memories, found, token, pin.revision, *_counts(first, count, state.core.runs))

    async def _memories(self, user: HotUser, pin: _Pin) -> Sequence[Memory]:
        """Return all memories of the export, with the facts of the past, in the order of their numbers."""
        if user.revision != pin.revision:
            user = await self.users.read(user.state.scope, Consistency(as_of=AsOf(pin.revision)))
        visible = (each for each in user.state.all_memories() if not each.expire_time or each.expire_time > pin.time)
        return sorted(visible, key=lambda memory: memory.number)

    async def _runs(
        self, scope: Scope, pin: _Pin, limit: int, room_bytes: int, begun: bool
    ) -> tuple[Sequence[Run], bool]:
        """Return the runs that follow, as many as the page has room for, and whether there are more.

        A page that is not `begun` takes one, however large it is.
        """
        found: list[Run] = []
        page = PageOf(scope, RowKind.RUN, after=pin.last, before=pin.end_index, limit=limit + 1)
        async with aclosing(walk_runs(self.users.driver, page)) as walk:
            async for run, row in walk:
                if not run.session_id:
                    continue
                room_bytes -= len(row.body) + _FRAME_BYTES
                if len(found) == limit or (room_bytes < 0 and (found or begun)):
                    return found, True
                found.append(run)
        return found, False


def _counts(first: bool, memories: int, runs: int) -> tuple[int, int]:
    return (memories, runs) if first else (0, 0)


def _fitting(memories: Iterable[Memory], limit: int, frame_bytes: int) -> tuple[Sequence[Memory], int]:
    """Return the first of these, as many as the page has room for, and their size."""
    found: list[Memory] = []
    total = 0
    for memory in memories:
        size = len(encode(memory)) + frame_bytes
        if len(found) == limit or (found and total + size > REPLY_BYTES):
            break
        found.append(memory)
        total += size
    return found, total

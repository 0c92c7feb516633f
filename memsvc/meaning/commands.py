"""What is done to one user's vectors, each as one command."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from memsvc.journal.commands import Command, Decision, Recorded
from memsvc.journal.draft import Moment
from memsvc.journal.records import Body
from memsvc.journal.state import State
from memsvc.model import encode
from memsvc.storage.driver import RecordKind, Row, RowKind
from memsvc.users.vectors import StoredVector


class Made(Struct, frozen=True):
    """A vector that was made of a memory as it was under an etag."""

    etag: str
    vector: bytes


class StoreVectors(Command[None]):
    """Store vectors of memories that have not changed since."""

    model: str
    made: Mapping[str, Made]
    """By memory id."""
    complete_at: int = -1
    """With these, every memory of this revision has its vector; -1: more are to come."""

    def decide(self, state: State, moment: Moment) -> Decision | None:
        puts = []
        for memory_id, made in self.made.items():
            memory = state.memory(memory_id)
            if memory is not None and memory.etag == made.etag:
                stored = StoredVector(self.model, made.etag, made.vector)
                puts.append(Row(RowKind.VECTOR, memory_id, encode(stored), "", memory.number))
        embed_time = None
        if self.complete_at >= 0:
            embed_time = 0 if state.revision == self.complete_at else moment.now
        if not puts and (embed_time is None or embed_time == state.core.embed_time):
            return None
        embedded = tuple(row.row_id for row in puts)
        return Decision(
            RecordKind.VECTORS, Body(revision=state.revision, embedded=embedded, embed_time=embed_time), puts
        )

    def result(self, recorded: Recorded) -> None:
        return None


class PlanVectors(Command[None]):
    """Let vectors be made at a time: the first time, or once more after a failure."""

    time: int
    """Microseconds since the epoch."""

    def decide(self, state: State, moment: Moment) -> Decision | None:
        if state.core.embed_time == self.time:
            return None
        return Decision(RecordKind.VECTORS, Body(revision=state.revision, embed_time=self.time))

    def result(self, recorded: Recorded) -> None:
        return None

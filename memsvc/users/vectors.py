"""The vectors of a hot user: which are in RAM, which were stored since, and which are in RAM only."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from memsvc.journal.records import Body
from memsvc.journal.state import State
from memsvc.model import Memory
from memsvc.search.vectors import VectorIndex

_UNSTORED_BYTES = 64
"""Of the name of one that nobody has stored."""


class StoredVector(msgspec.Struct, frozen=True, gc=False):
    """The body of a VECTOR row."""

    model: str
    etag: str
    """Of the memory that it was made from."""
    vector: bytes


class Vectors:
    """Vectors of one model. Those of changed memories are gone at once; new ones come when somebody reads them in."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.index = VectorIndex[str]()
        self.unread: set[str] = set()
        """Memories whose vectors were stored, by this process or another, since the rows were read."""
        self.unstored: set[str] = set()
        """Memories whose vectors a search has made, and nobody has stored."""

    def take(self, state: State, stored: Iterable[StoredVector], memory_ids: Iterable[str]) -> None:
        """Take in stored vectors, each with the id of its memory; of another model, or another text, they are void."""
        fitting = []
        for memory_id, each in zip(memory_ids, stored, strict=True):
            memory = state.memory(memory_id)
            if memory is not None and each.model == self.model and each.etag == memory.etag:
                fitting.append((memory_id, each.vector))
                self.unstored.discard(memory_id)
        self.index.put_all(fitting)

    def keep(self, memory_id: str, vector: bytes) -> None:
        """Take in a vector that nobody has stored yet."""
        self.index.put_all([(memory_id, vector)])
        self.unstored.add(memory_id)

    def move(self, body: Body) -> bool:
        """Forget what a record made void, and note what it stored; return whether that is not in RAM yet."""
        for change in body.changes:
            self.index.remove(change.memory_id)
            self.unread.discard(change.memory_id)
            self.unstored.discard(change.memory_id)
        new = set(body.embedded) - self.unstored
        self.unstored.difference_update(body.embedded)
        self.unread.update(new)
        return bool(new)

    def missing(self, state: State) -> list[Memory]:
        """Return those of the user's memories that have no vector here."""
        # What is here is of memories that there are: so as many are all.
        if len(self.index) == state.memory_count:
            return []
        return [memory for memory in state.memories() if memory.memory_id not in self.index]

    @property
    def size_bytes(self) -> int:
        return self.index.size_bytes + len(self.unstored) * _UNSTORED_BYTES

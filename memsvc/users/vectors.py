"""The vectors of a hot user: which are in RAM, which were stored since, and which are in RAM only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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
        self._lacking: dict[str, None] | None = None
        """What has changed, and has no vector yet; None: it has not been looked which have none."""

    def take(self, state: State, stored: Iterable[StoredVector], memory_ids: Iterable[str]) -> None:
        """Take in stored vectors, each with the id of its memory; of another model, or another text, they are void."""
        fitting = []
        for memory_id, each in zip(memory_ids, stored, strict=True):
            memory = state.memory(memory_id)
            if memory is not None and each.model == self.model and each.etag == memory.etag:
                fitting.append((memory_id, each.vector))
                self.unstored.discard(memory_id)
        self._put(fitting)

    def keep(self, memory_id: str, vector: bytes) -> None:
        """Take in a vector that nobody has stored yet."""
        self._put([(memory_id, vector)])
        self.unstored.add(memory_id)

    def move(self, body: Body) -> bool:
        """Forget what a record made void, and note what it stored; return whether that is not in RAM yet."""
        for change in body.changes:
            self.index.remove(change.memory_id)
            if self._lacking is not None:
                self._lacking[change.memory_id] = None
            self.unread.discard(change.memory_id)
            self.unstored.discard(change.memory_id)
        new = set(body.embedded) - self.unstored
        self.unstored.difference_update(body.embedded)
        self.unread.update(new)
        return bool(new)

    def missing(self, state: State) -> list[Memory]:
        """Return those of the user's memories that have no vector here."""
        if self._lacking is None:
            self._lacking = {each.memory_id: None for each in state.memories() if each.memory_id not in self.index}
        if not self._lacking:
            return []
        found = [memory for memory_id in self._lacking if (memory := state.memory(memory_id)) is not None]
        if len(found) < len(self._lacking):
            self._lacking = {memory.memory_id: None for memory in found}
        return found

    def _put(self, vectors: Sequence[tuple[str, bytes]]) -> None:
        self.index.put_all(vectors)
        if self._lacking is not None:
            for memory_id, _ in vectors:
                self._lacking.pop(memory_id, None)

    @property
    def size_bytes(self) -> int:
        return self.index.size_bytes + (len(self.unstored) + len(self._lacking or ())) * _UNSTORED_BYTES

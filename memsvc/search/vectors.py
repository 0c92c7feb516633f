"""The vectors of one user's memories, compared with a query's one by one: exact, and fast as long as they are few.

A vector is int8 of any scale: only its angle counts. A search over 10,000 of 256 dimensions takes a millisecond.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_ROWS_A_BLOCK = 256
_FIRST_ROWS = 16
_OBJECTS_BYTES = 2048
_FIRST_NEAR = 256
_ID_BYTES = 110


class VectorIndex:
    """Vectors by memory id, all of one length. Not for several threads at once."""

    def __init__(self) -> None:
        self._slots: dict[str, int] = {}
        self._ids: list[str | None] = []
        self._free_slots: list[int] = []
        self._rows: NDArray[np.int8] | None = None
        self._inverse_norms: NDArray[np.float32] | None = None

    def put_all(self, vectors: Sequence[tuple[str, bytes]]) -> None:
        """Keep the vectors of memories, by id, each in place of the one that it had."""
        if not vectors:
            return
        import numpy as np

        length = len(vectors[0][1])
        if self._rows is None or self._rows.shape[1] != length:
            self._slots, self._ids, self._free_slots = {}, [], []
            self._rows = np.zeros((max(_FIRST_ROWS, len(vectors)), length), np.int8)
            self._inverse_norms = np.zeros(len(self._rows), np.float32)
        slots = [self._slot_of(memory_id) for memory_id, _ in vectors]
        rows = np.frombuffer(b"".join(vector for _, vector in vectors), np.int8).reshape(len(vectors), length)
        assert self._inverse_norms is not None
        norms = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float32))
        self._rows[slots] = rows
        self._inverse_norms[slots] = np.divide(1, norms, out=np.zeros_like(norms), where=norms > 0)

    def remove(self, memory_id: str) -> None:
        """Forget a memory's vector, if there is one."""
        slot = self._slots.pop(memory_id, None)
        if slot is not None:
            assert self._rows is not None
            assert self._inverse_norms is not None
            self._rows[slot] = 0
            self._inverse_norms[slot] = 0.0
            self._ids[slot] = None
            self._free_slots.append(slot)

    def vector_of(self, memory_id: str) -> bytes:
        """Return a memory's vector; empty: it has none."""
        slot = self._slots.get(memory_id)
        return self._rows[slot].tobytes() if slot is not None and self._rows is not None else b""

    def similarities(self, query: bytes) -> Similarities:
        """Return how near every memory is to a query's vector."""
        import numpy as np

        asked = np.frombuffer(query, np.int8).astype(np.float32)
        length = float(np.linalg.norm(asked))
        count = len(self._ids)
        if self._rows is None or not count or not length or self._rows.shape[1] != len(asked):
            return Similarities(np.zeros(0, np.float32), self._slots, self._ids)
        assert self._inverse_norms is not None
        nearness = np.empty(count, np.float32)
        floats = _block(len(asked))
        for first in range(0, count, _ROWS_A_BLOCK):
            rows = self._rows[first : min(first + _ROWS_A_BLOCK, count)]
            block = floats[: len(rows)]
            np.copyto(block, rows)
            np.dot(block, asked, out=nearness[first : first + len(rows)])
        nearness *= self._inverse_norms[:count] / length
        return Similarities(nearness, self._slots, self._ids)

    @property
    def size_bytes(self) -> int:
        """The bytes that it takes, about."""
        rows = self._rows.nbytes if self._rows is not None else 0
        return _OBJECTS_BYTES + rows + len(self._ids) * _ID_BYTES + sys.getsizeof(self._slots)

    def __len__(self) -> int:
        return len(self._slots)

    def __contains__(self, memory_id: str) -> bool:
        return memory_id in self._slots

    def _slot_of(self, memory_id: str) -> int:
        import numpy as np

        slot = self._slots.get(memory_id)
        if slot is not None:
            return slot
        assert self._rows is not None
        assert self._inverse_norms is not None
        if self._free_slots:
            slot = self._free_slots.pop()
            self._ids[slot] = memory_id
        else:
            slot = len(self._ids)
            self._ids.append(memory_id)
            if slot == len(self._rows):
                more = max(_FIRST_ROWS, slot // 4)
                self._rows = np.concatenate([self._rows, np.zeros((more, self._rows.shape[1]), np.int8)])
                self._inverse_norms = np.concatenate([self._inverse_norms, np.zeros(more, np.float32)])
        self._slots[memory_id] = slot
        return slot


@cache
def _block(length: int) -> NDArray[np.float32]:
    """Return room for a block of rows as floats. Taken from the system for each search, it costs more than the search.

    One for all: searches run on the event loop, and none waits in the midst.
    """
    import numpy as np

    return np.empty((_ROWS_A_BLOCK, length), np.float32)


class Similarities:
    """How near memories are to one query: the cosine, 0 where it is less. Valid until the next change."""

    def __init__(self, nearness: NDArray[np.float32], slots: dict[str, int], ids: list[str | None]) -> None:
        self._nearness = nearness
        self._slots = slots
        self._ids = ids

    def of(self, memory_id: str) -> float:
        slot = self._slots.get(memory_id)
        return max(0.0, float(self._nearness[slot])) if slot is not None and slot < len(self._nearness) else 0.0

    def nearest(self, least: float, allowed: Callable[[str], bool] | None) -> Iterator[tuple[str, float]]:
        """Yield the ids of what is at least so near and allowed, nearest first."""
        for slots in self._by_nearness(least):
            for slot, nearness in zip(slots.tolist(), self._nearness[slots].tolist(), strict=True):
                memory_id = self._ids[slot]
                if memory_id is not None and (allowed is None or allowed(memory_id)):
                    yield memory_id, nearness

    def _by_nearness(self, least: float) -> Iterator[NDArray[np.intp]]:
        """Yield the slots of what is at least so near, nearest first: the first of them alone, since few go further."""
        import numpy as np

        near = np.flatnonzero(self._nearness >= least)
        if len(near) > 2 * _FIRST_NEAR:
            parted = np.argpartition(-self._nearness[near], _FIRST_NEAR)
            # In the order of slots, so that equals come in the same order however many there are.
            first, near = np.sort(near[parted[:_FIRST_NEAR]]), np.sort(near[parted[_FIRST_NEAR:]])
            yield first[np.argsort(-self._nearness[first], kind="stable")]
        yield near[np.argsort(-self._nearness[near], kind="stable")]

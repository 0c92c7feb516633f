"""The vectors of one user's memories, compared with a query's one by one: exact, and fast as long as they are few.

A vector is int8 of any scale: only its angle counts. A search over 10,000 of 256 dimensions takes a fifth of a
millisecond.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Generic, TypeVar

from memsvc.search.changes import Changes
from memsvc.search.products import products

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

K = TypeVar("K", bound=Hashable)

_FIRST_ROWS = 16
_OBJECTS_BYTES = 2048
_FIRST_NEAR = 256
_ID_BYTES = 110


class VectorIndex(Generic[K]):
    """Vectors by id, all of one length. Not for several threads at once."""

    def __init__(self) -> None:
        self._slots: dict[K, int] = {}
        self._ids: list[K | None] = []
        self._free_slots: list[int] = []
        self._rows: NDArray[np.int8] | None = None
        """By slot. One more than there are slots is there, all 0: it stands for what has no vector."""
        self._inverse_norms: NDArray[np.float32] | None = None
        self.changes = Changes[K]()

    def put_all(self, vectors: Sequence[tuple[K, bytes]]) -> None:
        """Keep vectors, by id, each in place of the one that was there."""
        if not vectors:
            return
        import numpy as np

        self.changes.note([name for name, _ in vectors])
        length = len(vectors[0][1])
        if self._rows is None or self._rows.shape[1] != length:
            self._slots, self._ids, self._free_slots = {}, [], []
            self._rows = np.zeros((max(_FIRST_ROWS, len(vectors) + 1), length), np.int8)
            self._inverse_norms = np.zeros(len(self._rows), np.float32)
        slots = [self._slot_of(name) for name, _ in vectors]
        rows = np.frombuffer(b"".join(vector for _, vector in vectors), np.int8).reshape(len(vectors), length)
        assert self._inverse_norms is not None
        norms = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float32))
        self._rows[slots] = rows
        self._inverse_norms[slots] = np.divide(1, norms, out=np.zeros_like(norms), where=norms > 0)

    def remove(self, name: K) -> None:
        """Forget a vector, if there is one."""
        slot = self._slots.pop(name, None)
        if slot is not None:
            assert self._rows is not None
            assert self._inverse_norms is not None
            self.changes.note((name,))
            self._rows[slot] = 0
            self._inverse_norms[slot] = 0.0
            self._ids[slot] = None
            self._free_slots.append(slot)

    def row_of(self, name: K) -> int:
        """Return where `Similarities.of_rows` finds a vector, until it is removed; -1: there is none."""
        return self._slots.get(name, -1)

    def vector_of(self, name: K) -> bytes:
        """Return a vector; empty: there is none."""
        slot = self._slots.get(name)
        return self._rows[slot].tobytes() if slot is not None and self._rows is not None else b""

    def similarities(self, query: bytes) -> Similarities[K]:
        """Return how near everything is to a query's vector."""
        import numpy as np

        asked, count = np.frombuffer(query, np.int8), len(self._ids)
        floats = asked.astype(np.float32)
        # The root as float32 has it: rounded once more, that of a double is the same.
        length = float(np.float32(math.sqrt(floats.dot(floats))))
        if self._rows is None or not count or not length or self._rows.shape[1] != len(asked):
            return Similarities(np.zeros(1, np.float32), {}, [])
        assert self._inverse_norms is not None
        nearness = products(self._rows[: count + 1], asked)
        nearness *= self._inverse_norms[: count + 1] / length
        return Similarities(nearness, self._slots, self._ids)

    @property
    def size_bytes(self) -> int:
        """The bytes that it takes, about."""
        rows = self._rows.nbytes if self._rows is not None else 0
        return _OBJECTS_BYTES + rows + len(self._ids) * _ID_BYTES + sys.getsizeof(self._slots)

    def __len__(self) -> int:
        return len(self._slots)

    def __contains__(self, name: K) -> bool:
        return name in self._slots

    def _slot_of(self, name: K) -> int:
        import numpy as np

        slot = self._slots.get(name)
        if slot is not None:
            return slot
        assert self._rows is not None
        assert self._inverse_norms is not None
        if self._free_slots:
            slot = self._free_slots.pop()
            self._ids[slot] = name
        else:
            slot = len(self._ids)
            self._ids.append(name)
            if len(self._ids) == len(self._rows):
                more = max(_FIRST_ROWS, slot // 4)
                self._rows = np.concatenate([self._rows, np.zeros((more, self._rows.shape[1]), np.int8)])
                self._inverse_norms = np.concatenate([self._inverse_norms, np.zeros(more, np.float32)])
        self._slots[name] = slot
        return slot


class Similarities(Generic[K]):
    """How near things are to one query: the cosine, 0 where it is less. Valid until the next change."""

    def __init__(self, nearness: NDArray[np.float32], slots: dict[K, int], ids: list[K | None]) -> None:
        """`nearness` is by slot, and ends with a 0 for what has none."""
        self._nearness = nearness
        self._slots = slots
        self._ids = ids

    def of_each(self, names: Collection[K]) -> dict[K, float]:
        """Return how near each of these is, in order."""
        import numpy as np

        slots = np.fromiter(map(self._slots.get, names, repeat(len(self._ids))), np.intp, len(names))
        return dict(zip(names, np.maximum(self._nearness[slots], 0).tolist(), strict=True))

    def of_rows(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return how near the vectors of these rows are, negative too; 0 where there is none (-1)."""
        return self._nearness.take(rows, mode="wrap")

    def nearest(self, least: float, limit: int, allowed: Callable[[K], bool] | None = None) -> dict[K, float]:
        """Return what is at least so near, more than 0, and allowed: the `limit` nearest, nearest first."""
        found: dict[K, float] = {}
        for slots in self._by_nearness(least):
            if allowed is None:
                slots = slots[: limit - len(found)]
            for slot, nearness in zip(slots.tolist(), self._nearness[slots].tolist(), strict=True):
                name = self._ids[slot]
                if name is not None and (allowed is None or allowed(name)):
                    found[name] = nearness
                    if len(found) == limit:
                        return found
        return found

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

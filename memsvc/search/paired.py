"""One user's memories by words and by meaning at once, where neither a filter nor another user has a say."""

from __future__ import annotations

import sys
from array import array
from typing import TYPE_CHECKING

from memsvc.model import Memory
from memsvc.search.fusing import Slots, best_fused
from memsvc.search.hybrid import Asked, Ranked, width_of
from memsvc.search.lexical import GONE, LexicalIndex
from memsvc.search.vectors import VectorIndex

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Paired:
    """Both indexes of the same memories. It finds what `fuse` makes of the `candidates` of both."""

    def __init__(self, words: LexicalIndex, vectors: VectorIndex[str]) -> None:
        self.words = words
        self.vectors = vectors
        self._rows = array("q", map(vectors.row_of, words.slot_ids()))
        """Of the vectors, by slot of the index by words. Of what is gone from that it may be any."""
        self._versions = words.changes.version, vectors.changes.version

    def best(self, asked: Asked, limit: int) -> list[Ranked[Memory]] | None:
        """Return the `limit` best, best first; None: the query asks for nothing but stop words."""
        words = self.words
        scored = words.scored(asked.text)
        if scored is None:
            return None
        nearness = self.vectors.similarities(asked.vector).of_rows(self._paired())
        times = words.times()
        if words.has_gone:
            nearness[times == GONE] = 0.0
        slots = Slots(
            words=scored.scores,
            holds=scored.holds,
            nearness=nearness,
            factors=None,
            times=times,
            tie=words.id_of,
        )
        return best_fused(slots, width_of(limit), limit, words.memory_of)

    @property
    def size_bytes(self) -> int:
        return sys.getsizeof(self._rows)

    def _paired(self) -> NDArray[np.int64]:
        """Return the row of each slot's vector, -1 where there is none."""
        import numpy as np

        words, vectors = self.words, self.vectors
        moved, changed = words.changes.since(self._versions[0]), vectors.changes.since(self._versions[1])
        if moved is None or changed is None:
            self._rows = array("q", map(vectors.row_of, words.slot_ids()))
        else:
            self._rows.extend([-1] * (len(words.times()) - len(self._rows)))
            for memory_id in (*moved, *changed):
                slot = words.slot_of(memory_id)
                if slot is not None:
                    self._rows[slot] = vectors.row_of(memory_id)
        self._versions = words.changes.version, vectors.changes.version
        return np.frombuffer(self._rows, np.int64)

"""What was said next to what: the memories of each session as a doubly linked list over slots."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence

from memsvc.model import Memory

_NONE = -1


class Neighbours:
    """The order of memories, each in its slot, within their sessions: by the time they were said, then by number."""

    def __init__(self, memories: Sequence[Memory | None]) -> None:
        self._memories = memories
        self._before = array("i")
        self._after = array("i")
        self._last: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._last)

    def of(self, slot: int) -> list[int]:
        """Return the slots of what was said just before and just after: none, one or two."""
        return [near for near in (self._before[slot], self._after[slot]) if near != _NONE]

    def lend(self, sums: Mapping[int, float], slots: Iterable[int], share: float) -> dict[int, float]:
        """Return, for each of the slots, its sum and a share of the better of its neighbours' sums."""
        before, after, sum_of = self._before, self._after, sums.get
        scores = {}
        for slot in slots:
            first, second = sum_of(before[slot], 0.0), sum_of(after[slot], 0.0)
            scores[slot] = sum_of(slot, 0.0) + share * (first if first > second else second)
        return scores

    def insert(self, slot: int) -> None:
        """Give a slot its place: at once where it is the session's last, else past all that came after it."""
        while len(self._before) <= slot:
            self._before.append(_NONE)
            self._after.append(_NONE)
        session_id, mine = self._session_and_order(slot)
        if not session_id:
            return
        before, after = self._last.get(session_id, _NONE), _NONE
        while before != _NONE and self._session_and_order(before)[1] > mine:
            before, after = self._before[before], before
        self._join(before, slot)
        self._join(slot, after)
        if after == _NONE:
            self._last[session_id] = slot

    def remove(self, slot: int) -> None:
        """Take a slot, whose memory is still there, out of its session."""
        session_id, _ = self._session_and_order(slot)
        if not session_id:
            return
        before, after = self._before[slot], self._after[slot]
        self._join(before, after)
        self._before[slot] = self._after[slot] = _NONE
        if after != _NONE:
            return
        if before != _NONE:
            self._last[session_id] = before
        else:
            del self._last[session_id]

    @property
    def size_bytes(self) -> int:
        return sum(map(sys.getsizeof, (self._before, self._after, self._last)))

    def _join(self, before: int, after: int) -> None:
        if before != _NONE:
            self._after[before] = after
        if after != _NONE:
            self._before[after] = before

    def _session_and_order(self, slot: int) -> tuple[str, tuple[int, int]]:
        memory = self._memories[slot]
        assert memory is not None
        return memory.origin.session_id, (memory.observe_time, memory.number)

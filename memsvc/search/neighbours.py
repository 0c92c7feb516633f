"""What was said next to what: the memories of each session as a doubly linked list over slots."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence

from memsvc.model import Memory

_NONE = -1


class Neighbours:
    """The order of the memories in their sessions: by the time they were said, then by number."""

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

    def insert(self, slot: int, session_id: str) -> None:
        """Give a new slot its place: at once where it is the session's last, else past all that came after it."""
        while len(self._before) <= slot:
            self._before.append(_NONE)
            self._after.append(_NONE)
        if not session_id:
            return
        before, after = self._last.get(session_id, _NONE), _NONE
        mine = self._order(slot)
        while before != _NONE and self._order(before) > mine:
            before, after = self._before[before], before
        self._join(before, slot)
        self._join(slot, after)
        if after == _NONE:
            self._last[session_id] = slot

    def remove(self, slot: int, session_id: str) -> None:
        if not session_id:
            return
        before, after = self._before[slot], self._after[slot]
        self._join(before, after)
        if after == _NONE:
            if before == _NONE:
                del self._last[session_id]
            else:
                self._last[session_id] = before
        self._before[slot] = self._after[slot] = _NONE

    @property
    def size_bytes(self) -> int:
        return sum(map(sys.getsizeof, (self._before, self._after, self._last)))

    def _order(self, slot: int) -> tuple[int, int]:
        memory = self._memories[slot]
        assert memory is not None
        return memory.observe_time, memory.number

    def _join(self, before: int, after: int) -> None:
        if before != _NONE:
            self._after[before] = after
        if after != _NONE:
            self._before[after] = before

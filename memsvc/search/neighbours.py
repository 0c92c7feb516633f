"""What was said next to what: the documents of each session as a doubly linked list over slots."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Sequence

NONE = -1
"""No slot."""

Place = tuple[str, int, int]
"""A session ("": none, and no neighbours) and the order within it."""


class Neighbours:
    """The order of documents, each in its slot, within their sessions."""

    def __init__(self, place_of: Callable[[int], Place]) -> None:
        """`place_of` says where the document of a slot stands; what it says of a slot stays until that is removed."""
        # One more than there are slots: from `NONE`, which is the last one too, there is no step.
        self.before = array("i", (NONE,))
        self.after = array("i", (NONE,))
        self._place_of = place_of
        self._last: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._last)

    def __len__(self) -> int:
        """How many slots there are."""
        return len(self.before) - 1

    def insert(self, slot: int, place: Place) -> None:
        """Give a slot its place: at once where it is the session's last, else past all that came after it."""
        while len(self) <= slot:
            self.before.append(NONE)
            self.after.append(NONE)
        session_id = place[0]
        if not session_id:
            return
        before, after = self._last.get(session_id, NONE), NONE
        while before != NONE and self._place_of(before) > place:
            before, after = self.before[before], before
        self._join(before, slot)
        self._join(slot, after)
        if after == NONE:
            self._last[session_id] = slot

    def extend(self, session_ids: Sequence[str]) -> None:
        """Give the next slots their places: each is the last of its session."""
        before, after, last = self.before, self.after, self._last
        slot = len(self)
        after.extend([NONE] * len(session_ids))
        for session_id in session_ids:
            previous = last.get(session_id, NONE)
            before[slot] = previous
            before.append(NONE)
            if previous != NONE:
                after[previous] = slot
            if session_id:
                last[session_id] = slot
            slot += 1

    def remove(self, slot: int, place: Place) -> None:
        """Take a slot out of its session."""
        session_id = place[0]
        if not session_id:
            return
        before, after = self.before[slot], self.after[slot]
        self._join(before, after)
        self.before[slot] = self.after[slot] = NONE
        if after != NONE:
            return
        if before != NONE:
            self._last[session_id] = before
        else:
            del self._last[session_id]

    @property
    def size_bytes(self) -> int:
        return sum(map(sys.getsizeof, (self.before, self.after, self._last)))

    def _join(self, before: int, after: int) -> None:
        if before != NONE:
            self.after[before] = after
        if after != NONE:
            self.before[after] = before

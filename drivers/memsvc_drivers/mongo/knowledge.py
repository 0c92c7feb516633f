"""What this process knows of journals, so that most appends need not look before they insert."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from memsvc.storage.driver import Tip

_MOST = 50_000
_TRUSTED_SECONDS = 3_600.0
"""What was seen longer ago is not known any more: what is forgotten keeps its place for a day, and after that an append
there would be taken."""


class Place(NamedTuple):
    """Where a journal ended when it was last seen."""

    after: int
    """What its newest entry follows."""
    tip: Tip
    applied: int | None
    """A seq up to which all rows show; None: not known."""
    open_after: int | None
    """What the oldest entry follows that may be open; None: not known."""
    seen: float
    """When that was, in seconds since the epoch."""


class Knowledge:
    """Tips that were read or written on connections that still hold.

    What the majority holds stays, so a tip known once is in the journal until what was truncated is deleted, unless the
    server's data are replaced: that takes a server that stops, and breaks its connections.
    """

    def __init__(self, losses: Callable[[], int], clock: Callable[[], float] = time.time) -> None:
        """`clock`: by which is said, too, how long ago something was truncated."""
        self._losses = losses
        self._clock = clock
        self._as_of = losses()
        self._places: dict[str, Place] = {}

    def place(self, user: str) -> Place | None:
        """Return what is known of a user's journal."""
        place = self._current().get(user)
        if place is None or 0 <= self._clock() - place.seen <= _TRUSTED_SECONDS:
            return place
        del self._places[user]
        return None

    def tip(self, user: str) -> Tip | None:
        """Return where a user's journal ended; None: not known."""
        place = self.place(user)
        return place and place.tip

    def applied(self, user: str) -> int | None:
        """Return a seq up to which all rows show; None: not known."""
        place = self.place(user)
        return place and place.applied

    def saw(
        self, user: str, after: int, tip: Tip, *, applied: int | None = None, open_after: int | None = None
    ) -> None:
        """Remember what was read or written; what was known and is not said anew still holds."""
        known = self.place(user)
        places = self._places
        places.pop(user, None)
        if known is not None:
            applied = _later(applied, known.applied)
            open_after = _later(open_after, known.open_after)
            if known.tip.seq > tip.seq:
                # Read before the append that is known of.
                after, tip = known.after, known.tip
        if len(places) >= _MOST:
            del places[next(iter(places))]
        places[user] = Place(after, tip, applied, open_after, self._clock())

    def _current(self) -> dict[str, Place]:
        losses = self._losses()
        if losses != self._as_of:
            self._as_of = losses
            self._places.clear()
        return self._places


def _later(one: int | None, other: int | None) -> int | None:
    return max((seq for seq in (one, other) if seq is not None), default=None)

"""Who waits for a place, so that a crowd keeps nobody waiting but itself.

Calls that came by one connection and read wait in a line of their own, and so do those that write; the lines have their
turn one after the other. Of a line the last one is first: in a crowd those that have just come can still be served
well, instead of nobody. gRPC does not tell one connection by a unix socket from another.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable, Set
from typing import Final


class FairQueue:
    """Places are given to one line after the other; whoever has waited longest can be refused."""

    def __init__(self) -> None:
        self.lines: dict[Hashable, list[asyncio.Future[None]]] = {}
        """Whose turn is next, first; empty: nobody waits."""
        self._all: Final[deque[tuple[asyncio.Future[None], float]]] = deque()
        """Since when, oldest first; some may wait no more."""

    def join(self, line: Hashable, since: float) -> asyncio.Future[None]:
        """Return what is done when there may be a place for the caller, who has waited since then."""
        place = asyncio.get_running_loop().create_future()
        self.lines.setdefault(line, []).append(place)
        self._all.append((place, since))
        return place

    def give_place(self, but: Set[Hashable] = frozenset()) -> None:
        """Tell the next one, of none of these lines, that there is a place."""
        for line in [line for line in self.lines if line not in but]:
            places = self.lines.pop(line)
            place = places.pop()
            while place.done() and places:
                place = places.pop()
            if places:
                self.lines[line] = places
            if not place.done():
                place.set_result(None)
                return

    def oldest_since(self) -> float | None:
        """Return since when the one waits that has waited longest; None where nobody does."""
        while self._all and self._all[0][0].done():
            self._all.popleft()
        return self._all[0][1] if self._all else None

    def refuse_oldest(self, refusal: Exception) -> None:
        """Have the one that has waited longest fail with it; somebody must wait."""
        self._all.popleft()[0].set_exception(refusal)

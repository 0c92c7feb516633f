"""Which names of an index changed last, for what is derived from it and goes on where it can."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from typing import Generic, TypeVar

K = TypeVar("K")

_MOST_NAMES = 64


class Changes(Generic[K]):
    """The last names that changed; `version` counts all changes."""

    def __init__(self) -> None:
        self.version = 0
        self._names: deque[K] = deque(maxlen=_MOST_NAMES)

    def note(self, names: Collection[K]) -> None:
        """Note that these changed."""
        self.version += len(names)
        self._names.extend(names)

    def since(self, version: int) -> Collection[K] | None:
        """Return the names that changed since a version; None: there were too many."""
        count = self.version - version
        if not count:
            return []
        if count > len(self._names):
            return None
        return list(self._names)[len(self._names) - count :]

"""What was made of words, remembered up to so many bytes."""

from __future__ import annotations

import sys
from typing import Generic, TypeVar

T = TypeVar("T")

_ENTRY_BYTES = 100
"""The place that an entry takes in a dictionary, which is at times half empty."""


class Remembered(dict[str, T], Generic[T]):
    """A dictionary that is emptied before it would hold more than `most_bytes`. It is read as any other is."""

    __slots__ = ("_most_bytes", "held_bytes")

    def __init__(self, most_bytes: int) -> None:
        super().__init__()
        self._most_bytes = most_bytes
        self.held_bytes = 0

    def keep(self, word: str, made: T, made_bytes: int) -> None:
        """Remember what was made of a word that is not known yet; `made_bytes`: what that takes."""
        added = sys.getsizeof(word) + _ENTRY_BYTES + made_bytes
        if self.held_bytes + added > self._most_bytes:
            self.clear()
            self.held_bytes = 0
        if added <= self._most_bytes:
            self[word] = made
            self.held_bytes += added

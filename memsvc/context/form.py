"""The contract of a form of the text: how memories, and what stands around them, are written."""

from __future__ import annotations

from typing import Protocol

import msgspec

from memsvc.model import Layer, Memory, Polarity

_RANK_SHIFT = 56
_RANKS = {
    Polarity.POSITIVE: 1 << _RANK_SHIFT,
    Polarity.NEGATIVE: 2 << _RANK_SHIFT,
    Polarity.NONE: 3 << _RANK_SHIFT,
}


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A memory as it is written."""

    memory_id: str
    order: int
    """Its place among the entries of a block."""
    path: tuple[str, ...]
    """The branches of the block that it is in."""
    text: str


class Form(Protocol):
    """Writes the memories of one user such that nothing from a memory can be taken for structure.

    What is opened (`(opening, closing)`) is written only around something; `separator` goes between neighbours.
    """

    separator: str

    def wrapper(self) -> tuple[str, str]:
        """Around everything."""

    def shared(self, stable: bool) -> tuple[str, str]:
        """Around all shared users whose sections are stable, or all whose sections are not."""

    def shared_user(self, user_id: str) -> tuple[str, str]:
        """Around the layers of one shared user."""

    def layer(self, layer: Layer) -> tuple[str, str]:
        """Around a block of entries."""

    def branch(self, path: tuple[str, ...]) -> tuple[str, str]:
        """Around the entries of one branch of a block."""

    def entry(self, memory: Memory) -> Entry:
        """Return a memory as it is written."""


def order_of(number: int, polarity: Polarity | None) -> int:
    """Return an entry's place: what has a key (polarity None), what worked, what did not, the other texts."""
    return number if polarity is None else _RANKS[polarity] | number

"""The contract of a form of the text: how memories, and what stands around them, are written."""

from __future__ import annotations

from typing import Final, Protocol

import msgspec

from memsvc.model import Layer, Memory, Polarity

RANKS: Final = {Polarity.POSITIVE: 1 << 60, Polarity.NEGATIVE: 2 << 60, Polarity.NONE: 3 << 60}
"""What the order of a text in a list starts at: behind what has a key, and behind any number."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A memory as it is written."""

    memory_id: str
    order: int
    """Its place in its block: the memory's number, for texts in a list above `RANKS` of the list."""
    path: tuple[str, ...]
    """The branches of the block that it is in."""
    text: str


class Form(Protocol):
    """Writes the memories of one user such that nothing from a memory can be taken for structure.

    What is opened (`(opening, closing)`) is written only around something; `separator` goes between neighbours.
    """

    separator: str

    def __hash__(self) -> int:
        """Forms are few, and told apart by which they are."""

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

"""The contract of a form of the text: how memories, and what stands around them, are written."""

from __future__ import annotations

from typing import Protocol

import msgspec

from memsvc.document import stands_alone
from memsvc.model import Layer, Memory, Polarity


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A memory as it is written."""

    memory_id: str
    order: tuple[int, int]
    """Its place among the entries of a block."""
    path: tuple[str, ...]
    """The branches of the block that it is in."""
    text: str


class Form(Protocol):
    """Writes texts such that nothing from a memory can be taken for structure.

    What is opened (`(opening, closing)`) is written only around something. `separator` goes between neighbours.
    """

    separator: str

    def wrapper(self) -> tuple[str, str]: ...

    def shared(self, stable: bool) -> tuple[str, str]:
        """Around all shared users whose sections are stable, or are not."""

    def shared_user(self, user_id: str) -> tuple[str, str]: ...

    def layer(self, layer: Layer, shared: bool) -> tuple[str, str]: ...

    def branch(self, path: tuple[str, ...], shared: bool) -> tuple[str, str]: ...

    def entry(self, memory: Memory, shared: bool) -> Entry: ...


_KEYED = 0
_RANKS = {Polarity.POSITIVE: 1, Polarity.NEGATIVE: 2, Polarity.NONE: 3}


def order_of(memory: Memory) -> tuple[int, int]:
    """Return its place in a block: keyed memories first, then what worked, what did not, and the other texts."""
    return (_RANKS[memory.polarity] if stands_alone(memory) else _KEYED, memory.number)

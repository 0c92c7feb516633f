"""Which of a user's memories say what, in the same words: found at once, however many there are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Final

from memsvc.journal.state import Layers
from memsvc.model import Change, Layer, Memory
from memsvc.search.filter import plain_wording

_ENTRY_BYTES: Final = 120
"""A number and its place in the map; the id is the memory's own."""
_MEMORIES_A_STEP: Final = 64


class Wordings:
    """Follows the memories of a user. Texts are told apart by hashes: whoever finds a memory compares what it says."""

    def __init__(self, layers: Layers, ids: dict[int, tuple[str, ...]]) -> None:
        self.layers = layers
        """The memories that it knows, as the state has them: of others it may be wrong."""
        self._ids = ids

    @classmethod
    def build(cls, layers: Layers) -> Wordings:
        """Return one that knows these memories: some 4 us each; `build_async` for many."""
        wordings = cls(layers, {})
        for memory in _all_of(layers):
            wordings._add(memory)
        return wordings

    @classmethod
    async def build_async(cls, layers: Layers, slice_seconds: float = 0.001) -> Wordings:
        """Return one that knows these memories, letting the event loop go on after each slice."""
        wordings = cls(layers, {})
        slice_end = time.monotonic() + slice_seconds
        memories = _all_of(layers)
        while step := list(islice(memories, _MEMORIES_A_STEP)):
            for memory in step:
                wordings._add(memory)
            if time.monotonic() >= slice_end:
                await asyncio.sleep(0)
                slice_end = time.monotonic() + slice_seconds
        return wordings

    @property
    def size_bytes(self) -> int:
        """About how much RAM it takes."""
        return _ENTRY_BYTES * len(self._ids)

    def find(self, layer: Layer, text: str) -> Sequence[str]:
        """Return the ids of the layer's memories that may say this in the same words, but for accents, by number.

        Of several the same one is then found whether the user was read just now, or followed.
        """
        ids: Sequence[str] = self._ids.get(_key(layer, text), ())
        if len(ids) > 1:
            there = self.layers[layer]
            ids = sorted(filter(there.__contains__, ids), key=lambda each: there[each].number)
        return ids

    def move(self, change: Change) -> None:
        """Follow a change of a memory that is none of the past. Whoever has moved on says so in `layers`."""
        if change.before is not None:
            self._remove(change.before)
        if change.after is not None:
            self._add(change.after)

    def _add(self, memory: Memory) -> None:
        key = _key(memory.layer, memory.text)
        self._ids[key] = (*self._ids.get(key, ()), memory.memory_id)

    def _remove(self, memory: Memory) -> None:
        key = _key(memory.layer, memory.text)
        left = tuple(each for each in self._ids.pop(key, ()) if each != memory.memory_id)
        if left:
            self._ids[key] = left


def _all_of(layers: Layers) -> Iterator[Memory]:
    return chain.from_iterable(memories.values() for memories in layers.values())


def _key(layer: Layer, text: str) -> int:
    return hash((layer, plain_wording(text)))

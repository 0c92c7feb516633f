"""What things take in RAM: estimates that are held against the process's memory by a test.

Nothing is measured here but by counting characters: a user is weighed each time that it moves.
"""

from __future__ import annotations

from sys import getsizeof
from typing import Final

from msgspec.structs import astuple

from memsvc.model import Memory, Origin

USER_BYTES: Final = 2_200
"""The state, its maps and what stands around it, without memories."""
REQUEST_BYTES: Final = 420
"""A request id that was answered."""
ORDER_BYTES: Final = 120
"""The place of a memory in the order of changes."""

_MEMORY_BYTES: Final = 400
"""The struct, its number, its times, and its places in the maps of the state."""
_SHORT: Final = 32
_ORIGIN_BYTES: Final = 110


def memory_bytes(memory: Memory) -> int:
    """Return about how much RAM a memory takes, with its place in the state."""
    size = _MEMORY_BYTES + getsizeof(memory.memory_id) + getsizeof(memory.text) + getsizeof(memory.etag)
    for text in (memory.key, memory.value_json, memory.input):
        if text:
            size += getsizeof(text)
    if memory.key:
        # Its place by key, which is a text of its own.
        size += getsizeof(memory.key) + 100
    if memory.topics:
        size += getsizeof(memory.topics) + sum(map(getsizeof, memory.topics))
    if memory.metadata:
        size += getsizeof(memory.metadata) + sum(map(getsizeof, memory.metadata.values()))
        # Short names are one object for all memories that have them.
        size += sum(getsizeof(name) for name in memory.metadata if len(name) > _SHORT)
    return size + _origin_bytes(memory.origin)


def _origin_bytes(origin: Origin) -> int:
    size = sum(map(getsizeof, filter(None, astuple(origin))))
    return size and size + _ORIGIN_BYTES

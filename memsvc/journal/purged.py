"""What is to be blanked in a journal, by the names that records ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from memsvc.model import Memory

EVERYTHING: Final = "\n*"
"""Among the ids of what a record purges: all that was there up to it. No id has a line break."""
_SESSION: Final = "\ns"


def learned_from(session_id: str) -> str:
    """Return what stands among the ids for all that came from a session, be it part of a memory that lives on."""
    return f"{_SESSION}{session_id}"


def has_to_go(memory: Memory, seq: int, asked: Mapping[str, int]) -> bool:
    """Return whether what record `seq` says of a memory is among what was asked to be purged."""
    # What a memory said before belongs to it, also as a fact of the past.
    names = (memory.memory_id, memory.successor_id, learned_from(memory.origin.session_id), EVERYTHING)
    return any(seq <= asked.get(name, 0) for name in names)

"""What is to be blanked in a journal, by the names that records ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from memsvc.journal.records import Body
from memsvc.journal.state import State
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


def is_blanked(body: Body) -> bool:
    """Return whether a purge took the text of what a record made, or changed: that may live on nevertheless."""
    made = (memory for change in body.changes for memory in (change.after, change.former))
    return any(memory is not None and not memory.text for memory in made)


def with_texts(body: Body, state: State) -> Body:
    """Return what a record says with the texts that a purge took from it, of what lives on as it was made there."""

    def whole(memory: Memory | None) -> Memory | None:
        now = state.memory(memory.memory_id) if memory is not None else None
        return now if memory is not None and now is not None and now.etag == memory.etag else memory

    changes = tuple(replace(change, after=whole(change.after), former=whole(change.former)) for change in body.changes)
    return replace(body, changes=changes)

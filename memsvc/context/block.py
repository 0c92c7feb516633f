"""What is chosen of one layer of one user, and what stands around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

import msgspec

from memsvc.context.contract import ContextRequest, Source
from memsvc.context.form import Entry, Form
from memsvc.model import Layer, Memory, is_shared

_MAX_ENTRIES: Final = 1024
_ENTRY_BYTES: Final = 250
_CHOSEN_BYTES: Final = 110


class Entries(dict[str, Entry]):
    """Memories as a form writes them, by id."""

    @property
    def size_bytes(self) -> int:
        """About what they take."""
        return _ENTRY_BYTES * len(self)


class Frame(msgspec.Struct, frozen=True, gc=False):
    """What stands around blocks: the wrapper, what is of shared users, one of them, a layer."""

    key: tuple[object, ...]
    opening: str
    closing: str
    shared_user_id: str = ""


class Block:
    """What is chosen of one layer of one user."""

    def __init__(self, form: Form, source: Source, owner: int, layer: Layer, request: ContextRequest) -> None:
        self.form = form
        self.owner = owner
        """0: the user itself; then the shared users in order."""
        self.layer = layer
        self.shared_user_id = source.user_id if owner else ""
        memories = source.layer(layer)
        if request.matches is not None:
            matches = request.matches
            memories = {key: memory for key, memory in memories.items() if matches(memory)}
        self.memories: Mapping[str, Memory] = memories
        self.outranked: Mapping[str, Memory] = {}
        self.stable = True
        self.chosen: dict[str, Entry] = {}
        self.branches: set[tuple[str, ...]] = {()}
        self.expires = False
        """Whether a memory chosen expires."""
        self.written: tuple[str, Sequence[str]] | None = None
        """Its text and the ids in it, once it was written: it is not written again while it is kept."""
        self._frames: tuple[Frame, ...] = ()
        self._is_of_team = is_shared(source.user_id)
        entries = source.written.get(form)
        if entries is None:
            entries = source.written[form] = Entries()
        self._entries = entries

    def entry(self, memory: Memory) -> Entry:
        """Return the memory as it is written; kept until it changes."""
        entry = self._entries.get(memory.memory_id)
        if entry is None:
            if len(self._entries) >= _MAX_ENTRIES:
                self._entries.clear()
            entry = self._entries[memory.memory_id] = self.form.entry(self._attributed(memory))
        return entry

    def _attributed(self, memory: Memory) -> Memory:
        """Return a memory with the member of the team who said it in its text; a keyed one names its member itself."""
        if not self._is_of_team or memory.key or not memory.origin.author_id:
            return memory
        return msgspec.structs.replace(memory, text=f"{memory.origin.author_id}: {memory.text}")

    @property
    def frames(self) -> tuple[Frame, ...]:
        """What is around it, from the outermost on."""
        if not self._frames:
            if self.owner:
                self._frames = _shared_frames(self.form, self.layer, self.stable, self.owner, self.shared_user_id)
            else:
                self._frames = _own_frames(self.form, self.layer)
        return self._frames

    @property
    def size_bytes(self) -> int:
        """About what it takes, besides the entries."""
        return _CHOSEN_BYTES * len(self.chosen) + (2 * len(self.written[0]) if self.written else 0)

    def contest(self) -> None:
        """Note that what is chosen depends on the query."""
        self.stable = False
        self._frames = ()

    def new_branches(self, entry: Entry) -> list[tuple[str, ...]]:
        """Return the branches that an entry would be the first in."""
        prefixes = (entry.path[: end + 1] for end in range(len(entry.path)))
        return [path for path in prefixes if path not in self.branches]

    def clear(self) -> None:
        """Choose nothing."""
        self.chosen = {}
        self.branches = {()}
        self.expires = False


@lru_cache(maxsize=64)
def _own_frames(form: Form, layer: Layer) -> tuple[Frame, ...]:
    """Return what is around a layer of the user's own. The same for all users, and as long as the server runs."""
    return Frame(("wrapper",), *form.wrapper()), Frame((0, layer), *form.layer(layer))


def _shared_frames(form: Form, layer: Layer, stable: bool, owner: int, user_id: str) -> tuple[Frame, ...]:
    return (
        Frame(("wrapper",), *form.wrapper()),
        Frame(("shared", stable), *form.shared(stable)),
        Frame(("shared", stable, owner), *form.shared_user(user_id), user_id),
        Frame((owner, layer), *form.layer(layer), user_id),
    )

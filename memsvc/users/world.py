"""What was so in the world at a time: memories by their validity, and the facts of the past that held then.

Not what the service knew at a time, which `memsvc.journal.past` reads from the journal. For example, of
`Lives in Berlin` (until 1 March, superseded by m2) and `m2: Lives in Oslo`, on 1 February the first one held.
"""

from __future__ import annotations

from collections.abc import Iterable

from memsvc.journal.state import Core, Layers, State, place
from memsvc.model import Layer, Memory
from memsvc.search.filter import MemoryFilter
from memsvc.users.hot import HotUser

_CACHE_KEY = "world"


def with_past(user: HotUser, wanted: MemoryFilter) -> HotUser:
    """Return whom to read for a filter: the user as it is unless the filter asks for facts of the past."""
    if not wanted.valid_at and not wanted.include_superseded:
        return user
    asked = wanted.valid_at, wanted.include_superseded, user.hides_some
    kept = user.cache.get(_CACHE_KEY)
    if isinstance(kept, _Seen) and kept.asked == asked and not user.hides_some:
        return kept.user
    former = [memory for memory in user.state.former.values() if user.visible(memory)]
    if wanted.valid_at:
        memories = _held_at(wanted.valid_at, list(user.memories()), former)
    else:
        memories = [*user.memories(), *former]
    seen = HotUser(_state_of(user.state, memories), user.checked, user.checked_time, is_past=True)
    user.cache[_CACHE_KEY] = _Seen(asked, seen)
    return seen


class _Seen:
    """A user seen at a time; counted among what was derived from it."""

    __slots__ = ("asked", "user")

    def __init__(self, asked: tuple[int, bool, bool], user: HotUser) -> None:
        self.asked = asked
        self.user = user

    @property
    def size_bytes(self) -> int:
        return self.user.size_bytes


def _held_at(time: int, present: Iterable[Memory], former: Iterable[Memory]) -> list[Memory]:
    """Return what held at a time; where a fact of the past did, what took its place did not yet."""
    past = [memory for memory in former if memory.holds_at(time)]
    succeeded = {memory.successor_id for memory in past}
    now = [memory for memory in present if memory.holds_at(time) and memory.memory_id not in succeeded]
    return [*now, *past]


def _state_of(state: State, memories: Iterable[Memory]) -> State:
    layers: dict[str, dict[str, Memory]] = {layer.value: {} for layer in Layer}
    keys: dict[str, str] = {}
    for memory in sorted(memories, key=lambda memory: memory.number):
        layers[memory.layer][memory.memory_id] = memory
        if memory.key:
            keys[place(memory.layer, memory.key)] = memory.memory_id
    core = Core(revision=state.core.revision, time=state.core.time)
    return State(state.scope, state.seq, state.nonce, core, Layers(**layers), keys)

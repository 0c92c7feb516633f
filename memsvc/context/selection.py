"""Chooses what of the memories goes into a context, within its budget and in an order that prompt caches can hold.

The user's own policies and profile come first, then those of shared users, in stable order. What is left goes to the
layers of which a part is chosen: knowledge and feedback. Where a user's fit whole, they go in whole, and the query is
not asked. Where they do not, the nearest to the query go in, of several users in turn, and then the newest. As long as
the user's own do not fit whole, shared users get, of what the query has no say in, at most half of what the user's own
policies and profile leave.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Final

import msgspec

from memsvc.context.contract import ContextRequest, Source
from memsvc.context.form import Entry, Form
from memsvc.context.outranking import outranked
from memsvc.model import Layer, Memory

FIXED: Final = (Layer.POLICY, Layer.PROFILE)
RANKED: Final = (Layer.KNOWLEDGE, Layer.FEEDBACK)

_MAX_MISSES: Final = 24
"""So many memories that do not fit are looked at before a layer is left."""
_MAX_HITS: Final = 256
_SMALLEST: Final = 2
"""No entry takes less, in any form."""
_SHORT: Final = 32
"""Few entries take less: the nearest that are asked for are as many as that would be."""


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
        self.source = source
        self.owner = owner
        """0: the user itself; then the shared users in order."""
        self.layer = layer
        memories = source.layer(layer)
        if request.matches is not None:
            matches = request.matches
            memories = {key: memory for key, memory in memories.items() if matches(memory)}
        self.memories: Mapping[str, Memory] = memories
        self.outranked: Mapping[str, Memory] = {}
        self.stable = True
        self.chosen: dict[str, Entry] = {}
        self.branches: set[tuple[str, ...]] = set()
        self._entries: dict[str, tuple[Entry, int]] = {}

    @property
    def shared_user_id(self) -> str:
        return self.source.user_id if self.owner else ""

    def frames(self) -> list[Frame]:
        """Return what is around it, from the outermost on."""
        form, layer = self.form, self.layer
        frames = [Frame(("wrapper",), *form.wrapper())]
        if self.owner:
            user_id = self.source.user_id
            frames.append(Frame(("shared", self.stable), *form.shared(self.stable)))
            frames.append(Frame(("shared", self.stable, self.owner), *form.shared_user(user_id), user_id))
        frames.append(Frame((self.owner, layer), *form.layer(layer, bool(self.owner)), self.shared_user_id))
        return frames

    def entry(self, memory: Memory, measure: Callable[[str], int]) -> tuple[Entry, int]:
        """Return a memory as it is written, and its size."""
        known = self._entries.get(memory.memory_id)
        if known is None:
            entry = self.form.entry(memory, bool(self.owner))
            known = self._entries[memory.memory_id] = entry, measure(entry.text)
        return known

    def clear(self) -> None:
        self.chosen = {}
        self.branches = set()


class Selection:
    """Blocks being filled within a budget; what things cost is exact."""

    def __init__(self, form: Form, measure: Callable[[str], int], limit: int) -> None:
        self._form = form
        self._measure = measure
        self._separator = measure(form.separator)
        self._left = limit
        self.reserved = 0
        """So much is kept for others."""
        self._open: set[tuple[object, ...]] = set()

    @property
    def room(self) -> int:
        return self._left - self.reserved

    def add(self, block: Block, memory: Memory) -> bool:
        """Choose a memory if it fits; return whether it is chosen."""
        if memory.memory_id in block.chosen:
            return True
        entry, cost = block.entry(memory, self._measure)
        if self._open:
            cost += self._separator
        branches = [path for path in _prefixes(entry.path) if path not in block.branches] if entry.path else ()
        for path in branches:
            cost += sum(map(self._measure, self._form.branch(path, bool(block.owner))))
        frames = () if block.chosen else [frame for frame in block.frames() if frame.key not in self._open]
        for frame in frames:
            cost += self._measure(frame.opening) + self._measure(frame.closing)
        if cost > self.room:
            return False
        self._left -= cost
        block.chosen[memory.memory_id] = entry
        block.branches.update(branches)
        self._open.update(frame.key for frame in frames)
        return True

    def take(self, candidates: Iterable[tuple[Block, Memory]]) -> None:
        """Choose what fits, in this order, until the budget is full."""
        misses = 0
        for block, memory in candidates:
            if not self.add(block, memory):
                misses += 1
                if misses == _MAX_MISSES or self.room < _SMALLEST:
                    return

    def take_whole(self, blocks: Sequence[Block]) -> bool:
        """Choose all of these blocks, or nothing; return whether they fit."""
        least = 0
        for _, memory in _members(blocks):
            least += _least(memory)
            if least > self.room:
                return False
        left, opened = self._left, set(self._open)
        for block, memory in _members(blocks):
            if not self.add(block, memory):
                self._left, self._open = left, opened
                for other in blocks:
                    other.clear()
                return False
        return True


def select(
    own: Source,
    shared: Sequence[Source],
    request: ContextRequest,
    form: Form,
    measure: Callable[[str], int],
    limit: int,
) -> tuple[list[Block], bool]:
    """Return the blocks, filled, user by user in the order of their layers, and whether the query had a say."""
    sources = [own, *shared]
    wanted = [layer for layer in (*FIXED, *RANKED) if not request.layers or layer in request.layers]
    users = [[Block(form, source, owner, layer, request) for layer in wanted] for owner, source in enumerate(sources)]
    selection = Selection(form, measure, limit)
    for owner, blocks in enumerate(users):
        _take_fixed(selection, own, blocks)
        if not owner and shared:
            selection.reserved = selection.room // 2
    contested = _take_ranked_whole(selection, users)
    for blocks in contested:
        for block in blocks:
            block.stable = False
    if request.query:
        selection.take(_nearest(contested, request.query, selection.room))
    for blocks in contested:
        selection.take(_newest(blocks))
    return [block for blocks in users for block in blocks], bool(contested)


def _take_fixed(selection: Selection, own: Source, blocks: Sequence[Block]) -> None:
    for block in blocks:
        if block.layer is Layer.POLICY:
            block.outranked = outranked(block.source, own)
        if block.layer in FIXED:
            selection.take(
                (block, memory) for memory in block.memories.values() if memory.memory_id not in block.outranked
            )


def _take_ranked_whole(selection: Selection, users: Sequence[Sequence[Block]]) -> list[list[Block]]:
    """Choose the ranked layers of each user where they fit whole; return those of the others."""
    ranked = [[block for block in blocks if block.layer in RANKED] for blocks in users]
    half = selection.reserved
    selection.reserved = 0
    own_fit = selection.take_whole(ranked[0])
    if own_fit:
        for blocks in users[1:]:
            _take_fixed(selection, users[0][0].source, blocks)
    else:
        selection.reserved = half
    contested = [blocks for blocks in ranked[1:] if not selection.take_whole(blocks)]
    selection.reserved = 0
    return contested if own_fit else [ranked[0], *contested]


def _nearest(contested: Sequence[Sequence[Block]], query: str, room: int) -> Iterator[tuple[Block, Memory]]:
    """Yield what is nearest to the query, of the users in turn: scores of different users do not compare."""
    limit = min(_MAX_HITS, room // _SHORT + 1)
    found = [_found(blocks, query, limit) for blocks in contested]
    for hits in zip_longest(*found):
        yield from filter(None, hits)


def _found(blocks: Sequence[Block], query: str, limit: int) -> Iterator[tuple[Block, Memory]]:
    def allowed(memory_id: str) -> bool:
        return any(memory_id in block.memories for block in blocks)

    for hit in blocks[0].source.search(query, limit, allowed):
        for block in blocks:
            memory = block.memories.get(hit.memory_id)
            if memory is not None:
                yield block, memory


def _newest(blocks: Sequence[Block]) -> Iterator[tuple[Block, Memory]]:
    by_layer = {block.layer: block for block in blocks}
    for memory in blocks[0].source.newest():
        block = by_layer.get(memory.layer)
        if block is not None and memory.memory_id in block.memories:
            yield block, memory


def _members(blocks: Iterable[Block]) -> Iterator[tuple[Block, Memory]]:
    return ((block, memory) for block in blocks for memory in block.memories.values())


def _least(memory: Memory) -> int:
    """Return what a memory takes at least, in any form, without writing it."""
    return _SMALLEST if memory.value_json or not memory.text.isprintable() else len(memory.text.strip()) + _SMALLEST


def _prefixes(path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    return (path[: end + 1] for end in range(len(path)))

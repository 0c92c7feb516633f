"""Chooses what of the memories goes into a context, within its budget and in an order that prompt caches can hold.

The user's own policies and profile come first, then those of shared users, in stable order. What is left goes to the
layers of which a part is chosen: knowledge and feedback. Where a user's fit whole, they go in whole, and the query is
not asked. Where they do not, the nearest to the query go in, of several users ranked as one, and then the newest. As
long as the user's own do not fit whole, shared users get, of what the query has no say in, at most half of what the
user's own policies and profile leave.

A profile that does not fit whole is chosen from as knowledge is, but that what has a key goes in first, into three
quarters of the room: what was learned last, and what the query is about, is not left out for what came first.

An agent asks with another query in every turn. What is chosen before a query has a say is kept between calls.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple

from msgspec import Struct

from memsvc.context.block import Block
from memsvc.context.contract import ContextRequest, Source
from memsvc.context.form import Entry, Form
from memsvc.context.outranking import outranked
from memsvc.invisible import hides
from memsvc.model import Layer, Memory
from memsvc.search.hybrid import Asked
from memsvc.search.together import Part, nearest_together

FIXED: Final = (Layer.POLICY, Layer.PROFILE)
RANKED: Final = (Layer.KNOWLEDGE, Layer.FEEDBACK)

_CACHE_KEY: Final = "context opening"
_OPENING_BYTES: Final = 1_000
_MAX_MISSES: Final = 12
"""So many memories that do not fit are looked at before a layer is left."""
_MAX_HITS: Final = 24
"""So many of the nearest are asked for; what has less to do with the query than these is no better than the newest."""
_SMALLEST: Final = 2
"""No entry takes less, in any form."""
_TYPICAL: Final = 48
"""About what an entry takes: says how many of the nearest to ask for, and whether whole blocks are likely to fit."""


class Owned(NamedTuple):
    """Blocks of one user."""

    source: Source
    blocks: Sequence[Block]


class Selection:
    """Blocks being filled within a budget; what things cost is exact."""

    def __init__(self, measure: Callable[[str], int], limit: int, separator: str) -> None:
        self._measure = measure
        self._separator = measure(separator)
        self._left = limit
        self.reserved = 0
        """So much is kept for others."""
        self._open: set[tuple[object, ...]] = set()

    def copy(self) -> Selection:
        """Return one to go on with, as this one is now."""
        copied = Selection(self._measure, self._left, "")
        copied._separator, copied.reserved, copied._open = self._separator, self.reserved, set(self._open)
        return copied

    @property
    def room(self) -> int:
        return self._left - self.reserved

    def add(self, block: Block, memory: Memory) -> bool:
        """Choose a memory if it fits; return whether it is chosen."""
        if memory.memory_id in block.chosen:
            return True
        entry = block.entry(memory)
        cost = self._measure(entry.text)
        if self._open:
            cost += self._separator
        branches = block.new_branches(entry) if entry.path not in block.branches else None
        if branches:
            cost += sum(self._size(*block.form.branch(path)) for path in branches)
        frames = None if block.chosen else [frame for frame in block.frames if frame.key not in self._open]
        if frames:
            cost += sum(self._size(frame.opening, frame.closing) for frame in frames)
        if cost > self._left - self.reserved:
            return False
        self._left -= cost
        block.chosen[entry.memory_id] = entry
        if memory.expire_time:
            block.expires = True
        if branches:
            block.branches.update(branches)
        if frames:
            self._open.update(frame.key for frame in frames)
        return True

    def _size(self, opening: str, closing: str) -> int:
        return self._measure(opening) + self._measure(closing)

    def take(self, candidates: Iterable[tuple[Block, Memory]]) -> None:
        """Choose what fits, in this order, until the budget is full."""
        misses = 0
        for block, memory in candidates:
            if not self.add(block, memory):
                misses += 1
                if misses == _MAX_MISSES or self.room < _SMALLEST:
                    return

    def take_written(self, blocks: Mapping[Layer, Block], newest: Newest) -> None:
        """Do as `take` does, with candidates whose cost is known."""
        misses, room, separator = 0, self.room, self._separator
        for layer, memory, entry, cost in newest:
            block = blocks[layer]
            chosen, memory_id = block.chosen, entry.memory_id
            if memory_id in chosen:
                continue
            if chosen and entry.path in block.branches and not memory.expire_time:
                # Nothing has to be opened for it.
                cost += separator
                if cost <= room:
                    room -= cost
                    chosen[memory_id] = entry
                    continue
            else:
                self._left = room + self.reserved
                if self.add(block, memory):
                    room = self.room
                    continue
            misses += 1
            if misses == _MAX_MISSES or room < _SMALLEST:
                break
        self._left = room + self.reserved

    def take_whole(self, blocks: Sequence[Block]) -> bool:
        """Choose all of these blocks, or nothing; return whether they fit."""
        if self._surely_too_large(blocks):
            return False
        left, opened = self._left, set(self._open)
        if all(self.add(block, memory) for block in blocks for memory in block.memories.values()):
            return True
        self._left, self._open = left, opened
        for block in blocks:
            block.clear()
        return False

    def _surely_too_large(self, blocks: Sequence[Block]) -> bool:
        """Tell without writing them, and without a look at more than it takes to know."""
        room = self.room
        if sum(len(block.memories) for block in blocks) * _TYPICAL < room:
            return False
        for block in blocks:
            for memory in block.memories.values():
                room -= _SMALLEST
                if not memory.value_json and not hides(memory.text):
                    room -= len(memory.text.strip())
                if room < 0:
                    return True
        return False


class Newest:
    """A user's newest memories with what they take: found as far as anybody asks, once a revision."""

    def __init__(self, candidates: Iterator[tuple[Block, Memory]], measure: Callable[[str], int]) -> None:
        self._candidates = candidates
        self._measure = measure
        self._found: list[tuple[Layer, Memory, Entry, int]] = []

    def __iter__(self) -> Iterator[tuple[Layer, Memory, Entry, int]]:
        yield from self._found
        for block, memory in self._candidates:
            entry = block.entry(memory)
            found = (block.layer, memory, entry, self._measure(entry.text))
            self._found.append(found)
            yield found


class Opening(Struct, frozen=True):
    """A user's own policies and profile, chosen, where the rest does not fit whole."""

    shape: Hashable
    """What of the request it depends on."""
    blocks: Sequence[Block]
    selection: Selection
    newest: Newest

    @property
    def size_bytes(self) -> int:
        """About what it takes, besides the entries."""
        return _OPENING_BYTES + sum(block.size_bytes for block in self.blocks)


def select(
    own: Source,
    shared: Sequence[Source],
    request: ContextRequest,
    forms: tuple[Form, Form],
    measure: Callable[[str], int],
    limit: int,
) -> tuple[list[Block], bool]:
    """Return the blocks, filled, user by user in the order of their layers, and whether the query had a say.

    `forms` are that of the user's own memories and that of the others'; `measure` says what a text takes of `limit`.
    """
    wanted = [layer for layer in (*FIXED, *RANKED) if not request.layers or layer in request.layers]
    shape = (forms[0], measure, limit, request.layers)
    alone = not shared and request.matches is None
    opening = own.cache.get(_CACHE_KEY) if alone else None
    if isinstance(opening, Opening) and opening.shape == shape:
        selection = opening.selection.copy()
        ranked = [Block(forms[0], own, 0, layer, request) for layer in wanted if layer in RANKED]
        for block in ranked:
            block.contest()
        if request.query and selection.room > _TYPICAL:
            selection.take(_nearest([own], [Owned(own, ranked)], Asked(request.query, request.vector), selection.room))
        selection.take_written({block.layer: block for block in ranked}, opening.newest)
        return [*opening.blocks, *ranked], True
    sources = list({source.user_id: source for source in (*reversed(shared), own)}.values())[::-1]
    users = [
        Owned(source, [Block(forms[owner > 0], source, owner, layer, request) for layer in wanted])
        for owner, source in enumerate(sources)
    ]
    selection = Selection(measure, limit, forms[0].separator)
    crowded = _take_own_fixed(selection, own, users[0])
    if shared:
        selection.reserved = selection.room // 2
    for owned in users[1:]:
        _take_fixed(selection, own, owned)
    contested = _take_ranked_whole(selection, own, users, crowded)
    fixed = [block for block in users[0].blocks if block.layer in FIXED]
    if (
        alone
        and contested
        and not crowded
        and not any(memory.expire_time for block in fixed for memory in block.memories.values())
    ):
        newest = Newest(_newest(contested[0]), measure)
        own.cache[_CACHE_KEY] = Opening(shape, fixed, selection.copy(), newest)
    _take_contested(selection, sources, contested, Asked(request.query, request.vector))
    return [block for owned in users for block in owned.blocks], bool(contested)


def _take_own_fixed(selection: Selection, own: Source, owned: Owned) -> list[Block]:
    """Choose the user's own policies and profile; return the profile where it does not fit whole, with its keys."""
    _take_fixed(selection, own, owned, (Layer.POLICY,))
    crowded = [block for block in owned.blocks if block.layer is Layer.PROFILE and not selection.take_whole([block])]
    for block in crowded:
        block.contest()
        selection.reserved = selection.room // 4
        selection.take((block, memory) for memory in block.memories.values() if memory.key)
        selection.reserved = 0
    return crowded


def _take_fixed(selection: Selection, own: Source, owned: Owned, layers: Collection[Layer] = FIXED) -> None:
    for block in owned.blocks:
        if block.layer is Layer.POLICY:
            block.outranked = outranked(owned.source, own)
        if block.layer in layers:
            selection.take(
                (block, memory) for memory in block.memories.values() if memory.memory_id not in block.outranked
            )


def _take_ranked_whole(
    selection: Selection, own: Source, users: Sequence[Owned], crowded: Sequence[Block]
) -> list[Owned]:
    """Choose the ranked layers of each user where they fit whole; return those of the others.

    `crowded`: what else of the user's own is chosen from; its ranked layers are then as well.
    """
    ranked = [Owned(source, [block for block in blocks if block.layer in RANKED]) for source, blocks in users]
    ranked[0] = Owned(ranked[0].source, [*crowded, *ranked[0].blocks])
    half = selection.reserved
    selection.reserved = 0
    own_fit = not crowded and selection.take_whole(ranked[0].blocks)
    if own_fit:
        for owned in users[1:]:
            _take_fixed(selection, own, owned)
    else:
        selection.reserved = half
    contested = [owned for owned in ranked[1:] if not selection.take_whole(owned.blocks)]
    selection.reserved = 0
    return contested if own_fit else [ranked[0], *contested]


def _take_contested(selection: Selection, sources: Sequence[Source], contested: Sequence[Owned], asked: Asked) -> None:
    for owned in contested:
        for block in owned.blocks:
            block.contest()
    if asked.text and selection.room > _TYPICAL:
        selection.take(_nearest(sources, contested, asked, selection.room))
    for owned in contested:
        selection.take(_newest(owned))


def _nearest(
    sources: Sequence[Source], contested: Sequence[Owned], asked: Asked, room: int
) -> Iterator[tuple[Block, Memory]]:
    """Yield what of the contested users is nearest to the query, all users ranked as one."""
    limit = min(_MAX_HITS, room // _TYPICAL + 1)
    owned_by = {owned.source.user_id: owned for owned in contested if owned.blocks}
    parts = [
        Part(source, _allowed(owned_by[source.user_id])) if source.user_id in owned_by else Part(source, returned=False)
        for source in sources
    ]
    blocks = [
        {block.layer: block for block in owned_by[source.user_id].blocks} if source.user_id in owned_by else {}
        for source in sources
    ]
    for each in islice(nearest_together(parts, asked, limit), limit):
        memory = each.item
        block = blocks[each.source].get(memory.layer)
        if block is not None and memory.memory_id in block.memories:
            yield block, memory


def _allowed(owned: Owned) -> Callable[[str], bool] | None:
    """Return which memories may go into the blocks; None: about all, and the others do not matter."""
    source, blocks = owned
    chosen_from = [block.memories for block in blocks]
    shown = sum(map(len, chosen_from))
    there = {layer: len(source.layer(layer)) for layer in Layer}
    whole = shown == sum(there[block.layer] for block in blocks)
    others = sum(there.values()) - shown
    # A predicate costs the search more than some hits in layers that are not asked for.
    if whole and others * 4 <= shown:
        return None
    return lambda memory_id: any(memory_id in memories for memories in chosen_from)


def _newest(owned: Owned) -> Iterator[tuple[Block, Memory]]:
    by_layer = {block.layer: block for block in owned.blocks}
    for memory in owned.source.newest():
        block = by_layer.get(memory.layer)
        if block is not None and memory.memory_id in block.memories:
            yield block, memory

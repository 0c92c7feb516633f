"""A hot user: one user's state in RAM, and what readers derived from it."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from typing import Any

from memsvc.clock import now_micros
from memsvc.journal.past import AsOf
from memsvc.journal.records import Body
from memsvc.journal.state import Memories, State, of_present
from memsvc.model import Change, Layer, Memory
from memsvc.search.corpus import Corpus
from memsvc.search.hybrid import Asked, Candidates, Ranked, candidates
from memsvc.search.lexical import Hit, LexicalIndex
from memsvc.search.paired import Paired
from memsvc.search.together import Part, nearest_together
from memsvc.users.history import HotHistory
from memsvc.users.vectors import Vectors
from memsvc.users.weighing import ORDER_BYTES, REQUEST_BYTES, USER_BYTES, memory_bytes
from memsvc.users.wordings import Wordings

_INDEX_BUILDS = 3
"""A user that moves all the time is indexed at one go after so many tries."""


class HotUser:
    """One user's state in RAM, and what was derived from it. Read it between awaits only: it moves on."""

    __slots__ = (
        "__weakref__",
        "_index",
        "_order",
        "_paired",
        "acknowledged",
        "appends",
        "cache",
        "checked",
        "checked_time",
        "contended",
        "encoded",
        "history",
        "is_past",
        "mark",
        "memory_bytes",
        "past",
        "state",
        "vectors",
        "wordings",
        "written",
    )

    def __init__(self, state: State, checked: float, checked_time: int, *, is_past: bool = False) -> None:
        self.state = state
        self.is_past = is_past
        """Holds what could be seen of the memories at an earlier time, and does not move."""
        self.past: tuple[AsOf, HotUser] | None = None
        """What was last asked for of its past."""
        self.checked = checked
        """When the tip was last known to be the newest, on the monotonic clock: before the database was asked."""
        self.checked_time = checked_time
        """The same by the server's clock."""
        self.mark = b""
        """The mark of the database's commits under which its journal ended where the state does; empty: of none."""
        self.acknowledged = 0
        """Up to which record the database has acknowledged its journal to this process, since the user was loaded."""
        self.appends = 0
        """How many this process made since the user was loaded."""
        self.contended = -math.inf
        """When records of another process were last folded in, on the monotonic clock."""
        self.cache: MutableMapping[object, object] = {}
        """What readers derived at this revision; emptied when it moves."""
        self.encoded: dict[str, bytes] = {}
        """Memories in a reader's own form, by id; an entry goes when its memory changes."""
        self.written: dict[object, dict[str, Any]] = {}
        """The same for readers who have several forms, by form and id."""
        self.memory_bytes = sum(map(memory_bytes, state.all_memories()))
        self._index: LexicalIndex | None = None
        self._order: list[tuple[int, str]] | None = None
        self._paired: Paired | None = None
        self.wordings: Wordings | None = None
        """None: not read yet; only learning, and adds that merge, need them."""
        self.vectors: Vectors | None = None
        """None: not read yet; only a search by meaning needs them."""
        self.history: HotHistory | None = None
        """None: not read yet; only a search in what was said needs it."""

    @property
    def user_id(self) -> str:
        return self.state.scope.user_id

    @property
    def revision(self) -> int:
        return self.state.core.revision

    @property
    def size_bytes(self) -> int:
        """About how much RAM it takes."""
        size = USER_BYTES + self.memory_bytes
        for searched in (self._index, self._paired, self.vectors, self.history, self.wordings):
            if searched is not None:
                size += searched.size_bytes
        if self.encoded:
            size += self.memory_bytes * len(self.encoded) // max(1, self.state.memory_count)
        if self._order is not None:
            size += ORDER_BYTES * len(self._order)
        if self.state.requests is not None:
            size += REQUEST_BYTES * len(self.state.requests)
        if self.cache or self.written:
            size += sum(getattr(each, "size_bytes", 0) for each in (*self.cache.values(), *self.written.values()))
        if self.past is not None:
            size += self.past[1].size_bytes
        return size

    def forget_past(self) -> None:
        """Drop what was read of its past."""
        if self.past is not None:
            # As for a user that is forgotten: what was derived refers back to it.
            self.past[1].cache.clear()
            self.past = None

    def fresh_at(self, checked: float, checked_time: int) -> None:
        """Note that the tip was the newest at a moment, on the monotonic clock and by the server's."""
        if checked > self.checked:
            self.checked, self.checked_time = checked, checked_time

    def move(self, state: State, bodies: Iterable[Body]) -> None:
        """Go on to `state`, which the records with these bodies lead to."""
        before = self.state
        self.state = state
        self.forget_past()
        erased = False
        for body in bodies:
            erased = erased or body.erase is not None
            if self.vectors is not None and self.vectors.move(body):
                self.cache.clear()
            if self.history is not None and not self.history.move(body):
                self.history = None
            for change in body.changes:
                self.encoded.pop(change.memory_id, None)
                for written in self.written.values():
                    written.pop(change.memory_id, None)
                if change.before is not None:
                    self.memory_bytes -= memory_bytes(change.before)
                if change.after is not None:
                    self.memory_bytes += memory_bytes(change.after)
                if change.former is not None:
                    self.memory_bytes += memory_bytes(change.former)
                present = of_present(change)
                if present is None:
                    continue
                self._reorder(present)
                if self.wordings is not None:
                    self.wordings.move(present)
                if self._index is not None and not erased:
                    if present.after is not None:
                        self._index.add(present.after)
                    elif change.memory_id in self._index:
                        self._index.remove(change.memory_id)
        if erased:
            self.encoded.clear()
            self.written.clear()
            self._index = self._order = self._paired = None
            self.vectors = self.history = self.wordings = None
            self.memory_bytes = sum(map(memory_bytes, state.all_memories()))
        if self.wordings is not None:
            self.wordings.layers = state.layers
        if before.core.revision != state.core.revision:
            self.cache.clear()

    def _reorder(self, change: Change) -> None:
        if self._order is None:
            return
        if change.before is not None:
            entry = (change.before.update_time, change.memory_id)
            at = bisect_left(self._order, entry)
            if at < len(self._order) and self._order[at] == entry:
                del self._order[at]
        if change.after is not None:
            insort(self._order, (change.after.update_time, change.memory_id))

    def visible(self, memory: Memory) -> bool:
        """Whether the memory has not expired."""
        return self.is_past or not memory.expire_time or memory.expire_time > now_micros()

    @property
    def hides_some(self) -> bool:
        """Whether memories have expired that no sweep has deleted yet."""
        first = self.state.core.first_expiry
        return bool(first) and first <= now_micros()

    def layer(self, layer: Layer) -> Memories:
        """Return a layer's visible memories by id, in the order of their numbers."""
        memories = self.state.layers[layer]
        if self.hides_some:
            return {key: memory for key, memory in memories.items() if self.visible(memory)}
        return memories

    def get(self, memory_id: str) -> Memory | None:
        """Return a visible memory."""
        memory = self.state.memory(memory_id)
        return memory if memory is not None and self.visible(memory) else None

    def memories(self) -> Iterable[Memory]:
        """Yield the visible memories, layer by layer."""
        for layer in Layer:
            yield from self.layer(layer).values()

    def oldest(self) -> Sequence[tuple[int, str]]:
        """Return (update_time, memory_id) of all memories, visible or not, in order."""
        if self._order is None:
            self._order = sorted((memory.update_time, memory.memory_id) for memory in self.state.memories())
        return self._order

    def newest(self) -> Iterable[Memory]:
        """Yield the visible memories, last changed first."""
        for _, memory_id in reversed(self.oldest()):
            memory = self.get(memory_id)
            if memory is not None:
                yield memory

    @property
    def is_indexed(self) -> bool:
        """Whether there is nothing to prepare for a search by words."""
        return self._index is not None

    async def prepare_search(self) -> None:
        """Build the search index if it is not there yet, without holding up the event loop."""
        for _ in range(_INDEX_BUILDS):
            if self._index is not None:
                return
            tip = self.state.tip
            index = await LexicalIndex.build_async(list(self.state.memories()))
            if tip == self.state.tip:
                self._index = index

    async def prepare_wordings(self) -> None:
        """Read what the memories say if it was not yet, without holding up the event loop."""
        for _ in range(_INDEX_BUILDS):
            if self.wordings is not None:
                return
            layers = self.state.layers
            wordings = await Wordings.build_async(layers)
            if layers is self.state.layers:
                self.wordings = wordings

    def corpus(self, query: str) -> Corpus:
        """Return what these memories add to how much each term of the query counts."""
        return self._searched().corpus(query)

    def candidates(
        self,
        asked: Asked,
        limit: int,
        allowed: Callable[[str], bool] | None = None,
        corpus: Corpus | None = None,
    ) -> Candidates[str]:
        """Return the ids of the visible memories that may be among the best, by words, by meaning or both."""
        vectors = self.vectors.index if self.vectors is not None else None
        return candidates(self._searched(), vectors, asked, limit, self._visible_only(allowed), corpus)

    def best(self, asked: Asked, limit: int) -> list[Ranked[Memory]] | None:
        """Return the `limit` best memories, as far as both indexes are asked and nothing is hidden."""
        if self.vectors is None or not asked.vector or not asked.by_words or limit <= 0 or self.hides_some:
            return None
        words, vectors = self._searched(), self.vectors.index
        if self._paired is None or self._paired.words is not words or self._paired.vectors is not vectors:
            self._paired = Paired(words, vectors)
        return self._paired.best(asked, limit)

    def find(self, asked: Asked, limit: int, allowed: Callable[[str], bool] | None = None) -> Iterator[str]:
        """Yield the ids of the visible memories that fit best, best first."""
        nearest = nearest_together([Part(self, allowed)], asked, limit)
        return (each.item.memory_id for each in nearest[:limit])

    def search(
        self, query: str, limit: int, allowed: Callable[[str], bool] | None = None, corpus: Corpus | None = None
    ) -> Sequence[Hit]:
        """Return the visible memories that fit `query` best; `corpus` is that of all who are searched together."""
        return self._searched().search(query, limit, self._visible_only(allowed), corpus)

    def _visible_only(self, wanted: Callable[[str], bool] | None) -> Callable[[str], bool] | None:
        if not self.hides_some:
            return wanted

        def allowed(memory_id: str) -> bool:
            memory = self.state.memory(memory_id)
            return memory is not None and self.visible(memory) and (wanted is None or wanted(memory_id))

        return allowed

    def _searched(self) -> LexicalIndex:
        if self._index is None:
            self._index = LexicalIndex.build(self.state.memories())
        return self._index

"""The lexical index of one user's memories: BM25F, with what was said next to a memory as its context."""

from __future__ import annotations

import asyncio
import heapq
import sys
import time
from array import array
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING

import msgspec

from memsvc.model import Memory
from memsvc.search.bm25 import LENGTHS, Shares, length_class
from memsvc.search.changes import Changes
from memsvc.search.corpus import Corpus
from memsvc.search.memory_terms import memory_codes, searchable_text
from memsvc.search.neighbours import Neighbours, Place
from memsvc.search.postings import CODE_BYTES, MAX_SLOTS, Gathered, Postings, TermPostings, tallied
from memsvc.search.ranking import Ranking, nth_largest
from memsvc.search.stop_phrase import StopPhrase
from memsvc.search.text import Analyzer, shared_analyzer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GONE = -(1 << 63)
"""The time of what is not there any more."""


class Hit(msgspec.Struct, frozen=True, gc=False):
    """A memory that was found."""

    memory_id: str
    score: float
    """How much of the query it answers: 1 where it holds every word once, more where it is about nothing else."""
    by_context: bool = False
    """It holds no word of the query: what was said next to it does."""


class Hits(msgspec.Struct, frozen=True):
    """The memories that were found."""

    scores: dict[str, float]
    """By id, in no order: see `Hit`."""
    by_context: Callable[[str], bool]
    """Whether one of them holds no word of the query. Valid until the next change."""


NOTHING = Hits({}, lambda memory_id: False)


class ScoredSlots(msgspec.Struct, frozen=True):
    """What is found of one query, slot by slot."""

    scores: NDArray[np.float64]
    """See `Hit`."""
    holds: NDArray[np.bool_]
    """Whether it holds words of the query itself."""


class LexicalIndex:
    """An index that follows its memories, at most 16,777,216. Not for several threads at once.

    It refers to the memories that it is given, and does not count them in `size_bytes`.
    """

    def __init__(self, analyzer: Analyzer | None = None, shares: Shares | None = None) -> None:
        self._analyzer = analyzer or shared_analyzer
        self._shares = shares or Shares()
        self._memories: list[Memory | None] = []
        self._slots: dict[str, int] = {}
        self._free_slots: list[int] = []
        self._times = array("q")
        self.changes = Changes[str]()
        """Of who is in which slot."""
        self._total_length = 0
        self._postings = Postings()
        memories = self._memories
        # Not a method of its own: then only the collector would free an index.
        self._neighbours = Neighbours(lambda slot: _place(memories[slot]))

    @classmethod
    def build(cls, memories: Iterable[Memory]) -> LexicalIndex:
        """Return the index of these memories: some 30 us each; `build_async` for many."""
        index, gathered = cls(), Gathered()
        index._gather(_as_said(memories), gathered)
        index._postings.add_all(gathered.ordered())
        return index

    @classmethod
    async def build_async(cls, memories: Iterable[Memory], slice_seconds: float = 0.002) -> LexicalIndex:
        """Return the index of these memories as they are now, letting the event loop go on after each slice.

        Changes made meanwhile are the caller's to apply.
        """
        index, gathered = cls(), Gathered()
        slice_end = time.monotonic() + slice_seconds
        said = _as_said(memories)
        for first in range(0, len(said), _MEMORIES_A_STEP):
            index._gather(said[first : first + _MEMORIES_A_STEP], gathered)
            if time.monotonic() >= slice_end:
                await asyncio.sleep(0)
                slice_end = time.monotonic() + slice_seconds
        index._postings.add_all(await gathered.ordered_aside())
        return index

    def add(self, memory: Memory) -> None:
        """Index a memory, in place of the one with its id if there is one."""
        slot = self._slots.get(memory.memory_id)
        if slot is None:
            slot = self._take_slot(memory)
            self._neighbours.insert(slot, _place(memory))
        else:
            old = self._memory(slot)
            self._forget_terms(slot, old)
            self._times[slot] = memory.update_time
            moves = _place(old) != _place(memory)
            if moves:
                self._neighbours.remove(slot, _place(old))
            self._memories[slot] = memory
            if moves:
                self._neighbours.insert(slot, _place(memory))
        self._note_terms(slot, memory)

    def remove(self, memory_id: str) -> None:
        """Forget a memory. Raises KeyError if it is not here."""
        slot = self._slots.pop(memory_id)
        memory = self._memory(slot)
        self._forget_terms(slot, memory)
        self._neighbours.remove(slot, _place(memory))
        self._memories[slot] = None
        self._times[slot] = GONE
        self._free_slots.append(slot)

    def corpus(self, query: str) -> Corpus:
        """Return what of this index decides how much each term of a query counts."""
        return self._corpus(self._asked(query))

    def search(
        self,
        query: str,
        limit: int,
        allowed: Callable[[str], bool] | Container[str] | None = None,
        corpus: Corpus | None = None,
    ) -> list[Hit]:
        """Return the memories nearest to a query, best first; of equals the newer, then the smaller id.

        `allowed` says of an id whether it may be returned. What it leaves out does not count towards `limit`, and still
        is context to its neighbours. Of a long query the first and last 4,096 characters count, of many words the 64
        rarest. A word that nearly all of many memories hold is a stop word; asked for alone it finds the newest. Stop
        words count where nothing else is asked for.
        `corpus` is that of all indexes that are searched together, where this is not the only one.
        """
        found = self.find(query, limit, allowed, corpus)
        ranked = sorted(
            (-score, -self._memory(self._slots[memory_id]).update_time, memory_id)
            for memory_id, score in found.scores.items()
        )
        return [Hit(memory_id, -score, found.by_context(memory_id)) for score, _, memory_id in ranked]

    def find(
        self,
        query: str,
        limit: int,
        allowed: Callable[[str], bool] | Container[str] | None = None,
        corpus: Corpus | None = None,
    ) -> Hits:
        """Return what `search` does, for callers that order the hits themselves."""
        if limit <= 0 or not self._slots:
            return NOTHING
        phrase = StopPhrase.of(_ends(query), self._analyzer)
        if phrase is not None:
            said = self._saying(phrase, self._slot_predicate(allowed))
            return Hits(self._first(said, limit, 1.0), NOTHING.by_context)
        postings = self._asked(query)
        corpus = corpus or self._corpus(postings)
        terms = corpus.terms_in(postings)
        if not terms:
            return NOTHING
        permits = self._slot_predicate(allowed)
        if terms[0].everywhere:
            slots = terms[0].postings.slots()
            holders = slots if permits is None else list(filter(permits, slots))
            return Hits(self._first(dict.fromkeys(holders, 1.0), limit, 1.0), NOTHING.by_context)
        ranking = Ranking(corpus.mean_length, self._neighbours, self._shares, limit, permits)
        return Hits(
            self._first(ranking.scores(terms), limit, corpus.all_once),
            lambda memory_id: not ranking.holds_any(self._slots[memory_id], terms),
        )

    def scored(self, query: str) -> ScoredSlots | None:
        """Return what `find` does of a query, with numpy; None: it asks for nothing but stop words."""
        import numpy as np

        postings, count = self._asked(query), len(self._memories)
        corpus = self._corpus(postings)
        terms = corpus.terms_in(postings)
        if StopPhrase.of(_ends(query), self._analyzer) is not None or (terms and terms[0].everywhere):
            return None
        if not terms:
            return ScoredSlots(np.zeros(count), np.zeros(count, np.bool_))
        sums, holders = Ranking(corpus.mean_length, self._neighbours, self._shares, count, None).all_sums(terms)
        sums /= corpus.all_once
        holds = np.zeros(count, np.bool_)
        holds[holders] = True
        return ScoredSlots(sums, holds)

    def times(self) -> NDArray[np.int64]:
        """Return when the memory of each slot was last changed; `GONE`: there is none. Not to be kept."""
        import numpy as np

        return np.frombuffer(self._times, np.int64)

    def slot_ids(self) -> list[str]:
        """Return the ids of the memories by slot; empty: there is none."""
        return ["" if memory is None else memory.memory_id for memory in self._memories]

    def slot_of(self, memory_id: str) -> int | None:
        """Return the slot of a memory; None: it is not here."""
        return self._slots.get(memory_id)

    def memory_of(self, slot: int) -> Memory:
        """Return the memory in a slot."""
        return self._memory(slot)

    @property
    def has_gone(self) -> bool:
        """Whether there are slots without a memory."""
        return bool(self._free_slots)

    def id_of(self, slot: int) -> str:
        """Return the id of the memory in a slot."""
        return self._memory(slot).memory_id

    @property
    def size_bytes(self) -> int:
        """The bytes that the index itself holds, about."""
        slots = sys.getsizeof(self._slots) + len(self._slots) * sys.getsizeof(MAX_SLOTS)
        lists = sum(map(sys.getsizeof, (self._memories, self._free_slots, self._times)))
        return _OBJECTS_BYTES + slots + lists + self._postings.size_bytes + self._neighbours.size_bytes

    def __len__(self) -> int:
        return len(self._slots)

    def __contains__(self, memory_id: str) -> bool:
        return memory_id in self._slots

    def _asked(self, query: str) -> dict[str, TermPostings]:
        """Return the terms of a query, each with its postings, perhaps none."""
        return self._postings.of_each(self._analyzer.query_terms(_ends(query)))

    def _corpus(self, asked: Mapping[str, TermPostings]) -> Corpus:
        return Corpus(len(self._slots), self._total_length, {term: len(postings) for term, postings in asked.items()})

    def _saying(self, phrase: StopPhrase, permits: Callable[[int], bool] | None) -> dict[int, float]:
        """Return the slots that say words which are in no index, as a query of stop words alone asks for."""
        scores: dict[int, float] = {}
        for slot, memory in enumerate(self._memories):
            if memory is not None:
                score = phrase.score(searchable_text(memory))
                if score and (permits is None or permits(slot)):
                    scores[slot] = score
        return scores

    def _first(self, scores: Mapping[int, float], limit: int, whole: float) -> dict[str, float]:
        """Return the ids of the best, each with its share of a whole score."""
        slots: Iterable[int] = scores
        if len(scores) > limit:
            least = nth_largest(scores.values(), limit)
            assert least is not None
            first = [slot for slot, score in scores.items() if score > least]
            equals = [slot for slot, score in scores.items() if score == least]
            slots = first + self._newest(equals, limit - len(first))
        memories = self._memories
        return {memory.memory_id: scores[slot] / whole for slot in slots if (memory := memories[slot]) is not None}

    def _newest(self, slots: list[int], limit: int) -> list[int]:
        """Return the slots of the `limit` newest, of equals with the smaller ids: few of what may be thousands."""
        if len(slots) <= limit:
            return slots
        # The newest tend to come last; met first, they keep the others off the heap.
        times = [self._memory(slot).update_time for slot in reversed(slots)]
        oldest = heapq.nlargest(limit, times)[-1]
        newest = [slot for slot, time in zip(reversed(slots), times, strict=True) if time >= oldest]
        return sorted(newest, key=lambda slot: (-self._memory(slot).update_time, self._memory(slot).memory_id))[:limit]

    def _slot_predicate(self, allowed: Callable[[str], bool] | Container[str] | None) -> Callable[[int], bool] | None:
        if allowed is None:
            return None
        permits = allowed if callable(allowed) else allowed.__contains__
        return lambda slot: permits(self._memory(slot).memory_id)

    def _take_slot(self, memory: Memory) -> int:
        self.changes.note((memory.memory_id,))
        if self._free_slots:
            slot = self._free_slots.pop()
            self._memories[slot] = memory
            self._times[slot] = memory.update_time
        else:
            slot = len(self._memories)
            if slot >= MAX_SLOTS:
                raise OverflowError(_TOO_MANY)
            self._memories.append(memory)
            self._times.append(memory.update_time)
        self._slots[memory.memory_id] = slot
        return slot

    def _gather(self, memories: Sequence[Memory], gathered: Gathered) -> None:
        """Take in memories that are not here yet, but for their postings: each is the last of its session."""
        first = len(self._memories)
        if first + len(memories) > MAX_SLOTS:
            raise OverflowError(_TOO_MANY)
        self._memories += memories
        self._times.extend([memory.update_time for memory in memories])
        self._slots |= {memory.memory_id: slot for slot, memory in enumerate(memories, first)}
        self.changes.note([memory.memory_id for memory in memories])
        self._neighbours.extend([memory.origin.session_id for memory in memories])
        documents = [memory_codes(memory, self._analyzer) for memory in memories]
        classes = [length_class(len(codes) // CODE_BYTES) for codes in documents]
        gathered.add_all(documents, classes, first)
        self._total_length += sum(LENGTHS[each] for each in classes)

    def _note_terms(self, slot: int, memory: Memory) -> None:
        codes = memory_codes(memory, self._analyzer)
        its_class = length_class(len(codes) // CODE_BYTES)
        self._postings.add(*tallied(codes), slot, its_class)
        self._total_length += LENGTHS[its_class]

    def _forget_terms(self, slot: int, memory: Memory) -> None:
        # Analysed once more rather than kept: it takes microseconds, and a list of terms would double the index.
        codes = memory_codes(memory, self._analyzer)
        self._postings.remove(tallied(codes)[0], slot)
        self._total_length -= LENGTHS[length_class(len(codes) // CODE_BYTES)]

    def _memory(self, slot: int) -> Memory:
        memory = self._memories[slot]
        assert memory is not None
        return memory


def _ends(query: str) -> str:
    """Return what counts of a query: of a long one its first and last characters."""
    if len(query) <= 2 * _QUERY_END_CHARACTERS:
        return query
    return f"{query[:_QUERY_END_CHARACTERS]} {query[-_QUERY_END_CHARACTERS:]}"


def _as_said(memories: Iterable[Memory]) -> list[Memory]:
    # Each is then the last of its session when it comes.
    return sorted(memories, key=attrgetter("observe_time", "number"))


def _place(memory: Memory | None) -> Place:
    assert memory is not None
    return memory.origin.session_id, memory.observe_time, memory.number


_QUERY_END_CHARACTERS = 4096
_MEMORIES_A_STEP = 16
_TOO_MANY = f"an index holds at most {MAX_SLOTS} memories"
_OBJECTS_BYTES = 1024

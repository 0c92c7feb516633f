"""The lexical index of one user's memories: BM25 with what was said next to a memory as its context.

A memory's score is its own, plus `neighbour_share` of the better of its neighbours' in the session. Results are exact:
what is skipped cannot enter them (MaxScore, Turtle and Flood 1995).
"""

from __future__ import annotations

import asyncio
import heapq
import json
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Mapping
from datetime import date, timedelta
from functools import lru_cache
from operator import attrgetter, itemgetter

import msgspec

from memsvc.model import Memory
from memsvc.search.bm25 import HIGHEST_IMPACT, LENGTHS, impacts, length_class, rarity
from memsvc.search.neighbours import Neighbours
from memsvc.search.postings import MAX_SLOTS, SLOT_MASK, SLOT_SHIFT, TALLY_MASK, Postings, TermPostings
from memsvc.search.text import Analyzer


class Hit(msgspec.Struct, frozen=True, gc=False):
    """A memory that was found; scores compare within one search only."""

    memory_id: str
    score: float


class LexicalIndex:
    """An index that follows its memories. Not for use by several threads at once.

    It refers to the memories that it is given and does not count them in `size_bytes`. At most 1,048,576 of them.
    """

    def __init__(self, analyzer: Analyzer | None = None, neighbour_share: float = 0.3) -> None:
        self._analyzer = analyzer or _ANALYZER
        self._share = neighbour_share
        self._memories: list[Memory | None] = []
        self._slots: dict[str, int] = {}
        self._free_slots: list[int] = []
        self._total_length = 0
        self._postings = Postings()
        self._neighbours = Neighbours(self._memories)

    @classmethod
    def build(cls, memories: Iterable[Memory]) -> LexicalIndex:
        """Return the index of these memories. About 20 us each: see `build_async` for many."""
        index = cls()
        for memory in _in_order(memories):
            index.add(memory)
        return index

    @classmethod
    async def build_async(cls, memories: Iterable[Memory], slice_seconds: float = 0.002) -> LexicalIndex:
        """Return the index of these memories, as they are now, leaving the event loop to others after each slice.

        Changes made while it is built are the caller's to apply to it.
        """
        index = cls()
        slice_end = time.monotonic() + slice_seconds
        for memory in _in_order(memories):
            index.add(memory)
            if time.monotonic() >= slice_end:
                await asyncio.sleep(0)
                slice_end = time.monotonic() + slice_seconds
        return index

    def add(self, memory: Memory) -> None:
        """Index a memory, in place of the one with its id if there is one."""
        slot = self._slots.get(memory.memory_id)
        if slot is None:
            slot = self._take_slot(memory)
            self._neighbours.insert(slot, memory.origin.session_id)
        else:
            old = self._memory(slot)
            self._forget_terms(slot, old)
            moves = _place(old) != _place(memory)
            if moves:
                self._neighbours.remove(slot, old.origin.session_id)
            self._memories[slot] = memory
            if moves:
                self._neighbours.insert(slot, memory.origin.session_id)
        self._note_terms(slot, memory)

    def remove(self, memory_id: str) -> None:
        """Forget a memory. Raises KeyError if it is not here."""
        slot = self._slots.pop(memory_id)
        memory = self._memory(slot)
        self._forget_terms(slot, memory)
        self._neighbours.remove(slot, memory.origin.session_id)
        self._memories[slot] = None
        self._free_slots.append(slot)

    def search(
        self, query: str, limit: int, allowed: Callable[[str], bool] | Container[str] | None = None
    ) -> list[Hit]:
        """Return the memories nearest to a query, best first; of equals the newer, then the smaller id.

        `allowed` says of an id whether it may be returned; what it leaves out does not count towards `limit`, and still
        is context to its neighbours. Of a long query the first and last 4,096 characters count, of many words the 64
        rarest.
        """
        if limit <= 0 or not self._slots:
            return []
        permits = _as_predicate(allowed)
        scores, finalists = self._finalists(self._known_terms(query), limit, permits)
        ranked = []
        for slot in finalists:
            memory = self._memory(slot)
            if permits is None or permits(memory.memory_id):
                score = self._with_context(slot, scores)
                ranked.append((-score, -memory.update_time, memory.memory_id))
        return [Hit(memory_id, -score) for score, _, memory_id in heapq.nsmallest(limit, ranked)]

    @property
    def size_bytes(self) -> int:
        """The bytes that the index itself holds, estimated."""
        slots = sys.getsizeof(self._slots) + len(self._slots) * sys.getsizeof(MAX_SLOTS)
        lists = sys.getsizeof(self._memories) + sys.getsizeof(self._free_slots)
        return slots + lists + self._postings.size_bytes + self._neighbours.size_bytes + _OBJECTS_BYTES

    def __len__(self) -> int:
        return len(self._slots)

    def __contains__(self, memory_id: str) -> bool:
        return memory_id in self._slots

    def _known_terms(self, query: str) -> list[_Term]:
        """Return the terms of the query that there are, rarest first, as many as may be read."""
        if len(query) > 2 * _QUERY_END_CHARACTERS:
            query = f"{query[:_QUERY_END_CHARACTERS]} {query[-_QUERY_END_CHARACTERS:]}"
        known = [(self._postings.of(term), term) for term in self._analyzer.query_terms(query)]
        by_rarity = sorted((len(postings), term, postings) for postings, term in known if postings)
        total = 0
        terms: list[_Term] = []
        for count, _, postings in by_rarity[:_MOST_QUERY_TERMS]:
            total += count
            if terms and total > _MOST_POSTINGS_READ:
                break
            terms.append(_Term(postings, rarity(len(self._slots), count)))
        return terms

    def _finalists(
        self, terms: list[_Term], limit: int, permits: Callable[[str], bool] | None
    ) -> tuple[dict[int, float], set[int]]:
        """Return who may be among the best, and the scores of them and their neighbours without context."""
        scores: defaultdict[int, float] = defaultdict(float)
        table = impacts(max(1, round(self._total_length / len(self._slots))))
        share = self._share if self._neighbours else 0.0
        for number, term in enumerate(terms):
            if scores and len(term.postings) >= _COMMON:
                unread = (1 + share) * HIGHEST_IMPACT * sum(term.rarity for term in terms[number:])
                floor = self._floor(scores, limit, permits)
                if unread < floor:
                    finalists = self._within_reach(scores, floor - unread, share)
                    self._complete(scores, finalists, terms[number:], table)
                    return scores, finalists
            weight = term.rarity
            for posting in term.postings.read():
                scores[posting >> SLOT_SHIFT & SLOT_MASK] += weight * table[posting & TALLY_MASK]
        return scores, self._within_reach(scores, self._floor(scores, limit, permits), share)

    def _floor(self, scores: Mapping[int, float], limit: int, permits: Callable[[str], bool] | None) -> float:
        """Return a score that `limit` results are known to reach; 0: there are not as many."""
        if permits is None:
            best = heapq.nlargest(limit, scores.values())
            return best[-1] if len(best) == limit else 0.0
        width = 2 * limit
        while True:
            widest = heapq.nlargest(width, scores.items(), key=itemgetter(1))
            best = [score for slot, score in widest if permits(self._memory(slot).memory_id)]
            if len(best) >= limit:
                return best[limit - 1]
            if width >= len(scores):
                return 0.0
            width *= 8

    def _within_reach(self, scores: Mapping[int, float], floor: float, share: float) -> set[int]:
        """Return the slots that get to `floor`, by themselves or with what a neighbour lends."""
        floor -= _ROUNDING
        most_lent = share * max(scores.values(), default=0.0)
        reach = {slot for slot, score in scores.items() if score + most_lent >= floor}
        if share and most_lent >= floor:
            for lender in [slot for slot, score in scores.items() if share * score >= floor]:
                reach.update(self._neighbours.of(lender))
        return reach

    def _complete(
        self, scores: defaultdict[int, float], finalists: set[int], terms: list[_Term], table: list[float]
    ) -> None:
        """Add what terms not yet read give to the finalists and their neighbours."""
        slots = finalists.union(*map(self._neighbours.of, finalists))
        for term in terms:
            for slot in slots:
                found = term.postings.tally(slot)
                if found >= 0:
                    scores[slot] += term.rarity * table[found]

    def _with_context(self, slot: int, scores: Mapping[int, float]) -> float:
        lent = max((scores.get(near, 0.0) for near in self._neighbours.of(slot)), default=0.0)
        return scores.get(slot, 0.0) + self._share * lent

    def _take_slot(self, memory: Memory) -> int:
        if self._free_slots:
            slot = self._free_slots.pop()
            self._memories[slot] = memory
        else:
            slot = len(self._memories)
            if slot >= MAX_SLOTS:
                raise OverflowError(f"an index holds at most {MAX_SLOTS} memories")
            self._memories.append(memory)
        self._slots[memory.memory_id] = slot
        return slot

    def _note_terms(self, slot: int, memory: Memory) -> None:
        terms = _memory_terms(memory, self._analyzer)
        its_class = length_class(len(terms))
        self._postings.add(Counter(terms), slot, its_class)
        self._total_length += LENGTHS[its_class]

    def _forget_terms(self, slot: int, memory: Memory) -> None:
        # Analysed once more rather than kept: it takes microseconds, and a list of terms would double the index.
        terms = _memory_terms(memory, self._analyzer)
        self._postings.remove(set(terms), slot)
        self._total_length -= LENGTHS[length_class(len(terms))]

    def _memory(self, slot: int) -> Memory:
        memory = self._memories[slot]
        assert memory is not None
        return memory


class _Term(msgspec.Struct, frozen=True, gc=False):
    """A term of a query that some memories hold."""

    postings: TermPostings
    rarity: float


def _memory_terms(memory: Memory, analyzer: Analyzer) -> list[str]:
    """Return all that a memory can be found by: its text, topics, key, value and date."""
    parts = [memory.text, *memory.topics]
    if memory.key:
        parts.append(_KEY_JOINTS.sub(" ", memory.key))
    if memory.value_json:
        parts.append(_plain_value(memory.value_json))
    terms = analyzer.document_terms("\n".join(parts)[:_MOST_DOCUMENT_CHARACTERS])
    if memory.observe_time:
        terms += _date_terms(analyzer, memory.observe_time // _DAY_MICROSECONDS)
    return terms


def _plain_value(value_json: str) -> str:
    if "\\" not in value_json:
        return value_json
    try:
        return json.dumps(json.loads(value_json), ensure_ascii=False).replace("\\", " ")
    except ValueError:
        return value_json


@lru_cache(maxsize=1024)
def _date_terms(analyzer: Analyzer, day: int) -> list[str]:
    try:
        said = _EPOCH + timedelta(days=day)
    except OverflowError:
        return []
    return analyzer.document_terms(f"{said.year} {_MONTHS[said.month - 1]} {said.day}")


def _in_order(memories: Iterable[Memory]) -> list[Memory]:
    # As they were said: each is then the last of its session when it comes.
    return sorted(memories, key=attrgetter("observe_time", "number"))


def _place(memory: Memory) -> tuple[str, int, int]:
    return memory.origin.session_id, memory.observe_time, memory.number


def _as_predicate(allowed: Callable[[str], bool] | Container[str] | None) -> Callable[[str], bool] | None:
    if allowed is None or callable(allowed):
        return allowed
    return allowed.__contains__


_ANALYZER = Analyzer()
_COMMON = 256
"""From as many postings on it pays to look whether a term needs to be read at all."""
_MOST_QUERY_TERMS = 64
_MOST_POSTINGS_READ = 50_000
_QUERY_END_CHARACTERS = 4096
_MOST_DOCUMENT_CHARACTERS = 16_384
_ROUNDING = 1e-9
_OBJECTS_BYTES = 1024
_DAY_MICROSECONDS = 86_400_000_000
_EPOCH = date(1970, 1, 1)
_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
           "december")  # fmt: skip
_KEY_JOINTS = re.compile(r"[._]+|(?<=[a-z0-9])(?=[A-Z])")

"""Which memories may say the same, or contradict each other: for a model to judge, few enough for one prompt.

Two are near where they share most of their rarer words, or where their vectors are near. What is near to each other
makes a group; groups are shown whole, those with what is newest first.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from memsvc.model import Memory
from memsvc.search.memory_terms import searchable_text
from memsvc.search.text import shared_analyzer
from memsvc.search.vectors import VectorIndex

MOST_SHOWN: Final = 80
"""So many memories are shown at most: a consolidation costs one call with a bounded prompt."""
_NEWEST: Final = 400
"""So many of the newest are compared with all others."""
_LARGEST_GROUP: Final = 12
_COMMON: Final = 60
"""A word of more memories than this says nothing about which are alike."""
_LEAST_SHARED: Final = 0.5
_LEAST_NEARNESS: Final = 0.75
_NEAREST: Final = 6
_SLICE: Final = 50


async def groups_alike(memories: Sequence[Memory], vectors: VectorIndex[str] | None) -> list[list[Memory]]:
    """Return groups of memories that are alike, at most 80 memories in all."""
    newest = sorted(memories, key=lambda each: -each.update_time)
    terms: dict[str, frozenset[str]] = {}
    for index, memory in enumerate(newest):
        terms[memory.memory_id] = frozenset(shared_analyzer.document_terms(searchable_text(memory)))
        if not index % _SLICE:
            await asyncio.sleep(0)
    holders: defaultdict[str, list[str]] = defaultdict(list)
    for memory_id, own in terms.items():
        for term in own:
            holders[term].append(memory_id)
    by_id = {memory.memory_id: memory for memory in newest}
    leaders = {memory_id: memory_id for memory_id in by_id}
    sizes = dict.fromkeys(by_id, 1)
    for index, memory in enumerate(newest[:_NEWEST]):
        for other in _near_by_words(memory.memory_id, terms, holders) + _near_by_meaning(memory.memory_id, vectors):
            if other in by_id and by_id[other].layer is memory.layer:
                _join(leaders, sizes, memory.memory_id, other)
        if not index % _SLICE:
            await asyncio.sleep(0)
    groups: defaultdict[str, list[Memory]] = defaultdict(list)
    for memory in newest:
        groups[_leader(leaders, memory.memory_id)].append(memory)
    chosen: list[list[Memory]] = []
    left = MOST_SHOWN
    for group in groups.values():
        if 1 < len(group) <= left:
            chosen.append(group)
            left -= len(group)
    return chosen


def _near_by_words(memory_id: str, terms: dict[str, frozenset[str]], holders: dict[str, list[str]]) -> list[str]:
    own = terms[memory_id]
    shared: Counter[str] = Counter()
    for term in own:
        if len(holders[term]) <= _COMMON:
            shared.update(holders[term])
    return [
        other
        for other, count in shared.most_common(_NEAREST)
        if other != memory_id and count >= _LEAST_SHARED * min(len(own), len(terms[other]))
    ]


def _near_by_meaning(memory_id: str, vectors: VectorIndex[str] | None) -> list[str]:
    vector = vectors.vector_of(memory_id) if vectors is not None else b""
    if not vector or vectors is None:
        return []
    return list(vectors.similarities(vector).nearest(_LEAST_NEARNESS, _NEAREST, lambda each: each != memory_id))


def _join(leaders: dict[str, str], sizes: dict[str, int], one: str, other: str) -> None:
    first, second = _leader(leaders, one), _leader(leaders, other)
    if first != second and sizes[first] + sizes[second] <= _LARGEST_GROUP:
        leaders[second] = first
        sizes[first] += sizes[second]


def _leader(leaders: dict[str, str], memory_id: str) -> str:
    way = [memory_id]
    while leaders[way[-1]] != way[-1]:
        way.append(leaders[way[-1]])
    for step, _ in pairwise(way):
        leaders[step] = way[-1]
    return way[-1]

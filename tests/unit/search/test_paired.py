from __future__ import annotations

import random

import pytest

from memsvc.model import Memory, Origin
from memsvc.search import ranking
from memsvc.search.embedders.static import StaticEmbedder
from memsvc.search.hybrid import Asked, Ranked, candidates, fuse
from memsvc.search.lexical import LexicalIndex
from memsvc.search.paired import Paired
from memsvc.search.vectors import VectorIndex

WORDS = ("tea", "coffee", "skiing", "snow", "dog", "puppy", "Berlin", "Paris", "moved", "likes", "sister", "the")
embedder = StaticEmbedder()


def memory(number: int, text: str, time: int) -> Memory:
    origin = Origin(session_id=f"s{number // 4}")
    return Memory(memory_id=f"m{number:04}", number=number, text=text, origin=origin, update_time=time)


class Notes:
    """The same memories in both indexes."""

    def __init__(self, seed: int) -> None:
        self.source = random.Random(seed)
        self.known: dict[str, Memory] = {}
        self.words = LexicalIndex()
        self.vectors = VectorIndex[str]()

    def keep(self, number: int) -> None:
        text = " ".join(self.source.choices(WORDS, k=self.source.randint(1, 5)))
        kept = memory(number, text, self.source.randint(1, 3))
        self.known[kept.memory_id] = kept
        self.words.add(kept)
        self.vectors.remove(kept.memory_id)
        if self.source.random() < 0.9:
            self.vectors.put_all([(kept.memory_id, embedder.vector(text))])

    def forget(self, memory_id: str) -> None:
        del self.known[memory_id]
        self.words.remove(memory_id)
        self.vectors.remove(memory_id)

    def in_order(self, ranked: list[Ranked[str]], limit: int) -> list[Ranked[Memory]]:
        ranked.sort(key=lambda each: (-each.score, -self.known[each.item].update_time, each.item))
        return [Ranked(self.known[each.item], each.score, each.sure) for each in ranked[:limit]]


@pytest.mark.parametrize("many", [0, 48, 10_000])
@pytest.mark.parametrize("seed", range(3))
def test_both_indexes_at_once_find_what_is_fused_of_each_to_the_last_bit(
    monkeypatch: pytest.MonkeyPatch, seed: int, many: int
) -> None:
    monkeypatch.setattr(ranking, "_MANY_FOR_SUMS", many)
    notes = Notes(seed)
    for number in range(120):
        notes.keep(number)
    paired = Paired(notes.words, notes.vectors)
    for number in range(120, 160):
        for query in ("tea and snow", "a little dog", "Where did my sister move?", "xyzzy"):
            asked = Asked(query, embedder.vector(query))
            for limit in (1, 5, 60):
                found = paired.best(asked, limit)
                by_parts = fuse([candidates(notes.words, notes.vectors, asked, limit)], limit)
                assert found == notes.in_order(by_parts, limit)
        notes.keep(number)
        notes.keep(notes.source.randrange(number) if number % 2 else number)
        notes.forget(notes.source.choice(sorted(notes.known)))
    assert paired.best(Asked("the", embedder.vector("the")), 5) is None
    assert paired.size_bytes >= 4 * len(notes.words)

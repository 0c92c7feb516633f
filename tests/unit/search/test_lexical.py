from __future__ import annotations

import asyncio
import gc
import importlib
import itertools
import random
import sys
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from memsvc.model import Memory, Origin
from memsvc.search import bm25, dense, ranking
from memsvc.search.lexical import Hit, LexicalIndex
from memsvc.search.memory_terms import memory_codes
from memsvc.search.postings import term_code
from memsvc.search.text import Analyzer

NOVEMBER_21 = 1_795_219_200_000_000
numbers = itertools.count(1)


def memory(text: str, memory_id: str = "", session: str = "", **fields: object) -> Memory:
    number = next(numbers)
    return Memory(
        memory_id=memory_id or f"id-{number:04}",
        text=text,
        origin=Origin(session_id=session),
        **{"number": number, **fields},  # type: ignore[arg-type]
    )


def found(index: LexicalIndex, query: str, limit: int = 10, allowed: object = None) -> list[str]:
    return [hit.memory_id for hit in index.search(query, limit, allowed)]  # type: ignore[arg-type]


def test_a_natural_question_finds() -> None:
    index = LexicalIndex.build(
        [
            memory("Goes skiing at Tahoe every weekend", "ski"),
            memory("Works as a data scientist at Acme", "job"),
            memory("Is allergic to peanuts", "nuts"),
            memory("Has a dog called Rex", "dog"),
        ]
    )

    assert found(index, "What does the user do for fun on weekends?")[0] == "ski"
    assert found(index, "Where does she work, and as what?")[0] == "job"
    assert found(index, "Are there any food allergies? peanut?")[0] == "nuts"
    assert found(index, "What is the name of their dogs?")[0] == "dog"
    assert found(index, "quantum chromodynamics") == []


def test_topics_key_value_and_date_are_searchable() -> None:
    index = LexicalIndex.build(
        [
            memory("Skis at Kirkwood", "topics", topics=("outdoor sports", "hobbies")),
            memory(
                "Concise answers", "key", key="answers.preferredLength_style", value_json='{"max": "two paragraphs"}'
            ),
            memory("Caf\u00e9 owner", "escaped", value_json='"Z\\u00fcrich"'),
            memory("Got married", "dated", observe_time=NOVEMBER_21),
        ]
    )

    assert found(index, "sports hobby") == ["topics"]
    assert found(index, "preferred length") == found(index, "paragraph") == ["key"]
    assert found(index, "zurich") == ["escaped"]
    assert found(index, "What happened in November 2026?") == ["dated"]


@pytest.mark.parametrize("value_json", ['{"broken', '"\\ud800"', "[1, 2", "\\"])
def test_a_value_that_is_no_json_is_text(value_json: str) -> None:
    assert found(LexicalIndex.build([memory("Anything", "it", value_json=value_json)]), "anything") == ["it"]


@pytest.mark.parametrize("observe_time", [1, -1, -(10**17), 10**19, -(10**19)])
def test_any_time_can_be_indexed(observe_time: int) -> None:
    index = LexicalIndex.build([memory("Anything", "it", observe_time=observe_time)])
    assert found(index, "anything") == ["it"]
    index.remove("it")
    assert len(index) == 0


@pytest.mark.parametrize("query", ["", "   ", "%", '"', "'; --", "*", "\x00", "\ud83d", "nothing of the sort"])
def test_a_query_without_known_words_finds_nothing(query: str) -> None:
    assert found(LexicalIndex.build([memory("Likes 100% cotton")]), query) == []


def test_symbols_in_texts_and_queries_are_just_text() -> None:
    index = LexicalIndex.build(
        [memory('Gets 100% on "hard" tests', "percent"), memory("Loves 🍕", "pizza"), memory("O'Brien's pub", "pub")]
    )

    assert found(index, "100%") == ["percent"]
    assert found(index, '"hard"') == ["percent"]
    assert found(index, "🍕?") == ["pizza"]
    assert found(index, "O’Brien") == ["pub"]


def test_no_result_is_asked_for_or_kept() -> None:
    index = LexicalIndex.build([memory("Likes tea", "tea")])

    assert index.search("tea", 0) == index.search("tea", -1) == []
    assert LexicalIndex().search("tea", 10) == []
    index.remove("tea")
    assert index.search("tea", 10) == []
    assert LexicalIndex.build([]).search("tea", 10) == []


def test_of_equals_the_newer_comes_first_then_the_smaller_id() -> None:
    same = [
        memory("Likes tea", memory_id, update_time=time) for memory_id, time in [("c", 5), ("a", 5), ("d", 9), ("b", 1)]
    ]

    for order in itertools.permutations(same):
        assert found(LexicalIndex.build(order), "tea") == ["d", "a", "c", "b"]
        assert found(LexicalIndex.build(order), "tea", limit=2) == ["d", "a"]


def test_the_filter_comes_before_the_limit() -> None:
    index = LexicalIndex.build([memory("Likes tea", f"m{number:03}", update_time=-number) for number in range(500)])
    last = {"m497", "m498", "m499"}

    assert found(index, "tea", 2) == ["m000", "m001"]
    assert found(index, "tea", 2, last) == ["m497", "m498"]
    assert found(index, "tea", 2, last.__contains__) == ["m497", "m498"]
    assert found(index, "tea", 5, last) == ["m497", "m498", "m499"]
    assert found(index, "tea", 5, set()) == []


def test_neighbours_in_the_session_are_found_after_what_they_stand_beside() -> None:
    index = LexicalIndex.build(
        [
            memory("Adopted a puppy", "puppy", "s1", observe_time=10),
            memory("Calls him Biscuit", "name", "s1", observe_time=20),
            memory("Loves long walks", "walks", "s1", observe_time=30),
            memory("Pays by card", "card", "s2", observe_time=20),
            memory("Pays late", "late", "", observe_time=20),
        ]
    )

    assert found(index, "puppy") == ["puppy", "name", "walks"]
    assert [hit.by_context for hit in index.search("puppy", 5)] == [False, True, True]


def test_the_words_of_a_neighbour_and_ones_own_are_not_counted_as_two() -> None:
    """Weights are added before saturation: a memory that is about it, said twice around it, is not twice as good."""
    index = LexicalIndex.build(
        [
            *(memory("Has a puppy", f"beside{number}", "s", observe_time=number) for number in range(5)),
            memory("Has a puppy", "alone"),
            *(memory("Something else entirely", f"other{number}") for number in range(20)),
        ]
    )

    scores = {hit.memory_id: hit.score for hit in index.search("puppy", 10)}
    assert scores["alone"] < scores["beside2"] < 1.5 * scores["alone"]


def test_a_word_that_many_hold_is_not_lent() -> None:
    index = LexicalIndex.build(
        [
            *(memory(f"Sarah likes thing{number}", f"m{number}", f"s{number % 30}") for number in range(120)),
            *(memory(f"Calls it unit{number}", f"n{number}", f"s{number % 30}") for number in range(120)),
        ]
    )

    assert {hit.by_context for hit in index.search("sarah", 200)} == {False}
    assert found(index, "thing7", 10)[0] == "m7"
    assert any(hit.by_context for hit in index.search("thing7", 10))


def test_who_said_it_is_searchable() -> None:
    index = LexicalIndex.build(
        [
            Memory(memory_id="a", number=1, text="The build breaks on Fridays", origin=Origin(author_id="ann.lee")),
            Memory(memory_id="b", number=2, text="The build is slow", origin=Origin(author_id="bob@acme.example")),
        ]
    )

    assert found(index, "what did Ann say about the build?") == ["a", "b"]
    assert found(index, "bob") == ["b"]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("The Who", "band"),
        ("the who", "band"),
        ("Who are The Who?", "band"),
        ("It", "film"),
        ("to be or not to be", "quote"),
        ("be or not", "quote"),
        ("der die das", "german"),
        ("مَن هو", "arabic"),
    ],
)
def test_a_query_of_stop_words_alone_finds_who_says_them_together(query: str, wanted: str) -> None:
    index = LexicalIndex.build(
        [
            memory("Is the one who walks the dog", "who"),
            memory("Favourite band of the eighties: The Who", "band"),
            memory("Likes it when it rains", "rain"),
            memory("Favourite film is It", "film"),
            memory("Asked not to be called", "called"),
            memory("Had 'to be, or not to be' put on a mug", "quote"),
            memory("Mixes up der, die, das", "german"),
            memory("يسأل دائما من هو", "arabic"),
        ]
    )

    assert found(index, query)[0] == wanted
    assert found(index, query, allowed={wanted}) == [wanted]
    assert found(index, query, allowed={"nobody"}) == []


def test_memories_without_a_session_have_no_neighbours() -> None:
    index = LexicalIndex.build([memory("Adopted a puppy", "puppy"), memory("Calls him Biscuit", "name")])
    assert found(index, "puppy") == ["puppy"]


def test_neighbours_follow_the_time_of_saying_and_close_up_after_a_removal() -> None:
    index = LexicalIndex.build(
        [
            memory("Adopted a puppy", "first", "s", observe_time=10),
            memory("Feels tired", "last", "s", observe_time=30),
        ]
    )
    between = memory("Calls him Biscuit", "between", "s", observe_time=20)

    index.add(between)
    assert found(index, "puppy") == ["first", "between", "last"]
    index.remove("between")
    assert found(index, "puppy") == ["first", "last"]
    index.add(memory("Feels tired", "last", "elsewhere", observe_time=30))
    assert found(index, "puppy") == ["first"]


def test_a_filtered_memory_still_is_context() -> None:
    index = LexicalIndex.build([memory("Adopted a puppy", "puppy", "s"), memory("Calls him Biscuit", "name", "s")])
    assert found(index, "puppy", allowed={"name"}) == ["name"]


def test_adding_under_a_known_id_replaces() -> None:
    index = LexicalIndex.build([memory("Skis at Tahoe", "m")])
    index.add(memory("Skis at Kirkwood", "m"))

    assert found(index, "tahoe") == []
    assert found(index, "kirkwood") == ["m"]
    assert len(index) == 1
    assert "m" in index


def test_removing_what_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError):
        LexicalIndex().remove("m")


def test_a_name_that_nearly_every_memory_holds_only_finds_when_alone() -> None:
    index = LexicalIndex.build(
        memory(f"Sarah likes thing{number}", f"m{number:03}", update_time=number // 2) for number in range(300)
    )

    assert found(index, "What is Sarah's thing7?") == ["m007"]
    assert found(index, "sarah", 3) == ["m298", "m299", "m296"]
    assert found(index, "sarah", 3, {"m000", "m001", "m002", "m003"}) == ["m002", "m003", "m000"]


def test_very_long_texts_and_queries_take_bounded_work() -> None:
    words = [f"word{number}" for number in range(60_000)]
    index = LexicalIndex.build(
        [
            memory(" ".join(words[:900]), "long"),
            memory("x" * 8192, "run"),
            memory("猫" * 2700, "cats"),
            memory("short word7"),
        ]
    )

    assert "long" in found(index, "word7")
    assert "long" in found(index, " ".join(words)[: 256 * 1024])
    assert found(index, "x" * 256 * 1024) == ["run"]
    assert found(index, "猫" * 80_000) == ["cats"]
    assert found(index, "\u0301" * 256 * 1024) == []


def test_both_ends_of_a_long_query_count() -> None:
    index = LexicalIndex.build([memory("Likes tea", "tea"), memory("Has a dog", "dog")])
    assert set(found(index, f"tea {'filler ' * 20_000} dog")) == {"tea", "dog"}


def test_an_index_is_small_and_does_not_burden_the_collector() -> None:
    source = random.Random(1)
    words = [f"word{number}" for number in range(3000)]
    texts = [" ".join(source.choices(words, k=14)) for _ in range(100)]
    memories = [memory(text, session=f"s{number // 5}") for number, text in enumerate(texts)]
    gc.collect()
    before = len(gc.get_objects())

    index = LexicalIndex.build(memories)

    gc.collect()
    assert len(gc.get_objects()) - before < 20
    assert index.size_bytes < 40 * 1024


def test_an_index_is_freed_without_the_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        before = sum(isinstance(kept, LexicalIndex) for kept in gc.get_objects())
        index = LexicalIndex.build([memory("Likes tea", session="s")])
        index.search("tea", 1)
        del index
        assert sum(isinstance(kept, LexicalIndex) for kept in gc.get_objects()) == before
    finally:
        gc.enable()


async def test_building_leaves_the_loop_to_others() -> None:
    memories = [memory(f"Likes tea number {number}", f"m{number:04}", "s") for number in range(400)]
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    index = await LexicalIndex.build_async(memories, slice_seconds=0)
    task.cancel()

    assert turns >= len(memories) // 16
    assert index.search("tea 17", 5) == LexicalIndex.build(memories).search("tea 17", 5)


# The reference: BM25F and neighbours as their definitions say, with no index at all.

SHARES = {-1: 0.4, +1: 0.3, -2: 0.3, +2: 0.2}


def reference(
    memories: Sequence[Memory], query: str, limit: int, allowed: Callable[[str], bool] = lambda _: True
) -> list[Hit]:
    analyzer = Analyzer()
    occurrences = {memory.memory_id: Counter(array("I", memory_codes(memory, analyzer))) for memory in memories}
    lengths = {memory_id: bm25.LENGTHS[bm25.length_class(terms.total())] for memory_id, terms in occurrences.items()}
    holders = Counter(term for terms in occurrences.values() for term in terms)
    asked = [term_code(term) for term in analyzer.query_terms(query)]
    mean = max(1, round(sum(lengths.values()) / len(lengths))) if lengths else 1
    sessions: dict[str, list[str]] = {}
    for memory in sorted(memories, key=lambda memory: (memory.observe_time, memory.number)):
        if memory.origin.session_id:
            sessions.setdefault(memory.origin.session_id, []).append(memory.memory_id)

    def weight(memory_id: str, term: int, b: float) -> float:
        count = min(occurrences[memory_id][term], 8)
        return count / (1 - b + b * lengths[memory_id] / mean)

    def score(memory: Memory) -> float:
        said = sessions.get(memory.origin.session_id, [memory.memory_id])
        here = said.index(memory.memory_id)
        total = 0.0
        for term in asked:
            combined = weight(memory.memory_id, term, 0.5)
            if holders[term] <= max(64, len(memories) / 5):
                for distance, share in SHARES.items():
                    if 0 <= here + distance < len(said):
                        combined += share * weight(said[here + distance], term, 0.75)
            total += bm25.rarity(len(memories), holders[term]) * combined * 2.2 / (combined + 1.2)
        return total

    all_once = sum(bm25.rarity(len(memories), holders[term]) for term in asked)
    ranked = sorted(
        # Equals are equal although their parts were added up in another order.
        (-round(score(memory), 6), -memory.update_time, memory.memory_id, memory)
        for memory in memories
        if allowed(memory.memory_id)
    )
    return [
        Hit(memory_id, -negative / all_once, not any(occurrences[memory_id][term] for term in asked))
        for negative, _, memory_id, _ in ranked[:limit]
        if negative < 0
    ]


def contents(hits: Iterable[Hit]) -> list[tuple[str, object, bool]]:
    return [(hit.memory_id, pytest.approx(hit.score, abs=1e-5), hit.by_context) for hit in hits]


def exactly(hits: Iterable[Hit]) -> list[tuple[str, float, bool]]:
    return [(hit.memory_id, hit.score, hit.by_context) for hit in hits]


vocabulary = ["tea", "ski", "dog", "red", "blue", "walks", "café", "猫", "🍕", "user"]
texts = st.lists(st.sampled_from(vocabulary), min_size=0, max_size=14).map(" ".join)
memories_drawn = st.builds(
    lambda slot, text, session, observed, updated: Memory(
        memory_id=f"m{slot}",
        number=slot,
        text=text,
        origin=Origin(session_id=session),
        observe_time=observed,
        update_time=updated,
    ),
    st.integers(0, 15),
    texts,
    st.sampled_from(["", "s1", "s2"]),
    st.integers(0, 5),
    st.integers(0, 3),
)
steps = st.lists(memories_drawn | st.integers(0, 15), max_size=40)


@given(steps, texts, st.integers(1, 6), st.sets(st.integers(0, 15)) | st.none())
@example([], "tea", 1, None)
def test_results_are_those_of_the_definition_after_any_changes(
    changes: list[Memory | int], query: str, limit: int, hidden: set[int] | None
) -> None:
    kept: dict[str, Memory] = {}
    index = LexicalIndex()
    for change in changes:
        if isinstance(change, Memory):
            kept[change.memory_id] = change
            index.add(change)
        elif f"m{change}" in kept:
            del kept[f"m{change}"]
            index.remove(f"m{change}")

    def allowed(memory_id: str) -> bool:
        return hidden is None or int(memory_id[1:]) not in hidden

    wanted = reference(list(kept.values()), query, limit, allowed)
    given_filter = None if hidden is None else allowed
    assert contents(index.search(query, limit, given_filter)) == exactly(wanted)
    rebuilt = LexicalIndex.build(kept.values())
    assert rebuilt.search(query, limit, given_filter) == index.search(query, limit, given_filter)


@pytest.mark.parametrize("limit", [1, 3, 10, 40])
@pytest.mark.parametrize("seed", range(6))
def test_what_is_skipped_among_many_changes_no_result(seed: int, limit: int) -> None:
    source = random.Random(seed)
    memories, index = many(source)

    for _ in range(4):
        query = asked_of_many(source)
        allowed = (lambda memory_id: int(memory_id[-1]) % 3 == 0) if source.random() < 0.5 else (lambda _: True)
        wanted = reference(memories, query, limit, allowed)
        assert contents(index.search(query, limit, allowed)) == exactly(wanted)


@pytest.mark.parametrize("limit", [1, 3, 10, 40, 700])
@pytest.mark.parametrize("seed", range(4))
def test_terms_that_are_read_at_once_give_the_same_scores_to_the_last_bit(
    monkeypatch: pytest.MonkeyPatch, seed: int, limit: int
) -> None:
    importlib.import_module("numpy")
    source = random.Random(seed)
    _, index = many(source)
    # All of a query's terms, or a few of them at a time.
    monkeypatch.setattr(dense, "_CELLS", source.choice([1, 2_000, dense._CELLS]))
    filters: list[Callable[[str], bool] | None] = [None, lambda memory_id: int(memory_id[-1]) % 3 == 0]

    for allowed in filters:
        query = asked_of_many(source)
        monkeypatch.setattr(ranking, "_MANY_POSTINGS", sys.maxsize)
        one_by_one = index.search(query, limit, allowed)
        monkeypatch.setattr(ranking, "_MANY_POSTINGS", 0)
        monkeypatch.setattr(ranking, "_SLOTS_PER_POSTING", sys.maxsize)
        assert index.search(query, limit, allowed) == one_by_one
        assert one_by_one


_WORDS = [f"w{number}" for number in range(400)]
_FREQUENCIES = [1 / (rank + 1) for rank in range(400)]


def many(source: random.Random) -> tuple[list[Memory], LexicalIndex]:
    """Return memories and their index, from which some others are gone."""
    memories = [
        memory(
            " ".join(source.choices(_WORDS, _FREQUENCIES, k=source.randint(2, 12))),
            session=source.choice(["", f"s{number // 7}"]),
            observe_time=number * 3_600_000_000,
            update_time=source.randint(0, 50),
        )
        for number in range(900)
    ]
    index = LexicalIndex.build(memories)
    for forgotten in memories[::9]:
        index.remove(forgotten.memory_id)
    del memories[::9]
    return memories, index


def asked_of_many(source: random.Random) -> str:
    return " ".join({*source.choices(_WORDS, _FREQUENCIES, k=3), *source.choices(_WORDS, k=2)})

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from msgspec import Struct, field

from memsvc.access.allowance import Quotas
from memsvc.administration import Administration
from memsvc.errors import FailedPrecondition, Reason, Unavailable
from memsvc.meaning import Meaning
from memsvc.meaning.sweep import Swept, embed_all
from memsvc.memories import Create, Delete, Guard, MemoryReader, MemoryWriter, SearchMethod, Target, Update
from memsvc.memories.reading import SearchResult
from memsvc.model import Layer, Memory, Scope
from memsvc.search.embedders.contract import EmbeddingFailed
from memsvc.search.embedders.static import StaticEmbedder
from memsvc.search.filter import MemoryFilter
from memsvc.storage.driver import RowKind
from memsvc.storage.memory import MemoryDriver
from memsvc.users import Users
from memsvc.writing.part import STORE_ALL, VectorPlan
from memsvc.writing.writer import Writer

SARAH = Scope("default", "sarah")
STATIC = StaticEmbedder()


class SlowEmbedder(Struct):
    """Embeds as the static one does, but is not there at once, or not at all; counts what it was asked."""

    name: str = "slow-1"
    instant: bool = False
    failure: EmbeddingFailed | None = None
    texts: list[str] = field(default_factory=list)

    async def embed(self, texts: Sequence[str]) -> Sequence[bytes]:
        if self.failure is not None:
            raise self.failure
        self.texts.extend(texts)
        return await STATIC.embed(texts)

    async def close(self) -> None:
        return None


class House:
    """One process on a store."""

    def __init__(
        self, driver: MemoryDriver, embedder: StaticEmbedder | SlowEmbedder | None, plan: VectorPlan = STORE_ALL
    ) -> None:
        self.driver = driver
        self.users = Users(driver)
        self.writer = Writer(self.users, vectors=plan if embedder is not None else None)
        self.meaning = Meaning(self.users, self.writer, embedder, plan) if embedder is not None else None
        self.memories = MemoryWriter(self.users, self.writer, Quotas(10_000))
        self.reader = MemoryReader(self.users, meaning=self.meaning)

    async def add(self, *texts: str) -> None:
        memories = [Memory(memory_id=text, number=0, text=text) for text in texts]
        await self.memories.write(SARAH, [Create(memory) for memory in memories], Guard(), batch=True)

    async def search(
        self,
        query: str,
        method: SearchMethod = SearchMethod.DEFAULT,
        wanted: MemoryFilter | None = None,
        min_score: float = 0.0,
    ) -> SearchResult:
        return await self.reader.search(SARAH, query, method, 10, wanted or MemoryFilter(), min_score=min_score)

    async def found(self, query: str, method: SearchMethod = SearchMethod.DEFAULT) -> list[str]:
        return [hit.memory.text for hit in (await self.search(query, method)).hits]

    async def serve(self) -> bool:
        assert self.meaning is not None
        return await self.meaning.serve(SARAH)

    async def embed_time(self) -> int:
        return (await self.users.latest(SARAH)).state.core.embed_time

    async def stored(self) -> set[str]:
        return {row.row_id for row in (await self.driver.load(SARAH, (RowKind.VECTOR,))).rows}


@pytest.fixture
async def driver() -> AsyncIterator[MemoryDriver]:
    driver = MemoryDriver("memory://", {})
    await driver.open()
    yield driver
    await driver.close()


FACTS = ("Skis at Tahoe", "Name is Sarah", "Works as an accountant", "Likes tea", "Has a dog called Rex")


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("winter sports", "Skis at Tahoe"),
        ("What is her profession?", "Works as an accountant"),
        ("favourite hot drink", "Likes tea"),
        ("any pets?", "Has a dog called Rex"),
    ],
)
async def test_what_shares_no_word_with_the_query_is_found_at_once(
    driver: MemoryDriver, query: str, answer: str
) -> None:
    house = House(driver, STATIC)
    await house.add(*FACTS)

    result = await house.search(query)

    assert (result.hits[0].memory.text, result.method, result.vectors_pending) == (answer, SearchMethod.HYBRID, 0)
    assert (await house.found(query, SearchMethod.SEMANTIC))[0] == answer
    assert answer not in await house.found(query, SearchMethod.LEXICAL)


async def test_a_filter_and_a_minimum_score_hold_for_meaning_too(driver: MemoryDriver) -> None:
    house = House(driver, STATIC)
    await house.add(*FACTS)

    wanted = MemoryFilter(text_contains="tea")
    hits = (await house.search("winter sports and a hot drink", wanted=wanted)).hits
    sure = (await house.search("any pets?", min_score=0.15)).hits

    assert [hit.memory.text for hit in hits] == ["Likes tea"]
    assert [hit.memory.text for hit in sure] == ["Has a dog called Rex"]
    assert all(0 < hit.score <= 1 for hit in sure)
    assert not (await house.search("winter sports", wanted=MemoryFilter(layers=(Layer.POLICY,)))).hits


async def test_without_an_embedder_search_goes_by_words_and_says_so(driver: MemoryDriver) -> None:
    house = House(driver, None)
    await house.add(*FACTS)

    assert (await house.search("tea")).method is SearchMethod.LEXICAL
    for method in (SearchMethod.HYBRID, SearchMethod.SEMANTIC):
        with pytest.raises(FailedPrecondition) as raised:
            await house.search("tea", method)
        assert raised.value.reason is Reason.NO_EMBEDDER
    assert not await house.embed_time()


async def test_the_vectors_of_few_memories_are_made_for_the_search_and_stored_once_they_are_many(
    driver: MemoryDriver,
) -> None:
    plan = VectorPlan(from_memories=len(FACTS) + 1)
    house = House(driver, STATIC, plan)
    await house.add(*FACTS)
    assert (await house.found("winter sports"))[0] == "Skis at Tahoe"
    another = House(driver, STATIC, plan)
    assert (await another.found("winter sports"))[0] == "Skis at Tahoe"
    assert not await house.embed_time()

    await house.add("Plays the cello")
    assert await house.embed_time()
    await house.serve()

    assert await house.stored() == {*FACTS, "Plays the cello"}
    assert not await house.embed_time()


async def test_vectors_are_stored_after_the_write_and_read_by_another_process(driver: MemoryDriver) -> None:
    embedder = SlowEmbedder()
    house = House(driver, embedder)
    await house.add(*FACTS)
    assert await house.embed_time()
    assert not embedder.texts

    assert await house.serve()
    assert not await house.embed_time()
    assert await house.stored() == set(FACTS)

    other = House(driver, SlowEmbedder())
    assert (await other.found("winter sports"))[0] == "Skis at Tahoe"
    assert other.meaning is not None
    assert other.meaning.embedder.texts == ["winter sports"]  # type: ignore[attr-defined]


async def test_a_search_uses_what_vectors_there_are_and_counts_the_others(driver: MemoryDriver) -> None:
    house = House(driver, SlowEmbedder())
    await house.add(*FACTS)
    assert (await house.search("winter sports")).vectors_pending == len(FACTS)
    await house.serve()
    await house.add("Plays ice hockey")

    result = await house.search("winter sports")

    assert (result.hits[0].memory.text, result.vectors_pending) == ("Skis at Tahoe", 1)
    await house.serve()
    assert (await house.search("winter sports")).vectors_pending == 0
    assert "Plays ice hockey" in await house.found("winter sports")


async def test_an_embedder_that_is_away_holds_up_nothing_and_is_asked_again_later(driver: MemoryDriver) -> None:
    embedder = SlowEmbedder(failure=EmbeddingFailed("endpoint answered 429", 40.0))
    house = House(driver, embedder)
    await house.add(*FACTS)

    result = await house.search("tea")
    assert [hit.memory.text for hit in result.hits] == ["Likes tea"]
    assert (result.method, result.method_reason) == (SearchMethod.LEXICAL, "embedder: endpoint answered 429")
    with pytest.raises(Unavailable):
        await house.search("tea", SearchMethod.SEMANTIC)
    before = house.users.clock()
    assert not await house.serve()
    assert await house.embed_time() >= before + 40_000_000

    embedder.failure = None
    assert await house.serve()
    assert not await house.embed_time()
    assert await house.stored() == set(FACTS)


async def test_what_is_changed_or_deleted_takes_its_vector_along(driver: MemoryDriver) -> None:
    house = House(driver, STATIC)
    await house.add(*FACTS)
    await house.serve()
    assert (await house.found("winter sports"))[0] == "Skis at Tahoe"

    update = Update(Target("Skis at Tahoe"), Memory(memory_id="", number=0, text="Collects stamps"), ("text",))
    await house.memories.write(SARAH, [update, Delete(Target("Likes tea"))], Guard(), batch=True)

    assert await house.stored() == set(FACTS) - {"Skis at Tahoe", "Likes tea"}
    assert "Collects stamps" not in (await house.found("winter sports", SearchMethod.SEMANTIC))[:1]
    assert "Likes tea" not in await house.found("hot drink", SearchMethod.SEMANTIC)
    await house.serve()
    assert await house.stored() == set(FACTS) - {"Likes tea"}
    assert (await House(driver, STATIC).found("philately, postage"))[0] == "Collects stamps"


async def test_an_erased_user_has_no_vectors(driver: MemoryDriver) -> None:
    house = House(driver, STATIC)
    await house.add(*FACTS)
    await house.serve()

    await Administration(house.users, house.writer).erase(SARAH, None)

    assert not await house.stored()
    assert not await house.found("winter sports")
    assert not await house.embed_time()


async def test_another_model_makes_all_vectors_anew(driver: MemoryDriver) -> None:
    house = House(driver, SlowEmbedder())
    await house.add(*FACTS)
    await house.serve()

    other = House(driver, SlowEmbedder(name="slow-2"))
    assert (await other.search("winter sports")).vectors_pending == len(FACTS)
    async with asyncio.timeout(10):
        while not await other.embed_time():
            await asyncio.sleep(0)
    await other.serve()

    assert (await other.search("winter sports")).vectors_pending == 0
    assert (await other.found("winter sports"))[0] == "Skis at Tahoe"


async def test_a_change_while_vectors_are_made_leaves_nothing_behind(driver: MemoryDriver) -> None:
    house = House(driver, STATIC)
    made_in_between = asyncio.Event()

    class Interrupted(SlowEmbedder):
        async def embed(self, texts: Sequence[str]) -> Sequence[bytes]:
            vectors = await STATIC.embed(texts)
            if not made_in_between.is_set():
                made_in_between.set()
                await house.add("Plays ice hockey")
                await house.memories.write(SARAH, [Delete(Target("Likes tea"))], Guard())
            return vectors

    house.meaning = Meaning(house.users, house.writer, Interrupted())
    await house.add(*FACTS)

    await house.serve()
    assert await house.embed_time()
    assert "Likes tea" not in await house.stored()
    await house.serve()
    assert not await house.embed_time()
    assert await house.stored() == {*FACTS, "Plays ice hockey"} - {"Likes tea"}


async def test_many_are_stored_in_parts_and_a_failure_in_the_middle_loses_none(driver: MemoryDriver) -> None:
    embedder = SlowEmbedder()
    house = House(driver, embedder)
    texts = [f"Has visited town number {number}" for number in range(300)]
    await house.add(*texts)
    calls = 0

    class Failing(SlowEmbedder):
        async def embed(self, texts: Sequence[str]) -> Sequence[bytes]:
            nonlocal calls
            calls += 1
            if calls == 2:
                raise EmbeddingFailed("endpoint answered 503")
            embedder.texts.extend(texts)
            return await STATIC.embed(texts)

    house.meaning = Meaning(house.users, house.writer, Failing())
    assert not await house.serve()
    assert 0 < len(await house.stored()) < 300
    assert await house.serve()

    assert await house.stored() == set(texts)
    assert sorted(embedder.texts) == sorted(texts)


async def test_a_sweep_makes_what_is_missing_of_every_user_and_goes_on_where_it_was(driver: MemoryDriver) -> None:
    embedder = SlowEmbedder()
    house = House(driver, None)
    for user_id in ("ann", "ben", "cleo"):
        memories = [Memory(memory_id=f"{user_id}{number}", number=0, text=f"Fact {number}") for number in range(4)]
        creates = [Create(memory) for memory in memories]
        await house.memories.write(Scope("default", user_id), creates, Guard(), batch=True)

    def sweep() -> AsyncIterator[Swept]:
        fresh = House(driver, embedder)
        assert fresh.meaning is not None
        return embed_all(driver, fresh.users, fresh.meaning)

    async for swept in sweep():
        if swept.users == 2:
            break
    made_first = len(embedder.texts)
    ends = [swept async for swept in sweep()]

    assert made_first == 8
    assert len(embedder.texts) == 12
    assert (ends[-1].users, ends[-1].memories, ends[-1].made, ends[-1].waits) == (3, 12, 4, "")


async def test_an_embedder_that_has_just_failed_is_not_waited_for_by_each_search(driver: MemoryDriver) -> None:
    calls = 0

    class Away(SlowEmbedder):
        async def embed(self, texts: Sequence[str]) -> Sequence[bytes]:
            nonlocal calls
            calls += 1
            raise EmbeddingFailed("model endpoint cannot be reached")

    house = House(driver, Away())
    await house.add(*FACTS)
    for query in ("tea", "dog", "Sarah"):
        result = await house.search(query)
        assert result.method is SearchMethod.LEXICAL
        assert result.method_reason
        assert result.hits
    assert calls == 1

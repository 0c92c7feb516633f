from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from memsvc.administration import Administration
from memsvc.ids import new_id
from memsvc.meaning import Meaning
from memsvc.model import LearningMode, Message, Role, Run, Scope, TextPart
from memsvc.search.embedders.static import StaticEmbedder
from memsvc.search.history import HistoryFilter
from memsvc.sessions import AppendRunCommand, Quiet, Sessions
from memsvc.sessions.searching import HistorySearch
from memsvc.storage.driver import PageOf, Row, RowKind
from memsvc.storage.memory import MemoryDriver
from memsvc.users import Users
from memsvc.writing.writer import Writer

SARAH = Scope("default", "sarah")


class House:
    """One process on a store."""

    def __init__(
        self, driver: MemoryDriver, embedder: StaticEmbedder | None = None, mode: LearningMode = LearningMode.OFF
    ) -> None:
        self.mode = mode
        self.users = Users(driver)
        self.writer = Writer(self.users)
        self.embedder = embedder
        meaning = Meaning(self.users, self.writer, embedder) if embedder is not None else None
        self.sessions = Sessions(self.users, self.writer)
        self.searching = HistorySearch(self.users, meaning)

    async def say(self, *said: str, session: str = "s1", replaces: str = "") -> str:
        roles = (Role.USER, Role.ASSISTANT)
        messages = tuple(Message(roles[number % 2], (TextPart(text),)) for number, text in enumerate(said))
        run = Run(session_id=session, run_id=new_id(), index=0, messages=messages, replaces_run_id=replaces)
        command = AppendRunCommand(run, 100, self.mode, Quiet(0, 0), new_id(), embedder=self.embedder)
        return (await self.sessions.append(SARAH, command)).run_id

    async def found(self, query: str, wanted: HistoryFilter | None = None) -> list[str]:
        passages, _ = await self.searching.search(SARAH, query, 10, wanted)
        return [passage.message.text for passage in passages]

    async def delete(self, session: str) -> None:
        await self.sessions.delete(SARAH, session, None, forget_learned=False, purge_text=False, allow_missing=False)


@pytest.fixture
async def driver() -> AsyncIterator[MemoryDriver]:
    driver = MemoryDriver("memory://", {})
    await driver.open()
    yield driver
    await driver.close()


@pytest.fixture(params=[LearningMode.OFF, LearningMode.AUTOMATIC])
def house(driver: MemoryDriver, request: pytest.FixtureRequest) -> House:
    return House(driver, mode=request.param)


async def test_what_was_said_is_found_with_what_was_said_beside_it(house: House) -> None:
    await house.say("We took in a greyhound", "What is it called?")
    await house.say("Comet", "Nice!")
    await house.say("The lease ends in August", session="s2")

    passages, user = await house.searching.search(SARAH, "greyhound", 1, None, 2)

    (passage,) = passages
    assert passage.message.text == "We took in a greyhound"
    assert passage.message.time == passage.run.create_time > 0
    assert passage.before == []
    assert [message.text for message in passage.after] == ["What is it called?", "Comet"]
    assert 0 < passage.score <= 1
    assert user.state.tip.seq == 3


async def test_a_client_finds_what_it_just_said_and_so_does_another_process(house: House, driver: MemoryDriver) -> None:
    assert await house.found("greyhound") == []
    await house.say("We took in a greyhound")
    assert await house.found("greyhound") == ["We took in a greyhound"]
    other = House(driver)
    assert await other.found("greyhound") == ["We took in a greyhound"]
    await house.say("The greyhound is afraid of thunder")
    assert await other.found("thunder") == ["The greyhound is afraid of thunder", "We took in a greyhound"]


async def test_a_deleted_session_a_replaced_run_and_an_erased_user_are_found_no_more(
    house: House, driver: MemoryDriver
) -> None:
    other = House(driver)
    first = await house.say("My code is 4711", session="s1")
    await house.say("My cat is called Mimi", session="s2")
    for each in (house, other):
        assert set(await each.found("code cat")) == {"My cat is called Mimi", "My code is 4711"}

    await house.say("My code is a secret", session="s1", replaces=first)
    for each in (house, other):
        assert await each.found("4711") == []
        assert await each.found("code") == ["My code is a secret"]
    await house.delete("s1")
    for each in (house, other):
        assert await each.found("code secret 4711") == []
        assert await each.found("cat") == ["My cat is called Mimi"]
    owed = (await house.users.latest(SARAH)).state.core.said_owed
    assert {row.row_id for row in await driver.rows(PageOf(SARAH, RowKind.SAID, limit=10))} | {*owed} == {
        row.row_id for row in await driver.rows(PageOf(SARAH, RowKind.RUN, limit=10))
    }
    await Administration(house.users, house.writer).erase(SARAH, None)
    for each in (house, other):
        assert await each.found("cat") == []
    assert await driver.rows(PageOf(SARAH, RowKind.SAID, limit=10)) == []


async def test_the_nearest_are_read_as_far_as_wanted_and_as_they_are_by_then(
    house: House, driver: MemoryDriver
) -> None:
    deleted = [await house.say(f"My code is {number}", session=f"s{number}") for number in range(6)]
    user = await house.users.read(SARAH)
    nearest = await house.searching.nearest(user, "code", 5, HistoryFilter(but_run_ids=(deleted[0],)), 0.1)

    first = await nearest.read(2)
    assert [each.text for each in first] == ["My code is 5", "My code is 4"]
    assert [(each.session_id, each.order) for each in first] == [("s5", (6, 0)), ("s4", (5, 0))]
    assert all(each.speaker == "user" and each.time > 0 for each in first)
    await House(driver).delete("s3")
    await House(driver).say("It is a secret", session="s2", replaces=deleted[2])
    assert nearest
    assert [each.text for each in await nearest.read(9)] == ["My code is 1"]
    assert not nearest
    assert not await house.searching.nearest(user, "code", 5, HistoryFilter(), 1.1)


async def test_what_comes_and_goes_while_the_history_is_read_is_not_missed(house: House, driver: MemoryDriver) -> None:
    first = await house.say("My code is 4711")
    await house.say("My code was told to nobody")

    class Slow(MemoryDriver):
        """Reads pages that are old by the time they arrive."""

        async def rows(self, page: PageOf) -> Sequence[Row]:
            rows = await driver.rows(page)
            await house.say("My code is a secret", replaces=first)
            await house.say("Do not ask for my code")
            return rows

        def __getattribute__(self, name: str) -> object:
            if name in ("rows", "__class__"):
                return object.__getattribute__(self, name)
            return getattr(driver, name)

    reading = HistorySearch(house.users)
    house.users.driver = Slow("memory://", {})
    passages, _ = await reading.search(SARAH, "code", 10)

    texts = {passage.message.text for passage in passages}
    assert texts == {"My code was told to nobody", "My code is a secret", "Do not ask for my code"}


async def test_many_who_ask_at_once_read_the_history_once(house: House, driver: MemoryDriver) -> None:
    await house.say("We took in a greyhound")
    reads = 0
    rows = driver.rows

    async def counting(page: PageOf) -> Sequence[Row]:
        nonlocal reads
        reads += 1
        await asyncio.sleep(0)
        return await rows(page)

    driver.rows = counting  # type: ignore[method-assign]
    found = await asyncio.gather(*(house.found("greyhound") for _ in range(20)))
    assert found == [["We took in a greyhound"]] * 20
    assert reads == 1


async def test_the_history_counts_in_the_caches_budget(house: House) -> None:
    for number in range(50):
        await house.say(f"Sentence number {number} about nothing in particular")
    before = (await house.users.latest(SARAH)).size_bytes
    await house.found("sentence")
    assert (await house.users.latest(SARAH)).size_bytes > before + 50 * 100


@pytest.mark.parametrize("mode", [LearningMode.OFF, LearningMode.AUTOMATIC])
async def test_what_the_user_said_is_found_by_what_it_means(driver: MemoryDriver, mode: LearningMode) -> None:
    house = House(driver, StaticEmbedder(), mode)
    await house.say("Goes skiing every weekend", "Where to?")
    await house.say("The lease ends in August", session="s2")

    assert (await house.found("winter sports"))[0] == "Goes skiing every weekend"
    assert (await House(driver, StaticEmbedder()).found("winter sports"))[0] == "Goes skiing every weekend"
    assert await House(driver).found("winter sports") == []
    by_another = await House(driver, StaticEmbedder(name="another")).found("winter sports")
    # Vectors of one model are not compared with another's; those that are not stored yet are made by whoever searches.
    assert by_another[:1] == ([] if mode is LearningMode.OFF else ["Goes skiing every weekend"])
    only = HistoryFilter(session_ids=("s2",))
    assert "Goes skiing every weekend" not in await house.found("winter sports", only)
    await house.delete("s1")
    assert "Goes skiing every weekend" not in await house.found("winter sports")

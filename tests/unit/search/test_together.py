"""A search over several users ranks as one over all of their memories."""

from __future__ import annotations

from memsvc.access.allowance import Quotas
from memsvc.ids import new_id
from memsvc.meaning import Meaning
from memsvc.memories import Create, Guard, MemoryWriter
from memsvc.memories.reading import MemoryReader, SearchMethod
from memsvc.model import Memory, Origin, Scope
from memsvc.search.embedders.static import StaticEmbedder
from memsvc.search.filter import MemoryFilter
from memsvc.search.together import Part, nearest_together
from memsvc.storage.memory import MemoryDriver
from memsvc.users import Users
from memsvc.writing.writer import Writer

SARAH, TEAM = Scope("default", "sarah"), Scope("default", "team")


async def test_the_answer_of_a_small_team_is_not_lost_among_a_users_many_memories() -> None:
    driver = MemoryDriver("memory://", {})
    await driver.open()
    users = Users(driver)
    writer = MemoryWriter(users, Writer(users), Quotas(10_000))
    own = [f"Note number {number} about nothing" for number in range(200)]
    own += [f"Finds the policy of gym {number} about towels silly" for number in range(12)]
    for scope, texts in ((SARAH, own), (TEAM, ["Vacation policy: thirty days a year"])):
        memories = [Memory(memory_id=new_id(), number=0, text=text) for text in texts]
        await writer.write(scope, [Create(memory) for memory in memories], Guard(), batch=True)

    found = await MemoryReader(users).search(
        SARAH, "vacation policy", SearchMethod.LEXICAL, 10, MemoryFilter(), ["team"]
    )

    assert found.hits[0].memory.text == "Vacation policy: thirty days a year"


async def test_what_only_stands_beside_the_answer_does_not_look_certain_and_a_minimum_score_leaves_it_out() -> None:
    driver = MemoryDriver("memory://", {})
    await driver.open()
    users = Users(driver)
    texts = ("Likes tea", "Name is Ann", "Works at Acme")
    memories = [Memory(memory_id=new_id(), number=0, text=text, origin=Origin(session_id="s")) for text in texts]
    writer = MemoryWriter(users, Writer(users), Quotas(10_000))
    await writer.write(SARAH, [Create(memory) for memory in memories], Guard(), batch=True)
    reader = MemoryReader(users)

    every = (await reader.search(SARAH, "tea", SearchMethod.LEXICAL, 10, MemoryFilter())).hits
    sure = (await reader.search(SARAH, "tea", SearchMethod.LEXICAL, 10, MemoryFilter(), min_score=0.5)).hits

    assert [hit.memory.text for hit in every] == list(texts)
    assert every[0].score > 0.9
    assert all(hit.score < 0.4 for hit in every[1:])
    assert [hit.memory.text for hit in sure] == ["Likes tea"]


async def test_of_a_user_alone_whose_memories_may_not_be_returned_none_is_and_filters_hold() -> None:
    driver = MemoryDriver("memory://", {})
    await driver.open()
    users = Users(driver)
    writer = Writer(users)
    meaning = Meaning(users, writer, StaticEmbedder())
    memories = [Memory(memory_id=new_id(), number=0, text=text) for text in ("Likes tea", "Drinks green tea")]
    await MemoryWriter(users, writer, Quotas(10)).write(
        SARAH, [Create(memory) for memory in memories], Guard(), batch=True
    )
    user = await users.latest(SARAH)
    asked = await meaning.prepared("tea", [user], 5.0)

    def found(part: Part) -> set[str]:
        return {each.item.text for each in nearest_together([part], asked, 5)}

    assert found(Part(user)) == {"Likes tea", "Drinks green tea"}
    assert found(Part(user, returned=False)) == set()
    assert found(Part(user, allowed=lambda memory_id: memory_id == memories[0].memory_id)) == {"Likes tea"}

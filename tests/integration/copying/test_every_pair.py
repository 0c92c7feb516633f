"""Between any two drivers, over real servers: a copy holds the same, and is served as if nothing had happened."""

from __future__ import annotations

import pytest
from copying_stores import DRIVERS, Stores
from houses import ERIN, GHOST, REPEATED, SARAH, SETTINGS, House, compared, contents, copied, served

from memsvc.model import Scope
from memsvc.storage.driver import Driver, RowKind
from memsvc_client import Completed, FailedPrecondition


async def test_what_is_copied_here_has_one_of_everything(house: House, stores: Stores) -> None:
    held = await contents(await stores.lived_in())
    assert held.keys() == {SETTINGS, *(Scope("default", user) for user in (SARAH, ERIN, GHOST))}
    assert held[Scope("default", ERIN)].records[0].seq == 5
    assert held[Scope("default", SARAH)].due
    assert not held[Scope("default", GHOST)].listed
    assert {key.kind for each in held.values() for key in each.rows} == set(RowKind)


@pytest.mark.parametrize("destination_name", DRIVERS)
@pytest.mark.parametrize("source_name", DRIVERS)
async def test_a_copy_holds_everything_to_the_letter(
    source_name: str, destination_name: str, house: House, stores: Stores
) -> None:
    first = await stores.lived_in()
    source, destination = await stores.new(source_name), await stores.new(destination_name)
    held = await contents(first)
    for here, there in ((first, source), (source, destination)):
        done = await copied(here, there)
        assert (done.copied, done.there_already, done.left) == (4, 0, [])
        assert await contents(there) == held
    comparison = await compared(source, destination)
    assert comparison.same
    assert {count.differ for count in comparison.counts.values()} == {0}
    assert (await copied(source, destination)).there_already == 4


@pytest.mark.parametrize("destination_name", DRIVERS)
async def test_a_copied_store_is_served(destination_name: str, house: House, stores: Stores) -> None:
    driver = await stores.new(destination_name)
    await copied(await stores.lived_in(), driver)
    await check_served(driver, house)


async def check_served(driver: Driver, house: House) -> None:
    """Memories, search, history, repeats, the tombstone, and work that was not done: all as before."""
    async with served(driver, working=False) as client:
        sarah, ghost = client.user(SARAH, agent_id="support"), client.user(GHOST)
        assert (await sarah.context()).text == house.context
        assert list(await sarah.history("s1")) == house.history
        hits = await sarah.memories.search("winter sports skis")
        assert next(iter(hits)).memory == "Skis at Tahoe"
        repeated = await sarah.memories.add("Skis at Tahoe", topics=["hobbies"], request_id=REPEATED)
        assert repeated == house.memory_id
        with pytest.raises(FailedPrecondition, match="erased"):
            await ghost.append_run("s1", [("user", "My name is Ghost")], request_id=REPEATED)
        assert await ghost.get() is None
        assert (await sarah.extractions.get(house.unfinished_id)).state == "waiting"
    async with served(driver) as client:
        sarah = client.user(SARAH, agent_id="support")
        events = [event async for event in sarah.extractions.watch(house.unfinished_id, timeout=20)]
        assert isinstance(events[-1], Completed)
        assert events[-1].extraction.state == "succeeded"
        await sarah.append_run("s3", [("user", "I love chess!")], wait=20)
        texts = " ".join([memory.memory async for memory in sarah.memories.list()])
        assert "Berlin" in texts
        assert "chess" in texts

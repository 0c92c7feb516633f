"""A server dies as it stores vectors, or its endpoint or its database is away: each is stored once, none is lost.

The same for the summaries that are made by the way. On each database.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from memsvc.journal.records import decode_body
from memsvc.journal.state import Core
from memsvc.model import Scope, decode
from memsvc.storage.conformance import Place
from memsvc.storage.conformance.proxy import proxied
from memsvc.storage.driver import Driver, RowKind
from memsvc.storage.registry import connect
from memsvc.testing.fake_openai import FakeOpenAI
from memsvc.testing.replies import Reply
from memsvc_client import AsyncMemoryClient, AsyncUser, MemoryServiceError, create
from tests.acceptance.outages import Outage, outage
from tests.acceptance.test_crash_points import KILLED
from tests.acceptance.test_killed_tidying import CALL_SECONDS, TURN, skip_unless_telling
from tests.conftest import NETWORKED, own_database
from tests.torture.databases import Database
from tests.torture.process import Installation

SARAH = Scope("default", "sarah")
SETTINGS = {"engine": "rules", "quiet_seconds": 0, "poll_seconds": 0.1, "lease_seconds": 2}
STATIC = {"embedder": "static", "store_vectors_after_seconds": 1, "store_vectors_from_memories": 0}
MEMORIES = 200
"""More than one record takes, so that there is something between its parts."""
SETTLED_SECONDS = 120


@pytest.mark.timeout(300)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_each_vector_is_stored_once_where_a_server_dies_between_two_parts(
    when: str, fresh_store: Place, tmp_path: Path
) -> None:
    skip_unless_telling(fresh_store, when, "before")
    installation = Installation.on(tmp_path, fresh_store, {**SETTINGS, **STATIC})
    # "after" is passed once, after the last part.
    place = f"meaning.{when}_store" + (":2" if when == "before" else "")
    doomed = await installation.launch(environment={"MEMSVC_CRASH_POINT": place})
    await doomed.ready()
    async with AsyncMemoryClient(doomed.target) as client:
        ids = await note_many(client)
        assert await doomed.ended() == KILLED, doomed.log_tail()
    async with opened(fresh_store) as driver:
        if when == "before":
            assert 0 < len(await stored(driver)) < MEMORIES
        async with installation.serving() as server:
            await settled(driver, ids)
            assert await server.stop() == 0
        assert await made(driver) == Counter(ids)


@pytest.mark.timeout(300)
async def test_vectors_are_made_once_after_an_endpoint_that_was_away(fresh_store: Place, tmp_path: Path) -> None:
    if fresh_store.url.startswith("memory"):
        pytest.skip("what is kept in RAM cannot be looked at from outside")
    broken = [Reply(status=429), Reply(status=503)]
    async with FakeOpenAI(broken) as endpoint, opened(fresh_store) as driver:
        settings = {"embedder": "openai", "embedding_base_url": endpoint.base_url, "embed_after_seconds": 0.1}
        installation = Installation.on(tmp_path, fresh_store, {**SETTINGS, **settings})
        async with installation.serving() as server, AsyncMemoryClient(server.target) as client:
            ids = await note_many(client)
            # Neither waits for the endpoint.
            found = await client.user("sarah").memories.search("number 17", timeout=CALL_SECONDS)
            assert "number 17" in found[0].memory
            await settled(driver, ids)
            assert await server.stop() == 0
        assert await made(driver) == Counter(ids)
        asked = Counter(text for each in endpoint.requests[len(broken) :] for text in texts_in(each.json["input"]))
    of_memories = {text: count for text, count in asked.items() if text.startswith("Fact")}
    assert of_memories == {f"Fact number {number}": 1 for number in range(MEMORIES)}


@pytest.fixture(params=NETWORKED)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    yield from own_database(request.param, tmp_path)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", [Outage.KILLED, Outage.CUT])
async def test_vectors_and_summaries_are_made_once_though_their_database_was_away(
    kind: Outage, database: Database, tmp_path: Path
) -> None:
    assert database.server is not None
    by_the_way = {"summarize_every_runs": 3}
    async with proxied(("127.0.0.1", database.server.port)) as proxy:
        url = database.server.url.replace(f":{database.server.port}", f":{proxy.port}")
        installation = Installation(tmp_path, url, {**SETTINGS, **STATIC, **by_the_way})
        async with installation.serving() as server, AsyncMemoryClient(server.target) as client:
            sarah = client.user("sarah")
            ids = await note_many(client)
            for _ in range(3):
                await sarah.append_run("s1", [("user", TURN)], timeout=CALL_SECONDS)
            async with outage(kind, database.server, proxy):
                with pytest.raises(MemoryServiceError):
                    await sarah.stats(timeout=2)
            async with opened(Place(database.server.url, {})) as driver:
                await settled(driver, ids)
                assert await made(driver) == Counter(ids)
            async with asyncio.timeout(SETTLED_SECONDS):
                while "summary" not in (ended := await ended_kinds(sarah)):
                    await asyncio.sleep(0.1)
            assert ended.count("summary") == 1
            summary = (await sarah.summarize("s1", wait=False, timeout=CALL_SECONDS)).summary
            assert summary is not None
            assert "Priya books the flights" in summary.text
            assert await server.stop() == 0
    assert database.faults() == ""


async def ended_kinds(user: AsyncUser) -> list[str]:
    """Return the kinds of the user's extractions that have succeeded."""
    return [str(each.kind) async for each in user.extractions.list(states=["succeeded"], timeout=CALL_SECONDS)]


async def note_many(client: AsyncMemoryClient) -> list[str]:
    """Create memories in one commit, and return their ids."""
    operations = [create(f"Fact number {number}") for number in range(MEMORIES)]
    written = await client.user("sarah").memories.batch(operations, timeout=CALL_SECONDS)
    return [change.after.memory_id for change in written.changes if change.after]


async def settled(driver: Driver, ids: list[str]) -> None:
    """Return once all vectors are there and none is owed."""
    async with asyncio.timeout(SETTLED_SECONDS):
        while await owed(driver) or not set(ids) <= set(await stored(driver)):
            await asyncio.sleep(0.1)


async def stored(driver: Driver) -> list[str]:
    return sorted(row.row_id for row in (await driver.load(SARAH, (RowKind.VECTOR,))).rows)


async def owed(driver: Driver) -> int:
    rows = (await driver.load(SARAH, (RowKind.STATE,))).rows
    return decode(rows[0].body, Core).embed_time if rows else 0


async def made(driver: Driver) -> Counter[str]:
    """Return how often the vector of each memory was stored, as the journal has it."""
    records = await driver.records(SARAH, 0, 1_000)
    return Counter(name for record in records for name in decode_body(record.body).embedded)


def texts_in(given: object) -> list[str]:
    return [str(each) for each in given] if isinstance(given, list) else [str(given)]


@asynccontextmanager
async def opened(place: Place) -> AsyncIterator[Driver]:
    driver = connect(place.url, place.options)
    await driver.open()
    try:
        yield driver
    finally:
        await driver.close()

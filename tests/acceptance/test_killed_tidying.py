"""A server dies as it stores a summary or commits a consolidation, on each database: both happen once, none is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from memsvc.storage.conformance import Place
from memsvc_client import AsyncMemoryClient, create
from tests.acceptance.test_crash_points import KILLED
from tests.torture.process import Installation

SETTINGS = {"engine": "rules", "embedder": "none", "quiet_seconds": 0, "poll_seconds": 0.1, "lease_seconds": 2}
CALL_SECONDS = 60.0
TURN = "The offsite in Lisbon has to be in the second week of June, and Priya books the flights for us. "


@pytest.mark.timeout(240)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_summary_is_made_once_where_a_server_dies_as_it_stores_it(
    when: str, fresh_store: Place, tmp_path: Path
) -> None:
    skip_unless_telling(fresh_store, when, "before")
    installation = Installation.on(tmp_path, fresh_store, SETTINGS)
    async with installation.serving() as server, AsyncMemoryClient(server.target) as client:
        sarah = client.user("sarah")
        for _ in range(3):
            # Each is more than half of what is read at once: three parts.
            await sarah.append_run("s1", [("user", TURN * 150)], learning_mode="off", timeout=CALL_SECONDS)
        assert await server.stop() == 0
    # It dies as it stores the second part.
    place = f"worker.{when}_finish:2"
    await die(installation, place, lambda sarah: sarah.summarize("s1", wait=False, timeout=CALL_SECONDS))

    async with installation.serving() as server, AsyncMemoryClient(server.target) as client:
        sarah = client.user("sarah")
        summary = (await sarah.summarize("s1", wait=CALL_SECONDS, timeout=CALL_SECONDS)).summary
        assert summary is not None
        assert summary.covered_through == 3
        assert "Priya books the flights" in summary.text
        ended = [each async for each in sarah.extractions.list(timeout=CALL_SECONDS)]
        assert [(str(each.kind), str(each.state)) for each in ended] == [("summary", "succeeded")]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_consolidation_is_committed_once_where_a_server_dies_as_it_commits_it(
    when: str, fresh_store: Place, tmp_path: Path
) -> None:
    skip_unless_telling(fresh_store, when, "after")
    installation = Installation.on(tmp_path, fresh_store, SETTINGS)
    async with installation.serving() as server, AsyncMemoryClient(server.target) as client:
        texts = ("Likes dogs", "The user likes dogs.", "Likes cats")
        await client.user("sarah").memories.batch([create(text) for text in texts], timeout=CALL_SECONDS)
        assert await server.stop() == 0
    place = f"worker.{when}_finish"
    await die(installation, place, lambda sarah: sarah.memories.consolidate(wait=False, timeout=CALL_SECONDS))

    async with installation.serving() as server, AsyncMemoryClient(server.target) as client:
        sarah = client.user("sarah")
        async with asyncio.timeout(CALL_SECONDS):
            while [each async for each in sarah.extractions.list(states=["waiting", "running"])]:
                await asyncio.sleep(0.1)
        kept = sorted([each.memory async for each in sarah.memories.list(timeout=CALL_SECONDS)])
        assert kept == ["Likes cats", "The user likes dogs."]
        commits = [each async for each in sarah.changes(timeout=CALL_SECONDS)]
        assert [each.revision for each in commits] == [2, 1]


async def die(installation: Installation, place: str, begin: object) -> None:
    """Start a server that dies at a place, and have it begin what passes that."""
    doomed = await installation.launch(environment={"MEMSVC_CRASH_POINT": place})
    await doomed.ready()
    async with AsyncMemoryClient(doomed.target) as client:
        assert callable(begin)
        begun = asyncio.ensure_future(begin(client.user("sarah")))
        assert await doomed.ended() == KILLED, doomed.log_tail()
        begun.cancel()
        await asyncio.gather(begun, return_exceptions=True)


def skip_unless_telling(place: Place, when: str, elsewhere: str) -> None:
    """Skip what is not kept, and on all databases but SQLite one of the two moments: they differ above the drivers."""
    if place.url.startswith("memory"):
        pytest.skip("what is kept in RAM dies with its server")
    if not place.url.startswith("sqlite") and when != elsewhere:
        pytest.skip("tried on SQLite")

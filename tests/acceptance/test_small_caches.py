"""A cache that holds hardly anybody costs time, and never an answer."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from memsvc.ids import new_id
from memsvc.storage.conformance import Place
from memsvc_client import AsyncUser, create
from tests.acceptance.fleet import Fleet, Member, fleet
from tests.conftest import NETWORKED

pytestmark = pytest.mark.parametrize("store_url", ["sqlite", *NETWORKED], indirect=True)

USERS = 20
CALL_SECONDS = 60.0
"""What a call may take: far more than any does that is not prepared again and again, on the slowest of databases."""


@pytest.mark.parametrize(
    ("cache_bytes", "memories"), [pytest.param(40_000, 60, id="small"), pytest.param(300_000, 200, id="larger")]
)
async def test_many_write_though_the_cache_holds_two_users(
    fresh_store: Place, tmp_path: Path, cache_bytes: int, memories: int
) -> None:
    scale = await fresh_store.bench().scale(fresh_store)
    writes = max(2, int(10 * scale))
    async with fleet(fresh_store, tmp_path, cache_bytes=cache_bytes) as replicas:
        members = [await replicas.start(call_seconds=CALL_SECONDS) for _ in range(2)]
        names = [f"user-{number}" for number in range(max(6, int(USERS * scale)))]
        await asyncio.gather(*(_fill(members[0], name, memories) for name in names))
        await asyncio.gather(*(_write(member.client.user(name), writes) for name in names for member in members))
        for name in names:
            found = [memory async for memory in members[1].client.user(name).memories.list(page_size=1000)]
            assert len(found) == memories + writes * len(members)
        await _stop(replicas)


async def _fill(member: Member, name: str, count: int) -> None:
    user = member.client.user(name)
    for start in range(0, count, 100):
        operations = [create(f"Fact {number} of {name}, {'and more ' * 20}") for number in range(start, start + 100)]
        await user.memories.batch(operations[: count - start])


async def _write(user: AsyncUser, count: int) -> None:
    for number in range(count):
        await user.memories.add(f"Later fact {number}", duplicate=True)
        # A run whose id the client chose makes the writer look for it first.
        said = [("user", "Hello")]
        await user.append_run(f"s{number}", said, run_id=new_id(), learning_mode="off")


async def _stop(replicas: Fleet) -> None:
    for member in replicas.serving:
        assert await member.server.stop() == 0

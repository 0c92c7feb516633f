"""A server dies as it erases a namespace: the same call again goes on, and nothing of it is left."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from memsvc.storage.conformance import Place
from memsvc_client import AsyncMemoryClient
from tests.acceptance.test_crash_points import KILLED
from tests.acceptance.test_killed_tidying import CALL_SECONDS, SETTINGS
from tests.torture.process import Installation

USERS = 30
SECRET = "quetzalcoatlus"


@pytest.mark.timeout(240)
@pytest.mark.parametrize("place", ["writer.before_append:2", "writer.after_append:2", "writer.after_append:1"])
@pytest.mark.parametrize(
    "store_url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)], indirect=True
)
async def test_an_erasure_of_a_namespace_that_was_killed_is_finished_by_another(
    place: str, fresh_store: Place, tmp_path: Path
) -> None:
    installation = Installation.on(tmp_path, fresh_store, SETTINGS)
    async with installation.serving() as server, AsyncMemoryClient(server.target, namespace="app") as client:
        for number in range(USERS):
            user = client.user(f"user-{number:02}")
            await user.memories.add(f"Studies {SECRET}", timeout=CALL_SECONDS)
            await user.append_run("s1", [("user", f"I study {SECRET}")], learning_mode="off", timeout=CALL_SECONDS)
        await client.config.update(mode="both", timeout=CALL_SECONDS)
        async with AsyncMemoryClient(server.target) as other:
            await other.user("sarah").memories.add("Likes tea", timeout=CALL_SECONDS)
        assert await server.stop() == 0

    doomed = await installation.launch(environment={"MEMSVC_CRASH_POINT": place})
    await doomed.ready()
    async with AsyncMemoryClient(doomed.target) as client:
        erasing = asyncio.ensure_future(erase(client))
        assert await doomed.ended() == KILLED, doomed.log_tail()
        erasing.cancel()
        await asyncio.gather(erasing, return_exceptions=True)

    async with installation.serving() as server, AsyncMemoryClient(server.target) as client:
        assert await users_of(server.target)
        await erase(client)
        assert await users_of(server.target) == []
        async with AsyncMemoryClient(server.target, namespace="app") as erased:
            for number in range(USERS):
                user = erased.user(f"user-{number:02}")
                assert [each async for each in user.memories.list(timeout=CALL_SECONDS)] == []
                assert [each async for each in user.runs(timeout=CALL_SECONDS)] == []
            assert str((await erased.config.get(timeout=CALL_SECONDS)).in_force.mode) == "automatic"
        assert [each.memory async for each in client.user("sarah").memories.list()] == ["Likes tea"]
        assert await server.stop() == 0
    if fresh_store.url.startswith("sqlite"):
        files = [path for path in tmp_path.iterdir() if path.is_file() and not path.name.endswith(".log")]
        assert [path.name for path in files if SECRET.encode() in path.read_bytes()] == []


async def erase(client: AsyncMemoryClient) -> object:
    return await client.erase_namespace("app", confirm_namespace="app", timeout=CALL_SECONDS)


async def users_of(target: str) -> list[str]:
    async with AsyncMemoryClient(target, namespace="app") as client:
        return [each async for each in client.users(timeout=CALL_SECONDS)]

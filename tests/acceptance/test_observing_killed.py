"""A conversation is observed while its server is killed again and again: what was acknowledged is learned from once."""

from __future__ import annotations

import asyncio
from itertools import islice
from pathlib import Path

import pytest

from memsvc.storage.conformance import Place
from memsvc_client import AsyncMemoryClient
from tests.torture.process import Installation, Server
from tests.torture.words import new_words

MESSAGES = 60
KILLS = 4
SETTINGS = {"engine": "rules", "embedder": "none", "quiet_seconds": 0.05, "poll_seconds": 0.1, "lease_seconds": 1}


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "store_url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)], indirect=True
)
async def test_every_acknowledged_message_is_learned_from_exactly_once(fresh_store: Place, tmp_path: Path) -> None:
    words = list(islice(new_words(), MESSAGES))
    target = f"unix://{tmp_path}/memsvc.sock"
    installation = Installation.on(tmp_path, fresh_store, SETTINGS)
    server = await _started(installation, target)
    acknowledged: list[str] = []
    try:
        async with AsyncMemoryClient(target, timeout_seconds=60) as client:
            sarah = client.user("sarah")
            async with sarah.observe("s1") as conversation:
                for index, word in enumerate(words, start=1):
                    saying = asyncio.create_task(conversation.add("user", f"I love playing {word}."))
                    if index % (MESSAGES // KILLS) == 0:
                        # While the message is on its way, or just stored: nobody knows which.
                        await server.kill()
                        server = await _started(installation, target)
                    assert await saying == index
                    acknowledged.append(word)
            learned = [memory.memory async for memory in sarah.memories.list()]
            history = [str(each["content"]) for each in await sarah.history("s1", last_runs=1_000)]
            pending = (await sarah.stats()).pending_run_count
    finally:
        await server.close()

    assert [word for word in acknowledged if sum(word in text for text in history) != 1] == []
    assert [word for word in acknowledged if sum(word in text for text in learned) != 1] == []
    assert len(acknowledged) == len(history) == MESSAGES
    assert pending == 0


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "store_url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)], indirect=True
)
async def test_a_stream_goes_on_at_another_server_of_the_same_database(fresh_store: Place, tmp_path: Path) -> None:
    words = list(islice(new_words(), MESSAGES // 2))
    installation = Installation.on(tmp_path, fresh_store, SETTINGS)
    sockets = [tmp_path / "first.sock", tmp_path / "second.sock"]
    servers = [await _started(installation, f"unix://{socket}") for socket in sockets]
    # What a balancer in front of them does: it leads to the one that lives.
    where = tmp_path / "memsvc.sock"
    where.symlink_to(sockets[0])
    try:
        async with AsyncMemoryClient(f"unix://{where}", timeout_seconds=60) as client:
            sarah = client.user("sarah")
            async with sarah.observe("s1") as conversation:
                for index, word in enumerate(words, start=1):
                    saying = asyncio.create_task(conversation.add("user", f"I love playing {word}."))
                    if index == len(words) // 2:
                        await servers[0].kill()
                        (tmp_path / "next").symlink_to(sockets[1])
                        (tmp_path / "next").replace(where)
                    assert await saying == index
            learned = [memory.memory async for memory in sarah.memories.list()]
            history = [str(each["content"]) for each in await sarah.history("s1", last_runs=1_000)]
            pending = (await sarah.stats()).pending_run_count
    finally:
        await asyncio.gather(*(server.close() for server in servers))

    assert [sum(word in text for text in history) for word in words] == [1] * len(words)
    assert [sum(word in text for text in learned) for word in words] == [1] * len(words)
    assert (len(history), pending) == (len(words), 0)


async def _started(installation: Installation, target: str) -> Server:
    server = await installation.launch(listen=[target])
    await server.ready()
    return server

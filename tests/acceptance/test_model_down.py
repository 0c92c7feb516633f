"""A model that is down, hangs or errs costs no call anything: what is to be learned waits, says why, and is learned."""

from __future__ import annotations

import asyncio
import socket
from contextlib import closing
from pathlib import Path

import pytest

from memsvc.testing.fake_openai import FakeOpenAI
from memsvc.testing.replies import Reply
from memsvc_client import AsyncMemoryClient, AsyncUser, Completed, Extraction
from tests.torture.databases import sqlite
from tests.torture.process import Installation

MISBEHAVIOURS = {
    "MODEL_UNAVAILABLE": Reply(status=503),
    "MODEL_RATE_LIMITED": Reply(status=429, headers={"Retry-After": "1"}),
    "MODEL_TIMEOUT": Reply(hang=True),
}


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    settings = {"engine": "openai", "openai_api_key": "none", "quiet_seconds": 0, "poll_seconds": 0.1}
    return Installation(tmp_path, sqlite(tmp_path).url, {**settings, "model_idle_timeout_seconds": 0.5})


async def waiting(user: AsyncUser) -> Extraction:
    """Return the user's extraction once it waits for a reason."""
    while True:
        [extraction] = [each async for each in user.extractions.list()]
        if extraction.reason:
            return extraction
        await asyncio.sleep(0.02)


async def assert_calls_work(user: AsyncUser) -> None:
    await user.memories.add("I ski")
    assert "I ski" in (await user.context()).text
    assert (await user.memories.search("skiing"))[0].memory == "I ski"
    assert len(await user.history("s1")) == 1


async def assert_learned(user: AsyncUser) -> None:
    [extraction] = [each async for each in user.extractions.list()]
    [*_, last] = [event async for event in user.extractions.watch(extraction.extraction_id, timeout=30)]
    assert isinstance(last, Completed)
    assert last.extraction.state == "succeeded"
    memories = sorted([memory.memory async for memory in user.memories.list()])
    assert memories == ["I ski", "The user likes sushi."]


async def test_a_model_that_misbehaves_delays_learning_and_nothing_else(installation: Installation) -> None:
    async with FakeOpenAI(MISBEHAVIOURS.values()) as fake:
        async with installation.serving(openai_base_url=fake.base_url) as server:
            async with AsyncMemoryClient(server.target) as client:
                users = {reason: client.user(reason) for reason in MISBEHAVIOURS}
                for number, (reason, user) in enumerate(users.items(), start=1):
                    await user.append_run("s1", [("user", "I love sushi!")])
                    await fake.wait_for(lambda fake, number=number: len(fake.requests) >= number)  # type: ignore[misc]
                    await assert_calls_work(user)
                    extraction = await waiting(user)
                    assert (extraction.state, extraction.reason) == ("waiting", reason)
                for user in users.values():
                    await assert_learned(user)


async def test_what_was_said_while_the_model_was_down_is_learned_when_it_is_back(installation: Installation) -> None:
    with closing(socket.socket()) as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    async with installation.serving(openai_base_url=f"http://127.0.0.1:{port}/v1") as server:
        async with AsyncMemoryClient(server.target) as client:
            user = client.user("sarah")
            await user.append_run("s1", [("user", "I love sushi!")])
            extraction = await waiting(user)
            assert (extraction.state, extraction.reason) == ("waiting", "MODEL_UNAVAILABLE")
            await assert_calls_work(user)
            async with FakeOpenAI(port=port):
                await assert_learned(user)

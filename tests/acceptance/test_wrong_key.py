"""A key that is refused delays learning and loses nothing: when it is right again, all is learned by itself, once."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from memsvc.testing.fake_openai import FakeOpenAI, by_understanding
from memsvc.testing.replies import Received, Reply
from memsvc_client import AsyncMemoryClient
from tests.conftest import own_database
from tests.torture.databases import Database
from tests.torture.process import Installation

WRONG_SECONDS = float(os.environ.get("MEMSVC_TEST_WRONG_SECONDS", "8"))
LEARNED_WITHIN_SECONDS = 60.0
USERS, SESSIONS = 10, 5


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    yield from own_database(request.param, tmp_path)


class Endpoint:
    """A model behind a key that is refused until it is mended."""

    def __init__(self) -> None:
        self.is_mended = False
        self.read: Counter[str] = Counter()
        """Which texts a model has read."""

    def answer(self, request: Received) -> Reply:
        if not self.is_mended:
            return Reply(status=401)
        prompt = str(request.json["messages"][-1]["content"]).partition("<conversation>")[2]
        self.read.update(text for text in texts() if f"{text}." in prompt)
        return by_understanding(request)


def texts() -> list[str]:
    return [f"I like thing-{user}-{session}" for user in range(USERS) for session in range(SESSIONS)]


@pytest.mark.timeout(300)
async def test_all_that_was_said_while_the_key_was_wrong_is_learned_once_it_is_right(
    database: Database, tmp_path: Path
) -> None:
    endpoint = Endpoint()
    settings = {"engine": "openai", "openai_api_key": "wrong", "quiet_seconds": 0}
    installation = Installation(tmp_path, database.url, settings)
    async with FakeOpenAI(otherwise=endpoint.answer) as fake:
        async with installation.serving(openai_base_url=fake.base_url) as server:
            async with AsyncMemoryClient(server.target) as client:
                started = asyncio.get_running_loop().time()
                for number, text in enumerate(texts()):
                    user = client.user(f"user-{number // SESSIONS}")
                    await user.append_run(f"s{number % SESSIONS}", [("user", f"{text}.")])
                    await asyncio.sleep(max(0.0, WRONG_SECONDS / len(texts())))
                while asyncio.get_running_loop().time() < started + WRONG_SECONDS:
                    await asyncio.sleep(0.1)
                info = await client.server_info()
                assert info.waiting_reason == "MODEL_REJECTED"
                assert info.failed_extraction_count == 0
                endpoint.is_mended = True
                async with asyncio.timeout(LEARNED_WITHIN_SECONDS):
                    for number in range(USERS):
                        await assert_learned(client, number)
    assert endpoint.read == Counter(texts())


async def assert_learned(client: AsyncMemoryClient, number: int) -> None:
    user = client.user(f"user-{number}")
    while (await user.stats()).pending_run_count:
        await asyncio.sleep(0.05)
    extractions = [each async for each in user.extractions.list()]
    assert {(each.state, each.attempt) for each in extractions} == {("succeeded", 1)}
    memories = sorted([memory.memory async for memory in user.memories.list()])
    assert memories == [f"The user likes thing-{number}-{session}." for session in range(SESSIONS)]

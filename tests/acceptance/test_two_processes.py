"""Two servers on one database: what one writes the other reads at once, and each extraction is done once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from memsvc.testing.fake_openai import FakeOpenAI
from memsvc.testing.replies import Reply
from memsvc_client import AsyncMemoryClient, AsyncUser, Completed, ExtractionState, Unavailable
from tests.torture.checking import check
from tests.torture.databases import Database, sqlite
from tests.torture.ledger import Book, Ledger, Lesson
from tests.torture.process import Installation
from tests.torture.words import new_words

SETTINGS = {"engine": "rules", "quiet_seconds": 0, "poll_seconds": 0.1, "lease_seconds": 0.6}
WITHOUT_HINTS = "hint_poll_ms=60000"


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return sqlite(tmp_path)


@pytest.fixture
def installation(tmp_path: Path, database: Database) -> Installation:
    return Installation(tmp_path, database.url, SETTINGS)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def user_of_new_server(stack: AsyncExitStack, installation: Installation, **how: object) -> AsyncUser:
    server = await stack.enter_async_context(installation.serving(**how))
    client = await stack.enter_async_context(AsyncMemoryClient(server.target))
    return client.user("sarah")


async def completed(user: AsyncUser, extraction_id: str) -> Completed:
    [*_, last] = [event async for event in user.extractions.watch(extraction_id, timeout=30)]
    assert isinstance(last, Completed)
    return last


async def texts(user: AsyncUser) -> list[str]:
    return sorted([memory.memory async for memory in user.memories.list()])


async def test_a_read_is_fresh_when_every_notification_is_lost(
    stack: AsyncExitStack, installation: Installation
) -> None:
    first = await user_of_new_server(stack, installation, storage_options=WITHOUT_HINTS)
    second = await user_of_new_server(stack, installation, storage_options=WITHOUT_HINTS)
    writer, reader = first, second
    for number in range(40):
        memory_id = await writer.memories.add(f"Fact number {number}")
        assert (await reader.memories.get(memory_id)).memory == f"Fact number {number}"
        assert f"Fact number {number}" in (await reader.context()).text
        writer, reader = reader, writer


async def test_servers_that_race_learn_everything_once(stack: AsyncExitStack, installation: Installation) -> None:
    book = Book("sarah")
    users = [await user_of_new_server(stack, installation) for _ in range(2)]
    words = new_words()

    async def say(user: AsyncUser, session_id: str) -> None:
        for _ in range(15):
            word = next(words)
            receipt = await user.append_run(session_id, [("user", f"I love playing {word}.")])
            book.lessons.append(Lesson(word, in_session=True, extraction_id=receipt.extraction_id, acknowledged=True))

    await asyncio.gather(*(say(user, f"session-{number}") for number in range(2) for user in users))
    server = await stack.enter_async_context(installation.serving())
    ledger = Ledger([book], words)
    await check(await stack.enter_async_context(AsyncMemoryClient(server.target)), ledger)
    assert ledger.findings == []


async def test_what_a_killed_server_worked_on_is_finished_by_the_other(
    stack: AsyncExitStack, installation: Installation
) -> None:
    fake = await stack.enter_async_context(FakeOpenAI([Reply(hang=True)]))
    doomed = await stack.enter_async_context(installation.serving(**model_at(fake)))
    async with AsyncMemoryClient(doomed.target) as client:
        receipt = await client.user("sarah").append_run("s1", [("user", "I love sushi!")])
    await fake.wait_for(lambda fake: bool(fake.requests))
    other = await user_of_new_server(stack, installation)
    await doomed.kill()
    assert (await completed(other, receipt.extraction_id)).extraction.state is ExtractionState.SUCCEEDED
    assert await texts(other) == ["Likes sushi"]


async def test_a_server_frozen_with_the_write_lock_blocks_writes_until_it_goes_on(
    stack: AsyncExitStack, installation: Installation
) -> None:
    impatient = "busy_timeout_ms=300"
    other = await user_of_new_server(stack, installation, storage_options=impatient)
    await other.memories.add("I ski")
    environment = {"MEMSVC_CRASH_POINT": "sqlite.before_commit:1:SIGSTOP"}
    server = await stack.enter_async_context(installation.serving(environment=environment))
    holder = (await stack.enter_async_context(AsyncMemoryClient(server.target))).user("sarah")
    holding = asyncio.create_task(holder.memories.add("I sail"))
    while "T" not in Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()[0]:
        await asyncio.sleep(0.01)
    with pytest.raises(Unavailable) as refused:
        await other.memories.add("I climb")
    assert refused.value.reason == "STORAGE_UNAVAILABLE"
    assert await texts(other) == ["I ski"]
    server.thaw()
    await holding
    await other.memories.add("I climb")
    assert await texts(other) == ["I climb", "I sail", "I ski"]


def model_at(fake: FakeOpenAI) -> dict[str, object]:
    return {"engine": "openai", "openai_base_url": fake.base_url, "openai_api_key": "none"}

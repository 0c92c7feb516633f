"""Replicas that die, hang, and come back too late: each extraction has its effect once."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from memsvc.storage.conformance import Place
from memsvc.testing.fake_model import understand
from memsvc.testing.fake_openai import FakeOpenAI
from memsvc.testing.replies import Received, Reply, operations
from memsvc_client import AsyncMemoryClient, AsyncUser, Completed
from tests.acceptance.fleet import LEASE_SECONDS, Fleet, Member, fleet
from tests.conftest import NETWORKED
from tests.torture.checking import check
from tests.torture.ledger import Book, Ledger, Lesson
from tests.torture.process import ServerEnded
from tests.torture.words import new_words

pytestmark = pytest.mark.parametrize("store_url", ["sqlite", *NETWORKED], indirect=True)

EXTRACTIONS = int(os.environ.get("MEMSVC_TEST_EXTRACTIONS", "120"))
"""500 are the full form. A slow test server gets fewer."""
LEAST_EXTRACTIONS = 20
EXTRACTIONS_A_HARM = 18
CHECK_SECONDS = 60.0
USERS = 12
CLIENTS = 12


@pytest.fixture
def replies() -> list[Reply]:
    """What the model says first."""
    return []


@pytest.fixture
async def model(replies: list[Reply]) -> AsyncIterator[FakeOpenAI]:
    next_reply = iter(lambda: replies.pop(0) if replies else None, "never")
    async with FakeOpenAI(next_reply, otherwise=_slowly) as model:
        yield model


@pytest.fixture
async def replicas(fresh_store: Place, tmp_path: Path, model: FakeOpenAI) -> AsyncIterator[Fleet]:
    settings: dict[str, object] = {"engine": "openai", "openai_base_url": model.base_url, "openai_api_key": "none"}
    if await fresh_store.bench().scale(fresh_store) < 1:
        settings |= {"poll_seconds": 1, "extraction_concurrency": 2}
    async with fleet(fresh_store, tmp_path, **settings) as replicas:
        yield replicas


@pytest.mark.timeout(60 + EXTRACTIONS)
async def test_each_extraction_has_its_effect_once_whatever_happens_to_replicas(
    replicas: Fleet, fresh_store: Place
) -> None:
    scale = await fresh_store.bench().scale(fresh_store)
    count, clients = max(LEAST_EXTRACTIONS, int(EXTRACTIONS * scale)), max(2, int(CLIENTS * scale))
    ledger = Ledger([Book(f"user-{number}") for number in range(USERS)], new_words())
    await asyncio.gather(*(replicas.start() for _ in range(3)))
    harming = asyncio.create_task(_harm(replicas, ledger, count))
    saying = [asyncio.create_task(_say(replicas, ledger, range(number, count, clients))) for number in range(clients)]
    await asyncio.gather(*saying, harming)
    survivor = await replicas.start()
    async with AsyncMemoryClient(survivor.server.target, timeout_seconds=CHECK_SECONDS) as patient:
        await check(patient, ledger)
    assert ledger.findings == []
    assert sum(len(book.lessons) for book in ledger.books) == count
    assert replicas.kills == replicas.freezes == count // EXTRACTIONS_A_HARM


async def test_what_a_killed_replica_worked_on_is_done_by_another(
    replicas: Fleet, model: FakeOpenAI, replies: list[Reply]
) -> None:
    replies.append(Reply(hang=True))
    doomed = await replicas.start()
    extraction_id = await _begin(doomed.client, model)
    other = await replicas.start()
    await replicas.kill(doomed)
    await _completed(_sarah(other.client), extraction_id)
    assert len(model.requests) > 1
    assert await _texts(_sarah(other.client)) == ["The user likes sushi."]


async def test_a_replica_frozen_past_its_lease_commits_nothing(
    replicas: Fleet, model: FakeOpenAI, replies: list[Reply]
) -> None:
    late = {"action": "add", "layer": "knowledge", "text": "Likes it late", "quote": "I love sushi"}
    # So late that the other is done before, also where SQLite's writer had to be thawed to let the other in.
    replies.append(operations(late, delay_seconds=10 * LEASE_SECONDS))
    frozen = await replicas.start()
    extraction_id = await _begin(frozen.client, model)
    other = await _start_beside(replicas, frozen)
    await _completed(_sarah(other.client), extraction_id)
    assert len(model.requests) > 1
    frozen.server.thaw()
    thawed = _sarah(frozen.client)
    # A worker serves a user one extraction after the other: when this one has ended, the thawed one is over the first.
    receipt = await thawed.append_run("s2", [("user", "I love tea!")])
    await _completed(thawed, receipt.extraction_id)
    for reader in (thawed, _sarah(other.client)):
        assert await _texts(reader) == ["The user likes sushi.", "The user likes tea."]
        assert [commit.revision async for commit in reader.changes()] == [2, 1]


def _slowly(request: Received) -> Reply:
    """Answer so that harm comes in the middle of it, now and then."""
    prompt = str(request.json["messages"][-1]["content"])
    return operations(*understand(prompt), delay_seconds=0.02 + len(prompt) % 7 * 0.02)


async def _say(replicas: Fleet, ledger: Ledger, numbers: Iterable[int]) -> None:
    for number in numbers:
        book = ledger.books[number % USERS]
        word, request_id = next(ledger.words), str(uuid.uuid4())
        lesson = Lesson(word, in_session=True)
        book.lessons.append(lesson)

        async def append(
            client: AsyncMemoryClient, user_id: str = book.user_id, word: str = word, request_id: str = request_id
        ) -> str:
            # A session of its own: so each run is an extraction.
            user = client.user(user_id)
            receipt = await user.append_run(
                f"about-{word}", [("user", f"I love playing {word}.")], request_id=request_id
            )
            return receipt.extraction_id

        lesson.extraction_id, lesson.acknowledged = await replicas.call(append), True
        ledger.acknowledged += 1


async def _harm(replicas: Fleet, ledger: Ledger, count: int) -> None:
    """Each time so many extractions were accepted, freeze one past its lease, kill another and start the next."""
    for harm in range(count // EXTRACTIONS_A_HARM):
        while ledger.acknowledged < harm * EXTRACTIONS_A_HARM + EXTRACTIONS_A_HARM // 2:
            await asyncio.sleep(0.01)
        frozen, doomed, *_ = replicas.random.sample(replicas.serving, len(replicas.serving))
        freezing = asyncio.create_task(replicas.freeze(frozen, 1.5 * LEASE_SECONDS))
        try:
            await asyncio.sleep(replicas.random.uniform(0.1, 0.6))
            await replicas.kill(doomed)
            await replicas.start()
        finally:
            await freezing


async def _start_beside(replicas: Fleet, frozen: Member) -> Member:
    """Freeze a replica, and start another; SQLite's, frozen amid a write, would keep it out."""
    while True:
        frozen.server.freeze()
        try:
            return await replicas.start()
        except ServerEnded:
            frozen.server.thaw()
            await asyncio.sleep(0.1)


async def _begin(client: AsyncMemoryClient, model: FakeOpenAI) -> str:
    """Let a replica begin to learn something; return the extraction's id once the model was asked."""
    receipt = await _sarah(client).append_run("s1", [("user", "I love sushi!")])
    await model.wait_for(lambda model: bool(model.requests))
    return receipt.extraction_id


def _sarah(client: AsyncMemoryClient) -> AsyncUser:
    return client.user("sarah")


async def _completed(user: AsyncUser, extraction_id: str) -> Completed:
    [*_, last] = [event async for event in user.extractions.watch(extraction_id, timeout=30)]
    assert isinstance(last, Completed)
    return last


async def _texts(user: AsyncUser) -> list[str]:
    return sorted([memory.memory async for memory in user.memories.list()])

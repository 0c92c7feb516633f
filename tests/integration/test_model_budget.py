"""What a model may cost a namespace in a day, where somebody waits for its answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from memsvc.testing.fake_openai import FakeOpenAI, by_understanding
from memsvc.testing.replies import Received, Reply
from memsvc_client import AsyncMemoryClient, ResourceExhausted

DEADLINE_SECONDS = 60

Ask = Callable[[Any], Awaitable[Any]]


async def searched(user: Any) -> Any:
    return await user.memories.search("What does he sail?", method="agentic", timeout=DEADLINE_SECONDS)


async def previewed(user: Any) -> Any:
    events = user.extract("I live in Berlin, and I play the cello", validate_only=True, timeout=DEADLINE_SECONDS)
    return [event async for event in events]


async def tidied(user: Any) -> Any:
    return await user.memories.consolidate(validate_only=True, timeout=DEADLINE_SECONDS)


ASKED: tuple[Ask, ...] = (searched, previewed, tidied)


class Answering:
    """A model that learns as it is told, and answers every other question with nothing, or not at all."""

    def __init__(self) -> None:
        self.calls = 0
        self.fails = False

    def __call__(self, request: Received) -> Reply:
        self.calls += 1
        usage = {"prompt_tokens": 70, "completion_tokens": 30, "total_tokens": 100}
        if self.fails:
            return Reply(content="no JSON", usage=usage)
        if "You search" in request.prompt:
            return Reply(content='{"numbers":[]}', usage=usage)
        if "You tidy" in request.prompt:
            return Reply(content='{"merge":[],"retire":[]}', usage=usage)
        return Reply(content=by_understanding(request).content, usage=usage)


@dataclass
class Served:
    """A server whose model answers as it is told, and clients of it."""

    model: Answering
    client_of: Callable[[str], AsyncMemoryClient]
    """Of a namespace."""

    async def known(self, namespace: str) -> Any:
        """Return a user of whom two memories are alike."""
        sarah = (await asyncio.to_thread(self.client_of, namespace)).user("sarah")
        for text in ("Goes hiking in the Alps every summer", "Hikes in the Alps in summer", "Owns a boat"):
            await sarah.memories.add(text)
        return sarah


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    limits, model = tmp_path / "limits.toml", Answering()
    limits.write_text("[small]\nmodel_tokens_a_day = 100\n[large]\nmodel_tokens_a_day = 200\n")
    async with FakeOpenAI(otherwise=model) as fake:
        settings: dict[str, Any] = {
            "engine": "openai",
            "openai_base_url": fake.base_url,
            "openai_api_key": "none",
            "limits_file": str(limits),
        }
        async with contextlib.AsyncExitStack() as clients:

            def client_of(namespace: str) -> AsyncMemoryClient:
                client = AsyncMemoryClient.local(tmp_path / "m.db", namespace=namespace, **settings)
                clients.push_async_callback(client.close)
                return client

            yield Served(model, client_of)


@pytest.mark.parametrize("ask", ASKED)
async def test_an_answer_of_a_model_is_paid_from_the_budget_and_refused_once_that_is_spent(
    served: Served, ask: Ask
) -> None:
    sarah, model = await served.known("small"), served.model
    await ask(sarah)
    assert model.calls == 1
    for other in ASKED:
        with pytest.raises(ResourceExhausted) as refused:
            await other(sarah)
        assert refused.value.reason == "BUDGET_EXHAUSTED"
        assert "100 model tokens of 100 are spent until" in str(refused.value)
    assert model.calls == 1
    # What needs no model is answered, and other namespaces have budgets of their own.
    assert [hit.memory for hit in await sarah.memories.search("boat", limit=1)] == ["Owns a boat"]
    await ask(await served.known("other"))


@pytest.mark.parametrize("ask", [searched, tidied])
async def test_an_answer_that_cannot_be_used_is_paid_for_as_well(served: Served, ask: Ask) -> None:
    sarah, model = await served.known("small"), served.model
    model.fails = True
    with pytest.raises(ResourceExhausted) as refused:
        # The client asks once more.
        await ask(sarah)
    assert (refused.value.reason, model.calls) == ("BUDGET_EXHAUSTED", 1)


async def test_learning_waits_for_what_searches_have_spent(served: Served) -> None:
    sarah = await served.known("large")
    for _ in range(2):
        await searched(sarah)
    run = await sarah.append_run("s1", [("user", "I live in Berlin")])
    async with asyncio.timeout(DEADLINE_SECONDS):
        while (await sarah.extractions.get(run.extraction_id)).reason != "BUDGET_EXHAUSTED":
            await asyncio.sleep(0.05)

"""A Pydantic AI agent with memory: what arrives in its prompt, what is learned, whose it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel

from memsvc_client import AsyncMemoryClient, MemoryClient
from memsvc_pydantic_ai import MemsvcMemory

Learned = Callable[[str], str]


@dataclass
class Deps:
    user_id: str


def agent_with(client: Any, **options: Any) -> Any:
    return Agent(
        OpenAIChatModel("scripted"),
        deps_type=Deps,
        instructions="Be brief.",
        capabilities=[MemsvcMemory(client, **options)],
    )


def test_what_a_user_said_is_in_the_prompt_of_the_next_conversation(
    model: Any, memory: MemoryClient, user_id: str, learned: Learned
) -> None:
    agent = agent_with(memory)
    agent.run_sync("I live in Lyon.", deps=Deps(user_id), conversation_id="s1")
    assert "Lyon" in learned(user_id)
    agent.run_sync("Where do I live?", deps=Deps(user_id), conversation_id="s2")
    assert "location: Lyon" in model.asked[-1].prompt
    assert "Be brief." in model.asked[-1].prompt
    assert len(model.asked) == 2
    [run] = memory.user(user_id).runs("s1")
    assert [message.role for message in run.messages] == ["user", "assistant"]


def test_a_conversation_that_goes_on_is_stored_turn_by_turn(model: Any, memory: MemoryClient, user_id: str) -> None:
    agent = agent_with(memory)
    first = agent.run_sync("I like tea.", deps=Deps(user_id))
    second = agent.run_sync("I like tea.", deps=Deps(user_id), message_history=first.all_messages())
    assert second.conversation_id == first.conversation_id
    runs = memory.user(user_id).runs(first.conversation_id)
    assert [len(run.messages) for run in runs] == [2, 2]


def test_an_agentic_model_keeps_memory_by_its_tools(model: Any, memory: MemoryClient, user_id: str) -> None:
    agent = agent_with(memory, mode="agentic")

    @agent.tool_plain
    def get_weather() -> str:
        """Tell the weather."""
        return "Rain."

    agent.run_sync("I'm allergic to peanuts.", deps=Deps(user_id), conversation_id="s1")
    offered = {tool["function"]["name"] for tool in model.asked[0].json["tools"]}
    assert {"get_weather", "save_memory", "forget"} <= offered
    assert [each.trust for each in memory.user(user_id).memories.list()] == ["from_tool"]
    assert not any("peanuts" in each.prompt for each in model.learned)
    [run] = memory.user(user_id).runs("s1")
    assert [message.role for message in run.messages] == ["user", "assistant", "tool", "assistant"]


async def test_two_users_at_once_keep_apart(
    model: Any, database: Any, memory: MemoryClient, user_id: str, learned: Learned
) -> None:
    ada, ben = f"ada-{user_id}", f"ben-{user_id}"
    async with AsyncMemoryClient.local(database, context_timeout_seconds=30) as client:
        agent = agent_with(client)

        async def tell(user: str, line: str) -> None:
            await agent.run(line, deps=Deps(user), conversation_id=f"s-{user}")

        await asyncio.gather(tell(ada, "I live in Lyon."), tell(ben, "I live in Oslo."))
        for each in (ada, ben):
            await asyncio.to_thread(learned, each)
        model.forget()
        await asyncio.gather(tell(ada, "Where am I?"), tell(ben, "Where am I?"))
        prompts = [each.prompt for each in model.asked]
        assert sorted(("Lyon" in prompt, "Oslo" in prompt) for prompt in prompts) == [(False, True), (True, False)]


@pytest.mark.parametrize("mode", ["automatic", "agentic"])
def test_without_its_memory_the_agent_answers_and_one_line_says_so(
    mode: str, model: Any, nowhere: MemoryClient, user_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = agent_with(nowhere, mode=mode).run_sync("I live in Lyon.", deps=Deps(user_id))
    assert answer.output == "You said: I live in Lyon."
    lines = [record.getMessage() for record in caplog.records if record.name == "memsvc"]
    assert len(lines) == 1
    assert "Lyon" not in lines[0]


def test_nobody_named_is_an_error(model: Any, memory: MemoryClient) -> None:
    agent = Agent(OpenAIChatModel("scripted"), capabilities=[MemsvcMemory(memory)])
    with pytest.raises(ValueError, match="no user"):
        agent.run_sync("Hello")
    assert not model.asked


def test_whose_memory_it_is_can_be_said_otherwise(model: Any, memory: MemoryClient, user_id: str) -> None:
    agent = Agent(OpenAIChatModel("scripted"), capabilities=[MemsvcMemory(memory, user=lambda ctx: ctx.deps)])
    agent.run_sync("I live in Lyon.", deps=user_id, conversation_id="s1")
    assert len(memory.user(user_id).runs("s1")) == 1

"""An agno Agent or Team with memory: what arrives in its prompt, what is learned, whose it is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from agno.agent import Agent
from agno.db.in_memory import InMemoryDb
from agno.models.openai import OpenAIChat
from agno.team import Team

from memsvc_agno import memsvc_agno
from memsvc_client import AsyncMemoryClient, MemoryClient

KINDS = ["agent", "team"]
Learned = Callable[[str], str]


def made(kind: str, **ours: Any) -> Agent | Team:
    model = OpenAIChat(id="scripted")
    if kind == "agent":
        return Agent(model=model, **ours)
    return Team(members=[Agent(name="Helper", model=model)], model=model, **ours)


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_user_said_is_in_the_prompt_of_the_next_run(
    kind: str, model: Any, memory: MemoryClient, user_id: str, learned: Learned
) -> None:
    agent = made(kind, **memsvc_agno(memory, instructions="Be brief."))
    agent.run("I live in Lyon.", user_id=user_id, session_id="s1")
    assert "Lyon" in learned(user_id)
    agent.run("Where do I live?", user_id=user_id, session_id="s2")
    assert "location: Lyon" in model.asked[-1].prompt
    assert "Be brief." in model.asked[-1].prompt
    assert len(model.asked) == 2


@pytest.mark.parametrize("kind", KINDS)
async def test_the_same_for_asyncio(
    kind: str, model: Any, database: Any, memory: MemoryClient, user_id: str, learned: Learned
) -> None:
    async with AsyncMemoryClient.local(database, context_timeout_seconds=30) as client:
        agent = made(kind, **memsvc_agno(client, instructions=["Be brief.", "Be kind."]))
        await agent.arun("I live in Lyon.", user_id=user_id, session_id="s1")
        await asyncio.to_thread(learned, user_id)
        await agent.arun("Where do I live?", user_id=user_id, session_id="s2")
    assert "location: Lyon" in model.asked[-1].prompt
    assert "Be kind." in model.asked[-1].prompt


@pytest.mark.parametrize("kind", KINDS)
async def test_a_blocking_client_serves_asyncio_too(
    kind: str, model: Any, memory: MemoryClient, user_id: str, learned: Learned
) -> None:
    agent = made(kind, **memsvc_agno(memory, mode="both"))
    await agent.arun("I live in Lyon.", user_id=user_id, session_id="s1")
    assert "Lyon" in learned(user_id)


@pytest.mark.parametrize("kind", KINDS)
def test_an_agentic_model_keeps_memory_by_its_tools(kind: str, model: Any, memory: MemoryClient, user_id: str) -> None:
    def get_weather() -> str:
        """Tell the weather."""
        return "Rain."

    agent = made(kind, **memsvc_agno(memory, mode="agentic", tools=[get_weather]))
    agent.run("I'm allergic to peanuts.", user_id=user_id, session_id="s1")
    offered = {tool["function"]["name"] for tool in model.asked[0].json["tools"]}
    assert {"get_weather", "save_memory", "forget", "search_memories"} <= offered
    kept = list(memory.user(user_id).memories.list())
    assert [(each.memory, each.trust) for each in kept] == [("The user is allergic to peanuts.", "from_tool")]
    assert memory.user(user_id).stats().pending_run_count == 0
    assert not any("peanuts" in each.prompt for each in model.learned)
    runs = list(memory.user(user_id).runs("s1"))
    assert [message.role for message in runs[0].messages] == ["user", "assistant", "tool", "assistant"]


async def test_an_agentic_model_keeps_memory_by_its_tools_with_asyncio(
    model: Any, database: Any, memory: MemoryClient, user_id: str
) -> None:
    async with AsyncMemoryClient.local(database, context_timeout_seconds=30) as client:
        agent = made("agent", **memsvc_agno(client, mode="agentic"))
        await agent.arun("I'm allergic to peanuts.", user_id=user_id, session_id="s1")
    assert [each.trust for each in memory.user(user_id).memories.list()] == ["from_tool"]


async def test_two_users_at_once_keep_apart(model: Any, database: Any, learned: Learned, user_id: str) -> None:
    ada, ben = f"ada-{user_id}", f"ben-{user_id}"
    async with AsyncMemoryClient.local(database, context_timeout_seconds=30) as client:
        agent = made("agent", db=InMemoryDb(), add_history_to_context=True, **memsvc_agno(client))
        for line in ("I live in {}.", "I like {}."):
            said = {ada: line.format("Lyon"), ben: line.format("Oslo")}
            await asyncio.gather(*(agent.arun(said[each], user_id=each, session_id=f"s-{each}") for each in said))
        for each in (ada, ben):
            await asyncio.to_thread(learned, each)
        await asyncio.gather(*(agent.arun("Where do I live?", user_id=each, session_id="new") for each in (ada, ben)))
        prompts = [each.prompt for each in model.asked[-2:]]
        assert sorted(("Lyon" in prompt, "Oslo" in prompt) for prompt in prompts) == [(False, True), (True, False)]
        runs = [len(await client.user(each).runs(f"s-{each}")) for each in (ada, ben)]
    assert runs == [2, 2]


def test_the_history_that_agno_sends_again_is_not_stored_again(model: Any, memory: MemoryClient, user_id: str) -> None:
    agent = made("agent", db=InMemoryDb(), add_history_to_context=True, **memsvc_agno(memory))
    for line in ("I live in Lyon.", "I like tea.", "I like tea."):
        agent.run(line, user_id=user_id, session_id="s1")
    said = [[message.text for message in run.messages] for run in memory.user(user_id).runs("s1")]
    assert [each[0] for each in said] == ["I live in Lyon.", "I like tea.", "I like tea."]
    assert [len(each) for each in said] == [2, 2, 2]


@pytest.mark.parametrize("mode", ["automatic", "agentic"])
def test_without_its_memory_the_agent_answers_and_one_line_says_so(
    mode: str, model: Any, nowhere: MemoryClient, user_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    agent = made("agent", **memsvc_agno(nowhere, mode=mode))
    with caplog.at_level(logging.INFO, logger="memsvc"):
        answer = agent.run("I live in Lyon.", user_id=user_id, session_id="s1")
    assert answer.content == "You said: I live in Lyon."
    lines = [record.getMessage() for record in caplog.records if record.name == "memsvc"]
    assert len(lines) == 1
    assert "Lyon" not in lines[0]


def test_a_memory_reads_no_variable_of_the_session(model: Any, memory: MemoryClient, user_id: str) -> None:
    memory.user(user_id).memories.add("Pays with $api_key and ${api_key} or {api_key}, about $5")
    agent = made("agent", **memsvc_agno(memory))
    agent.run("Hello", user_id=user_id, session_id="s1", dependencies={"api_key": "top-secret"})
    assert "top-secret" not in model.asked[-1].prompt
    assert "about $5" in model.asked[-1].prompt


def test_nobody_named_is_an_error(model: Any, memory: MemoryClient) -> None:
    agent = made("agent", **memsvc_agno(memory))
    agent.run("I live in Lyon.", session_id="s1")
    assert not model.asked

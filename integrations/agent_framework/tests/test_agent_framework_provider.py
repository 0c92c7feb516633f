"""An agent of the Agent Framework with memory: what arrives in its prompt, what is learned, whose it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from agent_framework import Agent, AgentSession
from agent_framework.openai import OpenAIChatCompletionClient

from memsvc_agent_framework import MemsvcProvider
from memsvc_client import AsyncMemoryClient, MemoryClient

Learned = Callable[[str], str]


def agent_with(client: Any, tools: Any = (), **options: Any) -> Agent[Any]:
    chat = OpenAIChatCompletionClient("scripted")
    provider = MemsvcProvider(client, **options)
    return Agent(chat, "Be brief.", tools=list(tools), context_providers=[provider])


def of(user_id: str, session_id: str = "s1") -> AgentSession:
    session = AgentSession(session_id=session_id)
    session.state["user_id"] = user_id
    return session


async def test_what_a_user_said_is_in_the_prompt_of_the_next_conversation(
    model: Any, memory: MemoryClient, user_id: str, learned: Learned
) -> None:
    agent = agent_with(memory)
    await agent.run("I live in Lyon.", session=of(user_id))
    assert "Lyon" in await asyncio.to_thread(learned, user_id)
    await agent.run("Where do I live?", session=of(user_id, "s2"))
    [system, *_] = model.asked[-1].json["messages"]
    assert system["role"] == "system"
    assert str(system["content"]).startswith("Be brief.")
    assert "location: Lyon" in system["content"]
    assert len(model.asked) == 2
    [run] = memory.user(user_id).runs("s1")
    assert [(message.role, message.text) for message in run.messages] == [
        ("user", "I live in Lyon."),
        ("assistant", "You said: I live in Lyon."),
    ]


async def test_each_turn_of_a_session_is_one_run(model: Any, memory: MemoryClient, user_id: str) -> None:
    agent, session = agent_with(memory), of(user_id)
    for line in ("I like tea.", "I like tea.", "And coffee."):
        await agent.run(line, session=session)
    # The agent itself keeps the session's history, and memory has each turn once.
    assert "I like tea." in model.asked[-1].prompt
    runs = memory.user(user_id).runs("s1")
    assert [run.messages[0].text for run in runs] == ["I like tea.", "I like tea.", "And coffee."]
    assert [len(run.messages) for run in runs] == [2, 2, 2]
    assert AgentSession.from_dict(session.to_dict()).state["user_id"] == user_id


async def test_an_answer_that_streams_is_learned_from_too(
    model: Any, database: Any, memory: MemoryClient, user_id: str, learned: Learned
) -> None:
    async with AsyncMemoryClient.local(database, context_timeout_seconds=30) as client:
        stream = agent_with(client).run("I live in Lyon.", stream=True, session=of(user_id))
        text = "".join([update.text async for update in stream])
    assert text == "You said: I live in Lyon."
    assert "Lyon" in await asyncio.to_thread(learned, user_id)
    [run] = memory.user(user_id).runs("s1")
    assert [message.role for message in run.messages] == ["user", "assistant"]


def get_weather() -> str:
    """Tell the weather."""
    return "Rain."


async def test_an_agentic_model_keeps_memory_by_its_tools(
    model: Any, memory: MemoryClient, user_id: str, contexts: list[str]
) -> None:
    agent = agent_with(memory, [get_weather], mode="agentic")
    await agent.run("I'm allergic to peanuts.", session=of(user_id))
    offered = {tool["function"]["name"] for tool in model.asked[0].json["tools"]}
    assert {"get_weather", "save_memory", "forget"} <= offered
    assert [each.trust for each in memory.user(user_id).memories.list()] == ["from_tool"]
    assert not any("peanuts" in each.prompt for each in model.learned)
    [run] = memory.user(user_id).runs("s1")
    assert [message.role for message in run.messages] == ["user", "assistant", "tool", "assistant"]
    assert (len(model.asked), contexts) == (2, ["I'm allergic to peanuts."])


async def test_two_users_at_once_keep_apart(
    model: Any, database: Any, memory: MemoryClient, user_id: str, learned: Learned
) -> None:
    ada, ben = f"ada-{user_id}", f"ben-{user_id}"
    async with AsyncMemoryClient.local(database, context_timeout_seconds=30) as client:
        agent = agent_with(client, mode="both")
        said = {ada: "I live in Lyon.", ben: "I live in Oslo."}
        await asyncio.gather(*(agent.run(said[each], session=of(each)) for each in said))
        for each in said:
            await asyncio.to_thread(learned, each)
        model.forget()
        await asyncio.gather(*(agent.run("Where am I?", session=of(each, "new")) for each in said))
    prompts = [each.prompt for each in model.asked]
    assert sorted(("Lyon" in prompt, "Oslo" in prompt) for prompt in prompts) == [(False, True), (True, False)]


@pytest.mark.parametrize("mode", ["automatic", "agentic"])
async def test_without_its_memory_the_agent_answers_and_one_line_says_so(
    mode: str, model: Any, nowhere: MemoryClient, user_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await agent_with(nowhere, mode=mode).run("I live in Lyon.", session=of(user_id))
    assert answer.text == "You said: I live in Lyon."
    lines = [record.getMessage() for record in caplog.records if record.name == "memsvc"]
    assert len(lines) == 1
    assert "Lyon" not in lines[0]


async def test_nobody_named_is_an_error(model: Any, memory: MemoryClient) -> None:
    with pytest.raises(ValueError, match="no user"):
        await agent_with(memory).run("Hello", session=AgentSession())
    assert not model.asked


async def test_whose_memory_it_is_can_be_said_otherwise(model: Any, memory: MemoryClient, user_id: str) -> None:
    await agent_with(memory, user=lambda session: user_id).run("I live in Lyon.", session=AgentSession(session_id="s1"))
    assert len(memory.user(user_id).runs("s1")) == 1

"""A LangChain agent with memory: what arrives in its prompt, what is learned, whose it is."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver

from memsvc_client import AsyncMemoryClient, ClientMisused, MemoryClient
from memsvc_langchain import MemsvcMiddleware

Learned = Callable[[str], str]
_timeouts = itertools.count(60)


def chat_model() -> ChatOpenAI:
    """Return a model with connections of its own: LangChain shares those of equal models, between event loops too."""
    return ChatOpenAI(model="scripted", timeout=next(_timeouts))


def agent_with(client: Any, tools: Any = (), **options: Any) -> Any:
    return create_agent(
        chat_model(),
        tools=list(tools),
        system_prompt="Be brief.",
        middleware=[MemsvcMiddleware(client, **options)],
        checkpointer=InMemorySaver(),
    )


def said(line: str) -> dict[str, Any]:
    return {"messages": [("user", line)]}


def of(user_id: str, thread_id: str = "s1") -> dict[str, Any]:
    return {"configurable": {"user_id": user_id, "thread_id": thread_id}}


def test_what_a_user_said_is_in_the_prompt_of_the_next_conversation(
    model: Any, memory: MemoryClient, user_id: str, learned: Learned
) -> None:
    agent = agent_with(memory)
    agent.invoke(said("I live in Lyon."), of(user_id))
    assert "Lyon" in learned(user_id)
    agent.invoke(said("Where do I live?"), of(user_id, "s2"))
    [system, *_] = model.asked[-1].json["messages"]
    assert system["role"] == "system"
    assert system["content"].startswith("Be brief.")
    assert "location: Lyon" in system["content"]
    assert len(model.asked) == 2
    [run] = memory.user(user_id).runs("s1")
    assert [message.role for message in run.messages] == ["user", "assistant"]


def test_each_turn_of_a_thread_is_one_run(model: Any, memory: MemoryClient, user_id: str) -> None:
    agent = agent_with(memory)
    for line in ("I like tea.", "I like tea.", "And coffee."):
        agent.invoke(said(line), of(user_id))
    runs = memory.user(user_id).runs("s1")
    assert [run.messages[0].text for run in runs] == ["I like tea.", "I like tea.", "And coffee."]
    assert [len(run.messages) for run in runs] == [2, 2, 2]


def get_weather() -> str:
    """Tell the weather."""
    return "Rain."


def test_an_agentic_model_keeps_memory_by_its_tools(model: Any, memory: MemoryClient, user_id: str) -> None:
    agent = agent_with(memory, [get_weather], mode="agentic")
    agent.invoke(said("I'm allergic to peanuts."), of(user_id))
    offered = {tool["function"]["name"] for tool in model.asked[0].json["tools"]}
    assert {"get_weather", "save_memory", "forget"} <= offered
    assert [each.trust for each in memory.user(user_id).memories.list()] == ["from_tool"]
    assert not any("peanuts" in each.prompt for each in model.learned)
    [run] = memory.user(user_id).runs("s1")
    assert [message.role for message in run.messages] == ["user", "assistant", "tool", "assistant"]


@dataclass
class Who:
    user_id: str


async def test_two_users_at_once_keep_apart_with_asyncio(
    model: Any, database: Any, memory: MemoryClient, user_id: str, learned: Learned
) -> None:
    ada, ben = f"ada-{user_id}", f"ben-{user_id}"
    async with AsyncMemoryClient.local(database, context_timeout_seconds=30) as client:
        agent = create_agent(chat_model(), middleware=[MemsvcMiddleware(client, mode="both")], context_schema=Who)

        async def tell(user: str, line: str) -> None:
            await agent.ainvoke(said(line), {"configurable": {"thread_id": f"s-{user}"}}, context=Who(user))

        await asyncio.gather(tell(ada, "I live in Lyon."), tell(ben, "I live in Oslo."))
        for each in (ada, ben):
            await asyncio.to_thread(learned, each)
        model.forget()
        await asyncio.gather(tell(ada, "Where am I?"), tell(ben, "Where am I?"))
        prompts = [each.prompt for each in model.asked]
        assert sorted(("Lyon" in prompt, "Oslo" in prompt) for prompt in prompts) == [(False, True), (True, False)]
        assert [len(await client.user(each).runs(f"s-{each}")) for each in (ada, ben)] == [2, 2]


async def test_a_blocking_client_serves_asyncio_too(model: Any, memory: MemoryClient, user_id: str) -> None:
    await agent_with(memory, mode="agentic").ainvoke(said("I'm allergic to peanuts."), of(user_id))
    assert len(memory.user(user_id).memories.list()) == 1


@pytest.mark.parametrize("mode", ["automatic", "agentic"])
def test_without_its_memory_the_agent_answers_and_one_line_says_so(
    mode: str, model: Any, nowhere: MemoryClient, user_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = agent_with(nowhere, mode=mode).invoke(said("I live in Lyon."), of(user_id))
    assert answer["messages"][-1].text == "You said: I live in Lyon."
    lines = [record.getMessage() for record in caplog.records if record.name == "memsvc"]
    assert len(lines) == 1
    assert "Lyon" not in lines[0]


def test_nobody_named_and_an_asyncio_client_without_asyncio_are_errors(
    model: Any, database: Any, memory: MemoryClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    with pytest.raises(ValueError, match="no user"):
        agent_with(memory).invoke(said("Hello"), {"configurable": {"thread_id": "s1"}})
    with pytest.raises(ClientMisused, match="give a MemoryClient"):
        agent_with(AsyncMemoryClient("127.0.0.1:1")).invoke(said("Hello"), of("ada"))
    assert not model.asked

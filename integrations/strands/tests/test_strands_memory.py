"""A Strands agent with memory: what arrives in its prompt, what is learned, whose it is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from strands import Agent, tool
from strands.memory import AddMessagesContext, MemoryManager
from strands.models.openai import OpenAIModel

from memsvc_client import MemoryClient, MemoryServiceError, Unavailable
from memsvc_strands import MemsvcMemory, MemsvcStore

Learned = Callable[[str], str]


def agent_with(manager: MemoryManager, **options: Any) -> Agent:
    given = {"system_prompt": "Be brief.", "callback_handler": None, **options}
    return Agent(model=OpenAIModel(model_id="scripted"), memory_manager=manager, **given)


def roles(memory: MemoryClient, user_id: str, session_id: str) -> list[list[str]]:
    return [[str(message.role) for message in run.messages] for run in memory.user(user_id).runs(session_id)]


@pytest.mark.parametrize("own", ["Be brief.", [{"text": "Be brief."}]])
def test_what_a_user_said_is_in_the_prompt_of_the_next_conversation(
    own: Any, model: Any, memory: MemoryClient, user_id: str, learned: Learned
) -> None:
    agent_with(MemsvcMemory(memory, user_id, "s1"), system_prompt=own)("I live in Lyon.")
    assert "Lyon" in learned(user_id)
    agent_with(MemsvcMemory(memory, user_id, "s2"), system_prompt=own)("Where do I live?")
    [system, *_] = model.asked[-1].json["messages"]
    assert system["role"] == "system"
    assert "Be brief." in str(system["content"])
    assert "location: Lyon" in str(system["content"])
    assert len(model.asked) == 2
    assert roles(memory, user_id, "s1") == [["user", "assistant"]]


def test_each_invocation_is_one_run(model: Any, memory: MemoryClient, user_id: str) -> None:
    agent = agent_with(MemsvcMemory(memory, user_id, "s1"))
    for line in ("I like tea.", "I like tea.", "And coffee."):
        agent(line)
    runs = memory.user(user_id).runs("s1")
    assert [run.messages[0].text for run in runs] == ["I like tea.", "I like tea.", "And coffee."]
    assert roles(memory, user_id, "s1") == [["user", "assistant"]] * 3


@tool
def get_weather() -> str:
    """Tell the weather."""
    return "Rain."


def test_an_agentic_model_keeps_memory_by_its_tools(
    model: Any, memory: MemoryClient, user_id: str, contexts: list[str]
) -> None:
    agent = agent_with(MemsvcMemory(memory, user_id, "s1", mode="agentic"), tools=[get_weather])
    agent("I'm allergic to peanuts.")
    offered = {each["function"]["name"] for each in model.asked[0].json["tools"]}
    assert {"get_weather", "save_memory", "forget"} <= offered
    assert [each.trust for each in memory.user(user_id).memories.list()] == ["from_tool"]
    assert not any("peanuts" in each.prompt for each in model.learned)
    assert roles(memory, user_id, "s1") == [["user", "assistant", "tool", "assistant"]]
    assert (len(model.asked), contexts) == (2, ["I'm allergic to peanuts."])


async def test_two_users_at_once_keep_apart(model: Any, memory: MemoryClient, user_id: str, learned: Learned) -> None:
    ada, ben = f"ada-{user_id}", f"ben-{user_id}"

    async def tell(user: str, line: str, session_id: str) -> None:
        manager = MemsvcMemory(memory, user, session_id, mode="both")
        await agent_with(manager).invoke_async(line)
        await manager.flush()

    await asyncio.gather(tell(ada, "I live in Lyon.", "s"), tell(ben, "I live in Oslo.", "s"))
    for each in (ada, ben):
        await asyncio.to_thread(learned, each)
    model.forget()
    await asyncio.gather(tell(ada, "Where am I?", "new"), tell(ben, "Where am I?", "new"))
    prompts = [each.prompt for each in model.asked]
    assert sorted(("Lyon" in prompt, "Oslo" in prompt) for prompt in prompts) == [(False, True), (True, False)]


@pytest.mark.parametrize("mode", ["automatic", "agentic"])
def test_without_its_memory_the_agent_answers_and_one_line_says_so(
    mode: str, model: Any, nowhere: MemoryClient, user_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    agent = agent_with(MemsvcMemory(nowhere, user_id, "s1", mode=mode))
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="memsvc"):
        answer = agent("I live in Lyon.")
    assert "You said: I live in Lyon." in str(answer)
    lines = [record.getMessage() for record in caplog.records if record.name == "memsvc"]
    assert len(lines) == 1
    assert "Lyon" not in caplog.text


class Stuttering(MemsvcStore):
    """Does not hear of what it stored: the answer of its first call is lost."""

    lost = 1

    async def add_messages(self, messages: Any, context: AddMessagesContext | None = None) -> None:
        await super().add_messages(messages, context)
        if self.lost:
            self.lost -= 1
            raise Unavailable("the answer was lost")


def test_what_is_given_again_is_stored_once(model: Any, memory: MemoryClient, user_id: str) -> None:
    agent = agent_with(MemoryManager([Stuttering(memory, user_id, "s1")]))
    for line in ("I like tea.", "And coffee."):
        agent(line)
    runs = memory.user(user_id).runs("s1")
    assert [run.messages[0].text for run in runs] == ["I like tea.", "And coffee."]


def test_two_agents_with_one_store_lose_nothing_of_each_other(model: Any, memory: MemoryClient, user_id: str) -> None:
    manager = MemoryManager([MemsvcStore(memory, user_id, "s1")])
    for line in ("I like tea.", "And coffee."):
        agent_with(manager)(line)
    runs = memory.user(user_id).runs("s1")
    assert [run.messages[0].text for run in runs] == ["I like tea.", "And coffee."]


def test_what_was_said_while_memory_was_down_is_given_again(
    model: Any, memory: MemoryClient, nowhere: MemoryClient, user_id: str
) -> None:
    store = MemsvcStore(nowhere, user_id, "s1")
    agent = agent_with(MemoryManager([store]))
    agent("I like tea.")
    there = MemsvcStore(memory, user_id, "s1")
    store._new_turn = there._new_turn
    store.begin()
    agent("And coffee.")
    runs = memory.user(user_id).runs("s1")
    assert [run.messages[0].text for run in runs] == ["I like tea.", "And coffee."]


def test_a_store_beside_others_is_searched_and_added_to(model: Any, memory: MemoryClient, user_id: str) -> None:
    manager = MemoryManager([MemsvcStore(memory, user_id, "s1", name="people")], add_tool_config=True)
    agent = agent_with(manager)
    asyncio.run(manager.add("Skis at Tahoe every winter", {"metadata": {"source": "form"}}))
    asyncio.run(manager.add("Allergic to peanuts"))
    [found] = asyncio.run(manager.search("winter sports", {"max_search_results": 1}))
    assert (found.content, found.store_name) == ("Skis at Tahoe every winter", "people")
    kept = memory.user(user_id).memories.get(found.metadata["memory_id"])  # type: ignore[index]
    assert kept.metadata["source"] == "form"
    agent("Which winter sports do I like?")
    assert "Skis at Tahoe every winter" in model.asked[-1].prompt


def test_adding_while_memory_is_down_is_an_error(nowhere: MemoryClient, user_id: str) -> None:
    with pytest.raises(MemoryServiceError):
        asyncio.run(MemsvcStore(nowhere, user_id, "s1").add("Skis at Tahoe"))


def test_nobody_named_is_an_error(memory: MemoryClient) -> None:
    with pytest.raises(ValueError, match="no user"):
        MemsvcMemory(memory, None, "s1")

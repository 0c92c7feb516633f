"""An ADK runner with memory: what arrives in its agents' prompts, what is learned, whose it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from google.adk.agents import LlmAgent
from google.adk.agents.callback_context import CallbackContext
from google.adk.events import Event
from google.adk.integrations.openai import OpenAILlm
from google.adk.memory.memory_entry import MemoryEntry
from google.adk.runners import Runner
from google.adk.sessions import InMemorySessionService
from google.adk.tools import load_memory, preload_memory
from google.genai import types

from memsvc_adk import MemsvcMemoryService, MemsvcPlugin
from memsvc_client import AsyncMemoryClient, MemoryClient, MemoryServiceError

APP = "helper"
Learned = Callable[[str], str]


def runner_with(*, tools: Any = (), after_agent_callback: Any = None, **given: Any) -> Runner:
    agent = LlmAgent(
        name=APP,
        model=OpenAILlm(model="scripted"),
        instruction="Be brief.",
        tools=list(tools),
        after_agent_callback=after_agent_callback,
    )
    sessions = InMemorySessionService()
    return Runner(app_name=APP, agent=agent, session_service=sessions, auto_create_session=True, **given)


async def tell(runner: Runner, user_id: str, line: str, session_id: str = "s1") -> str:
    message = types.Content(role="user", parts=[types.Part(text=line)])
    said = ""
    async for event in runner.run_async(user_id=user_id, session_id=session_id, new_message=message):
        if event.is_final_response() and event.content:
            said = "".join(part.text or "" for part in event.content.parts or ())
    return said


def roles(memory: MemoryClient, user_id: str, session_id: str = "s1") -> list[list[str]]:
    return [[str(message.role) for message in run.messages] for run in memory.user(user_id).runs(session_id)]


async def save_session(callback_context: CallbackContext) -> None:
    await callback_context.add_session_to_memory()


async def test_what_a_user_said_is_in_the_prompt_of_the_next_conversation(
    model: Any, memory: MemoryClient, user_id: str, learned: Learned
) -> None:
    runner = runner_with(plugins=[MemsvcPlugin(memory)])
    await tell(runner, user_id, "I live in Lyon.")
    assert "Lyon" in await asyncio.to_thread(learned, user_id)
    await tell(runner, user_id, "Where do I live?", "s2")
    [system, *_] = model.asked[-1].json["messages"]
    assert "Be brief." in system["content"]
    assert "location: Lyon" in system["content"]
    assert len(model.asked) == 2
    assert roles(memory, user_id) == [["user", "assistant"]]


async def test_each_turn_of_a_session_is_one_run(model: Any, memory: MemoryClient, user_id: str) -> None:
    runner = runner_with(plugins=[MemsvcPlugin(memory)])
    for line in ("I like tea.", "I like tea.", "And coffee."):
        await tell(runner, user_id, line)
    runs = memory.user(user_id).runs("s1")
    assert [run.messages[0].text for run in runs] == ["I like tea.", "I like tea.", "And coffee."]
    assert roles(memory, user_id) == [["user", "assistant"]] * 3


def get_weather() -> str:
    """Tell the weather."""
    return "Rain."


async def test_an_agentic_model_keeps_memory_by_its_tools(
    model: Any, memory: MemoryClient, user_id: str, contexts: list[str]
) -> None:
    runner = runner_with(plugins=[MemsvcPlugin(memory, mode="agentic")], tools=[get_weather])
    await tell(runner, user_id, "I'm allergic to peanuts.")
    offered = {tool["function"]["name"] for tool in model.asked[0].json["tools"]}
    assert {"get_weather", "save_memory", "forget"} <= offered
    assert [each.trust for each in memory.user(user_id).memories.list()] == ["from_tool"]
    assert not any("peanuts" in each.prompt for each in model.learned)
    assert roles(memory, user_id) == [["user", "assistant", "tool", "assistant"]]
    assert (len(model.asked), contexts) == (2, ["I'm allergic to peanuts."])


async def test_two_users_at_once_keep_apart(
    model: Any, database: Any, memory: MemoryClient, user_id: str, learned: Learned
) -> None:
    ada, ben = f"ada-{user_id}", f"ben-{user_id}"
    async with AsyncMemoryClient.local(database, context_timeout_seconds=30) as client:
        runner = runner_with(plugins=[MemsvcPlugin(client, mode="both")])
        await asyncio.gather(tell(runner, ada, "I live in Lyon."), tell(runner, ben, "I live in Oslo."))
        for each in (ada, ben):
            await asyncio.to_thread(learned, each)
        model.forget()
        await asyncio.gather(tell(runner, ada, "Where am I?", "new"), tell(runner, ben, "Where am I?", "new"))
    prompts = [each.prompt for each in model.asked]
    assert sorted(("Lyon" in prompt, "Oslo" in prompt) for prompt in prompts) == [(False, True), (True, False)]


@pytest.mark.parametrize("mode", ["automatic", "agentic"])
async def test_without_its_memory_the_agent_answers_and_one_line_says_so(
    mode: str, model: Any, nowhere: MemoryClient, user_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    runner = runner_with(plugins=[MemsvcPlugin(nowhere, mode=mode)])
    assert await tell(runner, user_id, "I live in Lyon.") == "You said: I live in Lyon."
    lines = [record.getMessage() for record in caplog.records if record.name == "memsvc"]
    assert len(lines) == 1
    assert "Lyon" not in lines[0]


async def test_adks_own_tools_find_what_its_callback_saved(
    model: Any, memory: MemoryClient, user_id: str, learned: Learned
) -> None:
    service = MemsvcMemoryService(memory)
    runner = runner_with(memory_service=service, tools=[preload_memory, load_memory], after_agent_callback=save_session)
    await tell(runner, user_id, "I live in Lyon.")
    await asyncio.to_thread(learned, user_id)
    await tell(runner, user_id, "Do I live in Lyon?", "s2")
    assert "<PAST_CONVERSATIONS>" in model.asked[-1].prompt
    assert "lives in Lyon" in model.asked[-1].prompt
    await tell(runner, f"other-{user_id}", "Do I live in Lyon?", "s3")
    assert "<PAST_CONVERSATIONS>" not in model.asked[-1].prompt


async def test_a_session_that_is_added_again_and_again_is_stored_once(
    model: Any, memory: MemoryClient, user_id: str
) -> None:
    service = MemsvcMemoryService(memory)
    runner = runner_with(memory_service=service, after_agent_callback=save_session)
    lines = ("I like tea.", "I like tea.", "And coffee.")
    for line in lines:
        await tell(runner, user_id, line)
    session = await runner.session_service.get_session(app_name=APP, user_id=user_id, session_id="s1")
    assert session is not None
    for again in (service, MemsvcMemoryService(memory)):
        await again.add_session_to_memory(session)
    assert [run.messages[0].text for run in memory.user(user_id).runs("s1")] == list(lines)
    assert roles(memory, user_id) == [["user", "assistant"]] * 3


async def test_an_invocation_that_goes_on_after_it_was_added_is_stored_to_its_end(
    model: Any, memory: MemoryClient, user_id: str
) -> None:
    events = [said("e1", "user", text="Rain?"), called("e2"), answered("e3"), said("e4", APP, text="Rain.")]
    for known in (2, 4):
        await MemsvcMemoryService(memory).add_events_to_memory(
            app_name=APP, user_id=user_id, events=events[:known], session_id="s1"
        )
    assert roles(memory, user_id) == [["user", "assistant"], ["tool", "assistant"]]


async def test_what_was_said_while_memory_was_down_goes_along_the_next_time(
    model: Any, memory: MemoryClient, nowhere: MemoryClient, user_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    service = MemsvcMemoryService(nowhere)
    runner = runner_with(memory_service=service, tools=[preload_memory], after_agent_callback=save_session)
    for line in ("I like tea.", "And coffee."):
        assert line in await tell(runner, user_id, line)
    lines = [record.getMessage() for record in caplog.records if record.name == "memsvc"]
    assert len(lines) == 1
    service._client = memory
    await tell(runner, user_id, "And cake.")
    said = [run.messages[0].text for run in memory.user(user_id).runs("s1")]
    assert said == ["I like tea.", "And coffee.", "And cake."]


async def test_single_memories_are_added_found_and_deleted(memory: MemoryClient, user_id: str) -> None:
    service, whose = MemsvcMemoryService(memory, max_results=1), {"app_name": APP, "user_id": user_id}
    texts = ["Skis at Tahoe every winter", "Allergic to peanuts"]
    entries = [MemoryEntry(content=types.Content(parts=[types.Part(text=text)])) for text in texts]
    await service.add_memory(**whose, memories=entries, custom_metadata={"source": "form"})
    [found] = (await service.search_memory(**whose, query="winter sports")).memories
    assert found.content.parts is not None
    assert found.content.parts[0].text == "Skis at Tahoe every winter"
    assert found.custom_metadata["source"] == "form"
    await service.delete_memory(**whose, memory_id=found.id)
    assert [each.memory for each in memory.user(user_id).memories.list()] == ["Allergic to peanuts"]


async def test_adding_a_memory_while_memory_is_down_is_an_error(nowhere: MemoryClient, user_id: str) -> None:
    entry = MemoryEntry(content=types.Content(parts=[types.Part(text="Skis at Tahoe")]))
    with pytest.raises(MemoryServiceError):
        await MemsvcMemoryService(nowhere).add_memory(app_name=APP, user_id=user_id, memories=[entry])


async def test_apps_can_have_users_of_their_own(memory: MemoryClient, user_id: str) -> None:
    service = MemsvcMemoryService(memory, user=lambda app_name, user: f"{app_name}:{user}")
    await service.add_events_to_memory(
        app_name=APP, user_id=user_id, events=[said("e1", "user", text="I like tea.")], session_id="s1"
    )
    assert roles(memory, f"{APP}:{user_id}") == [["user"]]
    assert not list(memory.user(user_id).runs("s1"))


async def test_credentials_that_adk_asks_for_are_not_stored(memory: MemoryClient, user_id: str) -> None:
    name = "adk_request_credential"
    asking = types.Part(function_call=types.FunctionCall(id="c9", name=name, args={"authConfig": "secret-1"}))
    given = types.Part(function_response=types.FunctionResponse(id="c9", name=name, response={"token": "secret-2"}))
    events = [said("e1", "user", text="Read my mail."), said("e2", APP, asking), said("e3", "user", given)]
    await MemsvcMemoryService(memory).add_events_to_memory(
        app_name=APP, user_id=user_id, events=events, session_id="s1"
    )
    [run] = memory.user(user_id).runs("s1")
    assert [message.parts for message in run.messages] == [("Read my mail.",)]


def said(event_id: str, author: str, *parts: types.Part, text: str = "") -> Event:
    content = types.Content(parts=[*parts, *([types.Part(text=text)] if text else [])])
    return Event(id=event_id, invocation_id="i1", author=author, content=content, timestamp=time.time())


def called(event_id: str) -> Event:
    return said(event_id, APP, types.Part(function_call=types.FunctionCall(id="c1", name="get_weather", args={})))


def answered(event_id: str) -> Event:
    response = types.FunctionResponse(id="c1", name="get_weather", response={"result": "Rain."})
    return said(event_id, APP, types.Part(function_response=response))

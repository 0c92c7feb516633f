"""An agent of the OpenAI Agents SDK with memory: its prompt, its session, what is learned, whose it is."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from agents import (
    Agent,
    OpenAIChatCompletionsModel,
    Runner,
    RunState,
    SQLiteSession,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI

from memsvc_client import AsyncMemoryClient, MemoryClient, Unavailable
from memsvc_openai_agents import MemsvcSession, amemsvc_tools, memsvc_instructions, memsvc_tools

Learned = Callable[[str], str]
set_tracing_disabled(True)


def agent_with(tools: Any = ()) -> Agent[Any]:
    return Agent(
        name="Helper",
        instructions=memsvc_instructions("Be brief."),
        tools=list(tools),
        model=OpenAIChatCompletionsModel("scripted", AsyncOpenAI()),
    )


async def test_what_a_user_said_is_in_the_prompt_of_the_next_conversation(
    model: Any, database: Any, memory: MemoryClient, user_id: str, learned: Learned
) -> None:
    async with AsyncMemoryClient.local(database, context_timeout_seconds=30) as client:
        first = MemsvcSession(client, user_id, "s1")
        await Runner.run(agent_with(), "I live in Lyon.", session=first, context=first)
        assert "Lyon" in await asyncio.to_thread(learned, user_id)
        second = MemsvcSession(client, user_id, "s2")
        await Runner.run(agent_with(), "Where do I live?", session=second, context=second)
    assert "location: Lyon" in model.asked[-1].prompt
    assert "Be brief." in model.asked[-1].prompt
    assert len(model.asked) == 2
    [run] = memory.user(user_id).runs("s1")
    assert [(message.role, message.text) for message in run.messages] == [
        ("user", "I live in Lyon."),
        ("assistant", "You said: I live in Lyon."),
    ]


def test_a_conversation_goes_on_in_another_process_with_a_blocking_client(
    model: Any, memory: MemoryClient, user_id: str
) -> None:
    for line in ("I like tea.", "And coffee."):
        session = MemsvcSession(memory, user_id, "s1")
        Runner.run_sync(agent_with(), line, session=session, context=session)
    said = [message["content"] for message in model.asked[-1].json["messages"] if message["role"] == "user"]
    assert said == ["I like tea.", "And coffee."]
    assert [len(run.messages) for run in memory.user(user_id).runs("s1")] == [2, 2]


@function_tool
def get_weather() -> str:
    """Tell the weather."""
    return "Rain."


@dataclass
class Mine:
    memory: MemsvcSession


async def test_an_agentic_model_keeps_memory_by_its_tools(
    model: Any, database: Any, memory: MemoryClient, user_id: str
) -> None:
    async with AsyncMemoryClient.local(database, context_timeout_seconds=30) as client:
        agent = agent_with([get_weather, *await amemsvc_tools(client)])
        session = MemsvcSession(client, user_id, "s1", mode="agentic")
        await Runner.run(agent, "I'm allergic to peanuts.", session=session, context=Mine(session))
        items = await MemsvcSession(client, user_id, "s1").get_items()
    offered = {tool["function"]["name"] for tool in model.asked[0].json["tools"]}
    assert {"get_weather", "save_memory", "forget"} <= offered
    assert [each.trust for each in memory.user(user_id).memories.list()] == ["from_tool"]
    assert not any("peanuts" in each.prompt for each in model.learned)
    [run] = memory.user(user_id).runs("s1")
    assert [message.role for message in run.messages] == ["user", "assistant", "tool", "assistant"]
    kinds = [item.get("type", item.get("role")) for item in items]
    assert kinds == ["user", "function_call", "function_call_output", "message"]


async def test_two_users_at_once_keep_apart(
    model: Any, database: Any, memory: MemoryClient, user_id: str, learned: Learned
) -> None:
    ada, ben = f"ada-{user_id}", f"ben-{user_id}"
    async with AsyncMemoryClient.local(database, context_timeout_seconds=30) as client:
        agent = agent_with()

        async def tell(user: str, line: str, session_id: str) -> None:
            session = MemsvcSession(client, user, session_id)
            await Runner.run(agent, line, session=session, context=session)

        await asyncio.gather(tell(ada, "I live in Lyon.", "s"), tell(ben, "I live in Oslo.", "s"))
        for each in (ada, ben):
            await asyncio.to_thread(learned, each)
        model.forget()
        await asyncio.gather(tell(ada, "Where am I?", "new"), tell(ben, "Where am I?", "new"))
        prompts = [each.prompt for each in model.asked]
        assert sorted(("Lyon" in prompt, "Oslo" in prompt) for prompt in prompts) == [(False, True), (True, False)]


@pytest.mark.parametrize("mode", ["automatic", "agentic"])
async def test_without_its_memory_the_agent_answers_and_one_line_says_so(
    mode: str, model: Any, memory: MemoryClient, nowhere: MemoryClient, user_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    agent = agent_with(memsvc_tools(memory) if mode == "agentic" else ())
    session = MemsvcSession(nowhere, user_id, "s1", mode=mode)
    answer = await Runner.run(agent, "I live in Lyon.", session=session, context=session)
    assert "Lyon" in answer.final_output or mode == "agentic"
    lines = [record.getMessage() for record in caplog.records if record.name == "memsvc"]
    assert len(lines) == 1
    assert "Lyon" not in lines[0]


class Silent:
    """A client whose service is there to be read, and down for what is written."""

    def __init__(self, client: MemoryClient) -> None:
        self._client = client

    def user(self, *args: Any, **options: Any) -> Any:
        user = self._client.user(*args, **options)

        def append_run(*_: Any, **__: Any) -> None:
            raise Unavailable("down")

        user.append_run = append_run  # type: ignore[method-assign]
        return user


async def test_an_item_that_is_not_taken_away_is_not_returned(
    memory: MemoryClient, nowhere: MemoryClient, user_id: str
) -> None:
    await MemsvcSession(memory, user_id, "s1").add_items([{"role": "assistant", "content": "Hi"}])
    silent: Any = Silent(memory)
    for client in (nowhere, silent):
        with pytest.raises(Unavailable):
            await MemsvcSession(client, user_id, "s1").pop_item()
    assert await MemsvcSession(memory, user_id, "s1").pop_item() == {"role": "assistant", "content": "Hi"}
    assert await MemsvcSession(memory, user_id, "s1").pop_item() is None
    assert await MemsvcSession(nowhere, user_id, "s1").get_items() == []


@pytest.mark.parametrize("client_kind", ["blocking", "asyncio"])
async def test_items_too_large_for_memory_come_back_as_what_they_say(
    client_kind: str, database: Any, memory: MemoryClient, user_id: str
) -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64," + "a" * 300_000}
    items: list[Any] = [
        {"role": "user", "content": [{"type": "input_text", "text": "Look"}, image]},
        {"type": "function_call", "call_id": "c1", "name": "read", "arguments": "{}", "id": "fc_1", "status": "done"},
        {"type": "function_call_output", "call_id": "c1", "output": "é" * 100_000, "id": "o_1"},
        {"type": "function_call", "call_id": "c2", "name": "read", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c2", "output": "é" * 200_000},
        {"role": "assistant", "content": "Done"},
    ]
    async with AsyncMemoryClient.local(database, context_timeout_seconds=30) as other:
        session = MemsvcSession(memory if client_kind == "blocking" else other, user_id, "s1")
        await session.add_items([*items[:5], *[items[5]] * 1_100])
        back: list[Any] = await session.get_items()
    assert back[0] == {"role": "user", "content": "Look"}
    assert back[1] == items[1]
    assert back[2] == {"type": "function_call_output", "call_id": "c1", "output": "é" * 100_000}
    assert back[3] == items[3]
    assert back[4]["output"].startswith("é" * 131_000 + "é")
    assert back[4]["output"].endswith(" bytes left out]")
    assert back[5:] == [items[5]] * 1_100


def drawn_items(drawing: random.Random) -> list[Any]:
    number = drawing.randint(0, 99)
    output = {"type": "output_text", "text": f"Answer {number} 🦊", "annotations": [], "logprobs": []}
    kinds: list[list[Any]] = [
        [{"role": "user", "content": f"Question {number}"}],
        [{"role": "user", "content": ""}],
        [
            {
                "role": "user",
                "content": [{"type": "input_text", "text": "Look"}, {"type": "input_image", "image_url": "x"}],
            }
        ],
        [{"role": "developer", "content": "Be brief"}],
        [
            {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": uuid.uuid4().hex * 9},
            {"type": "function_call", "call_id": f"c{number}", "name": "f", "arguments": "{ no json", "id": "fc_1"},
            {"type": "function_call_output", "call_id": f"c{number}", "output": "done"},
        ],
        [{"id": "m", "type": "message", "role": "assistant", "status": "completed", "content": [output]}],
        [{"role": "assistant", "content": f"Plain {number}"}],
        [{"role": "user", "content": "Again", "type": "message"}, {"role": "assistant", "content": "Yes"}],
        [],
    ]
    return drawing.choice(kinds)


async def test_items_are_those_that_the_sdks_own_session_keeps(database: Any, memory: Any, user_id: str) -> None:
    drawing, reference = random.Random(3), SQLiteSession("s1")
    async with AsyncMemoryClient.local(database, context_timeout_seconds=30) as client:
        session = MemsvcSession(client, user_id, "s1", mode="off")
        for _ in range(120):
            match drawing.randint(0, 9):
                case 0 | 1:
                    limit = drawing.choice([None, 1, 2, 5, 100])
                    assert await session.get_items(limit) == await reference.get_items(limit)
                case 2 | 3:
                    assert await session.pop_item() == await reference.pop_item()
                case 4 if drawing.random() < 0.2:
                    await session.clear_session()
                    await reference.clear_session()
                case 5:
                    # Another process goes on.
                    await session.flush()
                    session = MemsvcSession(client, user_id, "s1", mode="off")
                case _:
                    items = drawn_items(drawing)
                    await session.add_items(items)
                    await reference.add_items(items)
        assert await session.get_items() == await reference.get_items()


@function_tool(name_override="read_chat_history", needs_approval=True)
def read_diary() -> str:
    """Read the diary."""
    return "Nothing."


async def test_a_run_that_waits_for_an_approval_goes_on_in_another_process(
    model: Any, database: Any, user_id: str
) -> None:
    agent = agent_with([read_diary])
    async with AsyncMemoryClient.local(database, context_timeout_seconds=30) as client:
        session = MemsvcSession(client, user_id, "s1")
        asked = await Runner.run(agent, "What did I say earlier?", session=session, context=session)
        elsewhere = MemsvcSession(client, user_id, "s1")
        state = await RunState.from_json(
            agent, asked.to_state().to_json(context_serializer=lambda _: {}), context_override=elsewhere
        )
        [approval] = state.get_interruptions()
        state.approve(approval)
        await Runner.run(agent, state, session=elsewhere)
        await Runner.run(agent, "Thanks.", session=elsewhere, context=elsewhere)
    roles = [message["role"] for message in model.asked[-1].json["messages"]]
    assert roles == ["system", "user", "assistant", "tool", "assistant", "user"]


async def test_what_another_agent_said_in_the_session_is_in_it_too(memory: MemoryClient, user_id: str) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    said = [{"role": "user", "content": "Hi"}, {"role": "assistant", "tool_calls": [call], "content": None}]
    answer = [{"role": "tool", "tool_call_id": "c1", "content": "done"}, {"role": "assistant", "content": "Done"}]
    memory.user(user_id).append_run("s1", [*said, *answer])
    assert await MemsvcSession(memory, user_id, "s1").get_items() == [
        {"role": "user", "content": "Hi"},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a": 1}'},
        {"type": "function_call_output", "call_id": "c1", "output": "done"},
        {"role": "assistant", "content": "Done"},
    ]


async def test_a_run_without_its_session_as_context_says_what_is_missing(model: Any) -> None:
    with pytest.raises(TypeError, match="context=session"):
        await Runner.run(agent_with(), "Hello")

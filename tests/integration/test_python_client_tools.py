"""The Python client's tools against a real server: what models answer goes in, what providers take comes out."""

from __future__ import annotations

import json
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from openai.types.chat import ChatCompletionMessage
from openai.types.chat.chat_completion_message_function_tool_call import ChatCompletionMessageFunctionToolCall, Function

from memsvc_client import AsyncMemoryClient, AsyncUser, MemoryClient, Message, ToolCall

SAVE = {"layer": "knowledge", "text": "Likes tea"}


@pytest.fixture(scope="module")
def blocking() -> Iterator[MemoryClient]:
    """A client with a server of its own, for all tests of this file."""
    with tempfile.TemporaryDirectory(prefix="memsvc") as folder:
        with MemoryClient.local(f"{folder}/memory.db", engine="rules", quiet_seconds=0) as client:
            client.config.update(enable_agentic_memory=True, update_memory_on_run=False)
            yield client


@pytest.fixture
async def user(blocking: MemoryClient) -> AsyncIterator[AsyncUser]:
    async with AsyncMemoryClient(blocking._endpoint.target) as client:
        yield client.user(f"user-{uuid.uuid4()}", agent_id="helper")


def openai_message(*calls: tuple[str, str, Any]) -> ChatCompletionMessage:
    return ChatCompletionMessage(
        role="assistant",
        content=None,
        tool_calls=[
            ChatCompletionMessageFunctionToolCall(
                id=call_id, type="function", function=Function(name=name, arguments=json.dumps(arguments))
            )
            for call_id, name, arguments in calls
        ],
    )


async def test_tools_are_handed_to_the_model_as_they_are(user: AsyncUser) -> None:
    openai, anthropic, mcp = [await user.tools(each) for each in ("openai", "anthropic", "mcp")]

    assert openai[0]["function"]["name"] == anthropic[0]["name"] == mcp[0]["name"]
    assert openai[0]["function"]["parameters"] == anthropic[0]["input_schema"] == mcp[0]["inputSchema"]
    with pytest.raises(ValueError, match="is no ToolFormat: one of generic, openai, anthropic, mcp"):
        await user.tools("gemini")


async def test_the_calls_of_an_openai_message_are_answered_in_order(user: AsyncUser) -> None:
    message = openai_message(
        ("c1", "save_memory", SAVE),
        ("c2", "get_weather", {"city": "Oslo"}),
        ("c3", "get_memories", {}),
        ("c4", "save_memory", {"text": "?"}),
    )
    answers = await user.run_tool_calls(message, session_id="s1")
    again = await user.run_tool_calls(message.model_dump(), session_id="s1")
    (memory,) = await user.memories.list()

    assert [(each["role"], each["tool_call_id"]) for each in answers] == [
        ("tool", "c1"),
        ("tool", "c3"),
        ("tool", "c4"),
    ]
    assert "Likes tea" in answers[1]["content"]
    assert answers[2]["content"].startswith("Error: layer")
    assert again[0] == answers[0]
    assert memory.origin is not None
    assert (memory.memory, memory.trust, memory.origin.session_id, memory.origin.agent_id) == (
        "Likes tea",
        "from_tool",
        "s1",
        "helper",
    )
    # What was answered goes into the run, as it is.
    await user.append_run("s1", [("user", "I like tea"), message, *answers, ("assistant", "Noted!")])
    assert [each["role"] for each in await user.history("s1")] == ["user", "assistant", *["tool"] * 3, "assistant"]


@pytest.mark.parametrize(
    "message",
    [
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Noted."},
                {"type": "tool_use", "id": "t1", "name": "save_memory", "input": SAVE},
            ],
        },
        [{"type": "tool_use", "id": "t1", "name": "save_memory", "input": SAVE}],
        SimpleNamespace(
            role="assistant", content=[SimpleNamespace(type="tool_use", id="t1", name="save_memory", input=SAVE)]
        ),
    ],
)
async def test_anthropic_takes_one_message_with_all_results(user: AsyncUser, message: Any) -> None:
    answers = await user.run_tool_calls(message)

    assert [each["role"] for each in answers] == ["user"]
    (block,) = answers[0]["content"]
    assert (block["type"], block["tool_use_id"], block["is_error"]) == ("tool_result", "t1", False)
    assert "Likes tea" in block["content"]


@pytest.mark.parametrize(
    "message",
    [
        Message("assistant", [ToolCall("c1", "save_memory", json.dumps(SAVE))]),
        {"role": "assistant", "tool_calls": [{"id": "c1", "name": "save_memory", "args": SAVE}]},
        {"role": "assistant", "content": "", "function_call": {"name": "save_memory", "arguments": json.dumps(SAVE)}},
    ],
)
async def test_other_messages_are_answered_as_chat_completions_are(user: AsyncUser, message: Any) -> None:
    (answer,) = await user.run_tool_calls(message)

    assert answer["role"] == "tool"
    assert "Likes tea" in answer["content"]


async def test_the_output_of_responses_is_answered_with_items(user: AsyncUser) -> None:
    item = {"type": "function_call", "call_id": "c1", "name": "save_memory", "arguments": json.dumps(SAVE)}
    for given in ([{"type": "reasoning"}, item], {"id": "r1", "output": [item]}):
        (answer,) = await user.run_tool_calls(given)
        assert (answer["type"], answer["call_id"]) == ("function_call_output", "c1")
        assert "Likes tea" in answer["output"]


@pytest.mark.parametrize(
    "nothing", [("assistant", "Hi"), {"role": "assistant", "content": "Hi"}, [], Message("user", "a")]
)
async def test_a_message_without_calls_is_answered_with_nothing(user: AsyncUser, nothing: Any) -> None:
    assert await user.run_tool_calls(nothing) == []


async def test_what_is_no_message_is_refused_before_anything_is_sent(user: AsyncUser) -> None:
    for wrong, says in (
        (None, "what a model answered"),
        ("save it", "model answered"),
        ({"choices": []}, "one message"),
    ):
        with pytest.raises(TypeError, match=says):
            await user.run_tool_calls(wrong)


async def test_a_single_call_is_answered_with_what_it_changed(user: AsyncUser) -> None:
    saved = await user.call_tool("save_memory", SAVE, call_id="c1")
    refused = await user.call_tool("forget", {"all": True})
    task = await user.call_tool("update_user_memory", '{"task": "My name is Sarah"}', session_id="s1")

    assert saved.commit is not None
    assert [change.after.memory for change in saved.commit.changes if change.after] == ["Likes tea"]
    assert (refused.is_error, refused.reason) == (True, "OPERATION_FORBIDDEN")
    assert task.extraction is not None
    assert (task.extraction.kind, task.extraction.state) == ("task", "succeeded")


async def test_a_call_brings_settings_of_its_own(user: AsyncUser) -> None:
    automatic = await user.tools(settings={"mode": "automatic"})
    refused = await user.call_tool("save_memory", SAVE, settings={"allow_add": False})
    message = openai_message(("c1", "save_memory", SAVE))
    (off,) = await user.run_tool_calls(message, settings={"enabled": False})

    assert "save_memory" not in [each["function"]["name"] for each in automatic]
    assert (refused.is_error, refused.reason) == (True, "OPERATION_FORBIDDEN")
    assert off["content"].startswith("Error: ")
    assert await user.memories.list() == []


def test_the_blocking_client_does_the_same(blocking: MemoryClient) -> None:
    user = blocking.user("ben")
    names = [each["function"]["name"] for each in user.tools()]
    answers = user.run_tool_calls(openai_message(("c1", "save_memory", SAVE), ("c2", "forget", {"number": "m1"})))

    assert "save_memory" in names
    assert [each["tool_call_id"] for each in answers] == ["c1", "c2"]
    assert list(user.memories.list()) == []

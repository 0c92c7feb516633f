"""Messages as people hold them: what model libraries and agent frameworks made of them."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pydantic
import pytest
from openai.types.chat import ChatCompletionMessage, ChatCompletionMessageFunctionToolCall
from openai.types.chat.chat_completion_message_function_tool_call import Function

from memsvc_client import Message, ToolCall, ToolResult
from memsvc_client.message import MessageLike, message_of, messages_to_wire


def read(given: Any) -> Message:
    return message_of(messages_to_wire([given])[0])


class Turn(pydantic.BaseModel):
    role: str
    content: str | None = None


@dataclass
class Spoken:
    role: str
    content: str
    name: str = ""


class Plain:
    def __init__(self, role: Any, content: Any) -> None:
        self.role = role
        self.content = content


class Speaker(enum.Enum):
    PERSON = "user"


class LangChain(pydantic.BaseModel):
    """The fields of langchain-core's messages, as they are named there."""

    content: str | list[Any]
    additional_kwargs: dict[str, Any] = {}
    response_metadata: dict[str, Any] = {}
    type: str
    name: str | None = None
    id: str | None = None


class LangChainAnswer(LangChain):
    tool_calls: list[dict[str, Any]] = []
    invalid_tool_calls: list[dict[str, Any]] = []
    usage_metadata: dict[str, Any] | None = None


class LangChainToolMessage(LangChain):
    tool_call_id: str
    artifact: Any = None
    status: str = "success"


@pytest.mark.parametrize(
    ("given", "role"),
    [
        (Turn(role="user", content="Hi"), "user"),
        (Spoken("assistant", "Hi"), "assistant"),
        (Plain("user", "Hi"), "user"),
        (Plain(Speaker.PERSON, [{"type": "text", "text": "Hi"}]), "user"),
        (LangChain(type="human", content="Hi"), "user"),
        (LangChain(type="system", content="Hi"), "system"),
        (LangChainAnswer(type="ai", content="Hi"), "assistant"),
        (LangChainAnswer(type="AIMessageChunk", content="Hi"), "assistant"),
        (ChatCompletionMessage(role="assistant", content="Hi"), "assistant"),
        (("human", "Hi"), "user"),
        (("ai", "Hi"), "assistant"),
        ({"role": "model", "content": "Hi"}, "assistant"),
        ({"type": "human", "content": "Hi"}, "user"),
        ({"role": "User", "content": "Hi"}, "user"),
    ],
)
def test_who_said_what_is_read_from_any_form(given: Any, role: str) -> None:
    assert (read(given).role, read(given).text) == (role, "Hi")


def test_openais_answer_keeps_its_calls_and_has_no_content() -> None:
    function = Function(name="weather", arguments='{"city":"Paris"}')
    call = ChatCompletionMessageFunctionToolCall(id="c1", type="function", function=function)
    answer = ChatCompletionMessage(role="assistant", content=None, tool_calls=[call])

    assert read(answer).parts == (ToolCall("c1", "weather", '{"city":"Paris"}'),)
    assert read({"role": "assistant", "content": "", "tool_calls": [call]}).parts == read(answer).parts


def test_langchains_calls_and_results_are_calls_and_results() -> None:
    call = {"name": "weather", "args": {"city": "Paris"}, "id": "c1", "type": "tool_call"}
    block = {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Paris"}}
    asked = LangChainAnswer(type="ai", content=[block], tool_calls=[call])
    failed = LangChainToolMessage(type="tool", content="no such city", tool_call_id="c1", status="error")

    assert read(asked).parts == (ToolCall("c1", "weather", '{"city":"Paris"}'),)
    assert read(failed) == Message("tool", (ToolResult("c1", "no such city", is_error=True),))


@pytest.mark.parametrize(
    "time", ["2024-05-01T10:00:00Z", "2024-05-01T12:00:00+02:00", datetime(2024, 5, 1, 10, tzinfo=UTC)]
)
def test_a_time_may_be_as_iso_8601_writes_it(time: Any) -> None:
    for given in ({"role": "user", "content": "Hi", "time": time}, Message("user", "Hi", time=time)):
        assert read(given).time == datetime(2024, 5, 1, 10, tzinfo=UTC)


@dataclass
class Half:
    """What looks like a message and says nothing."""

    role: str = "assistant"
    content: Any = None
    tool_calls: list[Any] = field(default_factory=list)


class Broken:
    """An object whose own code fails."""

    role = "user"

    @property
    def content(self) -> str:
        raise RuntimeError("not loaded")


class BrokenModel:
    def model_dump(self) -> dict[str, Any]:
        raise RuntimeError("not loaded")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (Broken(), "a Broken cannot be read, RuntimeError: not loaded"),
        (BrokenModel(), "a BrokenModel cannot be read, RuntimeError: not loaded"),
        ({"role": "user", "content": [{"type": "x", "y": {1}}]}, "content[0] has no form in JSON"),
        (Half(tool_calls=[{"id": "c1", "function": {"name": "f", "arguments": {"a": 1j}}}]), "arguments has no form"),
        (Half(), "has neither content nor tool_calls"),
        (Half(tool_calls=[42]), "tool_calls must hold"),
        (Half(content=object()), "content must be"),
        (Turn(role="robot", content="Hi"), "'robot' is no Role"),
        (LangChain(type="remove", content=""), "role is missing"),
        (object(), "must be (role, text)"),
        (b"Hi", "must be (role, text)"),
        (Turn, "must be (role, text)"),
        (("user", "a\ud800b"), "content has half of a character"),
        ({"role": "user", "content": "Hi", "name": "\udfff"}, "name has half of a character"),
        ({"role": "user", "content": [{"type": "x", "y": "\ud800"}]}, "half of a character"),
        ({"role": "user", "content": "Hi", "name": 5}, "name must be a string"),
        ({"role": "user", "content": "Hi", "time": "yesterday"}, "time must be as 2026-05-01T18:30:00Z"),
        ({"role": "user", "content": "Hi", "time": "2024-05-01"}, "has no time zone"),
        ({"role": "user", "content": "Hi", "time": 5}, "time must be a datetime"),
        (Message("user", 5), "content must be"),  # type: ignore[arg-type]
        (Message("assistant", [ToolCall("c1", 5)]), "ToolCall.name must be a string"),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_message_is_named_by_its_index_and_what_is_wanted(wrong: MessageLike, says: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        messages_to_wire([("user", "Hi"), wrong])
    assert str(caught.value).startswith("messages[1]: ")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "one",
    [
        None,
        42,
        b"Hi",
        "Hi",
        {"role": "user"},
        Message("user", "Hi"),
        Turn(role="user", content="Hi"),
        Spoken("user", "Hi"),
    ],
)
def test_what_is_no_list_of_messages_is_named(one: Any) -> None:
    with pytest.raises(TypeError, match=r"^messages must be a list of messages, not "):
        messages_to_wire(one)


def test_langchains_own_messages_are_understood() -> None:
    from langchain_core import messages

    call = {"name": "weather", "args": {"city": "Paris"}, "id": "c1", "type": "tool_call"}

    assert read(messages.HumanMessage("Hi")).role == "user"
    assert read(messages.AIMessage("", tool_calls=[call])).parts == (ToolCall("c1", "weather", '{"city":"Paris"}'),)
    assert read(messages.ToolMessage("cold", tool_call_id="c1")).parts == (ToolResult("c1", "cold"),)

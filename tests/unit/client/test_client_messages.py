from __future__ import annotations

from datetime import UTC, datetime

import pytest

from memsvc_client import Media, Message, ToolCall, ToolResult
from memsvc_client.message import HistoryMessage, MessageLike, history_of, message_of, messages_to_wire


def through_the_wire(*messages: MessageLike) -> list[HistoryMessage]:
    return history_of(messages_to_wire(messages))


def test_tuples_dicts_and_messages_say_the_same() -> None:
    said = {"role": "user", "content": "Hi"}
    assert through_the_wire(("user", "Hi"), said, Message("user", "Hi")) == [said, said, said]


def test_an_openai_conversation_with_tools_comes_back_as_it_was() -> None:
    calls = [{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Paris"}'}}]
    conversation: list[HistoryMessage] = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Weather?", "name": "Sarah"},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c1", "content": "18 degrees"},
        {"role": "assistant", "content": "It is mild."},
    ]
    assert through_the_wire(*conversation) == conversation


def test_content_parts_keep_text_images_and_what_only_the_provider_knows() -> None:
    content = [
        {"type": "text", "text": "See"},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
        {"type": "custom", "payload": [1, 2]},
    ]
    assert through_the_wire({"role": "user", "content": content})[0]["content"] == content


def test_the_bytes_of_an_inline_image_are_left_out() -> None:
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    wire = messages_to_wire([{"role": "user", "content": [part]}])
    assert message_of(wire[0]).parts == (Media(mime_type="image/png"),)


def test_aliases_of_roles_and_empty_keys_of_a_dumped_message_are_understood() -> None:
    dumped = {"role": "assistant", "content": "Hi", "refusal": None, "tool_calls": None, "audio": None}
    assert through_the_wire(dumped) == [{"role": "assistant", "content": "Hi"}]
    assert through_the_wire({"role": "developer", "content": "Hi"})[0]["role"] == "system"


@pytest.mark.parametrize(("alias", "role"), [("developer", "system"), ("function", "tool")])
def test_aliases_of_roles_are_understood_in_every_form(alias: str, role: str) -> None:
    forms: list[MessageLike] = [(alias, "Hi"), {"role": alias, "content": "Hi"}, Message(alias, "Hi")]
    assert [each["role"] for each in through_the_wire(*forms)] == [role, role, role]


def test_a_refusal_is_what_the_assistant_said() -> None:
    refused = {"role": "assistant", "content": None, "refusal": "I can't"}
    assert through_the_wire(refused) == [{"role": "assistant", "content": "I can't"}]


def test_the_older_form_of_a_tool_call_is_a_tool_call_without_an_id() -> None:
    called = {
        "role": "assistant",
        "content": None,
        "function_call": {"name": "weather", "arguments": '{"city":"Paris"}'},
    }
    wire = messages_to_wire([called])
    assert message_of(wire[0]).parts == (ToolCall("", "weather", '{"city":"Paris"}'),)


def test_a_message_keeps_its_time_author_and_parts() -> None:
    message = Message(
        "assistant",
        ("Let me look", ToolCall("c1", "look", '{"a":1}'), ToolResult("c0", "none", is_error=True)),
        name="Agent",
        time=datetime(2024, 5, 1, tzinfo=UTC),
        author_id="ben",
        message_id="m1",
    )
    assert message_of(messages_to_wire([message])[0]) == message
    assert message.text == "Let me look"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (("user",), r"messages\[1\]: must be \(role, text\)"),
        (42, r"messages\[1\]: must be \(role, text\)"),
        (("user", None), r"messages\[1\]: must be \(role, text\)"),
        (("robot", "Hi"), r"messages\[1\]: role: 'robot' is no Role"),
        (Message(5, "Hi"), r"messages\[1\]: role must be a string, not 5"),  # type: ignore[arg-type]
        ({"content": "Hi"}, r"messages\[1\]: role is missing"),
        ({"role": "assistant", "content": None}, r"messages\[1\]: has neither content nor tool_calls"),
        ({"role": "user", "content": 5}, r"messages\[1\]: content must be a string"),
        ({"role": "user", "content": ["a", 5]}, r"messages\[1\]: content\[1\] must be"),
        ({"role": "assistant", "tool_calls": [{"id": "c1"}]}, r"messages\[1\]: tool_calls must hold"),
        ({"role": "assistant", "tool_calls": ["c1"]}, r"messages\[1\]: tool_calls must hold"),
        ({"role": "assistant", "function_call": {"arguments": "{}"}}, r"messages\[1\]: function_call must be"),
        ({"role": "assistant", "refusal": 5}, r"messages\[1\]: refusal must be a string"),
        (Message("user", "Hi", time=datetime(2024, 5, 1)), r"messages\[1\]: .* has no time zone"),
    ],
)
def test_a_wrong_message_is_named_by_its_index(wrong: MessageLike, says: str) -> None:
    with pytest.raises((TypeError, ValueError), match=says):
        messages_to_wire([("user", "Hi"), wrong])


def test_one_message_is_not_a_list_of_messages() -> None:
    with pytest.raises(TypeError, match="must be a list of messages"):
        messages_to_wire("Hi")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must not be empty"):
        messages_to_wire([])

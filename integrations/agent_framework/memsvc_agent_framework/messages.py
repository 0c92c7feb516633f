"""Messages of the Agent Framework as memsvc takes them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from agent_framework import Content, Message


def messages_of(given: Iterable[Message]) -> list[dict[str, Any]]:
    """Return what was said, called and answered; instructions, thoughts, images and files are left out."""
    return [message for each in given if each.role != "system" for message in _messages(each)]


def text_of(message: Message) -> str:
    """Return the words of a message."""
    return "\n".join(content.text for content in message.contents if content.type == "text" and content.text)


def _messages(message: Message) -> Iterator[dict[str, Any]]:
    for content in message.contents:
        if content.type == "function_result":
            yield _answer(content)
    text = text_of(message)
    calls = [_call(content) for content in message.contents if content.type == "function_call"]
    if message.role != "tool" and (text or calls):
        yield {"role": message.role, "content": text, "tool_calls": calls}


def _call(content: Content) -> dict[str, Any]:
    given = content.arguments
    arguments = given if isinstance(given, str) else json.dumps(dict(given or {}), ensure_ascii=False, default=str)
    function = {"name": content.name, "arguments": arguments or "{}"}
    return {"id": content.call_id, "type": "function", "function": function}


def _answer(content: Content) -> dict[str, Any]:
    result = content.result
    text = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False, default=str)
    status = "error" if content.exception else "success"
    return {"role": "tool", "tool_call_id": content.call_id, "content": text, "status": status}

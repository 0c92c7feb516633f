"""Items of a session as memsvc keeps them, and back, as they were.

An item that is nothing but a role and its text is a message. Any other (a call, an output with its annotations) is a
message with what was said, which is learned from, and beside it the item itself, in its provider's form.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from memsvc_client import Message, ProviderPart, ToolCall, ToolResult

PROVIDER = "openai-agents"
ROLES = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}
REMOVED = Message("assistant", [ProviderPart("null", PROVIDER)])
"""Stands where the only item of a run was taken away: a run cannot be empty."""


def message_of(item: Mapping[str, Any]) -> Message:
    """Return an item as a message that `item_of` makes the same item of."""
    plain = _plain(item)
    if plain is not None:
        return plain
    said = _said(item)
    whole = ProviderPart(json.dumps(item, ensure_ascii=False, separators=(",", ":")), PROVIDER)
    return Message(said.role, [*(part for part in said.parts if part != ""), whole])


def items_of(messages: Iterable[Message]) -> Iterator[dict[str, Any]]:
    """Yield the items of stored messages; of those that another agent stored, what they say."""
    for message in messages:
        whole = [json.loads(part.json) for part in message.parts if isinstance(part, ProviderPart)]
        kept = [item for item in whole if isinstance(item, dict)]
        if whole:
            yield from kept
        else:
            yield from _items(message)


def text_of(items: Iterable[Mapping[str, Any]]) -> str:
    """Return what the user says in them."""
    return "\n".join(_text(item.get("content")) for item in items if item.get("role") == "user")


def is_answer(item: Mapping[str, Any]) -> bool:
    """Tell whether this is what ends a run: an answer in words."""
    return item.get("role") == "assistant"


def has_open_calls(items: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether a call has no output: the SDK hands over both at once, but where a run waits for an approval."""
    answered = {item.get("call_id") for item in items if str(item.get("type")).endswith("_call_output")}
    called = {item.get("call_id") for item in items if str(item.get("type")).endswith("_call")}
    return bool(called - answered - {None})


def _plain(item: Mapping[str, Any]) -> Message | None:
    role, content = item.get("role"), item.get("content")
    if set(item) == {"role", "content"} and role in ("user", "assistant") and isinstance(content, str) and content:
        return Message(role, content)
    return None


def _said(item: Mapping[str, Any]) -> Message:
    kind = item.get("type")
    if kind == "function_call":
        return Message("assistant", [ToolCall(str(item["call_id"]), str(item["name"]), _object(item.get("arguments")))])
    if kind == "function_call_output":
        return Message("tool", [ToolResult(str(item["call_id"]), _text(item.get("output")))])
    return Message(ROLES.get(str(item.get("role")), "assistant"), _text(item.get("content")))


def _object(arguments: object) -> str:
    """Return the arguments of a call, if they are an object of JSON: models write other things too."""
    try:
        given = json.loads(str(arguments or "{}"))
    except ValueError:
        return "{}"
    return str(arguments or "{}") if isinstance(given, dict) else "{}"


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = (part.get("text") or part.get("refusal") for part in parts if isinstance(part, Mapping))
    return "\n".join(text for text in texts if isinstance(text, str))


def _items(message: Message) -> Iterator[dict[str, Any]]:
    for part in message.parts:
        if isinstance(part, ToolCall):
            called = {"call_id": part.id, "name": part.name, "arguments": part.arguments_json}
            yield {"type": "function_call", **called}
        elif isinstance(part, ToolResult):
            yield {"type": "function_call_output", "call_id": part.call_id, "output": part.text}
    if message.text and message.role != "tool":
        yield {"role": str(message.role), "content": message.text}

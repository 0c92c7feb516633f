"""Messages of Strands as memsvc takes them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from strands.types.content import ContentBlock, Message
from strands.types.tools import ToolResult, ToolUse


def messages_of(given: Iterable[Message]) -> list[dict[str, Any]]:
    """Return what was said, called and answered; thoughts, images and files are left out."""
    return [message for each in given for message in _messages(each)]


def turns_of(messages: Sequence[Message]) -> Iterator[tuple[int, Sequence[Message]]]:
    """Yield the turns of a conversation, each with the place where it begins: where the user asks."""
    begins = [place for place, message in enumerate(messages) if not place or _asks(message)]
    for first, end in zip(begins, [*begins[1:], len(messages)], strict=True):
        yield first, messages[first:end]


def asked(messages: Sequence[Message]) -> str:
    """Return what the user said last."""
    return next((_text(message["content"]) for message in reversed(messages) if _asks(message)), "")


def _asks(message: Message) -> bool:
    return message["role"] == "user" and not any("toolResult" in block for block in message["content"])


def _messages(message: Message) -> Iterator[dict[str, Any]]:
    blocks = message["content"]
    for block in blocks:
        if "toolResult" in block:
            yield _answer(block["toolResult"])
    text = _text(blocks)
    calls = [_call(block["toolUse"]) for block in blocks if "toolUse" in block]
    if text or calls:
        yield {"role": message["role"], "content": text, "tool_calls": calls}


def _text(blocks: Iterable[ContentBlock]) -> str:
    return "\n".join(block["text"] for block in blocks if block.get("text"))


def _call(call: ToolUse) -> dict[str, Any]:
    function = {"name": call["name"], "arguments": json.dumps(call["input"], ensure_ascii=False)}
    return {"id": call["toolUseId"], "type": "function", "function": function}


def _answer(result: ToolResult) -> dict[str, Any]:
    pieces = (
        piece["text"] if "text" in piece else json.dumps(piece["json"], ensure_ascii=False, default=str)
        for piece in result["content"]
        if "text" in piece or "json" in piece
    )
    answer = {"role": "tool", "tool_call_id": result["toolUseId"], "content": "\n".join(pieces)}
    return {**answer, "status": result["status"]}

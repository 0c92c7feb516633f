"""Runs of agno as memsvc takes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from agno.models.message import Message


def messages_of(given: Iterable[Message]) -> list[dict[str, Any]]:
    """Return the messages of this run: without those of earlier runs, and what the agent was told."""
    return [
        _message(each)
        for each in given
        if not each.from_history and not each.temporary and each.role not in ("system", "developer") and _says(each)
    ]


def _says(message: Message) -> bool:
    return bool(message.content or message.tool_calls or message.tool_call_id)


def _message(message: Message) -> dict[str, Any]:
    wire: dict[str, Any] = {"role": message.role, "content": message.get_content_string() if message.content else ""}
    if message.tool_calls:
        wire["tool_calls"] = message.tool_calls
    if message.tool_call_id:
        wire["tool_call_id"] = message.tool_call_id
        wire["status"] = "error" if message.tool_call_error else "success"
    return wire

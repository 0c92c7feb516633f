"""Messages of agents as memory takes them: one NUL in what a tool read must not cost a whole run."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import NoReturn

from memsvc.v1 import message_pb2
from memsvc_client.message import Message, MessageLike, message_of, messages_to_wire


def storable(messages: Iterable[MessageLike]) -> list[Message]:
    """Return messages without NULs, and with what a model wrote for arguments in an object, where it is none.

    Raises TypeError or ValueError for what is no message.
    """
    wire = messages_to_wire(messages)
    for message in wire:
        for part in message.parts:
            _mend(part)
    return [message_of(message) for message in wire]


def _mend(part: message_pb2.Part) -> None:
    match part.WhichOneof("part"):
        case "text":
            part.text.text = _without_nul(part.text.text)
        case "media":
            part.media.caption = _without_nul(part.media.caption)
        case "tool_call":
            part.tool_call.arguments_json = _arguments(part.tool_call.arguments_json)
        case "tool_result":
            for each in part.tool_result.parts:
                _mend(each)


def _without_nul(text: str) -> str:
    return text.replace("\0", "")


def _arguments(text: str) -> str:
    if not text:
        return text
    try:
        given = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        given = None
    return text if isinstance(given, dict) else json.dumps({"input": text})


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)

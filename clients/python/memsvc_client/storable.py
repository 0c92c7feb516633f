"""Messages of agents as memory takes them: a NUL in what a tool read, or too much of it, must not cost a whole run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NoReturn

from memsvc.v1 import message_pb2
from memsvc_client.fitting import fit, in_runs
from memsvc_client.message import (
    Media,
    Message,
    MessageLike,
    Part,
    ProviderPart,
    ToolCall,
    ToolResult,
    messages_to_wire,
)
from memsvc_client.wire import whole_characters


def storable(messages: Iterable[MessageLike]) -> Iterator[Sequence[message_pb2.Message]]:
    """Yield messages as the runs that they are stored as: one, if they are not too much (see fitting).

    Their texts are without NULs and halves of characters, and what a model wrote for arguments is in an object, where
    it is none. Raises TypeError or ValueError for what is no message.
    """
    wire = messages_to_wire(messages, mend=_mended)
    for message in wire:
        fit(message)
    yield from in_runs(wire)


def _mended(message: Message) -> Message:
    return replace(message, content=[_mended_part(part) for part in message.parts])


def _mended_part(part: Part) -> Part:
    match part:
        case ToolCall():
            return replace(part, arguments_json=_arguments(whole_characters(part.arguments_json)))
        case ToolResult():
            return replace(part, content=[_mended_plain_part(each) for each in part.parts])
        case _:
            return _mended_plain_part(part)


def _mended_plain_part(part: str | Media | ProviderPart) -> str | Media | ProviderPart:
    match part:
        case str():
            return text_of_memory(part)
        case Media():
            return replace(part, caption=text_of_memory(part.caption))
        case _:
            return part


def text_of_memory(said: str) -> str:
    """Return a text as memory takes it: without NULs, and U+FFFD for half of a character."""
    return whole_characters(said).replace("\0", "")


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

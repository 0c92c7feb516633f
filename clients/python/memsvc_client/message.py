"""Messages of a conversation: what callers may pass, what goes over the wire, what comes back as history.

A message can be given as a tuple `("user", "Hi")`, as an OpenAI-style dict, or as a `Message`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeAlias

from memsvc.v1 import message_pb2
from memsvc_client.enums import Role
from memsvc_client.wire import enum_member, enum_number, string, time_of, timestamp, to_json

HistoryMessage: TypeAlias = dict[str, Any]
"""A message as model providers take it: role and content, and tool_calls or tool_call_id where there are any."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool, made by the model."""

    id: str
    name: str
    arguments_json: str = "{}"


@dataclass(frozen=True, slots=True)
class Media:
    """A reference to an image, sound or file; never its bytes. Extraction reads the caption."""

    mime_type: str = ""
    uri: str = ""
    caption: str = ""


@dataclass(frozen=True, slots=True)
class ProviderPart:
    """A part in the model provider's own form; kept as it is."""

    json: str
    provider: str = ""
    """Whose form it is: openai, anthropic; empty: not said."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool answered: a text, or texts, media and provider's parts."""

    call_id: str
    content: str | Sequence[str | Media | ProviderPart]
    is_error: bool = False

    @property
    def parts(self) -> tuple[str | Media | ProviderPart, ...]:
        return (self.content,) if isinstance(self.content, str) else tuple(self.content)

    @property
    def text(self) -> str:
        """Its text, without media."""
        return "\n".join(part for part in self.parts if isinstance(part, str))


Part: TypeAlias = str | ToolCall | ToolResult | Media | ProviderPart
"""One piece of a message; a string is text."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: Role | str
    content: str | Sequence[Part]
    name: str = ""
    """The display name of the author, or the tool's."""
    time: datetime | None = None
    """When it was said, aware; None: when it is stored. May be dated back."""
    author_id: str = ""
    """Which person, where that is not the user."""
    message_id: str = ""

    @property
    def parts(self) -> tuple[Part, ...]:
        return (self.content,) if isinstance(self.content, str) else tuple(self.content)

    @property
    def text(self) -> str:
        """Its text, without tool calls, results and media."""
        return "\n".join(part for part in self.parts if isinstance(part, str))


MessageLike: TypeAlias = Message | tuple[str, str] | Mapping[str, Any]


def messages_to_wire(messages: Iterable[MessageLike]) -> list[message_pb2.Message]:
    """Return `messages` for the wire. Raises TypeError or ValueError that names the index of a wrong one."""
    if isinstance(messages, (str, Mapping, Message)):
        raise TypeError(f"messages must be a list of messages, not one {type(messages).__name__}")
    wire = []
    for index, given in enumerate(messages):
        try:
            wire.append(_to_wire(_message(given)))
        except (TypeError, ValueError) as error:
            raise type(error)(f"messages[{index}]: {error}") from error
    if not wire:
        raise ValueError("messages must not be empty")
    return wire


def message_of(wire: message_pb2.Message) -> Message:
    """Read one message."""
    parts = tuple(_read_part(part) for part in wire.parts)
    return Message(
        role=enum_member(Role, wire.role),
        content=parts[0] if len(parts) == 1 and isinstance(parts[0], str) else parts,
        name=wire.name,
        time=time_of(wire, "time"),
        author_id=wire.author_id,
        message_id=wire.message_id,
    )


def history_of(wire: Iterable[message_pb2.Message]) -> list[HistoryMessage]:
    """Read messages into the form that model providers take."""
    return [entry for message in wire for entry in _history_entries(message_of(message))]


def _history_entries(message: Message) -> Iterator[HistoryMessage]:
    """One dict a message; a message with several tool results is one dict for each of them."""
    for part in message.parts:
        if isinstance(part, ToolResult):
            yield {"role": "tool", "tool_call_id": part.call_id, "content": _content(part.parts)}
    calls = [part for part in message.parts if isinstance(part, ToolCall)]
    rest = [part for part in message.parts if not isinstance(part, (ToolCall, ToolResult))]
    if not calls and not rest:
        return
    entry: HistoryMessage = {"role": str(message.role), "content": _content(rest)}
    if message.name:
        entry["name"] = message.name
    if calls:
        entry["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments_json}}
            for call in calls
        ]
    yield entry


def _content(parts: Sequence[Part]) -> str | list[Any] | None:
    if not parts:
        return None
    if all(isinstance(part, str) for part in parts):
        return "\n".join(str(part) for part in parts)
    return [_content_part(part) for part in parts]


def _content_part(part: Part) -> Any:
    match part:
        case Media(uri=uri) if uri:
            return {"type": "image_url", "image_url": {"url": uri}}
        case Media(caption=caption, mime_type=mime_type):
            return {"type": "text", "text": caption or f"[{mime_type or 'media'}]"}
        case ProviderPart(json=text):
            return json.loads(text)
        case _:
            return {"type": "text", "text": part}


def _message(given: MessageLike) -> Message:
    match given:
        case Message():
            return given
        case (role, content) if isinstance(role, str) and isinstance(content, str):
            return Message(role, content)
        case Mapping():
            return _from_dict(given)
        case _:
            raise TypeError(f"must be (role, text), a dict with role and content, or a Message; got {given!r:.80}")


def _from_dict(given: Mapping[str, Any]) -> Message:
    """Read an OpenAI-style dict; `time`, `author_id` and `message_id` are ours, other keys are left aside."""
    role = given.get("role")
    if not isinstance(role, str):
        raise ValueError("role is missing") if role is None else TypeError(f"role must be a string, got {role!r:.80}")
    parts: list[Part] = list(_content_parts(given.get("content")))
    if (refusal := given.get("refusal")) is not None:
        parts.append(string("refusal", refusal))
    if call_id := given.get("tool_call_id"):
        parts = [_tool_result(call_id, parts)]
    parts.extend(_tool_calls(given))
    if not parts:
        raise ValueError("has neither content nor tool_calls")
    return Message(
        role=role,
        content=parts,
        name=given.get("name") or "",
        time=given.get("time"),
        author_id=given.get("author_id") or "",
        message_id=given.get("message_id") or given.get("id") or "",
    )


def _tool_result(call_id: str, parts: Sequence[Part]) -> ToolResult:
    answer = tuple(part for part in parts if not isinstance(part, (ToolCall, ToolResult)))
    if len(answer) != len(parts):
        raise ValueError("a tool's answer holds no tool parts")
    return ToolResult(call_id, answer[0] if len(answer) == 1 and isinstance(answer[0], str) else answer)


def _tool_calls(given: Mapping[str, Any]) -> Iterator[ToolCall]:
    """Yield the calls of a dict; `function_call` is the older form, of one call without an id."""
    for call in given.get("tool_calls") or ():
        tool_call = _tool_call(call.get("id", ""), call.get("function")) if isinstance(call, Mapping) else None
        if tool_call is None:
            raise TypeError(f"tool_calls must hold {{id, type, function: {{name, arguments}}}}, got {call!r:.80}")
        yield tool_call
    if (function := given.get("function_call")) is not None:
        tool_call = _tool_call("", function)
        if tool_call is None:
            raise TypeError(f"function_call must be {{name, arguments}}, got {function!r:.80}")
        yield tool_call


def _tool_call(call_id: str, function: object) -> ToolCall | None:
    """Return the call of a `{name, arguments}`; None where it is none."""
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        return None
    arguments = function.get("arguments", "{}")
    return ToolCall(call_id, function["name"], arguments if isinstance(arguments, str) else to_json(arguments))


def _content_parts(content: object) -> Iterator[Part]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, Sequence):
        for index, part in enumerate(content):
            yield _given_part(index, part)
    elif content is not None:
        raise TypeError(f"content must be a string, a list of parts or None, got {content!r:.80}")


def _given_part(index: int, part: object) -> Part:
    match part:
        case str() | ToolCall() | ToolResult() | Media() | ProviderPart():
            return part
        case {"type": "text" | "input_text" | "output_text", "text": str(text)}:
            return text
        case {"type": "refusal", "refusal": str(text)}:
            return text
        case {"type": "image_url", "image_url": {"url": str(url)}} | {"type": "input_image", "image_url": str(url)}:
            return _media(url)
        case Mapping():
            return ProviderPart(to_json(part))
        case _:
            raise TypeError(f"content[{index}] must be a string or a dict, got {part!r:.80}")


def _media(url: str) -> Media:
    """A data: URL is bytes; the service keeps none, only that there was an image."""
    if url.startswith("data:"):
        return Media(mime_type=url[5:].partition(",")[0].partition(";")[0])
    return Media(uri=url)


_ROLE_ALIASES: Mapping[str, str] = {"developer": "system", "function": "tool"}


def _to_wire(message: Message) -> message_pb2.Message:
    return message_pb2.Message(
        message_id=message.message_id,
        role=enum_number("role", Role, _ROLE_ALIASES.get(message.role, message.role)),
        author_id=message.author_id,
        name=message.name,
        time=timestamp(message.time),
        parts=[_part_to_wire(part) for part in message.parts],
    )


def _part_to_wire(part: Part) -> message_pb2.Part:
    match part:
        case str():
            return message_pb2.Part(text=message_pb2.TextPart(text=part))
        case ToolCall():
            call = message_pb2.ToolCallPart(id=part.id, name=part.name, arguments_json=part.arguments_json)
            return message_pb2.Part(tool_call=call)
        case ToolResult():
            answer = [_part_to_wire(each) for each in part.parts]
            result = message_pb2.ToolResultPart(call_id=part.call_id, parts=answer, is_error=part.is_error)
            return message_pb2.Part(tool_result=result)
        case Media():
            media = message_pb2.MediaPart(mime_type=part.mime_type, uri=part.uri, caption=part.caption)
            return message_pb2.Part(media=media)
        case ProviderPart():
            return message_pb2.Part(provider=message_pb2.ProviderPart(provider=part.provider, json=part.json))
        case _:
            raise TypeError(f"content must hold strings and parts, got {part!r:.80}")


def _read_part(part: message_pb2.Part) -> Part:
    match part.WhichOneof("part"):
        case "text":
            return part.text.text
        case "tool_call":
            return ToolCall(part.tool_call.id, part.tool_call.name, part.tool_call.arguments_json)
        case "tool_result":
            result = part.tool_result
            answer = _tool_result(result.call_id, [_read_part(each) for each in result.parts])
            return replace(answer, is_error=result.is_error)
        case "media":
            return Media(part.media.mime_type, part.media.uri, part.media.caption)
        case _:
            return ProviderPart(part.provider.json, part.provider.provider)

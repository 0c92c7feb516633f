"""Messages of a conversation: what callers may pass, what goes over the wire, what comes back as history.

A message can be given as a tuple `("user", "Hi")`, as an OpenAI-style dict, as a `Message`, or as the object that a
model's library or an agent framework made of it (see given_messages).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol, TypeAlias

from memsvc.v1 import message_pb2
from memsvc_client.enums import Role
from memsvc_client.given_messages import is_message, known_role, mapping_of, role_of
from memsvc_client.shown import Shown
from memsvc_client.wire import boolean, enum_member, enum_number, string, time_of, timestamp, to_json

HistoryMessage: TypeAlias = dict[str, Any]
"""A message as model providers take it: role and content, and tool_calls or tool_call_id where there are any."""


@dataclass(frozen=True, slots=True, repr=False)
class ToolCall(Shown):
    """A call of a tool, made by the model."""

    id: str
    name: str
    arguments_json: str = "{}"


@dataclass(frozen=True, slots=True, repr=False)
class Media(Shown):
    """A reference to an image, sound or file; never its bytes. Extraction reads the caption."""

    mime_type: str = ""
    uri: str = ""
    caption: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class ProviderPart(Shown):
    """A part in the model provider's own form; kept as it is."""

    json: str
    provider: str = ""
    """Whose form it is: openai, anthropic; empty: not said."""


@dataclass(frozen=True, slots=True, repr=False)
class ToolResult(Shown):
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


@dataclass(frozen=True, slots=True, repr=False)
class Message(Shown):
    """One message of a conversation."""

    role: Role | str
    content: str | Sequence[Part]
    name: str = ""
    """The display name of the author, or the tool's."""
    time: datetime | str | None = None
    """When it was said, aware, or as ISO 8601 writes it; None: when it is stored. May be dated back."""
    author_id: str = ""
    """Which person, where that is not the user."""
    message_id: str = ""

    @property
    def parts(self) -> tuple[Part, ...]:
        if not isinstance(self.content, (str, Sequence)):
            raise TypeError(f"content must be a string or a list of parts, got {self.content!r:.80}")
        return (self.content,) if isinstance(self.content, str) else tuple(self.content)

    @property
    def text(self) -> str:
        """Its text, without tool calls, results and media."""
        return "\n".join(part for part in self.parts if isinstance(part, str))


class ModelDump(Protocol):
    """A pydantic model: a message of openai or LangChain."""

    def model_dump(self) -> dict[str, Any]: ...


class RoleAndContent(Protocol):
    """Any object that says who said what."""

    @property
    def role(self) -> Any: ...
    @property
    def content(self) -> Any: ...


MessageLike: TypeAlias = (
    Message | message_pb2.Message | tuple[str, str] | Mapping[str, Any] | ModelDump | RoleAndContent
)


def messages_to_wire(
    messages: Iterable[MessageLike], mend: Callable[[Message], Message] | None = None
) -> list[message_pb2.Message]:
    """Return `messages`, mended, for the wire. Raises TypeError or ValueError that names the index of a wrong one."""
    if is_message(messages) or isinstance(messages, (str, Mapping)):
        raise TypeError(f"messages must be a list of messages, not one {type(messages).__name__}")
    if not isinstance(messages, Iterable) or isinstance(messages, (bytes, bytearray)):
        raise TypeError(f"messages must be a list of messages, not {messages!r:.80}")
    wire = []
    for index, given in enumerate(messages):
        try:
            wire.append(_wire_of(given, mend))
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"messages[{index}]: {error}") from error
    if not wire:
        raise ValueError("messages must not be empty")
    return wire


def _wire_of(given: object, mend: Callable[[Message], Message] | None) -> message_pb2.Message:
    if isinstance(given, message_pb2.Message):
        return given if mend is None else _to_wire(mend(message_of(given)))
    message = _message(given)
    return _to_wire(mend(message) if mend else message)


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


def _message(given: object) -> Message:
    match given:
        case Message():
            return given
        case (role, content) if isinstance(role, str) and isinstance(content, str):
            return Message(role, content)
        case list() | tuple():
            said = None
        case _:
            said = mapping_of(given)
    if said is None:
        raise TypeError(
            f"must be (role, text), a dict with role and content, an object with these, or a Message; got {given!r:.80}"
        )
    return _from_mapping(said)


def _from_mapping(given: Mapping[str, Any]) -> Message:
    """Read what an OpenAI-style dict says; `time`, `author_id` and `message_id` are ours, other keys are left aside."""
    role = role_of(given)
    if not isinstance(role, str):
        raise ValueError("role is missing") if role is None else TypeError(f"role must be a string, got {role!r:.80}")
    calls = list(given_tool_calls(given))
    parts = [part for part in _content_parts(given.get("content"), calls) if part != "" or not calls]
    if (refusal := given.get("refusal")) is not None:
        parts.append(string("refusal", refusal))
    if call_id := given.get("tool_call_id"):
        parts = [_tool_result(call_id, parts, is_error=given.get("status") == "error")]
    parts.extend(calls)
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


def _tool_result(call_id: str, parts: Sequence[Part], *, is_error: bool = False) -> ToolResult:
    answer = tuple(part for part in parts if not isinstance(part, (ToolCall, ToolResult)))
    if len(answer) != len(parts):
        raise ValueError("a tool's answer holds no tool parts")
    return ToolResult(call_id, answer[0] if len(answer) == 1 and isinstance(answer[0], str) else answer, is_error)


def given_tool_calls(given: Mapping[str, Any]) -> Iterator[ToolCall]:
    """Yield the calls of a message; `function_call` is the older form, of one call without an id."""
    calls = given.get("tool_calls") or ()
    if isinstance(calls, (str, Mapping)) or not isinstance(calls, Iterable):
        raise TypeError(f"tool_calls must be a list, got {calls!r:.80}")
    for call in calls:
        said = mapping_of(call) or {}
        # LangChain has name and args beside the id, where openai has a function.
        tool_call = _tool_call(said.get("id"), said.get("function", said))
        if tool_call is None:
            raise TypeError(f"tool_calls must hold {{id, type, function: {{name, arguments}}}}, got {call!r:.80}")
        yield tool_call
    if (function := given.get("function_call")) is not None:
        tool_call = _tool_call("", function)
        if tool_call is None:
            raise TypeError(f"function_call must be {{name, arguments}}, got {function!r:.80}")
        yield tool_call


def _tool_call(call_id: str | None, given: object) -> ToolCall | None:
    """Return the call of a `{name, arguments}`; None where it is none."""
    function = mapping_of(given) or {}
    if not isinstance(function.get("name"), str):
        return None
    arguments = function.get("arguments", function.get("args", "{}"))
    return ToolCall(
        call_id or "", function["name"], arguments if isinstance(arguments, str) else to_json("arguments", arguments)
    )


def _content_parts(content: object, calls: Sequence[ToolCall] = ()) -> Iterator[Part]:
    """Yield the parts of a content; a call that is among the message's own is not told again."""
    known = {call.id for call in calls}
    if isinstance(content, str):
        yield content
    elif isinstance(content, Sequence) and not isinstance(content, bytes):
        for index, part in enumerate(content):
            said = mapping_of(part) or {}
            if said.get("type") not in _CALLS or said.get("id", said.get("call_id")) not in known:
                yield _given_part(index, part)
    elif content is not None:
        raise TypeError(f"content must be a string, a list of parts or None, got {content!r:.80}")


_CALLS = ("tool_use", "tool_call", "function_call")
"""What a call of a tool is named among the parts of a content."""


def _given_part(index: int, part: object) -> Part:
    if not isinstance(part, (ToolCall, ToolResult, Media, ProviderPart)):
        part = mapping_of(part) or part
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
            return ProviderPart(to_json(f"content[{index}]", part))
        case _:
            raise TypeError(f"content[{index}] must be a string or a dict, got {part!r:.80}")


def _media(url: str) -> Media:
    """A data: URL is bytes; the service keeps none, only that there was an image."""
    if url.startswith("data:"):
        return Media(mime_type=url[5:].partition(",")[0].partition(";")[0])
    return Media(uri=url)


def _to_wire(message: Message) -> message_pb2.Message:
    role: Any = known_role(message.role)
    return message_pb2.Message(
        message_id=string("message_id", message.message_id),
        role=enum_number("role", Role, string("role", role)),
        author_id=string("author_id", message.author_id),
        name=string("name", message.name),
        time=timestamp(message.time),
        parts=[_part_to_wire(part) for part in message.parts],
    )


def _part_to_wire(part: Part) -> message_pb2.Part:
    match part:
        case str():
            return message_pb2.Part(text=message_pb2.TextPart(text=string("content", part)))
        case ToolCall():
            return message_pb2.Part(tool_call=message_pb2.ToolCallPart(**_texts(part, "id", "name", "arguments_json")))
        case ToolResult():
            answer = [_part_to_wire(each) for each in part.parts]
            boolean("is_error", part.is_error)
            texts = _texts(part, "call_id")
            return message_pb2.Part(
                tool_result=message_pb2.ToolResultPart(parts=answer, is_error=part.is_error, **texts)
            )
        case Media():
            return message_pb2.Part(media=message_pb2.MediaPart(**_texts(part, "mime_type", "uri", "caption")))
        case ProviderPart():
            return message_pb2.Part(provider=message_pb2.ProviderPart(**_texts(part, "provider", "json")))
        case _:
            raise TypeError(f"content must hold strings and parts, got {part!r:.80}")


def _texts(part: Part, *names: str) -> dict[str, Any]:
    return {name: string(f"{type(part).__name__}.{name}", getattr(part, name)) for name in names}


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

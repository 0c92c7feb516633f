"""What the fake endpoint receives and how it replies."""

from __future__ import annotations

import enum
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

MODEL: Final = "fake-model"


class Ending(enum.Enum):
    """What happens after the pieces of a reply."""

    COMPLETE = enum.auto()
    """Finish reason, usage where asked for, `[DONE]`."""
    HANG = enum.auto()
    """Nothing more, until the client leaves."""
    CUT = enum.auto()
    """The connection is dropped in the middle of the body."""
    STOP = enum.auto()
    """The body ends in good order, but without a finish reason and `[DONE]`."""


class Shape(enum.Enum):
    """Where in a message the answer stands: endpoints differ."""

    TEXT = enum.auto()
    PARTS = enum.auto()
    """A list of typed parts."""
    TOOL_CALL = enum.auto()
    """The arguments of a tool that it calls."""
    FUNCTION_CALL = enum.auto()
    """The same, as it was called before."""
    REASONING = enum.auto()
    """Taken for a thought."""


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came in."""

    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def body_bytes(self) -> int:
        return len(self.body)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def prompt(self) -> str:
        """All that the model was told, in order."""
        return "\n".join(str(message.get("content")) for message in self.json["messages"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """How to answer one chat completion."""

    content: str = ""
    """What the model says."""
    piece_characters: int = 0
    """Into pieces of how many characters it is cut; 0: one piece."""
    delay_seconds: float = 0.0
    """Before each piece."""
    pieces: int | None = None
    """After how many pieces the ending comes; None: after all."""
    ending: Ending = Ending.COMPLETE
    finish_reason: str = "stop"
    refusal: str = ""
    shape: Shape = Shape.TEXT
    calls: tuple[tuple[str, str, str], ...] = ()
    """Tools that it calls: id, name and arguments of each."""
    thoughts: str = ""
    """Sent before the answer, as `reasoning_content`."""
    as_document: bool = False
    """Answer with one JSON body although a stream was asked for."""
    usage: Mapping[str, Any] | None = None
    """None: counted from the bytes. Empty: left out."""
    keep_alives: int = 0
    """Comments sent before each piece, as gateways do while a model thinks."""
    hang: bool = False
    """Answer nothing at all, not even headers."""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    """Sent as it is, in place of what the fields above describe; only CUT is heeded."""


def operations(*listed: Mapping[str, Any], **how: Any) -> Reply:
    """Return the reply that proposes these operations."""
    return Reply(content=json.dumps({"operations": listed}, ensure_ascii=False), **how)


async def events(reply: Reply, request: Received, pause: Callable[[float], Awaitable[None]]) -> AsyncIterator[bytes]:
    """Yield the events of a streamed reply, up to its ending; `pause` is asked before each piece."""
    size = reply.piece_characters or len(reply.content) or 1
    pieces = [reply.content[start : start + size] for start in range(0, len(reply.content), size)]
    yield _event(_chunk({"role": "assistant", "content": None}))
    if reply.thoughts:
        yield _event(_chunk({"reasoning_content": reply.thoughts, "content": None}))
    for piece in pieces[: reply.pieces]:
        for _ in range(reply.keep_alives):
            yield b": keep-alive\n\n"
        await pause(reply.delay_seconds)
        yield _event(_chunk(_shaped(piece, reply.shape)))
    if reply.calls:
        yield _event(_chunk({"tool_calls": [{"index": i, **call} for i, call in enumerate(_calls(reply))]}))
    if reply.refusal:
        yield _event(_chunk({"refusal": reply.refusal}))
    if reply.ending is Ending.COMPLETE:
        yield _event(_chunk({}, "tool_calls" if reply.calls else reply.finish_reason))
        usage = _usage(reply, request)
        if usage and (request.json.get("stream_options") or {}).get("include_usage"):
            yield _event({**_chunk({}), "choices": [], "usage": usage})
        yield b"data: [DONE]\n\n"


def _chunk(delta: Mapping[str, Any], finish_reason: str | None = None) -> Mapping[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {"id": "fake", "object": "chat.completion.chunk", "created": 0, "model": MODEL, "choices": [choice]}


def _shaped(text: str, shape: Shape) -> dict[str, Any]:
    if shape is Shape.PARTS:
        return {"content": [{"type": "text", "text": text}]}
    if shape is Shape.TOOL_CALL:
        call = {"index": 0, "type": "function", "function": {"name": "memory", "arguments": text}}
        return {"content": None, "tool_calls": [call]}
    if shape is Shape.FUNCTION_CALL:
        return {"content": None, "function_call": {"name": "memory", "arguments": text}}
    if shape is Shape.REASONING:
        return {"content": None, "reasoning_content": text}
    return {"content": text}


def refusing(
    fields: Mapping[str, str], otherwise: Callable[[Received], Reply], *, status: int = 400
) -> Callable[[Received], Reply]:
    """Return how an endpoint answers that refuses the first of these fields that a request has, in these words.

    A field is a path in the request such as `response_format.json_schema`.
    """

    def answer(request: Received) -> Reply:
        for path, words in fields.items():
            value: Any = request.json
            for name in path.split("."):
                value = value.get(name) if isinstance(value, Mapping) else None
            if value is not None:
                return Reply(
                    status=status, body=as_json({"error": {"message": words, "type": "invalid_request_error"}})
                )
        return otherwise(request)

    return answer


def whole(reply: Reply, request: Received) -> Mapping[str, Any]:
    message = {"role": "assistant", **_shaped(reply.content, reply.shape), "refusal": reply.refusal or None}
    if reply.thoughts:
        message["reasoning_content"] = reply.thoughts
    if reply.calls:
        message |= {"content": reply.content or None, "tool_calls": _calls(reply)}
    finish_reason = "tool_calls" if reply.calls else reply.finish_reason
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    usage = _usage(reply, request)
    return {
        "id": "fake",
        "object": "chat.completion",
        "created": 0,
        "model": MODEL,
        "choices": [choice],
        "usage": usage,
    }


def _calls(reply: Reply) -> list[dict[str, Any]]:
    return [
        {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
        for call_id, name, arguments in reply.calls
    ]


def _usage(reply: Reply, request: Received) -> Mapping[str, Any]:
    if reply.usage is not None:
        return reply.usage
    prompt, completion = request.body_bytes // 4, len(reply.content.encode()) // 4
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _event(data: Mapping[str, Any]) -> bytes:
    return b"data: %s\n\n" % as_json(data)


def error(code: str) -> bytes:
    return as_json({"error": {"message": "as scripted", "type": "fake", "code": code, "param": None}})


def as_json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")

"""Reading what an endpoint sends back, in whatever way it sends it: events, or one JSON document.

What the model says may come as text, as a list of parts, as the arguments of a tool call, or, where a server takes an
answer for a thought, as its reasoning. For example `{"delta": {"content": [{"type": "text", "text": "{"}]}}`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from typing import Any, Final

import msgspec

from memsvc.endpoint.failures import reported_failure
from memsvc.errors import Permanent, Reason, Retryable, Unusable
from memsvc.model import Usage

_EVENT_FIELDS: Final = (b"data:", b"event:", b"id:", b"retry:", b":")
_NO_COMPLETION: Final = "model endpoint sent something else than a chat completion"


class Answer:
    """What has arrived of one answer."""

    def __init__(self, model: str, max_bytes: int) -> None:
        self.model = model
        self.usage = Usage(calls=1)
        self.output_bytes = 0
        self.written_bytes = 0
        """With what the model thought."""
        self._max_bytes = max_bytes
        self._completions = 0
        self._finish_reason = ""
        self._refused = False
        self._reasoning: list[str] = []
        self._done = False

    @property
    def has_begun(self) -> bool:
        """Whether a model has answered at all, and no proxy in its place."""
        return self._completions > 0

    async def pieces(self, chunks: AsyncIterator[bytes]) -> AsyncGenerator[str, None]:
        """Yield what the model says as it arrives in the body of a response."""
        document: list[bytes] = []
        document_bytes = 0
        is_events: bool | None = None
        async for line in _lines(chunks, 4 * self._max_bytes):
            if is_events is None and line.strip():
                is_events = line.startswith(_EVENT_FIELDS)
            if is_events:
                if line.startswith(b"data:"):
                    for piece in self._event(line[len(b"data:") :].strip()):
                        yield piece
            else:
                document.append(line)
                document_bytes += len(line)
                if document_bytes > 4 * self._max_bytes:
                    raise _too_large()
        if not is_events:
            for piece in self._document(b"\n".join(document)):
                yield piece
        if not self.output_bytes and self._reasoning:
            for piece in self._reasoning:
                yield self._counted(piece)

    def check_ending(self, *, is_complete: bool) -> None:
        """Raise if the answer did not end as a whole one does; `is_complete`: its text is a whole document."""
        if self._refused or self._finish_reason == "content_filter":
            raise Permanent(Reason.MODEL_REFUSED, "the model refused")
        if self._finish_reason == "length":
            raise Unusable(Reason.MODEL_OUTPUT_TOO_LARGE, "the model's answer passed its limit of tokens")
        if not self._completions:
            raise Unusable(Reason.MODEL_OUTPUT_UNUSABLE, _NO_COMPLETION)
        if not self._finish_reason and not is_complete:
            raise Retryable(Reason.MODEL_UNAVAILABLE, "model endpoint broke off its answer")

    def _event(self, data: bytes) -> Iterator[str]:
        if self._done or not data:
            return
        if data == b"[DONE]":
            self._done = True
            return
        yield from self._take(_decoded(data))

    def _document(self, body: bytes) -> Iterator[str]:
        body = body.strip()
        if body[:1] == b"<":
            detail = "model endpoint answered with a web page: is its URL right?"
            raise Retryable(Reason.MODEL_UNAVAILABLE, detail, counts=False)
        if body:
            yield from self._take(_decoded(body))

    def _take(self, completion: object) -> Iterator[str]:
        """Take note of a completion, or a chunk of one; yield what the model says in it."""
        if not isinstance(completion, Mapping):
            return
        failure = reported_failure(completion.get("error"))
        if failure is not None:
            raise failure
        self._completions += 1
        self.usage = _usage(completion.get("usage")) or self.usage
        model = completion.get("model")
        if isinstance(model, str) and 0 < len(model) <= 128 and model.isprintable():
            self.model = model
        choices = completion.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, Mapping):
            return
        finish_reason = choice.get("finish_reason")
        if isinstance(finish_reason, str):
            self._finish_reason = finish_reason
        message = choice.get("delta") or choice.get("message")
        if not isinstance(message, Mapping):
            message = {"content": choice.get("text")}
        self._refused = self._refused or bool(message.get("refusal"))
        for name in ("reasoning_content", "reasoning"):
            thought = message.get(name)
            if isinstance(thought, str) and thought:
                self._reasoning.append(thought)
                self.written_bytes += len(thought.encode("utf-8", "replace"))
        for said in _said(message):
            self.written_bytes += len(said.encode("utf-8", "replace"))
            yield self._counted(said)

    def _counted(self, piece: str) -> str:
        self.output_bytes += len(piece.encode("utf-8", "replace"))
        if self.output_bytes > self._max_bytes:
            raise _too_large()
        return piece


def _said(message: Mapping[str, Any]) -> Iterator[str]:
    """Yield the texts in a message: its content, then the arguments of the tools that it calls."""
    content = message.get("content")
    for part in content if isinstance(content, list) else [content]:
        text = part.get("text") if isinstance(part, Mapping) and part.get("type") in ("text", "output_text") else part
        if isinstance(text, str) and text:
            yield text
    calls = message.get("tool_calls")
    functions = [call.get("function") for call in calls if isinstance(call, Mapping)] if isinstance(calls, list) else []
    for function in (*functions, message.get("function_call")):
        arguments = function.get("arguments") if isinstance(function, Mapping) else None
        if isinstance(arguments, Mapping):
            yield msgspec.json.encode(arguments).decode()
        elif isinstance(arguments, str) and arguments:
            yield arguments


async def _lines(chunks: AsyncIterator[bytes], max_bytes: int) -> AsyncIterator[bytes]:
    """Yield the lines of a body, cut at line feeds only: JSON strings may hold all other separators."""
    rest = bytearray()
    async for chunk in chunks:
        *lines, last = chunk.split(b"\n")
        for line in lines:
            rest += line
            yield bytes(rest)
            rest.clear()
        rest += last
        if len(rest) > max_bytes:
            raise _too_large()
    if rest:
        yield bytes(rest)


def _decoded(data: bytes) -> object:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError):
        raise Unusable(Reason.MODEL_OUTPUT_UNUSABLE, _NO_COMPLETION) from None


def _too_large() -> Unusable:
    return Unusable(Reason.MODEL_OUTPUT_TOO_LARGE, "the model's answer passed its limit of bytes")


def _usage(reported: object) -> Usage | None:
    if not isinstance(reported, Mapping):
        return None
    details = reported.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, Mapping) else reported.get("prompt_cache_hit_tokens")
    counts = (reported.get("prompt_tokens"), cached, reported.get("completion_tokens"))
    return Usage(1, *(count if isinstance(count, int) and count > 0 else 0 for count in counts))

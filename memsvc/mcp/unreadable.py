"""Lines of a host that are no messages: they are answered, where the library leaves the host waiting for good.

A host that cuts a text within an emoji sends half of it as `\\ud83d`, which no UTF-8 can hold.
"""

from __future__ import annotations

import json
from types import TracebackType
from typing import Any, Final, Self

from anyio import EndOfStream
from mcp.shared.message import SessionMessage
from mcp.types import INVALID_REQUEST, PARSE_ERROR, ErrorData, JSONRPCError
from pydantic import ValidationError

_WORDS: Final = "This line is no message that this server can read: is it JSON-RPC 2.0, and its text Unicode?"


class Readable:
    """The messages of a stream that also holds why a line was none."""

    def __init__(self, reading: Any, writing: Any) -> None:
        """`writing`: where the answers go."""
        self._reading = reading
        self._writing = writing

    @property
    def last_context(self) -> Any:
        return self._reading.last_context

    async def receive(self) -> SessionMessage:
        while True:
            item = await self._reading.receive()
            if isinstance(item, SessionMessage):
                return item
            if (answer := _answer(item)) is not None:
                await self._writing.send(SessionMessage(answer))

    async def aclose(self) -> None:
        await self._reading.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage:
        try:
            return await self.receive()
        except EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _answer(why: Exception) -> JSONRPCError | None:
    """Return what the host is told; None: the line was empty."""
    found = why.errors(include_url=False, include_context=False) if isinstance(why, ValidationError) else []
    inputs = [each["input"] for each in found]
    if any(isinstance(each, str) and not each.strip() for each in inputs):
        return None
    code = PARSE_ERROR if not found or found[0]["type"] == "json_invalid" else INVALID_REQUEST
    return JSONRPCError(jsonrpc="2.0", id=_id_in(inputs), error=ErrorData(code=code, message=_WORDS))


def _id_in(inputs: list[Any]) -> str | int | None:
    """Return the request's id, as far as it can be told."""
    for each in inputs:
        try:
            message = json.loads(each) if isinstance(each, str) else each
        except (ValueError, RecursionError):
            continue
        if isinstance(message, dict) and type(found := message.get("id")) in (str, int):
            return found
    return None

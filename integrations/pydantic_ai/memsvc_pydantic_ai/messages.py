"""Messages of Pydantic AI as memsvc takes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    RetryPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
)


def messages_of(given: Iterable[ModelMessage]) -> list[dict[str, Any]]:
    """Return what was said, called and answered; instructions and thoughts are left out."""
    return [message for each in given for message in _messages(each)]


def text_of(content: str | Sequence[UserContent] | None) -> str:
    """Return the words of what a user sent; images and files have none."""
    if content is None or isinstance(content, str):
        return content or ""
    texts = (each if isinstance(each, str) else getattr(each, "content", None) for each in content)
    return "\n".join(each for each in texts if isinstance(each, str))


def _messages(message: ModelMessage) -> Iterator[dict[str, Any]]:
    if isinstance(message, ModelRequest):
        for part in message.parts:
            if isinstance(part, UserPromptPart):
                if text := text_of(part.content):
                    yield {"role": "user", "content": text, "time": part.timestamp}
            elif isinstance(part, ToolReturnPart):
                yield _answer(part.tool_call_id, part.model_response_str())
            elif isinstance(part, RetryPromptPart) and part.tool_name:
                yield _answer(part.tool_call_id, part.model_response(), status="error")
    elif isinstance(message, ModelResponse):
        text = "\n".join(part.content for part in message.parts if isinstance(part, TextPart) and part.content)
        calls = [_call(part) for part in message.parts if isinstance(part, ToolCallPart)]
        if text or calls:
            yield {"role": "assistant", "content": text, "tool_calls": calls}


def _answer(call_id: str, text: str, status: str = "success") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": text, "status": status}


def _call(part: ToolCallPart) -> dict[str, Any]:
    function = {"name": part.tool_name, "arguments": part.args_as_json_str()}
    return {"id": part.tool_call_id, "type": "function", "function": function}

"""The calls of tools in what a model answered, and the messages that answer them, in the form of each provider.

    openai, chat completions   tool_calls of a message            one message of role tool for each call
    openai, responses          items of type function_call        one item of type function_call_output for each
    anthropic                  content blocks of type tool_use    one user message with a tool_result for each

Frameworks (LangChain and others) hold calls as one of these, and take answers as chat completions do.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from memsvc_client.given_messages import mapping_of
from memsvc_client.message import Message, ToolCall, given_tool_calls
from memsvc_client.wire import to_json

ToolMessage: TypeAlias = dict[str, Any]
"""A message that answers calls of tools, to be put after the message that made them."""


class ToolForm(enum.Enum):
    """How a provider holds calls and takes answers."""

    COMPLETIONS = "completions"
    RESPONSES = "responses"
    BLOCKS = "blocks"


@dataclass(frozen=True, slots=True)
class GivenCall:
    """One call, as the model made it."""

    call_id: str
    name: str
    arguments_json: str


def calls_in(message: object) -> tuple[ToolForm, list[GivenCall]]:
    """Return the calls in a model's message and their form. Raises TypeError for what is no message."""
    if isinstance(message, Message):
        return ToolForm.COMPLETIONS, [_of(part) for part in message.parts if isinstance(part, ToolCall)]
    if isinstance(message, (list, tuple)):
        # Blocks of a content, or items of an output.
        return _in_blocks(message)
    said = mapping_of(message)
    if said is None:
        raise TypeError(f"message must be what a model answered, with its calls of tools, not {message!r:.80}")
    if "choices" in said:
        raise TypeError("message must be one message: choices[0].message of a completion")
    if isinstance(output := said.get("output"), (list, tuple)):
        return _in_blocks(output)
    calls = [_of(each) for each in given_tool_calls(said)]
    content = said.get("content")
    if not calls and isinstance(content, (list, tuple)):
        return _in_blocks(content)
    return ToolForm.COMPLETIONS, calls


def answers_to(form: ToolForm, calls: Sequence[GivenCall], answers: Sequence[tuple[str, bool]]) -> list[ToolMessage]:
    """Return the messages that answer calls with texts; each with whether it is an error."""
    answered = list(zip(calls, answers, strict=True))
    match form:
        case ToolForm.COMPLETIONS:
            return [{"role": "tool", "tool_call_id": call.call_id, "content": text} for call, (text, _) in answered]
        case ToolForm.RESPONSES:
            return [
                {"type": "function_call_output", "call_id": call.call_id, "output": text}
                for call, (text, _) in answered
            ]
        case ToolForm.BLOCKS:
            blocks = [
                {"type": "tool_result", "tool_use_id": call.call_id, "content": text, "is_error": is_error}
                for call, (text, is_error) in answered
            ]
            return [{"role": "user", "content": blocks}] if blocks else []


def _of(call: ToolCall) -> GivenCall:
    return GivenCall(call.id, call.name, call.arguments_json)


def _in_blocks(blocks: Sequence[object]) -> tuple[ToolForm, list[GivenCall]]:
    read = [mapping_of(block) or {} for block in blocks]
    items = [_item(each) for each in read if each.get("type") == "function_call"]
    if items:
        return ToolForm.RESPONSES, items
    return ToolForm.BLOCKS, list(_uses(read))


def _item(item: Mapping[str, Any]) -> GivenCall:
    return GivenCall(str(item.get("call_id") or ""), str(item.get("name")), str(item.get("arguments") or ""))


def _uses(blocks: Sequence[Mapping[str, Any]]) -> Iterator[GivenCall]:
    for block in blocks:
        if block.get("type") == "tool_use":
            yield GivenCall(
                str(block.get("id") or ""), str(block.get("name")), to_json("input", block.get("input") or {})
            )

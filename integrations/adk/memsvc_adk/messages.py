"""Events of ADK as memsvc takes them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from google.adk.events import Event
from google.genai import types

OF_ADK = "adk_request_"
"""How the calls are named by which ADK asks its user for credentials and consent: they are nobody's to remember."""


def runs_of(events: Iterable[Event]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield what was said in each invocation, with the id of its last event: the same events make the same run."""
    spoken = [(event, messages) for event in events if (messages := list(_messages(event)))]
    for _, group in groupby(spoken, key=lambda each: each[0].invocation_id):
        said = list(group)
        yield said[-1][0].id, [message for _, messages in said for message in messages]


def text_of(content: types.Content | None) -> str:
    """Return the words of what somebody said; thoughts, images and files have none."""
    parts: Sequence[types.Part] = (content.parts if content else None) or ()
    return "\n".join(part.text for part in parts if part.text and not part.thought)


def _messages(event: Event) -> Iterator[dict[str, Any]]:
    parts = (event.content.parts if event.content else None) or ()
    if event.partial:
        return
    time = datetime.fromtimestamp(event.timestamp, UTC)
    for part in parts:
        if part.function_response and not _is_adks(part.function_response.name):
            yield {**_answer(part.function_response), "time": time}
    text = text_of(event.content)
    called = [part.function_call for part in parts if part.function_call]
    calls = [_call(call) for call in called if not _is_adks(call.name)]
    if text or calls:
        role = "user" if event.author == "user" else "assistant"
        yield {"role": role, "content": text, "tool_calls": calls, "time": time}


def _is_adks(name: str | None) -> bool:
    return (name or "").startswith(OF_ADK)


def _call(call: types.FunctionCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": json.dumps(call.args or {}, ensure_ascii=False, default=str)}
    return {"id": call.id, "type": "function", "function": function}


def _answer(given: types.FunctionResponse) -> dict[str, Any]:
    response: Mapping[str, Any] = given.response or {}
    result = response["result"] if set(response) == {"result"} else response
    text = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False, default=str)
    status = "error" if "error" in response else "success"
    return {"role": "tool", "tool_call_id": given.id, "content": text, "status": status}

"""Calls of tools: what an agent's own model reads and changes of its user's memory."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias

from memsvc.v1 import tool_pb2
from memsvc_client import rpcs
from memsvc_client.calls import Call, Steps, Subject, call
from memsvc_client.enums import ToolFormat
from memsvc_client.extraction import Extraction, extraction_of
from memsvc_client.memory import Commit, commit_of
from memsvc_client.settings import Settings, settings_to_wire
from memsvc_client.shown import Shown
from memsvc_client.tool_messages import GivenCall, ToolForm, ToolMessage, answers_to, calls_in
from memsvc_client.wire import duration, enum_number, string, strings, to_json

ToolDefinition: TypeAlias = dict[str, Any]
"""A tool, as the model's provider takes it."""

TOOLS = frozenset(
    {
        "save_memory",
        "update_memory",
        "forget",
        "update_user_memory",
        "search_memories",
        "get_memories",
        "read_chat_history",
        "search_history",
    }
)
"""The tools of memory; an agent may have others beside them."""
_SLOW = "update_user_memory"
_WAIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True, repr=False)
class ToolAnswer(Shown):
    """What became of a call of a tool."""

    text: str
    """For the model."""
    is_error: bool
    """It did nothing, for a reason that the model can mend: the text says how."""
    reason: str
    """With `is_error`: why, a value of `Reason`."""
    commit: Commit | None
    """What it changed; None: nothing."""
    extraction: Extraction | None
    """What `update_user_memory` started, as it was when the call ended."""
    revision: int


def tools(
    subject: Subject,
    format: ToolFormat | str = ToolFormat.OPENAI,  # noqa: A002
    *,
    settings: Settings | None = None,
    timeout: float | None = None,
) -> Call[list[ToolDefinition]]:
    """List the tools that the configuration allows, to be handed to the model as they are.

    In the form of "openai" (all who speak its chat completions), "anthropic", "mcp" or "generic". `settings` overrule
    what is configured; the same belong into the calls.
    """
    request = tool_pb2.ListToolsRequest(
        scope=subject.scope,
        format=enum_number("format", ToolFormat, format),
        agent_id=subject.agent_id,
        settings=settings_to_wire(settings),
    )
    return call(
        rpcs.LIST_TOOLS, request, lambda reply: [json.loads(each.definition_json) for each in reply.tools], timeout
    )


def call_tool(
    subject: Subject,
    name: str,
    arguments: Mapping[str, Any] | str = "",
    *,
    call_id: str = "",
    session_id: str = "",
    run_id: str = "",
    shared_user_ids: Iterable[str] = (),
    wait: float | timedelta = _WAIT_SECONDS,
    settings: Settings | None = None,
    timeout: float | None = None,
) -> Call[ToolAnswer]:
    """Carry out one call of a tool. The same `call_id`, with the same arguments in the same session, does it once.

    `wait` is how long `update_user_memory` is waited for; it goes on all the same.
    """
    seconds = wait.total_seconds() if isinstance(wait, timedelta) else wait
    if seconds < 0:
        raise ValueError(f"wait must not be negative, not {wait}")
    request = tool_pb2.CallToolRequest(
        scope=subject.scope,
        name=string("name", name),
        arguments_json=arguments if isinstance(arguments, str) else to_json("arguments", arguments),
        # A call that is sent again, for its answer was lost, is still one call.
        call_id=call_id or str(uuid.uuid4()),
        agent_id=subject.agent_id,
        team_id=subject.team_id,
        session_id=session_id,
        run_id=run_id,
        shared_user_ids=strings("shared_user_ids", shared_user_ids),
        wait=duration(wait, "wait") if name == _SLOW else None,
        settings=settings_to_wire(settings),
    )
    return call(rpcs.CALL_TOOL, request, _answer_of, timeout, seconds if name == _SLOW else 0.0)


def run_tool_calls(
    subject: Subject,
    message: object,
    *,
    session_id: str = "",
    run_id: str = "",
    shared_user_ids: Iterable[str] = (),
    settings: Settings | None = None,
    timeout: float | None = None,
) -> Steps[list[ToolMessage]]:
    """Carry out the calls of memory's tools in a model's message; return the messages that answer them.

    The message is openai's, anthropic's or that of a framework, as an object or a dict, or the output of openai's
    Responses. The answers have the form that the same provider takes, and follow the message. Calls of other tools are
    left to the agent; a message without any call is answered with none. Calls are carried out one after the other, in
    their order.
    """
    form, given = calls_in(message)
    ours = [each for each in given if each.name in TOOLS]
    shared = strings("shared_user_ids", shared_user_ids)
    calls = [_call_of(subject, each, session_id, run_id, shared, settings, timeout) for each in ours]
    return _Answering(form, ours, calls)


class _Answering(Steps[list[ToolMessage]]):
    """The calls of one message, one after the other."""

    def __init__(self, form: ToolForm, given: Sequence[GivenCall], calls: Sequence[Call[ToolAnswer]]) -> None:
        self._form = form
        self._given = given
        self._waiting = list(calls)
        self._answers: list[ToolAnswer] = []

    def next_call(self) -> Call[ToolAnswer] | None:
        return self._waiting.pop(0) if self._waiting else None

    def take(self, answer: ToolAnswer) -> None:
        self._answers.append(answer)

    def result(self) -> list[ToolMessage]:
        return answers_to(self._form, self._given, [(each.text, each.is_error) for each in self._answers])


def _call_of(
    subject: Subject,
    given: GivenCall,
    session_id: str,
    run_id: str,
    shared: list[str],
    settings: Settings | None,
    timeout: float | None,
) -> Call[ToolAnswer]:
    return call_tool(
        subject,
        given.name,
        given.arguments_json,
        call_id=given.call_id,
        session_id=session_id,
        run_id=run_id,
        shared_user_ids=shared,
        settings=settings,
        timeout=timeout,
    )


def _answer_of(reply: tool_pb2.CallToolResponse) -> ToolAnswer:
    return ToolAnswer(
        text=reply.text,
        is_error=reply.is_error,
        reason=reply.reason,
        commit=commit_of(reply.commit) if reply.HasField("commit") else None,
        extraction=extraction_of(reply.extraction) if reply.HasField("extraction") else None,
        revision=reply.revision,
    )

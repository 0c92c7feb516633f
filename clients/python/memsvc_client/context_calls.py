"""The call that compiles memories into a block of text for a system prompt."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from memsvc.v1 import context_pb2
from memsvc_client import rpcs
from memsvc_client.arguments import whole_number
from memsvc_client.calls import Call, Subject
from memsvc_client.enums import ContextFormat, ContextSectionKind, CutReason, Layer
from memsvc_client.errors import MemoryServiceError
from memsvc_client.message import HistoryMessage, history_of
from memsvc_client.selection import Consistency, MemoryFilter, consistency_to_wire, filter_to_wire
from memsvc_client.session_calls import wait_seconds
from memsvc_client.settings import Settings, settings_to_wire
from memsvc_client.shown import Shown
from memsvc_client.wire import boolean, duration, enum_member, enum_number, enum_numbers, string, strings, time_of


@dataclass(frozen=True, slots=True, repr=False)
class ContextHistory(Shown):
    """How much of a session comes with a context."""

    session_id: str
    last_runs: int = 3
    max_characters: int = 0
    """At most this many characters of messages; the oldest runs go first. 0: the runs whole."""
    summary: bool = True
    """Also the summary of what was said before these runs, in the text, where the session has one."""


@dataclass(frozen=True, slots=True, repr=False)
class ContextSection(Shown):
    """One block of the text."""

    kind: ContextSectionKind
    layer: Layer | None
    """The layer that it shows; only of MEMORIES."""
    text: str
    tokens: int
    stable: bool
    """Neither it nor what is before it depends on the query: a prompt cache holds the text up to its end."""
    shared_user_id: str


@dataclass(frozen=True, slots=True, repr=False)
class ContextCut(Shown):
    """Memories of one layer that were left out for one reason."""

    layer: Layer
    reason: CutReason
    memory_count: int
    memory_ids: tuple[str, ...]
    """Some of them: at most 50 over all cuts."""
    shared_user_id: str


@dataclass(frozen=True, slots=True, repr=False)
class Context(Shown):
    """Memories as text for a system prompt. `str(context)` is the text."""

    text: str
    """Empty when there is nothing to show, and when `unchanged`."""
    sections: tuple[ContextSection, ...]
    etag: str
    """A digest of the text: give it to the next call to get `unchanged` where it still holds."""
    unchanged: bool
    tokens: int
    token_counter: str
    memory_ids: tuple[str, ...]
    """The memories in the text, in its order."""
    cuts: tuple[ContextCut, ...]
    """What was left out."""
    history: tuple[HistoryMessage, ...]
    pending_run_count: int
    """How many runs are not learned from yet."""
    revision: int
    read_time: datetime | None
    failure: MemoryServiceError | None = None
    """Why the memory did not answer, where the context is empty for that (`or_empty`)."""

    def __str__(self) -> str:
        return self.text


def context(
    subject: Subject,
    query: str = "",
    *,
    layers: Iterable[Layer | str] = (),
    filter: MemoryFilter | None = None,  # noqa: A002
    shared_user_ids: Iterable[str] = (),
    history: str | ContextHistory | None = None,
    format: ContextFormat | str | None = None,  # noqa: A002
    wrapper: bool = True,
    max_characters: int | None = None,
    max_tokens: int | None = None,
    recall: bool | None = None,
    etag: str = "",
    wait: bool | float = False,
    or_empty: bool | None = None,
    settings: Settings | None = None,
    consistency: Consistency | None = None,
    timeout: float | None = None,
) -> Call[Context]:
    """Compile what is known of the user, for a system prompt.

    `query` is what the user just said: under a budget (`max_characters`, 8,000 by default, or `max_tokens`) the
    memories nearest to it stay. `history` names a session whose last messages come too. `recall` brings along what was
    said about the query in past conversations (by default where no model learns). `wait` (seconds; True: at most a
    minute) lets what is pending be learned first. `settings` overrule what is configured: {"policies_shown": False}.

    The call ends after the client's `context_timeout_seconds`. With `or_empty` (by default as the client says) an empty
    context, with its `failure`, is the answer where the service, its database or the network is down: so an agent
    answers without its memory.
    """
    seconds = wait_seconds(wait)
    request = context_pb2.CompileContextRequest(
        scope=subject.scope,
        layers=enum_numbers("layers", Layer, layers),
        query=query,
        filter=filter_to_wire(filter),
        shared_user_ids=strings("shared_user_ids", shared_user_ids),
        history=_history_to_wire(history),
        format=enum_number("format", ContextFormat, format),
        wrapper=wrapper,
        budget=_budget_to_wire(max_characters, max_tokens),
        recall=recall,
        etag=etag,
        wait_for_learning=duration(seconds or None),
        consistency=consistency_to_wire(consistency),
        settings=settings_to_wire(settings),
        agent_id=subject.agent_id,
    )
    return Call(rpcs.COMPILE_CONTEXT, request, _context_of, timeout, seconds, _without_memory, or_empty)


def _without_memory(failure: MemoryServiceError) -> Context:
    return Context("", (), "", False, 0, "", (), (), (), 0, 0, None, failure)


def _history_to_wire(history: str | ContextHistory | None) -> context_pb2.ContextHistory | None:
    if history is None:
        return None
    asked = ContextHistory(history) if isinstance(history, str) else history
    if not isinstance(asked, ContextHistory):
        raise TypeError(f"history must be a session's id or a ContextHistory, not {asked!r:.80}")
    for name in ("last_runs", "max_characters"):
        whole_number(f"history.{name}", getattr(asked, name))
    boolean("history.summary", asked.summary)
    return context_pb2.ContextHistory(
        session_id=string("history.session_id", asked.session_id),
        last_runs=asked.last_runs,
        max_characters=asked.max_characters,
        summary=asked.summary,
    )


def _budget_to_wire(max_characters: int | None, max_tokens: int | None) -> context_pb2.ContextBudget | None:
    if max_characters is not None and max_tokens is not None:
        raise ValueError("a budget is max_characters or max_tokens, not both")
    if max_characters is not None:
        return context_pb2.ContextBudget(max_characters=max_characters)
    if max_tokens is not None:
        return context_pb2.ContextBudget(max_tokens=max_tokens)
    return None


def _context_of(reply: context_pb2.CompileContextResponse) -> Context:
    return Context(
        text=reply.text,
        sections=tuple(_section_of(section) for section in reply.sections),
        etag=reply.etag,
        unchanged=reply.unchanged,
        tokens=reply.tokens,
        token_counter=reply.token_counter,
        memory_ids=tuple(reply.memory_ids),
        cuts=tuple(_cut_of(cut) for cut in reply.cuts),
        history=tuple(history_of(reply.history)),
        pending_run_count=reply.pending_run_count,
        revision=reply.revision,
        read_time=time_of(reply, "read_time"),
    )


def _section_of(wire: context_pb2.ContextSection) -> ContextSection:
    layer = enum_member(Layer, wire.layer) if wire.layer else None
    kind = enum_member(ContextSectionKind, wire.kind)
    return ContextSection(kind, layer, wire.text, wire.tokens, wire.stable, wire.shared_user_id)


def _cut_of(wire: context_pb2.ContextCut) -> ContextCut:
    return ContextCut(
        enum_member(Layer, wire.layer),
        enum_member(CutReason, wire.reason),
        wire.memory_count,
        tuple(wire.memory_ids),
        wire.shared_user_id,
    )

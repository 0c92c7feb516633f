"""Calls on a user's conversations: runs go in, history comes out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from memsvc.v1 import session_pb2
from memsvc_client import rpcs
from memsvc_client.calls import Call, Pages, Subject, call, pages
from memsvc_client.enums import LearningMode, LearningState, Role
from memsvc_client.extraction import Extraction, extraction_of
from memsvc_client.memory import Commit, commit_of
from memsvc_client.message import HistoryMessage, Message, MessageLike, history_of, message_of, messages_to_wire
from memsvc_client.settings import Settings, settings_to_wire
from memsvc_client.shown import Shown
from memsvc_client.wire import (
    duration,
    enum_member,
    enum_number,
    enum_numbers,
    request_id_or_new,
    string_map,
    strings,
    time_of,
)

WAIT_SECONDS = 60.0
"""How long `wait=True` waits at most."""
MAX_WAIT_SECONDS = 3600.0


@dataclass(frozen=True, slots=True, repr=False)
class RunReceipt(Shown):
    """A run is stored."""

    run_id: str
    index: int
    """Its place among all runs of the user, from 1."""
    extraction_id: str
    """The extraction that learns from it; empty: learning is off."""
    learning: LearningState
    extraction: Extraction | None = None
    """The extraction as it is now; only with `wait`."""
    commit: Commit | None = None
    """What was learned; only with `wait`, once it is LEARNED."""


@dataclass(frozen=True, slots=True, repr=False)
class Run(Shown):
    """One exchange in a session."""

    session_id: str
    run_id: str
    index: int
    messages: tuple[Message, ...]
    agent_id: str
    team_id: str
    create_time: datetime | None
    replaces_run_id: str
    replaced: bool
    """A later run replaced this one."""
    learning: LearningState
    extraction_id: str
    context_memory_ids: tuple[str, ...]
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True, repr=False)
class Session(Shown):
    """A conversation."""

    session_id: str
    run_count: int
    message_count: int
    agent_id: str
    """The agent of the last run that named one."""
    team_id: str
    create_time: datetime | None
    update_time: datetime | None


@dataclass(frozen=True, slots=True, repr=False)
class SessionSummary(Shown):
    """What was said in a session, in short."""

    session_id: str
    text: str
    topics: tuple[str, ...]
    covered_through: int
    """The index of the last run that it covers."""
    extractive: bool
    """It is sentences of the conversation, as they were said: no model wrote it."""
    model: str
    extraction_id: str
    create_time: datetime | None
    update_time: datetime | None


class History(list[HistoryMessage]):
    """The last messages of a session, oldest first."""

    def __init__(
        self,
        messages: Iterable[HistoryMessage] = (),
        run_count: int = 0,
        has_more: bool = False,
        summary: SessionSummary | None = None,
    ) -> None:
        super().__init__(messages)
        self.run_count = run_count
        """How many runs they are from."""
        self.has_more = has_more
        """Older runs exist."""
        self.summary = summary
        """The session's summary, where older runs exist and it has one."""


@dataclass(frozen=True, slots=True, repr=False)
class Summarized(Shown):
    """What came of asking for a summary."""

    extraction_id: str
    """The extraction that does it; empty: the summary covers all that was said."""
    extraction: Extraction | None
    """The extraction as it is now; only with `wait`."""
    summary: SessionSummary | None
    """The summary as it is now; None: there is none yet."""


@dataclass(frozen=True, slots=True, repr=False)
class DeletedSession(Shown):
    """What deleting a session removed."""

    deleted_run_count: int
    forgotten_memory_count: int
    revision: int


def append_run(
    subject: Subject,
    session_id: str,
    messages: Iterable[MessageLike],
    *,
    run_id: str = "",
    wait: bool | float = False,
    learning_mode: LearningMode | str | None = None,
    replaces_run_id: str = "",
    skip_stored: bool = True,
    context_memory_ids: Iterable[str] = (),
    metadata: Mapping[str, str] | None = None,
    settings: Settings | None = None,
    request_id: str | None = None,
    timeout: float | None = None,
) -> Call[RunReceipt]:
    """Store one exchange of a conversation; it is learned from in the background.

    `messages` may be those of this turn, or all of the conversation, as agents keep them: system messages, and the
    beginning that the session holds already, are not stored again (unless `skip_stored` is False). Where nothing is
    new, nothing is stored, and the receipt is that of the last run.

    With `wait` (seconds; True: at most a minute) the call returns once it is learned from or that time is over: see
    `learning` in the receipt. `settings` overrule what is configured, for this run. Raises AlreadyExists where the
    run_id is taken.
    """
    seconds = wait_seconds(wait)
    request = session_pb2.AppendRunRequest(
        scope=subject.scope,
        run=session_pb2.Run(
            session_id=session_id,
            run_id=run_id,
            messages=messages_to_wire(messages),
            agent_id=subject.agent_id,
            team_id=subject.team_id,
            replaces_run_id=replaces_run_id,
            context_memory_ids=strings("context_memory_ids", context_memory_ids),
            metadata=string_map("metadata", metadata),
        ),
        learning_mode=enum_number("learning_mode", LearningMode, learning_mode),
        wait_for_learning=duration(seconds or None),
        request_id=request_id_or_new(request_id),
        skip_stored=skip_stored,
        settings=settings_to_wire(settings),
    )
    return call(rpcs.APPEND_RUN, request, _receipt_of, timeout, seconds)


def history(
    subject: Subject,
    session_id: str,
    *,
    last_runs: int = 10,
    roles: Iterable[Role | str] = (),
    timeout: float | None = None,
) -> Call[History]:
    """Get the messages of a session's last runs, oldest first, as dicts with role and content.

    With `roles` only theirs; a tool's call and its result come together, where one of them does.
    """
    if last_runs < 1:
        raise ValueError(f"last_runs must be at least 1, not {last_runs}")
    request = session_pb2.GetHistoryRequest(
        scope=subject.scope, session_id=session_id, last_runs=last_runs, roles=enum_numbers("roles", Role, roles)
    )
    return call(rpcs.GET_HISTORY, request, _history_of, timeout)


def summarize(
    subject: Subject,
    session_id: str,
    *,
    wait: bool | float = True,
    request_id: str | None = None,
    timeout: float | None = None,
) -> Call[Summarized]:
    """Bring a session's summary up to date, and return it; with `wait=False` as it is now.

    The server does so by itself after so many new runs. Raises NotFound.
    """
    seconds = wait_seconds(wait)
    request = session_pb2.SummarizeSessionRequest(
        scope=subject.scope,
        session_id=session_id,
        wait_for_summary=duration(seconds or None),
        request_id=request_id_or_new(request_id),
    )
    return call(rpcs.SUMMARIZE_SESSION, request, _summarized_of, timeout, seconds)


def runs(
    subject: Subject,
    session_id: str = "",
    *,
    descending: bool = False,
    include_replaced: bool = False,
    timeout: float | None = None,
) -> Pages[Run]:
    """Iterate over the runs of a session, or of all sessions, oldest first by default."""
    request = session_pb2.ListRunsRequest(
        scope=subject.scope, session_id=session_id, descending=descending, include_replaced=include_replaced
    )
    return pages(rpcs.LIST_RUNS, request, lambda reply: [run_of(each) for each in reply.runs], timeout)


def session(subject: Subject, session_id: str, *, timeout: float | None = None) -> Call[Session]:
    """Get one session. Raises NotFound."""
    request = session_pb2.GetSessionRequest(scope=subject.scope, session_id=session_id)
    return call(rpcs.GET_SESSION, request, lambda reply: _session_of(reply.session), timeout)


def sessions(subject: Subject, *, timeout: float | None = None) -> Pages[Session]:
    """Iterate over the user's sessions, last used first."""
    request = session_pb2.ListSessionsRequest(scope=subject.scope)
    return pages(rpcs.LIST_SESSIONS, request, lambda reply: [_session_of(each) for each in reply.sessions], timeout)


def delete_session(
    subject: Subject,
    session_id: str,
    *,
    forget_learned: bool = False,
    purge: bool = False,
    allow_missing: bool = False,
    request_id: str | None = None,
    timeout: float | None = None,
) -> Call[DeletedSession]:
    """Delete a session with its runs. What was learned from it stays, unless `forget_learned`.

    Raises NotFound unless `allow_missing`.
    """
    request = session_pb2.DeleteSessionRequest(
        scope=subject.scope,
        session_id=session_id,
        forget_learned=forget_learned,
        purge=purge,
        allow_missing=allow_missing,
        request_id=request_id_or_new(request_id),
    )
    return call(
        rpcs.DELETE_SESSION,
        request,
        lambda reply: DeletedSession(reply.deleted_run_count, reply.forgotten_memory_count, reply.revision),
        timeout,
    )


def wait_seconds(wait: bool | float) -> float:
    """Return how long to wait; 0: not at all."""
    if wait is True:
        return WAIT_SECONDS
    if not isinstance(wait, (int, float)):
        raise TypeError(f"wait must be True, False or seconds, not {wait!r:.80}")
    if not 0 <= wait <= MAX_WAIT_SECONDS:
        raise ValueError(f"wait must be from 0 to {MAX_WAIT_SECONDS:g} seconds, not {wait}")
    return float(wait)


def _receipt_of(reply: session_pb2.AppendRunResponse) -> RunReceipt:
    return RunReceipt(
        run_id=reply.run_id,
        index=reply.index,
        extraction_id=reply.extraction_id,
        learning=enum_member(LearningState, reply.learning),
        extraction=extraction_of(reply.extraction) if reply.HasField("extraction") else None,
        commit=commit_of(reply.commit) if reply.HasField("commit") else None,
    )


def _history_of(reply: session_pb2.GetHistoryResponse) -> History:
    summary = _summary_of(reply.summary) if reply.HasField("summary") else None
    return History(history_of(reply.messages), reply.run_count, reply.has_more, summary)


def _summarized_of(reply: session_pb2.SummarizeSessionResponse) -> Summarized:
    return Summarized(
        extraction_id=reply.extraction_id,
        extraction=extraction_of(reply.extraction) if reply.HasField("extraction") else None,
        summary=_summary_of(reply.summary) if reply.HasField("summary") else None,
    )


def _summary_of(wire: session_pb2.SessionSummary) -> SessionSummary:
    return SessionSummary(
        session_id=wire.session_id,
        text=wire.text,
        topics=tuple(wire.topics),
        covered_through=wire.covered_through,
        extractive=wire.extractive,
        model=wire.model,
        extraction_id=wire.extraction_id,
        create_time=time_of(wire, "create_time"),
        update_time=time_of(wire, "update_time"),
    )


def run_of(wire: session_pb2.Run) -> Run:
    return Run(
        session_id=wire.session_id,
        run_id=wire.run_id,
        index=wire.index,
        messages=tuple(message_of(message) for message in wire.messages),
        agent_id=wire.agent_id,
        team_id=wire.team_id,
        create_time=time_of(wire, "create_time"),
        replaces_run_id=wire.replaces_run_id,
        replaced=wire.replaced,
        learning=enum_member(LearningState, wire.learning),
        extraction_id=wire.extraction_id,
        context_memory_ids=tuple(wire.context_memory_ids),
        metadata=dict(wire.metadata),
    )


def _session_of(wire: session_pb2.Session) -> Session:
    return Session(
        session_id=wire.session_id,
        run_count=wire.run_count,
        message_count=wire.message_count,
        agent_id=wire.agent_id,
        team_id=wire.team_id,
        create_time=time_of(wire, "create_time"),
        update_time=time_of(wire, "update_time"),
    )

"""Calls that learn, and that look after what is being learned: `user.extract`, `user.learn`, `user.extractions`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from google.protobuf.message import Message as ProtobufMessage

from memsvc.v1 import common_pb2, extraction_pb2
from memsvc_client import rpcs
from memsvc_client.calls import Call, Pages, Subject, call, pages
from memsvc_client.enums import ExtractionState
from memsvc_client.extraction import (
    Accepted,
    Completed,
    Extraction,
    ExtractionEvent,
    Progress,
    Proposed,
    Retried,
    commit_from,
    event_of,
    extraction_of,
)
from memsvc_client.memory import Commit
from memsvc_client.message import MessageLike, messages_to_wire
from memsvc_client.settings import Settings, settings_to_wire
from memsvc_client.streams import Gathered, Stream
from memsvc_client.wire import enum_numbers, request_id_or_new, strings

LEARN_TIMEOUT_SECONDS = 300.0


def extract(
    subject: Subject,
    messages: str | Iterable[MessageLike] | None = None,
    *,
    run_ids: Iterable[str] | None = None,
    validate_only: bool = False,
    settings: Settings | None = None,
    request_id: str | None = None,
    timeout: float | None = None,
) -> Stream[ExtractionEvent]:
    """Learn from a text, from messages or from stored runs, and iterate over what happens until it is completed.

    The job starts with the first event asked for, is durable once `Accepted` came, and goes on when the iteration is
    left. A broken connection is taken up again: stored events come once each. `validate_only` shows what would be
    learned and stores nothing. `timeout` bounds the whole; None: no bound.
    """
    request = extraction_pb2.ExtractMemoriesRequest(
        scope=subject.scope,
        **_source(messages, run_ids),
        agent_id=subject.agent_id,
        team_id=subject.team_id,
        validate_only=validate_only,
        request_id=request_id_or_new(request_id),
        settings=settings_to_wire(settings),
    )
    return ExtractionStream(subject, timeout, extract=request)


def learn(
    subject: Subject,
    messages: str | Iterable[MessageLike] | None = None,
    *,
    run_ids: Iterable[str] | None = None,
    settings: Settings | None = None,
    request_id: str | None = None,
    timeout: float | None = LEARN_TIMEOUT_SECONDS,
) -> Gathered[Commit]:
    """Learn from a text, from messages or from stored runs, and return what was committed.

    Revision 0 and no changes: there was nothing to learn. Raises ExtractionFailed; DeadlineExceeded when it has not
    ended in `timeout` seconds, and then goes on in the background.
    """
    stream = extract(subject, messages, run_ids=run_ids, settings=settings, request_id=request_id, timeout=timeout)
    return Gathered(stream, commit_from)


def watch(
    subject: Subject, extraction_id: str, *, resume_token: str = "", timeout: float | None = None
) -> Stream[ExtractionEvent]:
    """Iterate over what happens to an extraction, from its start or from after an earlier event."""
    return ExtractionStream(subject, timeout, extraction_id=extraction_id, resume_token=resume_token)


def get(subject: Subject, extraction_id: str, *, timeout: float | None = None) -> Call[Extraction]:
    """Get one extraction. Raises NotFound."""
    request = extraction_pb2.GetExtractionRequest(scope=subject.scope, extraction_id=extraction_id)
    return call(rpcs.GET_EXTRACTION, request, lambda reply: extraction_of(reply.extraction), timeout)


def list_extractions(
    subject: Subject,
    *,
    states: Iterable[ExtractionState | str] = (),
    session_id: str = "",
    timeout: float | None = None,
) -> Pages[Extraction]:
    """Iterate over the user's extractions, newest first."""
    request = extraction_pb2.ListExtractionsRequest(
        scope=subject.scope, states=enum_numbers("states", ExtractionState, states), session_id=session_id
    )
    return pages(
        rpcs.LIST_EXTRACTIONS, request, lambda reply: [extraction_of(each) for each in reply.extractions], timeout
    )


def cancel(
    subject: Subject, extraction_id: str, *, request_id: str | None = None, timeout: float | None = None
) -> Call[Extraction]:
    """Cancel an extraction; its runs are SKIPPED. Raises FailedPrecondition where it has ended."""
    request = extraction_pb2.CancelExtractionRequest(
        scope=subject.scope, extraction_id=extraction_id, request_id=request_id_or_new(request_id)
    )
    return call(rpcs.CANCEL_EXTRACTION, request, lambda reply: extraction_of(reply.extraction), timeout)


def retry(
    subject: Subject,
    extraction_ids: Iterable[str] = (),
    *,
    request_id: str | None = None,
    timeout: float | None = None,
) -> Call[list[Extraction]]:
    """Make extractions that failed or were cancelled wait again, and return them.

    Without ids: those that FAILED, at most 100 at a time; repeat until none come back.
    """
    request = extraction_pb2.RetryExtractionsRequest(
        scope=subject.scope,
        extraction_ids=strings("extraction_ids", extraction_ids),
        request_id=request_id_or_new(request_id),
    )
    return call(
        rpcs.RETRY_EXTRACTIONS, request, lambda reply: [extraction_of(each) for each in reply.extractions], timeout
    )


def retry_all(subject: Subject, *, timeout: float | None = None) -> Pages[int]:
    """Make all extractions that FAILED, of every user of the namespace, wait again; yields how many, in parts."""
    request = extraction_pb2.RetryExtractionsRequest(
        scope=common_pb2.Scope(namespace=subject.namespace), all_users=True
    )
    return pages(rpcs.RETRY_EXTRACTIONS, request, lambda reply: [reply.retried_count], timeout)


class ExtractionStream(Stream[ExtractionEvent]):
    """The events of one extraction. Stored ones come once each; hints of an attempt that is over are left out."""

    def __init__(
        self,
        subject: Subject,
        timeout: float | None,
        *,
        extract: extraction_pb2.ExtractMemoriesRequest | None = None,
        extraction_id: str = "",
        resume_token: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(timeout, clock)
        self._subject = subject
        self._extract = extract
        self._extraction_id = extraction_id
        self._resume_token = resume_token
        self._number = 0
        self._attempt = 0

    def next_request(self) -> tuple[rpcs.Rpc[Any, Any], ProtobufMessage]:
        if self._extract is not None and not self._resume_token:
            return rpcs.EXTRACT_MEMORIES, self._extract
        request = extraction_pb2.WatchExtractionRequest(
            scope=self._subject.scope, extraction_id=self._extraction_id, resume_token=self._resume_token
        )
        return rpcs.WATCH_EXTRACTION, request

    def read(self, reply: Any) -> ExtractionEvent | None:
        wire: extraction_pb2.ExtractionEvent = reply.event
        if wire.number:
            if wire.number <= self._number:
                return None
            self._number, self._resume_token = wire.number, wire.resume_token
        event = event_of(wire)
        match event:
            case Accepted(extraction=extraction):
                self._extraction_id = self.metadata["extraction_id"] = extraction.extraction_id
            case Progress(attempt=attempt) | Proposed(attempt=attempt):
                if attempt < self._attempt:
                    return None
                self._attempt = attempt
            case Retried():
                self._attempt = 0
            case Completed():
                self.ended = True
        return event


def _source(messages: str | Iterable[MessageLike] | None, run_ids: Iterable[str] | None) -> dict[str, Any]:
    if (messages is None) == (run_ids is None):
        raise ValueError("learn from messages (or a text), or from run_ids")
    if run_ids is not None:
        return {"runs": extraction_pb2.RunList(run_ids=strings("run_ids", run_ids))}
    if messages == "":
        raise ValueError("messages must not be empty")
    given = [("user", messages)] if isinstance(messages, str) else messages
    return {"messages": extraction_pb2.MessageList(messages=messages_to_wire(given or ()))}

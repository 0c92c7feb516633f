"""Calls that find what was said in past conversations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from memsvc.v1 import session_pb2
from memsvc_client import rpcs
from memsvc_client.calls import Call, Subject, call
from memsvc_client.enums import Role
from memsvc_client.memory_calls import limit_of_hits
from memsvc_client.message import Message, message_of
from memsvc_client.selection import Consistency, TimeRange, consistency_to_wire, range_to_wire
from memsvc_client.shown import Shown
from memsvc_client.wire import enum_numbers, strings

MAX_BESIDE = 10


@dataclass(frozen=True, slots=True, repr=False)
class HistoryPassage(Shown):
    """A message that was found in past conversations."""

    session_id: str
    run_id: str
    run_index: int
    agent_id: str
    message: Message
    """With the time when it was said."""
    score: float
    """How sure it is, 0 to 1."""
    before: tuple[Message, ...]
    """What was said before it, oldest first."""
    after: tuple[Message, ...]

    def __str__(self) -> str:
        return self.message.text


def search_history(
    subject: Subject,
    query: str,
    *,
    limit: int = 10,
    min_score: float = 0.0,
    session_ids: Iterable[str] = (),
    agent_ids: Iterable[str] = (),
    roles: Iterable[Role | str] = (),
    time: TimeRange | None = None,
    beside: int = 0,
    consistency: Consistency | None = None,
    timeout: float | None = None,
) -> Call[list[HistoryPassage]]:
    """Find what was said in past conversations, best first; at most 100.

    `time` is (from, to), either None. `beside`, at most 10, brings along what was said just before and after.
    """
    if beside > MAX_BESIDE:
        raise ValueError(f"beside must be at most {MAX_BESIDE}, not {beside}")
    request = session_pb2.SearchHistoryRequest(
        scope=subject.scope,
        query=query,
        top_k=limit_of_hits(limit),
        min_score=min_score,
        session_ids=strings("session_ids", session_ids),
        agent_ids=strings("agent_ids", agent_ids),
        roles=enum_numbers("roles", Role, roles),
        time=range_to_wire(time),
        beside_count=beside,
        consistency=consistency_to_wire(consistency),
    )
    return call(rpcs.SEARCH_HISTORY, request, _passages_of, timeout)


def _passages_of(reply: session_pb2.SearchHistoryResponse) -> list[HistoryPassage]:
    return [
        HistoryPassage(
            session_id=wire.session_id,
            run_id=wire.run_id,
            run_index=wire.run_index,
            agent_id=wire.agent_id,
            message=message_of(wire.message),
            score=wire.score,
            before=tuple(message_of(message) for message in wire.before),
            after=tuple(message_of(message) for message in wire.after),
        )
        for wire in reply.passages
    ]

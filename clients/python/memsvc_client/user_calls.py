"""Calls on a user as a whole, and on the server: the document, statistics, erasure, who there is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from memsvc.v1 import admin_pb2, memory_pb2
from memsvc_client import rpcs
from memsvc_client.calls import Call, Pages, Subject, call, pages
from memsvc_client.enums import Layer
from memsvc_client.memory import UserMemory, document_of
from memsvc_client.selection import Consistency, consistency_to_wire
from memsvc_client.shown import Shown
from memsvc_client.wire import enum_member, enum_numbers, request_id_or_new, time_of


@dataclass(frozen=True, slots=True, repr=False)
class UserStats(Shown):
    """What a user has."""

    memory_count: int
    layers: Mapping[Layer, int]
    """Memories by layer; layers without any are left out."""
    memory_quota: int
    run_count: int
    """Runs that were ever stored."""
    pending_run_count: int
    """Runs that are not learned from yet."""
    open_extraction_count: int
    update_time: datetime | None
    revision: int
    read_time: datetime | None
    waiting_extraction_count: int = 0
    """Extractions that wait for a reason: their model is down, limited, or refuses the key."""
    waiting_reason: str = ""
    """The commonest of these reasons, a value of `Reason`; empty: none waits."""
    failed_extraction_count: int = 0
    """Extractions that failed and were not retried since."""
    failed_reason: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class ErasedUser(Shown):
    """What an erasure removed."""

    erased_memory_count: int
    erased_run_count: int
    revision: int


@dataclass(frozen=True, slots=True, repr=False)
class Capability(Shown):
    """Something that the database promises, or not."""

    name: str
    supported: bool
    reason: str
    """Why not, or on what condition."""


@dataclass(frozen=True, slots=True, repr=False)
class ServerInfo(Shown):
    """What a server is and offers."""

    version: str
    driver: str
    capabilities: tuple[Capability, ...]
    engine: str
    model: str
    """Empty: none."""
    start_time: datetime | None
    memory_quota: int
    max_request_bytes: int
    waiting_extraction_count: int = 0
    """How many extractions wait for a reason, as far as this server has seen."""
    waiting_reason: str = ""
    """The commonest of these reasons, a value of `Reason`; empty: none waits."""
    failed_extraction_count: int = 0
    """How many failed on this server and were not retried since."""
    failed_reason: str = ""
    redactions: Mapping[str, int] = field(default_factory=dict)
    """How many secrets it has redacted, by kind."""
    embedder: str = ""
    """What makes vectors; empty: there is none, and search goes by words."""


def get(
    subject: Subject,
    *,
    layers: Iterable[Layer | str] = (),
    consistency: Consistency | None = None,
    timeout: float | None = None,
) -> Call[UserMemory | None]:
    """Get the user's memories as one nested document; None where there are none."""
    request = memory_pb2.GetUserMemoryRequest(
        scope=subject.scope, layers=enum_numbers("layers", Layer, layers), consistency=consistency_to_wire(consistency)
    )
    return call(rpcs.GET_USER_MEMORY, request, document_of, timeout)


def stats(subject: Subject, *, consistency: Consistency | None = None, timeout: float | None = None) -> Call[UserStats]:
    """Count what the user has."""
    request = admin_pb2.GetStatsRequest(scope=subject.scope, consistency=consistency_to_wire(consistency))
    return call(rpcs.GET_STATS, request, _stats_of, timeout)


def erase(subject: Subject, *, request_id: str | None = None, timeout: float | None = None) -> Call[ErasedUser]:
    """Erase everything about the user: memories, history, runs, queued jobs."""
    request = admin_pb2.EraseUserRequest(scope=subject.scope, request_id=request_id_or_new(request_id))
    return call(
        rpcs.ERASE_USER,
        request,
        lambda reply: ErasedUser(reply.erased_memory_count, reply.erased_run_count, reply.revision),
        timeout,
    )


def list_users(subject: Subject, *, timeout: float | None = None) -> Pages[str]:
    """Iterate over the ids of all users of the client's namespace."""
    request = admin_pb2.ListUsersRequest(namespace=subject.namespace)
    return pages(rpcs.LIST_USERS, request, lambda reply: reply.user_ids, timeout)


def server_info(subject: Subject, *, timeout: float | None = None) -> Call[ServerInfo]:
    """Ask the server what it is and offers; needs no right."""
    return call(rpcs.GET_SERVER_INFO, admin_pb2.GetServerInfoRequest(), _info_of, timeout)


def _stats_of(reply: admin_pb2.GetStatsResponse) -> UserStats:
    return UserStats(
        memory_count=reply.memory_count,
        layers={enum_member(Layer, each.layer): each.count for each in reply.layers},
        memory_quota=reply.memory_quota,
        run_count=reply.run_count,
        pending_run_count=reply.pending_run_count,
        open_extraction_count=reply.open_extraction_count,
        update_time=time_of(reply, "update_time"),
        revision=reply.revision,
        read_time=time_of(reply, "read_time"),
        waiting_extraction_count=reply.waiting_extraction_count,
        waiting_reason=reply.waiting_reason,
        failed_extraction_count=reply.failed_extraction_count,
        failed_reason=reply.failed_reason,
    )


def _info_of(reply: admin_pb2.GetServerInfoResponse) -> ServerInfo:
    return ServerInfo(
        version=reply.version,
        driver=reply.driver,
        capabilities=tuple(Capability(each.name, each.supported, each.reason) for each in reply.capabilities),
        engine=reply.engine,
        model=reply.model,
        start_time=time_of(reply, "start_time"),
        memory_quota=reply.memory_quota,
        max_request_bytes=reply.max_request_bytes,
        waiting_extraction_count=reply.waiting_extraction_count,
        waiting_reason=reply.waiting_reason,
        failed_extraction_count=reply.failed_extraction_count,
        failed_reason=reply.failed_reason,
        redactions={each.kind: each.count for each in reply.redactions},
        embedder=reply.embedder,
    )

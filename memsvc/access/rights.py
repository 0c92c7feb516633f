"""The table of rights: what each RPC needs. An RPC without a row cannot be served.

| RPC | needs |
| --- | --- |
| what reads one user's memory, history, context or extractions | `read` |
| what changes them | `write` |
| CallTool | `read` for a tool that only reads, else `write` |
| what concerns all of a namespace, or cannot be undone | `admin`; its configuration can be read with `read` |
| GetServerInfo | to be identified |

Besides the right, the caller's namespaces must have the namespace of the request, and its users the user and every
shared user. What concerns all of a namespace is for callers that may see all of its users.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from memsvc.access.caller import Caller, Right
from memsvc.access.patterns import any_matches
from memsvc.errors import PermissionDenied, Reason

DEFAULT_NAMESPACE: Final = "default"


class Need(Struct, frozen=True):
    """What one RPC needs."""

    right: Right | None
    """None: any caller that is identified."""
    of_all_users: Right | None = None
    """What it needs where it concerns all users of the namespace; None: it never does."""
    has_user: bool = True
    """Whether it is about a user, if not about all."""
    of_reading_tools: Right | None = None
    """What it needs where it calls a tool that only reads; None: the same."""


class Asked(Struct, frozen=True):
    """What a request is about."""

    namespace: str = ""
    user_id: str = ""
    shared_user_ids: tuple[str, ...] = ()
    all_users: bool = False
    calls_reading_tool: bool = False
    """Whether it calls a tool that only reads. A tool that there is not is none of these."""


_READ: Final = Need(Right.READ)
_WRITE: Final = Need(Right.WRITE)
_ADMIN: Final = Need(Right.ADMIN)
_ADMIN_OF_ALL: Final = Need(Right.ADMIN, of_all_users=Right.ADMIN, has_user=False)

NEEDS: Final[Mapping[str, Need]] = {
    "MemoryService/CreateMemory": _WRITE,
    "MemoryService/BatchWriteMemories": _WRITE,
    "MemoryService/GetMemory": _READ,
    "MemoryService/UpdateMemory": _WRITE,
    "MemoryService/DeleteMemory": _WRITE,
    "MemoryService/ListMemories": _READ,
    "MemoryService/SearchMemories": _READ,
    "MemoryService/ClearMemories": _WRITE,
    "MemoryService/RestoreMemories": _WRITE,
    "MemoryService/GetUserMemory": _READ,
    "MemoryService/ListTopics": _READ,
    "MemoryService/ListMemoryChanges": _READ,
    "MemoryService/WatchMemories": _READ,
    "SessionService/AppendRun": _WRITE,
    "SessionService/ListRuns": _READ,
    "SessionService/GetHistory": _READ,
    "SessionService/SearchHistory": _READ,
    "SessionService/SummarizeSession": _WRITE,
    "SessionService/GetSession": _READ,
    "SessionService/ListSessions": _READ,
    "SessionService/DeleteSession": _WRITE,
    "ExtractionService/ExtractMemories": _WRITE,
    "ExtractionService/WatchExtraction": _READ,
    "ExtractionService/ObserveConversation": _WRITE,
    "ExtractionService/GetExtraction": _READ,
    "ExtractionService/ListExtractions": _READ,
    "ExtractionService/CancelExtraction": _WRITE,
    "ExtractionService/RetryExtractions": Need(Right.WRITE, of_all_users=Right.ADMIN),
    "ContextService/CompileContext": _READ,
    "ConfigService/GetMemoryConfig": Need(Right.READ, of_all_users=Right.READ, has_user=False),
    "ConfigService/UpdateMemoryConfig": _ADMIN_OF_ALL,
    "ToolService/ListTools": _READ,
    "ToolService/CallTool": Need(Right.WRITE, of_reading_tools=Right.READ),
    "AdminService/ListUsers": _ADMIN_OF_ALL,
    "AdminService/GetStats": _READ,
    "AdminService/ExportUser": _READ,
    "AdminService/ImportMemories": _WRITE,
    "AdminService/ConsolidateMemories": _WRITE,
    "AdminService/EraseUser": _ADMIN,
    "AdminService/EraseNamespace": _ADMIN_OF_ALL,
    "AdminService/GetServerInfo": Need(None, has_user=False),
}


def need_of(service: str, method: str) -> Need:
    """Return what a method needs; `service` with or without its package. KeyError: it has no row yet."""
    return NEEDS[f"{service.rpartition('.')[2]}/{method}"]


def authorize(caller: Caller, need: Need, asked: Asked) -> str:
    """Return the namespace that is meant: of an empty one the caller's only one, else `default`.

    Raises PermissionDenied (PERMISSION_DENIED), which is decided by the caller and the request alone: it says nothing
    of what there is.
    """
    namespace = asked.namespace or caller.only_namespace or DEFAULT_NAMESPACE
    if need.right is None:
        return namespace
    right = need.of_all_users if asked.all_users or not need.has_user else need.right
    if asked.calls_reading_tool:
        right = need.of_reading_tools or right
    if right is None or right not in caller.rights:
        raise _denied(f"needs the right {right or Right.ADMIN}")
    if not (caller.all_namespaces or any_matches(caller.namespaces, namespace)):
        raise _denied("is of a namespace that this caller has no rights in")
    if asked.all_users or not need.has_user:
        if caller.users:
            raise _denied("is of all users of the namespace, this caller of some of them")
        return namespace
    # A request without a user is malformed, and is told so.
    if caller.users:
        for user_id in (asked.user_id, *asked.shared_user_ids):
            if user_id and not any_matches(caller.users, user_id):
                raise _denied("is of a user that this caller has no rights to")
    return namespace


def _denied(why: str) -> PermissionDenied:
    return PermissionDenied(Reason.PERMISSION_DENIED, f"the request {why}")

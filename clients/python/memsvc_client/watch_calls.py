"""The call that watches a user's memories change: `user.watch`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from google.protobuf.message import Message

from memsvc.v1 import memory_pb2
from memsvc_client import rpcs
from memsvc_client.calls import Subject
from memsvc_client.memory import Commit, Memory, commit_of, memory_of
from memsvc_client.selection import MemoryFilter, filter_to_wire
from memsvc_client.shown import Shown
from memsvc_client.streams import Stream


@dataclass(frozen=True, slots=True, repr=False)
class Present(Shown):
    """One of the memories that were there at the start (`send_initial`)."""

    memory: Memory
    resume_token: str
    """Empty: it cannot be resumed from. The first token that can is that of `PresentDone`."""


@dataclass(frozen=True, slots=True, repr=False)
class PresentDone(Shown):
    """All memories that were there at the start have come."""

    revision: int
    resume_token: str


@dataclass(frozen=True, slots=True, repr=False)
class Changed(Shown):
    """A commit, with the changes that match."""

    commit: Commit
    resume_token: str


@dataclass(frozen=True, slots=True, repr=False)
class Bookmark(Shown):
    """Nothing happened; moves the token forward."""

    revision: int
    resume_token: str


@dataclass(frozen=True, slots=True, repr=False)
class Erased(Shown):
    """The user was erased: the last event."""

    revision: int
    resume_token: str


WatchEvent: TypeAlias = Present | PresentDone | Changed | Bookmark | Erased


def watch(
    subject: Subject,
    filter: MemoryFilter | None = None,  # noqa: A002
    *,
    send_initial: bool = False,
    resume_token: str = "",
    timeout: float | None = None,
) -> Stream[WatchEvent]:
    """Iterate over changes as they are committed; `send_initial` gives the present memories first.

    A broken connection is taken up again. `resume_token`, from an earlier event, goes on after it; raises OutOfRange
    where the history no longer reaches back that far. The initial events cannot be resumed from: the token of a
    `Present` is empty, and an empty token means from now on. A reader that stopped before `PresentDone` starts over
    with `send_initial`. Ends with `Erased`; raises DeadlineExceeded after `timeout` seconds, where that is given.
    """
    request = memory_pb2.WatchMemoriesRequest(
        scope=subject.scope, filter=filter_to_wire(filter), send_initial=send_initial, resume_token=resume_token
    )
    return MemoryStream(request, timeout)


class MemoryStream(Stream[WatchEvent]):
    """Changes of one user's memories."""

    def __init__(self, request: memory_pb2.WatchMemoriesRequest, timeout: float | None) -> None:
        super().__init__(timeout)
        self._request = request

    def next_request(self) -> tuple[rpcs.Rpc[Any, Any], Message]:
        return rpcs.WATCH_MEMORIES, self._request

    def read(self, reply: memory_pb2.WatchMemoriesResponse) -> WatchEvent | None:
        token = reply.resume_token or self._request.resume_token
        self._request.resume_token = token
        match reply.WhichOneof("event"):
            case "initial":
                return Present(memory_of(reply.initial), token)
            case "initial_done":
                self._request.send_initial = False
                return PresentDone(reply.initial_done.revision, token)
            case "commit":
                return Changed(commit_of(reply.commit), token)
            case "bookmark":
                return Bookmark(reply.bookmark.revision, token)
            case "erased":
                self.ended = True
                return Erased(reply.erased.revision, token)
            case _:
                return None

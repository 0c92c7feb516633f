"""What a method of a client does, before anything is sent: a value that both clients know how to carry out.

Every method is written once, as a function from a subject and its arguments to a `Call`, `Pages` or `Stream`; the two
clients only differ in how they send it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

from memsvc.v1 import common_pb2
from memsvc_client.errors import MemoryServiceError
from memsvc_client.rpcs import Reply, Request, Rpc

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Subject:
    """Who a handle speaks about, and on whose behalf."""

    namespace: str = ""
    user_id: str = ""
    agent_id: str = ""
    team_id: str = ""

    def __str__(self) -> str:
        named = {"namespace": self.namespace, "agent_id": self.agent_id, "team_id": self.team_id}
        return ", ".join([repr(self.user_id), *(f"{name}={value!r}" for name, value in named.items() if value)])

    @property
    def scope(self) -> common_pb2.Scope:
        return common_pb2.Scope(namespace=self.namespace, user_id=self.user_id)


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One call with one answer."""

    rpc: Rpc[Any, Any]
    request: Message
    read: Callable[[Any], T]
    timeout: float | None
    """Seconds; None: the client's default."""
    extra_seconds: float = 0.0
    """How much longer the server was asked to wait, on top of the timeout."""
    without: Callable[[Any], T] | None = None
    """What to answer without the service, from its failure: the call has a deadline of its own, and may have that."""
    or_empty: bool | None = None
    """Whether that is wanted; None: as the client says."""


@dataclass(frozen=True, slots=True)
class Pages(Generic[T]):
    """A list that comes in pages."""

    rpc: Rpc[Any, Any]
    request: Any
    read: Callable[[Any], Sequence[T]]
    timeout: float | None
    """Seconds for each page; None: the client's default."""


class Steps(ABC, Generic[T]):
    """Calls one after the other, until all is done. Used once."""

    @abstractmethod
    def next_call(self) -> Call[Any] | None:
        """Return what to send now; None: all is done."""

    @abstractmethod
    def take(self, answer: Any) -> None:
        """Note the answer to the last call."""

    def recovers(self, failure: MemoryServiceError) -> bool:
        """Tell whether the failure of the last call is mended by what `next_call` returns now."""
        return False

    @abstractmethod
    def result(self) -> T:
        """Return what all of it has come to."""


def call(
    rpc: Rpc[Request, Reply],
    request: Request,
    read: Callable[[Reply], T],
    timeout: float | None,
    extra_seconds: float = 0.0,
) -> Call[T]:
    return Call(rpc, request, read, timeout, extra_seconds)


def pages(
    rpc: Rpc[Request, Reply], request: Request, read: Callable[[Reply], Sequence[T]], timeout: float | None
) -> Pages[T]:
    return Pages(rpc, request, read, timeout)

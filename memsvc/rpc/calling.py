"""What a method is, and what is put around it before gRPC calls it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc
from google.protobuf.message import Message
from msgspec import Struct

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler = Callable[[Any, Context], Awaitable[Any]]
Handlers: TypeAlias = "Mapping[str, grpc.RpcMethodHandler[Any, Any]]"
"""What gRPC calls for methods, by their paths: `/memsvc.v1.MemoryService/GetMemory`."""
Head: TypeAlias = Sequence[tuple[str, Any]]
"""What came before the request: names in lower case, and values."""

_head: ContextVar[Head] = ContextVar("head", default=())

if TYPE_CHECKING:
    _GenericRpcHandler = grpc.GenericRpcHandler[Any, Any]
else:
    _GenericRpcHandler = grpc.GenericRpcHandler


class Rpc(Struct, frozen=True):
    """One method of the API."""

    service: str
    """With its package: memsvc.v1.MemoryService."""
    name: str
    request: type[Message]
    streams: bool
    """Whether it answers with a stream."""
    converses: bool = False
    """Whether the client sends more than one request, while it is answered."""
    writes: bool = True
    """Whether it may change something: what it does not know, it must not ignore."""


Wrapper = Callable[[Rpc, Handler], Handler]


def wrapped(rpc: Rpc, handler: Handler, wrappers: tuple[Wrapper, ...]) -> Handler:
    """Return the handler with the wrappers around it, the first one outermost."""
    for wrapper in reversed(wrappers):
        handler = wrapper(rpc, handler)
    return handler


def method_handler(rpc: Rpc, handler: Handler) -> grpc.RpcMethodHandler[Any, Any]:
    """Return what gRPC calls.

    To gRPC every method takes a stream of requests: of one that does not, it would have read all of the request before
    it asks anybody, and would keep it for as long as the call lasts.
    """
    if rpc.streams:
        return grpc.stream_stream_rpc_method_handler(handler)
    return grpc.stream_unary_rpc_method_handler(handler)


class Methods(_GenericRpcHandler):
    """Methods by their paths."""

    def __init__(self, handlers: Handlers) -> None:
        self._handlers = handlers

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        # In the task that handles the call.
        begin_head(handler_call_details.invocation_metadata or ())
        return self._handlers.get(handler_call_details.method)


def begin_head(head: Head) -> None:
    """Say what came with the call that runs in this context. gRPC makes it anew for all who ask for it later."""
    _head.set(head)


def current_head() -> Head:
    """Return what came with the call that runs in this context."""
    return _head.get()

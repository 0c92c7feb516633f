"""What a method is, and what is put around it before gRPC calls it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import Message
from msgspec import Struct

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler = Callable[[Any, Context], Awaitable[Any]]


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

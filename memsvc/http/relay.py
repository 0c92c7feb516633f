"""The API of a server elsewhere, relayed: what `memsvc ui` answers on a port of its own it has asked by gRPC.

Each call goes on with the token that came with it, so that the server decides as it does for anybody; nothing is kept.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, NoReturn

import grpc
from google.protobuf import message_factory
from google.protobuf.message import Message

from memsvc.foreground import Foreground
from memsvc.http.errors import Refused
from memsvc.rpc.admission import Admission
from memsvc.rpc.calling import Rpc
from memsvc.rpc.services import SERVICES, Method, is_safe, rpcs
from memsvc.rpc.status import DETAILS_KEY, WireStatus

MAX_REQUEST_BYTES: Final = 4 << 20
_PASSED_ON: Final = frozenset(("authorization", "traceparent", "tracestate"))
_SECONDS: Final = 60.0
"""For a call that names no deadline; the server has one of its own, which is shorter."""
_MAX_CALLS: Final = 256
_MAX_BYTES: Final = 64 << 20


class RelayedEdge:
    """The methods of the server at the other end of a channel, as the operator's port serves them."""

    is_draining = False
    socket_users = None

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.admission = Admission(
            Foreground(),
            max_calls=_MAX_CALLS,
            max_bytes=_MAX_BYTES,
            largest_bytes=MAX_REQUEST_BYTES,
            slowest_seconds=_SECONDS,
        )
        self.methods = [_relayed(rpc, service, channel) for service in SERVICES for rpc in rpcs(service)]


def _relayed(rpc: Rpc, service: Any, channel: Any) -> Method:
    described = service.methods_by_name[rpc.name]
    reply: type[Message] = message_factory.GetMessageClass(described.output_type)
    path = f"/{rpc.service}/{rpc.name}"
    handler = _streamed(channel.unary_stream(path)) if rpc.streams else _asked(channel.unary_unary(path))
    return Method(rpc, reply, is_safe(described), handler)


def _asked(ask: Callable[..., Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
    async def handle(_: Any, call: Any) -> Any:
        request = await call.read()
        try:
            return await ask(request, metadata=_metadata(call), timeout=call.time_remaining() or _SECONDS)
        except grpc.aio.AioRpcError as error:
            _refuse(error)

    return handle


def _streamed(ask: Callable[..., Any]) -> Callable[[Any, Any], Awaitable[None]]:
    async def handle(_: Any, call: Any) -> None:
        request = await call.read()
        replies = ask(request, metadata=_metadata(call), timeout=call.time_remaining())
        try:
            async for reply in replies:
                await call.write(reply)
        except grpc.aio.AioRpcError as error:
            _refuse(error)
        finally:
            # The browser may have gone, and nobody reads on.
            replies.cancel()

    return handle


def _metadata(call: Any) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in call.invocation_metadata() if name in _PASSED_ON)


def _refuse(error: grpc.aio.AioRpcError) -> NoReturn:
    named: Any = error.trailing_metadata() or ()
    trailers = tuple((name, value) for name, value in named if name == DETAILS_KEY)
    raise Refused(WireStatus(error.code(), error.details() or "", trailers)) from None

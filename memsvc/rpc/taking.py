"""A gRPC server that outlives whatever name of a method is asked for.

From grpcio 1.84 on, the loop of `grpc.aio` decodes the name of each call, and a name that is no UTF-8 ends it, and with
it the server: whoever reaches the port could do that with one request, before anybody asks who calls. So the core is
told the methods that there are, and compares bytes. What it then has left are calls of others, which are refused here,
their names unread:

    core  --  /memsvc.v1.AdminService/GetServerInfo  --  the loop of gRPC  --  handlers
          --  any other name                         --  UNIMPLEMENTED, NOT_SUPPORTED

An older grpcio lets only the call end that has such a name; it is told no methods.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, Final

import grpc
from grpc._cython import cygrpc  # type: ignore[attr-defined]

from memsvc.rpc.calling import Handlers, Methods
from memsvc.rpc.fallback import UnknownMethods, refuse

_IS_TOLD_METHODS: Final = hasattr(cygrpc.AioServer, "add_registered_method_handlers")


def new_server(options: Sequence[tuple[str, Any]]) -> grpc.aio.Server:
    """Return a server, which `serve_methods` is to be called for once."""
    grpcs_own = cygrpc.AioServer
    cygrpc.AioServer = _AioServer if _IS_TOLD_METHODS else grpcs_own
    try:
        return grpc.aio.server(options=options)
    finally:
        cygrpc.AioServer = grpcs_own


def serve_methods(server: grpc.aio.Server, handlers: Handlers) -> None:
    """Serve these methods, and refuse all others."""
    server.add_generic_rpc_handlers((Methods(handlers), UnknownMethods()))
    if _IS_TOLD_METHODS:
        for path in handlers:
            service, method = path[1:].split("/")
            # The core knows the name; the handler is the one above, which sees what came before the request.
            server.add_registered_method_handlers(service, {method: None})  # type: ignore[attr-defined]


class _AioServer(cygrpc.AioServer):  # type: ignore[misc]
    """Hands calls of methods that nobody told it to nobody."""

    async def _request_call(self) -> Any:
        refusing: set[asyncio.Task[None]] = set()
        while True:
            # It raises once the server stops.
            task = asyncio.create_task(_refused(await super()._request_call()))
            refusing.add(task)
            task.add_done_callback(refusing.discard)


async def _refused(call: Any) -> None:
    refusing = refuse(None, cygrpc._ServicerContext(call, None, None, asyncio.get_running_loop()))
    # gRPC keeps the error that ends a call with the call, and the error this frame: see `errors`.
    del call
    # Whoever called may be gone.
    with contextlib.suppress(grpc.aio.AbortError, cygrpc.ExecuteBatchError):
        await refusing

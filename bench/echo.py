"""The bare server that memsvc is measured against: `/bench.Echo/<n>` answers n bytes to anything.

It is what grpc.aio can do at best in one process, with the same event loop: no parsing, no interceptor, no work.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from functools import cache
from pathlib import Path
from typing import Any

import grpc
import uvloop


class Echo(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in its stub only
    """Handles every method by the number that it is called."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
        return _handler(int(handler_call_details.method.rpartition("/")[2]))


@cache
def _handler(reply_bytes: int) -> grpc.RpcMethodHandler[Any, Any]:
    reply = b"x" * reply_bytes

    async def answer(request: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
        return reply

    return grpc.unary_unary_rpc_method_handler(answer)


async def serve(address: str, ready_file: Path) -> None:
    """Serve until SIGTERM."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Echo(),))
    server.add_insecure_port(address)
    await server.start()
    gc.collect()
    gc.freeze()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    ready_file.write_text(address)
    await stopped.wait()
    await server.stop(0)


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], Path(sys.argv[2])))

"""How many calls there were, how they ended and how long they took."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from memsvc.errors import Error
from memsvc.metrics.meters import Meters
from memsvc.rpc.calling import Context, Handler, Rpc, Wrapper


def measuring(meters: Meters) -> Wrapper:
    """Return the wrapper that notes each call. It comes right inside `errors`: what is raised says how a call ended."""

    def wrapper(rpc: Rpc, handler: Handler) -> Handler:
        method = f"{rpc.service.rpartition('.')[2]}/{rpc.name}"
        well, observe = meters.calls.cell(method, "OK").add, meters.call_seconds.cell(method).observe
        is_open = meters.open_streams.cell(method)
        clock = time.perf_counter

        def ended_badly(error: BaseException) -> None:
            code = error.code if isinstance(error, Error) else "INTERNAL"
            meters.calls.cell(method, "CANCELLED" if isinstance(error, asyncio.CancelledError) else code).add()

        async def unary(request: Any, context: Context) -> Any:
            started = clock()
            try:
                reply = await handler(request, context)
            except BaseException as error:
                ended_badly(error)
                raise
            else:
                well()
                return reply
            finally:
                observe(clock() - started)

        async def stream(request: Any, context: Context) -> Any:
            is_open.add()
            try:
                reply = await handler(request, context)
            except BaseException as error:
                ended_badly(error)
                raise
            else:
                well()
                return reply
            finally:
                is_open.add(-1)

        return stream if rpc.streams else unary

    return wrapper

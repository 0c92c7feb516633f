"""grpc.health.v1: whether the server serves.

"liveness" is SERVING as long as the process answers; "" and the services are, until the server drains. None of them
touches the database: a pod is not restarted, nor an agent cut off from what is in RAM, because a database is slow.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from typing import Any, Final

from grpc_health.v1 import health_pb2

from memsvc.errors import NotFound, Reason
from memsvc.rpc.admission import Admission
from memsvc.rpc.calling import Handlers, Rpc, method_handler, wrapped
from memsvc.rpc.interceptors import admission, errors, streaming

NAME: Final = "grpc.health.v1.Health"
LIVENESS: Final = "liveness"

_MAX_REQUEST_BYTES: Final = 64 << 10
_SERVING: Final = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING
_UNKNOWN: Final = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


class Health:
    """Answers health checks, on any number of servers."""

    def __init__(self, services: Iterable[str]) -> None:
        self._services = frozenset(("", LIVENESS, *services))
        self._draining = asyncio.Event()

    def handlers(self, admitting: Admission) -> Handlers:
        """Return what gRPC calls for health checks."""
        check = Rpc(NAME, "Check", health_pb2.HealthCheckRequest, streams=False, writes=False)
        watch = Rpc(NAME, "Watch", health_pb2.HealthCheckRequest, streams=True, writes=False)
        wrappers = (errors, admission(admitting, _MAX_REQUEST_BYTES))
        watching = streaming(self._watch, admitting.room)
        return {
            f"/{NAME}/Check": method_handler(check, wrapped(check, self._check, wrappers)),
            f"/{NAME}/Watch": method_handler(watch, wrapped(watch, watching, wrappers)),
        }

    def drain(self) -> None:
        """Say from now on that the server does not serve; watches are told, and end."""
        self._draining.set()

    def _status(self, service: str) -> health_pb2.HealthCheckResponse:
        if service not in self._services:
            return health_pb2.HealthCheckResponse(status=_UNKNOWN)
        serves = service == LIVENESS or not self._draining.is_set()
        return health_pb2.HealthCheckResponse(status=_SERVING if serves else _NOT_SERVING)

    async def _check(self, request: health_pb2.HealthCheckRequest, context: Any) -> health_pb2.HealthCheckResponse:
        if request.service not in self._services:
            raise NotFound(Reason.NOT_SUPPORTED, f"no service {request.service}")
        return self._status(request.service)

    async def _watch(
        self, request: health_pb2.HealthCheckRequest, context: Any
    ) -> AsyncGenerator[health_pb2.HealthCheckResponse, None]:
        status = self._status(request.service)
        yield status
        await self._draining.wait()
        if self._status(request.service) != status:
            yield self._status(request.service)

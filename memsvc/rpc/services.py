"""The services on a gRPC server: one handler for every method that the protos define."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

from memsvc.application import Application
from memsvc.rpc.admin_service import AdminService
from memsvc.rpc.admission import Admission
from memsvc.rpc.authorization import CredentialsOf
from memsvc.rpc.calling import Rpc, Wrapper, method_handler, wrapped
from memsvc.rpc.config_service import ConfigService
from memsvc.rpc.context_service import ContextService
from memsvc.rpc.draining import Draining
from memsvc.rpc.extraction_service import ExtractionService
from memsvc.rpc.interceptors import chain, streaming
from memsvc.rpc.memory_service import MemoryService
from memsvc.rpc.session_service import SessionService
from memsvc.v1 import admin_pb2, config_pb2, context_pb2, extraction_pb2, memory_pb2, session_pb2

SERVICES: Final[tuple[ServiceDescriptor, ...]] = tuple(
    service
    for module in (context_pb2, memory_pb2, session_pb2, extraction_pb2, admin_pb2, config_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
)
"""Those asked most first: gRPC looks for a method in this order."""

_READS: Final = frozenset(("CompileContext", "WatchExtraction", "WatchMemories"))
"""Besides those that the protos say have no side effects: streams, and one that may end quiet periods."""


def add_services(
    server: grpc.aio.Server,
    application: Application,
    drain: Draining,
    admitting: Admission,
    credentials_of: CredentialsOf,
) -> None:
    """Serve the API on `server`. `credentials_of`: what a call says of its caller."""
    servicers: Mapping[str, object] = {
        "MemoryService": MemoryService(application),
        "SessionService": SessionService(application, drain, admitting.room),
        "ExtractionService": ExtractionService(application),
        "ContextService": ContextService(application, drain),
        "AdminService": AdminService(application),
        "ConfigService": ConfigService(application),
    }
    settings = application.settings
    wrappers = chain(
        drain,
        admitting,
        settings.default_deadline_seconds,
        settings.max_request_bytes,
        application.gate,
        credentials_of,
    )
    for service in SERVICES:
        servicer = servicers[service.name]
        handlers = {rpc.name: _method_handler(rpc, servicer, wrappers, admitting) for rpc in rpcs(service)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.full_name, handlers),))


def rpcs(service: ServiceDescriptor) -> Iterator[Rpc]:
    """Yield the methods of a service."""
    for method in service.methods:
        request = message_factory.GetMessageClass(method.input_type)
        reads = method.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS or method.name in _READS
        yield Rpc(service.full_name, method.name, request, method.server_streaming, not reads)


def _method_handler(
    rpc: Rpc, servicer: object, wrappers: tuple[Wrapper, ...], admitting: Admission
) -> grpc.RpcMethodHandler[Any, Any]:
    """Return the handler of a method, which the servicer has under its name in snake case."""
    behaviour = getattr(servicer, re.sub(r"(?<!^)(?=[A-Z])", "_", rpc.name).lower())
    if rpc.streams:
        behaviour = streaming(behaviour, admitting.room)
    return method_handler(rpc, wrapped(rpc, behaviour, wrappers))

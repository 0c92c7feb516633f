"""The methods of the API: one handler for every method that the protos define, for any server."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from msgspec import Struct

from memsvc.application import Application
from memsvc.rpc.admin_service import AdminService
from memsvc.rpc.admission import Admission
from memsvc.rpc.authorization import CredentialsOf
from memsvc.rpc.calling import Handler, Handlers, Rpc, Wrapper, method_handler, wrapped
from memsvc.rpc.config_service import ConfigService
from memsvc.rpc.context_service import ContextService
from memsvc.rpc.conversing import conversing
from memsvc.rpc.draining import Draining
from memsvc.rpc.extraction_service import ExtractionService
from memsvc.rpc.interceptors import chain, streaming
from memsvc.rpc.limiting import Limiter
from memsvc.rpc.memory_service import MemoryService
from memsvc.rpc.session_service import SessionService
from memsvc.rpc.tool_service import ToolService
from memsvc.v1 import admin_pb2, config_pb2, context_pb2, extraction_pb2, memory_pb2, session_pb2, tool_pb2

SERVICES: Final[tuple[ServiceDescriptor, ...]] = tuple(
    service
    for module in (context_pb2, memory_pb2, session_pb2, tool_pb2, extraction_pb2, admin_pb2, config_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
)

_READS: Final = frozenset(("CompileContext", "WatchExtraction", "WatchMemories"))
"""Besides those that the protos say have no side effects: streams, and one that may end quiet periods."""


class Method(Struct, frozen=True):
    """A method of the API with all that stands around it: what gRPC and the operator's port serve alike."""

    rpc: Rpc
    reply: type[Message]
    is_safe: bool
    """Whether the protos say that it has no side effects."""
    handler: Handler


def methods(
    application: Application, drain: Draining, admitting: Admission, credentials_of: CredentialsOf
) -> list[Method]:
    """Return the methods of the API by service. `credentials_of`: what a call says of its caller."""
    servicers: Mapping[str, object] = {
        "MemoryService": MemoryService(application),
        "SessionService": SessionService(application, drain, admitting.room),
        "ExtractionService": ExtractionService(application),
        "ContextService": ContextService(application, drain),
        "ToolService": ToolService(application, drain),
        "AdminService": AdminService(application, drain, admitting.room),
        "ConfigService": ConfigService(application),
    }
    settings = application.settings
    wrappers = chain(
        drain,
        admitting,
        settings.default_deadline_seconds,
        settings.max_request_bytes,
        application.gate,
        application.audit,
        _limiter(application),
        credentials_of,
        application.meters,
        application.traces,
    )
    return [
        Method(
            rpc,
            message_factory.GetMessageClass(service.methods_by_name[rpc.name].output_type),
            is_safe(service.methods_by_name[rpc.name]),
            _handler(rpc, servicers[service.name], wrappers, admitting, settings.max_request_bytes),
        )
        for service in SERVICES
        for rpc in rpcs(service)
    ]


def _limiter(application: Application) -> Limiter | None:
    """Return what holds callers to their limits; None: nobody has any."""
    if application.gate is None and application.allowances.limits_nobody:
        return None
    return Limiter(application.allowances, application.population, application.accounts)


def handlers(served: Iterable[Method]) -> Handlers:
    """Return what gRPC calls for these methods."""
    return {f"/{each.rpc.service}/{each.rpc.name}": method_handler(each.rpc, each.handler) for each in served}


def rpcs(service: ServiceDescriptor) -> Iterator[Rpc]:
    """Yield the methods of a service."""
    for method in service.methods:
        request = message_factory.GetMessageClass(method.input_type)
        reads = is_safe(method) or method.name in _READS
        yield Rpc(service.full_name, method.name, request, method.server_streaming, method.client_streaming, not reads)


def is_safe(method: MethodDescriptor) -> bool:
    """Whether the protos say that a method has no side effects."""
    # They say nothing else of a method; to ask for the options themselves would import their descriptors.
    return bool(method.has_options)


def _handler(
    rpc: Rpc, servicer: object, wrappers: tuple[Wrapper, ...], admitting: Admission, max_request_bytes: int
) -> Handler:
    """Return the handler of a method, which the servicer has under its name in snake case."""
    behaviour = getattr(servicer, re.sub(r"(?<!^)(?=[A-Z])", "_", rpc.name).lower())
    if rpc.converses:
        behaviour = conversing(rpc, behaviour, admitting, max_request_bytes)
    elif rpc.streams:
        behaviour = streaming(behaviour, admitting.room)
    return wrapped(rpc, behaviour, wrappers)

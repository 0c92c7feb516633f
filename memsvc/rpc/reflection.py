"""Server reflection, v1 and v1alpha: what grpcurl, ghz and the like ask to learn the API.

Answers come from the descriptors that `buf build` made: with comments, and with names in JSON. The two versions of the
protocol differ in nothing but their package, so that one handler and one pair of messages serve both.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2  # type: ignore[import-untyped]
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2 as pb

from memsvc.errors import InvalidArgument, Reason
from memsvc.rpc.admission import Admission
from memsvc.rpc.calling import Context, Handlers, Rpc, Wrapper, method_handler, wrapped
from memsvc.rpc.room import full
from memsvc.rpc.whole import begin_stream, whole

if TYPE_CHECKING:
    from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FileDescriptorProto

SERVICES: Final = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")

_METHOD: Final = "ServerReflectionInfo"
_DESCRIPTORS: Final = Path(__file__).parents[1] / "v1" / "descriptors.binpb"
_MAX_REQUEST_BYTES: Final = 64 << 10
_MAX_STREAMS: Final = 8
"""Each may be sending the largest message that gRPC lets through."""
_STREAM_SECONDS: Final = 60.0
"""A tool asks what it wants to know, and goes."""


class Descriptors:
    """Files by name, and by the symbols that they define."""

    def __init__(self, files: Iterable[FileDescriptorProto]) -> None:
        self._files: dict[str, bytes] = {}
        self._imports: dict[str, list[str]] = {}
        self._homes: dict[str, str] = {}
        self._types: set[str] = set()
        for file in files:
            self._files[file.name] = file.SerializeToString()
            self._imports[file.name] = list(file.dependency)
            for symbol in _symbols(file):
                self._homes[symbol] = file.name
            self._types.update(name for name, _ in _messages(file.package, file.message_type))

    def file(self, name: str) -> list[bytes] | None:
        """Return a file and all that it imports, itself first; None where there is none of that name."""
        if name not in self._files:
            return None
        names = dict.fromkeys((name, *self._all_imports(name)))
        return [self._files[each] for each in names]

    def file_of(self, symbol: str) -> list[bytes] | None:
        """Return the file that defines a service, method, message, field, enum or value; and all that it imports."""
        home = self._homes.get(symbol.removeprefix("."))
        return None if home is None else self.file(home)

    def is_message(self, name: str) -> bool:
        return name.removeprefix(".") in self._types

    def _all_imports(self, name: str) -> Iterator[str]:
        for each in self._imports[name]:
            yield each
            yield from self._all_imports(each)


@cache
def descriptors() -> Descriptors:
    """Return the descriptors of all that the server serves; read at the first question, few servers are asked one."""
    from google.protobuf.descriptor_pb2 import FileDescriptorSet

    raw = _DESCRIPTORS.read_bytes()
    return Descriptors(
        [
            *FileDescriptorSet.FromString(raw).file,
            # The details of errors, so that tools can show them.
            *map(_described, (error_details_pb2, health_pb2, pb)),
            _reflection_v1(),
        ]
    )


def reflection_handlers(services: Iterable[str], admitting: Admission, wrappers: tuple[Wrapper, ...]) -> Handlers:
    """Return what gRPC calls for questions about these services, and about reflection itself."""
    names = [*services, *SERVICES]
    # A client may keep its stream open and ask now and then: it does not have to be read like one request that is due.
    streams = asyncio.Semaphore(_MAX_STREAMS)

    async def answer_all(_: Any, context: Context) -> None:
        if streams.locked():
            raise full(f"{_MAX_STREAMS} reflection streams are open")
        async with streams:
            task = admitting.enter(streams=True)
            await begin_stream(context)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_STREAM_SECONDS):
                    while isinstance(raw := await whole(context.read()), bytes):
                        await _reply(context, task, raw)

    async def _reply(context: Context, task: asyncio.Task[Any], raw: bytes) -> None:
        if len(raw) > _MAX_REQUEST_BYTES:
            raise InvalidArgument(Reason.INVALID_FIELD, f"request must be at most {_MAX_REQUEST_BYTES} bytes")
        try:
            request = pb.ServerReflectionRequest.FromString(raw)
        except DecodeError:
            raise InvalidArgument(Reason.INVALID_FIELD, "request is no ServerReflectionRequest") from None
        reply = _answer(request, names).SerializeToString()
        admitting.room.hold(task, len(reply))
        await whole(context.write(reply))
        admitting.room.let_go(task)

    rpcs = [Rpc(service, _METHOD, pb.ServerReflectionRequest, streams=True, writes=False) for service in SERVICES]
    return {f"/{rpc.service}/{_METHOD}": method_handler(rpc, wrapped(rpc, answer_all, wrappers)) for rpc in rpcs}


def _answer(request: Any, services: Iterable[str]) -> Any:
    reply = pb.ServerReflectionResponse(valid_host=request.host, original_request=request)
    asked = request.WhichOneof("message_request")
    name = getattr(request, asked) if asked else ""
    files = None
    if asked == "list_services":
        reply.list_services_response.service.extend(pb.ServiceResponse(name=each) for each in services)
        return reply
    if asked == "file_by_filename":
        files = descriptors().file(name)
    elif asked == "file_containing_symbol":
        files = descriptors().file_of(name)
    elif asked == "all_extension_numbers_of_type" and descriptors().is_message(name):
        reply.all_extension_numbers_response.base_type_name = name
        return reply
    if files is None:
        # There are no extensions either.
        code, text = (grpc.StatusCode.NOT_FOUND, "not found") if asked else (grpc.StatusCode.INVALID_ARGUMENT, "empty")
        reply.error_response.error_code, reply.error_response.error_message = code.value[0], text
        return reply
    reply.file_descriptor_response.file_descriptor_proto.extend(files)
    return reply


def _described(module: Any) -> FileDescriptorProto:
    from google.protobuf.descriptor_pb2 import FileDescriptorProto

    return FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb)


def _reflection_v1() -> FileDescriptorProto:
    """Return the protocol's own description under its newer package; grpcio-reflection has the older one alone."""
    file = _described(pb)
    old, new = file.package, file.package.removesuffix("alpha")
    file.name, file.package = "grpc/reflection/v1/reflection.proto", new
    for _, message in _messages(new, file.message_type):
        for field in message.field:
            field.type_name = field.type_name.replace(f".{old}.", f".{new}.")
    for method in file.service[0].method:
        method.input_type = method.input_type.replace(f".{old}.", f".{new}.")
        method.output_type = method.output_type.replace(f".{old}.", f".{new}.")
    return file


def _messages(package: str, messages: Iterable[DescriptorProto]) -> Iterator[tuple[str, DescriptorProto]]:
    for message in messages:
        name = f"{package}.{message.name}"
        yield name, message
        yield from _messages(name, message.nested_type)


def _symbols(file: FileDescriptorProto) -> Iterator[str]:
    package = file.package
    yield from _enum_symbols(package, file.enum_type)
    for name, message in _messages(package, file.message_type):
        yield name
        yield from (f"{name}.{field.name}" for field in message.field)
        yield from (f"{name}.{oneof.name}" for oneof in message.oneof_decl)
        yield from _enum_symbols(name, message.enum_type)
    for service in file.service:
        yield f"{package}.{service.name}"
        yield from (f"{package}.{service.name}.{method.name}" for method in service.method)


def _enum_symbols(scope: str, enums: Iterable[EnumDescriptorProto]) -> Iterator[str]:
    for enum in enums:
        yield f"{scope}.{enum.name}"
        # As protobuf has it, a value's name is in the scope that its enum is in.
        yield from (f"{scope}.{value.name}" for value in enum.value)

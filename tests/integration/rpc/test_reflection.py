"""What tools ask a server about itself: with both versions of the protocol, by any name, with comments."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha import reflection_pb2 as pb
from rpc_harness import Harness, failing

from memsvc.rpc.services import SERVICES
from memsvc.v1 import reason_pb2
from tests.conftest import must_have
from tests.servers.go_tools import go_tool

VERSIONS = ("v1", "v1alpha")
GRPCURL = "github.com/fullstorydev/grpcurl/cmd/grpcurl", "v1.9.3"

of_both_versions = pytest.mark.parametrize("version", VERSIONS)


async def answers(server: Harness, version: str, *requests: Any) -> list[Any]:
    stub = server.channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        pb.ServerReflectionRequest.SerializeToString,
        pb.ServerReflectionResponse.FromString,
    )
    return [reply async for reply in stub(iter(requests))]


async def files_with(server: Harness, version: str, symbol: str) -> list[Any]:
    (reply,) = await answers(server, version, pb.ServerReflectionRequest(file_containing_symbol=symbol))
    assert not reply.HasField("error_response"), symbol
    return [FileDescriptorProto.FromString(raw) for raw in reply.file_descriptor_response.file_descriptor_proto]


@of_both_versions
async def test_every_service_is_named(server: Harness, version: str) -> None:
    (reply,) = await answers(server, version, pb.ServerReflectionRequest(list_services=""))

    assert {service.name for service in reply.list_services_response.service} == {
        *(service.full_name for service in SERVICES),
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    }


def symbols() -> Iterator[tuple[str, str]]:
    for service in SERVICES:
        yield service.full_name, service.file.name
        for method in service.methods:
            yield method.full_name, service.file.name
            yield from ((each.full_name, each.file.name) for each in (method.input_type, method.output_type))
    for name in ("Memory", "Memory.text", "Memory.expiration", "Memory.MetadataEntry", "Memory.MetadataEntry.key"):
        yield f"memsvc.v1.{name}", "memsvc/v1/memory.proto"
    for name in ("Layer", "LAYER_PROFILE", "MemoryFilter", "Consistency.requirement"):
        yield f"memsvc.v1.{name}", "memsvc/v1/common.proto"
    yield reason_pb2.DESCRIPTOR.enum_types_by_name["Reason"].full_name, "memsvc/v1/reason.proto"
    yield "google.rpc.ErrorInfo", "google/rpc/error_details.proto"
    yield "google.protobuf.Timestamp", "google/protobuf/timestamp.proto"
    yield "grpc.health.v1.Health.Check", "v1/health.proto"
    for each in VERSIONS:
        service = f"grpc.reflection.{each}.ServerReflection"
        yield f"{service}.ServerReflectionInfo", f"{each}/reflection.proto"


@of_both_versions
async def test_everything_is_found_by_its_name_with_what_it_imports(server: Harness, version: str) -> None:
    for symbol, home in symbols():
        files = await files_with(server, version, symbol)
        names = [file.name for file in files]
        assert (names[0].endswith(home), len(set(names))) == (True, len(names)), symbol
        assert {each for file in files for each in file.dependency} <= set(names), symbol


@of_both_versions
async def test_files_come_with_comments_and_the_names_in_json(server: Harness, version: str) -> None:
    file = (await files_with(server, version, "memsvc.v1.MemoryService.CreateMemory"))[0]

    comments = {tuple(each.path): each.leading_comments for each in file.source_code_info.location}
    assert comments[6, 0, 2, 0].startswith(" Create a memory.")
    field = next(each for each in file.message_type[0].field if each.name == "memory_id")
    assert field.json_name == "memoryId"
    (named,) = await answers(server, version, pb.ServerReflectionRequest(file_by_filename=file.name))
    assert FileDescriptorProto.FromString(named.file_descriptor_response.file_descriptor_proto[0]) == file


@of_both_versions
async def test_what_there_is_not_is_said_and_the_stream_goes_on(server: Harness, version: str) -> None:
    request = pb.ServerReflectionRequest
    replies = await answers(
        server,
        version,
        request(file_containing_symbol="memsvc.v1.Nothing"),
        request(file_by_filename="nothing.proto"),
        request(file_containing_extension=pb.ExtensionRequest(containing_type="memsvc.v1.Memory", extension_number=9)),
        request(all_extension_numbers_of_type="memsvc.v1.Nothing"),
        request(),
        request(all_extension_numbers_of_type="memsvc.v1.Memory"),
    )

    codes = [reply.error_response.error_code for reply in replies]
    assert codes == [*[grpc.StatusCode.NOT_FOUND.value[0]] * 4, grpc.StatusCode.INVALID_ARGUMENT.value[0], 0]
    assert list(replies[5].all_extension_numbers_response.extension_number) == []
    assert replies[0].original_request.file_containing_symbol == "memsvc.v1.Nothing"


@of_both_versions
async def test_a_question_that_is_none_is_refused_with_a_reason(server: Harness, version: str) -> None:
    path = f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
    failure = await failing(server.channel.stream_stream(path)(iter([b"\xff"])))

    assert (failure.code, failure.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")


async def run(program: Path, *arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        program, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    return output.decode()


@pytest.mark.timeout(1_000)
async def test_grpcurl_describes_and_calls_without_the_protos(server: Harness) -> None:
    grpcurl = await asyncio.to_thread(must_have, go_tool, *GRPCURL)
    place = ("-plaintext", "-authority", "localhost")
    socket = server.edge.addresses[0]

    listed = await run(grpcurl, *place, socket, "list", "memsvc.v1.MemoryService")
    method = await run(grpcurl, *place, socket, "describe", "memsvc.v1.MemoryService.CreateMemory")
    message = await run(grpcurl, *place, socket, "describe", "memsvc.v1.Memory")
    request = {"scope": {"userId": "sarah"}, "memory": {"text": "Skis", "layer": "LAYER_PROFILE"}}
    created = await run(grpcurl, *place, "-d", json.dumps(request), socket, "memsvc.v1.MemoryService/CreateMemory")
    refused = await run(grpcurl, *place, "-d", "{}", socket, "memsvc.v1.MemoryService/CreateMemory")

    assert "memsvc.v1.MemoryService.WatchMemories" in listed.split()
    assert "rpc CreateMemory ( .memsvc.v1.CreateMemoryRequest ) returns ( .memsvc.v1.CreateMemoryResponse );" in method
    assert "// Create a memory." in method
    assert "// The fact as one self-contained sentence" in message
    assert json.loads(created)["memory"]["text"] == "Skis"
    assert '"reason": "INVALID_FIELD"' in refused
    assert '"domain": "memsvc.dev"' in refused

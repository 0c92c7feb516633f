"""Errors that come before any use case have a reason as well: sizes, unknown methods, health."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from rpc_harness import SARAH, Harness, failing, said, served

from memsvc.storage.memory import MemoryDriver
from memsvc.v1 import extraction_pb2, memory_pb2, session_pb2

MIB = 1 << 20
LIMIT = 4 * MIB


def of_size(size: int) -> memory_pb2.CreateMemoryRequest:
    """Return a request of exactly so many bytes."""
    request = memory_pb2.CreateMemoryRequest(scope=SARAH, memory=memory_pb2.Memory(text="x" * size))
    request.memory.text = "x" * (2 * size - request.ByteSize())
    return request


async def test_a_request_over_the_limit_is_told_so(server: Harness) -> None:
    at_limit = await failing(server.memories.CreateMemory(of_size(LIMIT)))
    over = await failing(server.memories.CreateMemory(of_size(LIMIT + 1)))
    far_over = await failing(server.memories.CreateMemory(of_size(2 * LIMIT - 1_000)))

    assert (at_limit.code, at_limit.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("memory.text",))
    for failure in (over, far_over):
        assert (failure.code, failure.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "REQUEST_TOO_LARGE")
        assert failure.metadata["limit"] == str(LIMIT)
    assert far_over.message == "request is 8.0 MiB of 4.0 MiB"


async def test_streams_and_reads_have_the_same_limit(server: Harness) -> None:
    messages = [said("x" * MIB) for _ in range(5)]
    source = extraction_pb2.MessageList(messages=messages)
    run = session_pb2.Run(session_id="s1", messages=messages)
    calls = (
        server.extractions.ExtractMemories(extraction_pb2.ExtractMemoriesRequest(scope=SARAH, messages=source)),
        server.sessions.AppendRun(session_pb2.AppendRunRequest(scope=SARAH, run=run)),
        server.memories.SearchMemories(memory_pb2.SearchMemoriesRequest(scope=SARAH, query="x" * (5 * MIB))),
    )

    assert [(await failing(call)).reason for call in calls] == ["REQUEST_TOO_LARGE"] * 3


async def test_what_grpc_refuses_itself_ends_as_well_but_without_a_reason(server: Harness) -> None:
    """More than twice the limit is not even received: memory is bounded, whatever is sent."""
    failure = await failing(server.memories.CreateMemory(of_size(2 * LIMIT + 1)))

    assert (failure.code, failure.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "")


@pytest.mark.parametrize(
    "path",
    ["/memsvc.v1.MemoryService/Guess", "/memsvc.v1.NoService/CreateMemory", "/memsvc.v2.MemoryService/GetMemory", "/x"],
)
async def test_an_unknown_method_is_told_so_however_it_is_called(server: Harness, path: str) -> None:
    channel = server.channel
    calls: list[Any] = [
        channel.unary_unary(path)(b"x"),
        channel.unary_stream(path)(b"x"),
        channel.stream_unary(path)(iter([b"x", b"y"])),
        channel.stream_stream(path)(iter([])),
    ]

    for failure in [await failing(call) for call in calls]:
        assert (failure.code, failure.reason) == (grpc.StatusCode.UNIMPLEMENTED, "NOT_SUPPORTED")
        assert failure.message == "there is no such method"


async def test_health_says_why(server: Harness) -> None:
    stub: Any = health_pb2_grpc.HealthStub(server.channel)
    unknown = await failing(stub.Check(health_pb2.HealthCheckRequest(service="none")))
    malformed = await failing(server.channel.unary_unary("/grpc.health.v1.Health/Check")(b"\xff"))

    assert (unknown.code, unknown.reason) == (grpc.StatusCode.NOT_FOUND, "NOT_SUPPORTED")
    assert (malformed.code, malformed.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")


async def test_the_probes_own_server_says_why(tmp_path: Path) -> None:
    driver = MemoryDriver("memory://probes", {})
    await driver.open()
    async with served(driver, tmp_path, health_listen="127.0.0.1:0") as harness:
        async with grpc.aio.insecure_channel(harness.edge.health_addresses[0]) as channel:
            failure = await failing(channel.unary_unary("/memsvc.v1.AdminService/GetServerInfo")(b""))

    assert (failure.code, failure.reason) == (grpc.StatusCode.UNIMPLEMENTED, "NOT_SUPPORTED")


@pytest.mark.parametrize("timeout", ["banana", "1X", "", "-1S"])
async def test_a_malformed_timeout_fails_its_call_alone(server: Harness, timeout: str) -> None:
    """gRPC's own parser refuses it before anything of the server's sees the call; the connection goes on."""
    socket = server.edge.addresses[0].removeprefix("unix://")
    reader, writer = await asyncio.open_unix_connection(socket)
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b""))
    for stream, extra in ((1, [("grpc-timeout", timeout)]), (3, [])):
        writer.write(frame(1, 4, stream, b"".join(literal(*pair) for pair in [*HEADERS, *extra])))
        writer.write(frame(0, 1, stream, b"\0" * 5))
    answered = b""
    while not (INTERNAL in answered and OK in answered):
        answered += await reader.readexactly(1)
    writer.close()


@pytest.mark.parametrize("path", [b"/\xff\xfe", b"\xc3", b"/memsvc.v1.AdminService/GetServerInfo\xff"])
async def test_a_name_that_is_no_text_ends_its_call_and_not_the_server(server: Harness, path: bytes) -> None:
    reader, writer = await asyncio.open_unix_connection(server.edge.addresses[0].removeprefix("unix://"))
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b""))
    for stream, name in ((1, path), (3, b"/memsvc.v1.AdminService/GetServerInfo")):
        head = b"".join(literal(*pair) for pair in HEADERS if pair[0] != ":path")
        writer.write(frame(1, 4, stream, head + b"\0\5:path" + bytes([len(name)]) + name))
        writer.write(frame(0, 1, stream, b"\0" * 5))
    answered = b""
    async with asyncio.timeout(30):
        while not (UNIMPLEMENTED in answered and OK in answered):
            answered += await reader.readexactly(1)
    writer.close()


async def test_a_name_that_is_no_text_does_not_end_the_probes_own_server(tmp_path: Path) -> None:
    driver = MemoryDriver("memory://probes", {})
    await driver.open()
    async with served(driver, tmp_path, health_listen="127.0.0.1:0") as harness:
        host, _, port = harness.edge.health_addresses[0].rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = b"".join(literal(*pair) for pair in HEADERS if pair[0] != ":path") + b"\0\5:path\1\xff"
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"") + frame(1, 5, 1, head))
        async with asyncio.timeout(30):
            await reader.readuntil(UNIMPLEMENTED)
        writer.close()
        async with grpc.aio.insecure_channel(harness.edge.health_addresses[0]) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            assert (await stub.Check(health_pb2.HealthCheckRequest())).status


UNIMPLEMENTED = b"grpc-status\x0212"
OK, INTERNAL = b"grpc-status\x010", b"grpc-status\x0213"
HEADERS = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/memsvc.v1.AdminService/GetServerInfo"),
    (":authority", "localhost"),
    ("content-type", "application/grpc"),
    ("te", "trailers"),
]


def literal(name: str, value: str) -> bytes:
    """Return an HPACK header field that is in no table."""
    return b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return an HTTP/2 frame."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload

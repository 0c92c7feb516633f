from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.empty_pb2 import Empty
from google.protobuf.wrappers_pb2 import BytesValue
from grpc_health.v1 import health_pb2, health_pb2_grpc
from rpc_harness import SARAH, Harness, failing, rest_of, said, served

from memsvc.config import Config
from memsvc.errors import Error
from memsvc.foreground import Foreground
from memsvc.place import Alone
from memsvc.rpc.admission import Admission
from memsvc.rpc.calling import Rpc, method_handler, wrapped
from memsvc.rpc.draining import Draining
from memsvc.rpc.interceptors import admission, draining, errors, streaming
from memsvc.rpc.listeners import Edge
from memsvc.server import serve
from memsvc.storage.driver import Driver
from memsvc.v1 import context_pb2, extraction_pb2, memory_pb2, session_pb2

NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVING = health_pb2.HealthCheckResponse.SERVING


async def test_streams_end_and_tell_the_client_to_come_back(server: Harness) -> None:
    server.engine.gate.clear()
    watching = server.memories.WatchMemories(memory_pb2.WatchMemoriesRequest(scope=SARAH, send_initial=True))
    learning = server.extractions.ExtractMemories(
        extraction_pb2.ExtractMemoriesRequest(
            scope=SARAH, messages=extraction_pb2.MessageList(messages=[said("I ski")])
        )
    )
    await watching.read()
    await learning.read()
    drain = asyncio.create_task(server.edge.drain(10.0))
    failures = [await failing(watching), await failing(learning)]
    await drain

    for failure in failures:
        assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING")
        assert failure.retry_after_seconds > 0


@pytest.mark.parametrize("bytes_sent", [1, 200_000])
async def test_a_stream_whose_first_reply_is_on_its_way_is_told_too(folder: Any, bytes_sent: int) -> None:
    drain, foreground = Draining(), Foreground()
    admitting = Admission(foreground, max_calls=9, max_bytes=9_000_000, largest_bytes=9_000, slowest_seconds=10.0)
    rpc = Rpc("test.Streams", "Stream", Empty, streams=True)

    async def replies(_: Any, context: Any) -> AsyncGenerator[BytesValue, None]:
        drain.start()
        yield BytesValue(value=bytes(bytes_sent))
        await asyncio.Event().wait()

    sending = streaming(replies, admitting.room)
    wrappers = (errors, draining(drain), admission(admitting, 9_000))
    server, address = grpc.aio.server(), f"unix://{folder}/s"
    methods = {"Stream": method_handler(rpc, wrapped(rpc, sending, wrappers))}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(rpc.service, methods),))
    server.add_insecure_port(address)
    await server.start()
    try:
        async with grpc.aio.insecure_channel(address) as channel:
            failure = await failing(channel.unary_stream("/test.Streams/Stream")(b"", timeout=60))
    finally:
        await server.stop(0.0)

    assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING")


async def test_calls_under_way_end_well_and_waits_end_early(server: Harness) -> None:
    server.engine.gate.clear()
    run = session_pb2.Run(session_id="s1", run_id="r1", messages=[said("I ski")])
    request = session_pb2.AppendRunRequest(scope=SARAH, run=run, wait_for_learning=Duration(seconds=600))
    waiting = server.sessions.AppendRun(request, timeout=600)
    await server.engine.reading.wait()
    context = server.contexts.CompileContext(
        context_pb2.CompileContextRequest(scope=SARAH, wait_for_learning=Duration(seconds=600)), timeout=600
    )
    while server.edge.admission.calls < 2:
        await asyncio.sleep(0)
    await server.edge.drain(30.0)

    assert (await waiting).run_id == "r1"
    assert (await context).pending_run_count == 1


async def test_no_call_begins_once_the_server_drains(server: Harness) -> None:
    server.edge._draining.start()
    calls = [
        server.memories.ListMemories(memory_pb2.ListMemoriesRequest(scope=SARAH)),
        server.memories.WatchMemories(memory_pb2.WatchMemoriesRequest(scope=SARAH)),
    ]
    for call in calls:
        failure = await failing(call)
        assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING")


async def test_health_follows_and_liveness_does_not(server: Harness) -> None:
    stub: Any = health_pb2_grpc.HealthStub(server.channel)

    async def check(service: str) -> Any:
        return (await stub.Check(health_pb2.HealthCheckRequest(service=service))).status

    services = ("", "memsvc.v1.MemoryService", "memsvc.v1.ContextService")
    assert [await check(service) for service in (*services, "liveness")] == [SERVING] * 4
    assert (await failing(stub.Check(health_pb2.HealthCheckRequest(service="none")))).code == grpc.StatusCode.NOT_FOUND
    watch = stub.Watch(health_pb2.HealthCheckRequest())
    assert (await watch.read()).status == SERVING
    server.driver.broken = RuntimeError("down")
    assert await check("liveness") == SERVING
    server.edge._health.drain()

    assert [each.status for each in await rest_of(watch)] == [NOT_SERVING]
    assert [await check(service) for service in services] == [NOT_SERVING] * 3
    assert await check("liveness") == SERVING


async def test_health_has_a_port_of_its_own(driver: Driver, folder: Any) -> None:
    async with served(driver, folder, health_listen="127.0.0.1:0") as server:
        async with grpc.aio.insecure_channel(server.edge.health_addresses[0]) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            reply = await stub.Check(health_pb2.HealthCheckRequest())
            other = await failing(channel.unary_unary("/memsvc.v1.AdminService/GetServerInfo")(b""))

    assert reply.status == SERVING
    assert other.code == grpc.StatusCode.UNIMPLEMENTED


async def test_a_server_ends_with_its_grpc(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    edges: asyncio.Queue[Edge] = asyncio.Queue()

    class Untold(Alone):
        async def told_to_stop(self) -> None:
            await asyncio.Event().wait()

    async def start(edge: Edge) -> None:
        await started(edge)
        edges.put_nowait(edge)

    started = Edge.start
    monkeypatch.setattr(Edge, "start", start)
    monkeypatch.setattr("memsvc.server.tune_interpreter", lambda: None)
    config = Config(storage_url="memory://", listen=[f"unix://{folder}/s"], engine="rules", embedder="none")
    serving = asyncio.create_task(serve(config, {}, Untold(config)))
    edge = await edges.get()
    await edge._server.stop(0.0)

    async with asyncio.timeout(30):
        with pytest.raises(Error, match="has ended by itself"):
            await serving

"""Memory is bounded in bytes whatever clients send or leave unread, and nobody's calls hold up everybody's."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2
from rpc_harness import SARAH, Failure, Harness, failing, failure_of, said, served

from bench.hostile import dense_requests
from memsvc.storage.conformance import Place
from memsvc.storage.driver import Driver
from memsvc.storage.registry import connect
from memsvc.v1 import common_pb2, extraction_pb2, memory_pb2, session_pb2
from tests.torture.process import Installation, Server

MEBIBYTE = 1 << 20
OPTIONS = [("grpc.default_authority", "localhost"), ("grpc.use_local_subchannel_pool", 1)]


@pytest.fixture
async def process(folder: Path) -> AsyncIterator[Server]:
    """A server of its own, whose memory is only its own, on a database that another process may lock."""
    installation = Installation(folder, f"sqlite:///{folder}/memsvc.db", {"engine": "rules"})
    async with installation.serving() as server:
        yield server


@pytest.fixture
async def uncollected() -> AsyncIterator[None]:
    """The collector comes only when it is called."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def resident(server: Server) -> int:
    return int(psutil.Process(server.pid).memory_info().rss)


def too_long(size: int) -> memory_pb2.CreateMemoryRequest:
    return memory_pb2.CreateMemoryRequest(scope=SARAH, memory=memory_pb2.Memory(text="x" * size))


def large_run(size: int, **more: Any) -> session_pb2.AppendRunRequest:
    count = size // (200 << 10)
    run = session_pb2.Run(session_id="s1", messages=[said("x" * (200 << 10))] * count)
    return session_pb2.AppendRunRequest(scope=SARAH, run=run, **more)


async def outcomes(calls: list[Any]) -> Counter[str]:
    """Return how the calls ended: OK, or with which reason."""
    counted: Counter[str] = Counter()
    for each in await asyncio.gather(*calls, return_exceptions=True):
        if isinstance(each, grpc.aio.AioRpcError):
            failure = failure_of(each)
            counted[failure.reason or failure.code.name] += 1
        else:
            counted["OK"] += 1
    return counted


@pytest.mark.parametrize("size", [200_000, 1_000_000, 3_900_000])
async def test_failed_calls_leave_nothing_behind(server: Harness, uncollected: None, size: int) -> None:
    request = too_long(size)
    await failing(server.memories.CreateMemory(request))
    gc.collect()
    # What other tests have left is theirs; kept, so that nothing else can have its place.
    others = [each for each in gc.get_objects() if isinstance(each, Message)]
    for _ in range(20):
        assert (await failing(server.memories.CreateMemory(request))).fields == ("memory.text",)
    known = {id(each) for each in (request, *others)}
    alive = [each for each in gc.get_objects() if isinstance(each, Message) and id(each) not in known]

    assert not [each for each in alive if each.ByteSize() >= size]
    # All that is left of a call to be collected is gRPC's own, and small.
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    gc.set_debug(0)
    left = [type(each).__module__ for each in gc.garbage if type(each).__module__.startswith("memsvc")]
    exceptions = [each for each in gc.garbage if isinstance(each, BaseException)]
    gc.garbage.clear()
    assert (left, exceptions) == ([], [])


@pytest.mark.timeout(120)
async def test_calls_that_fail_one_after_the_other_take_no_more_than_one(process: Server) -> None:
    async with grpc.aio.insecure_channel(process.target, options=OPTIONS) as channel:
        create = channel.unary_unary("/memsvc.v1.MemoryService/CreateMemory")
        sent = too_long(3_900_000).SerializeToString()
        await failing(create(sent))
        before = resident(process)
        for _ in range(60):
            await failing(create(sent))
        assert resident(process) - before < 60 * MEBIBYTE


@pytest.mark.timeout(120)
async def test_requests_of_calls_that_wait_are_bounded_in_bytes(driver: Driver, folder: Path) -> None:
    async with served(driver, folder, max_bytes_in_flight=8 * MEBIBYTE) as server:
        server.driver.fast.clear()
        request = large_run(MEBIBYTE)
        calls = [asyncio.ensure_future(server.sessions.AppendRun(request, timeout=60)) for _ in range(30)]
        refused: set[asyncio.Future[Any]] = set()
        while len(refused) < 25:
            done, _ = await asyncio.wait(set(calls) - refused, return_when=asyncio.FIRST_COMPLETED)
            refused |= done
        small = memory_pb2.CreateMemoryRequest(scope=SARAH, memory=memory_pb2.Memory(text="Skis"))
        waiting = asyncio.ensure_future(server.memories.CreateMemory(small, timeout=60))
        server.driver.fast.set()
        accepted = await outcomes(list(set(calls) - refused))

        assert (await outcomes(list(refused))).keys() == {"TOO_MANY_CALLS"}
        assert accepted["OK"] + accepted["TOO_MANY_CALLS"] == 30 - len(refused)
        assert (await waiting).revision == 1
        # The room is there again.
        assert await server.sessions.AppendRun(request, timeout=60)


async def test_a_refusal_says_when_to_come_back(driver: Driver, folder: Path) -> None:
    async with served(driver, folder, max_bytes_in_flight=MEBIBYTE) as server:
        server.driver.fast.clear()
        request = large_run(MEBIBYTE)
        calls = [asyncio.ensure_future(server.sessions.AppendRun(request, timeout=60)) for _ in range(2)]
        done, waiting = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        failure = await failing(done.pop())
        server.driver.fast.set()
        # One that is larger than all of the room is served, alone.
        assert (await waiting.pop()).index == 1

    assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "TOO_MANY_CALLS")
    assert failure.retry_after_seconds > 0


async def test_an_open_stream_holds_no_request(driver: Driver, folder: Path) -> None:
    async with served(driver, folder, max_bytes_in_flight=6 * MEBIBYTE) as server:
        server.engine.gate.clear()
        messages = extraction_pb2.MessageList(messages=[said("x" * (200 << 10))] * 7)
        request = extraction_pb2.ExtractMemoriesRequest(scope=SARAH, messages=messages)
        streams = []
        for _ in range(6):
            stream = server.extractions.ExtractMemories(request)
            await stream.read()
            streams.append(stream)
        # Six of them have sent more than there is room for; all are open, and nobody waits for them.
        assert not server.edge.admission.turns._intake.many_large
        for stream in streams:
            stream.cancel()


async def test_open_streams_are_counted_apart_from_calls(driver: Driver, folder: Path) -> None:
    async with served(driver, folder, max_calls=2) as server:
        request = memory_pb2.WatchMemoriesRequest(scope=SARAH, send_initial=True)
        watching = [server.memories.WatchMemories(request) for _ in range(2)]
        for watch in watching:
            await watch.read()
        failure = await failing(server.memories.WatchMemories(request))
        await server.memories.ListMemories(memory_pb2.ListMemoriesRequest(scope=SARAH))
        watching[0].cancel()
        while (again := await _first_of(server.memories.WatchMemories(request))) is not None:
            assert again.reason == "TOO_MANY_CALLS"
        watching[1].cancel()

    assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "TOO_MANY_CALLS")


async def _first_of(stream: Any) -> Failure | None:
    try:
        await stream.read()
    except grpc.aio.AioRpcError as error:
        return failure_of(error)
    stream.cancel()
    return None


@pytest.mark.timeout(120)
async def test_above_what_grpc_cancels_by_default_callers_see_the_reason(driver: Driver, folder: Path) -> None:
    async with served(driver, folder, max_calls=100) as server:
        request = memory_pb2.GetMemoryRequest(scope=SARAH, memory_id="none")
        counted = await outcomes([server.memories.GetMemory(request, timeout=60) for _ in range(4_000)])

    assert counted.keys() <= {"MEMORY_NOT_FOUND", "TOO_MANY_CALLS"}
    assert counted["MEMORY_NOT_FOUND"] >= 100


@pytest.mark.timeout(120)
async def test_who_cancels_much_takes_nothing_from_others(server: Harness, folder: Path) -> None:
    request = memory_pb2.GetMemoryRequest(scope=SARAH, memory_id="none")
    async with grpc.aio.insecure_channel(f"unix://{folder}/s", options=OPTIONS) as channel:
        get = channel.unary_unary("/memsvc.v1.MemoryService/GetMemory")
        for _ in range(3):
            gone = [asyncio.ensure_future(get(request.SerializeToString())) for _ in range(1_000)]
            staying = [server.memories.GetMemory(request, timeout=60) for _ in range(200)]
            await asyncio.sleep(0)
            for call in gone:
                call.cancel()
            assert await outcomes(staying) == {"MEMORY_NOT_FOUND": 200}
            await asyncio.gather(*gone, return_exceptions=True)


@pytest.mark.timeout(120)
async def test_replies_that_nobody_reads_are_bounded_in_bytes(process: Server, folder: Path) -> None:
    async with grpc.aio.insecure_channel(process.target, options=OPTIONS) as channel:
        create = channel.unary_unary("/memsvc.v1.MemoryService/CreateMemory")
        for number in range(380):
            memory = memory_pb2.Memory(text=f"{number} " + "x" * 8_000)
            await create(memory_pb2.CreateMemoryRequest(scope=SARAH, memory=memory).SerializeToString())
        before = resident(process)
        stopped = await asyncio.create_subprocess_exec(
            *_hostile("unread_replies", process.target), stdout=asyncio.subprocess.PIPE
        )
        assert stopped.stdout is not None
        await stopped.stdout.readline()
        peak = 0
        get = channel.unary_unary("/memsvc.v1.MemoryService/GetUserMemory")
        for _ in range(100):
            other = memory_pb2.GetUserMemoryRequest(scope=common_pb2.Scope(user_id="other"))
            await get(other.SerializeToString(), timeout=20)
            peak = max(peak, resident(process))
            await asyncio.sleep(0.02)
        stopped.kill()
        await stopped.wait()

    assert peak - before < 220 * MEBIBYTE


def _hostile(case: str, target: str) -> list[str]:
    return [sys.executable, "-m", "bench.hostile", case, target, "15"]


DENSE = [
    pytest.param(method, request, id=f"{number}-{method.rpartition('/')[2]}")
    for number, (method, request) in enumerate(dense_requests())
]


@pytest.mark.parametrize(("method", "request_bytes"), DENSE)
async def test_what_holds_too_much_is_refused_before_it_is_read(
    server: Harness, method: str, request_bytes: bytes
) -> None:
    failure = await failing(server.channel.unary_unary(method)(request_bytes, timeout=60))

    assert (failure.code, failure.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert failure.message.endswith("must be at most 1000")


@pytest.mark.parametrize("request_bytes", [b"\xff", b"\x0a\x7f", b"\x00" * 70_000, b"\xff" * 3_000_000])
@pytest.mark.parametrize(
    "path",
    [
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ],
)
async def test_health_and_reflection_say_what_is_wrong_as_the_api_does(
    server: Harness, path: str, request_bytes: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    if path.endswith(("Check",)):
        call: Any = server.channel.unary_unary(path)(request_bytes, timeout=60)
    else:
        call = server.channel.stream_stream(path)(iter([request_bytes]), timeout=60)
    failure = await failing(call)

    assert failure.code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert failure.reason in ("INVALID_FIELD", "REQUEST_TOO_LARGE")
    assert "Error" not in failure.message
    assert caplog.text == ""


@pytest.mark.timeout(120)
@pytest.mark.parametrize("character", ["\x01", "\x1f", '"', "\x7f"])
async def test_a_run_within_its_limit_is_stored_however_long_it_is_as_json(
    fresh_store: Place, folder: Path, character: str
) -> None:
    if fresh_store.url.startswith("mongodb"):
        pytest.skip("FerretDB takes longer for a document of 12 MiB than the driver waits on a busy machine")
    driver = connect(fresh_store.url, fresh_store.options)
    await driver.open()
    async with served(driver, folder) as server:
        run = session_pb2.Run(session_id="s1", messages=[said(character * (255 << 10))] * 8)
        request = session_pb2.AppendRunRequest(scope=SARAH, run=run, learning_mode=common_pb2.LEARNING_MODE_OFF)
        await server.sessions.AppendRun(request, timeout=60)
        await server.sessions.AppendRun(request, timeout=60)
        asked = session_pb2.GetHistoryRequest(scope=SARAH, session_id="s1", last_runs=1)
        history = await server.sessions.GetHistory(asked, timeout=60)
    await driver.close()

    assert [message.parts for message in history.messages] == [message.parts for message in run.messages]


async def test_open_health_watches_are_counted(driver: Driver, folder: Path) -> None:
    async with served(driver, folder, max_calls=3) as server:
        watch = server.channel.unary_stream("/grpc.health.v1.Health/Watch")
        streams = [watch(health_pb2.HealthCheckRequest().SerializeToString()) for _ in range(3)]
        for stream in streams:
            await stream.read()
        failure = await failing(watch(b"", timeout=60))
        for stream in streams:
            stream.cancel()

    assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "TOO_MANY_CALLS")

"""Clients that no server can like: `python -m bench.hostile CASE ADDRESS`, each a process of its own and bounded.

Each prints one line when it has begun and one when it is done: how often each status came, as JSON, and how many of the
failures gave no reason. Those that leave replies unread stop themselves (SIGSTOP) and wait to be killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import sys
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final

import grpc
import uvloop

from bench import requests
from bench.requests import scope
from memsvc.v1 import common_pb2, extraction_pb2, memory_pb2, message_pb2, session_pb2

EXTRACT_MEMORIES: Final = "/memsvc.v1.ExtractionService/ExtractMemories"
WATCH_MEMORIES: Final = "/memsvc.v1.MemoryService/WatchMemories"
CLEAR_MEMORIES: Final = "/memsvc.v1.MemoryService/ClearMemories"
UNKNOWN_METHOD: Final = "/memsvc.v1.MemoryService/Forge"
CHECK_HEALTH: Final = "/grpc.health.v1.Health/Check"

LARGE_USER: Final = "large"
"""Whose memories make a reply of 3 MB."""
FULL_USER: Final = "full"
"""Who has 10,000 memories."""

_DETAILS: Final = "grpc-status-details-bin"
_OPTIONS: Final = (("grpc.default_authority", "localhost"), ("grpc.max_receive_message_length", 16 << 20))
_TEXT: Final = "The user said once more what had been said before, at length. "
_BEFORE_STOPPING_SECONDS: Final = 0.05
_Send = Callable[[str, bytes], Awaitable[str]]


def run_bytes(size: int) -> bytes:
    """Return an AppendRun of messages of about `size` bytes in all, none above its limit."""
    each = 200 << 10
    run = session_pb2.Run(session_id="s1", messages=[_message(_TEXT * (each // len(_TEXT)))] * (size // each))
    # Not learned from: that would go on for minutes, and is measured elsewhere.
    request = session_pb2.AppendRunRequest(
        scope=scope("run"), run=run, learning_mode=common_pb2.LEARNING_MODE_OFF, request_id=str(uuid.uuid4())
    )
    return request.SerializeToString()


def _message(text: str) -> message_pb2.Message:
    part = message_pb2.Part(text=message_pb2.TextPart(text=text))
    return message_pb2.Message(role=common_pb2.ROLE_USER, parts=[part])


def extract_bytes(count: int, user: str) -> bytes:
    """Return an ExtractMemories of so many messages of 200 KiB."""
    messages = extraction_pb2.MessageList(messages=[_message(_TEXT * ((200 << 10) // len(_TEXT)))] * count)
    request = extraction_pb2.ExtractMemoriesRequest(scope=scope(user), messages=messages, request_id=str(uuid.uuid4()))
    return request.SerializeToString()


def _too_long_a_memory(size: int) -> bytes:
    memory = memory_pb2.Memory(text="x" * size)
    return memory_pb2.CreateMemoryRequest(scope=scope("a"), memory=memory).SerializeToString()


def _field(number: int, content: bytes) -> bytes:
    length, digits = len(content), b""
    while length > 0x7F:
        digits += bytes((length & 0x7F | 0x80,))
        length >>= 7
    return bytes((number << 3 | 2,)) + digits + bytes((length,)) + content


def dense_requests() -> Sequence[tuple[str, bytes]]:
    """Return requests of 4 MB that hold as many things as fit into them."""
    whose = _field(1, scope("dense").SerializeToString())
    filled = memory_pb2.MemoryFilter if hasattr(memory_pb2, "MemoryFilter") else common_pb2.MemoryFilter
    layers = filled.DESCRIPTOR.fields_by_name["layers"].number
    listing = memory_pb2.ListMemoriesRequest.DESCRIPTOR.fields_by_name["filter"].number
    parts = message_pb2.Message.DESCRIPTOR.fields_by_name["parts"].number
    messages = session_pb2.Run.DESCRIPTOR.fields_by_name["messages"].number
    run = session_pb2.AppendRunRequest.DESCRIPTOR.fields_by_name["run"].number
    operations = memory_pb2.BatchWriteMemoriesRequest.DESCRIPTOR.fields_by_name["operations"].number
    create = memory_pb2.BatchWriteOperation.DESCRIPTOR.fields_by_name["create"].number
    memory = memory_pb2.CreateOperation.DESCRIPTOR.fields_by_name["memory"].number
    topics = memory_pb2.Memory.DESCRIPTOR.fields_by_name["topics"].number
    creating = memory_pb2.CreateMemoryRequest.DESCRIPTOR.fields_by_name["memory"].number
    return (
        (requests.LIST_MEMORIES, whose + _field(listing, _field(layers, b"\x01" * 4_000_000))),
        (requests.APPEND_RUN, whose + _field(run, _field(messages, _field(parts, b"") * 2_000_000))),
        (requests.APPEND_RUN, whose + _field(run, _field(messages, b"") * 2_000_000)),
        (
            requests.BATCH_WRITE_MEMORIES,
            whose + _field(operations, _field(create, _field(memory, b""))) * 660_000,
        ),
        (requests.CREATE_MEMORY, whose + _field(creating, _field(topics, b"") * 2_000_000)),
    )


async def failed_calls(send: _Send) -> None:
    """One after the other."""
    request = _too_long_a_memory(3_900_000)
    for _ in range(300):
        await send(requests.CREATE_MEMORY, request)


async def failed_calls_at_once(send: _Send) -> None:
    request = _too_long_a_memory(3_900_000)
    await asyncio.gather(*(send(requests.CREATE_MEMORY, request) for _ in range(300)))


async def foreign_calls(send: _Send) -> None:
    """Bad bytes, where other code than the API's would read them."""
    for method in (UNKNOWN_METHOD, CHECK_HEALTH):
        for _ in range(10):
            await asyncio.gather(*(send(method, b"\xff" * 3_900_000) for _ in range(15)))


async def large_runs(send: _Send) -> None:
    """While the database is locked, or is not."""
    await asyncio.gather(*(send(requests.APPEND_RUN, run_bytes(2_000_000)) for _ in range(300)))


async def open_streams(send: _Send) -> None:
    """With the model down."""
    await asyncio.gather(*(send(EXTRACT_MEMORIES, extract_bytes(9, f"u{n % 10}")) for n in range(150)))


async def unread_replies(send: _Send) -> None:
    request = memory_pb2.ListMemoriesRequest(scope=scope(LARGE_USER), page_size=1000).SerializeToString()
    await _stop_in_the_midst(send(requests.LIST_MEMORIES, request) for _ in range(400))


async def unread_watches(send: _Send) -> None:
    request = memory_pb2.WatchMemoriesRequest(scope=scope(LARGE_USER), send_initial=True).SerializeToString()
    await _stop_in_the_midst(send(WATCH_MEMORIES, request) for _ in range(400))


async def stalled_requests(send: _Send) -> None:
    request = _too_long_a_memory(3_900_000)
    await _stop_in_the_midst(send(requests.CREATE_MEMORY, request) for _ in range(300))


async def _stop_in_the_midst(calls: Iterable[Awaitable[str]]) -> None:
    _tasks.extend(asyncio.ensure_future(call) for call in calls)
    await asyncio.sleep(_BEFORE_STOPPING_SECONDS)
    os.kill(os.getpid(), signal.SIGSTOP)


_tasks: list[asyncio.Future[str]] = []


async def dense_calls(send: _Send) -> None:
    for _ in range(4):
        for method, request in dense_requests():
            await send(method, request)


async def calls_at_once(send: _Send) -> None:
    """Cheap ones, more than the server takes on at once."""
    request = requests.contexts("nobody", ["what was said"])[0]
    await asyncio.gather(*(send(requests.COMPILE_CONTEXT, request) for _ in range(10_000)))


async def cancelled_calls(send: _Send) -> None:
    for _ in range(5):
        calls = [asyncio.ensure_future(send(requests.CREATE_MEMORY, _too_long_a_memory(200_000))) for _ in range(1_000)]
        await asyncio.sleep(0.05)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)


async def clear_and_purge(send: _Send) -> None:
    clear = memory_pb2.ClearMemoriesRequest(scope=scope(FULL_USER), all=True, purge=True)
    await send(CLEAR_MEMORIES, clear.SerializeToString())


CASES: Final[Mapping[str, Callable[[_Send], Awaitable[None]]]] = {
    case.__name__: case
    for case in (
        failed_calls,
        failed_calls_at_once,
        foreign_calls,
        large_runs,
        open_streams,
        unread_replies,
        unread_watches,
        stalled_requests,
        dense_calls,
        calls_at_once,
        cancelled_calls,
        clear_and_purge,
    )
}


async def _run(case: str, address: str, seconds: float) -> None:
    statuses: Counter[str] = Counter()
    without_reason = 0
    # Several connections, as many clients have them: what one connection may have under way is limited.
    async with _channels(address, 4) as channels:
        turns = itertools.cycle(channels)

        async def send(method: str, request: bytes) -> str:
            nonlocal without_reason
            try:
                channel = next(turns)
                if method in (EXTRACT_MEMORIES, WATCH_MEMORIES):
                    async for _ in channel.unary_stream(method)(request, timeout=seconds):
                        pass
                else:
                    await channel.unary_unary(method)(request, timeout=seconds)
                status = "OK"
            except grpc.aio.AioRpcError as error:
                status = error.code().name
                # What the client itself ended has no reason of the server's.
                if status != "DEADLINE_EXCEEDED" and _DETAILS not in dict(error.trailing_metadata() or ()):
                    without_reason += 1
                    statuses[f"{status}: {(error.details() or '')[:80]}"] += 1
            statuses[status] += 1
            return status

        print("began", flush=True)
        await CASES[case](send)
    print(json.dumps({"statuses": statuses, "without_reason": without_reason}), flush=True)


@contextlib.asynccontextmanager
async def _channels(address: str, count: int) -> AsyncIterator[list[grpc.aio.Channel]]:
    """Make channels with a connection each."""
    options = (*_OPTIONS, ("grpc.use_local_subchannel_pool", 1))
    async with contextlib.AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(address, options=options)) for _ in range(count)
        ]
        await asyncio.gather(*(channel.channel_ready() for channel in channels))
        yield channels


if __name__ == "__main__":
    uvloop.run(_run(sys.argv[1], sys.argv[2], float(sys.argv[3])))

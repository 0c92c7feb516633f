"""A server under everything at once, for as long as is asked: what it holds must not grow.

Reads, writes, learning, watches, refused and cancelled calls, on any database; one with a server is killed twice. The
users are few and are cleared again and again, so that what is stored stays the same; whatever grows then is lost:
memory, objects, descriptors, tasks, the log of the database, lock files. What may not fall are the references to None,
True and False. In the end the server is stopped in the midst of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
import signal
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

import grpc
import psutil

from memsvc.testing.fake_openai import FakeOpenAI, by_understanding
from memsvc.testing.replies import Received, Reply
from memsvc.v1 import admin_pb2, common_pb2, context_pb2, extraction_pb2, memory_pb2, message_pb2, session_pb2
from tests.torture.databases import Database
from tests.torture.process import Installation, Server, ServerEnded

USERS: Final = 20
CALLERS: Final = 6
_SAMPLES: Final = 60
_WARM_SHARE: Final = 0.25
"""Caches fill at first: slopes are those of what comes after."""
_CACHE_BYTES: Final = 2 << 20
"""Full within a minute. A user in RAM holds the ids of a week's requests, some 400 bytes each: with the default budget
those of all the soak's writes would be in RAM, half a megabyte a minute, until it is full."""
_SETTINGS: Final[Mapping[str, object]] = {
    "engine": "openai",
    "openai_api_key": "none",
    "log_level": "ERROR",
    "quiet_seconds": 0.2,
    "retry_seconds": 1,
    "embed_after_seconds": 0.2,
    "store_vectors_from_memories": 0,
    "max_calls": 200,
    "cache_bytes": _CACHE_BYTES,
}
_FAILING_SHARE: Final = 0.1
"""Of the model's answers."""
_HARMS: Final = 2
_CALL_SECONDS: Final = 20.0
_PAUSE_SECONDS: Final = 0.005
_OPTIONS: Final = (("grpc.default_authority", "localhost"), ("grpc.use_local_subchannel_pool", 1))
_SAID: Final = ("I live in Berlin.", "My name is Sarah.", "I like skiing in the Alps.", "Please answer in French.")


@dataclass(frozen=True, slots=True)
class Sample:
    """What the server held at one time."""

    seconds: float
    resident_bytes: int
    descriptors: int
    threads: int
    wal_bytes: int
    lock_files: int
    tasks: int
    objects: int
    none: int
    true: int
    false: int


@dataclass(slots=True)
class Report:
    """What was seen."""

    calls: Counter[str] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def slope(self, name: str) -> float:
        """Return how much of something came to be in an hour, by the line that is nearest to the later samples."""
        later = [sample for sample in self.samples if sample.seconds >= self.seconds * _WARM_SHARE]
        if len(later) < 2:
            return 0.0
        times = [sample.seconds / 3600 for sample in later]
        values = [float(getattr(sample, name)) for sample in later]
        time_mean, value_mean = sum(times) / len(times), sum(values) / len(values)
        spread = sum((each - time_mean) ** 2 for each in times)
        return sum((x - time_mean) * (y - value_mean) for x, y in zip(times, values, strict=True)) / spread

    def growth(self, name: str) -> float:
        """Return how much more of something there was in the last quarter than in the second, by their medians."""
        quarter = max(1, len(self.samples) // 4)
        second, last = self.samples[quarter : 2 * quarter], self.samples[-quarter:]
        if not second:
            return 0.0
        # Not by their means: a crowd comes and goes.
        medians = [median(getattr(sample, name) for sample in part) for part in (second, last)]
        return float(medians[1] - medians[0])


async def soak(
    database: Database,
    folder: Path,
    minutes: float,
    seed: int,
    told: Callable[[Sample], None] = lambda sample: None,
) -> Report:
    """Run everything for so long; return what was seen."""
    report = Report()
    async with FakeOpenAI(otherwise=_mostly_understood(seed)) as fake:
        settings = {**_SETTINGS, "openai_base_url": fake.base_url}
        program = ("tests.soak.counted", f"{folder}/held")
        server = await Installation(folder, database.url, settings, program).launch()
        try:
            await server.ready()
            until = time.monotonic() + minutes * 60
            async with grpc.aio.insecure_channel(server.target, options=_OPTIONS) as channel:
                callers = [
                    asyncio.create_task(_call(channel, random.Random(f"{seed}-{number}"), server, report))
                    for number in range(CALLERS)
                ]
                callers.append(asyncio.create_task(_crowd(server, report)))
                callers.append(asyncio.create_task(_harm(database, until, seed, report)))
                callers.append(asyncio.create_task(_forget_requests(fake)))
                await _watch_over(server, folder, until, report, told)
                # While all of them call.
                await server.close()
                for caller in callers:
                    caller.cancel()
                for outcome in await asyncio.gather(*callers, return_exceptions=True):
                    if not isinstance(outcome, asyncio.CancelledError | None):
                        raise outcome
        except ServerEnded as error:
            report.unexpected.append(f"the server ended badly: {error}")
        finally:
            await server.kill()
    if faults := database.faults():
        report.unexpected.append(f"the database is not sound: {faults}")
    return report


def _mostly_understood(seed: int) -> Callable[[Received], Reply]:
    source = random.Random(seed)
    failures = (Reply(status=500), Reply(status=429, headers={"Retry-After": "1"}), Reply(body=b"no JSON"))
    return lambda request: source.choice(failures) if source.random() < _FAILING_SHARE else by_understanding(request)


async def _watch_over(
    server: Server, folder: Path, until: float, report: Report, told: Callable[[Sample], None]
) -> None:
    started = time.monotonic()
    interval = (until - started) / _SAMPLES
    for number in itertools.count(1):
        await asyncio.sleep(max(0.0, started + number * interval - time.monotonic()))
        report.seconds = time.monotonic() - started
        report.samples.append(await _sample(server, folder, report.seconds))
        told(report.samples[-1])
        if time.monotonic() >= until:
            return


async def _sample(server: Server, folder: Path, seconds: float) -> Sample:
    if server.process.returncode is not None:
        # Raises, as nobody has asked for its end.
        await server.close()
    process = psutil.Process(server.pid)
    wal, held = folder / "memory.db-wal", folder / "held"
    held.unlink(missing_ok=True)
    process.send_signal(signal.SIGUSR1)
    async with asyncio.timeout(_CALL_SECONDS):
        while not held.exists():
            await asyncio.sleep(0.01)
    with process.oneshot():
        return Sample(
            seconds,
            process.memory_info().rss,
            process.num_fds(),
            process.num_threads(),
            wal.stat().st_size if wal.exists() else 0,
            sum(1 for path in folder.iterdir() if "lock" in path.name or "room" in path.name),
            **json.loads(held.read_text()),
        )


async def _harm(database: Database, until: float, seed: int, report: Report) -> None:
    """Take the database away a few times."""
    pause = (until - time.monotonic()) / (_HARMS + 1)
    for _ in range(_HARMS if database.harm else 0):
        await asyncio.sleep(pause)
        assert database.harm
        report.calls[await database.harm(random.Random(seed))] += 1


async def _forget_requests(fake: FakeOpenAI) -> None:
    while True:
        await asyncio.sleep(1.0)
        fake.requests.clear()
        fake.abandoned.clear()


async def _call(channel: grpc.aio.Channel, source: random.Random, server: Server, report: Report) -> None:
    """Call one thing after the other, for as long as the server runs."""
    kinds = list(CALLS)
    weights = [weight for weight, _ in CALLS.values()]
    while server.process.returncode is None:
        (kind,) = source.choices(kinds, weights)
        scope = common_pb2.Scope(user_id=f"user-{source.randrange(USERS)}")
        try:
            await CALLS[kind][1](channel, scope, source)
            report.calls[kind] += 1
        except grpc.aio.AioRpcError as error:
            report.calls[f"{kind}: {error.code().name}"] += 1
            if error.code() in (grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, grpc.StatusCode.DATA_LOSS):
                report.unexpected.append(f"{kind}: {error.code().name} {error.details()}")
        await asyncio.sleep(_PAUSE_SECONDS)


async def _crowd(server: Server, report: Report) -> None:
    """Now and then come on a connection of its own, with more calls than the server takes on, and go."""
    request = context_pb2.CompileContextRequest(scope=common_pb2.Scope(user_id="user-0")).SerializeToString()
    while server.process.returncode is None:
        async with grpc.aio.insecure_channel(server.target, options=_OPTIONS) as channel:
            call = channel.unary_unary("/memsvc.v1.ContextService/CompileContext")
            calls = [asyncio.ensure_future(call(request, timeout=_CALL_SECONDS)) for _ in range(400)]
            await asyncio.sleep(0.01)
            for each in calls[::3]:
                each.cancel()
            for outcome in await asyncio.gather(*calls, return_exceptions=True):
                report.calls[f"crowd: {'OK' if isinstance(outcome, bytes) else type(outcome).__name__}"] += 1
        await asyncio.sleep(2.0)


async def _unary(channel: grpc.aio.Channel, path: str, request: Any) -> bytes:
    reply: bytes = await channel.unary_unary(f"/memsvc.v1.{path}")(request.SerializeToString(), timeout=_CALL_SECONDS)
    return reply


async def _create(channel: grpc.aio.Channel, scope: common_pb2.Scope, source: random.Random) -> None:
    memory = memory_pb2.Memory(text=f"{source.choice(_SAID)} {source.randrange(1_000)}")
    request = memory_pb2.CreateMemoryRequest(scope=scope, memory=memory, request_id=str(uuid.uuid4()))
    await _unary(channel, "MemoryService/CreateMemory", request)


async def _batch(channel: grpc.aio.Channel, scope: common_pb2.Scope, source: random.Random) -> None:
    memories = [memory_pb2.Memory(text=f"{source.choice(_SAID)} {source.randrange(1_000)}") for _ in range(5)]
    operations = [memory_pb2.BatchWriteOperation(create={"memory": memory}) for memory in memories]
    request = memory_pb2.BatchWriteMemoriesRequest(scope=scope, operations=operations, request_id=str(uuid.uuid4()))
    await _unary(channel, "MemoryService/BatchWriteMemories", request)


async def _search(channel: grpc.aio.Channel, scope: common_pb2.Scope, source: random.Random) -> None:
    request = memory_pb2.SearchMemoriesRequest(scope=scope, query=source.choice(_SAID))
    await _unary(channel, "MemoryService/SearchMemories", request)


async def _history(channel: grpc.aio.Channel, scope: common_pb2.Scope, source: random.Random) -> None:
    request = session_pb2.SearchHistoryRequest(scope=scope, query=source.choice(_SAID))
    await _unary(channel, "SessionService/SearchHistory", request)


async def _context(channel: grpc.aio.Channel, scope: common_pb2.Scope, source: random.Random) -> None:
    request = context_pb2.CompileContextRequest(scope=scope, query=source.choice(_SAID))
    await _unary(channel, "ContextService/CompileContext", request)


def _message(text: str) -> message_pb2.Message:
    part = message_pb2.Part(text=message_pb2.TextPart(text=text))
    return message_pb2.Message(role=common_pb2.ROLE_USER, parts=[part])


async def _append(channel: grpc.aio.Channel, scope: common_pb2.Scope, source: random.Random) -> None:
    run = session_pb2.Run(session_id=f"s{source.randrange(3)}", messages=[_message(source.choice(_SAID))])
    await _unary(channel, "SessionService/AppendRun", session_pb2.AppendRunRequest(scope=scope, run=run))


async def _extract(channel: grpc.aio.Channel, scope: common_pb2.Scope, source: random.Random) -> None:
    messages = extraction_pb2.MessageList(messages=[_message(source.choice(_SAID))])
    request = extraction_pb2.ExtractMemoriesRequest(scope=scope, messages=messages)
    await _some_of(channel, "ExtractionService/ExtractMemories", request, source.choice((1, 2, 10)))


async def _watch(channel: grpc.aio.Channel, scope: common_pb2.Scope, source: random.Random) -> None:
    request = memory_pb2.WatchMemoriesRequest(scope=scope, send_initial=True)
    await _some_of(channel, "MemoryService/WatchMemories", request, source.choice((1, 5)))


async def _some_of(channel: grpc.aio.Channel, path: str, request: Any, count: int) -> None:
    """Read a few replies of a stream, and cancel it."""
    stream = channel.unary_stream(f"/memsvc.v1.{path}")(request.SerializeToString(), timeout=_CALL_SECONDS)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(2.0):
            for _ in range(count):
                if await stream.read() is grpc.aio.EOF:
                    return
    stream.cancel()


async def _refused(channel: grpc.aio.Channel, scope: common_pb2.Scope, source: random.Random) -> None:
    memory = memory_pb2.Memory(text="x" * source.choice((9_000, 100_000, 3_000_000)))
    await _unary(channel, "MemoryService/CreateMemory", memory_pb2.CreateMemoryRequest(scope=scope, memory=memory))


async def _cancelled(channel: grpc.aio.Channel, scope: common_pb2.Scope, source: random.Random) -> None:
    memory = memory_pb2.Memory(text="x" * source.choice((10, 1_000_000)))
    request = memory_pb2.CreateMemoryRequest(scope=scope, memory=memory).SerializeToString()
    call = asyncio.ensure_future(channel.unary_unary("/memsvc.v1.MemoryService/CreateMemory")(request))
    await asyncio.sleep(source.random() * 0.01)
    call.cancel()
    with contextlib.suppress(asyncio.CancelledError, grpc.aio.AioRpcError):
        await call


async def _clear(channel: grpc.aio.Channel, scope: common_pb2.Scope, source: random.Random) -> None:
    request = memory_pb2.ClearMemoriesRequest(scope=scope, all=True, purge=source.random() < 0.2)
    await _unary(channel, "MemoryService/ClearMemories", request)


async def _forget(channel: grpc.aio.Channel, scope: common_pb2.Scope, source: random.Random) -> None:
    request = session_pb2.DeleteSessionRequest(scope=scope, session_id=f"s{source.randrange(3)}")
    await _unary(channel, "SessionService/DeleteSession", request)


async def _stranger(channel: grpc.aio.Channel, scope: common_pb2.Scope, source: random.Random) -> None:
    """Do something of everything for a user, or a namespace, that comes once and goes."""
    scope = common_pb2.Scope(namespace=source.choice(("", f"n{uuid.uuid4()}")), user_id=f"stranger-{uuid.uuid4()}")
    for call in (_search, _create, _append, _search, _history, _context):
        await call(channel, scope, source)
    await _unary(channel, "AdminService/EraseUser", admin_pb2.EraseUserRequest(scope=scope))


_Call = Callable[[grpc.aio.Channel, common_pb2.Scope, random.Random], Awaitable[None]]
CALLS: Final[Mapping[str, tuple[int, _Call]]] = {
    "create": (20, _create),
    "batch": (3, _batch),
    "search": (20, _search),
    "history": (5, _history),
    "context": (30, _context),
    "append": (10, _append),
    "extract": (3, _extract),
    "watch": (4, _watch),
    "refused": (3, _refused),
    "cancelled": (3, _cancelled),
    "clear": (1, _clear),
    "forget": (1, _forget),
    "stranger": (2, _stranger),
}
"""How often, beside the others, and what."""


def shown(samples: Sequence[Sample]) -> str:
    """Return the first, the middle and the last sample as lines."""
    chosen = [samples[0], samples[len(samples) // 2], samples[-1]] if samples else []
    return "\n".join(
        f"{each.seconds:>8.0f} s {each.resident_bytes / 2**20:>8.1f} MiB {each.descriptors:>4} descriptors "
        f"{each.threads:>3} threads {each.tasks:>4} tasks {each.objects:>7} objects "
        f"{each.wal_bytes / 2**20:>6.1f} MiB of WAL {each.lock_files:>3} lock files "
        f"references {each.none:>7} None {each.true:>6} True {each.false:>6} False"
        for each in chosen
    )

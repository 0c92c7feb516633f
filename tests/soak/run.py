"""A server under everything at once, for as long as is asked: what it holds must not grow.

Reads, writes, learning, watches, refused and cancelled calls, on SQLite. The users are few and are cleared again and
again, so that what is stored stays the same; whatever grows then is lost: memory, descriptors, tasks, the log of the
database, lock files.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import signal
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import grpc
import psutil

from memsvc.v1 import common_pb2, context_pb2, extraction_pb2, memory_pb2, message_pb2, session_pb2
from tests.torture.process import Installation, Server

USERS: Final = 20
CALLERS: Final = 6
_SAMPLES: Final = 60
_WARM_SHARE: Final = 0.25
"""Caches fill at first: slopes are those of what comes after."""
_CACHE_BYTES: Final = 2 << 20
"""Full within a minute. A user in RAM holds the ids of a week's requests, some 400 bytes each: with the default budget
those of all the soak's writes would be in RAM, half a megabyte a minute, until it is full."""
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
    tasks: int
    wal_bytes: int
    lock_files: int


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
        """Return how much more of something there was in the last quarter than in the second, by their means."""
        quarter = max(1, len(self.samples) // 4)
        second, last = self.samples[quarter : 2 * quarter], self.samples[-quarter:]
        if not second:
            return 0.0
        means = [sum(getattr(sample, name) for sample in part) / len(part) for part in (second, last)]
        return means[1] - means[0]


async def soak(folder: Path, minutes: float, seed: int, told: Callable[[Sample], None] = lambda sample: None) -> Report:
    """Run everything for so long; return what was seen."""
    report = Report()
    settings = {
        "engine": "rules",
        "log_level": "WARNING",
        "quiet_seconds": 0.2,
        "max_calls": 200,
        "cache_bytes": _CACHE_BYTES,
    }
    program = ("tests.soak.counted", f"{folder}/tasks")
    installation = Installation(folder, f"sqlite:///{folder}/soak.db", settings, program)
    async with installation.serving() as server:
        started = time.monotonic()
        until = started + minutes * 60
        async with grpc.aio.insecure_channel(server.target, options=_OPTIONS) as channel:
            callers = [
                asyncio.create_task(_call(channel, random.Random(f"{seed}-{number}"), until, report))
                for number in range(CALLERS)
            ]
            callers.append(asyncio.create_task(_crowd(server, until, report)))
            interval = minutes * 60 / _SAMPLES
            for number in itertools.count(1):
                await asyncio.sleep(max(0.0, started + number * interval - time.monotonic()))
                report.samples.append(await _sample(server, folder, time.monotonic() - started))
                told(report.samples[-1])
                if time.monotonic() >= until:
                    break
            await asyncio.gather(*callers)
        report.seconds = time.monotonic() - started
        if await server.stop():
            report.unexpected.append(f"the server ended badly: {server.log_tail()}")
        if "Traceback" in server.log.read_text(errors="replace"):
            report.unexpected.append(f"the server's log has errors: {server.log_tail()}")
    return report


async def _sample(server: Server, folder: Path, seconds: float) -> Sample:
    process = psutil.Process(server.pid)
    wal, tasks = folder / "soak.db-wal", folder / "tasks"
    tasks.unlink(missing_ok=True)
    process.send_signal(signal.SIGUSR1)
    async with asyncio.timeout(_CALL_SECONDS):
        while not tasks.exists():
            await asyncio.sleep(0.01)
    with process.oneshot():
        return Sample(
            seconds,
            process.memory_info().rss,
            process.num_fds(),
            process.num_threads(),
            int(tasks.read_text()),
            wal.stat().st_size if wal.exists() else 0,
            sum(1 for path in folder.iterdir() if "lock" in path.name or "room" in path.name),
        )


async def _call(channel: grpc.aio.Channel, source: random.Random, until: float, report: Report) -> None:
    """Call one thing after the other."""
    kinds = list(CALLS)
    weights = [weight for weight, _ in CALLS.values()]
    while time.monotonic() < until:
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


async def _crowd(server: Server, until: float, report: Report) -> None:
    """Now and then come on a connection of its own, with more calls than the server takes on, and go."""
    request = context_pb2.CompileContextRequest(scope=common_pb2.Scope(user_id="user-0")).SerializeToString()
    while time.monotonic() < until:
        async with grpc.aio.insecure_channel(server.target, options=_OPTIONS) as channel:
            call = channel.unary_unary("/memsvc.v1.ContextService/CompileContext")
            calls = [asyncio.ensure_future(call(request, timeout=_CALL_SECONDS)) for _ in range(400)]
            await asyncio.sleep(0.01)
            for each in calls[::3]:
                each.cancel()
            for outcome in await asyncio.gather(*calls, return_exceptions=True):
                report.calls[f"crowd: {'OK' if isinstance(outcome, bytes) else type(outcome).__name__}"] += 1
        await asyncio.sleep(min(2.0, max(0.0, until - time.monotonic())))


async def _unary(channel: grpc.aio.Channel, path: str, request: Any) -> bytes:
    reply: bytes = await channel.unary_unary(f"/memsvc.v1.{path}")(request.SerializeToString(), timeout=_CALL_SECONDS)
    return reply


async def _create(channel: grpc.aio.Channel, scope: common_pb2.Scope, source: random.Random) -> None:
    memory = memory_pb2.Memory(text=f"{source.choice(_SAID)} {source.randrange(1_000)}")
    request = memory_pb2.CreateMemoryRequest(scope=scope, memory=memory, request_id=str(uuid.uuid4()))
    await _unary(channel, "MemoryService/CreateMemory", request)


async def _search(channel: grpc.aio.Channel, scope: common_pb2.Scope, source: random.Random) -> None:
    request = memory_pb2.SearchMemoriesRequest(scope=scope, query=source.choice(_SAID))
    await _unary(channel, "MemoryService/SearchMemories", request)


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


_Call = Callable[[grpc.aio.Channel, common_pb2.Scope, random.Random], Awaitable[None]]
CALLS: Final[Mapping[str, tuple[int, _Call]]] = {
    "create": (20, _create),
    "search": (20, _search),
    "context": (30, _context),
    "append": (10, _append),
    "extract": (3, _extract),
    "watch": (4, _watch),
    "refused": (3, _refused),
    "cancelled": (3, _cancelled),
    "clear": (1, _clear),
    "forget": (1, _forget),
}
"""How often, beside the others, and what."""


def shown(samples: Sequence[Sample]) -> str:
    """Return the first, the middle and the last sample as lines."""
    chosen = [samples[0], samples[len(samples) // 2], samples[-1]] if samples else []
    return "\n".join(
        f"{each.seconds:>8.0f} s {each.resident_bytes / 2**20:>8.1f} MiB {each.descriptors:>4} descriptors "
        f"{each.threads:>3} threads {each.tasks:>4} tasks {each.wal_bytes / 2**20:>6.1f} MiB of WAL "
        f"{each.lock_files:>3} lock files"
        for each in chosen
    )

"""Sends requests to a server of its own and watches what comes back, and how long others have to wait meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import re
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import grpc
import psutil
from google.protobuf import descriptor_pool
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from memsvc.errors import Reason
from memsvc.rpc.services import SERVICES
from memsvc.rpc.status import DOMAIN
from tests.fuzz.drawing import request_bytes
from tests.fuzz.over_http import Sender
from tests.torture.process import Installation, Server

TRANSPORTS: Final = ("grpc", "http")
AT_ONCE: Final = 12
AT_ONCE_OVER_HTTP: Final = 4
STALL_SECONDS: Final = 0.25

_CALL_SECONDS: Final = 20.0
_STREAM_SECONDS: Final = 0.2
_SHOWN: Final = 40
_UNKNOWN: Final = (
    "/memsvc.v1.MemoryService/Forge",
    "/memsvc.v1.MemoryService/",
    "/nobody.v1.Knows/This",
    "/",
    "//",
    "/a",
)
_OPTIONS: Final = (("grpc.default_authority", "localhost"), ("grpc.use_local_subchannel_pool", 1))
_ENDED_WHILE_SENDING: Final = "Internal error from Core"
"""What the client's own library says instead of the status, where a stream ends while it sends."""
_DETAILS: Final = "grpc-status-details-bin"
_NEVER: Final = frozenset(
    (grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, grpc.StatusCode.DATA_LOSS, grpc.StatusCode.CANCELLED)
)
_EXCEPTION: Final = re.compile(
    r"Traceback|Exception|\b[A-Z]\w+Error\b|0x[0-9a-f]{6}|google\.protobuf|\.py\b|<class|NoneType|parsing message"
)


@dataclass(frozen=True, slots=True)
class Method:
    """What can be called."""

    path: str
    request: Any
    """Its descriptor."""
    answers_streams: bool
    takes_streams: bool


@dataclass(slots=True)
class Report:
    """What was seen."""

    seed: int
    sent: int = 0
    seconds: float = 0.0
    statuses: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    ended: bool = False
    """Whether the server has ended by itself."""
    longest_seconds: float = 0.0
    """What another client waited longest, in time that the server's thread was at work."""
    under_way: dict[int, str] = field(default_factory=dict)
    """What was sent and is not answered yet, by sender."""

    def found(self, what: str) -> None:
        if len(self.findings) < _SHOWN:
            self.findings.append(what)


def methods() -> Sequence[Method]:
    """Return every method that a server has, those of health and reflection too, and some that it has not."""
    services = list(SERVICES)
    services.append(health_pb2.DESCRIPTOR.services_by_name["Health"])
    services.append(reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"])
    pool = descriptor_pool.Default()
    with contextlib.suppress(KeyError):
        services.append(pool.FindServiceByName("grpc.reflection.v1.ServerReflection"))
    found = [
        Method(f"/{service.full_name}/{each.name}", each.input_type, each.server_streaming, each.client_streaming)
        for service in services
        for each in service.methods
    ]
    known = found[0].request
    return found + [Method(path, known, answers_streams=False, takes_streams=False) for path in _UNKNOWN]


async def fuzz(
    folder: Path, requests: int, seed: int, *, minutes: float = 60.0, over: Collection[str] = TRANSPORTS
) -> Report:
    """Send so many requests over these transports, or as many as fit into the time; return what was seen."""
    report = Report(seed)
    started = time.monotonic()
    installation = Installation(folder, f"sqlite:///{folder}/fuzzed.db", {"engine": "rules", "log_level": "WARNING"})
    async with installation.serving(http_listen="127.0.0.1:0") as server:
        url = server.ready_file.read_text().split()[-1]
        numbers = iter(range(requests))
        until = started + minutes * 60
        async with grpc.aio.insecure_channel(server.target, options=_OPTIONS) as channel:
            watching = asyncio.create_task(_watch_for_stalls(server, report))
            senders = [
                _send(channel, numbers, random.Random(f"{seed}-{each}"), until, report)
                for each in range(AT_ONCE if "grpc" in over else 0)
            ]
            over_http = [
                _send_over_http(Sender(url, random.Random(f"{seed}-http-{each}")), numbers, until, report)
                for each in range(AT_ONCE_OVER_HTTP if "http" in over else 0)
            ]
            await asyncio.gather(*senders, *over_http)
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        if await server.stop():
            report.found(f"the server ended badly: {server.log_tail()}")
        logged = server.log.read_text(errors="replace")
        if re.search(r"Traceback|level=ERROR|\bERROR\b", logged):
            report.found(f"the server's log has errors: {logged[-3_000:]}")
    report.seconds = time.monotonic() - started
    return report


async def _send(
    channel: grpc.aio.Channel, numbers: Iterator[int], source: random.Random, until: float, report: Report
) -> None:
    everything = methods()
    for _ in numbers:
        if time.monotonic() > until or report.ended:
            return
        method = source.choice(everything)
        sent = request_bytes(method.request, source)
        more = (
            [request_bytes(method.request, source) for _ in range(source.randrange(6))] if method.takes_streams else []
        )
        report.sent += 1 + len(more)
        report.under_way[id(source)] = f"{method.path} {len(sent)}"
        try:
            await asyncio.wait_for(_called(channel, method, sent, more), _CALL_SECONDS + 5)
            report.statuses["OK"] += 1
        except grpc.aio.AioRpcError as error:
            report.statuses[error.code().name] += 1
            wrong = _what_is_wrong(error, method)
            if wrong:
                report.found(f"{method.path}: {wrong}: {error.code().name} {error.details()!r}; {sent[:300]!r}")
        except TimeoutError:
            report.found(f"{method.path}: never ended; {sent[:300]!r}")
        except asyncio.CancelledError:
            # gRPC's client cancels its own call where the stream ends while it sends.
            task = asyncio.current_task()
            if not method.takes_streams or (task is not None and task.cancelling()):
                raise
            report.statuses["CANCELLED by the client"] += 1
        del report.under_way[id(source)]


async def _send_over_http(sender: Sender, numbers: Iterator[int], until: float, report: Report) -> None:
    for _ in numbers:
        if time.monotonic() > until or report.ended:
            break
        report.sent += 1
        report.under_way[id(sender)] = "HTTP"
        status, wrong, sent = await sender.send()
        del report.under_way[id(sender)]
        report.statuses[status] += 1
        if wrong or _EXCEPTION.search(wrong):
            report.found(f"HTTP: {wrong}; {sent[:400]!r}")
    await sender.close()


async def _called(channel: grpc.aio.Channel, method: Method, sent: bytes, more: Sequence[bytes]) -> None:
    if not method.answers_streams:
        await channel.unary_unary(method.path)(sent, timeout=_CALL_SECONDS)
        return
    if method.takes_streams:
        stream = channel.stream_stream(method.path)(iter([sent, *more]), timeout=_STREAM_SECONDS)
    else:
        stream = channel.unary_stream(method.path)(sent, timeout=_STREAM_SECONDS)
    async for _ in stream:
        pass


def _what_is_wrong(error: grpc.aio.AioRpcError, method: Method) -> str:
    code, said = error.code(), error.details() or ""
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        # A stream is read for a moment only; whoever answers once has to do so before the deadline.
        return "" if method.answers_streams else "answered too late"
    if method.takes_streams and said == _ENDED_WHILE_SENDING:
        return ""
    if code in _NEVER:
        return "a status that must not be"
    if _EXCEPTION.search(said):
        return "the text of an exception"
    details = dict(error.trailing_metadata() or ()).get(_DETAILS)
    if not isinstance(details, bytes):
        return "no details"
    info = error_details_pb2.ErrorInfo()
    status = status_pb2.Status.FromString(details)
    if not any(detail.Unpack(info) for detail in status.details):
        return "no ErrorInfo"
    if info.domain != DOMAIN or info.reason not in Reason.__members__:
        return f"the ErrorInfo {info.domain} {info.reason}"
    if _EXCEPTION.search(str(info)):
        return "the text of an exception"
    return ""


async def _watch_for_stalls(server: Server, report: Report) -> None:
    """Ask the server for nothing, again and again.

    A neighbour on the machine stalls everybody: so what counts is for how long the server's thread worked meanwhile.
    """
    process = psutil.Process(server.pid)
    async with grpc.aio.insecure_channel(server.target, options=_OPTIONS) as channel:
        ask = channel.unary_unary("/memsvc.v1.AdminService/GetServerInfo")
        for _ in itertools.count():
            if server.process.returncode is not None:
                report.found(f"the server has ended with {server.process.returncode}: {server.log_tail()}")
                report.ended = True
                return
            before, started = _processor_seconds(process), time.monotonic()
            beside = set(report.under_way.values())
            try:
                await ask(b"", timeout=_CALL_SECONDS)
            except grpc.aio.AioRpcError as error:
                report.found(f"GetServerInfo: {error.code().name} {error.details()!r}")
            waited = min(time.monotonic() - started, _processor_seconds(process) - before)
            report.longest_seconds = max(report.longest_seconds, waited)
            if waited > STALL_SECONDS:
                beside |= set(report.under_way.values())
                report.found(f"a stall of {waited * 1e3:.0f} ms, beside {', '.join(beside)}")
            await asyncio.sleep(0.01)


def _processor_seconds(process: psutil.Process) -> float:
    """Return for how long the thread that serves has worked.

    Long JSON is read in another, which lets this one run every millisecond: on a machine with nothing else to do.
    """
    try:
        serving = next(thread for thread in process.threads() if thread.id == process.pid)
    except (psutil.NoSuchProcess, StopIteration):
        return 0.0
    return float(serving.user_time + serving.system_time)

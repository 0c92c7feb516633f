"""The load generator: a process of its own that sends bytes and counts replies, for memsvc and the bare server alike.

It parses nothing and builds nothing while it measures. A reply that is no success ends the measurement with its status.
"""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from statistics import median
from types import TracebackType
from typing import Any, NamedTuple, Self

import grpc
import uvloop

from bench.measuring import median_ratio

_OPTIONS = (("grpc.default_authority", "localhost"), ("grpc.max_receive_message_length", 16 << 20))
_CALL_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Calls:
    """Requests to one method of a server."""

    address: str
    method: str
    requests: Sequence[bytes]
    once: bool = False
    """Each is sent once (writes); otherwise they are sent again and again, in order."""
    metadata: tuple[tuple[str, str], ...] = ()
    """Sent with each."""
    ca: bytes | None = None
    """Who signed the server's certificate; None: it speaks no TLS."""
    replicas: Sequence[str] = ()
    """Addresses of further servers: callers are spread over all."""


@dataclass(frozen=True, slots=True)
class Work:
    """Something else that the generator's process does and times, one after the other."""

    prepare: Callable[[], Callable[[], object]]
    """Can be pickled; called once in that process."""


class Turn(NamedTuple):
    """A source, and how many calls of it are under way at once."""

    source: int
    at_once: int = 1


@dataclass(frozen=True, slots=True)
class Round:
    """What was measured in a short while."""

    count: int
    seconds: float
    median_seconds: float
    reply_bytes: float

    @property
    def rate(self) -> float:
        return self.count / self.seconds


@dataclass(frozen=True, slots=True)
class Rounds:
    """What was measured in several rounds."""

    rounds: Sequence[Round]

    @property
    def rate(self) -> float:
        return median(each.rate for each in self.rounds)

    @property
    def median_seconds(self) -> float:
        return median(each.median_seconds for each in self.rounds)

    @property
    def count(self) -> int:
        return sum(each.count for each in self.rounds)

    def rate_share(self, base: Rounds) -> float:
        return median_ratio([each.rate for each in self.rounds], [each.rate for each in base.rounds])

    def time_ratio(self, base: Rounds) -> float:
        return median_ratio(
            [each.median_seconds for each in self.rounds], [each.median_seconds for each in base.rounds]
        )


@dataclass(slots=True)
class Load:
    """The generator; a context manager."""

    _connection: Connection[Any, Any] = field(init=False)
    _process: multiprocessing.process.BaseProcess = field(init=False)

    def __enter__(self) -> Self:
        spawning = multiprocessing.get_context("spawn")
        self._connection, theirs = spawning.Pipe()
        self._process = spawning.Process(target=_generate, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.send(None)
        self._process.join()

    def add(self, source: Calls | Work) -> int:
        """Return the number by which `source` is named."""
        return int(self._ask("add", source))

    def send_all(self, calls: Calls, at_once: int = 16) -> Round:
        """Send each request once."""
        return self.round(self.add(Calls(calls.address, calls.method, calls.requests, once=True)), at_once, 1e9)

    def round(self, source: int, at_once: int, seconds: float) -> Round:
        """Measure one source for a while, or until nothing is left to send."""
        measured: Round = self._ask("round", source, at_once, seconds)
        return measured

    def alternate(self, turns: Sequence[Turn], rounds: int = 9, seconds: float = 0.25) -> list[Rounds]:
        """Measure some sources in turn, in many short rounds."""
        measured = [[self.round(turn.source, turn.at_once, seconds) for turn in turns] for _ in range(rounds)]
        return [Rounds(each) for each in zip(*measured, strict=True)]

    def _ask(self, *command: object) -> Any:
        self._connection.send(command)
        answer = self._connection.recv()
        if isinstance(answer, BaseException):
            raise answer
        return answer


def _generate(connection: Connection[Any, Any]) -> None:
    sources: list[_Sender | _Worker] = []
    channels: dict[str, grpc.aio.Channel] = {}
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        while (command := connection.recv()) is not None:
            try:
                if command[0] == "add":
                    source = command[1]
                    if isinstance(source, Work):
                        sources.append(_Worker(source.prepare()))
                    else:
                        sources.append(runner.run(_sender(source, channels)))
                    connection.send(len(sources) - 1)
                else:
                    _, number, at_once, seconds = command
                    connection.send(runner.run(sources[number].round(at_once, seconds)))
            except grpc.aio.AioRpcError as error:
                connection.send(RuntimeError(f"{error.code().name}: {error.details()}"))
            except Exception as error:
                connection.send(error)
        for channel in channels.values():
            runner.run(channel.close(None))


async def _sender(calls: Calls, channels: dict[str, grpc.aio.Channel]) -> _Sender:
    methods = []
    for address in (calls.address, *calls.replicas):
        channel = channels.get(address)
        if channel is None:
            channel = channels[address] = _channel(address, calls.ca)
        methods.append(channel.unary_unary(calls.method, None, None))
    requests = iter(calls.requests) if calls.once else itertools.cycle(calls.requests)
    return _Sender(methods, requests, calls.metadata)


def _channel(address: str, ca: bytes | None) -> grpc.aio.Channel:
    if ca is None:
        return grpc.aio.insecure_channel(address, options=_OPTIONS)
    # No other name than that of the address: it stands in the certificate.
    return grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(ca), options=_OPTIONS[1:])


@dataclass(slots=True)
class _Sender:
    methods: Sequence[grpc.aio.UnaryUnaryMultiCallable[Any, Any]]
    requests: Iterator[bytes]
    metadata: tuple[tuple[str, str], ...] = ()

    async def round(self, at_once: int, seconds: float) -> Round:
        """Keep as many calls under way until the time is over."""
        taken: list[float] = []
        sizes = 0
        started = time.perf_counter()
        until = started + seconds

        async def caller(call: grpc.aio.UnaryUnaryMultiCallable[Any, Any]) -> None:
            nonlocal sizes
            for request in self.requests:
                sent = time.perf_counter()
                reply = await call(request, timeout=_CALL_SECONDS, metadata=self.metadata)
                answered = time.perf_counter()
                taken.append(answered - sent)
                sizes += len(reply)
                if answered >= until:
                    break

        await asyncio.gather(*(caller(self.methods[number % len(self.methods)]) for number in range(at_once)))
        return _round(taken, time.perf_counter() - started, sizes)


@dataclass(slots=True)
class _Worker:
    work: Callable[[], object]

    async def round(self, at_once: int, seconds: float) -> Round:
        taken: list[float] = []
        started = time.perf_counter()
        while time.perf_counter() < started + seconds:
            began = time.perf_counter()
            self.work()
            taken.append(time.perf_counter() - began)
        return _round(taken, time.perf_counter() - started, 0)


def _round(taken: list[float], seconds: float, sizes: int) -> Round:
    if not taken:
        raise RuntimeError("nothing was left to send")
    return Round(len(taken), seconds, median(taken), sizes / len(taken))

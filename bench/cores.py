"""What a second process is worth: `memsvc serve --processes 2` against one, 64 clients at once, each with a connection.

Clients need processors too, and where they share them with the servers a rate says little. So what counts is the
processor time of a call: where each process has a core, 64 clients that never wait keep both busy, and two answer twice
as many calls as one, less what a call costs them more.
"""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import random
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

import grpc
import psutil
import uvloop

from bench import requests
from bench.load import Load
from bench.measuring import Figure, at_least
from bench.processes import Server, memsvc
from bench.sentences import exchange
from memsvc.v1 import common_pb2, session_pb2
from tests.servers.postgres import Postgres
from tests.servers.process import ServerMissing

_CLIENTS: Final = 64
_USERS: Final = 64
_MEMORIES: Final = 100
_RUNS: Final = 200
"""Of each client: more than it sends in a round."""
_ROUNDS: Final = 5
_WARM_ROUNDS: Final = 3
_SECONDS: Final = 1.0
_CALL_SECONDS: Final = 60.0
_GOAL: Final = at_least(1.6)


class _Round(NamedTuple):
    rate: float
    processor: float
    """Seconds of a processor that a call took, of all processes together."""


@dataclass(slots=True)
class _Served:
    """A server under measurement."""

    server: Server
    processes: Sequence[psutil.Process]
    rounds: list[_Round] = field(default_factory=list)

    @classmethod
    def of(cls, server: Server) -> _Served:
        return cls(server, server.process.children() or [server.process])

    def measure(self, clients: Connection[Any, Any], method: str, sent: Sequence[bytes]) -> None:
        before = self._processor_seconds()
        clients.send((self.server.tcp_address, method, sent))
        count, seconds = clients.recv()
        self.rounds.append(_Round(count / seconds, (self._processor_seconds() - before) / count))

    def _processor_seconds(self) -> float:
        return sum(sum(each.cpu_times()[:2]) for each in self.processes)


def measure(scratch: Path) -> Iterator[Figure]:
    yield from _on("sqlite", scratch, [f"sqlite:///{scratch}/{count}.db" for count in (1, 2)])
    try:
        servers = [Postgres(), Postgres()]
    except ServerMissing:
        return
    try:
        for each in servers:
            each.start()
        yield from _on("postgres", scratch, [each.url for each in servers])
    finally:
        for each in servers:
            each.close()


def _on(database: str, scratch: Path, urls: Sequence[str]) -> Iterator[Figure]:
    with ExitStack() as stack:
        load = stack.enter_context(Load())
        served = []
        for count, url in zip((1, 2), urls, strict=True):
            settings = ("--processes", str(count), "--listen", "0.0.0.0:0", "--insecure", "--storage-url", url)
            server = stack.enter_context(memsvc(scratch, *settings))
            requests.fill(load, server, [(f"user-{number}", _MEMORIES) for number in range(_USERS)])
            served.append(_Served.of(server))
        clients = stack.enter_context(_clients())
        for name, method, sent in _calls():
            yield from _compared(f"cores.{database}.{name}", clients, served, method, sent)


def _calls() -> Iterator[tuple[str, str, Sequence[bytes]]]:
    users = [f"user-{number}" for number in range(_USERS)]
    questions = [requests.contexts(user, ["What does she like?"])[0] for user in users]
    yield "context", requests.COMPILE_CONTEXT, questions
    yield "search", requests.SEARCH_MEMORIES, [requests.searches(user, ["What does she like?"])[0] for user in users]
    yield "append", requests.APPEND_RUN, []


def _compared(
    name: str, clients: Connection[Any, Any], served: Sequence[_Served], method: str, sent: Sequence[bytes]
) -> Iterator[Figure]:
    # Connections fall on other processes in each round: after some, both have all users in RAM.
    for _ in range(_WARM_ROUNDS + _ROUNDS):
        for each in served:
            each.measure(clients, method, sent or _appends())
    for each in served:
        del each.rounds[:-_ROUNDS]
    one, two = (each.rounds for each in served)
    dearer = median(both.processor / alone.processor for both, alone in zip(two, one, strict=True))
    here = median(both.rate / alone.rate for both, alone in zip(two, one, strict=True))
    yield Figure(f"{name}.processor_ratio", dearer, "of one process'")
    yield Figure(f"{name}.capacity_ratio", 2 / dearer, "times one process'", _GOAL)
    yield Figure(f"{name}.rate_ratio_here", here, "times one process'")


def _appends() -> Sequence[bytes]:
    """Return runs that nobody has sent before; nothing is learned from them."""
    sent = []
    for _ in range(_RUNS):
        for run in _runs():
            run.request_id = str(uuid.uuid4())
            sent.append(run.SerializeToString())
    return sent


@cache
def _runs() -> Sequence[session_pb2.AppendRunRequest]:
    source = random.Random(3)
    off = common_pb2.LEARNING_MODE_OFF
    return [requests.append(f"user-{number}", exchange(source), off) for number in range(_USERS)]


@contextmanager
def _clients() -> Iterator[Connection[Any, Any]]:
    """Run the clients, in a process of their own."""
    spawning = multiprocessing.get_context("spawn")
    connection, theirs = spawning.Pipe()
    process = spawning.Process(target=_run, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    yield connection
    connection.send(None)
    process.join()


def _run(connection: Connection[Any, Any]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        while (command := connection.recv()) is not None:
            connection.send(runner.run(_send(*command)))


async def _send(address: str, method: str, sent: Sequence[bytes]) -> tuple[int, float]:
    """Send from all clients for a while, again and again; return how many calls that were, and how long it took."""
    port = address.rpartition(":")[2]
    # Each address of this machine is a connection of its own.
    channels = [grpc.aio.insecure_channel(f"127.0.0.{number}:{port}") for number in range(1, _CLIENTS + 1)]
    await asyncio.gather(*(channel.channel_ready() for channel in channels))
    counts = [0] * _CLIENTS
    started = time.perf_counter()

    async def client(number: int) -> None:
        call = channels[number].unary_unary(method, None, None)
        for request in itertools.cycle(sent[number::_CLIENTS]):
            await call(request, timeout=_CALL_SECONDS)
            counts[number] += 1
            if time.perf_counter() - started >= _SECONDS:
                return

    await asyncio.gather(*(client(number) for number in range(_CLIENTS)))
    seconds = time.perf_counter() - started
    await asyncio.gather(*(channel.close() for channel in channels))
    return sum(counts), seconds

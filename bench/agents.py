"""Agents: a process that takes turns with memory, and times both calls of each.

A turn is CompileContext with what the user just said, and then AppendRun with that and the answer. The model that
answers takes no time here, so agents ask sooner than any real one would.
"""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

import grpc
import uvloop

from bench import requests
from bench.sentences import exchange

_CALL_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Taken:
    """How long the calls of some turns took, in seconds, in the order in which the turns ended."""

    seconds: float
    contexts: Sequence[float]
    appends: Sequence[float]

    @property
    def rate(self) -> float:
        return len(self.appends) / self.seconds

    @property
    def turns(self) -> Sequence[float]:
        return [context + append for context, append in zip(self.contexts, self.appends, strict=True)]


@dataclass(slots=True)
class Agents:
    """The process; a context manager."""

    address: str
    _connection: Connection[Any, Any] = field(init=False)
    _process: multiprocessing.process.BaseProcess = field(init=False)

    def __enter__(self) -> Self:
        spawning = multiprocessing.get_context("spawn")
        self._connection, theirs = spawning.Pipe()
        self._process = spawning.Process(target=_run, args=(theirs, self.address), daemon=True)
        self._process.start()
        theirs.close()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.send(None)
        self._process.join()

    def take_turns(self, users: Sequence[str], seconds: float, rate: float = 0.0) -> Taken:
        """Let one agent of each user take turns for a while: at this rate over all of them, 0 as soon as it can."""
        self._connection.send((users, seconds, rate))
        answer = self._connection.recv()
        if isinstance(answer, BaseException):
            raise answer
        return answer  # type: ignore[no-any-return]


def _run(connection: Connection[Any, Any], address: str) -> None:
    source = random.Random(5)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        channel = runner.run(_opened(address))
        while (command := connection.recv()) is not None:
            try:
                connection.send(runner.run(_turns(channel, source, *command)))
            except grpc.aio.AioRpcError as error:
                connection.send(RuntimeError(f"{error.code().name}: {error.details()}"))
        runner.run(channel.close(None))


async def _opened(address: str) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(address, options=[("grpc.default_authority", "localhost")])


async def _turns(
    channel: grpc.aio.Channel, source: random.Random, users: Sequence[str], seconds: float, rate: float
) -> Taken:
    compiling = channel.unary_unary(requests.COMPILE_CONTEXT, None, None)
    appending = channel.unary_unary(requests.APPEND_RUN, None, None)
    contexts: list[float] = []
    appends: list[float] = []
    started = time.perf_counter()

    async def agent(number: int, user: str) -> None:
        for turn in itertools.count():
            if rate:
                due = started + (turn * len(users) + number) / rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
            if time.perf_counter() - started >= seconds:
                return
            said = exchange(source)
            (query,) = requests.contexts(user, said[:1])
            run = requests.append(user, said).SerializeToString()
            began = time.perf_counter()
            await compiling(query, timeout=_CALL_SECONDS)
            compiled = time.perf_counter()
            await appending(run, timeout=_CALL_SECONDS)
            contexts.append(compiled - began)
            appends.append(time.perf_counter() - compiled)

    await asyncio.gather(*(agent(number, user) for number, user in enumerate(users)))
    return Taken(time.perf_counter() - started, contexts, appends)

"""What a server's memory does under clients that send what they like, and what that does to other clients.

Each case has a server of its own with default settings, a bystander that reads a small user's memory every few
milliseconds, and one hostile process (`bench.hostile`). `peak` is the most that was resident, `after` how much is
within half a minute, by what was at the start.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import grpc
import psutil

from bench import hostile, requests
from bench.load import Calls, Load
from bench.measuring import Figure, at_most
from bench.processes import Server, memsvc
from memsvc.v1 import extraction_pb2, memory_pb2

_PEAK_MEBIBYTES: Final = at_most(300)
_AFTER: Final = at_most(1.2)
_OTHERS_MILLISECONDS: Final = at_most(250)
_NONE: Final = at_most(0)
_BACK_SECONDS: Final = 30.0
_CALL_SECONDS: Final = 15.0
_CASE_SECONDS: Final = 90.0
_STOPPED_SECONDS: Final = 10.0
"""So long a client that has stopped itself stays connected."""
_SAMPLE_SECONDS: Final = 0.01
_WARM_SECONDS: Final = 1.0
_OPTIONS: Final = (("grpc.default_authority", "localhost"),)


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of hostile client, and what the server is like meanwhile."""

    name: str
    attack: str
    settings: Sequence[str] = ()
    locked: bool = False
    """Somebody else holds the database's write lock."""
    stops: bool = False
    """The client stops itself, and is killed."""


_MODEL_DOWN: Final = ("--engine", "openai", "--openai-base-url", "http://127.0.0.1:9/v1", "--openai-api-key", "none")

CASES: Final = (
    Case("failed_calls", "failed_calls"),
    Case("failed_calls_at_once", "failed_calls_at_once"),
    Case("foreign_calls", "foreign_calls"),
    Case("large_runs", "large_runs"),
    Case("large_runs_while_locked", "large_runs", locked=True),
    Case("streams_with_the_model_down", "open_streams", _MODEL_DOWN),
    Case("unread_replies", "unread_replies", stops=True),
    Case("unread_watches", "unread_watches", stops=True),
    Case("stalled_requests", "stalled_requests", stops=True),
    Case("dense_calls", "dense_calls"),
    Case("calls_at_once", "calls_at_once"),
    Case("cancelled_calls", "cancelled_calls"),
    Case("clear_and_purge", "clear_and_purge"),
)


def measure(scratch: Path, only: str = "") -> Iterator[Figure]:
    for case in CASES:
        if not only or case.name == only:
            yield from _measured(scratch, case)


def _measured(scratch: Path, case: Case) -> Iterator[Figure]:
    database = scratch / f"{case.name}.db"
    storage = ("--storage-url", f"sqlite:///{database}")
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(memsvc(scratch, *storage, *case.settings))
        _prepare(server)
        bystander = stack.enter_context(Bystander(server.address, server.process.pid))
        time.sleep(_WARM_SECONDS)
        before = server.resident_bytes
        resident = stack.enter_context(Resident(server.process))
        bystander.taken()
        with _locked(database) if case.locked else contextlib.nullcontext():
            said = _attacked(case, server)
            others = bystander.taken()
        back_seconds, after = _come_back(server, before)
        yield Figure(f"memory.{case.name}.peak", resident.peak_bytes / 2**20, "MiB", _PEAK_MEBIBYTES)
        yield Figure(f"memory.{case.name}.after", after, "of the start", _AFTER)
        yield Figure(f"memory.{case.name}.back", back_seconds, "s")
        at_work = [waited.at_work_seconds for waited in others]
        yield Figure(f"memory.{case.name}.others_p99", _share(at_work, 0.99) * 1e3, "ms", _OTHERS_MILLISECONDS)
        yield Figure(f"memory.{case.name}.others_longest", max(at_work) * 1e3, "ms")
        yield Figure(f"memory.{case.name}.others_p99_here", _share([each.seconds for each in others], 0.99) * 1e3, "ms")
        if said is not None:
            print(case.name, said["statuses"], file=sys.stderr)
            yield Figure(f"memory.{case.name}.without_reason", said["without_reason"], "calls", _NONE)


def _prepare(server: Server) -> None:
    """Make the user whose list is 3 MB, the one with 10,000 memories, and the bystander's."""
    text = "x" * 8_000
    large = [
        memory_pb2.CreateMemoryRequest(
            scope=requests.scope(hostile.LARGE_USER), memory=memory_pb2.Memory(text=f"{number} {text}")
        ).SerializeToString()
        for number in range(380)
    ]
    with Load() as load:
        load.send_all(Calls(server.address, requests.CREATE_MEMORY, large))
        requests.fill(load, server, [(hostile.FULL_USER, 10_000), (Bystander.USER, 100)])
    _learn_once(server)


def _learn_once(server: Server) -> None:
    """Have the server load what its first extraction needs: that stays, whoever sent what."""
    with grpc.insecure_channel(server.address, options=_OPTIONS) as channel:
        events = channel.unary_stream(hostile.EXTRACT_MEMORIES)(
            hostile.extract_bytes(1, "first"), timeout=_CALL_SECONDS
        )
        for response in map(extraction_pb2.ExtractMemoriesResponse.FromString, events):
            if response.event.progress.reason or response.event.HasField("completed"):
                return


def _attacked(case: Case, server: Server) -> dict[str, Any] | None:
    """Let the hostile client do what it does; return what it was told, unless it has stopped itself."""
    command = [sys.executable, "-m", "bench.hostile", case.attack, server.address, str(_CALL_SECONDS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
        try:
            if case.stops:
                assert client.stdout is not None
                client.stdout.readline()
                time.sleep(_STOPPED_SECONDS)
                return None
            output, _ = client.communicate(timeout=_CASE_SECONDS)
        finally:
            client.kill()
    said: dict[str, Any] = json.loads(output.splitlines()[-1])
    return said


def _come_back(server: Server, before: int) -> tuple[float, float]:
    """Wait until no more is resident than the goal allows; return for how long, and how much is."""
    started = time.monotonic()
    while True:
        after, taken = server.resident_bytes / before, time.monotonic() - started
        if after <= _AFTER.bound or taken > _BACK_SECONDS:
            return taken, after
        time.sleep(0.1)


@contextlib.contextmanager
def _locked(database: Path) -> Iterator[None]:
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def _share(taken: Sequence[float], share: float) -> float:
    return sorted(taken)[min(len(taken) - 1, int(len(taken) * share))]


@dataclass(slots=True)
class Resident:
    """Looks again and again at how much of a process is resident."""

    process: psutil.Popen
    peak_bytes: int = 0
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _look(self) -> None:
        while not self._stopping.wait(_SAMPLE_SECONDS):
            with contextlib.suppress(psutil.Error):
                self.peak_bytes = max(self.peak_bytes, self.process.memory_info().rss)


class Waited(NamedTuple):
    """How long a call took."""

    seconds: float
    at_work_seconds: float
    """... of which the server was at work: what it would have taken had nobody else used the machine."""


class Bystander:
    """A client of its own process that reads all the time, and notes how long each call took."""

    USER: Final = "bystander"

    def __init__(self, address: str, server: int) -> None:
        spawning = multiprocessing.get_context("spawn")
        self._connection, theirs = spawning.Pipe()
        self._process = spawning.Process(target=_read_on, args=(theirs, address, server), daemon=True)
        self._process.start()
        theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.send(None)
        self._process.join()

    def taken(self) -> Sequence[Waited]:
        """Return how long each call took since this was last asked; waits for the first one."""
        taken: Sequence[Waited] = []
        while not taken:
            self._connection.send("taken")
            taken = self._connection.recv()
        return taken


def _read_on(connection: Connection[Any, Any], address: str, server: int) -> None:
    taken: list[Waited] = []
    process = psutil.Process(server)
    request = requests.contexts(Bystander.USER, ["what is said of the mountains"])[0]
    with grpc.insecure_channel(address, options=_OPTIONS) as channel:
        call = channel.unary_unary(requests.COMPILE_CONTEXT)
        while True:
            started, worked = time.perf_counter(), sum(process.cpu_times()[:2])
            # A refused call has waited as well, and one that fails at once would look fast: so it is tried again.
            while True:
                try:
                    call(request, timeout=_CALL_SECONDS)
                    break
                except grpc.RpcError:
                    time.sleep(0.005)
                    if time.perf_counter() - started > _CALL_SECONDS:
                        break
            seconds = time.perf_counter() - started
            taken.append(Waited(seconds, min(seconds, sum(process.cpu_times()[:2]) - worked)))
            if connection.poll(0.005):
                if connection.recv() is None:
                    return
                connection.send(taken)
                taken = []

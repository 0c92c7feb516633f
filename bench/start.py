"""How long a sidecar takes to serve, and what it holds while it has nothing to do, and in use."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

import grpc

from bench import requests
from bench.load import Calls, Load
from bench.measuring import Figure, at_most
from bench.processes import Server, memsvc
from bench.sentences import questions
from memsvc.v1 import session_pb2_grpc
from tests.servers.postgres import Postgres
from tests.servers.process import ServerMissing

_STARTS: Final = 7
_IDLE_SECONDS: Final = 1.5
_MEMORIES: Final = 1_000
_SEARCHES: Final = 200
_WITH_HTTP: Final = ("--http-listen", "127.0.0.1:0")


@dataclass(slots=True)
class _Starts:
    """Some starts with the same settings."""

    settings: Sequence[str] = ()
    seconds: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    resident: list[float] = field(default_factory=list)
    used: list[float] = field(default_factory=list)

    def once_more(self, scratch: Path) -> None:
        with memsvc(scratch, *self.settings) as server:
            self.seconds.append(server.start_seconds)
            self.processor.append(server.processor_seconds)
            time.sleep(_IDLE_SECONDS)
            self.resident.append(server.resident_bytes / 2**20)
            _learn(server)
            self.used.append(server.resident_bytes / 2**20)


def measure(scratch: Path) -> Iterator[Figure]:
    # The first start compiles what an installation has compiled.
    _Starts(_WITH_HTTP).once_more(scratch)
    plain, with_http = _Starts(), _Starts(_WITH_HTTP)
    for _ in range(_STARTS):
        plain.once_more(scratch)
        with_http.once_more(scratch)
    yield Figure("start.to_serving", median(plain.seconds), "s", at_most(0.30))
    yield Figure("start.processor", median(plain.processor), "s")
    yield Figure("start.resident", median(plain.resident), "MiB", at_most(50))
    yield Figure("start.resident_after_a_turn", median(plain.used), "MiB")
    yield Figure("start.http.processor_more", _more(with_http.processor, plain.processor) * 1e3, "ms", at_most(20))
    yield Figure("start.http.resident_more", _more(with_http.resident, plain.resident), "MiB", at_most(4))
    with Load() as load, memsvc(scratch) as server:
        requests.fill(load, server, [("user-1", _MEMORIES)])
        _learn(server)
        asked = questions(_SEARCHES, seed=3)
        load.send_all(Calls(server.address, requests.SEARCH_MEMORIES, requests.searches("user-1", asked)))
        load.send_all(Calls(server.address, requests.COMPILE_CONTEXT, requests.contexts("user-1", asked)))
        yield Figure(f"start.resident_with_{_MEMORIES}_memories", server.resident_bytes / 2**20, "MiB", at_most(100))
    yield from _on_postgres(scratch)


def _on_postgres(scratch: Path) -> Iterator[Figure]:
    """Measure starts on a database that is there, and whose tables are: as a server starts again."""
    try:
        database = Postgres()
    except ServerMissing as missing:
        print(f"postgres is left out: {missing}")
        return
    with closing(database):
        database.start()
        settings = ("--storage-url", database.url)
        _Starts(settings).once_more(scratch)
        again = _Starts(settings)
        for _ in range(_STARTS):
            again.once_more(scratch)
    yield Figure("start.postgres.to_serving", median(again.seconds), "s", at_most(0.60))
    yield Figure("start.postgres.processor", median(again.processor), "s")
    yield Figure("start.postgres.resident", median(again.resident), "MiB", at_most(65))
    yield Figure("start.postgres.resident_after_a_turn", median(again.used), "MiB")


def _more(values: Sequence[float], bases: Sequence[float]) -> float:
    return median(value - base for value, base in zip(values, bases, strict=True))


def _learn(server: Server) -> None:
    with grpc.insecure_channel(server.address, options=[("grpc.default_authority", "localhost")]) as channel:
        request = requests.append("user-1", ("I live in Lisbon and I love surfing.", "How nice!"))
        request.wait_for_learning.FromSeconds(30)
        session_pb2_grpc.SessionServiceStub(channel).AppendRun(request, timeout=60)

"""What searches take on a running server: beside the call itself, at first, and of memory.

The first search of a user builds the index. Before it a server of its own has been started and has read the user, as
any call does that is about memories; a bystander calls meanwhile (see `bench.memory`).
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import repeat
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

import grpc

from bench import requests
from bench.comparison import compare
from bench.load import Calls, Load
from bench.measuring import Figure, Goal, at_least, at_most
from bench.memory import Bystander
from bench.processes import Server, echo, memsvc
from bench.sentences import questions
from memsvc.v1 import common_pb2, memory_pb2, memory_pb2_grpc, session_pb2, session_pb2_grpc

_SIZES: Final = (1_000, 10_000)
_RUNS: Final = {"user-1000": 1_000, "talker": 10_000}
"""Of two messages each."""
_TALKER: Final = "talker"
_STARTS: Final = 5
_METHODS: Final = {
    "lexical": memory_pb2.SEARCH_METHOD_LEXICAL,
    "hybrid": memory_pb2.SEARCH_METHOD_HYBRID,
}
_ABOVE_ECHO: Final = {
    ("lexical", 1_000): at_most(1.0),
    ("hybrid", 1_000): at_most(1.3),
    ("lexical", 10_000): at_most(3.0),
    ("hybrid", 10_000): at_most(3.0),
}
_STALLED: Final = at_most(20)
_CALL_SECONDS: Final = 60.0


class First(NamedTuple):
    """The first search of a user on a server that has just been started."""

    seconds: float
    processor_seconds: float
    """What the server was at work for it."""
    others_seconds: float
    """The longest that another client waited meanwhile, of what the server was at work."""
    resident_bytes: int
    """How much more is resident than before the user was read."""


def measure(scratch: Path) -> Iterator[Figure]:
    database = scratch / "searched.db"
    storage = ("--storage-url", f"sqlite:///{database}", "--store-vectors-after-seconds", "1")
    with Load() as load, memsvc(scratch, *storage) as server, echo() as bare:
        _fill(load, server, database)
        for size in _SIZES:
            for name, method in _METHODS.items():
                sent = _searches(f"user-{size}", method)
                compared = compare(load, Calls(server.address, requests.SEARCH_MEMORIES, sent), server, bare)
                above = compared.single.median_seconds - compared.single_base.median_seconds
                goal = _ABOVE_ECHO[name, size]
                yield Figure(f"search.{size}.{name}.p50_above_echo", above * 1e3, "ms", goal)
                yield Figure(f"search.{size}.{name}.rate_share", compared.rate_share, "of the echo's")
        recalling = _recalling(_SIZES[0])
        compared = compare(load, Calls(server.address, requests.COMPILE_CONTEXT, recalling), server, bare)
        yield Figure("search.context_with_recall.rate_share", compared.rate_share, "of the echo's", at_least(0.3))
        yield Figure("search.context_with_recall.processor_share", compared.processor_share, "of the echo's")
    size, messages = _SIZES[-1], 2 * _RUNS[_TALKER]
    for name, method, goal in (("lexical", _METHODS["lexical"], at_most(100)), ("hybrid", _METHODS["hybrid"], None)):
        search = partial(_first_of_memories, method)
        yield from _first(scratch, storage, f"memories.{size}.{name}", size, search, goal)
    yield from _first(scratch, storage, f"messages.{messages}", messages, _first_of_history, at_most(300))


def _fill(load: Load, server: Server, database: Path) -> None:
    requests.fill(load, server, [*((f"user-{size}", size) for size in _SIZES), (Bystander.USER, 100)])
    for number, (user, count) in enumerate(_RUNS.items()):
        sent = requests.appends(repeat(user, count), number, common_pb2.LEARNING_MODE_OFF)
        load.send_all(Calls(server.address, requests.APPEND_RUN, sent))
    _await_vectors(database, sum(_SIZES))


def _await_vectors(database: Path, count: int) -> None:
    """Wait until so many vectors are stored: a server that starts then makes none."""
    until = time.monotonic() + _CALL_SECONDS
    with contextlib.closing(sqlite3.connect(database)) as connection:
        while connection.execute("SELECT count(*) FROM memsvc_rows WHERE kind = 'vector'").fetchone()[0] < count:
            if time.monotonic() > until:
                raise TimeoutError("vectors are not stored")
            time.sleep(0.1)


def _first(
    scratch: Path,
    storage: Sequence[str],
    what: str,
    count: int,
    search: Callable[[grpc.Channel], Callable[[], object]],
    goal: Goal | None,
) -> Iterator[Figure]:
    firsts = []
    for _ in range(_STARTS):
        with memsvc(scratch, *storage) as server, Bystander(server.address, server.process.pid) as bystander:
            bystander.taken()
            firsts.append(_measured(server, bystander, search))
    yield Figure(f"search.first.{what}", median(first.seconds for first in firsts) * 1e3, "ms", goal)
    processor = median(first.processor_seconds for first in firsts)
    yield Figure(f"search.first.{what}.processor", processor * 1e3, "ms")
    stalled = median(first.others_seconds for first in firsts)
    yield Figure(f"search.first.{what}.others_longest", round(stalled * 1e3, 3), "ms", _STALLED)
    resident = median(first.resident_bytes for first in firsts) / count
    yield Figure(f"search.first.{what}.resident", resident, "bytes each")


def _measured(server: Server, bystander: Bystander, search: Callable[[grpc.Channel], Callable[[], object]]) -> First:
    with _channel(server) as channel:
        resident = server.resident_bytes
        call = search(channel)
        bystander.taken()
        started, worked = time.perf_counter(), server.processor_seconds
        call()
        seconds, spent = time.perf_counter() - started, server.processor_seconds - worked
        others = max(waited.at_work_seconds for waited in bystander.taken())
        return First(seconds, spent, others, server.resident_bytes - resident)


def _first_of_memories(method: memory_pb2.SearchMethod.ValueType, channel: grpc.Channel) -> Callable[[], object]:
    """Read the user; return what searches the memories."""
    stub, scope = memory_pb2_grpc.MemoryServiceStub(channel), requests.scope(f"user-{_SIZES[-1]}")
    stub.ListMemories(memory_pb2.ListMemoriesRequest(scope=scope, page_size=1), timeout=_CALL_SECONDS)
    request = memory_pb2.SearchMemoriesRequest(scope=scope, query=_asked()[0], top_k=10, method=method)
    return lambda: stub.SearchMemories(request, timeout=_CALL_SECONDS)


def _first_of_history(channel: grpc.Channel) -> Callable[[], object]:
    """Read the user; return what searches the history."""
    stub, scope = session_pb2_grpc.SessionServiceStub(channel), requests.scope(_TALKER)
    memories = memory_pb2_grpc.MemoryServiceStub(channel)
    memories.ListMemories(memory_pb2.ListMemoriesRequest(scope=scope, page_size=1), timeout=_CALL_SECONDS)
    request = session_pb2.SearchHistoryRequest(scope=scope, query=_asked()[0], top_k=10)
    return lambda: stub.SearchHistory(request, timeout=_CALL_SECONDS)


def _searches(user: str, method: memory_pb2.SearchMethod.ValueType) -> list[bytes]:
    scope = requests.scope(user)
    return [
        memory_pb2.SearchMemoriesRequest(scope=scope, query=query, top_k=10, method=method).SerializeToString()
        for query in _asked()
    ]


def _recalling(size: int) -> list[bytes]:
    return requests.contexts(f"user-{size}", _asked(), recall=True)


def _asked() -> list[str]:
    return questions(500, seed=11)


def _channel(server: Server) -> grpc.Channel:
    return grpc.insecure_channel(server.address, options=[("grpc.default_authority", "localhost")])

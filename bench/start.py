"""How long a sidecar takes to serve, and what it holds while it has nothing to do, and in use."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import grpc

from bench import requests
from bench.load import Calls, Load
from bench.measuring import Figure, at_most
from bench.processes import Server, memsvc
from bench.sentences import questions
from memsvc.v1 import session_pb2_grpc

_STARTS = 5
_IDLE_SECONDS = 1.5
_MEMORIES = 1_000
_SEARCHES = 200


def measure(scratch: Path) -> Iterator[Figure]:
    seconds, processor, resident, used = [], [], [], []
    for _ in range(_STARTS):
        with memsvc(scratch) as server:
            seconds.append(server.start_seconds)
            processor.append(server.processor_seconds)
            time.sleep(_IDLE_SECONDS)
            resident.append(server.resident_bytes / 2**20)
            _learn(server)
            used.append(server.resident_bytes / 2**20)
    yield Figure("start.to_serving", median(seconds), "s", at_most(0.6))
    yield Figure("start.processor", median(processor), "s")
    yield Figure("start.resident", median(resident), "MiB", at_most(70))
    yield Figure("start.resident_after_a_turn", median(used), "MiB")
    with Load() as load, memsvc(scratch) as server:
        requests.fill(load, server, [("user-1", _MEMORIES)])
        _learn(server)
        asked = questions(_SEARCHES, seed=3)
        load.send_all(Calls(server.address, requests.SEARCH_MEMORIES, requests.searches("user-1", asked)))
        load.send_all(Calls(server.address, requests.COMPILE_CONTEXT, requests.contexts("user-1", asked)))
        yield Figure(f"start.resident_with_{_MEMORIES}_memories", server.resident_bytes / 2**20, "MiB", at_most(100))


def _learn(server: Server) -> None:
    with grpc.insecure_channel(server.address, options=[("grpc.default_authority", "localhost")]) as channel:
        request = requests.append("user-1", ("I live in Lisbon and I love surfing.", "How nice!"))
        request.wait_for_learning.FromSeconds(30)
        session_pb2_grpc.SessionServiceStub(channel).AppendRun(request, timeout=60)

"""What the operator's port costs: a call as JSON against one over gRPC, counting for /metrics, the start with it on."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import grpc

from bench import requests
from bench.comparison import AT_ONCE
from bench.load import Calls, Load, Turn, Work
from bench.measuring import Figure, at_least, at_most
from bench.processes import memsvc

_USER: Final = "user-1"
_QUERY: Final = "What does she like?"
_STARTS: Final = 3
_IDLE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class OverHttp:
    """Calls a method as JSON, on one connection."""

    path: str
    method: str
    body: bytes

    def __call__(self) -> Callable[[], object]:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(self.path)
        head = f"POST {self.method} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        sent = f"{head}Content-Length: {len(self.body)}\r\n\r\n".encode() + self.body

        def call() -> None:
            connection.sendall(sent)
            reply = connection.recv(1 << 18)
            while b"\r\n\r\n" not in reply:
                reply += connection.recv(1 << 18)
            head, _, body = reply.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 "), reply
            missing = int(head.partition(b"Content-Length: ")[2].split()[0]) - len(body)
            while missing > 0:
                missing -= len(connection.recv(1 << 18))

        return call


@dataclass(frozen=True, slots=True)
class OverGrpc:
    """Calls a method over gRPC, one call after the other."""

    address: str
    method: str
    request: bytes

    def __call__(self) -> Callable[[], object]:
        channel = grpc.insecure_channel(self.address, options=[("grpc.default_authority", "localhost")])
        call = channel.unary_unary(self.method)
        return lambda: call(self.request, timeout=30)


def measure(scratch: Path) -> Iterator[Figure]:
    yield from _calls(scratch)
    yield from _start(scratch)


def _calls(scratch: Path) -> Iterator[Figure]:
    path = scratch / "http"
    with Load() as load, memsvc(scratch) as plain, memsvc(scratch, "--http-listen", f"unix://{path}") as counted:
        for server in (plain, counted):
            requests.fill(load, server, [(_USER, 100)])
        _, ids = requests.list_pages(counted, _USER, 100)
        _, plain_ids = requests.list_pages(plain, _USER, 100)
        scope = {"userId": _USER}
        bodies = {
            "get": (requests.GET_MEMORY, requests.gets(_USER, ids)[0], {"scope": scope, "memoryId": ids[0]}),
            "context": (
                requests.COMPILE_CONTEXT,
                requests.contexts(_USER, [_QUERY])[0],
                {"scope": scope, "query": _QUERY},
            ),
        }
        for name, (method, request, as_json) in bodies.items():
            over_grpc = load.add(Work(OverGrpc(counted.address, method, request)))
            over_http = load.add(Work(OverHttp(str(path), method, json.dumps(as_json).encode())))
            for source in (over_grpc, over_http):
                load.round(source, 1, 0.3)
            base, measured = load.alternate([Turn(over_grpc), Turn(over_http)])
            yield Figure(f"edge.http.{name}.rate_share", measured.rate_share(base), "of gRPC's", at_least(0.5))
            yield Figure(f"edge.http.{name}.p50", measured.median_seconds * 1e3, "ms")
        first = load.add(Calls(plain.address, requests.GET_MEMORY, requests.gets(_USER, plain_ids)))
        second = load.add(Calls(counted.address, requests.GET_MEMORY, requests.gets(_USER, ids)))
        for source in (first, second):
            load.round(source, AT_ONCE, 0.5)
        base, measured = load.alternate([Turn(first, AT_ONCE), Turn(second, AT_ONCE)], rounds=15)
        yield Figure("edge.metrics.get.rate_share", measured.rate_share(base), "of no port's", at_least(0.95))


def _start(scratch: Path) -> Iterator[Figure]:
    seconds, resident = [], []
    for number in range(_STARTS):
        with memsvc(scratch, "--http-listen", f"unix://{scratch}/start-{number}") as server:
            seconds.append(server.start_seconds)
            time.sleep(_IDLE_SECONDS)
            resident.append(server.resident_bytes / 2**20)
    yield Figure("edge.http.to_serving", median(seconds), "s", at_most(0.6))
    yield Figure("edge.http.resident", median(resident), "MiB", at_most(70))

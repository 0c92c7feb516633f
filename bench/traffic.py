"""What memsvc asks of a database over a network: by call, and by the second when nobody calls.

Postgres counts its statements itself (pg_stat_statements), a relay counts their bytes. Redis counts all of it; what its
scripts call is no question of anybody's, so what counts there is how often something was read from a connection.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from socket import socket
from typing import Final, NamedTuple

from bench import requests
from bench.load import Calls, Load
from bench.measuring import Figure
from bench.processes import Server, memsvc
from bench.sentences import questions
from bench.stores import PostgresStore, RedisStore
from memsvc.storage.conformance.proxy import Proxy
from memsvc.v1 import common_pb2

_CALLS: Final = 200
_REPLICAS: Final = (1, 2, 4)
_IDLE_SECONDS: Final = 10.0
_START_SECONDS: Final = 3.0
"""A server that has started looks once at what is due for long."""
_STILL_SECONDS: Final = 1.5
_LEARNING_SECONDS: Final = 60.0
_AT_ONCE: Final = 64
_NO_POLLS: Final = ("--poll-seconds", "3600")


class _Seen(NamedTuple):
    """What a database has seen."""

    queries: float
    """Of Redis: messages from clients, each one or more commands."""
    bytes: float
    """In both directions."""
    processor: float
    """Seconds."""
    log: float
    """Bytes of Postgres' write-ahead log."""

    def since(self, before: _Seen) -> _Seen:
        return _Seen(*(now - then for now, then in zip(self, before, strict=True)))


class _Meter(NamedTuple):
    url: str
    """For memsvc: through the relay, where there is one."""
    read: Callable[[], _Seen]
    connections: Callable[[], int]


def measure(
    name: str, scratch: Path, load: Load, store: PostgresStore | RedisStore, users: Sequence[str]
) -> Iterator[Figure]:
    """Count on a filled store; no server has these users in RAM."""
    with ExitStack() as stack:
        meter = stack.enter_context(_postgres(store)) if isinstance(store, PostgresStore) else _redis(store)
        yield from _by_call(f"many.{name}", scratch, load, meter, users)
        yield from _idle(f"many.{name}", scratch, meter)


def _by_call(name: str, scratch: Path, load: Load, meter: _Meter, users: Sequence[str]) -> Iterator[Figure]:
    learned, asked = users[:_CALLS], questions(_CALLS, seed=8)
    contexts = [requests.contexts(user, [query])[0] for user, query in zip(learned, asked, strict=True)]
    off, on = common_pb2.LEARNING_MODE_OFF, common_pb2.LEARNING_MODE_UNSPECIFIED
    soon = ("--quiet-seconds", "0.05", "--max-quiet-seconds", "0.05")
    with memsvc(scratch, "--storage-url", meter.url, *_NO_POLLS, *soon) as server:
        for what, method, sent in (
            ("context_cold", requests.COMPILE_CONTEXT, contexts),
            ("context_warm", requests.COMPILE_CONTEXT, contexts),
            # What a user's first write needs of what it was asked before is read with it.
            ("append_run_first", requests.APPEND_RUN, requests.appends(learned, 9, off)),
            ("append_run", requests.APPEND_RUN, requests.appends(learned, 11, off)),
            ("append_run_and_learn", requests.APPEND_RUN, requests.appends(learned, 10, on)),
        ):
            _until_still(meter)
            before, processor = meter.read(), server.processor_seconds
            load.send_all(Calls(server.address, method, sent), at_once=1)
            _until_still(meter)
            yield from _of(f"{name}.{what}", meter.read().since(before), len(sent), "a call")
            own = (server.processor_seconds - processor) / len(sent)
            yield Figure(f"{name}.{what}.processor", own * 1e3, "ms a call")
        load.round(load.add(Calls(server.address, requests.COMPILE_CONTEXT, contexts)), _AT_ONCE, 1.0)
        yield Figure(f"{name}.busy_1.connections", meter.connections(), "connections")


def _idle(name: str, scratch: Path, meter: _Meter) -> Iterator[Figure]:
    with ExitStack() as stack:
        running: list[Server] = []
        for count in _REPLICAS:
            while len(running) < count:
                running.append(stack.enter_context(memsvc(scratch, "--storage-url", meter.url)))
            time.sleep(_START_SECONDS)
            before, started = meter.read(), time.perf_counter()
            time.sleep(_IDLE_SECONDS)
            seen, seconds = meter.read().since(before), time.perf_counter() - started
            yield from _of(f"{name}.idle_{count}", seen, seconds, "a second")
            yield Figure(f"{name}.idle_{count}.connections", meter.connections(), "connections")


def _of(name: str, seen: _Seen, count: float, each: str) -> Iterator[Figure]:
    yield Figure(f"{name}.queries", seen.queries / count, each)
    yield Figure(f"{name}.bytes", seen.bytes / count, f"bytes {each}")
    yield Figure(f"{name}.database_processor", seen.processor / count * 1e3, f"ms {each}")
    if seen.log:
        yield Figure(f"{name}.log", seen.log / count, f"bytes {each}")


def _until_still(meter: _Meter) -> None:
    """Return once nothing has been asked for a while: what a call leaves to be done is done."""
    deadline = time.perf_counter() + _LEARNING_SECONDS
    while time.perf_counter() < deadline:
        before = meter.read()
        time.sleep(_STILL_SECONDS)
        # A connection that waits for messages is tried now and then.
        if meter.read().since(before).queries <= 1:
            return
    raise TimeoutError(f"the database is still asked after {_LEARNING_SECONDS:g} s")


@contextmanager
def _postgres(store: PostgresStore) -> Iterator[_Meter]:
    server = store.server
    sums = "coalesce(sum(calls), 0), coalesce(sum(wal_bytes), 0)"
    counted = f"SELECT {sums} FROM pg_stat_statements WHERE query NOT LIKE '%pg_stat_%'"
    clients = "SELECT count(*) - 1 FROM pg_stat_activity WHERE backend_type = 'client backend'"
    with _relay(server.port) as relay:

        def read() -> _Seen:
            queries, log = server.sql(counted).split("|")
            return _Seen(float(queries), relay.bytes, store.processor_seconds, float(log))

        url = server.url.replace(f":{server.port}/", f":{relay.port}/")
        yield _Meter(url, read, lambda: int(server.sql(clients)))


def _redis(store: RedisStore) -> _Meter:
    server = store.server

    def looked() -> _Seen:
        found = server.execute("INFO", "everything")
        moved = found["total_net_input_bytes"] + found["total_net_output_bytes"]
        return _Seen(found["total_reads_processed"], moved, store.processor_seconds, 0.0)

    looked()
    own = looked().since(looked())
    looks = 0

    def read() -> _Seen:
        nonlocal looks
        looks += 1
        # Less what looking itself adds.
        return looked().since(_Seen(*(each * -looks for each in own[:2]), 0.0, 0.0))

    return _Meter(server.url, read, lambda: int(server.execute("INFO", "clients")["connected_clients"]) - 1)


class _Relay(Proxy):
    """Counts what it relays."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self.bytes = 0

    async def _received(self, source: socket) -> AsyncIterator[bytes]:
        async for data in super()._received(source):
            self.bytes += len(data)
            yield data


@contextmanager
def _relay(port: int) -> Iterator[_Relay]:
    """Run a relay to a port of this machine, in a thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    relay = _Relay("127.0.0.1", port)
    asyncio.run_coroutine_threadsafe(relay.start(), loop).result()
    try:
        yield relay
    finally:
        asyncio.run_coroutine_threadsafe(relay.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

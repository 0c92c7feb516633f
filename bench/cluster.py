"""What more nodes of a Redis Cluster are worth: one to three masters, each with a replica, behind three of memsvc.

Everything shares the processors of one machine: a rate by nodes says little of nodes that have a machine each. So the
processor time of a call is shown besides, of memsvc, of all nodes, and of the master that works most. That one is full
first: where it works a third as long for a call, the cluster answers three times as many before it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from bench import requests
from bench.load import Calls, Load
from bench.measuring import Figure
from bench.processes import Server, memsvc
from memsvc.v1 import common_pb2
from tests.servers.process import ServerMissing
from tests.servers.redis import Redis, RedisCluster

_MASTERS: Final = (1, 2, 3)
_REPLICAS: Final = 3
_CLIENTS: Final = (16, 64)
_USERS: Final = 300
_MEMORIES: Final = 50
_ENOUGH: Final = 30_000
"""More writes than are made while one figure is measured."""
_ROUNDS: Final = 7
_SECONDS: Final = 1.0
_NODE_TIMEOUT_MS: Final = 15_000
"""Redis's own default: no master is to be replaced because this machine is busy."""
_OPTIONS: Final = ("--storage-options", "wait_replicas=1", "--storage-options", "operation_timeout_ms=20000")
_QUIET: Final = ("--quiet-seconds", "3600", "--max-quiet-seconds", "3600", "--memory-quota", "1000000")
_ALL_IN_RAM: Final = ("--cache-bytes", "512000000")
"""All users stay in RAM, however much was written to them before contexts are asked for."""


class _Round(NamedTuple):
    rate: float
    memsvc: float
    """Seconds of a processor that a call took, of all servers."""
    redis: float
    """The same of all nodes."""
    busiest: float
    """The same of the master that worked most."""


@dataclass(slots=True)
class _Fleet:
    """A cluster, and the servers on it."""

    cluster: RedisCluster
    servers: Sequence[Server]
    rounds: list[_Round] = field(default_factory=list)

    def source(self, load: Load, method: str, sent: Sequence[bytes], *, once: bool) -> int:
        first, *others = (server.address for server in self.servers)
        return load.add(Calls(first, method, sent, once=once, replicas=others))

    def measure(self, load: Load, source: int, clients: int) -> None:
        ours, nodes = self._processor_seconds()
        measured = load.round(source, clients, _SECONDS)
        ours_after, nodes_after = self._processor_seconds()
        spent = [(after - before) / measured.count for before, after in zip(nodes, nodes_after, strict=True)]
        busiest = max(spent[: len(self.cluster.masters)])
        self.rounds.append(_Round(measured.rate, (ours_after - ours) / measured.count, sum(spent), busiest))

    def _processor_seconds(self) -> tuple[float, list[float]]:
        """Return what the servers used, and each node, masters first."""
        return sum(server.processor_seconds for server in self.servers), list(map(_used, self.cluster.nodes))


def measure(scratch: Path) -> Iterator[Figure]:
    with ExitStack() as running:
        try:
            clusters = [RedisCluster(_NODE_TIMEOUT_MS, masters) for masters in _MASTERS]
        except ServerMissing as missing:
            print(missing)
            return
        load = running.enter_context(Load())
        fleets = []
        for cluster in clusters:
            running.callback(cluster.close)
            asyncio.run(cluster.start())
            options = ("--storage-url", cluster.url, *_OPTIONS, *_QUIET, *_ALL_IN_RAM)
            servers = [running.enter_context(memsvc(scratch, *options)) for _ in range(_REPLICAS)]
            requests.fill(load, servers[0], [(user, _MEMORIES) for user in _users()])
            for server in servers:
                # From here on all users are in RAM.
                load.send_all(Calls(server.address, requests.COMPILE_CONTEXT, _sent("context", 0)))
            fleets.append(_Fleet(cluster, servers))
        for name, method, once in (
            ("create", requests.CREATE_MEMORY, True),
            ("append", requests.APPEND_RUN, True),
            ("context", requests.COMPILE_CONTEXT, False),
        ):
            sources = [fleet.source(load, method, _sent(name, seed), once=once) for seed, fleet in enumerate(fleets)]
            for clients in _CLIENTS:
                yield from _compared(f"cluster.{name}.at_{clients}", load, fleets, sources, clients)


def _compared(
    name: str, load: Load, fleets: Sequence[_Fleet], sources: Sequence[int], clients: int
) -> Iterator[Figure]:
    for fleet in fleets:
        fleet.rounds.clear()
    for _ in range(_ROUNDS):
        for fleet, source in zip(fleets, sources, strict=True):
            fleet.measure(load, source, clients)
    alone = fleets[0].rounds
    for fleet in fleets:
        title = f"{name}.masters_{len(fleet.cluster.masters)}"
        yield Figure(f"{title}.rate", median(each.rate for each in fleet.rounds), "calls/s")
        yield Figure(f"{title}.memsvc", median(each.memsvc for each in fleet.rounds) * 1e6, "us of a processor a call")
        yield Figure(f"{title}.redis", median(each.redis for each in fleet.rounds) * 1e6, "us of a processor a call")
        if fleet is not fleets[0]:
            pairs = list(zip(fleet.rounds, alone, strict=True))
            rate = median(each.rate / one.rate for each, one in pairs)
            busiest = median(each.busiest / one.busiest for each, one in pairs)
            yield Figure(f"{title}.rate_ratio_here", rate, "times one master's")
            yield Figure(f"{title}.busiest_master_ratio", busiest, "of a single master's processor time")


def _sent(name: str, seed: int) -> Sequence[bytes]:
    if name == "context":
        return [requests.contexts(user, ["What does she like?"])[0] for user in _users()]
    users = list(islice(cycle(_users()), _ENOUGH))
    if name == "create":
        return requests.creates(users, seed)
    return requests.appends(users, seed, common_pb2.LEARNING_MODE_OFF)


def _users() -> list[str]:
    return [f"user-{number}" for number in range(_USERS)]


def _used(node: Redis) -> float:
    with node.client() as client:
        used = client.info("cpu")
    return float(used["used_cpu_user"] + used["used_cpu_sys"])

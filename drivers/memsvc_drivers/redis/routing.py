"""Which server a bucket is on: one for all, the one that Sentinels name, or the nodes of a cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from memsvc_drivers.redis.cluster import Cluster
from memsvc_drivers.redis.errors import Unreachable
from memsvc_drivers.redis.nodes import Node
from memsvc_drivers.redis.sentinel import find_master, watch_master
from memsvc_drivers.redis.settings import Address, Mode, Settings


class Route(Protocol):
    """Knows the servers of a store."""

    async def open(self) -> None:
        """Find the servers. Raises Unreachable."""

    async def close(self) -> None:
        """Close all connections."""

    def node(self, bucket: int) -> Node:
        """Return who has a bucket. Raises Rerouted when nobody has it at the moment."""

    def nodes(self) -> Sequence[Node]:
        """Return all servers that have a bucket."""

    def node_at(self, address: Address) -> Node:
        """Return the server that another one referred to."""

    def doubt(self, bucket: int, error: BaseException | None = None) -> None:
        """Find out anew who has what, after an error that says so."""


def route(settings: Settings, on_change: Callable[[], None] = lambda: None) -> Route:
    """Return what finds the servers of these settings, and tells when there may be others."""
    if settings.mode is Mode.CLUSTER:
        return Cluster(settings, on_change)
    return (_Watched if settings.mode is Mode.SENTINEL else _Single)(settings, on_change)


class _Single:
    """One server for all."""

    def __init__(self, settings: Settings, on_change: Callable[[], None]) -> None:
        self._settings = settings
        self._node = Node(settings, self._locate, on_change)

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        await self._node.retire()

    def node(self, bucket: int) -> Node:
        return self._node

    def nodes(self) -> Sequence[Node]:
        return (self._node,)

    def node_at(self, address: Address) -> Node:
        return self._node

    def doubt(self, bucket: int, error: BaseException | None = None) -> None:
        pass

    async def _locate(self) -> Address:
        return self._settings.hosts[0]


class _Watched(_Single):
    """The server that Sentinels name. A master that they deposed may not know it yet, and lose what it is told."""

    def __init__(self, settings: Settings, on_change: Callable[[], None]) -> None:
        super().__init__(settings, on_change)
        self._watching: asyncio.Task[None] | None = None
        self._checking: asyncio.Task[None] | None = None
        self._doubted = False

    async def open(self) -> None:
        self._watching = asyncio.create_task(watch_master(self._settings, self._check))

    async def close(self) -> None:
        for task in (self._watching, self._checking):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        await super().close()

    async def _locate(self) -> Address:
        return await find_master(self._settings)

    def _check(self) -> None:
        self._doubted = True
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self._compare())

    async def _compare(self) -> None:
        # What is told while the Sentinels are being asked may be newer than their answer.
        while self._doubted:
            self._doubted = False
            with suppress(Unreachable):
                self._node.move(await find_master(self._settings))

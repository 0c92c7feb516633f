"""A cluster: which master has which bucket, learned from its nodes and again whenever one says otherwise."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

from redis.crc import key_slot
from redis.exceptions import MovedError

from memsvc.errors import FailedPrecondition, Reason
from memsvc_drivers.redis.connections import abort, ask, connected
from memsvc_drivers.redis.errors import Rerouted, Unreachable
from memsvc_drivers.redis.keys import BUCKETS, META, Keys
from memsvc_drivers.redis.nodes import Node
from memsvc_drivers.redis.settings import Address, Settings

_AGAIN_SECONDS = 0.1


def not_a_cluster() -> FailedPrecondition:
    """Return the error for a URL of a cluster that names a single server."""
    return FailedPrecondition(Reason.NOT_SUPPORTED, "the server is no cluster: use redis://host:port")


class Cluster:
    """The masters of a cluster: see `redis_routing.Route`."""

    def __init__(self, settings: Settings, on_change: Callable[[], None]) -> None:
        self._settings = settings
        self._on_change = on_change
        self._nodes: dict[Address, Node] = {}
        self._owners: dict[int, Node] = {}
        keys = Keys("")
        self._slots = {bucket: key_slot(keys.tag(bucket)) for bucket in (META, *range(BUCKETS))}
        self._looking: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self._closed = False

    async def open(self) -> None:
        await self._learn()

    async def close(self) -> None:
        self._closed = True
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        await asyncio.gather(*(node.retire() for node in self._nodes.values()), *self._leaving)

    def node(self, bucket: int) -> Node:
        node = self._owners.get(bucket)
        if node is None:
            self.doubt(bucket)
            raise Rerouted
        return node

    def nodes(self) -> Sequence[Node]:
        return tuple(dict.fromkeys(self._owners.values()))

    def node_at(self, address: Address) -> Node:
        node = self._nodes.get(address)
        if node is None:
            node = self._nodes[address] = Node(self._settings, _always(address), self._on_change)
        return node

    def doubt(self, bucket: int, error: BaseException | None = None) -> None:
        if isinstance(error, MovedError) and error.host:
            self._owners[bucket] = self.node_at(Address(error.host, error.port))
        if self._looking is None and not self._closed:
            self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        """Learn who has what, again and again while somebody is down."""
        try:
            while True:
                with suppress(Unreachable):
                    await self._learn()
                if len(self._owners) == len(self._slots) and not any(node.is_down for node in self.nodes()):
                    return
                await asyncio.sleep(_AGAIN_SECONDS)
        finally:
            self._looking = None

    async def _learn(self) -> None:
        """Ask a few nodes at once and believe the first that answers. Raises Unreachable."""
        up = [address for address, node in self._nodes.items() if not node.is_down]
        asked = list(dict.fromkeys([*random.sample(up, len(up)), *self._settings.hosts]))
        error: BaseException | None = None
        for address in asked:
            try:
                self._assign(await _slots(self._settings, address))
            except Exception as failure:
                error = failure
                continue
            return
        raise Unreachable from error

    def _assign(self, ranges: Iterable[tuple[int, int, Address]]) -> None:
        masters = sorted(ranges)
        before = self.nodes()
        for bucket, slot in self._slots.items():
            owner = next((address for first, last, address in masters if first <= slot <= last), None)
            if owner is None:
                self._owners.pop(bucket, None)
            else:
                self._owners[bucket] = self.node_at(owner)
        kept = {address for _, _, address in masters}
        for address in [address for address in self._nodes if address not in kept]:
            leaving = asyncio.create_task(self._nodes.pop(address).retire())
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)
        if before and set(before) != set(self.nodes()):
            self._on_change()


async def _slots(settings: Settings, address: Address) -> list[tuple[int, int, Address]]:
    """Return the ranges of slots with their masters, as one node knows them."""
    connection = await connected(settings, address)
    try:
        found: Sequence[Any] = await ask(connection, "CLUSTER", "SLOTS")
    finally:
        await abort(connection)
    # A node that does not know a name leaves it out: then it is that of the node which was asked.
    return [
        (first, last, Address(address.host if master[0] in (None, b"", b"?") else master[0].decode(), master[1]))
        for first, last, master, *_ in found
    ]


def _always(address: Address) -> Callable[[], Any]:
    async def locate() -> Address:
        return address

    return locate

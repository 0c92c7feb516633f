"""Which server a bucket is on: one for all, the one that Sentinels name, or one of a cluster's masters.

Who is a master changes while memsvc runs. Sentinels are all listened to, and all asked: one that is cut off from the
others names the old master, and the highest configuration epoch is right. A cluster's nodes are asked for their ranges
of slots, and again whenever one answers MOVED or is down. For example: bucket 17 is on 10.0.0.1, which dies, and its
replica at 10.0.0.4 takes over. Calls of bucket 17 wait; `doubt` finds 10.0.0.4, and they are sent there.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

from redis.asyncio.connection import AbstractConnection
from redis.crc import key_slot
from redis.exceptions import MovedError, ResponseError

from memsvc.errors import FailedPrecondition, Reason
from memsvc.log import Log
from memsvc_drivers.redis.connections import abort, ask, connected, next_message
from memsvc_drivers.redis.errors import NoMaster, Rerouted, Unreachable
from memsvc_drivers.redis.keys import CLUSTER_BUCKETS, META, tag
from memsvc_drivers.redis.nodes import Node
from memsvc_drivers.redis.settings import Address, Mode, Settings

_LEARN_AGAIN_SECONDS = 0.1
_LISTEN_AGAIN_SECONDS = 1.0
_LAGGARDS_SECONDS = 0.2
"""How long to wait for the other Sentinels after the first has answered."""
log = Log(__name__)


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


class _Named(NamedTuple):
    """What one Sentinel says: the latest configuration is right."""

    epoch: int
    master: Address


async def find_master(settings: Settings) -> Address:
    """Return whom the Sentinels name. Raises Unreachable."""
    asking = {asyncio.create_task(_asked_sentinel(settings, address)) for address in settings.hosts}
    named: list[_Named] = []
    error: BaseException | None = None
    unknown = False
    try:
        waiting = asking
        while waiting:
            timeout = _LAGGARDS_SECONDS if named else None
            done, waiting = await asyncio.wait(waiting, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                break
            for answer in done:
                error = answer.exception() or error
                if answer.exception() is None:
                    found = answer.result()
                    unknown = unknown or found is None
                    named += [found] if found is not None else []
    finally:
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
    if not named:
        raise Unreachable from NoMaster() if unknown else error
    return max(named).master


async def watch_master(settings: Settings, on_switch: Callable[[], None]) -> None:
    """Listen to all Sentinels, for good, and tell when one of them says that the master is another one.

    To all, for one that is cut off from the others does not hear of it.
    """
    await asyncio.gather(*(_keep_listening(settings, address, on_switch) for address in settings.hosts))


async def _asked_sentinel(settings: Settings, address: Address) -> _Named | None:
    connection = await _to_sentinel(settings, address)
    try:
        async with asyncio.timeout(settings.connect_timeout_ms / 1000):
            found = await ask(connection, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", settings.service)
            if not found:
                return None
            facts = _pairs(await ask(connection, "SENTINEL", "MASTER", settings.service))
    finally:
        await abort(connection)
    return _Named(int(facts.get(b"config-epoch", 0)), Address(found[0].decode(), int(found[1])))


async def _keep_listening(settings: Settings, address: Address, on_switch: Callable[[], None]) -> None:
    silent = False

    def heard() -> None:
        nonlocal silent
        silent = False
        on_switch()

    while True:
        try:
            await _listen(settings, address, heard)
        except Exception as error:
            if not silent:
                log.warning("sentinel_not_heard", address=str(address), error=type(error).__name__)
            silent = True
            await asyncio.sleep(_LISTEN_AGAIN_SECONDS)


async def _listen(settings: Settings, address: Address, on_switch: Callable[[], None]) -> None:
    timeout_seconds = settings.connect_timeout_ms / 1000
    connection = await _to_sentinel(settings, address)
    try:
        async with asyncio.timeout(timeout_seconds):
            await ask(connection, "SUBSCRIBE", "+switch-master")
        # What happened before this connection is not told.
        on_switch()
        while True:
            reply = await next_message(connection, timeout_seconds)
            if reply[0] == b"message" and reply[2].split(b" ")[0] == settings.service.encode():
                on_switch()
    finally:
        await abort(connection)


async def _to_sentinel(settings: Settings, address: Address) -> AbstractConnection:
    return await connected(settings, address, settings.sentinel_credentials, database=0)


def _pairs(reply: Iterable[bytes] | ResponseError) -> dict[bytes, bytes]:
    entries = iter(reply) if not isinstance(reply, ResponseError) else iter(())
    return dict(zip(entries, entries, strict=True))


def not_a_cluster() -> FailedPrecondition:
    """Return the error for a URL of a cluster that names a single server."""
    return FailedPrecondition(Reason.NOT_SUPPORTED, "the server is no cluster: use redis://host:port")


class Cluster:
    """The masters of a cluster: see `Route`."""

    def __init__(self, settings: Settings, on_change: Callable[[], None]) -> None:
        self._settings = settings
        self._on_change = on_change
        self._nodes: dict[Address, Node] = {}
        self._owners: dict[int, Node] = {}
        self._slots = {bucket: key_slot(tag(bucket)) for bucket in (META, *range(CLUSTER_BUCKETS))}
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
                await asyncio.sleep(_LEARN_AGAIN_SECONDS)
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

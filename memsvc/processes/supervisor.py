"""Starts the processes that serve, starts anew what ends, and ends them in order.

SIGHUP            settings are read again, and one process after the other is replaced: the new one serves before the
                  old one drains, so that there are never fewer than wanted
SIGTERM, SIGINT   all drain at once
a process ends    another takes its place, at once, and later and later while it ends again soon
the supervisor is killed    the processes see the end of their socket to it, and drain
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec import structs

from memsvc.config import Config
from memsvc.errors import Error, invalid
from memsvc.log import Log, start_logging
from memsvc.metrics.instruments import Asked
from memsvc.metrics.merging import Block, block, merged
from memsvc.processes.addresses import HeldAddresses
from memsvc.processes.child import Child
from memsvc.ready_file import write_ready_file
from memsvc.stopping import told_to_stop

log = Log(__name__)

_FIRST_WAIT_SECONDS: Final = 0.1
_LONGEST_WAIT_SECONDS: Final = 30.0
_STEADY_SECONDS: Final = 60.0
"""What served for so long has not failed at its start: another takes its place at once."""
_ANSWER_SECONDS: Final = 2.0
"""A process that takes longer to say what it has counted is left out."""

Load = Callable[[], tuple[Config, Mapping[str, str]]]
"""Reads the settings, and where each came from that is no default. Raises Error where they cannot be."""


def run(load: Load) -> None:
    """Serve with several processes until SIGTERM or SIGINT. Raises Error where one cannot start."""
    config, sources = load()
    start_logging(config.log_level, config.log_format)
    if not sys.platform.startswith("linux"):
        # Elsewhere SO_REUSEPORT gives all connections to the process that bound the port last.
        raise invalid("processes", "more than 1 share a port on Linux only")
    with HeldAddresses() as addresses:
        asyncio.run(Supervisor(load, addresses, config, sources).run())


class Supervisor:
    """Watches over the processes."""

    def __init__(self, load: Load, addresses: HeldAddresses, config: Config, sources: Mapping[str, str]) -> None:
        self._load = load
        self._addresses = addresses
        self._count = config.processes
        self._given = config
        self._config = addresses.hold(config)
        self._sources = sources
        self._slots = [_Slot(number) for number in range(1, self._count + 1)]
        self._children: set[Child] = set()
        """All that have not ended, those that start or drain included."""
        self._replacing = asyncio.Lock()
        self._restarts = 0

    async def run(self) -> None:
        """Serve until told to stop."""
        stopped = asyncio.create_task(told_to_stop(self._given.exit_when_unlocked))
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._reload)
        serving = asyncio.create_task(self._serve())
        try:
            await asyncio.wait({stopped, serving}, return_when=asyncio.FIRST_COMPLETED)
            if serving.done():
                await serving
            log.info("stopping", processes=len(self._children))
        finally:
            stopped.cancel()
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            await asyncio.gather(*(child.stop() for child in self._children))

    async def _serve(self) -> None:
        addresses = await asyncio.gather(*(self._begin(slot) for slot in self._slots))
        write_ready_file(self._given.ready_file, addresses[0])
        log.info("supervising", processes=self._count)
        async with asyncio.TaskGroup() as keeping:
            for slot in self._slots:
                keeping.create_task(self._keep(slot))

    async def _begin(self, slot: _Slot) -> Sequence[str]:
        """Start a process, give it the slot once it serves, and return where. Raises Error where it ends before."""
        child = await Child.started(slot.number, self._config, self._sources, self._addresses.sockets, self._collected)
        self._children.add(child)
        try:
            addresses = await child.serves()
        except Error:
            self._children.discard(child)
            raise
        slot.child, slot.since = child, time.monotonic()
        return addresses

    async def _keep(self, slot: _Slot) -> None:
        """Let a process serve in this slot for as long as this runs."""
        while True:
            child = slot.child
            assert child is not None
            ended, outdated = asyncio.create_task(child.ended()), asyncio.create_task(slot.outdated.wait())
            try:
                await asyncio.wait({ended, outdated}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                ended.cancel()
                outdated.cancel()
            if child.exit_code is not None:
                await self._start_again(slot, child)
            else:
                await self._replace(slot, child)

    async def _start_again(self, slot: _Slot, ended: Child) -> None:
        log.warning("process_ended", process=slot.number, pid=ended.pid, exit_code=ended.exit_code)
        self._children.discard(ended)
        slot.child = None
        if time.monotonic() - slot.since > _STEADY_SECONDS:
            slot.wait_seconds = 0.0
        while slot.child is None:
            await asyncio.sleep(slot.wait_seconds)
            slot.wait_seconds = min(max(2 * slot.wait_seconds, _FIRST_WAIT_SECONDS), _LONGEST_WAIT_SECONDS)
            self._restarts += 1
            slot.outdated.clear()
            try:
                await self._begin(slot)
            except Error as error:
                log.warning("process_not_started", process=slot.number, because=error.message)

    async def _replace(self, slot: _Slot, old: Child) -> None:
        async with self._replacing:
            slot.outdated.clear()
            try:
                await self._begin(slot)
            except Error as error:
                log.warning("process_not_replaced", process=slot.number, because=error.message)
                return
            await old.stop()
            self._children.discard(old)
            log.info("process_replaced", process=slot.number)

    def _reload(self) -> None:
        """Read the settings again, and replace all processes. What is wrong with the settings is said, and no more."""
        try:
            config, sources = self._load()
            self._config = self._served_as_before(config)
        except Error as error:
            log.warning("settings_refused", because=error.message)
            return
        self._sources = sources
        log.info("replacing", processes=self._count)
        for slot in self._slots:
            slot.outdated.set()

    def _served_as_before(self, config: Config) -> Config:
        """Return the settings with the addresses and the number of processes that are held. Raises InvalidArgument."""
        for name in ("processes", "listen", "health_listen", "http_listen"):
            if getattr(config, name) != getattr(self._given, name):
                raise invalid(name, "takes a restart as a whole to change")
        return structs.replace(
            config,
            listen=self._config.listen,
            health_listen=self._config.health_listen,
            http_listen=self._config.http_listen,
        )

    async def _collected(self) -> Sequence[Block]:
        """Return what all processes have counted, and this one."""
        pages = await asyncio.gather(*(_counted(slot.child) for slot in self._slots if slot.child is not None))
        return merged([*pages, self._counted(sum(bool(page) for page in pages))])

    def _counted(self, answering: int) -> list[Block]:
        families = [
            Asked("memsvc_processes_wanted", "Processes that are to serve.", lambda: self._count),
            Asked("memsvc_processes_serving", "Processes that serve, and answer.", lambda: answering),
            Asked(
                "memsvc_process_restarts_total",
                "Processes that were started because another had ended by itself.",
                lambda: self._restarts,
                kind="counter",
            ),
        ]
        return [block(family) for family in families]


class _Slot:
    """The place of one process: who serves in it, one after the other."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.child: Child | None = None
        """None: nobody serves in it."""
        self.since = 0.0
        """When the child began to serve, on the monotonic clock."""
        self.wait_seconds = 0.0
        """Before the next one is started in the place of one that ended."""
        self.outdated = asyncio.Event()
        """The child has other settings than it should."""


async def _counted(child: Child) -> Sequence[Block]:
    with contextlib.suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(_ANSWER_SECONDS):
            return await child.counted()
    return ()

"""Redis as the tests of its driver want it: short timeouts, a Sentinel, items to append."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from memsvc.storage.conformance import Place
from memsvc.storage.driver import StorageUnavailable
from memsvc_drivers.redis_keys import Keys
from tests.servers.redis import Redis

HASTY = {"connect_timeout_ms": "500", "operation_timeout_ms": "1500"}
KEYS = Keys("memsvc:")


def place(url: str, **options: str) -> Place:
    """Return a store of the driver, with short timeouts unless others are given."""
    return Place(url, {**HASTY, **options})


async def until(condition: Callable[[], bool]) -> None:
    """Return once it holds."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.02)


async def until_served(call: Callable[[], Awaitable[object]]) -> None:
    """Return once the store is available."""
    async with asyncio.timeout(20):
        while True:
            try:
                await call()
            except StorageUnavailable:
                await asyncio.sleep(0.02)
            else:
                return


class Sentinel(Redis):
    """A Sentinel that watches one server, alone: what it sees is decided."""

    title = "Sentinel"

    def __init__(self, watched: Redis, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(settings)
        lines = [
            f"port {self.port}",
            f"dir {self.folder}",
            f"sentinel monitor memories 127.0.0.1 {watched.port} 1",
            "sentinel down-after-milliseconds memories 500",
            "sentinel failover-timeout memories 2000",
        ]
        self._file = Path(self.folder) / "sentinel.conf"
        self._file.write_text("\n".join(lines) + "\n")

    def command(self) -> Sequence[str]:
        return [super().command()[0], str(self._file), "--sentinel"]

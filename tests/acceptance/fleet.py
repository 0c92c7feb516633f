"""Several servers on one database, some of which are killed or frozen, and how clients reach those that serve."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TypeVar

from memsvc.storage.conformance import Place
from memsvc_client import AsyncMemoryClient, DeadlineExceeded, Unavailable
from tests.torture.process import Installation, Server

_T = TypeVar("_T")

LEASE_SECONDS = 1.0
CALL_SECONDS = 4.0
_SETTINGS = {
    "quiet_seconds": 0,
    "poll_seconds": 0.3,
    "lease_seconds": LEASE_SECONDS,
    # Parking what kills its worker again and again is right; here kills are not its doing.
    "max_attempts": 1_000,
}


@dataclass(eq=False)
class Member:
    """One server, and a client of it."""

    server: Server
    client: AsyncMemoryClient


@dataclass
class Fleet:
    """Starts, kills and freezes servers."""

    installation: Installation
    stack: AsyncExitStack
    random: Random = field(default_factory=lambda: Random(7))
    serving: list[Member] = field(default_factory=list)
    """Those that answer, as far as their clients can know."""
    kills: int = 0
    freezes: int = 0

    async def start(self, *, call_seconds: float = CALL_SECONDS, **settings: object) -> Member:
        """Start a server and return when it serves; its client waits call_seconds for each answer."""
        server = await self.stack.enter_async_context(self.installation.serving(**settings))
        client = await self.stack.enter_async_context(AsyncMemoryClient(server.target, timeout_seconds=call_seconds))
        member = Member(server, client)
        self.serving.append(member)
        return member

    async def kill(self, member: Member) -> None:
        """End a server at once."""
        self.serving.remove(member)
        await member.server.kill()
        self.kills += 1

    async def freeze(self, member: Member, seconds: float) -> None:
        """Let a server stand still for a while; its clients find out by themselves."""
        member.server.freeze()
        await asyncio.sleep(seconds)
        member.server.thaw()
        self.freezes += 1

    async def call(self, send: Callable[[AsyncMemoryClient], Awaitable[_T]]) -> _T:
        """Send a request, which must be safe to repeat, to one server after the other until one answers."""
        while True:
            try:
                return await send(self.random.choice(self.serving).client)
            except (Unavailable, DeadlineExceeded):
                await asyncio.sleep(0.02)


@asynccontextmanager
async def fleet(place: Place, folder: Path, **settings: object) -> AsyncIterator[Fleet]:
    """Return a fleet without servers yet; those that it gets end with it."""
    async with AsyncExitStack() as stack:
        yield Fleet(Installation.on(folder, place, {**_SETTINGS, **settings}), stack)

"""The place of a process among several: the supervisor as that process sees it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence
from typing import Self

from memsvc.config import Config
from memsvc.errors import Error, Reason
from memsvc.http.metrics import MetricsPage
from memsvc.http.port import Answer, Page
from memsvc.metrics.instruments import CONTENT_TYPE
from memsvc.metrics.merging import Block, page
from memsvc.processes.messages import Channel, Failed, Serve, Serving
from memsvc.stopping import told_to_stop


class Siblings:
    """Tells the supervisor what this process does, and asks it what the others have counted."""

    def __init__(self, channel: Channel, start: Serve) -> None:
        self._channel = channel
        self.number = start.number
        self.sockets: Mapping[str, socket.socket] = {
            address: socket.socket(fileno=descriptor) for address, descriptor in start.sockets.items()
        }
        self._metrics: MetricsPage | None = None

    @classmethod
    async def joined(cls, own: socket.socket) -> tuple[Self, Config, Mapping[str, str]]:
        """Return the place, and what is to be served, once the supervisor has said it.

        Raises Error where the supervisor has ended before.
        """
        reader, writer = await asyncio.open_connection(sock=own)
        siblings: Self | None = None

        async def counted() -> Sequence[Block]:
            return siblings._counted() if siblings is not None else ()

        channel = Channel(reader, writer, counted)
        start = await channel.told()
        if not isinstance(start, Serve):
            raise Error(Reason.SERVER_DRAINING, "the process that watches over this one has ended")
        siblings = cls(channel, start)
        return siblings, start.config, start.sources

    def serves(self, addresses: Sequence[str]) -> None:
        self._channel.tell(Serving(list(addresses)))

    async def failed(self, error: Error) -> None:
        """Tell why this process cannot serve."""
        self._channel.tell(Failed(str(error.reason), error.message))
        await self._channel.flushed()

    async def told_to_stop(self) -> None:
        """Return on a signal, or once the supervisor is gone: nobody would ever stop this process."""
        signalled = asyncio.create_task(told_to_stop(""))
        lost = asyncio.create_task(self._lost())
        try:
            await asyncio.wait({signalled, lost}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            signalled.cancel()
            # `lost` goes on: it answers the others while this one drains.

    def page(self, metrics: MetricsPage) -> Page:
        self._metrics = metrics
        return self._page

    async def _page(self) -> Answer:
        try:
            blocks = await self._channel.collected()
        except ConnectionError:
            blocks = self._counted()
        return 200, CONTENT_TYPE, page(blocks).encode()

    def _counted(self) -> list[Block]:
        return self._metrics.blocks(self.number) if self._metrics is not None else []

    async def _lost(self) -> None:
        while await self._channel.told() is not None:
            pass

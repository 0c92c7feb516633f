"""What the supervisor and a process that serves say to each other, over a socket that only these two have.

Frames of MessagePack, each after its length in four bytes. The end of the socket is a message too: of the other's end.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec

from memsvc.config import Config
from memsvc.metrics.merging import Block

_LENGTH: Final = struct.Struct(">I")


class Serve(msgspec.Struct, frozen=True, tag=True):
    """To a process: serve so."""

    number: int
    """Which process it is, from 1 on. One that takes its place has the same number."""
    config: Config
    sources: dict[str, str]
    """Where each setting came from that is no default."""
    sockets: dict[str, int]
    """Descriptors of the unix sockets that it accepts from, by their addresses."""


class Serving(msgspec.Struct, frozen=True, tag=True):
    """To the supervisor: this process serves."""

    addresses: list[str]
    """Where the API is served, and then where HTTP is."""


class Failed(msgspec.Struct, frozen=True, tag=True):
    """To the supervisor: this process cannot serve, for this reason."""

    reason: str
    message: str


class Collect(msgspec.Struct, frozen=True, tag=True):
    """To a process: what have you counted? To the supervisor: what have all of them counted?"""

    question: int


class Collected(msgspec.Struct, frozen=True, tag=True):
    """The answer."""

    question: int
    blocks: list[Block]


Message = Serve | Serving | Failed | Collect | Collected

_decoder: Final = msgspec.msgpack.Decoder(Message)
_encode: Final = msgspec.msgpack.Encoder().encode


class Channel:
    """One end of the socket."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        collect: Callable[[], Awaitable[Sequence[Block]]],
    ) -> None:
        """`collect` answers what the other end asks for."""
        self._reader = reader
        self._writer = writer
        self._collect = collect
        self._numbers = itertools.count(1)
        self._asked: dict[int, asyncio.Future[list[Block]]] = {}
        self._answering: set[asyncio.Task[None]] = set()

    def tell(self, message: Message) -> None:
        """Send a message; one that has nobody to go to any more is dropped."""
        data = _encode(message)
        self._writer.write(_LENGTH.pack(len(data)) + data)

    async def told(self) -> Message | None:
        """Return the next message that is neither question nor answer; None: the other end is gone."""
        while (message := await self._next()) is not None:
            if isinstance(message, Collect):
                task = asyncio.create_task(self._answer(message))
                self._answering.add(task)
                task.add_done_callback(self._answering.discard)
            elif isinstance(message, Collected):
                asked = self._asked.get(message.question)
                if asked is not None and not asked.done():
                    asked.set_result(message.blocks)
            else:
                return message
        for asked in self._asked.values():
            if not asked.done():
                asked.set_exception(ConnectionResetError("the other end is gone"))
        return None

    async def collected(self) -> list[Block]:
        """Ask the other end. Raises ConnectionError where that is gone; waits as long as it takes."""
        question = next(self._numbers)
        asked: asyncio.Future[list[Block]] = asyncio.get_running_loop().create_future()
        self._asked[question] = asked
        try:
            self.tell(Collect(question))
            return await asked
        finally:
            del self._asked[question]

    def close(self) -> None:
        for task in self._answering:
            task.cancel()
        self._writer.close()

    async def flushed(self) -> None:
        """Return once what was told has gone out, or nobody is there to take it."""
        with contextlib.suppress(ConnectionError):
            await self._writer.drain()

    async def _next(self) -> Message | None:
        try:
            (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
            return _decoder.decode(await self._reader.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def _answer(self, message: Collect) -> None:
        self.tell(Collected(message.question, list(await self._collect())))

"""An observed conversation for asyncio. Its blocking twin is conversation.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from memsvc.v1 import extraction_pb2, message_pb2
from memsvc_client.errors import ClientMisused, MemoryServiceError
from memsvc_client.extraction import ExtractionEvent
from memsvc_client.memory import Commit
from memsvc_client.message import MessageLike
from memsvc_client.observation import Observation, message_of, messages_of
from memsvc_client.streams import Leg, stream_cut

if TYPE_CHECKING:
    from memsvc_client.async_connection import AsyncConnection


class AsyncConversation:
    """A conversation that is observed, to be used in an `async with`."""

    def __init__(self, connection: AsyncConnection, observation: Observation) -> None:
        self._connection = connection
        self._observation = observation
        self._changed = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"AsyncConversation({self._observation.session_id!r}, {self.last_number} messages)"

    @property
    def last_number(self) -> int:
        """The number of the last message that is stored; 0: none is."""
        return self._observation.acknowledged_number

    @property
    def events(self) -> list[ExtractionEvent]:
        """What happened to the extractions so far, hints left out."""
        return list(self._observation.events)

    @property
    def commits(self) -> list[Commit]:
        """What was learned so far."""
        return self._observation.commits

    async def add(self, *said: MessageLike | str) -> int:
        """Say one message, as "user" and "Hi", a dict or a Message; return its number once it is stored.

        Raises MemoryServiceError; what was said may then be stored, and is not said twice if the session is observed
        anew from `last_number` on.
        """
        return (await self._say([message_of(said)]))[-1]

    async def extend(self, messages: Iterable[MessageLike]) -> list[int]:
        """Say several messages, many of them on their way at once; return their numbers once all are stored."""
        return await self._say(messages_of(messages))

    async def close(self) -> None:
        """Learn from what is left, at once, and return when that has ended. Raises MemoryServiceError."""
        self._observation.closing = True
        self._ring()
        if self._running is not None:
            await self._running

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self._run())
        try:
            await self._until(lambda: self._observation.started)
        except BaseException:
            await self._cut()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            await self._cut()
            return
        try:
            await self.close()
        except asyncio.CancelledError:
            await self._cut()
            raise

    async def _say(self, messages: list[message_pb2.Message]) -> list[int]:
        numbers = []
        for message in messages:
            await self._until(lambda: self._observation.has_room)
            if self._observation.closing or not self._observation.started:
                raise ClientMisused("the conversation is not open: use it in an `async with`", reason="NOT_OPEN")
            numbers.append(self._observation.say(message))
            self._ring()
        if numbers:
            await self._until(lambda: self.last_number >= numbers[-1])
        return numbers

    def _ring(self) -> None:
        """Wake all who wait for something to change."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            if self._running is None or self._running.done():
                if self._running is not None and not self._running.cancelled():
                    self._running.result()
                return
            await self._changed.wait()

    async def _cut(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def _run(self) -> None:
        try:
            while not self._observation.ended:
                await self._follow(self._observation.begin_leg())
        finally:
            asyncio.get_running_loop().call_soon(self._ring)

    async def _follow(self, leg: Leg) -> None:
        """Follow one stream to its end, and wait for the next where it broke."""
        call = None
        try:
            call = await self._connection.converse(leg, self._requests(leg))
            async for reply in call:
                event = self._observation.take(reply)
                self._ring()
                if event is not None and self._observation.on_event is not None:
                    self._observation.on_event(event)
            self._observation.ended = self._observation.closing and self._observation.to_send(0) is None
            failure: MemoryServiceError = stream_cut()
        except Exception as error:
            failure = self._connection.failure_of(error)
        finally:
            if call is not None:
                call.cancel()
        if not self._observation.ended:
            await self._connection.wait_for_leg(self._observation, failure)

    async def _requests(self, leg: Leg) -> AsyncIterator[extraction_pb2.ObserveConversationRequest]:
        yield leg.request  # type: ignore[misc]
        sent = 0
        while True:
            message = self._observation.to_send(sent)
            if message is not None:
                sent = message.number
                yield extraction_pb2.ObserveConversationRequest(message=message)
            elif self._observation.closing:
                return
            else:
                await self._changed.wait()

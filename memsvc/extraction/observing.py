"""Observing a conversation: messages go in by number, acknowledgements and what is learned come out.

One task hands messages to the writer in their order, one acknowledges them in that order, and each extraction that
learns from them is followed by one of its own. All put what happened into a queue of one place: so a client that does
not read holds up its own stream, and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Final, NoReturn

from msgspec import Struct

from memsvc.errors import Error, FieldViolation
from memsvc.extraction.jobs.events import Heartbeat
from memsvc.extraction.jobs.extractions import Extractions, Numbered
from memsvc.model import Scope
from memsvc.sessions.commands import RunReceipt
from memsvc.sessions.observing import ObserveCommand
from memsvc.sessions.sessions import Sessions

MAX_UNACKNOWLEDGED: Final = 64
_FOLLOWED_AT_ONCE: Final = 8


class Started(Struct, frozen=True):
    """Messages are awaited."""

    last_number: int
    """Of the last message that is stored; 0: none is."""


class Acknowledged(Struct, frozen=True):
    """A message is stored, and all before it."""

    number: int
    receipt: RunReceipt


class Learning(Struct, frozen=True):
    """Something happened to an extraction."""

    extraction_id: str
    event: Numbered


Observed = Started | Acknowledged | Learning | Heartbeat


class Position(Struct, frozen=True):
    """An extraction, and how much of it was seen."""

    extraction_id: str
    resume_token: str


class _Sent(Struct, frozen=True):
    """A message on its way to the journal."""

    number: int
    writing: asyncio.Task[RunReceipt]


class Observation:
    """One stream of a conversation. Used once."""

    def __init__(
        self,
        scope: Scope,
        session_id: str,
        positions: Sequence[Position],
        sessions: Sessions,
        extractions: Extractions,
        next_message: Callable[[], Awaitable[ObserveCommand | None]],
    ) -> None:
        """`next_message` waits for the next one; None: the client has said all."""
        self._scope = scope
        self._session_id = session_id
        self._positions = positions
        self._sessions = sessions
        self._extractions = extractions
        self._next_message = next_message
        self._happened: asyncio.Queue[Observed | Error | Exception | None] = asyncio.Queue(1)
        self._sent: asyncio.Queue[_Sent | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(MAX_UNACKNOWLEDGED)
        self._following = asyncio.Semaphore(_FOLLOWED_AT_ONCE)
        self._followed: set[str] = set()
        self._ended: set[str] = set()
        self._last_number = 0

    async def events(self) -> AsyncGenerator[Observed, None]:
        """Yield what happens; ends after the client has said all, and what it said is learned from or never will be.

        Raises what storing a message raises, and `Extractions.watch` for the positions.
        """
        stretch = await self._sessions.stretch(self._scope, self._session_id)
        self._last_number = stretch.last_number
        yield Started(stretch.last_number)
        running = asyncio.create_task(self._run(stretch.extraction_ids))
        try:
            while True:
                happened: Observed | Exception | None
                try:
                    async with asyncio.timeout(self._extractions.heartbeat_seconds):
                        happened = await self._happened.get()
                except TimeoutError:
                    happened = Heartbeat()
                if happened is None:
                    return
                if isinstance(happened, Exception):
                    raise happened
                yield happened
                if isinstance(happened, Acknowledged):
                    self._room.release()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def _run(self, open_ids: Sequence[str]) -> None:
        """Do all there is to do, and say that nothing follows, or why."""
        try:
            async with asyncio.TaskGroup() as group:
                named = {each.extraction_id for each in self._positions}
                for index, position in enumerate(self._positions):
                    self._follow(group, position, f"start.extractions[{index}]")
                for extraction_id in open_ids:
                    if extraction_id not in named:
                        self._follow(group, Position(extraction_id, ""))
                acknowledging = group.create_task(self._acknowledge(group))
                await self._store(group)
                await acknowledging
                for extraction_id in self._followed - self._ended:
                    await self._extractions.hasten(self._scope, extraction_id)
        except BaseExceptionGroup as failures:
            await self._happened.put(_first(failures))
        else:
            await self._happened.put(None)

    async def _store(self, group: asyncio.TaskGroup) -> None:
        """Hand messages to the writer, as they come."""
        while True:
            await self._room.acquire()
            command = await self._next_message()
            if command is None:
                self._sent.put_nowait(None)
                return
            writing = group.create_task(self._sessions.append(self._scope, command))
            self._sent.put_nowait(_Sent(command.run.observed_number, writing))

    async def _acknowledge(self, group: asyncio.TaskGroup) -> None:
        while (sent := await self._sent.get()) is not None:
            receipt = await sent.writing
            # Of what was sent again, whoever sends it may have missed what came of it: but not of what is long over.
            is_late = sent.number + MAX_UNACKNOWLEDGED <= self._last_number
            if receipt.extraction_id and not is_late:
                self._follow(group, Position(receipt.extraction_id, ""))
            await self._happened.put(Acknowledged(sent.number, receipt))

    def _follow(self, group: asyncio.TaskGroup, position: Position, path: str = "") -> None:
        if position.extraction_id not in self._followed:
            self._followed.add(position.extraction_id)
            group.create_task(self._tell(position, path))

    async def _tell(self, position: Position, path: str) -> None:
        """Tell what happens to an extraction until it has ended."""
        async with self._following:
            events = self._extractions.watch(self._scope, position.extraction_id, position.resume_token)
            try:
                async with contextlib.aclosing(events):
                    async for event in events:
                        if not isinstance(event.event, Heartbeat):
                            await self._happened.put(Learning(position.extraction_id, event))
            except Error as error:
                if path:
                    error.fields = [
                        FieldViolation(f"{path}.{each.field}", each.description) for each in error.fields
                    ] or [FieldViolation(f"{path}.extraction_id", error.message)]
                raise
            self._ended.add(position.extraction_id)


def _first(failures: BaseExceptionGroup[BaseException]) -> Exception:
    """Return what failed first. Raises what is no failure."""
    failure: BaseException = failures
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    if not isinstance(failure, Exception):
        _raise(failure)
    return failure


def _raise(failure: BaseException) -> NoReturn:
    raise failure

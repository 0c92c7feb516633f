"""How much a server takes on at once: calls, open streams, and the bytes that they hold."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any, Final

from google.protobuf.message import DecodeError

from memsvc.foreground import Foreground
from memsvc.rpc.arriving import LARGE_BYTES, Arrivals
from memsvc.rpc.counting import MAX_REPEATED, Kind, at_most_messages, count_messages
from memsvc.rpc.intake import Intake
from memsvc.rpc.room import SMALL_BYTES, Room, full
from memsvc.rpc.turns import Turns

_MESSAGE_BYTES: Final = 600
"""What is made of a message in a request, be it empty."""
FEW_BYTES: Final = 256
"""A request of so many bytes holds too few messages to be worth counting: as much again is made of it."""
_NO_LONG_LIST_BYTES: Final = 2 * MAX_REPEATED
"""No list of a request of so many bytes is too long: what is in one takes two, or more."""
_FEW_MESSAGES: Final = 40
"""So many, some texts taken for messages among them, are not worth counting: a turn of user and assistant has nine."""
_CONTROL_CHARACTERS: Final = bytes(itertools.chain(range(0x20), range(0x7F, 0x80)))
_PIECE_BYTES: Final = 32 << 10
_ESCAPED_BYTES: Final = 6
"""A control character as it is stored, in JSON."""


class Admission:
    """Counts the calls of a server, and what they hold.

    `largest_bytes` is what gRPC lets through as a message, `slowest_seconds` how long one may take to come in.
    """

    def __init__(
        self,
        foreground: Foreground,
        *,
        max_calls: int,
        max_bytes: int,
        largest_bytes: int,
        slowest_seconds: float,
    ) -> None:
        self.foreground = foreground
        self.room = Room(max_bytes)
        self._intake = Intake()
        self.room.on_let_go = self._intake.large_went
        self.turns = Turns(self._intake)
        self.arrivals = Arrivals(self.room, self._intake, largest_bytes, slowest_seconds)
        self._max_calls = max_calls
        self._calls = 0
        self._streams = 0

    def enter(self, *, streams: bool) -> asyncio.Task[Any]:
        """Count the current task's call until the task has ended: then its reply was taken, or the client is gone.

        Raises Unavailable (TOO_MANY_CALLS) where there are too many already; streams count apart from other calls, as
        they may stay open for days.
        """
        task = asyncio.current_task()
        assert task is not None
        self._intake.call_came()
        if streams:
            if self._streams >= self._max_calls:
                raise full(f"{self._max_calls} streams are open")
            self._streams += 1
            task.add_done_callback(self._stream_ended)
        else:
            if self._calls >= self._max_calls:
                raise full(f"{self._max_calls} calls are under way")
            self._calls += 1
            task.add_done_callback(self._call_ended)
        return task

    @property
    def calls(self) -> int:
        """Calls under way, streams apart."""
        return self._calls

    def _call_ended(self, task: asyncio.Task[Any]) -> None:
        self._calls -= 1
        self.room.let_go(task)

    def _stream_ended(self, task: asyncio.Task[Any]) -> None:
        self._streams -= 1
        self.room.let_go(task)


def few_made_of(raw: bytes, tags: bytes) -> int:
    """Return what is made of a request in RAM, about, that surely holds few messages; 0: they have to be counted.

    `tags` are the `message_tags` of its kind.
    """
    if len(raw) <= FEW_BYTES:
        return len(raw)
    if len(raw) > _NO_LONG_LIST_BYTES:
        return 0
    messages = at_most_messages(raw, tags)
    return min(len(raw) + messages * _MESSAGE_BYTES, SMALL_BYTES) if messages <= _FEW_MESSAGES else 0


async def made_of(raw: bytes, kind: Kind) -> int:
    """Return what is made of a request in RAM until it was answered, about, in bytes.

    Raises InvalidArgument that names a list which is too long.
    """
    try:
        messages = await count_messages(raw, kind)
    except DecodeError:
        # Whoever parses it says so.
        messages = 0
    escaped = _control_characters(raw) if len(raw) > LARGE_BYTES else 0
    return len(raw) + messages * _MESSAGE_BYTES + escaped * _ESCAPED_BYTES


def _control_characters(raw: bytes) -> int:
    """Return how many there are: piece by piece, as new memory for all of it would cost more than the count."""
    pieces = (raw[at : at + _PIECE_BYTES] for at in range(0, len(raw), _PIECE_BYTES))
    return len(raw) - sum(len(piece.translate(None, _CONTROL_CHARACTERS)) for piece in pieces)

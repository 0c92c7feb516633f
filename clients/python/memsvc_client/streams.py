"""A stream that outlives its connection: what to ask for next, what was seen already, when to give up.

No I/O here: the clients send what `begin_leg` says, hand over what comes, and ask `retry_delay` when it breaks. One
connection's worth is a leg. Each leg has a deadline of its own, longer than the server's heartbeat: a server that hangs
is noticed, a stream that lives goes on in the next leg.
"""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

from memsvc_client.errors import DeadlineExceeded, MemoryServiceError, Unavailable
from memsvc_client.rpcs import Rpc

T = TypeVar("T")

LEG_SECONDS = 120.0
"""Eight heartbeats."""
RECONNECT_SECONDS = 60.0
"""How long a stream that has begun looks for a server, before it gives up."""
FIRST_DELAY_SECONDS = 0.1
MAX_DELAY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Leg:
    """One connection of a stream."""

    rpc: Rpc[Any, Any]
    request: Message
    timeout: float


class Stream(ABC, Generic[T]):
    """Events of type T, from one leg to the next. Used once, by one reader."""

    def __init__(self, timeout: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.ended = False
        """The last event was seen."""
        self.metadata: dict[str, str] = {}
        """What an error should tell of the stream."""
        self._timeout = timeout
        self._clock = clock
        self._deadline = float("inf")
        self._begun = self._answered = self._heard = False
        self._failures = 0
        self._silent_since: float | None = None
        self._patience_seconds = RECONNECT_SECONDS

    @abstractmethod
    def next_request(self) -> tuple[Rpc[Any, Any], Message]:
        """Return what to ask for, to get what was not seen yet."""

    @abstractmethod
    def read(self, reply: Any) -> T | None:
        """Return the event in a reply; None where there is nothing new in it. Sets `ended` at the last one."""

    def begin_leg(self) -> Leg:
        """Return what to send now. Raises DeadlineExceeded when the time for the whole stream is over."""
        now = self._clock()
        if not self._begun and self._timeout is not None:
            self._deadline = now + self._timeout
        if self._deadline <= now:
            message = f"the stream had not ended after {self._timeout} s; its work goes on"
            raise DeadlineExceeded(message, metadata=self.metadata)
        self._heard = False
        self._begun = True
        rpc, request = self.next_request()
        return Leg(rpc, request, min(self._deadline - now, LEG_SECONDS))

    def take(self, reply: Any) -> T | None:
        """Return the event in a reply; None where there is nothing new in it."""
        self._heard = self._answered = True
        self._failures, self._silent_since = 0, None
        return self.read(reply)

    def retry_delay(self, failure: MemoryServiceError, patience_seconds: float) -> float | None:
        """Return after how many seconds the next leg should begin; None: give up.

        Until something was heard a server is looked for as long as `patience_seconds`.
        """
        now = self._clock()
        if not isinstance(failure, (Unavailable, DeadlineExceeded)):
            return None
        if now >= self._deadline:
            return 0.0
        if self._heard and isinstance(failure, DeadlineExceeded):
            return 0.0
        if self._silent_since is None:
            self._silent_since = now
            self._patience_seconds = RECONNECT_SECONDS if self._answered else patience_seconds
        self._failures += 1
        backoff = min(FIRST_DELAY_SECONDS * 2 ** (self._failures - 1), MAX_DELAY_SECONDS)
        delay = min(max(backoff * random.uniform(0.8, 1.2), failure.retry_after or 0.0), self._deadline - now)
        return delay if now + delay <= self._silent_since + self._patience_seconds else None


@dataclass(frozen=True, slots=True)
class Gathered(Generic[T]):
    """A whole stream, read as one answer."""

    stream: Stream[Any]
    read: Callable[[Sequence[Any]], T]


def stream_cut() -> Unavailable:
    """Return the failure of a leg that ended well, but before the stream's last event."""
    return Unavailable("the stream ended before its last event")

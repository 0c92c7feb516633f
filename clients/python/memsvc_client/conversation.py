"""An observed conversation over a blocking channel. Its twin for asyncio is async_conversation.py."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from memsvc.v1 import extraction_pb2, message_pb2
from memsvc_client.errors import ClientMisused, MemoryServiceError
from memsvc_client.extraction import ExtractionEvent
from memsvc_client.memory import Commit
from memsvc_client.message import MessageLike
from memsvc_client.observation import Observation, message_of, messages_of
from memsvc_client.streams import Leg, stream_cut

if TYPE_CHECKING:
    from memsvc_client.connection import Connection


class Conversation:
    """A conversation that is observed, to be used in a `with`. Safe to share between threads."""

    def __init__(self, connection: Connection, observation: Observation) -> None:
        self._connection = connection
        self._observation = observation
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="memsvc-observe", daemon=True)
        self._call: Any = None
        self._over = False
        self._failure: BaseException | None = None

    def __repr__(self) -> str:
        return f"Conversation({self._observation.session_id!r}, {self.last_number} messages)"

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

    def add(self, *said: MessageLike | str) -> int:
        """Say one message, as "user" and "Hi", a dict or a Message; return its number once it is stored.

        Raises MemoryServiceError; what was said may then be stored, and is not said twice if the session is observed
        anew from `last_number` on.
        """
        return self._say([message_of(said)])[-1]

    def extend(self, messages: Iterable[MessageLike]) -> list[int]:
        """Say several messages, many of them on their way at once; return their numbers once all are stored."""
        return self._say(messages_of(messages))

    def close(self) -> None:
        """Learn from what is left, at once, and return when that has ended. Raises MemoryServiceError."""
        with self._changed:
            self._observation.closing = True
            self._changed.notify_all()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> Self:
        self._thread.start()
        self._wait_for(lambda: self._observation.started)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self._cut()

    def _say(self, messages: list[message_pb2.Message]) -> list[int]:
        numbers = []
        for message in messages:
            with self._changed:
                self._wait_for(lambda: self._observation.has_room)
                if self._over or self._observation.closing or not self._observation.started:
                    raise ClientMisused("the conversation is not open: use it in a `with`", reason="NOT_OPEN")
                numbers.append(self._observation.say(message))
                self._changed.notify_all()
        if numbers:
            self._wait_for(lambda: self.last_number >= numbers[-1])
        return numbers

    def _wait_for(self, condition: Callable[[], bool]) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._over or condition())
            if self._failure is not None and not condition():
                raise self._failure

    def _cut(self) -> None:
        with self._changed:
            self._over = True
            if self._call is not None:
                self._call.cancel()
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._observation.ended and not self._over:
                self._follow(self._observation.begin_leg())
        except BaseException as failure:
            self._failure = failure
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def _follow(self, leg: Leg) -> None:
        """Follow one stream to its end, and wait for the next where it broke."""
        ended = threading.Event()
        try:
            with self._changed:
                if self._over:
                    return
                self._call = self._connection.converse(leg, self._requests(leg, ended))
            for reply in self._call:
                with self._changed:
                    event = self._observation.take(reply)
                    self._changed.notify_all()
                if event is not None and self._observation.on_event is not None:
                    self._observation.on_event(event)
            self._observation.ended = self._observation.closing and self._observation.to_send(0) is None
            failure: MemoryServiceError = stream_cut()
        except Exception as error:
            failure = self._connection.failure_of(error)
        finally:
            with self._changed:
                ended.set()
                self._changed.notify_all()
            if self._call is not None:
                self._call.cancel()
        if not self._observation.ended and not self._over:
            self._connection.wait_for_leg(self._observation, failure)

    def _requests(self, leg: Leg, ended: threading.Event) -> Iterator[extraction_pb2.ObserveConversationRequest]:
        yield leg.request  # type: ignore[misc]
        sent = 0
        while (message := self._next(sent, ended)) is not None:
            sent = message.number
            yield extraction_pb2.ObserveConversationRequest(message=message)

    def _next(self, sent: int, ended: threading.Event) -> extraction_pb2.ObservedMessage | None:
        """Wait for the message after the last one sent; None: there is none, or this stream is over."""
        observation = self._observation
        with self._changed:
            self._changed.wait_for(lambda: ended.is_set() or observation.closing or observation.to_send(sent))
            return None if ended.is_set() else observation.to_send(sent)

"""A conversation that is observed, over as many streams as it takes: what is on its way, and what was learned.

No I/O here: the clients send what `begin_leg` and `to_send` say, and hand over what comes. A message has a number from
the moment it is said; a stream that breaks is taken up by these numbers, so that each is stored once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from google.protobuf.message import Message as ProtobufMessage

from memsvc.v1 import extraction_pb2, message_pb2
from memsvc_client import rpcs
from memsvc_client.calls import Subject
from memsvc_client.enums import LearningMode
from memsvc_client.extraction import Committed, Completed, ExtractionEvent, Progress, Proposed, Retried, event_of
from memsvc_client.memory import Commit
from memsvc_client.message import MessageLike, messages_to_wire
from memsvc_client.streams import Stream
from memsvc_client.wire import enum_number

MAX_UNACKNOWLEDGED = 64
"""So many messages are on their way at once."""


class Observation(Stream[ExtractionEvent]):
    """What an observed conversation has come to."""

    def __init__(
        self,
        subject: Subject,
        session_id: str,
        learning_mode: LearningMode | str | None,
        on_event: Callable[[ExtractionEvent], object] | None,
    ) -> None:
        super().__init__(None)
        self.session_id = session_id
        self.on_event = on_event
        self.acknowledged_number = 0
        """Of the last message that is stored."""
        self.started = False
        self.closing = False
        """Nothing more will be said."""
        self.events: list[ExtractionEvent] = []
        """Those that are stored; no hints."""
        self._subject = subject
        self._learning_mode = enum_number("learning_mode", LearningMode, learning_mode)
        self._next_number = 0
        self._unacknowledged: deque[extraction_pb2.ObservedMessage] = deque()
        self._positions: dict[str, str] = {}
        """How much was seen of the extractions that have not ended, as they name it."""
        self._numbers: dict[str, int] = {}
        self._attempts: dict[str, int] = {}

    @property
    def commits(self) -> list[Commit]:
        """What was learned so far."""
        return [event.commit for event in self.events if isinstance(event, Committed)]

    @property
    def has_room(self) -> bool:
        return len(self._unacknowledged) < MAX_UNACKNOWLEDGED

    def say(self, message: message_pb2.Message) -> int:
        """Give a message its number and put it where it is sent from."""
        number, self._next_number = self._next_number, self._next_number + 1
        self._unacknowledged.append(extraction_pb2.ObservedMessage(number=number, message=message))
        return number

    def to_send(self, after: int) -> extraction_pb2.ObservedMessage | None:
        """Return the first message with a higher number that is not acknowledged; None: there is none yet."""
        return next((each for each in self._unacknowledged if each.number > after), None)

    def next_request(self) -> tuple[rpcs.Rpc[Any, Any], ProtobufMessage]:
        start = extraction_pb2.ObservationStart(
            session_id=self.session_id,
            agent_id=self._subject.agent_id,
            team_id=self._subject.team_id,
            learning_mode=self._learning_mode,
            extractions=[
                extraction_pb2.ExtractionPosition(extraction_id=extraction_id, resume_token=token)
                for extraction_id, token in list(self._positions.items())[-100:]
            ],
        )
        request = extraction_pb2.ObserveConversationRequest(scope=self._subject.scope, start=start)
        return rpcs.OBSERVE_CONVERSATION, request

    def read(self, reply: extraction_pb2.ObserveConversationResponse) -> ExtractionEvent | None:
        match reply.WhichOneof("response"):
            case "started":
                if not self.started:
                    self.started = True
                    self.acknowledged_number = reply.started.last_number
                    self._next_number = reply.started.last_number + 1
            case "acknowledged":
                self._acknowledge(reply.acknowledged)
            case "learning":
                return self._learning(reply.learning.extraction_id, reply.learning.event)
        return None

    def _acknowledge(self, acknowledged: extraction_pb2.ObservationAcknowledged) -> None:
        while self._unacknowledged and self._unacknowledged[0].number <= acknowledged.number:
            self._unacknowledged.popleft()
        self.acknowledged_number = max(self.acknowledged_number, acknowledged.number)
        extraction_id = acknowledged.extraction_id
        if extraction_id and extraction_id not in self._numbers:
            self._positions.setdefault(extraction_id, "")

    def _learning(self, extraction_id: str, wire: extraction_pb2.ExtractionEvent) -> ExtractionEvent | None:
        if wire.number:
            if wire.number <= self._numbers.get(extraction_id, 0):
                return None
            self._numbers[extraction_id], self._positions[extraction_id] = wire.number, wire.resume_token
        event = event_of(wire)
        match event:
            case Progress(attempt=attempt) | Proposed(attempt=attempt):
                if attempt < self._attempts.get(extraction_id, 0):
                    return None
                self._attempts[extraction_id] = attempt
                return event
            case Retried():
                self._attempts.pop(extraction_id, None)
            case Completed():
                self._positions.pop(extraction_id, None)
        if event is not None:
            self.events.append(event)
        return event


def observe(
    subject: Subject,
    session_id: str,
    *,
    learning_mode: LearningMode | str | None = None,
    on_event: Callable[[ExtractionEvent], object] | None = None,
) -> Observation:
    """Store a conversation message by message, and learn from it meanwhile.

        with user.observe("session-1") as conversation:
            conversation.add("user", "I moved to Kraków.")
            conversation.add("assistant", "Lovely! How is it?")
        print(conversation.commits)

    A message is stored once `add` returns. At the end of the block, what is left is learned at once, and waited for;
    an exception cuts off the wait, and loses nothing. A broken connection is taken up again, on any server, and no
    message is stored twice. In a session that was observed before, this goes on after its last message. `on_event` is
    told what happens to the extractions, hints too, as it happens.
    """
    if not session_id:
        raise ValueError("session_id must not be empty")
    return Observation(subject, session_id, learning_mode, on_event)


def message_of(said: tuple[MessageLike | str, ...]) -> message_pb2.Message:
    """Return the message that `add` was given: one, or a role and a text."""
    if len(said) not in (1, 2):
        raise TypeError('add takes a message, or a role and a text: add("user", "Hi")')
    return messages_of([said[0] if len(said) == 1 else said])[0]  # type: ignore[list-item]


def messages_of(messages: Iterable[MessageLike]) -> list[message_pb2.Message]:
    """Return messages for the wire."""
    return list(messages_to_wire(messages))

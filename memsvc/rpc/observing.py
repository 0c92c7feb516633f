"""Observed conversations, from and to their messages."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from msgspec.structs import replace

from memsvc.application import Application
from memsvc.configuration import NOTHING, GivenSettings
from memsvc.errors import invalid
from memsvc.extraction.jobs.events import Heartbeat
from memsvc.extraction.observing import Acknowledged, Observation, Observed, Position, Started
from memsvc.ids import new_id
from memsvc.limits import check_id, check_message
from memsvc.model import LearningMode, Run, Scope
from memsvc.rpc.conversing import Incoming
from memsvc.rpc.extractions import proto_event
from memsvc.rpc.fields import read_enum, read_scope
from memsvc.rpc.messages import read_message
from memsvc.rpc.settings import LEARNING_MODES
from memsvc.search.embedders.contract import instant
from memsvc.sessions.observing import ObserveCommand, observed_run_id
from memsvc.settings import MemorySettings
from memsvc.settings.accepting import Terms
from memsvc.users import LATEST, Consistency
from memsvc.v1 import extraction_pb2 as pb

_MAX_POSITIONS: Final = 100
_STALENESS: Final = Consistency(max_staleness_seconds=10.0)
"""Settings that change while a conversation goes on are in force for what is said so much later: no message waits for
the database but to be stored."""
_MAX_NUMBER: Final = 2**53


class Observer:
    """One stream: reads its requests, and says what came of them."""

    def __init__(self, application: Application, first: pb.ObserveConversationRequest, incoming: Incoming) -> None:
        """Raises InvalidArgument for a first request that is none."""
        self._application = application
        self._incoming = incoming
        self._scope = read_scope(first.scope)
        if first.WhichOneof("request") != "start":
            raise invalid("start", "must be set in the first request")
        self._start = first.start
        check_id("start.session_id", self._start.session_id)
        for name in ("agent_id", "team_id"):
            check_id(f"start.{name}", getattr(self._start, name), required=False)
        mode = self._start.learning_mode
        self._overrides = (
            GivenSettings(mode=read_enum("start.learning_mode", mode, LEARNING_MODES)) if mode else NOTHING
        )
        self._positions = _read_positions(self._start)
        self._embedder = instant(application.meaning.embedder if application.meaning is not None else None)
        self._held: deque[int] = deque()
        """What the messages hold that are not acknowledged yet."""

    async def replies(self) -> AsyncGenerator[pb.ObserveConversationResponse, None]:
        application = self._application
        await self._settings(LATEST)
        observation = Observation(
            self._scope,
            self._start.session_id,
            self._positions,
            application.sessions,
            application.extractions,
            self._next_message,
        )
        async with aclosing(observation.events()) as events:
            async for event in events:
                yield _proto_observed(event, self._scope)
                if isinstance(event, Acknowledged):
                    self._incoming.answered(self._held.popleft())

    async def _settings(self, consistency: Consistency) -> MemorySettings:
        reader, agent_id = self._application.settings_reader, self._start.agent_id
        return await reader.in_force(self._scope, agent_id, self._overrides, consistency)

    async def _next_message(self) -> ObserveCommand | None:
        read = await self._incoming.read()
        if read is None:
            return None
        request, size = read
        command = self._command(request)
        settings = await self._settings(_STALENESS)
        mode = LearningMode.AUTOMATIC if settings.learns_from_runs else LearningMode.OFF
        self._held.append(size)
        return replace(command, mode=mode, terms=Terms.of(settings, self._overrides))

    def _command(self, request: pb.ObserveConversationRequest) -> ObserveCommand:
        if request.HasField("scope"):
            raise invalid("scope", "must be set in the first request only")
        if request.WhichOneof("request") != "message":
            raise invalid("message", "must be set in every request but the first")
        number = request.message.number
        if not 1 <= number <= _MAX_NUMBER:
            raise invalid("message.number", f"must be from 1 to {_MAX_NUMBER}")
        if not request.message.HasField("message"):
            raise invalid("message.message", "must be set")
        message = read_message(request.message.message, "message.message")
        size_bytes = check_message(message, "message.message")
        run = Run(
            session_id=self._start.session_id,
            run_id=observed_run_id(self._start.session_id, number),
            index=0,
            messages=(message,),
            agent_id=self._start.agent_id,
            team_id=self._start.team_id,
            observed_number=number,
        )
        return ObserveCommand(
            run, size_bytes, LearningMode.OFF, self._application.quiet, extraction_id=new_id(), embedder=self._embedder
        )


def _read_positions(start: pb.ObservationStart) -> list[Position]:
    if len(start.extractions) > _MAX_POSITIONS:
        raise invalid("start.extractions", f"must be at most {_MAX_POSITIONS}")
    for index, each in enumerate(start.extractions):
        check_id(f"start.extractions[{index}].extraction_id", each.extraction_id)
    return [Position(each.extraction_id, each.resume_token) for each in start.extractions]


def _proto_observed(event: Observed, scope: Scope) -> pb.ObserveConversationResponse:
    reply = pb.ObserveConversationResponse()
    if isinstance(event, Started):
        reply.started.SetInParent()
        reply.started.last_number = event.last_number
    elif isinstance(event, Acknowledged):
        reply.acknowledged.number = event.number
        reply.acknowledged.run_id = event.receipt.run_id
        reply.acknowledged.extraction_id = event.receipt.extraction_id
    elif isinstance(event, Heartbeat):
        reply.heartbeat.SetInParent()
    else:
        reply.learning.extraction_id = event.extraction_id
        reply.learning.event.CopyFrom(proto_event(event.event, scope))
    return reply

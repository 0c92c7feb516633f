"""ExtractionService: from requests to use cases and back."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Sequence
from typing import Final

from memsvc.application import Application
from memsvc.errors import invalid
from memsvc.extraction.jobs.extractions import MAX_RETRIED, Numbered
from memsvc.limits import check_id, page_size
from memsvc.model import Message, Scope
from memsvc.rpc.calling import Context
from memsvc.rpc.conversing import Incoming
from memsvc.rpc.extractions import EXTRACTION_STATES, proto_event, proto_extraction
from memsvc.rpc.fields import read_enums, read_ids, read_namespace, read_request, read_scope
from memsvc.rpc.interceptors import remaining_seconds
from memsvc.rpc.messages import read_messages
from memsvc.rpc.observing import Observer
from memsvc.rpc.settings import read_request_settings
from memsvc.v1 import extraction_pb2 as pb

MAX_NAMED_RUNS: Final = 100
_RETRY_SECONDS: Final = 10.0
"""A call over a namespace goes on for so long; its token says where it stopped."""


class ExtractionService:
    """Serves memsvc.v1.ExtractionService."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._extractions = application.extractions
        self._settings = application.settings

    async def extract_memories(
        self, request: pb.ExtractMemoriesRequest, context: Context
    ) -> AsyncGenerator[pb.ExtractMemoriesResponse, None]:
        scope = read_scope(request.scope)
        accepting = self._accepted(scope, request)
        # A stream may stay open for long, and needs its request no more once that is stored.
        del request
        events = await accepting
        async for event in _closed(events, scope):
            yield pb.ExtractMemoriesResponse(event=event)

    async def _accepted(self, scope: Scope, request: pb.ExtractMemoriesRequest) -> AsyncGenerator[Numbered, None]:
        """Store what is to be learned from, unless it is only a preview; return what comes of it."""
        known, overrides = read_request(request), read_request_settings(request)
        for name in ("agent_id", "team_id"):
            check_id(name, getattr(request, name), required=False)
        agent_id, team_id = request.agent_id, request.team_id
        source = request.WhichOneof("source")
        messages: Sequence[Message] = ()
        run_ids: tuple[str, ...] = ()
        size_bytes = 0
        if source == "messages":
            messages, size_bytes = read_messages(request.messages.messages, "messages.messages")
        elif source == "runs":
            run_ids = read_ids("runs.run_ids", request.runs.run_ids, MAX_NAMED_RUNS)
            if not run_ids:
                raise invalid("runs.run_ids", "must not be empty")
        else:
            raise invalid("source", "must be set: messages or runs")
        if request.validate_only:
            if run_ids:
                messages = await self._extractions.messages_of(scope, run_ids)
            return self._extractions.preview(scope, messages, agent_id, team_id, overrides)
        if run_ids:
            extraction_id = await self._extractions.accept_runs(scope, run_ids, agent_id, team_id, known, overrides)
        else:
            extraction_id = await self._extractions.accept_messages(
                scope, messages, size_bytes, agent_id, team_id, known, overrides
            )
        return self._extractions.watch(scope, extraction_id)

    async def watch_extraction(
        self, request: pb.WatchExtractionRequest, context: Context
    ) -> AsyncGenerator[pb.WatchExtractionResponse, None]:
        scope = read_scope(request.scope)
        check_id("extraction_id", request.extraction_id)
        events = self._extractions.watch(scope, request.extraction_id, request.resume_token)
        async for event in _closed(events, scope):
            yield pb.WatchExtractionResponse(event=event)

    def observe_conversation(
        self, request: pb.ObserveConversationRequest, incoming: Incoming
    ) -> AsyncGenerator[pb.ObserveConversationResponse, None]:
        return Observer(self._application, request, incoming).replies()

    async def get_extraction(self, request: pb.GetExtractionRequest, context: Context) -> pb.GetExtractionResponse:
        scope = read_scope(request.scope)
        check_id("extraction_id", request.extraction_id)
        extraction = await self._extractions.get(scope, request.extraction_id)
        return pb.GetExtractionResponse(extraction=proto_extraction(extraction))

    async def list_extractions(
        self, request: pb.ListExtractionsRequest, context: Context
    ) -> pb.ListExtractionsResponse:
        scope = read_scope(request.scope)
        states = read_enums("states", request.states, EXTRACTION_STATES)
        check_id("session_id", request.session_id, required=False)
        extractions, token = await self._extractions.list(
            scope, states, request.session_id, page_size(request.page_size), request.page_token
        )
        return pb.ListExtractionsResponse(
            extractions=[proto_extraction(each) for each in extractions],
            next_page_token=token,
        )

    async def cancel_extraction(
        self, request: pb.CancelExtractionRequest, context: Context
    ) -> pb.CancelExtractionResponse:
        scope, known = read_scope(request.scope), read_request(request)
        check_id("extraction_id", request.extraction_id)
        extraction = await self._extractions.cancel(scope, request.extraction_id, known)
        return pb.CancelExtractionResponse(extraction=proto_extraction(extraction))

    async def retry_extractions(
        self, request: pb.RetryExtractionsRequest, context: Context
    ) -> pb.RetryExtractionsResponse:
        if request.all_users:
            return await self._retry_all(request, context)
        scope, known = read_scope(request.scope), read_request(request)
        if request.page_token:
            raise invalid("page_token", "needs all_users")
        extraction_ids = read_ids("extraction_ids", request.extraction_ids, MAX_RETRIED)
        extractions = await self._extractions.retry(scope, extraction_ids, known)
        return pb.RetryExtractionsResponse(
            extractions=[proto_extraction(each) for each in extractions], retried_count=len(extractions)
        )

    async def _retry_all(self, request: pb.RetryExtractionsRequest, context: Context) -> pb.RetryExtractionsResponse:
        if request.scope.user_id:
            raise invalid("scope.user_id", "must be empty with all_users")
        if request.extraction_ids:
            raise invalid("extraction_ids", "must be empty with all_users")
        namespace = read_namespace("scope.namespace", request.scope.namespace)
        seconds = remaining_seconds(context, self._settings.default_deadline_seconds) / 2
        count, token = await self._extractions.retry_all(namespace, request.page_token, min(seconds, _RETRY_SECONDS))
        return pb.RetryExtractionsResponse(retried_count=count, next_page_token=token)


async def _closed(events: AsyncGenerator[Numbered, None], scope: Scope) -> AsyncGenerator[pb.ExtractionEvent, None]:
    """Yield the messages for events; the source is closed however this ends."""
    async with contextlib.aclosing(events):
        async for event in events:
            yield proto_event(event, scope)

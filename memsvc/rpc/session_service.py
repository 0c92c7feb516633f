"""SessionService: from requests to use cases and back."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from memsvc.application import Application
from memsvc.errors import invalid
from memsvc.ids import new_id
from memsvc.limits import MAX_FILTER_VALUES, QUERY_BYTES, REPLY_BYTES, check_id, check_text, page_size
from memsvc.model import LearningMode, LearningState, Scope
from memsvc.rpc.calling import Context
from memsvc.rpc.draining import Draining
from memsvc.rpc.extractions import proto_extraction
from memsvc.rpc.fields import (
    MAX_WAIT_SECONDS,
    ROLES,
    check_not_negative,
    read_consistency,
    read_duration,
    read_enums,
    read_ids,
    read_request,
    read_scope,
    timestamp,
)
from memsvc.rpc.filters import read_range
from memsvc.rpc.memories import proto_commit
from memsvc.rpc.messages import (
    LEARNING_NUMBERS,
    proto_message,
    proto_passage,
    proto_run,
    proto_session,
    proto_summary,
    read_run,
)
from memsvc.rpc.room import Room
from memsvc.rpc.settings import read_run_settings
from memsvc.rpc.waiting import Waiting
from memsvc.search.embedders.contract import instant
from memsvc.search.filter import ALWAYS
from memsvc.search.history import HistoryFilter
from memsvc.sessions import AppendRunCommand
from memsvc.sessions.commands import RunReceipt
from memsvc.sessions.learning import learning_of
from memsvc.sessions.stored import spoken
from memsvc.settings.accepting import Terms
from memsvc.v1 import session_pb2 as pb

_TOP_K: Final = 10
_MAX_TOP_K: Final = 100
_MAX_BESIDE: Final = 10
_FRAME_BYTES: Final = 8
_LAST_RUNS: Final = 10
_MAX_LAST_RUNS: Final = 1_000


class SessionService:
    """Serves memsvc.v1.SessionService."""

    def __init__(self, application: Application, drain: Draining, room: Room) -> None:
        self._waiting = Waiting(application, drain, room)
        self._sessions = application.sessions
        self._history_search = application.history_search
        self._summarizer = application.summarizer
        self._embedder = instant(application.meaning.embedder if application.meaning is not None else None)
        self._extractions = application.extractions
        self._settings_reader = application.settings_reader
        self._application = application

    async def append_run(self, request: pb.AppendRunRequest, context: Context) -> pb.AppendRunResponse:
        scope, wait = read_scope(request.scope), None
        if request.HasField("wait_for_learning"):
            wait = read_duration("wait_for_learning", request.wait_for_learning, MAX_WAIT_SECONDS)
        storing = self._store(scope, request)
        # Whoever waits for learning needs the run no more once it is stored, nor its room.
        del request
        receipt = await storing
        reply = pb.AppendRunResponse(
            run_id=receipt.run_id,
            index=receipt.index,
            extraction_id=receipt.extraction_id,
            learning=LEARNING_NUMBERS[LearningState.PENDING if receipt.extraction_id else LearningState.OFF],
        )
        if receipt.extraction_id and wait is not None:
            del storing
            await self._wait(scope, reply, wait, context)
        return reply

    async def _store(self, scope: Scope, request: pb.AppendRunRequest) -> RunReceipt:
        command, overrides = self._command(request), read_run_settings(request)
        del request
        settings = await self._settings_reader.in_force(scope, command.run.agent_id, overrides)
        mode = LearningMode.AUTOMATIC if settings.learns_from_runs else LearningMode.OFF
        return await self._sessions.append(scope, replace(command, mode=mode, terms=Terms.of(settings, overrides)))

    def _command(self, request: pb.AppendRunRequest) -> AppendRunCommand:
        known = read_request(request)
        run, size_bytes = read_run(request.run)
        if request.skip_stored and not spoken(run.messages):
            raise invalid("run.messages", "must hold more than system messages, which are not stored")
        return AppendRunCommand(
            run if run.run_id else replace(run, run_id=new_id()),
            size_bytes,
            LearningMode.OFF,
            self._application.quiet,
            extraction_id=new_id(),
            named_by_client=bool(run.run_id),
            request=known,
            embedder=self._embedder,
            skip_stored=request.skip_stored,
            summarize_every=self._application.settings.summarize_every_runs,
        )

    async def _wait(self, scope: Scope, reply: pb.AppendRunResponse, seconds: float, context: Context) -> None:
        """Wait for what was accepted, and put into the reply what came of it."""
        ended = await self._waiting.until_ended(scope, reply.extraction_id, seconds, context)
        if ended is None:
            return
        extraction, commit = ended
        reply.extraction.CopyFrom(proto_extraction(extraction))
        reply.learning = LEARNING_NUMBERS[learning_of(extraction.state)]
        if commit is not None:
            reply.commit.CopyFrom(proto_commit(commit, scope))

    async def list_runs(self, request: pb.ListRunsRequest, context: Context) -> pb.ListRunsResponse:
        scope = read_scope(request.scope)
        check_id("session_id", request.session_id, required=False)
        runs, token = await self._sessions.runs(
            scope,
            request.session_id,
            page_size(request.page_size),
            request.page_token,
            descending=request.descending,
            include_replaced=request.include_replaced,
        )
        return pb.ListRunsResponse(
            runs=[proto_run(run, learning) for run, learning in runs],
            next_page_token=token,
        )

    async def get_history(self, request: pb.GetHistoryRequest, context: Context) -> pb.GetHistoryResponse:
        scope = read_scope(request.scope)
        check_id("session_id", request.session_id)
        last_runs = check_not_negative("last_runs", request.last_runs) or _LAST_RUNS
        if last_runs > _MAX_LAST_RUNS:
            raise invalid("last_runs", f"must be at most {_MAX_LAST_RUNS}")
        roles = read_enums("roles", request.roles, ROLES)
        history = await self._sessions.history(scope, request.session_id, last_runs, roles)
        return pb.GetHistoryResponse(
            messages=[proto_message(message) for message in history.messages],
            run_count=history.run_count,
            has_more=history.has_more,
            summary=proto_summary(await self._summarizer.read(scope, request.session_id)) if history.has_more else None,
        )

    async def summarize_session(
        self, request: pb.SummarizeSessionRequest, context: Context
    ) -> pb.SummarizeSessionResponse:
        scope, known = read_scope(request.scope), read_request(request)
        check_id("session_id", request.session_id)
        wait = None
        if request.HasField("wait_for_summary"):
            wait = read_duration("wait_for_summary", request.wait_for_summary, MAX_WAIT_SECONDS)
        extraction_id = await self._extractions.accept_summary(scope, request.session_id, known)
        reply = pb.SummarizeSessionResponse(extraction_id=extraction_id)
        if extraction_id and wait is not None:
            ended = await self._waiting.until_ended(scope, extraction_id, wait, context)
            if ended is not None:
                reply.extraction.CopyFrom(proto_extraction(ended[0]))
        summary = proto_summary(await self._summarizer.read(scope, request.session_id))
        if summary is not None:
            reply.summary.CopyFrom(summary)
        return reply

    async def get_session(self, request: pb.GetSessionRequest, context: Context) -> pb.GetSessionResponse:
        scope = read_scope(request.scope)
        check_id("session_id", request.session_id)
        session = await self._sessions.get(scope, request.session_id)
        return pb.GetSessionResponse(session=proto_session(session))

    async def list_sessions(self, request: pb.ListSessionsRequest, context: Context) -> pb.ListSessionsResponse:
        scope = read_scope(request.scope)
        sessions, token = await self._sessions.list(scope, page_size(request.page_size), request.page_token)
        return pb.ListSessionsResponse(
            sessions=[proto_session(session) for session in sessions],
            next_page_token=token,
        )

    async def delete_session(self, request: pb.DeleteSessionRequest, context: Context) -> pb.DeleteSessionResponse:
        scope, known = read_scope(request.scope), read_request(request)
        check_id("session_id", request.session_id)
        if request.purge and not request.forget_learned:
            raise invalid("purge", "needs forget_learned")
        deleted = await self._sessions.delete(
            scope,
            request.session_id,
            known,
            forget_learned=request.forget_learned,
            purge_text=request.purge,
            allow_missing=request.allow_missing,
        )
        return pb.DeleteSessionResponse(
            deleted_run_count=deleted.runs, forgotten_memory_count=deleted.memories, revision=deleted.revision
        )

    async def search_history(self, request: pb.SearchHistoryRequest, context: Context) -> pb.SearchHistoryResponse:
        scope, consistency = read_scope(request.scope), read_consistency(request)
        check_text("query", request.query, QUERY_BYTES)
        if not request.query.strip():
            raise invalid("query", "must not be empty")
        top_k = check_not_negative("top_k", request.top_k) or _TOP_K
        beside = check_not_negative("beside_count", request.beside_count)
        for name, value, most in (("top_k", top_k, _MAX_TOP_K), ("beside_count", beside, _MAX_BESIDE)):
            if value > most:
                raise invalid(name, f"must be at most {most}")
        if not 0 <= request.min_score <= 1:
            raise invalid("min_score", "must be from 0 to 1")
        wanted = HistoryFilter(
            session_ids=read_ids("session_ids", request.session_ids, MAX_FILTER_VALUES),
            agent_ids=read_ids("agent_ids", request.agent_ids, MAX_FILTER_VALUES),
            roles=read_enums("roles", request.roles, ROLES),
            time=read_range("time", request.time) if request.HasField("time") else ALWAYS,
        )
        passages, user = await self._history_search.search(
            scope, request.query, top_k, wanted, beside, request.min_score, consistency
        )
        reply = pb.SearchHistoryResponse(revision=user.revision, read_time=timestamp(user.checked_time))
        size = reply.ByteSize()
        for passage in passages:
            found = proto_passage(passage)
            size += found.ByteSize() + _FRAME_BYTES
            if size > REPLY_BYTES:
                break
            reply.passages.append(found)
        return reply

"""ContextService: from requests to use cases and back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Final

from msgspec.structs import force_setattr, replace

from memsvc.application import Application
from memsvc.context import (
    CompiledContext,
    ContextFormat,
    ContextRequest,
    CutReason,
    Recalled,
    Section,
    SectionKind,
    compile_for_recall,
    compile_with_summary,
    kept_contexts,
    unless_held,
)
from memsvc.errors import Reason, ResourceExhausted, Unavailable, invalid
from memsvc.extraction.jobs.extractions import pending_runs
from memsvc.limits import QUERY_BYTES, REPLY_BYTES, check_id, check_text
from memsvc.model import Layer, Scope, Summary
from memsvc.rpc import wire
from memsvc.rpc.calling import Context
from memsvc.rpc.draining import Draining
from memsvc.rpc.fields import (
    LAYER_NUMBERS,
    LAYERS,
    MAX_WAIT_SECONDS,
    check_not_negative,
    read_consistency_or_past,
    read_duration,
    read_enum,
    read_enums,
    read_scope,
    read_shared_users,
)
from memsvc.rpc.filters import read_filter
from memsvc.rpc.interceptors import remaining_seconds
from memsvc.rpc.messages import proto_message
from memsvc.rpc.settings import read_request_settings
from memsvc.rpc.waiting import LATE_SECONDS, REPLY_SECONDS
from memsvc.search.filter import ANY, MemoryFilter, matcher
from memsvc.search.history import HistoryFilter
from memsvc.sessions.history import History
from memsvc.sessions.searching import Nearest
from memsvc.settings import MemorySettings
from memsvc.users import HotUser
from memsvc.users.world import with_past
from memsvc.v1 import common_pb2
from memsvc.v1 import context_pb2 as pb

TOKEN_COUNTER: Final = "bytes4"  # noqa: S105
CHARACTERS: Final = range(200, 1_000_001)
TOKENS: Final = range(50, 250_001)

_LAST_RUNS: Final = 3
_MAX_LAST_RUNS: Final = 100
_FEW_MEMORIES: Final = 32
"""So few are searched without an index that was built beside the event loop's other work."""
_VECTOR_SECONDS: Final = 0.3
"""So long a context waits for the vector of its query: what is near it is then found by its words."""
_FORMATS: Final[Mapping[int, ContextFormat]] = {
    pb.CONTEXT_FORMAT_XML: ContextFormat.XML,
    pb.CONTEXT_FORMAT_MARKDOWN: ContextFormat.MARKDOWN,
    pb.CONTEXT_FORMAT_JSON: ContextFormat.JSON,
}
_MOST_PASSAGES: Final = 40
_LEAST_SCORE: Final = 0.1
"""What fits the query less than this is not worth its room."""
_SECTION_KINDS: Final = {
    SectionKind.RECALL: pb.CONTEXT_SECTION_KIND_RECALL,
    SectionKind.WRAPPER: pb.CONTEXT_SECTION_KIND_WRAPPER,
    SectionKind.SUMMARY: pb.CONTEXT_SECTION_KIND_SUMMARY,
    SectionKind.MEMORIES: pb.CONTEXT_SECTION_KIND_MEMORIES,
}
_NOTHING: Final = CompiledContext(etag=blake2b(b"nothing is shown", digest_size=16).hexdigest(), tokens=0)
_PENDING_RUN_COUNT: Final = pb.CompileContextResponse.PENDING_RUN_COUNT_FIELD_NUMBER
_fresh: Final = wire.freshness(pb.CompileContextResponse)
_CUT_REASONS: Final = {
    CutReason.BUDGET: pb.CUT_REASON_BUDGET,
    CutReason.OUTRANKED: pb.CUT_REASON_OUTRANKED,
}


class ContextService:
    """Serves memsvc.v1.ContextService."""

    def __init__(self, application: Application, drain: Draining) -> None:
        self._users = application.users
        self._history_search = application.history_search
        self._settings_reader = application.settings_reader
        self._has_model = bool(application.model)
        self._meaning = application.meaning
        self._sessions = application.sessions
        self._summarizer = application.summarizer
        self._extractions = application.extractions
        self._default_deadline = application.settings.default_deadline_seconds
        self._drain = drain

    async def compile_context(self, request: pb.CompileContextRequest, context: Context) -> bytes:
        scope, consistency = read_scope(request.scope), read_consistency_or_past(request)
        if consistency.as_of is not None:
            _check_of_past(request)
        among = read_filter(request)
        asked, overrides = _read_request(request, among), read_request_settings(request)
        check_id("agent_id", request.agent_id, required=False)
        shared_user_ids = read_shared_users(scope, request.shared_user_ids) if request.shared_user_ids else ()
        last_runs = _read_last_runs(request.history) if request.HasField("history") else 0
        if request.HasField("wait_for_learning"):
            seconds = read_duration("wait_for_learning", request.wait_for_learning, MAX_WAIT_SECONDS)
            remaining = remaining_seconds(context, self._default_deadline) - REPLY_SECONDS
            await self._wait(scope, max(0.0, min(seconds, remaining)))
        user, namespace = await self._settings_reader.with_user(scope, consistency)
        wanted = _under(asked, namespace.of(request.agent_id, overrides))
        shared = await self._users.read_shared(scope, shared_user_ids, consistency) if shared_user_ids else {}
        if among is not ANY:
            user, shared = with_past(user, among), {name: with_past(each, among) for name, each in shared.items()}
        history = await self._history(scope, request.history, last_runs) if last_runs else None
        shown = history.run_ids if history is not None else ()
        older = history is not None and history.has_more and _wants_summary(request.history)
        compiled = await self._compiled(request, wanted, (user, *shared.values()), shown, older)
        known = compiled.encoded
        if not known:
            known = _encoded(compiled)
            if not compiled.unchanged and compiled is not _NOTHING:
                force_setattr(compiled, "encoded", known)
                self._users.recount(user)
        known += wire.number_field(_PENDING_RUN_COUNT, pending_runs(user.state)) + _fresh(user)
        if history is None:
            reply = known
        else:
            reply = known + _proto_history(history)
            if len(reply) > REPLY_BYTES:
                left = max(0, REPLY_BYTES - len(known))
                reply = known + _proto_history(await self._history(scope, request.history, last_runs, left))
        if len(reply) > REPLY_BYTES:
            raise ResourceExhausted(Reason.RESULT_TOO_LARGE, f"context is {len(reply) / 2**20:.1f} MiB")
        return reply

    async def _history(
        self, scope: Scope, asked: pb.ContextHistory, last_runs: int, max_bytes: int = REPLY_BYTES
    ) -> History:
        return await self._sessions.history(scope, asked.session_id, last_runs, (), asked.max_characters, max_bytes)

    async def _compiled(
        self,
        request: pb.CompileContextRequest,
        wanted: ContextRequest | None,
        sources: Sequence[HotUser],
        shown_run_ids: Sequence[str],
        with_summary: bool,
    ) -> CompiledContext:
        """Return the context, kept or compiled, without what was said in the runs that the reply shows anyway."""
        user = sources[0]
        if wanted is None:
            return unless_held(_NOTHING, request.etag)
        # What was compiled is right as long as no journal has moved: runs and vectors are in it, too.
        tips = _tips(sources)
        shape = _shape(request, wanted), tips
        lasting = wanted.matches is None and not any(source.state.core.first_expiry for source in sources)
        compiled = kept_contexts(user).get(shape) if lasting else None
        if compiled is None:
            meant = await self._with_vector(wanted, sources)
            nearest = await self._nearest(request, user, shown_run_ids)
            summary = None
            if with_summary:
                summary = await self._summarizer.read(user.state.scope, request.history.session_id)
            if nearest:
                compiled = await _compile_with_passages(sources, meant, summary, nearest)
            else:
                compiled = compile_with_summary(user, sources[1:], meant, summary)
            by_words = bool(wanted.query) and self._meaning is not None and not meant.vector and bool(_many(sources))
            if lasting and not by_words and tips == _tips(sources):
                kept_contexts(user).put(shape, compiled)
        return unless_held(compiled, request.etag)

    async def _with_vector(self, wanted: ContextRequest, sources: Sequence[HotUser]) -> ContextRequest:
        """Return what is wanted with its query's vector, where it can be had in time; make the sources searchable."""
        many = _many(sources) if wanted.query else []
        for source in many:
            await source.prepare_search()
        if self._meaning is None or not many or sources[0].is_past:
            return wanted
        return replace(wanted, vector=(await self._meaning.prepared(wanted.query, many, _VECTOR_SECONDS)).vector)

    async def _nearest(
        self, request: pb.CompileContextRequest, user: HotUser, shown_run_ids: Sequence[str]
    ) -> Nearest | None:
        """Return what was said in past conversations that fits the query, where it is wanted."""
        wanted = request.recall if request.HasField("recall") else not self._has_model
        if not wanted or not request.query.strip() or user.is_past:
            return None
        but_shown = HistoryFilter(but_run_ids=tuple(shown_run_ids))
        return await self._history_search.nearest(user, request.query, _MOST_PASSAGES, but_shown, _LEAST_SCORE)

    async def _wait(self, scope: Scope, seconds: float) -> None:
        # What is in RAM may be fresh enough to answer, whatever becomes of the wait.
        with contextlib.suppress(Unavailable, TimeoutError):
            async with self._drain.until_drained(), asyncio.timeout(seconds + LATE_SECONDS):
                await self._extractions.wait_for_all(scope, seconds)


async def _compile_with_passages(
    sources: Sequence[HotUser], wanted: ContextRequest, summary: Summary | None, nearest: Nearest
) -> CompiledContext:
    """Return the context with passages, of which no more are read than there is room for."""
    read: list[Recalled] = []
    while True:
        tips = [source.state.tip for source in sources]
        section = compile_for_recall(sources[0], sources[1:], wanted, summary)
        section.take(read)
        while nearest and (room := section.room):
            more = await nearest.read(room)
            read += more
            section.take(more)
        # Where somebody has moved while passages were read, what is remembered is compiled once more.
        if tips == [source.state.tip for source in sources]:
            return section.context()


def _check_of_past(request: pb.CompileContextRequest) -> None:
    """Raise where a context of the past asks for what only the present has."""
    for name in ("history", "wait_for_learning"):
        if request.HasField(name):
            raise invalid(name, "must not be set with a past: of that there are memories only")
    if request.recall:
        raise invalid("recall", "must not be true with a past: of that there are memories only")


def _under(wanted: ContextRequest, settings: MemorySettings) -> ContextRequest | None:
    """Return what is wanted of what may be shown; None: nothing may be."""
    if settings.shows_all:
        return wanted
    layers = tuple(layer for layer in wanted.layers or Layer if layer in settings.shown_layers)
    return replace(wanted, layers=layers) if layers else None


def _wants_summary(history: pb.ContextHistory) -> bool:
    return history.summary or not history.HasField("summary")


def _tips(sources: Sequence[HotUser]) -> tuple[tuple[int, str], ...]:
    # No `Tip`s: whatever is kept of a hot user costs the collector time, but for plain tuples of what cannot cycle.
    return tuple([(source.state.seq, source.state.nonce) for source in sources])


def _many(sources: Sequence[HotUser]) -> list[HotUser]:
    return [source for source in sources if source.state.memory_count > _FEW_MEMORIES]


def _shape(request: pb.CompileContextRequest, wanted: ContextRequest) -> tuple[object, ...]:
    """Return what the text of a context without a filter depends on, but for what is stored."""
    recall = request.recall if request.HasField("recall") else None
    history = request.history.SerializeToString() if request.HasField("history") else b""
    return wanted, recall, history


def _read_request(request: pb.CompileContextRequest, among: MemoryFilter) -> ContextRequest:
    query = request.query
    check_text("query", query, QUERY_BYTES)
    check_id("etag", request.etag, required=False)
    max_characters, max_tokens = _read_budget(request.budget) if request.HasField("budget") else (0, 0)
    return ContextRequest(
        layers=read_enums("layers", request.layers, LAYERS) if request.layers else (),
        query=query.strip(),
        matches=None if among.empty else matcher(among),
        format=read_enum("format", request.format, _FORMATS, ContextFormat.XML),
        wrapper=request.wrapper or not request.HasField("wrapper"),
        max_characters=max_characters,
        max_tokens=max_tokens,
    )


def _read_budget(budget: pb.ContextBudget) -> tuple[int, int]:
    """Return the most characters and the most tokens; 0: not limited by it."""
    if budget.token_counter not in ("", TOKEN_COUNTER):
        raise invalid("budget.token_counter", f"must be {TOKEN_COUNTER}")
    limit = budget.WhichOneof("limit")
    for name, allowed in (("max_characters", CHARACTERS), ("max_tokens", TOKENS)):
        if name == limit and getattr(budget, name) not in allowed:
            raise invalid(f"budget.{name}", f"must be {allowed[0]} to {allowed[-1]}")
    return budget.max_characters, budget.max_tokens


def _read_last_runs(history: pb.ContextHistory) -> int:
    check_id("history.session_id", history.session_id)
    check_not_negative("history.max_characters", history.max_characters)
    last_runs = check_not_negative("history.last_runs", history.last_runs) or _LAST_RUNS
    if last_runs > _MAX_LAST_RUNS:
        raise invalid("history.last_runs", f"must be at most {_MAX_LAST_RUNS}")
    return last_runs


def _proto_history(history: History) -> bytes:
    said = [proto_message(message) for message in history.messages]
    return pb.CompileContextResponse(history=said).SerializeToString()


def _encoded(compiled: CompiledContext) -> bytes:
    """Return what of the reply does not change from call to call."""
    texts = [section.text.encode() for section in compiled.sections]
    parts = [_framed_section(*each) for each in zip(compiled.sections, texts, strict=True)]
    if compiled.text:
        parts.append(wire.message_field(pb.CompileContextResponse.TEXT_FIELD_NUMBER, b"".join(texts)))
    rest = pb.CompileContextResponse(
        unchanged=compiled.unchanged,
        etag=compiled.etag,
        tokens=compiled.tokens,
        token_counter=TOKEN_COUNTER,
        memory_ids=compiled.memory_ids,
        cuts=[
            pb.ContextCut(
                layer=LAYER_NUMBERS[cut.layer],
                reason=_CUT_REASONS[cut.reason],
                memory_count=cut.count,
                memory_ids=cut.memory_ids,
                shared_user_id=cut.shared_user_id,
            )
            for cut in compiled.cuts
        ],
    )
    return b"".join([*parts, rest.SerializeToString()])


def _framed_section(section: Section, text: bytes) -> bytes:
    """Return a section as a field of the reply: a text is given to protobuf as it is, or it would be read once more."""
    kind = pb.ContextSection
    layer = LAYER_NUMBERS[section.layer] if section.layer is not None else common_pb2.LAYER_UNSPECIFIED
    framed = wire.number_field(kind.KIND_FIELD_NUMBER, _SECTION_KINDS[section.kind])
    framed += wire.number_field(kind.LAYER_FIELD_NUMBER, layer)
    framed += wire.message_field(kind.TEXT_FIELD_NUMBER, text)
    framed += wire.number_field(kind.TOKENS_FIELD_NUMBER, section.tokens)
    framed += wire.number_field(kind.STABLE_FIELD_NUMBER, section.stable)
    if section.shared_user_id:
        framed += wire.message_field(kind.SHARED_USER_ID_FIELD_NUMBER, section.shared_user_id.encode())
    return wire.message_field(pb.CompileContextResponse.SECTIONS_FIELD_NUMBER, framed)

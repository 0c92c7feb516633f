"""One attempt at what a worker has claimed: learn, summarize or consolidate, and commit it or let it wait."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

from msgspec import Struct, field, structs

from memsvc.access.allowance import Quotas
from memsvc.budget import Budgets
from memsvc.clock import in_words
from memsvc.config import DEFAULTS, Config
from memsvc.consolidation.commands import FinishConsolidation
from memsvc.consolidation.consolidating import Consolidator
from memsvc.errors import Error, ExtractionError, Permanent, Reason, Retryable, Unavailable, forget_frames
from memsvc.extraction.authority import rights_of
from memsvc.extraction.conversation import read
from memsvc.extraction.engine import Action, Conversation, Engine, EngineEvent, Finished, Operation
from memsvc.extraction.engine import Progress as EngineProgress
from memsvc.extraction.engine import Proposal as EngineProposal
from memsvc.extraction.jobs.claims import Claimed, FinishCommand, Limits, PostponeCommand
from memsvc.extraction.jobs.events import Hints, Progress, Proposed
from memsvc.foreground import Foreground
from memsvc.journal.lifecycle import has_waited_since
from memsvc.log import Log
from memsvc.meaning import Meaning
from memsvc.metrics.meters import Meters
from memsvc.model import Extraction, ExtractionKind, ExtractionState, Run, Scope, Usage, decode
from memsvc.search.embedders.contract import instant
from memsvc.sessions.said_rows import said_rows
from memsvc.settings import SettingsReader
from memsvc.storage.crashpoints import reach
from memsvc.storage.driver import Row, RowKind
from memsvc.summaries.commands import StoreSummary
from memsvc.summaries.summarizing import Summarizer
from memsvc.tracing import OFF, Traces
from memsvc.users import Users
from memsvc.users.wordings import Wordings
from memsvc.writing.writer import Writer

log = Log(__name__)

MENDED_OUTSIDE = frozenset({Reason.MODEL_UNAVAILABLE, Reason.MODEL_REJECTED})
"""What keeps every extraction from being learned, until somebody mends it."""


class _Spent(Struct):
    """What an attempt has cost so far."""

    usage: Usage = Usage()


class Attempts(Struct):
    """Carries out claims; one for all of a worker's."""

    users: Users
    writer: Writer
    engine: Engine
    hints: Hints
    settings_reader: SettingsReader
    settings: Config = DEFAULTS
    quotas: Quotas = Quotas(DEFAULTS.memory_quota)
    budgets: Budgets | None = None
    """None: learning may cost what it costs."""
    summarizer: Summarizer | None = None
    """Summarizes sessions; None: nobody does here."""
    consolidator: Consolidator | None = None
    """Tidies memories; None: nobody does here."""
    meaning: Meaning | None = None
    """Makes what vectors are missing; None: nobody does here."""
    meters: Meters | None = None
    traces: Traces = OFF
    foreground: Foreground = field(default_factory=Foreground)
    on_answer: Callable[[], None] = lambda: None
    """Called when a model has answered."""
    is_broken: bool = False
    """The engine's last sign was a failure that is mended outside."""
    _began: dict[Scope, float] = field(default_factory=dict)
    """When those under way began, on the monotonic clock."""

    @property
    def limits(self) -> Limits:
        """How often, and for how long, an extraction is tried."""
        return Limits(self.settings.max_attempts, self.settings.max_wait_seconds)

    async def carry_out(self, scope: Scope, claimed: Claimed) -> None:
        """Carry out what a claim is for; whatever keeps it from that becomes part of its extractions."""
        self._began[scope] = time.monotonic()
        try:
            with self.traces.extraction(scope.namespace, [each.trace for each in claimed.extractions]):
                await self._attempt(scope, claimed)
        finally:
            del self._began[scope]

    async def _attempt(self, scope: Scope, claimed: Claimed) -> None:
        spent = _Spent()
        self._tell(claimed.extractions, Progress(claimed.extractions[0].attempt, ExtractionState.RUNNING))
        try:
            if await self._waits_for_budget(scope, claimed):
                return
            kind = claimed.extractions[0].kind
            if kind is ExtractionKind.SUMMARY:
                await self._summarize(scope, claimed, spent)
            elif kind is ExtractionKind.CONSOLIDATION:
                await self._consolidate(scope, claimed, spent)
            else:
                await self._learn(scope, claimed, spent)
        except Exception as error:
            await self._ended(scope, claimed, error, spent)
            # They hold the conversation, which is megabytes, and the next attempt is on its way.
            forget_frames(error)

    async def _ended(self, scope: Scope, claimed: Claimed, error: Exception, spent: _Spent) -> None:
        """Let what has failed wait for its next attempt, or fail, and count what this one has cost."""
        if isinstance(error, ExtractionError):
            await self._failed(scope, claimed, error)
            await self._spend(scope, error.usage)
            return
        if isinstance(error, Error):
            # A database that was away is no fault of the job, and no reason to wait longer; anything else would recur.
            away = isinstance(error, Unavailable)
            delay = self.settings.retry_seconds * random.uniform(0.75, 1.25) if away else None
            await self.postpone(scope, claimed, error.reason, error.message, spent.usage, delay, counts=not away)
        else:
            log.error("extraction_broke", error, **_told(scope, claimed))
            await self.postpone(scope, claimed, Reason.INTERNAL, "internal error", spent.usage)
        await self._spend(scope, spent.usage)

    async def _summarize(self, scope: Scope, claimed: Claimed, spent: _Spent) -> None:
        assert self.summarizer is not None
        extraction = claimed.extractions[0]
        while True:
            spent.usage = Usage()
            part, spent.usage = await self.summarizer.next_part(scope, extraction)
            reach("worker.before_finish")
            stands = await self.writer.write(scope, StoreSummary(claimed.claim, part, spent.usage))
            reach("worker.after_finish")
            if not stands or part is None or not part.more:
                break
            await self._spend(scope, spent.usage)
        await self._done(scope, claimed, spent.usage)
        log.info("summarized", **_told(scope, claimed), calls=spent.usage.calls)

    async def _consolidate(self, scope: Scope, claimed: Claimed, spent: _Spent) -> None:
        assert self.consolidator is not None
        found = await self.consolidator.find(scope, claimed.extractions[0].reason)
        spent.usage = found.usage
        reach("worker.before_finish")
        await self.writer.write(scope, FinishConsolidation(claimed.claim, found.operations, found.usage))
        reach("worker.after_finish")
        await self._done(scope, claimed, found.usage)
        log.info("consolidated", **_told(scope, claimed), operations=len(found.operations), calls=found.usage.calls)

    async def _learn(self, scope: Scope, claimed: Claimed, spent: _Spent) -> None:
        extractions = claimed.extractions
        finished = Finished(())
        settings = await self.settings_reader.of_extraction(scope.namespace, extractions[0])
        reading = await read(self.users, scope, extractions, self.meaning, settings, self.foreground)
        if reading.runs:
            async with contextlib.aclosing(self._events(reading.conversation)) as events:
                async for event in events:
                    if isinstance(event, EngineProposal):
                        self._tell(extractions, Proposed(extractions[0].attempt, event.operation))
                    elif isinstance(event, EngineProgress):
                        running = ExtractionState.RUNNING
                        progress = Progress(extractions[0].attempt, running, "", event.output_bytes)
                        self._tell(extractions, progress)
                    else:
                        finished = event
        spent.usage = finished.usage
        sources = reading.sources(extractions, self.engine.name, finished.model)
        operations = reading.trusted(finished.operations)
        finish = FinishCommand(
            claimed.claim,
            operations,
            sources,
            finished.usage,
            self.quotas.of(scope.namespace),
            rights_of(settings, self.settings.max_unasked_deletions),
            finished.refusals,
            wordings=await self._wordings(scope, operations),
            said=await self._said(scope, reading.runs),
        )
        reach("worker.before_finish")
        part = await self.writer.write(scope, finish)
        while part is not None and part.more:
            part = await self.writer.write(scope, structs.replace(finish, before=part.reconciled))
        reach("worker.after_finish")
        await self._done(scope, claimed, finished.usage)
        if self.meters is not None:
            self.meters.proposals.cell().add(len(operations))
        log.info("extracted", **_told(scope, claimed), operations=len(operations), calls=finished.usage.calls)

    async def _wordings(self, scope: Scope, operations: Sequence[Operation]) -> Wordings | None:
        """Return what the user's memories say, where operations are to be compared with it."""
        if not any(operation.action in (Action.ADD, Action.UPDATE) for operation in operations):
            return None
        # It was read a moment ago, and the writer sees whether it has moved since.
        user = self.users.hot(scope) or await self.users.latest(scope)
        await user.prepare_wordings()
        return user.wordings

    async def _said(self, scope: Scope, runs: Sequence[Run]) -> Mapping[str, Sequence[Row]]:
        """Return what runs are found by, where that is owed."""
        # It was read a moment ago, and the writer sees what is owed by then.
        user = self.users.hot(scope) or await self.users.latest(scope)
        owed = user.state.core.said_owed
        embedder = instant(self.meaning.embedder if self.meaning is not None else None)
        rows: dict[str, Sequence[Row]] = {}
        for run in runs:
            if run.run_id in owed:
                async with self.foreground.background():
                    rows[run.run_id] = said_rows(run, embedder)
        return rows

    async def _said_of(self, scope: Scope, claimed: Claimed) -> Mapping[str, Sequence[Row]]:
        """Return what the runs of a claim are found by, where that is owed: they are given up."""
        run_ids = [run_id for extraction in claimed.extractions for run_id in extraction.run_ids]
        owed = (await self.users.latest(scope)).state.owing(run_ids)
        rows = await self.users.driver.get(scope, RowKind.RUN, owed) if owed else {}
        return await self._said(scope, [decode(row.body, Run) for row in rows.values()])

    async def _done(self, scope: Scope, claimed: Claimed, usage: Usage) -> None:
        """Count what an attempt that has succeeded has cost."""
        await self._spend(scope, usage)
        if usage.calls:
            self.on_answer()
        self._note_attempt(scope, claimed, "succeeded", "", usage)

    async def _events(self, conversation: Conversation) -> AsyncGenerator[EngineEvent, None]:
        """Yield what the engine says; the call of a model has a span where the extraction has one."""
        if not self.traces.is_recording:
            async with contextlib.aclosing(self.engine.extract(conversation)) as events:
                async for event in events:
                    yield event
            return
        with self.traces.span("chat", "CLIENT", gen_ai__operation__name="chat") as span:
            async with contextlib.aclosing(self.engine.extract(conversation)) as events:
                async for event in events:
                    if isinstance(event, Finished):
                        span.set_attribute("gen_ai.request.model", event.model or self.engine.name)
                        span.set_attribute("gen_ai.usage.input_tokens", event.usage.input_tokens)
                        span.set_attribute("gen_ai.usage.output_tokens", event.usage.output_tokens)
                    yield event

    def _note_attempt(self, scope: Scope, claimed: Claimed, outcome: str, reason: str, usage: Usage) -> None:
        if self.meters is not None:
            seconds = time.monotonic() - self._began.get(scope, time.monotonic())
            self.meters.attempted(scope.namespace, outcome, reason, seconds, len(claimed.extractions), usage)

    async def _waits_for_budget(self, scope: Scope, claimed: Claimed) -> bool:
        """Let the extractions wait for the next day where their namespace has spent what it may; tell whether so."""
        if self.budgets is None:
            return False
        until, why = await self.budgets.spent_until(scope.namespace)
        if not until:
            return False
        detail = f"{why}; learning goes on at {in_words(until)}"
        delay = max(0.0, (until - self.users.clock()) / 1_000_000)
        await self.postpone(scope, claimed, Reason.BUDGET_EXHAUSTED, detail, Usage(), delay, counts=False)
        return True

    async def _spend(self, scope: Scope, usage: Usage) -> None:
        if self.budgets is not None:
            await self.budgets.spend(scope.namespace, usage)

    def _tell(self, extractions: Sequence[Extraction], hint: Progress | Proposed) -> None:
        for extraction in extractions:
            self.hints.publish(extraction.extraction_id, hint)

    async def _failed(self, scope: Scope, claimed: Claimed, error: ExtractionError) -> None:
        wished = error.retry_after_seconds if isinstance(error, Retryable) else 0.0
        counts = error.counts if isinstance(error, Retryable) else True
        self.is_broken = self.is_broken or (not counts and error.reason in MENDED_OUTSIDE)
        delay = max(wished, self._backoff_seconds(claimed))
        fails = isinstance(error, Permanent)
        await self.postpone(scope, claimed, error.reason, error.detail, error.usage, delay, counts, fails)

    def _backoff_seconds(self, claimed: Claimed) -> float:
        """Return a delay that doubles, in effect, with each try: half the time waited so far, with jitter."""
        waited = (self.users.clock() - has_waited_since(claimed.extractions[0])) / 2_000_000
        settings = self.settings
        delay = min(max(waited, settings.retry_seconds), settings.max_retry_seconds)
        return delay * random.uniform(0.75, 1.25)

    async def postpone(
        self,
        scope: Scope,
        claimed: Claimed,
        reason: str,
        detail: str,
        usage: Usage,
        delay_seconds: float | None = None,
        counts: bool = True,
        fails: bool = False,
    ) -> None:
        """Let a claim's extractions wait: for so long, or longer with each try; `counts`: it was one of their tries."""
        delay = self._backoff_seconds(claimed) if delay_seconds is None else delay_seconds
        has_failed = fails or (counts and claimed.extractions[0].attempt >= self.settings.max_attempts)
        said = await self._said_of(scope, claimed) if has_failed else {}
        command = PostponeCommand(claimed.claim, reason, detail, usage, delay, counts, fails, self.limits, said)
        reach("worker.before_postpone")
        await self.writer.write(scope, command)
        reach("worker.after_postpone")
        if reason:
            self._note_attempt(scope, claimed, "failed" if has_failed else "retried", reason, usage)
            next_attempt = "" if fails else in_words(self.users.clock() + int(delay * 1_000_000))
            told = _told(scope, claimed)
            log.warning("extraction_failed", **told, reason=reason, detail=detail, next_attempt=next_attempt)


def _told(scope: Scope, claimed: Claimed) -> dict[str, object]:
    """Return what a log line says of an extraction under way."""
    first = claimed.extractions[0]
    return {
        "scope": scope,
        "session": first.session_id,
        "extraction": first.extraction_id,
        "joined": len(claimed.extractions) - 1 or "",
        "attempt": first.attempt,
    }

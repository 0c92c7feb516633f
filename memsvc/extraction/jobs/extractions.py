"""Use cases on extractions: accept, watch, wait, get, list, cancel, retry."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator, Collection, Sequence
from itertools import accumulate

from msgspec import Struct, field
from msgspec.structs import replace

from memsvc.access.allowance import Quotas
from memsvc.budget import Budgets
from memsvc.clock import now_micros
from memsvc.config import DEFAULTS
from memsvc.configuration import NOTHING, GivenSettings
from memsvc.consolidation.commands import AcceptConsolidation
from memsvc.errors import FailedPrecondition, NotFound, Reason
from memsvc.extraction.authority import rights_of
from memsvc.extraction.conversation import nearest, task_origin
from memsvc.extraction.engine import Conversation, Engine, Finished, Proposal
from memsvc.extraction.jobs.events import (
    Accepted,
    Committed,
    Completed,
    Event,
    Failed,
    Heartbeat,
    Hints,
    Progress,
    Proposed,
    Refused,
    Retried,
)
from memsvc.extraction.jobs.queue import AcceptMessages, AcceptRuns, CancelCommand, HastenCommand, RetryCommand
from memsvc.extraction.reconcile import Source, Sources, joined, reconcile
from memsvc.extraction.schemas import schemas_under
from memsvc.ids import new_id
from memsvc.journal.draft import Draft, Moment
from memsvc.journal.records import Request, commit_of, decode_body, new_nonce
from memsvc.journal.state import Core, State
from memsvc.limits import REPLY_BYTES
from memsvc.model import (
    Cause,
    Commit,
    Ending,
    Extraction,
    ExtractionKind,
    ExtractionState,
    Message,
    Origin,
    Run,
    Scope,
    Usage,
    decode,
    encode,
)
from memsvc.paging import binding, make_token, read_token
from memsvc.redaction import Redactor
from memsvc.sessions import said_by
from memsvc.settings import MemorySettings, SettingsReader
from memsvc.settings.accepting import Terms
from memsvc.storage.driver import PageOf, RowKind, TruncatedJournal
from memsvc.summaries.commands import AcceptSummary
from memsvc.users import Users
from memsvc.users.moves import Watch
from memsvc.writing.writer import Writer

MAX_RETRIED = 100
_FORGOTTEN = Ending(ExtractionState.FAILED, "", "")
_POLL_SECONDS = 0.5
_PAGE_ROWS = 200
_PAGE_USERS = 500
_ROW_BYTES = 2_000
"""An extraction takes at most so much in a reply, the ids of its runs aside."""


class Numbered(Struct, frozen=True):
    """An event with its number and resume token; hints have neither."""

    event: Event
    number: int = 0
    resume_token: str = ""


def pending_runs(state: State) -> int:
    """Return how many runs are not learned from yet."""
    return sum(len(extraction.run_ids) for extraction in state.core.open.values()) if state.core.open else 0


def _learns(state: State) -> bool:
    return any(extraction.kind.learns for extraction in state.core.open.values())


class Extractions(Struct):
    """Extractions as clients see them."""

    users: Users
    writer: Writer
    engine: Engine
    hints: Hints
    quotas: Quotas
    budgets: Budgets
    settings_reader: SettingsReader
    max_unasked_deletions: int = DEFAULTS.max_unasked_deletions
    heartbeat_seconds: float = DEFAULTS.heartbeat_seconds
    redactor: Redactor = field(default_factory=Redactor)

    async def accept_messages(
        self,
        scope: Scope,
        messages: Sequence[Message],
        size_bytes: int,
        agent_id: str,
        team_id: str,
        request: Request | None,
        overrides: GivenSettings = NOTHING,
    ) -> str:
        """Queue an extraction of messages; return its id. Durable on return.

        Raises FailedPrecondition (OPERATION_FORBIDDEN) where nothing is learned.
        """
        terms = await self._terms(scope, agent_id, overrides)
        messages = tuple(await self.redactor.large_messages(messages, size_bytes))
        run = Run(session_id="", run_id=new_id(), index=0, messages=messages, agent_id=agent_id, team_id=team_id)
        return await self.writer.write(scope, AcceptMessages(run, size_bytes, new_id(), request, terms=terms))

    async def accept_task(
        self, scope: Scope, task: Message, origin: Origin, request: Request | None, overrides: GivenSettings = NOTHING
    ) -> str:
        """Queue an extraction that carries out a task of the agent's model; return its id. Durable on return."""
        terms = await self._terms(scope, origin.agent_id, overrides)
        task = self.redactor.message(task)
        run = Run(
            session_id="",
            run_id=new_id(),
            index=0,
            messages=(task,),
            agent_id=origin.agent_id,
            team_id=origin.team_id,
            metadata=task_origin(origin),
        )
        command = AcceptMessages(run, len(encode(task)), new_id(), request, ExtractionKind.TASK, terms)
        return await self.writer.write(scope, command)

    async def accept_runs(
        self,
        scope: Scope,
        run_ids: Sequence[str],
        agent_id: str,
        team_id: str,
        request: Request | None,
        overrides: GivenSettings = NOTHING,
    ) -> str:
        """Queue an extraction of stored runs; return its id. Raises NotFound (RUN_NOT_FOUND), and as for messages."""
        terms = await self._terms(scope, agent_id, overrides)
        return await self.writer.write(scope, AcceptRuns(tuple(run_ids), new_id(), agent_id, team_id, request, terms))

    async def _terms(self, scope: Scope, agent_id: str, overrides: GivenSettings) -> Terms:
        settings = await self.settings_reader.in_force(scope, agent_id, overrides)
        _check_learned(settings)
        return Terms.of(settings, overrides)

    async def accept_summary(self, scope: Scope, session_id: str, request: Request | None) -> str:
        """Queue what brings a session's summary up to date; return its id, empty where nothing is new.

        Raises NotFound (SESSION_NOT_FOUND).
        """
        return await self.writer.write(scope, AcceptSummary(session_id, new_id(), request))

    async def accept_consolidation(self, scope: Scope, request: Request | None) -> str:
        """Queue a consolidation of the user's memories; return its id."""
        return await self.writer.write(scope, AcceptConsolidation(new_id(), request))

    async def get(self, scope: Scope, extraction_id: str) -> Extraction:
        """Return an extraction. Raises NotFound (EXTRACTION_NOT_FOUND)."""
        state = (await self.users.latest(scope)).state
        if extraction_id in state.core.open:
            return state.core.open[extraction_id]
        rows = await self.users.driver.get(scope, RowKind.EXTRACTION, (extraction_id,))
        if extraction_id not in rows:
            # It may have been made to wait again between the two looks.
            state = (await self.users.latest(scope)).state
            if extraction_id in state.core.open:
                return state.core.open[extraction_id]
            raise NotFound(Reason.EXTRACTION_NOT_FOUND, f"no extraction {extraction_id}")
        return decode(rows[extraction_id].body, Extraction)

    async def list(
        self,
        scope: Scope,
        states: Collection[ExtractionState],
        session_id: str,
        page_size: int,
        page_token: str,
    ) -> tuple[Sequence[Extraction], str]:
        """Return a page of extractions, newest first."""
        bound_to = binding("extractions", scope, sorted(states), session_id)
        position = read_token(page_token, bound_to, int)
        before = int(position[0]) if position is not None else None
        core = (await self.users.latest(scope)).state.core
        waiting = sorted(core.open.values(), key=lambda each: -each.position)
        waiting = [each for each in waiting if before is None or each.position < before]
        found: list[Extraction] = []
        edge, exhausted = before, False
        while len(found) <= page_size and not exhausted:
            rows = await self.users.driver.rows(
                PageOf(scope, RowKind.EXTRACTION, before=edge, descending=True, limit=_PAGE_ROWS)
            )
            exhausted = len(rows) < _PAGE_ROWS
            edge = rows[-1].position if rows else edge
            stored = [decode(row.body, Extraction) for row in rows]
            floor = edge if not exhausted and edge is not None else 0
            mixed = [each for each in stored if each.extraction_id not in core.open]
            mixed.extend(each for each in waiting if each.position >= floor)
            waiting = [each for each in waiting if each.position < floor]
            mixed.sort(key=lambda each: -each.position)
            found.extend(
                each for each in mixed if (not states or each.state in states) and session_id in ("", each.session_id)
            )
        sizes = accumulate(_ROW_BYTES + sum(map(len, map(str.encode, each.run_ids))) for each in found[:page_size])
        fitting = max(1, sum(1 for size in sizes if size <= REPLY_BYTES))
        token = make_token(bound_to, found[fitting - 1].position) if len(found) > fitting else ""
        return found[:fitting], token

    async def cancel(self, scope: Scope, extraction_id: str, request: Request | None) -> Extraction:
        """Cancel an extraction that has not ended. Raises FailedPrecondition (EXTRACTION_ENDED), NotFound."""
        return await self.writer.write(scope, CancelCommand(extraction_id, request))

    async def retry(self, scope: Scope, extraction_ids: Sequence[str], request: Request | None) -> Sequence[Extraction]:
        """Make ended extractions wait again; with no ids, those that failed, at most 100."""
        if not extraction_ids:
            failed, _ = await self.list(scope, {ExtractionState.FAILED}, "", MAX_RETRIED, "")
            extraction_ids = [each.extraction_id for each in failed]
        return await self.writer.write(scope, RetryCommand(tuple(extraction_ids), request))

    async def retry_all(self, namespace: str, page_token: str, seconds: float) -> tuple[int, str]:
        """Make all that FAILED of all users wait again, for about so long; return how many, and a token to go on."""
        bound_to = binding("retry_all", namespace)
        position = read_token(page_token, bound_to, str)
        after = str(position[0]) if position is not None else ""
        deadline = time.monotonic() + seconds
        count = 0
        while user_ids := await self.users.driver.users(namespace, after, _PAGE_USERS):
            for user_id in user_ids:
                count += await self._retry_failed(Scope(namespace, user_id))
                after = user_id
                if time.monotonic() > deadline:
                    return count, make_token(bound_to, after)
        return count, ""

    async def _retry_failed(self, scope: Scope) -> int:
        """Make all that FAILED of a user wait again, without taking the user into RAM where nothing did."""
        rows = await self.users.driver.get(scope, RowKind.STATE, ("",))
        if not any(decode(row.body, Core).failed for row in rows.values()):
            return 0
        count = 0
        while again := await self.retry(scope, (), None):
            count += len(again)
        return count

    async def hasten(self, scope: Scope, extraction_id: str) -> None:
        """End the extraction's quiet period."""
        await self.writer.write(scope, HastenCommand(extraction_id))

    async def wait(self, scope: Scope, extraction_id: str, seconds: float) -> tuple[Extraction, Commit | None]:
        """End the extraction's quiet period and wait for it to end, at most so long; return it as it is then."""
        await self.hasten(scope, extraction_id)
        deadline = time.monotonic() + seconds
        with self.users.moves.watch(scope) as moved:
            while True:
                extraction = await self.get(scope, extraction_id)
                if extraction.state.ended:
                    return extraction, await self._commit(scope, extraction)
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    return extraction, None
                await moved.wait(min(remaining, _POLL_SECONDS))

    async def wait_for_all(self, scope: Scope, seconds: float) -> None:
        """End the user's quiet periods and wait until nothing is pending, at most so long."""
        if not _learns((await self.users.latest(scope)).state):
            return
        await self.writer.write(scope, HastenCommand())
        deadline = time.monotonic() + seconds
        with self.users.moves.watch(scope) as moved:
            while _learns((await self.users.latest(scope)).state):
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    return
                await moved.wait(min(remaining, _POLL_SECONDS))

    async def _commit(self, scope: Scope, extraction: Extraction) -> Commit | None:
        """Return the commit that an extraction made; None where it failed."""
        if extraction.state is not ExtractionState.SUCCEEDED:
            return None
        commit = Commit(revision=0, time=extraction.end_time, extraction_id=extraction.extraction_id)
        if extraction.revision:
            with contextlib.suppress(TruncatedJournal):
                records = await self.users.driver.records(scope, extraction.end_seq - 1, 1)
                if records:
                    return commit_of(decode_body(records[0].body), records[0].time)
        return commit

    async def watch(self, scope: Scope, extraction_id: str, resume_token: str = "") -> AsyncGenerator[Numbered, None]:
        """Yield what happens to an extraction, from its start or after a token; ends after `Completed`.

        Raises NotFound (EXTRACTION_NOT_FOUND).
        """
        bound_to = binding("extraction", scope, extraction_id)
        position = read_token(resume_token, bound_to, int, field="resume_token")
        sent = int(position[0]) if position is not None else 0
        with self.users.moves.watch(scope) as moved:
            listener = self.hints.listen(extraction_id, moved)
            try:
                last_state: tuple[object, ...] = ()
                idle_since = time.monotonic()
                while True:
                    extraction = await self.get(scope, extraction_id)
                    for number, event in enumerate(await self._stored(scope, extraction), start=1):
                        if number > sent:
                            sent = number
                            idle_since = time.monotonic()
                            yield Numbered(event, sent, make_token(bound_to, sent))
                    if extraction.state.ended:
                        return
                    state = (extraction.attempt, extraction.state, extraction.reason)
                    if state != last_state and extraction.state is ExtractionState.WAITING and extraction.reason:
                        yield Numbered(Progress(*state))
                    last_state = state
                    while listener.hints:
                        hint = listener.hints.popleft()
                        if hint.attempt >= extraction.attempt:
                            idle_since = time.monotonic()
                            yield Numbered(hint)
                    await self._wait(moved)
                    if time.monotonic() - idle_since >= self.heartbeat_seconds:
                        idle_since = time.monotonic()
                        yield Numbered(Heartbeat())
            finally:
                self.hints.leave(extraction_id, listener)

    async def _wait(self, moved: Watch) -> None:
        await moved.wait(min(_POLL_SECONDS, self.heartbeat_seconds))

    async def _stored(self, scope: Scope, extraction: Extraction) -> Sequence[Event]:
        """Return the events that follow from what is stored."""
        events: list[Event] = [Accepted(_as_accepted(extraction))]
        forgotten = extraction.retries - len(extraction.endings)
        for ending in (*[_FORGOTTEN] * forgotten, *extraction.endings):
            events.extend((Failed(ending.state, ending.reason, ending.detail), Retried()))
        if extraction.state.ended:
            commit = await self._commit(scope, extraction)
            events.extend(map(Refused, extraction.refusals))
            if commit is not None:
                events.append(Committed(commit))
            else:
                events.append(Failed(extraction.state, extraction.reason, extraction.detail))
            events.append(Completed(extraction))
        return events

    async def messages_of(self, scope: Scope, run_ids: Sequence[str]) -> Sequence[Message]:
        """Return the messages of stored runs, in order. Raises NotFound (RUN_NOT_FOUND)."""
        rows = await self.users.driver.get(scope, RowKind.RUN, run_ids)
        runs = [decode(row.body, Run) for row in rows.values()]
        found = {run.run_id for run in runs if run.session_id}
        for run_id in run_ids:
            if run_id not in found:
                raise NotFound(Reason.RUN_NOT_FOUND, f"no run {run_id}")
        runs.sort(key=lambda run: run.index)
        now = now_micros()
        return [said_by(message, run.create_time, now) for run in runs for message in run.messages]

    async def preview(
        self,
        scope: Scope,
        messages: Sequence[Message],
        agent_id: str,
        team_id: str,
        overrides: GivenSettings = NOTHING,
    ) -> AsyncGenerator[Numbered, None]:
        """Yield what would be learned from messages; nothing is stored, and no job made."""
        user, namespace = await self.settings_reader.with_user(scope)
        settings = namespace.of(agent_id, overrides)
        _check_learned(settings)
        now = now_micros()
        messages = [said_by(message, now, now) for message in self.redactor.messages(messages)]
        extraction = Extraction(extraction_id="", kind=ExtractionKind.MESSAGES, create_time=now, position=0)
        yield Numbered(Accepted(extraction))
        known = await nearest(user, messages)
        conversation = Conversation(
            messages,
            (),
            known,
            schemas_under(settings),
            scope.user_id,
            shared=scope.is_shared,
            instructions=settings.capture_instructions,
        )
        finished = Finished(())
        async with (
            self.budgets.asking(scope.namespace) as bill,
            contextlib.aclosing(self.engine.extract(conversation)) as events,
        ):
            async for event in events:
                if isinstance(event, Proposal):
                    yield Numbered(Proposed(1, event.operation))
                elif isinstance(event, Finished):
                    finished, bill.usage = event, event.usage
        origin = Origin(agent_id=agent_id, team_id=team_id, engine=self.engine.name, model=finished.model)
        sources = [
            Source(replace(origin, author_id=message.author_id), message.time, message.text) for message in messages
        ]
        moment = Moment(max(now, user.state.core.time + 1), new_nonce(), now)
        draft = Draft(user.state, moment, quota=self.quotas.of(scope.namespace), cause=Cause.EXTRACTED)
        shown = {memory.number: memory.memory_id for memory in known}
        said = Sources(sources, Source(origin, now), shown, scope.is_shared)
        reconciled = reconcile(draft, finished.operations, said, rights_of(settings, self.max_unasked_deletions))
        for refusal in joined(finished.refusals, reconciled.refusals):
            yield Numbered(Refused(refusal))
        yield Numbered(Committed(Commit(revision=0, time=now, changes=draft.changes)))
        yield Numbered(Completed(extraction))


def _check_learned(settings: MemorySettings) -> None:
    if not settings.learned_layers:
        why = "every layer is" if settings.enabled else "memory is"
        raise FailedPrecondition(Reason.OPERATION_FORBIDDEN, f"nothing is learned: {why} switched off")


def _as_accepted(extraction: Extraction) -> Extraction:
    """Return the extraction as it was before its first attempt: the same whenever, and wherever, it is looked at."""
    return replace(
        extraction,
        state=ExtractionState.WAITING,
        reason="",
        detail="",
        attempt=0,
        next_attempt_time=0,
        revision=0,
        change_count=0,
        usage=Usage(),
        start_time=0,
        end_time=0,
        end_seq=0,
        retries=0,
        wait_time=0,
        endings=(),
        refusals=(),
    )

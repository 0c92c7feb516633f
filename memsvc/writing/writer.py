"""Writes journals: decides commands on the state in RAM, appends what was decided in groups.

Commands that wait are taken together: those of one user are decided one after the other, each on the state that the one
before leads to, and go in one append; the appends of all users go to the driver in one batch. Nothing is visible, and
no command returns, before its record is durable. Where the journal moved on, its commands are decided again. For
example, three creates for Sarah and one for Ben that arrive while a batch is written:

    sarah: after 17, records 18 19 20      ben: after 3, record 4      one batch, two outcomes, four answers

A user is pinned in RAM as long as commands wait for it: what one was prepared on is there when it is decided.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, deque
from collections.abc import Coroutine, Sequence
from typing import Any

from msgspec import Struct, field, structs

from memsvc.access.caller import current_caller
from memsvc.errors import Error, FailedPrecondition, Reason, StorageUnavailable, Unavailable
from memsvc.journal.commands import Command, Decision, R_co, Recorded
from memsvc.journal.draft import Moment
from memsvc.journal.purged import is_blanked, with_texts
from memsvc.journal.records import Body, decode_body
from memsvc.journal.state import State, load_requests
from memsvc.log import Log, Spell
from memsvc.model import Scope
from memsvc.storage.crashpoints import reach
from memsvc.storage.driver import Append, Outcome, RecordKind, RowKind, TruncatedJournal
from memsvc.tracing import OFF
from memsvc.users import HotUser, Users
from memsvc.waits import current_waits
from memsvc.writing.part import Part, VectorPlan, erased_since
from memsvc.writing.waiting import Decided, Waiting, internal

log = Log(__name__)

_BATCH_USERS = 256
_BACKOFF_SECONDS = 0.002
"""After its second conflict a command waits up to so long, and so much longer after each that follows."""
_MAX_BACKOFF_SECONDS = 0.01
_CONTENDED_SECONDS = 1.0
"""How long after a record of another process a user counts as one that several write to."""
_STREAK = 16
"""After so many appends to a user there is a pause, for other processes that may wait unseen."""
_MAX_YIELD_SECONDS = 0.1


class _Lane(Struct):
    """What waits for one user."""

    waiting: deque[Waiting[Any]] = field(default_factory=deque)
    busy: bool = False
    """Being prepared, or part of a batch under way."""


class Writer:
    """Appends to journals, for all users of a process."""

    def __init__(self, users: Users, *, max_waiting: int = 20_000, vectors: VectorPlan | None = None) -> None:
        """`vectors`: when they are made of what changed; None: nobody makes any."""
        self._users = users
        self._vectors = vectors
        self._driver = users.driver
        self._max_waiting = max_waiting
        self._lanes: dict[Scope, _Lane] = {}
        self._ready: deque[Scope] = deque()
        self.traces = OFF
        self.written = 0
        """Commands that are in the journal."""
        self.outcomes: Counter[Outcome] = Counter()
        self._waiting_count = 0
        self._batches = 0
        self._scheduled = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._unconfirmed: set[Scope] = set()
        """Whose last record was found in the journal, but never acknowledged by the database."""
        self._unanswered: set[Waiting[Any]] = set()
        self._refusals = Spell(log, "writes_refused", "writes_accepted_again")
        self._closing = False
        self._closed = False

    def write(self, scope: Scope, command: Command[R_co]) -> Coroutine[Any, Any, R_co]:
        """As `_write`, with a span where the call that asks is sampled."""
        return self._write_traced(scope, command) if self.traces.is_recording else self._write(scope, command)

    async def _write_traced(self, scope: Scope, command: Command[R_co]) -> R_co:
        with self.traces.span("write_journal", gen_ai__memory__store__id=scope.namespace):
            return await self._write(scope, command)

    async def _write(self, scope: Scope, command: Command[R_co]) -> R_co:
        """Carry out a command and return its answer once it is durable.

        Raises what the command's `decide` raises; InvalidArgument (REQUEST_ID_REUSED), FailedPrecondition
        (USER_ERASED) for its request id; Aborted (TOO_MANY_CONFLICTS); StorageUnavailable, and then whether it was
        carried out is unknown: a repeat with the same request id finds out; Unavailable (SERVER_DRAINING,
        TOO_MANY_CALLS), and then it was not.
        """
        if self._closing:
            raise Unavailable(Reason.SERVER_DRAINING, "server is stopping", retry_after_seconds=1.0)
        if self._waiting_count >= self._max_waiting:
            raise Unavailable(Reason.TOO_MANY_CALLS, f"{self._max_waiting} writes wait", retry_after_seconds=1.0)
        waiting: Waiting[R_co] = Waiting(
            command, asyncio.get_running_loop().create_future(), time.monotonic(), current_caller().actor
        )
        lane = self._lanes.get(scope)
        if lane is None:
            lane = self._lanes[scope] = _Lane()
            self._users.pin(scope)
        lane.waiting.append(waiting)
        self._waiting_count += 1
        if not lane.busy:
            lane.busy = True
            self._make_ready(scope)
        self._unanswered.add(waiting)
        waits = current_waits()
        waits.has_written = True
        try:
            with waits:
                return await waiting.future
        finally:
            self._unanswered.discard(waiting)

    @property
    def waiting_count(self) -> int:
        return self._waiting_count

    @property
    def oldest_seconds(self) -> float:
        """How long ago the command came that has waited longest for its answer."""
        now = time.monotonic()
        return max((now - waiting.arrived for waiting in self._unanswered), default=0.0)

    async def close(self, within_seconds: float | None = None) -> int:
        """Take no more commands; return once those that wait are done, or after so long: for how many users not.

        Who still waits for one of these is told that the database did not answer.
        """
        self._closing = True
        try:
            async with asyncio.timeout(within_seconds):
                while self._lanes or self._tasks:
                    await (asyncio.wait(set(self._tasks)) if self._tasks else asyncio.sleep(0))
        except TimeoutError:
            pass
        return await self._abandon()

    async def _abandon(self) -> int:
        self._closed = True
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for waiting in list(self._unanswered):
            waiting.fail(StorageUnavailable("the database did not answer before the server stopped"))
        return len(self._lanes)

    def _make_ready(self, scope: Scope) -> None:
        self._ready.append(scope)
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._start_batch)

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _start_batch(self) -> None:
        """Decide what is ready and hand it to the driver, if the driver wants another batch."""
        self._scheduled = False
        if self._closed or self._batches >= self._driver.capabilities().concurrent_batches:
            return
        parts: list[Part] = []
        while self._ready and len(parts) < _BATCH_USERS:
            part = self._decide(self._ready.popleft())
            if part is not None:
                parts.append(part)
        if parts:
            self._batches += 1
            self._spawn(self._append(parts))

    def _consolidate_after_seconds(self, namespace: str) -> float:
        """Return what is configured of the namespace, as far as it is in RAM: whoever writes memories has read it."""
        hot = self._users.hot(Scope(namespace, ""))
        configured = hot.state.core.configs.get("") if hot is not None else None
        return (configured.given.retention.consolidation_seconds or 0.0) if configured is not None else 0.0

    def _decide(self, scope: Scope) -> Part | None:
        """Decide the user's waiting commands; None: it has to be prepared first, or nothing is left."""
        lane = self._lanes[scope]
        hot = self._users.hot(scope)
        if hot is None:
            self._spawn(self._prepare(scope))
            return None
        part = Part(hot, self._vectors, self._consolidate_after_seconds(scope.namespace))
        while lane.waiting and not part.is_full:
            waiting = lane.waiting[0]
            if not waiting.future.done() and not part.decide(waiting, self._users.clock()):
                if not part.decided:
                    self._spawn(self._prepare(scope))
                    return None
                break
            self._take(lane)
        if part.decided:
            return part
        self._release(scope)
        return None

    def _take(self, lane: _Lane) -> None:
        lane.waiting.popleft()
        self._waiting_count -= 1

    def _release(self, scope: Scope) -> None:
        """The user is no longer part of a batch: let its next commands go, if there are any."""
        lane = self._lanes[scope]
        if lane.waiting:
            self._make_ready(scope)
        else:
            del self._lanes[scope]
            self._users.unpin(scope)

    async def _prepare(self, scope: Scope) -> None:
        """Bring the user up to date and read what its first command needs; then it is ready."""
        lane = self._lanes[scope]
        try:
            hot = await self._users.latest(scope)
            self._drop_ended(lane)
            if any(waiting.command.request is not None for waiting in lane.waiting):
                await self._load_requests(hot)
            if lane.waiting:
                await lane.waiting[0].prepare(self._driver, hot.state)
        except Error as error:
            self._fail_all(lane, error)
        except Exception as error:
            log.error("prepare_failed", error, scope=scope)
            self._fail_all(lane, internal(error))
        self._release(scope)

    def _drop_ended(self, lane: _Lane) -> None:
        """Drop commands that nobody waits for any more, or that others kept from being carried out for too long."""
        while lane.waiting and lane.waiting[0].has_ended():
            self._take(lane)

    def _fail_all(self, lane: _Lane, error: Error) -> None:
        while lane.waiting:
            lane.waiting[0].fail(error)
            self._take(lane)

    async def _load_requests(self, hot: HotUser) -> None:
        while hot.state.requests is None:
            loaded = await self._driver.load(hot.state.scope, (RowKind.REQUEST,))
            # Requests newer than the state do no harm: its tip is then old, and the append finds out. Older ones would
            # lack those of records that were folded in meanwhile.
            if hot.state.requests is None and loaded.tip.seq >= hot.state.tip.seq:
                hot.state = structs.replace(hot.state, requests=load_requests(loaded))

    async def _append(self, parts: Sequence[Part]) -> None:
        """Append the parts of a batch, and see to what came of each."""
        try:
            items = [part.append() for part in parts]
            outcomes, cause = await self._outcomes([item for item in items if item is not None])
            remaining = iter(outcomes)
            for part, item in zip(parts, items, strict=True):
                if item is None:
                    self._appended(part)
                    continue
                outcome = next(remaining)
                self.outcomes[outcome] += 1
                if outcome is Outcome.APPENDED:
                    self._unconfirmed.discard(item.scope)
                    part.hot.acknowledged = part.state.seq
                    self._appended(part)
                elif outcome is Outcome.CONFLICT:
                    self._spawn(self._conflicted(part))
                else:
                    self._spawn(self._resolve(part, item, cause))
        finally:
            self._batches -= 1
            if self._ready:
                self._schedule()

    async def _outcomes(self, items: Sequence[Append]) -> tuple[Sequence[Outcome], Error]:
        """Return what became of each item, and what to say of those of which nothing is known."""
        cause: Error = StorageUnavailable("database did not say whether it wrote")
        if not items:
            return (), cause
        try:
            reach("writer.before_append")
            outcomes = await self._driver.append(items)
            reach("writer.after_append")
        except StorageUnavailable as error:
            self._refusals.failed(reason=error.reason, because=error.message)
            cause = error
        except Exception as error:
            log.error("append_failed", error)
            cause = internal(error)
        else:
            if Outcome.UNKNOWN in outcomes:
                self._refusals.failed(reason=cause.reason, because=cause.message)
            else:
                self._refusals.went_well()
            return outcomes, cause
        return [Outcome.UNKNOWN] * len(items), cause

    def _appended(self, part: Part, *, confirmed: bool = True) -> None:
        """The part is in the journal: move the user on, and answer."""
        hot, scope = part.hot, part.state.scope
        self._move(part)
        self.written += len(part.decided)
        for decided in part.decided:
            if decided.repeats:
                self._spawn(self._repeat(scope, decided))
            elif confirmed:
                decided.answer(part.state)
        if not confirmed:
            self._spawn(self._confirm(part))
        now = time.monotonic()
        hot.appends += 1
        if now - hot.contended < _CONTENDED_SECONDS or hot.appends % _STREAK == 0:
            self._spawn(self._yield(scope, now - part.started))
        else:
            self._release(scope)

    def _move(self, part: Part) -> None:
        hot = part.hot
        if part.before is part.state:
            return
        if hot.state is part.before or hot.state.tip == part.before.tip:
            self._users.move(hot, part.state, [decided.body for decided in part.decided])
            hot.fresh_at(part.started, part.started_time)
        elif self._users.hot(hot.state.scope) is hot and hot.state.tip.seq < part.state.tip.seq:
            self._users.forget(hot.state.scope)

    async def _conflicted(self, part: Part) -> None:
        """The journal moved on: catch up, wait a little where that keeps happening, and decide again."""
        scope = part.state.scope
        lane = self._lanes[scope]
        worst = 0
        for decided in reversed(part.decided):
            waiting = decided.waiting
            waiting.conflicts += 1
            worst = max(worst, waiting.conflicts)
            lane.waiting.appendleft(waiting)
            self._waiting_count += 1
        if worst > 1:
            await asyncio.sleep(random.random() * min(_MAX_BACKOFF_SECONDS, _BACKOFF_SECONDS * (worst - 1)))
        await self._prepare(scope)

    async def _yield(self, scope: Scope, append_seconds: float) -> None:
        """Let other processes that write to this user have a turn: who has just won knows the tip before they do."""
        await asyncio.sleep(random.random() * min(append_seconds, _MAX_YIELD_SECONDS))
        if self._lanes[scope].waiting:
            await self._prepare(scope)
        else:
            self._release(scope)

    async def _resolve(self, part: Part, item: Append, cause: Error) -> None:
        """Find out whether an append of unknown outcome was made: the record at its place is ours, or is not."""
        scope, first = item.scope, item.records[0]
        try:
            found = await self._driver.records(scope, first.seq - 1, 1)
            applied = bool(found) and found[0].nonce == first.nonce
        except (TruncatedJournal, StorageUnavailable):
            applied = False
        except Exception as error:
            log.warning("outcome_unknown", scope=scope, error=type(error).__name__)
            applied = False
        if applied:
            # It can be read, but may have reached fewer copies than an acknowledgement stands for.
            self._unconfirmed.add(scope)
            self._appended(part, confirmed=False)
            return
        # What is in RAM was acknowledged, and stays good for reads that allow staleness while the database is away.
        if not isinstance(cause, StorageUnavailable):
            self._users.forget(scope)
        for decided in part.decided:
            decided.waiting.fail(cause)
        self._release(scope)

    async def _confirm(self, part: Part) -> None:
        """Answer what was found in the journal once a later record of it is acknowledged."""
        found = [decided for decided in part.decided if not decided.repeats]
        try:
            if any(isinstance(decided.waiting.command, _Confirm) for decided in found):
                raise StorageUnavailable("the database has written, but not confirmed it")
            await self.write(part.state.scope, _Confirm())
        except Error as error:
            for decided in found:
                decided.waiting.fail(error)
        else:
            for decided in found:
                decided.answer(part.state)

    async def _repeat(self, scope: Scope, decided: Decided) -> None:
        """Answer a request that was answered before from the record that has its answer."""
        waiting = decided.waiting
        try:
            if scope in self._unconfirmed or not self._is_safe(scope, decided.repeats):
                await self.write(scope, _Confirm())
            waiting.answer(await self._recorded(scope, decided.repeats))
        except Error as error:
            waiting.fail(error)
        except Exception as error:
            log.error("repeat_failed", error, scope=scope)
            waiting.fail(internal(error))

    def _is_safe(self, scope: Scope, seq: int) -> bool:
        """Whether a record that was read is as safe as one that was acknowledged."""
        if not self._driver.capabilities().reads_run_ahead:
            return True
        hot = self._users.hot(scope)
        return hot is not None and seq <= hot.acknowledged

    async def _recorded(self, scope: Scope, seq: int) -> Recorded:
        try:
            record = (await self._driver.records(scope, seq - 1, 1))[0]
        except TruncatedJournal as truncated:
            if seq < (await self._users.latest(scope)).state.core.erase_seq:
                raise erased_since() from truncated
            message = "the first answer is no longer kept"
            raise FailedPrecondition(Reason.HISTORY_TRIMMED, message) from truncated
        state = (await self._users.latest(scope)).state
        body = decode_body(record.body)
        return Recorded(with_texts(body, state) if is_blanked(body) else body, record.time, state)


class _Confirm(Command[None]):
    """Changes nothing: once it is acknowledged, so is by any database what was written to the journal before."""

    def decide(self, state: State, moment: Moment) -> Decision:
        return Decision(RecordKind.CONFIRM, Body(revision=state.revision))

    def result(self, recorded: Recorded) -> None:
        return None

"""Writes journals: decides commands on the state in RAM, appends what was decided in groups.

Commands that wait are taken together: those of one user are decided one after the other, each on the state that the one
before leads to, and go in one append; the appends of all users go to the driver in one batch. Nothing is visible, and
no command returns, before its record is durable. Where the journal moved on, its commands are decided again.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from msgspec import Struct, field, structs

from memsvc.clock import now_micros
from memsvc.errors import (
    Aborted,
    Error,
    FailedPrecondition,
    Reason,
    ResourceExhausted,
    StorageUnavailable,
    Unavailable,
    invalid,
)
from memsvc.journal.commands import Command, Decision, R_co, Recorded
from memsvc.journal.draft import Moment
from memsvc.journal.records import Body, decode_body, encode_body, new_nonce, reply_bytes
from memsvc.journal.state import State, due_time, fold, load_requests, project, state_row
from memsvc.limits import REPLY_BYTES
from memsvc.model import Scope
from memsvc.storage.crashpoints import reach
from memsvc.storage.driver import (
    MAX_APPEND_BYTES,
    Append,
    Outcome,
    Record,
    RecordKind,
    Row,
    RowKey,
    RowKind,
    TruncatedJournal,
)
from memsvc.users import HotUser, Users
from memsvc.writing.waiting import Decided, Waiting, internal

logger = logging.getLogger(__name__)

MAX_CONFLICTS = 64
_PATIENCE_SECONDS = 5.0
"""A command gives up after so many conflicts, but not sooner than this."""
_GROUP_USERS = 256
_GROUP_COMMANDS = 64
_BACKOFF_SECONDS = 0.002
"""After its second conflict a command waits up to so long, and so much longer after each that follows."""
_MAX_BACKOFF_SECONDS = 0.01
_CONTENDED_SECONDS = 1.0
"""How long after a record of another process a user counts as one that several write to."""
_STREAK = 16
"""After so many appends to a user there is a pause, for other processes that may wait unseen."""
_MAX_YIELD_SECONDS = 0.1


class _Group(Struct):
    """One user's part of a batch."""

    hot: HotUser
    decided: list[Decided]
    state: State
    item: Append | None
    started: float = field(default_factory=time.monotonic)


class _Confirm(Command[None]):
    """Changes nothing: once it is acknowledged, so is by any database what was written to the journal before."""

    def decide(self, state: State, moment: Moment) -> Decision:
        return Decision(RecordKind.SETTLE, Body(revision=state.revision))

    def result(self, recorded: Recorded) -> None:
        return None


class _Lane(Struct):
    """What waits for one user."""

    waiting: deque[Waiting[Any]] = field(default_factory=deque)
    busy: bool = False
    """Being prepared, or part of a batch under way."""


class Writer:
    """Appends to journals, for all users of a process."""

    def __init__(self, users: Users, *, max_waiting: int = 20_000) -> None:
        self._users = users
        self._driver = users.driver
        self._max_waiting = max_waiting
        self._lanes: dict[Scope, _Lane] = {}
        self._ready: deque[Scope] = deque()
        self._waiting_count = 0
        self._batches = 0
        self._scheduled = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._unconfirmed: set[Scope] = set()
        """Whose last record was found in the journal, but never acknowledged by the database."""
        self._closing = False

    async def write(self, scope: Scope, command: Command[R_co]) -> R_co:
        """Carry out a command and return its answer once it is durable.

        Raises what the command's `decide` raises; InvalidArgument (REQUEST_ID_REUSED), FailedPrecondition
        (USER_ERASED) for its request id; Aborted (TOO_MANY_CONFLICTS); StorageUnavailable, and then whether it was
        carried out is unknown: a repeat with the same request id finds out.
        """
        if self._closing:
            raise Unavailable(Reason.SERVER_DRAINING, "server is stopping", retry_after_seconds=1.0)
        if self._waiting_count >= self._max_waiting:
            raise Unavailable(Reason.STORAGE_UNAVAILABLE, "too many writes wait", retry_after_seconds=1.0)
        loop = asyncio.get_running_loop()
        waiting: Waiting[R_co] = Waiting(command, loop.create_future(), time.monotonic())
        lane = self._lanes.get(scope)
        if lane is None:
            lane = self._lanes[scope] = _Lane()
        lane.waiting.append(waiting)
        self._waiting_count += 1
        if not lane.busy:
            lane.busy = True
            self._ready.append(scope)
            self._schedule()
        return await waiting.future

    async def close(self) -> None:
        """Take no more commands; return when those that wait are done."""
        self._closing = True
        while self._lanes or self._tasks:
            if self._tasks:
                await asyncio.wait(set(self._tasks))
            else:
                await asyncio.sleep(0)

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._start_batch)

    def _spawn(self, coroutine: Any) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _start_batch(self) -> None:
        """Decide what is ready and hand it to the driver, if the driver wants another batch."""
        self._scheduled = False
        if self._batches >= self._driver.capabilities().concurrent_batches:
            return
        groups: list[_Group] = []
        while self._ready and len(groups) < _GROUP_USERS:
            scope = self._ready.popleft()
            group = self._decide(scope)
            if group is not None:
                groups.append(group)
        if groups:
            self._batches += 1
            self._spawn(self._append(groups))

    def _decide(self, scope: Scope) -> _Group | None:
        """Decide the user's waiting commands; None: it has to be prepared first, or nothing is left."""
        lane = self._lanes[scope]
        hot = self._users.hot(scope)
        if hot is None:
            self._spawn(self._prepare(scope))
            return None
        state = hot.state
        group = _Group(hot, [], state, None)
        records: list[Record] = []
        puts: dict[RowKey, Row] = {}
        deletes: dict[RowKey, None] = {}
        erases = False
        size = 0
        while lane.waiting and len(group.decided) < _GROUP_COMMANDS and not erases:
            waiting = lane.waiting[0]
            command = waiting.command
            if waiting.future.done():
                self._take(lane)
                continue
            if (command.request is not None and state.requests is None) or (
                command.needs(state) and waiting.prepared_at != state.tip
            ):
                if not group.decided:
                    self._spawn(self._prepare(scope))
                    return None
                break
            try:
                seen = _seen(state, command, self._users.clock())
                if seen:
                    self._take(lane)
                    group.decided.append(Decided(waiting, None, repeats=seen))
                    continue
                now = self._users.clock()
                moment = Moment(max(now, state.core.time + 1), new_nonce(), now)
                decision = command.decide(state, moment)
            except Error as error:
                # Only a state that is fresh and durable may say no.
                if group.decided:
                    break
                if hot.checked >= waiting.arrived:
                    self._take(lane)
                    waiting.fail(error)
                    continue
                self._spawn(self._prepare(scope))
                return None
            except Exception as error:
                logger.exception("action=decide_failed command=%s", type(command).__name__)
                self._take(lane)
                waiting.fail(internal(error))
                continue
            if decision is None:
                # So may only it say that there is nothing to do.
                if group.decided:
                    break
                if hot.checked < waiting.arrived:
                    self._spawn(self._prepare(scope))
                    return None
                self._take(lane)
                group.decided.append(Decided(waiting, Body(revision=state.revision)))
                continue
            if decision.body.erase is not None and records:
                break
            record = Record(state.tip.seq + 1, moment.nonce, decision.kind, moment.time, encode_body(decision.body))
            after = fold(state, record, decision.body)
            more_puts, more_deletes = project(state, after, record, decision.body)
            more_puts.extend(decision.puts)
            more_deletes.extend(decision.deletes)
            added = len(record.body) + sum(len(row.body) for row in more_puts)
            replied = reply_bytes(scope, record.body, len(decision.body.changes))
            if added > MAX_APPEND_BYTES or replied > REPLY_BYTES:
                self._take(lane)
                refused = (added, MAX_APPEND_BYTES) if added > MAX_APPEND_BYTES else (replied, REPLY_BYTES)
                waiting.fail(_too_large(*refused))
                continue
            if size + added > MAX_APPEND_BYTES:
                break
            self._take(lane)
            size += added
            state = after
            records.append(record)
            if decision.body.erase is not None:
                puts, deletes, erases = {}, {}, True
            for key in more_deletes:
                puts.pop(key, None)
                deletes[key] = None
            for row in more_puts:
                key = RowKey(row.kind, row.row_id)
                deletes.pop(key, None)
                puts[key] = row
            group.decided.append(Decided(waiting, decision.body, moment.time))
        if records:
            row = state_row(state)
            group.state = state
            group.item = Append(
                scope=scope,
                after=hot.state.tip,
                records=records,
                puts=[*puts.values(), row],
                deletes=list(deletes),
                due=due_time(state),
                erases=erases,
            )
        elif not group.decided:
            self._release(scope)
            return None
        return group

    def _take(self, lane: _Lane) -> None:
        lane.waiting.popleft()
        self._waiting_count -= 1

    def _release(self, scope: Scope) -> None:
        """The user is no longer part of a batch: let its next commands go, if there are any."""
        lane = self._lanes[scope]
        if lane.waiting:
            self._ready.append(scope)
            self._schedule()
        else:
            del self._lanes[scope]

    async def _prepare(self, scope: Scope) -> None:
        """Bring the user up to date and read what its first command needs; then it is ready."""
        lane = self._lanes[scope]
        try:
            hot = await self._users.latest(scope)
            while lane.waiting and lane.waiting[0].future.done():
                self._take(lane)
            if lane.waiting:
                first = lane.waiting[0]
                if hot.state.requests is None and any(w.command.request is not None for w in lane.waiting):
                    await self._load_requests(hot)
                state = hot.state
                if first.command.needs(state):
                    await first.command.prepare(self._driver, state)
                    first.prepared_at = state.tip
        except Error as error:
            self._fail_all(lane, error)
        except Exception as error:
            logger.exception("action=prepare_failed")
            self._fail_all(lane, internal(error))
        self._release(scope)

    def _fail_all(self, lane: _Lane, error: Error) -> None:
        while lane.waiting:
            lane.waiting[0].fail(error)
            self._take(lane)

    async def _load_requests(self, hot: HotUser) -> None:
        loaded = await self._driver.load(hot.state.scope, (RowKind.REQUEST,))
        if hot.state.requests is None:
            # Requests newer than the state do no harm: its tip is then old, and the append finds out.
            hot.state = structs.replace(hot.state, requests=load_requests(loaded))

    async def _append(self, groups: list[_Group]) -> None:
        try:
            items = [group.item for group in groups if group.item is not None]
            outcomes: Sequence[Outcome] = ()
            cause: Error | None = None
            if items:
                try:
                    reach("writer.before_append")
                    outcomes = await self._driver.append(items)
                    reach("writer.after_append")
                except StorageUnavailable as error:
                    outcomes, cause = [Outcome.UNKNOWN] * len(items), error
                except Exception as error:
                    logger.exception("action=append_failed")
                    outcomes, cause = [Outcome.UNKNOWN] * len(items), internal(error)
            remaining = iter(outcomes)
            for group in groups:
                outcome = next(remaining) if group.item is not None else Outcome.APPENDED
                if outcome is Outcome.APPENDED:
                    if group.item is not None:
                        self._unconfirmed.discard(group.item.scope)
                    self._appended(group)
                elif outcome is Outcome.CONFLICT:
                    self._spawn(self._conflicted(group))
                else:
                    self._spawn(self._look(group, cause))
        finally:
            self._batches -= 1
            self._schedule()

    def _appended(self, group: _Group, *, confirmed: bool = True) -> None:
        hot, scope = group.hot, group.hot.state.scope
        if group.item is not None:
            if hot.state.tip == group.item.after:
                if group.state.requests is None:
                    group.state = structs.replace(group.state, requests=hot.state.requests)
                self._users.move(hot, group.state, [d.body for d in group.decided if d.body is not None])
                hot.checked, hot.checked_time = max(hot.checked, group.started), now_micros()
            elif self._users.hot(scope) is hot and hot.state.tip.seq < group.state.tip.seq:
                self._users.forget(scope)
        for decided in group.decided:
            if decided.repeats:
                self._spawn(self._repeat(scope, decided))
            elif confirmed:
                decided.answer(group.state)
        if not confirmed:
            self._spawn(self._confirm(group))
        now = time.monotonic()
        hot.appends += 1
        if now - hot.contended < _CONTENDED_SECONDS or hot.appends % _STREAK == 0:
            self._spawn(self._yield(scope, now - group.started))
        else:
            self._release(scope)

    async def _conflicted(self, group: _Group) -> None:
        """The journal moved on: catch up, wait a little where that keeps happening, and decide again."""
        scope = group.hot.state.scope
        lane = self._lanes[scope]
        worst = 0
        for decided in reversed(group.decided):
            waiting = decided.waiting
            waiting.conflicts += 1
            worst = max(worst, waiting.conflicts)
            if waiting.conflicts > MAX_CONFLICTS and time.monotonic() - waiting.arrived > _PATIENCE_SECONDS:
                waiting.fail(Aborted(Reason.TOO_MANY_CONFLICTS, f"gave up after {MAX_CONFLICTS} tries"))
                continue
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

    async def _look(self, group: _Group, cause: Error | None) -> None:
        """Find out whether an append of unknown outcome was made: the record at its place is ours, or is not."""
        assert group.item is not None
        scope = group.item.scope
        first = group.item.records[0]
        cause = cause or StorageUnavailable("database did not say whether it wrote")
        try:
            found = await self._driver.records(scope, first.seq - 1, 1)
            applied = bool(found) and found[0].nonce == first.nonce
        except TruncatedJournal:
            applied = False
        except Exception as error:
            logger.warning("action=outcome_unknown error=%s", type(error).__name__)
            applied = False
        if applied:
            # It can be read, but may have reached fewer copies than an acknowledgement stands for.
            self._unconfirmed.add(scope)
            self._appended(group, confirmed=False)
            return
        # What is in RAM was acknowledged, and stays good for reads that allow staleness while the database is away.
        if not isinstance(cause, StorageUnavailable):
            self._users.forget(scope)
        for decided in group.decided:
            decided.waiting.fail(cause)
        self._release(scope)

    async def _confirm(self, group: _Group) -> None:
        """Answer what was found in the journal once a later record of it is acknowledged."""
        found = [decided for decided in group.decided if not decided.repeats]
        try:
            if any(isinstance(decided.waiting.command, _Confirm) for decided in found):
                raise StorageUnavailable("the database has written, but not confirmed it")
            await self.write(group.hot.state.scope, _Confirm())
        except Error as error:
            for decided in found:
                decided.waiting.fail(error)
        else:
            for decided in found:
                decided.answer(group.state)

    async def _repeat(self, scope: Scope, decided: Decided) -> None:
        """Answer a request that was seen before from the record that has its answer."""
        waiting = decided.waiting
        try:
            if scope in self._unconfirmed:
                await self.write(scope, _Confirm())
            records = await self._driver.records(scope, decided.repeats - 1, 1)
            hot = await self._users.latest(scope)
            record = records[0]
            waiting.answer(Recorded(decode_body(record.body), record.time, hot.state))
        except TruncatedJournal:
            waiting.fail(FailedPrecondition(Reason.HISTORY_TRIMMED, "the first answer is no longer kept"))
        except Error as error:
            waiting.fail(error)
        except Exception as error:
            logger.exception("action=repeat_failed")
            waiting.fail(internal(error))


def _seen(state: State, command: Command[Any], now: int) -> int:
    """Return the record that answered the command's request id before; 0: none."""
    request = command.request
    if request is None or state.requests is None:
        return 0
    seen = state.requests.get(request.key)
    if seen is None or seen.expire_time <= now:
        return 0
    if seen.digest != request.digest:
        raise invalid("request_id", f"was used for another {seen.method}", Reason.REQUEST_ID_REUSED)
    if seen.seq < state.core.erase_seq:
        raise FailedPrecondition(Reason.USER_ERASED, "user was erased after this request was first sent")
    return seen.seq


def _too_large(size: int, limit: int) -> Error:
    """A record must fit into an append, and its commit into a reply."""
    message = f"{size / 2**20:.1f} MiB of {limit / 2**20:.0f} MiB in one write, old texts included: split it"
    return ResourceExhausted(Reason.REQUEST_TOO_LARGE, message, metadata={"limit": str(limit)})

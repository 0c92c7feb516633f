"""One user's part of a batch: commands decided one after the other, each on the state that the one before leads to.

Only a state that is fresh and durable may say no, or that there is nothing to do, or that a request was answered
before: a stale one may not know better, and one that no database has confirmed may never come to be. For example, two
creates of one key that wait together: the first is decided; the second would be refused, so it stays, and is decided in
the next batch, on what the first one has become by then.
"""

from __future__ import annotations

import time
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from memsvc.clock import now_micros
from memsvc.errors import Error, FailedPrecondition, Reason, ResourceExhausted, invalid
from memsvc.journal.commands import Command, Decision
from memsvc.journal.draft import Moment
from memsvc.journal.records import Body, encode_body, new_nonce, reply_bytes
from memsvc.journal.state import State, due_time, fold, project, state_row
from memsvc.limits import REPLY_BYTES
from memsvc.log import Log
from memsvc.storage.driver import MAX_APPEND_BYTES, MAX_ROW_BYTES, Append, Record, Row, RowKey
from memsvc.users import HotUser
from memsvc.writing.waiting import Decided, Waiting, internal

log = Log(__name__)

_COMMANDS = 64


class _Later(Exception):
    """The command has to be decided on another state: one that is fresher, or durable, or with more read from rows."""


class VectorPlan(Struct, frozen=True):
    """When vectors are made, or only stored, after memories have changed."""

    after_seconds: float = 0.0
    from_memories: int = 0
    """Of users with at least so many memories."""

    def applies(self, memory_count: int) -> bool:
        """Tell whether a user with so many memories has vectors stored."""
        return memory_count >= self.from_memories


STORE_ALL = VectorPlan()
"""At once, of everybody."""


class Part:
    """Grows by a command at a time, until it is appended whole or not at all."""

    __slots__ = (
        "_consolidate_after_seconds",
        "_deletes",
        "_puts",
        "_records",
        "_size",
        "_vectors",
        "before",
        "decided",
        "erases",
        "hot",
        "started",
        "started_time",
        "state",
    )

    def __init__(self, hot: HotUser, vectors: VectorPlan | None = None, consolidate_after_seconds: float = 0.0) -> None:
        """`vectors`: None: nobody makes any.

        `consolidate_after_seconds`: how soon it is to be consolidated; 0: not by itself.
        """
        self._consolidate_after_seconds = consolidate_after_seconds
        self.hot = hot
        self._vectors = vectors
        self.before = self.state = hot.state
        """After what is decided so far."""
        self.decided: list[Decided] = []
        self.erases = False
        self.started, self.started_time = time.monotonic(), now_micros()
        self._records: list[Record] = []
        self._puts: dict[RowKey, Row] = {}
        self._deletes: dict[RowKey, None] = {}
        self._size = 0

    @property
    def is_full(self) -> bool:
        return self.erases or len(self.decided) == _COMMANDS

    def decide(self, waiting: Waiting[Any], now: int) -> bool:
        """Decide a command, or tell who waits why not; False: it has to wait for another state."""
        try:
            self._decide_one(waiting, now)
        except _Later:
            return False
        return True

    def append(self) -> Append | None:
        """Return what the driver has to append; None: nothing."""
        if not self._records:
            return None
        return Append(
            scope=self.state.scope,
            after=self.before.tip,
            records=self._records,
            puts=[*self._puts.values(), state_row(self.state)],
            deletes=list(self._deletes),
            due=due_time(self.state),
            erases=self.erases,
        )

    def _decide_one(self, waiting: Waiting[Any], now: int) -> None:
        command, state = waiting.command, self.state
        if not waiting.is_prepared(state):
            raise _Later
        moment = Moment(max(now, state.core.time + 1), new_nonce(), now)
        try:
            seen = _seen(state, command, now)
            decision = None if seen else command.decide(state, moment)
        except Error as error:
            self._require_fresh(waiting)
            waiting.fail(error)
        except Exception as error:
            log.error("decide_failed", error, scope=state.scope, command=type(command).__name__)
            waiting.fail(internal(error))
        else:
            if decision is not None:
                self._record(waiting, decision, moment)
                return
            self._require_fresh(waiting)
            self.decided.append(Decided(waiting, Body(revision=state.revision), repeats=seen))

    def _record(self, waiting: Waiting[Any], decision: Decision, moment: Moment) -> None:
        """Add a decision; one that cannot be recorded is the failure of whoever asked for it, and of nobody else."""
        try:
            self._add(waiting, decision, moment)
        except _Later:
            raise
        except Exception as error:
            log.error("record_failed", error, scope=self.state.scope, command=type(waiting.command).__name__)
            waiting.fail(internal(error))

    def _require_fresh(self, waiting: Waiting[Any]) -> None:
        if self._records or self.hot.checked < waiting.arrived:
            raise _Later

    def _add(self, waiting: Waiting[Any], decision: Decision, moment: Moment) -> None:
        """Add the record of a decision, and the rows that it leads to."""
        before, body = self.state, self._asking_for_vectors(decision.body, moment)
        if waiting.actor:
            body = replace(body, actor=waiting.actor)
        body = self._planning_consolidation(body, moment)
        if body.erase is not None and self._records:
            raise _Later
        record = Record(before.tip.seq + 1, moment.nonce, decision.kind, moment.time, encode_body(body))
        after = fold(before, record, body)
        puts, deletes = project(before, after, record, body)
        puts.extend(decision.puts)
        deletes.extend(decision.deletes)
        size, largest = len(record.body), 0
        for row in puts:
            row_size = len(row.body)
            size += row_size
            largest = max(largest, row_size)
        refused = refusal(size - min(MAX_ROW_BYTES, largest), reply_bytes(before.scope, record.body, len(body.changes)))
        if refused is not None:
            waiting.fail(refused)
            return
        if self._records and self._size + size > MAX_APPEND_BYTES:
            raise _Later
        self._size += size
        self.state, self.erases = after, body.erase is not None
        self._records.append(record)
        self._merge(puts, deletes)
        self.decided.append(Decided(waiting, body, moment.time))

    def _planning_consolidation(self, body: Body, moment: Moment) -> Body:
        """Let memories that changed be consolidated some time later, where that is configured."""
        seconds = self._consolidate_after_seconds
        if not seconds or not body.changes or self.state.core.consolidate_time or body.consolidate_time is not None:
            return body
        return replace(body, consolidate_time=moment.now + int(seconds * 1_000_000))

    def _asking_for_vectors(self, body: Body, moment: Moment) -> Body:
        plan = self._vectors
        if plan is None or self.state.core.embed_time:
            return body
        written = sum(change.after is not None for change in body.changes)
        if not written or not plan.applies(self.state.memory_count + written):
            return body
        return replace(body, embed_time=moment.now + int(plan.after_seconds * 1_000_000))

    def _merge(self, puts: list[Row], deletes: list[RowKey]) -> None:
        for deleted in deletes:
            self._puts.pop(deleted, None)
            self._deletes[deleted] = None
        for row in puts:
            key = RowKey(row.kind, row.row_id)
            self._deletes.pop(key, None)
            self._puts[key] = row


def _seen(state: State, command: Command[Any], now: int) -> int:
    """Return the record that answered the command's request before; 0: none.

    Raises InvalidArgument (REQUEST_ID_REUSED), FailedPrecondition (USER_ERASED).
    """
    request = command.request
    if request is None or state.requests is None:
        return 0
    seen = state.requests.get(request.key)
    if seen is None or seen.expire_time <= now:
        return 0
    if seen.digest != request.digest:
        raise invalid("request_id", f"was used for another {seen.method}", Reason.REQUEST_ID_REUSED)
    if seen.seq < state.core.erase_seq:
        raise erased_since()
    return seen.seq


def erased_since() -> Error:
    """Return what is answered to a late repeat of a request whose effect is erased."""
    return FailedPrecondition(Reason.USER_ERASED, "user was erased after this request was first sent")


def refusal(size: int, replied: int) -> Error | None:
    """Return why a record cannot be: it must fit into an append, and its commit into a reply."""
    for taken, limit in ((size, MAX_APPEND_BYTES), (replied, REPLY_BYTES)):
        if taken > limit:
            message = f"{taken / 2**20:.1f} MiB of {limit / 2**20:.0f} MiB in one write, old texts included: split it"
            return ResourceExhausted(Reason.REQUEST_TOO_LARGE, message, metadata={"limit": str(limit)})
    return None

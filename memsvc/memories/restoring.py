"""Restoring memories: undo one revision, or bring memories back to what they were at one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from memsvc.access.allowance import Quotas
from memsvc.errors import Error, FailedPrecondition, FieldViolation, Reason, ResourceExhausted, StorageUnavailable
from memsvc.journal.commands import Command, Decision, Recorded
from memsvc.journal.draft import Draft, Moment, check_revision, not_found
from memsvc.journal.past import AsOf, Made, Past, is_purged, read_past, read_revision
from memsvc.journal.records import Request, commit_of, encode_body, new_nonce, reply_bytes
from memsvc.journal.state import State
from memsvc.memories.writing import Guard
from memsvc.model import Cause, Commit, Memory, Scope
from memsvc.redaction import Redactor
from memsvc.storage.driver import MAX_RECORD_CHANGES, Driver, RecordKind
from memsvc.users import Users
from memsvc.writing.part import refusal
from memsvc.writing.writer import Writer

_PURGED_NAMED = 100


class Revert(Struct, frozen=True):
    """Undo one revision; 0: the newest one that is not of expirations alone."""

    revision: int


class BringBack(Struct, frozen=True):
    """Bring memories back to what they were at a revision."""

    revision: int
    memory_ids: Sequence[str] = ()
    """Empty: all of the user."""


Restoring = Revert | BringBack


class Restored(Struct, frozen=True):
    """What a restore changed, or would."""

    commit: Commit
    revision: int
    """Of the user after it."""
    purged: Sequence[str] = ()
    """Memories that stay as they are, since their text of then was purged."""


class Wanted(Struct, frozen=True):
    """What memories are to be; None: not there."""

    memories: Mapping[str, Memory | None]
    purged: Sequence[str] = ()


class RestoreCommand(Command[Restored]):
    """Restore memories, all or none. What is wanted is read from the journal, at the state that it is decided on."""

    restoring: Restoring
    guard: Guard
    quota: int
    redactor: Redactor
    _wanted: Wanted | None = None
    _refusal: Error | None = None

    @property
    def request(self) -> Request | None:
        return self.guard.request

    def needs(self, state: State) -> bool:
        return True

    async def prepare(self, driver: Driver, state: State) -> None:
        self._wanted = self._refusal = None
        if self.guard.expected_revision in (None, state.revision):
            try:
                self._wanted = await self._read(driver, state)
            except StorageUnavailable:
                raise
            except Error as error:
                # A repeat is answered all the same: whether this is one is known when it is decided.
                self._refusal = error

    async def _read(self, driver: Driver, state: State) -> Wanted:
        if isinstance(self.restoring, Revert):
            made = await read_revision(driver, state, self.restoring.revision)
            return _before(made, state)
        past = await read_past(driver, state, AsOf(self.restoring.revision))
        return _named(past, state, self.restoring.memory_ids) if self.restoring.memory_ids else _everything(past, state)

    def decide(self, state: State, moment: Moment) -> Decision:
        check_revision(state, self.guard.expected_revision)
        if self._refusal is not None:
            raise self._refusal
        assert self._wanted is not None
        draft = Draft(state, moment, quota=self.quota, cause=Cause.RESTORED)
        try:
            _carry_out(draft, self._wanted.memories, self.redactor)
        except Error as error:
            if error.fields:
                # Nobody gave the memories whose fields it names.
                error.fields = (FieldViolation(_field_of(self.restoring), error.message),)
            raise
        if len(draft.changes) > MAX_RECORD_CHANGES:
            message = f"{len(draft.changes)} memories would change, at most {MAX_RECORD_CHANGES} can: name some"
            raise ResourceExhausted(Reason.REQUEST_TOO_LARGE, message, metadata={"limit": str(MAX_RECORD_CHANGES)})
        purged = tuple(self._wanted.purged[:_PURGED_NAMED])
        body = draft.body(self.request, actor=self.guard.actor, unrestored=purged)
        return Decision(RecordKind.COMMIT, body)

    def result(self, recorded: Recorded) -> Restored:
        body = recorded.body
        commit = commit_of(body, recorded.time)
        return Restored(commit, body.revision, body.unrestored)


def _field_of(restoring: Restoring) -> str:
    return "revert_revision" if isinstance(restoring, Revert) else "to_revision"


def _before(made: Made, state: State) -> Wanted:
    """Return what the memories that a revision changed were before it."""
    wanted: dict[str, Memory | None] = {}
    for change in made.changes:
        before, now = change.before, state.memory(change.memory_id)
        if before is not None and is_purged(before, made.seq, state):
            raise _purged(change.memory_id)
        as_made = now is None if change.after is None else now is not None and now.etag == change.after.etag
        if not as_made and not _is_same(now, before):
            raise FailedPrecondition(
                Reason.CHANGED_SINCE,
                f"memory {change.memory_id} was changed again after revision {made.revision}",
                metadata={"memory_id": change.memory_id},
            )
        wanted[change.memory_id] = before
        if change.former is not None:
            wanted[change.former.memory_id] = None
    return Wanted(wanted)


def _named(past: Past, state: State, memory_ids: Sequence[str]) -> Wanted:
    for index, memory_id in enumerate(memory_ids):
        if memory_id in past.purged:
            raise _purged(memory_id)
        if memory_id not in past.changed and state.memory(memory_id) is None:
            error = not_found(memory_id)
            error.fields = (FieldViolation(f"memory_ids[{index}]", error.message),)
            raise error
    return Wanted({memory_id: past.memories.get(memory_id) for memory_id in memory_ids})


def _everything(past: Past, state: State) -> Wanted:
    # What did not change since is as it was.
    wanted = {memory_id: past.memories.get(memory_id) for memory_id in past.changed - past.purged.keys()}
    concerned = [memory for name, then in wanted.items() if (memory := then or state.memory(name)) is not None]
    purged = sorted(past.purged.values(), key=_number)
    return Wanted(
        {memory.memory_id: wanted[memory.memory_id] for memory in sorted(concerned, key=_number)},
        [memory.memory_id for memory in purged],
    )


def _number(memory: Memory) -> int:
    return memory.number


def _purged(memory_id: str) -> FailedPrecondition:
    message = f"the text of memory {memory_id} was purged"
    return FailedPrecondition(Reason.MEMORY_PURGED, message, metadata={"memory_id": memory_id})


def _carry_out(draft: Draft, wanted: Mapping[str, Memory | None], redactor: Redactor) -> None:
    restored: list[Memory] = []
    for memory_id, memory in wanted.items():
        there = draft.state.memory(memory_id)
        if memory is not None and not _has_expired(memory, draft.moment):
            if not _is_same(there, memory):
                restored.append(redactor.memory(memory))
        elif there is not None and draft.find(memory_id) is not None:
            draft.delete(there)
    restored.sort(key=_number)
    # Places are freed before they are taken: two memories may have changed places.
    for memory in restored:
        there = draft.find(memory.memory_id)
        if there is not None and _place(there) != _place(memory):
            draft.delete(there, forgets=False)
    for memory in restored:
        draft.restore(memory)


def _place(memory: Memory) -> tuple[bool, str, str]:
    """Return where a memory stands: a fact of the past has no place at its key."""
    return memory.superseded, memory.layer, memory.key


def _has_expired(memory: Memory, moment: Moment) -> bool:
    return bool(memory.expire_time) and memory.expire_time <= moment.now


def _is_same(now: Memory | None, then: Memory | None) -> bool:
    """Return whether a memory is what it was, whenever it changed."""
    if now is None or then is None:
        return now is then
    return now == replace(then, update_time=now.update_time, etag=now.etag)


class MemoryRestorer(Struct):
    """Restores memories."""

    users: Users
    writer: Writer
    quotas: Quotas
    redactor: Redactor = field(default_factory=Redactor)

    async def restore(self, scope: Scope, restoring: Restoring, guard: Guard) -> Restored:
        """Restore memories in one commit; where all is so already, it has no changes.

        Raises what `read_past` and `Draft` raise; FailedPrecondition (CHANGED_SINCE, MEMORY_PURGED); NotFound;
        ResourceExhausted (REQUEST_TOO_LARGE).
        """
        return await self.writer.write(
            scope, RestoreCommand(restoring, guard, self.quotas.of(scope.namespace), self.redactor)
        )

    async def would_restore(self, scope: Scope, restoring: Restoring, guard: Guard) -> Restored:
        """Return what `restore` would change: memories without etags, in a commit without a revision."""
        state = (await self.users.latest(scope)).state
        command = RestoreCommand(restoring, guard, self.quotas.of(scope.namespace), self.redactor)
        await command.prepare(self.users.driver, state)
        now = self.users.clock()
        moment = Moment(max(now, state.core.time + 1), new_nonce(), now)
        body = command.decide(state, moment).body
        refused = refusal(0, reply_bytes(scope, encode_body(body), len(body.changes)))
        if refused is not None:
            raise refused
        changes = tuple(
            replace(change, after=replace(change.after, etag="")) if change.after is not None else change
            for change in body.changes
        )
        return Restored(Commit(revision=0, changes=changes), state.revision, body.unrestored)

"""Writing memories: create, update, delete, batches of these, and clearing by filter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count

import msgspec
from msgspec import Struct, field

from memsvc.access.allowance import Quotas
from memsvc.errors import Aborted, Error, FieldViolation, Reason, invalid
from memsvc.journal.commands import Command, Decision, Recorded
from memsvc.journal.draft import Draft, Moment, check_etag, check_revision, not_found
from memsvc.journal.purged import EVERYTHING
from memsvc.journal.records import Request, commit_of
from memsvc.journal.state import State
from memsvc.limits import check_fields, check_memory
from memsvc.model import Commit, Layer, Memory, Scope, Trust, encode
from memsvc.purge import purge
from memsvc.redaction import Redactor
from memsvc.search.filter import MemoryFilter, matcher, plain_wording
from memsvc.settings import NamespaceSettings, SettingsReader
from memsvc.settings.fitting import validated
from memsvc.storage.driver import MAX_RECORD_CHANGES, RecordKind, RowKey, RowKind
from memsvc.users import Users
from memsvc.users.wordings import Wordings
from memsvc.writing.writer import Writer

UPDATABLE = frozenset(
    (
        *("text", "value_json", "topics", "input", "trust", "polarity", "metadata"),
        *("observe_time", "expire_time", "valid_from", "valid_to"),
    )
)
"""Fields of a memory that an update may set."""

_SPARE_CHARACTERS = 8
"""What says the same differs by no more, in spaces, accents and a closing dot: most others need no closer look."""

_FEW_MEMORIES = 100
"""Among so many what says the same is found in some 0.1 ms by a look at each."""

CLEAR_MEMORIES = 250
CLEAR_BYTES = 1 << 20
"""One record deletes at most so many memories, and so much of them, when it deletes all that fit a description."""


class Target(Struct, frozen=True):
    """Names a memory: by id, or by layer and key."""

    memory_id: str = ""
    layer: Layer = Layer.KNOWLEDGE
    key: str = ""

    def find(self, draft: Draft) -> Memory | None:
        return draft.find(self.memory_id) if self.memory_id else draft.at(self.layer, self.key)


class Create(Struct, frozen=True):
    """Create a memory; it has its id already."""

    memory: Memory
    merges: bool = False
    """Where one says the same already, add to that one."""


class Update(Struct, frozen=True):
    """Set the fields named of a memory; with `allow_missing` create it where it is absent."""

    target: Target
    memory: Memory
    """The new values, and all of the memory where it has to be created."""
    fields: frozenset[str] = UPDATABLE
    etag: str = ""
    allow_missing: bool = False
    given: tuple[Layer | None, str] = (None, "")
    """Layer and key where they were given beside an id: what has it must be there."""


class Delete(Struct, frozen=True):
    """Delete a memory."""

    target: Target
    etag: str = ""
    allow_missing: bool = False


Operation = Create | Update | Delete


class Guard(Struct, frozen=True):
    """What makes a write safe: to repeat, and against others."""

    request: Request | None = None
    expected_revision: int | None = None
    """0: there must be none yet; None: not checked."""
    actor: str = ""


class ClearResult(Struct, frozen=True):
    """How many memories were, or would be, deleted."""

    count: int
    revision: int
    more: bool = False


class WriteCommand(Command[Commit]):
    """Operations on one user's memories, all or none."""

    operations: Sequence[Operation]
    guard: Guard
    quota: int
    purges: bool = False
    in_batch: bool = False
    settings: NamespaceSettings | None = None
    """What is configured, which writes have to fit; None: nothing."""
    wordings: Wordings | None = None
    """Of the user's memories, as far as they are known."""

    @property
    def request(self) -> Request | None:
        return self.guard.request

    def decide(self, state: State, moment: Moment) -> Decision:
        check_revision(state, self.guard.expected_revision)
        draft = Draft(state, moment, quota=self.quota)
        for index, operation in enumerate(self.operations):
            if self.in_batch and _is_named_again(draft, operation):
                raise invalid(f"operations[{index}]", "names the same memory as an operation before")
            try:
                _carry_out(draft, operation, self.settings, self.wordings)
            except Error as error:
                if self.in_batch:
                    _prefix(error, f"operations[{index}].{type(operation).__name__.lower()}")
                raise
        body = draft.body(self.request, actor=self.guard.actor, purges=self._purged(draft))
        return Decision(RecordKind.COMMIT, body, (), _summaries_with(draft) if self.purges else ())

    def _purged(self, draft: Draft) -> tuple[str, ...]:
        """Return whose text goes: also of what had been deleted before, where its id is named."""
        if not self.purges:
            return ()
        named = [
            each.target.memory_id for each in self.operations if isinstance(each, Delete) and each.target.memory_id
        ]
        deleted = [change.memory_id for change in draft.changes if change.after is None]
        return tuple(dict.fromkeys([*named, *deleted]))

    def result(self, recorded: Recorded) -> Commit:
        commit = commit_of(recorded.body, recorded.time)
        return msgspec.structs.replace(commit, revision=recorded.body.revision)


def _carry_out(
    draft: Draft, operation: Operation, settings: NamespaceSettings | None, wordings: Wordings | None
) -> None:
    if isinstance(operation, Create):
        operation = msgspec.structs.replace(operation, memory=_validated(operation.memory, settings))
        same = saying_the_same(draft, operation.memory, plain_wording, wordings) if operation.merges else None
        if same is None:
            draft.create(operation.memory)
        else:
            draft.replace(same, merged(same, operation.memory))
        return
    target = operation.target
    memory = target.find(draft)
    if isinstance(operation, Update):
        memory = draft.unless_expired(memory)
    if memory is None:
        if not operation.allow_missing:
            raise not_found(target.memory_id, target.layer, target.key)
        if isinstance(operation, Update):
            if operation.etag:
                raise Aborted(Reason.ETAG_MISMATCH, "memory is gone")
            check_memory(operation.memory)
            draft.create(_validated(operation.memory, settings))
        return
    if isinstance(operation, Update):
        _check_place(memory, *operation.given)
    check_etag(memory, operation.etag)
    if isinstance(operation, Delete):
        draft.delete(memory)
        return
    values = {name: getattr(operation.memory, name) for name in operation.fields}
    changed = msgspec.structs.replace(memory, **values)
    check_memory(changed)
    if memory.key and (changed.text, changed.value_json) != (memory.text, memory.value_json):
        # What was there before a schema was, and is left as it is, does not have to fit.
        changed = _validated(changed, settings)
    draft.replace(memory, changed)


def _validated(memory: Memory, settings: NamespaceSettings | None) -> Memory:
    return memory if settings is None else validated(memory, settings.of(memory.origin.agent_id))


def saying_the_same(
    draft: Draft, memory: Memory, wording_of: Callable[[str], str], wordings: Wordings | None = None
) -> Memory | None:
    """Return the memory of the layer that says it in the same words, and is not over.

    `wording_of`: what the texts of both have to have in common, `wording` or `plain_wording`. `wordings`: of the user's
    memories; where they are not of the draft's, all memories are read.
    """
    wanted = wording_of(memory.text)
    layers = draft.state.layers
    there = layers[memory.layer]
    if wordings is not None and wordings.layers is layers:
        found = map(there.get, wordings.find(memory.layer, memory.text))
        candidates: Iterable[Memory] = [known for known in found if known is not None]
    else:
        candidates = there.values()
    for known in candidates:
        if (
            abs(len(known.text) - len(memory.text)) <= _SPARE_CHARACTERS
            and wording_of(known.text) == wanted
            and known.polarity is memory.polarity
            and not 0 < known.expire_time <= draft.moment.time
        ):
            return known
    return None


def merged(known: Memory, again: Memory) -> Memory:
    """Return what is known, said again: with the topics and metadata of both, kept as long as either."""
    merged = msgspec.structs.replace(
        known,
        topics=tuple(dict.fromkeys((*known.topics, *again.topics))),
        metadata={**known.metadata, **again.metadata},
        expire_time=known.expire_time and again.expire_time and max(known.expire_time, again.expire_time),
        trust=Trust.STATED if Trust.STATED in (known.trust, again.trust) else known.trust,
        observe_time=max(known.observe_time, again.observe_time),
    )
    check_memory(merged)
    return merged


def _check_place(memory: Memory, layer: Layer | None, key: str) -> None:
    if layer is not None and layer is not memory.layer:
        raise invalid("memory.layer", f"memory {memory.memory_id} is of layer {memory.layer}")
    if key and key != memory.key:
        has = f"the key {memory.key}" if memory.key else "no key"
        raise invalid("memory.key", f"memory {memory.memory_id} has {has}")


def _is_named_again(draft: Draft, operation: Operation) -> bool:
    """Return whether an operation names what one before did, by whatever name.

    A key names what is there now, or was before the first operation.
    """
    if isinstance(operation, Create):
        return draft.touches(operation.memory.memory_id)
    target = operation.target
    if target.memory_id:
        return draft.touches(target.memory_id)
    there = (draft.at(target.layer, target.key), draft.state.at(target.layer, target.key))
    return any(memory is not None and draft.touches(memory.memory_id) for memory in there)


def _prefix(error: Error, path: str) -> None:
    error.fields = [FieldViolation(f"{path}.{each.field}", each.description) for each in error.fields] or [
        FieldViolation(path, error.message)
    ]
    error.message = f"{path}: {error.message}"


class ClearCommand(Command[ClearResult]):
    """Delete the memories that a filter names: as many as one record may hold, `more` says whether some are left.

    Each part answers for itself when it is repeated: so a request that was cut off goes on where it was, and in the
    end answers for all of its parts.
    """

    wanted: MemoryFilter
    guard: Guard
    purges: bool
    part: int = 0
    cleared: int = 0
    """In the parts before."""

    @property
    def request(self) -> Request | None:
        return self.guard.request.of_part(self.part) if self.guard.request is not None else None

    def decide(self, state: State, moment: Moment) -> Decision:
        if not self.part:
            check_revision(state, self.guard.expected_revision)
        draft = Draft(state, moment, quota=0)
        chosen, more = clearable(state, filter(matcher(self.wanted), state.all_memories()))
        for memory in chosen:
            if draft.find(memory.memory_id) is not None:
                draft.delete(memory)
        purged = [change.memory_id for change in draft.changes] if self.purges else []
        if self.purges and self.wanted.empty and not more:
            purged.append(EVERYTHING)
        cleared = self.cleared + len(draft.changes)
        body = draft.body(self.request, actor=self.guard.actor, purges=tuple(purged), cleared=cleared, more=more)
        return Decision(RecordKind.COMMIT, body, (), _summaries_with(draft) if self.purges else ())

    def result(self, recorded: Recorded) -> ClearResult:
        return ClearResult(recorded.body.cleared, recorded.body.revision, recorded.body.more)


def _summaries_with(draft: Draft) -> list[RowKey]:
    """Return the summaries that may hold what a draft deletes: of the sessions in which that was said."""
    gone = [change.before for change in draft.changes if change.before is not None and change.after is None]
    session_ids = {memory.origin.session_id for memory in gone} - {""}
    return [RowKey(RowKind.SUMMARY, session_id) for session_id in sorted(session_ids)]


def clearable(state: State, memories: Iterable[Memory]) -> tuple[list[Memory], bool]:
    """Return as many of these memories as one record deletes, and whether more are left.

    What each said before goes with it, and is counted as well: it may be more than one record deletes.
    """
    chosen: list[Memory] = []
    size = 0
    for memory in _after_what_they_said(state, memories):
        size += len(encode(memory))
        if chosen and (len(chosen) == CLEAR_MEMORIES or size > CLEAR_BYTES):
            return chosen, True
        chosen.append(memory)
    return chosen, False


def _after_what_they_said(state: State, memories: Iterable[Memory]) -> Iterator[Memory]:
    """Yield memories, each after the facts of the past that it took the place of, and each of these once."""
    said: dict[str, list[Memory]] = {}
    for former in state.former.values():
        said.setdefault(former.successor_id, []).append(former)
    yielded: set[str] = set()
    for memory in memories:
        for each in (*said.get(memory.memory_id, ()), memory):
            if each.memory_id not in yielded:
                yielded.add(each.memory_id)
                yield each


class MemoryWriter(Struct):
    """Writes memories."""

    users: Users
    writer: Writer
    quotas: Quotas
    redactor: Redactor = field(default_factory=Redactor)
    settings_reader: SettingsReader | None = None
    """None: nothing is configured."""

    async def write(
        self,
        scope: Scope,
        operations: Sequence[Operation],
        guard: Guard,
        *,
        purge_text: bool = False,
        batch: bool = False,
    ) -> Commit:
        """Carry out operations, all or none; each memory is named at most once in a batch.

        The commit's revision is the user's revision after it, also where nothing changed.
        Raises what `Draft` and the guard raise; in a batch the fields start with `operations[i]`.
        """
        if batch:
            _check_named_once(operations)
        operations = [
            _redacted(
                operation, self.redactor, f"operations[{index}].{type(operation).__name__.lower()}." if batch else ""
            )
            for index, operation in enumerate(operations)
        ]
        settings = None
        if self.settings_reader is not None and not all(isinstance(each, Delete) for each in operations):
            settings = await self.settings_reader.of(scope.namespace)
        quota = self.quotas.of(scope.namespace)
        wordings = None
        if any(isinstance(each, Create) and each.merges for each in operations):
            wordings = await self._wordings(scope)
        command = WriteCommand(operations, guard, quota, purge_text, batch, settings, wordings)
        commit = await self.writer.write(scope, command)
        if purge_text:
            await purge(self.users, self.writer, scope)
        return commit

    async def _wordings(self, scope: Scope) -> Wordings | None:
        """Return what the memories of a user say who is in RAM and has many; of few each is looked at."""
        user = self.users.hot(scope)
        if user is None or user.state.memory_count <= _FEW_MEMORIES:
            return None
        await user.prepare_wordings()
        return user.wordings

    async def would_clear(self, scope: Scope, wanted: MemoryFilter, expected_revision: int | None) -> ClearResult:
        """Count what `clear` would delete."""
        user = await self.users.latest(scope)
        check_revision(user.state, expected_revision)
        matches = matcher(wanted)
        chosen = {memory.memory_id for memory in user.state.memories() if matches(memory)}
        former = (each for each in user.state.former.values() if each.successor_id in chosen or matches(each))
        return ClearResult(len(chosen) + sum(1 for _ in former), user.revision)

    async def clear(self, scope: Scope, wanted: MemoryFilter, guard: Guard, *, purge_text: bool) -> ClearResult:
        """Delete every memory that `wanted` names: in one commit, or in several where there are very many."""
        result = await self.writer.write(scope, ClearCommand(wanted, guard, purge_text))
        for part in count(1):
            if not result.more:
                break
            result = await self.writer.write(scope, ClearCommand(wanted, guard, purge_text, part, result.count))
        if purge_text:
            await purge(self.users, self.writer, scope)
        return result


def _redacted(operation: Operation, redactor: Redactor, path: str) -> Operation:
    """Return an operation without secrets in what it stores. Raises InvalidArgument where that breaks a limit."""
    if isinstance(operation, Delete):
        return operation
    memory = redactor.memory(operation.memory)
    if memory is operation.memory:
        return operation
    # The mark of a secret may be longer than the secret was.
    check_fields(memory, f"{path}memory", text_required=False)
    return msgspec.structs.replace(operation, memory=memory)


def _check_named_once(operations: Sequence[Operation]) -> None:
    if len(operations) > MAX_RECORD_CHANGES:
        raise invalid("operations", f"must be at most {MAX_RECORD_CHANGES}")
    named: dict[object, int] = {}
    for index, operation in enumerate(operations):
        if isinstance(operation, Create):
            name: object = operation.memory.memory_id
        else:
            target = operation.target
            name = target.memory_id or (target.layer, target.key)
        if name in named:
            raise invalid(f"operations[{index}]", f"names the same memory as operations[{named[name]}]")
        named[name] = index

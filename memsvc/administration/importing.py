"""Importing records: the memories of a request in one commit, then its runs, a hundred in a record.

Each part answers for itself when the request is repeated: so one that was cut off goes on where it was. The first part
also sees to it that, where nothing may be there yet, nothing is, before anything is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from memsvc.access.allowance import Quotas
from memsvc.errors import AlreadyExists, Error, FailedPrecondition, FieldViolation, Reason, ResourceExhausted
from memsvc.ids import new_id
from memsvc.journal.commands import Command, Decision, Recorded
from memsvc.journal.draft import Draft, Moment
from memsvc.journal.records import Imported, Request
from memsvc.journal.state import State
from memsvc.model import Cause, ImportMode, ImportResult, Memory, Scope
from memsvc.redaction import Redactor
from memsvc.search.embedders.contract import InstantEmbedder
from memsvc.sessions import Quiet
from memsvc.sessions.commands import run_exists
from memsvc.sessions.importing import GivenRun, ImportRunsCommand, parts_of
from memsvc.settings import NamespaceSettings, SettingsReader
from memsvc.settings.fitting import validated
from memsvc.storage.driver import MAX_RECORD_CHANGES, Driver, RecordKind, RowKind
from memsvc.writing.writer import Writer

Record = Memory | GivenRun


class Outcome(Struct, frozen=True):
    """What became of a record."""

    result: ImportResult
    memory_id: str = ""
    number: int = 0
    run_id: str = ""
    index: int = 0


class _Memories(Struct, frozen=True):
    """What became of the memories of a request."""

    outcomes: Sequence[Imported]
    revision: int


class ImportCommand(Command[_Memories]):
    """Import memories, all or none; where nothing may be there yet, look for runs too."""

    memories: Mapping[int, Memory]
    """By their places in the request."""
    run_ids: Mapping[int, str]
    mode: ImportMode
    quota: int
    settings: NamespaceSettings
    whole_request: Request | None = None
    _taken: frozenset[str] = frozenset()

    @property
    def request(self) -> Request | None:
        return self.whole_request

    def needs(self, state: State) -> bool:
        return self.mode is ImportMode.FAIL and bool(self.run_ids)

    async def prepare(self, driver: Driver, state: State) -> None:
        self._taken = frozenset(await driver.get(state.scope, RowKind.RUN, tuple(self.run_ids.values())))

    def decide(self, state: State, moment: Moment) -> Decision:
        for place, run_id in self.run_ids.items():
            if self.mode is ImportMode.FAIL and run_id in self._taken:
                raise run_exists(run_id, f"records[{place}].run.run_id")
        draft = Draft(state, moment, quota=self.quota, cause=Cause.IMPORTED)
        above = max((memory.number for memory in self.memories.values()), default=0)
        outcomes = []
        for place, memory in self.memories.items():
            try:
                outcomes.append(self._bring_in(draft, memory, above))
            except Error as error:
                path = f"records[{place}]"
                error.fields = [FieldViolation(f"{path}.{each.field}", each.description) for each in error.fields] or [
                    FieldViolation(path, error.message)
                ]
                error.message = f"{path}: {error.message}"
                raise
        if len(draft.changes) > MAX_RECORD_CHANGES:
            message = f"{len(draft.changes)} memories would change, at most {MAX_RECORD_CHANGES} can: send less at once"
            raise ResourceExhausted(Reason.REQUEST_TOO_LARGE, message, metadata={"limit": str(MAX_RECORD_CHANGES)})
        return Decision(RecordKind.COMMIT, draft.body(self.request, imported=tuple(outcomes)))

    def _bring_in(self, draft: Draft, memory: Memory, above: int) -> Imported:
        memory = validated(memory, self.settings.of(memory.origin.agent_id))
        there = draft.unless_expired(draft.find(memory.memory_id))
        holders = [] if there is None else [there]
        # A fact of the past has the key that it had, and no place at it.
        has_place = bool(memory.key) and not memory.superseded
        if has_place:
            at_key = draft.unless_expired(draft.at(memory.layer, memory.key))
            if at_key is not None and at_key is not there:
                holders.append(at_key)
        if self.mode is ImportMode.OVERWRITE:
            for holder in holders:
                # What was so before stays with the memory that takes its own place.
                draft.delete(holder, forgets=holder is not there)
            replaced = bool(holders)
            while has_place and (clash := draft.conflicting_key(memory.layer, memory.key)) is not None:
                in_the_way = draft.at(memory.layer, clash)
                assert in_the_way is not None
                if draft.touches(in_the_way.memory_id):
                    raise _key_conflict(memory.key, clash)
                draft.delete(in_the_way)
                replaced = True
            brought = draft.bring_in(memory, above)
            result = ImportResult.OVERWRITTEN if replaced else ImportResult.CREATED
            return Imported(brought.memory_id, brought.number, result)
        if self.mode is ImportMode.SKIP:
            if has_place and (clash := draft.conflicting_key(memory.layer, memory.key)) is not None:
                holders.append(draft.at(memory.layer, clash) or memory)
            if holders:
                return Imported(holders[0].memory_id, holders[0].number, ImportResult.SKIPPED)
        if there is not None:
            raise AlreadyExists(
                Reason.MEMORY_EXISTS,
                f"memory {memory.memory_id} exists",
                (FieldViolation("memory.memory_id", "is taken"),),
                {"memory_id": memory.memory_id},
            )
        brought = draft.bring_in(memory, above)
        return Imported(brought.memory_id, brought.number, ImportResult.CREATED)

    def result(self, recorded: Recorded) -> _Memories:
        return _Memories(recorded.body.imported, recorded.body.revision)


def _key_conflict(key: str, clash: str) -> FailedPrecondition:
    leaf, branch = sorted((key, clash), key=len)
    violation = FieldViolation("memory.key", f"conflicts with {clash}, which another record has")
    return FailedPrecondition(
        Reason.KEY_CONFLICT, f"{leaf} is a leaf, {branch} needs a branch", (violation,), {"key": clash}
    )


class Importer(Struct):
    """Imports records."""

    writer: Writer
    quotas: Quotas
    settings_reader: SettingsReader
    quiet: Quiet
    embedder: InstantEmbedder | None = None
    redactor: Redactor = field(default_factory=Redactor)
    summarize_every: int = 0
    """A session is summarized after so many new runs; 0: only when asked for."""

    async def bring_in(
        self, scope: Scope, records: Sequence[Record], mode: ImportMode, request: Request | None
    ) -> tuple[Sequence[Outcome], int]:
        """Import records; return what became of each, and the revision. Ids and keys are unique among them.

        Raises AlreadyExists (MEMORY_EXISTS, KEY_TAKEN, RUN_EXISTS), FailedPrecondition (KEY_CONFLICT) with FAIL;
        ResourceExhausted (QUOTA_EXCEEDED, REQUEST_TOO_LARGE, TOO_MANY_EXTRACTIONS).
        """
        memories = {place: self.redactor.memory(each) for place, each in enumerate(records) if isinstance(each, Memory)}
        # In their order; those without an index come last, as they were given.
        runs = sorted(
            (each for each in records if isinstance(each, GivenRun)),
            key=lambda each: (not each.run.index, each.run.index),
        )
        settings, quota = await self.settings_reader.of(scope.namespace), self.quotas.of(scope.namespace)
        named = {each.place: each.run.run_id for each in runs}
        command = ImportCommand(memories, named, mode, quota, settings, request)
        brought = await self.writer.write(scope, command)
        outcomes = {
            place: Outcome(each.result, memory_id=each.memory_id, number=each.number)
            for place, each in zip(memories, brought.outcomes, strict=True)
        }
        for number, part in enumerate(parts_of(runs), start=1):
            stored = await self.writer.write(
                scope,
                ImportRunsCommand(
                    [replace(each, run=self.redactor.run(each.run)) for each in part],
                    mode,
                    self.quiet,
                    settings,
                    extraction_id=new_id(),
                    whole_request=request.of_part(number) if request is not None else None,
                    embedder=self.embedder,
                    summarize_every=self.summarize_every,
                ),
            )
            for given, run in zip(part, stored, strict=True):
                outcomes[given.place] = Outcome(run.result, run_id=run.run_id, index=run.index)
        return [outcomes[place] for place in range(len(records))], brought.revision

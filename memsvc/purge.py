"""Blanking the text of deleted memories in the history. Revisions and records keep their place."""

from __future__ import annotations

from collections.abc import Collection

from msgspec.structs import replace

from memsvc.journal.commands import Command, Decision, Recorded
from memsvc.journal.draft import Moment
from memsvc.journal.records import Body, decode_body, encode_body
from memsvc.journal.state import State
from memsvc.journal.writer import Writer
from memsvc.model import Change, Memory, Scope
from memsvc.storage.crashpoints import reach
from memsvc.storage.driver import Driver, RecordKind, TruncatedJournal
from memsvc.users import Users

_PAGE_RECORDS = 200


async def purge(users: Users, writer: Writer, scope: Scope) -> None:
    """Blank what commits asked to purge and nobody has blanked yet. Safe to repeat, and to be cut off."""
    wanted = (await users.latest(scope)).state.core.purges
    if not wanted:
        return
    # Another purge may be under way, and either writes back records as it read them: so each blanks what any was asked
    # for, and goes on until nothing more was asked for meanwhile.
    named = set(wanted)
    while not named.issuperset(found := await _redact(users.driver, scope, named)):
        named |= found
    reach("purge.before_note")
    await writer.write(scope, _Purged(wanted))
    reach("purge.after_note")


async def _redact(driver: Driver, scope: Scope, memory_ids: Collection[str]) -> set[str]:
    """Blank these memories in every record; return those that any record, to the last one, asks to blank."""
    after = 0
    named: set[str] = set()
    while True:
        try:
            records = await driver.records(scope, after, _PAGE_RECORDS)
        except TruncatedJournal as truncated:
            after = truncated.first - 1
            continue
        if not records:
            return named
        after = records[-1].seq
        bodies = {}
        for record in records:
            body = decode_body(record.body)
            named.update(body.purges)
            changes = tuple(_blank(change) if change.memory_id in memory_ids else change for change in body.changes)
            if changes != body.changes:
                bodies[record.seq] = encode_body(replace(body, changes=changes))
        if bodies:
            reach("purge.before_redact")
            await driver.redact(scope, bodies)
            reach("purge.after_redact")


def _blank(change: Change) -> Change:
    return replace(
        change,
        before=_blank_memory(change.before) if change.before is not None else None,
        after=_blank_memory(change.after) if change.after is not None else None,
    )


def _blank_memory(memory: Memory) -> Memory:
    # The key stays: a replica that is behind folds these records, and must find the place that they free.
    return replace(memory, text="", value_json="", topics=(), input="", metadata={})


class _Purged(Command[None]):
    """Notes that the text of these memories is gone."""

    memory_ids: tuple[str, ...]

    def decide(self, state: State, moment: Moment) -> Decision | None:
        purged = tuple(memory_id for memory_id in self.memory_ids if memory_id in state.core.purges)
        if not purged:
            return None
        return Decision(RecordKind.SETTLE, Body(purged=purged))

    def result(self, recorded: Recorded) -> None:
        return None

"""Blanking the text of deleted memories in the history. Revisions and records keep their place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from memsvc.journal.commands import Command, Decision, Recorded
from memsvc.journal.draft import Moment
from memsvc.journal.records import Body, decode_body, encode_body
from memsvc.journal.state import State
from memsvc.model import Change, Memory, Scope
from memsvc.storage.crashpoints import reach
from memsvc.storage.driver import Driver, RecordKind, TruncatedJournal
from memsvc.users import Users
from memsvc.writing.writer import Writer

EVERYTHING: Final = "\n*"
"""Among the ids of what a record purges: all that was there up to it. No id has a line break."""
_SESSION: Final = "\ns"

_PAGE_RECORDS = 200


def learned_from(session_id: str) -> str:
    """Return what stands among the ids for all that came from a session, be it part of a memory that lives on."""
    return f"{_SESSION}{session_id}"


async def purge(users: Users, writer: Writer, scope: Scope) -> None:
    """Blank what commits asked to purge. Safe to repeat, and to be cut off."""
    wanted = (await users.latest(scope)).state.core.purges
    # Another purge may be under way, and either writes back records as it read them: so each blanks what any was ever
    # asked for, and goes on until nothing more was asked for meanwhile.
    known: Mapping[str, int] = {}
    while (found := await _redact(users.driver, scope, known)) != known:
        known = found
    reach("purge.before_note")
    await writer.write(scope, _Purged(wanted))
    reach("purge.after_note")


async def _redact(driver: Driver, scope: Scope, known: Mapping[str, int]) -> Mapping[str, int]:
    """Blank what is known of in every record; return what the records, to the last one, ask for.

    What is asked for comes with the record that asks, the newest of them: what came after it is of another time.
    """
    after = 0
    asked: dict[str, int] = {}
    while True:
        try:
            records = await driver.records(scope, after, _PAGE_RECORDS)
        except TruncatedJournal as truncated:
            after = truncated.first - 1
            continue
        if not records:
            return asked
        after = records[-1].seq
        bodies = {}
        for record in records:
            body = decode_body(record.body)
            asked.update(dict.fromkeys(body.purges, record.seq))
            changes = tuple(_blanked(change, record.seq, known) for change in body.changes)
            if changes != body.changes:
                bodies[record.seq] = encode_body(replace(body, changes=changes))
        if bodies:
            reach("purge.before_redact")
            await driver.redact(scope, bodies)
            reach("purge.after_redact")


def _blanked(change: Change, seq: int, asked: Mapping[str, int]) -> Change:
    before, after = (
        _blank(memory) if memory is not None and _has_to_go(memory, seq, asked) else memory
        for memory in (change.before, change.after)
    )
    return replace(change, before=before, after=after)


def _has_to_go(memory: Memory, seq: int, asked: Mapping[str, int]) -> bool:
    names = (memory.memory_id, learned_from(memory.origin.session_id), EVERYTHING)
    return any(seq <= asked.get(name, 0) for name in names)


def _blank(memory: Memory) -> Memory:
    # The key stays: a replica that is behind folds these records, and must find the place that they free.
    return replace(memory, text="", value_json="", topics=(), input="", metadata={})


class _Purged(Command[None]):
    """Notes that the text of these is gone."""

    names: tuple[str, ...]

    def decide(self, state: State, moment: Moment) -> Decision | None:
        purged = tuple(name for name in self.names if name in state.core.purges)
        if not purged:
            return None
        return Decision(RecordKind.SETTLE, Body(purged=purged))

    def result(self, recorded: Recorded) -> None:
        return None

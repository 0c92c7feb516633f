"""Blanking the text of deleted memories in the history. Revisions and records keep their place.

A commit that is to be purged says so in its record, and the state remembers it until a purge has gone through the whole
history. A purge that dies is taken up by whoever serves the user next. Several may run at once: each reads records and
replaces those that still are as it read them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence

from msgspec.structs import replace

from memsvc.journal.commands import Command, Decision, Recorded
from memsvc.journal.draft import Moment
from memsvc.journal.purged import has_to_go
from memsvc.journal.records import Body, decode_body, encode_body
from memsvc.journal.state import State
from memsvc.model import Change, Memory, Scope
from memsvc.storage.crashpoints import reach
from memsvc.storage.driver import Driver, Record, RecordKind, Redaction, TruncatedJournal
from memsvc.users import Users
from memsvc.writing.writer import Writer

_PAGE_RECORDS = 200


async def purge(users: Users, writer: Writer, scope: Scope) -> None:
    """Blank what commits asked to purge. Safe to repeat, and to be cut off anywhere."""
    asked = (await users.latest(scope)).state.core.purges
    if not asked:
        return
    await _blank_history(users.driver, scope, asked)
    reach("purge.before_note")
    await writer.write(scope, _Purged(asked))
    reach("purge.after_note")


async def _blank_history(driver: Driver, scope: Scope, asked: Mapping[str, int]) -> None:
    """Blank what is asked for in every record up to the newest that asks."""
    after = 0
    blanked = False
    while after < max(asked.values()):
        try:
            records = await driver.records(scope, after, _PAGE_RECORDS)
        except TruncatedJournal as truncated:
            after = truncated.first - 1
            continue
        if not records:
            break
        redactions = [each async for each in _redactions(records, asked)]
        if redactions:
            reach("purge.before_redact")
            replaced = await driver.redact(scope, redactions)
            reach("purge.after_redact")
            blanked = True
            if len(replaced) < len(redactions):
                # Another purge blanked some of them meanwhile, of something else: they are read again.
                continue
        after = records[-1].seq
    if not blanked:
        # Rows went, of a session say: they are to leave no trace in files either, which a driver sees to as it redacts.
        with contextlib.suppress(TruncatedJournal):
            asking = await driver.records(scope, max(asked.values()) - 1, 1)
            await driver.redact(scope, [Redaction(each.seq, each.body, each.body) for each in asking])


async def _redactions(records: Sequence[Record], asked: Mapping[str, int]) -> AsyncIterator[Redaction]:
    for record in records:
        # Others are served in between: a page may hold megabytes.
        await asyncio.sleep(0)
        body = decode_body(record.body)
        changes = tuple(_blanked(change, record.seq, asked) for change in body.changes)
        if changes != body.changes:
            yield Redaction(record.seq, record.body, encode_body(replace(body, changes=changes)))


def _blanked(change: Change, seq: int, asked: Mapping[str, int]) -> Change:
    before, after, former = (
        _blank(memory) if memory is not None and has_to_go(memory, seq, asked) else memory
        for memory in (change.before, change.after, change.former)
    )
    return replace(change, before=before, after=after, former=former)


def _blank(memory: Memory) -> Memory:
    # The key stays: a replica that is behind folds these records, and must find the place that they free.
    return replace(memory, text="", value_json="", topics=(), input="", metadata={})


class _Purged(Command[None]):
    """Notes that the text of these is gone, as far as it was asked for then."""

    asked: Mapping[str, int]

    def decide(self, state: State, moment: Moment) -> Decision | None:
        purges = state.core.purges
        purged = {name: seq for name, seq in self.asked.items() if name in purges and purges[name] <= seq}
        if not purged:
            return None
        return Decision(RecordKind.PURGED, Body(purged=purged))

    def result(self, recorded: Recorded) -> None:
        return None

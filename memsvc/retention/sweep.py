"""The sweep through the users of a namespace.

How long things are kept is configured for a namespace, so its empty user is who is due when a sweep is. A sweep goes
from user to user, notes after each page of them how far it has come, and so goes on where it was, on any replica, when
it is cut off. Several may go at once: what one has taken away, the other does not find. A user of whom nothing is old
enough costs three small reads, and is not taken into RAM.
"""

from __future__ import annotations

import time
from typing import Final

from msgspec import Struct

from memsvc.journal.records import Forgotten, SweepNote
from memsvc.log import Log
from memsvc.model import Extraction, Run, Scope, decode
from memsvc.retention.commands import ForgetExtractions, ForgetRuns, NoteSweep
from memsvc.settings import Retention as Kept
from memsvc.settings import SettingsReader
from memsvc.storage.crashpoints import reach
from memsvc.storage.driver import PageOf, RowKind, TruncatedJournal
from memsvc.users import Users
from memsvc.writing.writer import Writer

log = Log(__name__)

_PAGE_USERS: Final = 50
_TURN_SECONDS: Final = 2.0
"""A sweep that takes longer lets others go first, and then goes on."""
_TRUNCATED_RECORDS: Final = 1_000
_MICROS: Final = 1_000_000
_SWEEPS_WITHIN: Final = 24
"""A sweep begins so often within the shortest time that something is kept: what is older goes soon after."""
_SHORTEST_SECONDS, _LONGEST_SECONDS = 1.0, 6 * 3600.0


class Retention(Struct):
    """Takes away what is older than it is kept."""

    users: Users
    writer: Writer
    settings_reader: SettingsReader

    async def serve(self, scope: Scope) -> None:
        """Go on with the sweep of a namespace, named by its empty user, if it is due."""
        started = time.monotonic()
        while True:
            note = (await self.users.latest(scope)).state.core.sweep
            now = self.users.clock()
            if not 0 < note.next_time <= now:
                return
            kept = (await self.settings_reader.of(scope.namespace)).of().retention
            if not kept.shortest_seconds:
                await self.writer.write(scope, NoteSweep(note, SweepNote()))
                return
            user_ids = await self.users.driver.users(scope.namespace, note.after, _PAGE_USERS)
            for user_id in user_ids:
                await self.sweep(Scope(scope.namespace, user_id), kept, now)
            reach("retention.before_note")
            if len(user_ids) < _PAGE_USERS:
                following = SweepNote("", now + int(seconds_between(kept) * _MICROS))
            else:
                following = SweepNote(user_ids[-1], note.next_time)
            await self.writer.write(scope, NoteSweep(note, following))
            if time.monotonic() - started > _TURN_SECONDS:
                return

    async def sweep(self, scope: Scope, kept: Kept, now: int) -> None:
        """Take away what of one user is older than it is kept."""
        runs = extractions = 0
        if kept.run_seconds:
            runs = await self._forget_runs(scope, now - int(kept.run_seconds * _MICROS))
        if kept.extraction_seconds:
            extractions = await self._forget_extractions(scope, now - int(kept.extraction_seconds * _MICROS))
        records = await self._truncate(scope, now - int(kept.history_seconds * _MICROS)) if kept.history_seconds else 0
        if runs or extractions or records:
            log.info("swept", scope=scope, runs=runs, extractions=extractions, records=records)

    async def _forget_runs(self, scope: Scope, before: int) -> int:
        oldest = await self.users.driver.rows(PageOf(scope, RowKind.RUN, limit=1))
        if not oldest or decode(oldest[0].body, Run).create_time >= before:
            return 0
        count, step = 0, Forgotten(more=True)
        while step.more:
            step = await self.writer.write(scope, ForgetRuns(before, step.reached))
            count += step.runs
        return count

    async def _forget_extractions(self, scope: Scope, before: int) -> int:
        oldest = await self.users.driver.rows(PageOf(scope, RowKind.EXTRACTION, limit=1))
        if not oldest or decode(oldest[0].body, Extraction).create_time >= before:
            return 0
        count, step = 0, Forgotten(more=True)
        while step.more:
            step = await self.writer.write(scope, ForgetExtractions(before, step.reached))
            count += step.extractions
        return count

    async def _truncate(self, scope: Scope, before: int) -> int:
        """Forget the records from before a time, but the newest; return how many."""
        first = await self._first_kept(scope)
        if await self._time_of(scope, first) >= before:
            return 0
        low, high = first, (await self.users.tip(scope)).seq
        while low < high:
            middle = (low + high) // 2
            if await self._time_of(scope, middle) < before:
                low = middle + 1
            else:
                high = middle
        for floor in range(min(first + _TRUNCATED_RECORDS, low), low, _TRUNCATED_RECORDS):
            await self.users.driver.truncate(scope, floor)
        await self.users.driver.truncate(scope, low)
        hot = self.users.hot(scope)
        if hot is not None:
            # It may hold what was just forgotten.
            hot.forget_past()
            self.users.recount(hot)
        return low - first

    async def _first_kept(self, scope: Scope) -> int:
        try:
            await self.users.driver.records(scope, 0, 1)
        except TruncatedJournal as truncated:
            return truncated.first
        return 1

    async def _time_of(self, scope: Scope, seq: int) -> int:
        """Return when a record was made; 0: it is no longer there, for another sweep is at it."""
        try:
            records = await self.users.driver.records(scope, seq - 1, 1)
        except TruncatedJournal:
            return 0
        return records[0].time if records else 0


def seconds_between(kept: Kept) -> float:
    """Return how long after a sweep the next one begins."""
    return min(max(kept.shortest_seconds / _SWEEPS_WITHIN, _SHORTEST_SECONDS), _LONGEST_SECONDS)

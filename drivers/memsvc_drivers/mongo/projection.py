"""Makes rows show: takes what appends said of rows into the collections of rows, after the fact.

A pass may be repeated, run twice at once, or end midway: versions are there before the journal lets go of what it said.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from memsvc.errors import Error
from memsvc.log import Log
from memsvc_drivers.mongo.journal import Journal, Tail
from memsvc_drivers.mongo.knowledge import Knowledge
from memsvc_drivers.mongo.rows import valid
from memsvc_drivers.mongo.versions import Versions

KEPT = timedelta(days=1)
"""How long what is gone keeps its place: no writer is behind for longer."""

ABANDONED = timedelta(seconds=30)
"""Rows that do not show by then are those of a process that is gone."""

_SWEEP_SECONDS = 60.0
_PASS_SECONDS = 0.1
"""How long a pass should take: so many users it takes on."""
_PASS_USERS = 64
_REST = 4
"""How many times as long as a pass took the next one waits: passes must not take the server from the appends."""
_BACKLOG = 2_000
"""So many users behind, passes rest no longer than they take."""
_MOST_DIRTY = 100_000

log = Log(__name__)


class Projection:
    """The tasks of one driver that make rows show, and clean up behind."""

    def __init__(
        self,
        journal: Journal,
        versions: Versions,
        known: Knowledge,
        *,
        delay_seconds: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._journal = journal
        self._versions = versions
        self._known = known
        self._delay_seconds = delay_seconds
        self._clock = clock
        self._dirty: dict[str, None] = {}
        self._pass_users = 1
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    def start(self) -> None:
        """Begin working in the background."""
        self._tasks = [asyncio.create_task(self._project_dirty()), asyncio.create_task(self._sweep_often())]

    async def stop(self) -> None:
        """End the background work, after a last pass over what this driver appended."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._pass_users = _PASS_USERS
        with contextlib.suppress(Error):
            while self._dirty:
                await self._pass()

    def touch(self, user: str) -> None:
        """Say that something was appended, so that it is made to show before long."""
        # What does not fit is found by the sweep.
        if len(self._dirty) < _MOST_DIRTY:
            self._dirty[user] = None
            self._wake.set()

    async def project(self, users: Sequence[str]) -> None:
        """Make all rows of these users show as of now, and what is superseded go."""
        open_entries = await self._journal.open_entries(users)
        now = self.now
        tails = {user: Tail.of(entries) for user, entries in open_entries.items()}
        said = {user: list(valid([], tail)) for user, tail in tails.items() if tail.fresh}
        await self._versions.put(said, now)
        erasing = {
            user: next(entry for entry in reversed(tail.fresh) if entry.erases)
            for user, tail in tails.items()
            if any(entry.erases for entry in tail.fresh)
        }
        if erasing:
            await self._versions.erase({user: entry.tip.seq for user, entry in erasing.items()})
            await self._journal.forget({user: entry.after + 1 for user, entry in erasing.items()}, now)
        await self._journal.settle(open_entries)
        for user, tail in tails.items():
            newest = tail.entries[-1]
            self._known.saw(user, newest.after, newest.tip, applied=newest.tip.seq, open_after=newest.after)

    async def sweep(self) -> None:
        """Make show what other processes left behind, and delete what has been gone for a day."""
        swept: set[str] = set()
        while not swept.issuperset(users := await self._journal.unsettled(self.now - ABANDONED, _PASS_USERS)):
            await self.project(users)
            swept.update(users)
        long_ago = self.now - KEPT
        await self._versions.bury(long_ago)
        await self._journal.bury(long_ago)

    async def _project_dirty(self) -> None:
        behind = False
        while True:
            await self._wake.wait()
            await asyncio.sleep(self._delay_seconds)
            started = time.monotonic()
            try:
                await self._pass()
                behind = False
            except Error as error:
                if not behind:
                    log.warning("projection_behind", reason=error.reason)
                behind = True
                await asyncio.sleep(1)
            took = time.monotonic() - started
            if took > 2 * _PASS_SECONDS:
                self._pass_users = max(self._pass_users // 2, 1)
            elif took < _PASS_SECONDS:
                self._pass_users = min(self._pass_users * 2, _PASS_USERS)
            await asyncio.sleep(took * (_REST if len(self._dirty) < _BACKLOG else 1))

    async def _pass(self) -> None:
        self._wake.clear()
        users = list(itertools.islice(self._dirty, self._pass_users))
        for user in users:
            del self._dirty[user]
        try:
            if users:
                await self.project(users)
        except BaseException:
            self._dirty.update(dict.fromkeys(users))
            raise
        finally:
            if self._dirty:
                self._wake.set()

    async def _sweep_often(self) -> None:
        while True:
            # Not all replicas at once.
            await asyncio.sleep(_SWEEP_SECONDS * random.uniform(0.5, 1.5))
            try:
                await self.sweep()
            except Error as error:
                log.warning("clean_up_failed", reason=error.reason)

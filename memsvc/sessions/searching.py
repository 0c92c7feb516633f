"""Finding what was said in past conversations."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from memsvc.context import Recalled
from memsvc.meaning import Meaning
from memsvc.model import Message, Run, Scope, decode
from memsvc.search.embedders.contract import InstantEmbedder, instant
from memsvc.search.history import NEWEST_MESSAGES, HistoryFilter, HistoryHit, Spot
from memsvc.search.said import ANALYSIS, SaidRun
from memsvc.search.scores import shown_scores
from memsvc.sessions.history import timed
from memsvc.sessions.said_rows import said_rows
from memsvc.storage.driver import Driver, PageOf, Row, RowKind
from memsvc.users import LATEST, Consistency, HotUser, Users
from memsvc.users.history import HotHistory

_FIRST_PAGE_RUNS = 500
_MOST_PAGE_RUNS = 4_000
_PAGE_BYTES = 4 << 20
"""Pages are as large as that: a database may look at all rows for each."""
_RUNS_A_SLICE = 500
_decoder = msgspec.json.Decoder(SaidRun)


class Passage(Struct, frozen=True):
    """A message that was found, and what was said beside it."""

    run: Run
    position: int
    score: float
    before: Sequence[Message]
    """Oldest first."""
    after: Sequence[Message]

    @property
    def message(self) -> Message:
        return timed(self.run.messages[self.position], self.run)


class Nearest:
    """What was said that fits a query best, nearest first: read as far as anybody asks."""

    def __init__(self, driver: Driver, scope: Scope, spots: Sequence[Spot]) -> None:
        self._driver = driver
        self._scope = scope
        self._spots = spots

    def __bool__(self) -> bool:
        """Whether there may be more."""
        return bool(self._spots)

    async def read(self, count: int) -> Sequence[Recalled]:
        """Return up to so many more passages, as they are now: what was deleted or replaced meanwhile is left out."""
        spots, self._spots = self._spots[:count], self._spots[count:]
        rows = await self._driver.get(self._scope, RowKind.RUN, tuple({spot.run_id for spot in spots}))
        runs = {run_id: _run_decoder.decode(row.body) for run_id, row in rows.items()}
        return [
            _recalled(runs[spot.run_id], spot.position)
            for spot in spots
            if spot.run_id in runs and not runs[spot.run_id].replaced_by
        ]


class _ReadRun(Struct, frozen=True, gc=False):
    """Of a run what a passage of it shows."""

    session_id: str
    index: int
    messages: tuple[msgspec.Raw, ...]
    create_time: int = 0
    replaced_by: str = ""


_run_decoder = msgspec.json.Decoder(_ReadRun)


class HistorySearch(Struct):
    """Searches the newest messages of users, all sessions together."""

    users: Users
    meaning: Meaning | None = None

    async def search(
        self,
        scope: Scope,
        query: str,
        limit: int,
        wanted: HistoryFilter | None = None,
        beside: int = 0,
        min_score: float = 0.0,
        consistency: Consistency = LATEST,
    ) -> tuple[Sequence[Passage], HotUser]:
        """Return the passages that fit best, best first, with up to `beside` messages either side of each."""
        user = await self.users.read(scope, consistency)
        return await self.search_of(user, query, limit, wanted, beside, min_score), user

    async def search_of(
        self,
        user: HotUser,
        query: str,
        limit: int,
        wanted: HistoryFilter | None = None,
        beside: int = 0,
        min_score: float = 0.0,
    ) -> Sequence[Passage]:
        """Return the passages of a user that was read, as `search` does."""
        hits = await self._hits(user, query, limit, wanted, beside)
        runs = await self._runs(user.state.scope, hits)
        # What went meanwhile, or was deleted in a part of a deletion that goes on, is not there any more.
        hits = [hit for hit in hits if hit.spot.run_id in runs]
        scores = shown_scores([hit.sure for hit in hits])
        return [
            Passage(runs[hit.spot.run_id], hit.spot.position, score, _said(hit.before, runs), _said(hit.after, runs))
            for hit, score in zip(hits, scores, strict=True)
            if score >= min_score
        ]

    async def nearest(self, user: HotUser, query: str, limit: int, wanted: HistoryFilter, min_score: float) -> Nearest:
        """Return the passages that fit best, to be read: what `search_of` finds."""
        hits = await self._hits(user, query, limit, wanted, 0)
        scores = shown_scores([hit.sure for hit in hits])
        spots = [hit.spot for hit, score in zip(hits, scores, strict=True) if score >= min_score]
        return Nearest(self.users.driver, user.state.scope, spots)

    async def _hits(
        self, user: HotUser, query: str, limit: int, wanted: HistoryFilter | None, beside: int
    ) -> Sequence[HistoryHit]:
        if not user.state.core.runs:
            return ()
        history = await self._prepared(user)
        vector = await self._vector(history.index.without_names(query))
        return history.index.search(query, limit, wanted, beside, vector)

    async def _vector(self, query: str) -> bytes:
        """Return the query's vector where what was said has some: those of an instant embedder are stored with it."""
        if self.meaning is None or self._embedder is None:
            return b""
        return (await self.meaning.ask(query)).vector

    @property
    def _embedder(self) -> InstantEmbedder | None:
        return instant(self.meaning.embedder if self.meaning is not None else None)

    async def _prepared(self, user: HotUser) -> HotHistory:
        """Return the user's history with every run that it is known to have."""
        grown = False
        while True:
            history = user.history
            if history is None:
                grown = True
                # In its place from the first row on, so that it hears of what comes and goes meanwhile.
                history = user.history = HotHistory(self._embedder.name if self._embedder is not None else "")
                try:
                    await self._read(user, history)
                finally:
                    if not history.read.is_set() and user.history is history:
                        user.history = None
                    history.read.set()
            await history.read.wait()
            if history.unread:
                grown = True
                unread = list(history.unread)
                history.add(await self._said(user.state.scope, unread))
                for run_id in unread:
                    history.unread.pop(run_id, None)
            if user.history is history:
                if grown:
                    self.users.recount(user)
                return history

    async def _read(self, user: HotUser, history: HotHistory) -> None:
        """Read the user's newest messages, letting the event loop go on meanwhile."""
        owed = user.state.core.said_owed
        said: list[tuple[str, int, SaidRun]] = []
        count, before, limit = 0, None, _FIRST_PAGE_RUNS
        while count < NEWEST_MESSAGES:
            asked = PageOf(user.state.scope, RowKind.SAID, before=before, descending=True, limit=limit)
            page = await self.users.driver.rows(asked)
            for first in range(0, len(page), _RUNS_A_SLICE):
                read = _said_runs(page[first : first + _RUNS_A_SLICE])
                said += read
                count += sum(len(run.messages) for _, _, run in read)
                await asyncio.sleep(0)
            if len(page) < limit:
                break
            before, limit = page[-1].position, _runs_a_page(page)
        said += await self._said(user.state.scope, owed)
        said.sort(key=lambda run: run[1], reverse=True)
        await history.add_many(_newest(said))
        history.read.set()

    async def _said(self, scope: Scope, run_ids: Sequence[str]) -> list[tuple[str, int, SaidRun]]:
        """Return what runs can be found by; where it is not stored, it is made of the runs."""
        rows = dict(await self.users.driver.get(scope, RowKind.SAID, run_ids)) if run_ids else {}
        owed = [run_id for run_id in run_ids if run_id not in rows]
        runs = await self.users.driver.get(scope, RowKind.RUN, owed) if owed else {}
        for row in runs.values():
            run = decode(row.body, Run)
            if not run.replaced:
                rows.update((said.row_id, said) for said in said_rows(run, self._embedder))
                await asyncio.sleep(0)
        return _said_runs([rows[run_id] for run_id in run_ids if run_id in rows])

    async def _runs(self, scope: Scope, hits: Sequence[HistoryHit]) -> Mapping[str, Run]:
        """Return the runs of hits and of what stands beside them, as they are now; replaced ones are left out."""
        run_ids = {spot.run_id for hit in hits for spot in (hit.spot, *hit.before, *hit.after)}
        rows = await self.users.driver.get(scope, RowKind.RUN, tuple(run_ids)) if run_ids else {}
        runs = {run_id: decode(row.body, Run) for run_id, row in rows.items()}
        return {run_id: run for run_id, run in runs.items() if not run.replaced}


def _recalled(run: _ReadRun, position: int) -> Recalled:
    message = decode(run.messages[position], Message)
    speaker = message.author_id or message.name or message.role.value
    return Recalled(run.session_id, (run.index, position), message.time or run.create_time, speaker, message.text)


def _said_runs(rows: Sequence[Row]) -> list[tuple[str, int, SaidRun]]:
    decoded = ((row.row_id, row.position, _decoder.decode(row.body)) for row in rows)
    return [each for each in decoded if each[2].analysis == ANALYSIS]


def _runs_a_page(page: Sequence[Row]) -> int:
    """Return how many runs like those of a page are to be read at once."""
    return max(1, min(_MOST_PAGE_RUNS, _PAGE_BYTES * len(page) // sum(len(row.body) for row in page)))


def _newest(said: Sequence[tuple[str, int, SaidRun]]) -> Sequence[tuple[str, int, SaidRun]]:
    """Return as many of the runs, newest first, as there is room for: oldest first."""
    count = 0
    for number, (_, _, run) in enumerate(said):
        count += len(run.messages)
        if count > NEWEST_MESSAGES:
            return said[:number][::-1]
    return said[::-1]


def _said(spots: Sequence[Spot], runs: Mapping[str, Run]) -> Sequence[Message]:
    return [
        timed(runs[spot.run_id].messages[spot.position], runs[spot.run_id]) for spot in spots if spot.run_id in runs
    ]

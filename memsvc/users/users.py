"""Hot users: their states in RAM, kept fresh, evicted by bytes.

A read costs one question to the driver ("does this journal still end here?"), or none where the caller allows it. On a
miss the user is loaded once, however many ask; on a small lag the records since are folded in.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Sequence

from msgspec import Struct

from memsvc.clock import now_micros
from memsvc.config import DEFAULTS
from memsvc.errors import FailedPrecondition, Reason, invalid
from memsvc.journal.past import AsOf, read_past
from memsvc.journal.purged import is_blanked
from memsvc.journal.records import Body, decode_body
from memsvc.journal.state import State, fold, load
from memsvc.model import Scope
from memsvc.storage.driver import EMPTY, Driver, Record, RowKind, Tip, TruncatedJournal
from memsvc.users.cache import HotCache
from memsvc.users.hot import HotUser
from memsvc.users.moves import Moves
from memsvc.users.tips import SharedTips
from memsvc.waits import current_waits

_CATCH_UP_RECORDS = 256
_NAMESPACES_BYTES = 8 << 20
"""RAM for what is configured: beside the users, so that none of them is evicted for it, or it for them."""
_PASTS = 2
"""So many pasts are read at once: each may be many megabytes of journal."""


class Consistency(Struct, frozen=True):
    """How fresh a read must be; nothing set: the latest."""

    at_least_revision: int = 0
    max_staleness_seconds: float = 0.0
    as_of: AsOf | None = None
    """Not how fresh, but which past."""


LATEST = Consistency()


class Counts(Struct):
    """What has happened since the start."""

    reads: int = 0
    loads: int = 0
    catch_ups: int = 0


class Users:
    """The hot users of a process."""

    def __init__(self, driver: Driver, cache_bytes: int = DEFAULTS.cache_bytes) -> None:
        self.driver = driver
        self.clock: Callable[[], int] = now_micros
        """The server's clock, microseconds since the epoch."""
        self.on_move: Callable[[State], None] | None = None
        """Told of every state that a user moves to in this process."""
        self.on_load: Callable[[], None] | None = None
        """Called before a user is read from the database."""
        self.on_lag: Callable[[float], None] | None = None
        """Told how many seconds ago something was written that another process wrote, and this one learns of now."""
        self.counts = Counts()
        self.moves = Moves()
        self._cache = HotCache(cache_bytes)
        self._namespaces = HotCache(_NAMESPACES_BYTES)
        self._loads: dict[Scope, asyncio.Task[HotUser]] = {}
        self._tips = SharedTips(driver)
        self._asks_at_once: bool | None = None
        self._mark: Callable[[], bytes] = self._first_mark
        """Says what is another one after each commit; nothing where that cannot be told."""
        self._pasts = asyncio.Semaphore(_PASTS)

    def read(self, scope: Scope, consistency: Consistency = LATEST) -> Awaitable[HotUser]:
        """Return the user, as fresh as asked.

        Raises StorageUnavailable when the database does not answer and RAM is not fresh enough, FailedPrecondition
        (REVISION_NOT_REACHED) when the revision asked for does not exist yet; of the past what `read_past` raises.
        """
        return self.latest(scope) if consistency is LATEST else self._read(scope, consistency)

    async def _read(self, scope: Scope, consistency: Consistency) -> HotUser:
        if consistency.as_of is not None:
            return await self._past(scope, consistency.as_of)
        hot = self._cache_of(scope).get(scope)
        if hot is None or not self._fresh_enough(hot, consistency):
            hot = await self.latest(scope)
        if consistency.at_least_revision > hot.revision:
            raise FailedPrecondition(
                Reason.REVISION_NOT_REACHED,
                f"user is at revision {hot.revision}, asked for {consistency.at_least_revision}",
                metadata={"revision": str(hot.revision)},
            )
        return hot

    async def _past(self, scope: Scope, asked: AsOf) -> HotUser:
        hot = await self.latest(scope)
        state = hot.state
        if asked.revision is None and asked.time > max(now_micros(), state.core.time):
            raise invalid("consistency.as_of_time", "must not be in the future")
        if hot.past is not None and hot.past[0] == asked:
            return hot.past[1]
        async with self._pasts:
            past = await read_past(self.driver, state, asked)
        user = HotUser(past.state(state), hot.checked, hot.checked_time, is_past=True)
        if hot.state is state:
            hot.forget_past()
            hot.past = asked, user
            self.recount(hot)
        return user

    async def read_shared(
        self, scope: Scope, user_ids: Collection[str], consistency: Consistency = LATEST
    ) -> dict[str, HotUser]:
        """Return other users of the namespace by id; a revision asked for is that of `scope`, not theirs.

        Raises InvalidArgument where a past is asked for by such a revision.
        """
        if user_ids and consistency.as_of is not None and consistency.as_of.revision is not None:
            raise invalid("consistency.as_of_revision", "is of one user: with shared users give as_of_time")
        if consistency.at_least_revision:
            consistency = LATEST
        return {user_id: await self.read(Scope(scope.namespace, user_id), consistency) for user_id in user_ids}

    def _fresh_enough(self, hot: HotUser, consistency: Consistency) -> bool:
        if consistency.at_least_revision:
            return hot.revision >= consistency.at_least_revision
        return time.monotonic() - hot.checked <= consistency.max_staleness_seconds

    async def latest(self, scope: Scope) -> HotUser:
        """Return the user with everything that was acknowledged before this call."""
        self.counts.reads += 1
        cache = self._cache_of(scope)
        while True:
            hot = cache.get(scope)
            if hot is None:
                hot, mine = await self._load(scope)
                if mine:
                    return hot
                continue
            # From before the question on: the answer may have been overtaken by the time it is here.
            started, started_time = time.monotonic(), now_micros()
            mark = self._mark()
            if mark and mark == hot.mark:
                hot.fresh_at(started, started_time)
            else:
                tip = (await self.driver.tips((scope,)))[0] if self._asks_at_once else await self.tip(scope)
                if hot.state.is_at(tip):
                    hot.fresh_at(started, started_time)
                    hot.mark = mark
                elif hot.checked < started:
                    await self._catch_up(hot)
            if hot.checked >= started:
                cache.use(scope)
                return hot

    async def latest_both(self, scope: Scope, other: Scope) -> tuple[HotUser, HotUser]:
        """Return two users as `latest` does, with one question to the database where both are in RAM."""
        first, second = self._cache_of(scope).get(scope), self._cache_of(other).get(other)
        if first is not None and second is not None:
            started, started_time = time.monotonic(), now_micros()
            mark = self._mark()
            if mark and mark == first.mark == second.mark:
                first.fresh_at(started, started_time)
                second.fresh_at(started, started_time)
            else:
                for hot, tip in zip((first, second), await self._tips_of(scope, other), strict=True):
                    if hot.state.is_at(tip):
                        hot.fresh_at(started, started_time)
                        hot.mark = mark
            # Who has moved, was moved on, or was evicted meanwhile is asked for by itself.
            if first.checked >= started and second.checked >= started:
                self._cache_of(scope).use(scope)
                self._cache_of(other).use(other)
                self.counts.reads += 1
                return first, second
        return await self.latest(scope), await self.latest(other)

    def _first_mark(self) -> bytes:
        # Where there is no mark, it is always empty.
        self._mark = self.driver.capabilities().commits_mark or bytes
        return self._mark()

    def _tips_of(self, scope: Scope, other: Scope) -> Awaitable[Sequence[Tip]]:
        if self._asks_at_once is None:
            self._asks_at_once = self.driver.capabilities().tips_cost_nothing
        return self.driver.tips((scope, other)) if self._asks_at_once else self._tips_together(scope, other)

    async def _tips_together(self, scope: Scope, other: Scope) -> Sequence[Tip]:
        with current_waits():
            return await asyncio.gather(self._tips.ask(scope), self._tips.ask(other))

    async def tip(self, scope: Scope) -> Tip:
        """Return where the journal ends now."""
        if self._asks_at_once is None:
            self._asks_at_once = self.driver.capabilities().tips_cost_nothing
        if self._asks_at_once:
            return (await self.driver.tips((scope,)))[0]
        with current_waits():
            return await self._tips.get(scope)

    @property
    def hot_count(self) -> int:
        """Users in RAM."""
        return len(self._cache)

    @property
    def hot_bytes(self) -> int:
        return self._cache.total_bytes

    @property
    def evictions(self) -> int:
        return self._cache.evictions

    def hot(self, scope: Scope) -> HotUser | None:
        """Return the user if it is in RAM, however stale."""
        return self._cache_of(scope).get(scope)

    def pin(self, scope: Scope) -> None:
        """Keep the user in RAM from its next load on, until it was unpinned as often as pinned."""
        self._cache_of(scope).pin(scope)

    def unpin(self, scope: Scope) -> None:
        """Let the user be evicted again."""
        self._cache_of(scope).unpin(scope)

    async def _catch_up(self, hot: HotUser) -> None:
        """Fold in the records since, or drop the user where they cannot be: it has to be loaded anew then."""
        scope, behind = hot.state.scope, hot.state.tip
        started, started_time = time.monotonic(), now_micros()
        try:
            records = await self.driver.records(scope, max(behind.seq - 1, 0), _CATCH_UP_RECORDS)
        except TruncatedJournal:
            # What came in between is gone: erased, or no longer kept.
            self._drop(hot)
            return
        if hot.state.tip != behind:
            return
        if behind == EMPTY:
            same_history, newer = True, records
        else:
            same_history, newer = bool(records) and records[0].nonce == behind.nonce, records[1:]
        if not same_history or len(records) == _CATCH_UP_RECORDS:
            self._drop(hot)
            return
        if newer:
            hot.contended = started
            self.counts.catch_ups += 1
            if self.on_lag is not None:
                self.on_lag(max(0.0, (started_time - newer[0].time) / 1e6))
            bodies = [decode_body(record.body) for record in newer]
            if any(map(is_blanked, bodies)):
                # A purge has been there before. What lives on is whole in its row alone.
                self._drop(hot)
                return
            self._fold(hot, newer, bodies)
        hot.fresh_at(started, started_time)

    def _drop(self, hot: HotUser) -> None:
        if self._cache_of(hot.state.scope).get(hot.state.scope) is hot:
            self.forget(hot.state.scope)

    def _fold(self, hot: HotUser, records: Sequence[Record], bodies: Sequence[Body]) -> None:
        state = hot.state
        for record, body in zip(records, bodies, strict=True):
            state = fold(state, record, body)
        self.move(hot, state, bodies)

    def move(self, hot: HotUser, state: State, bodies: Sequence[Body]) -> None:
        """Let a hot user go on to `state`; tells those who watch it."""
        hot.move(state, bodies)
        self.recount(hot)
        if self.on_move is not None:
            self.on_move(state)
        self.moves.tell(state.scope)

    async def _load(self, scope: Scope) -> tuple[HotUser, bool]:
        """Return the loaded user, and whether the load began with this call: one that was joined may have read less."""
        task = self._loads.get(scope)
        mine = task is None
        if task is None:
            task = self._loads[scope] = asyncio.create_task(self._load_now(scope))
            task.add_done_callback(_let_go)
        with current_waits():
            return await asyncio.shield(task), mine

    async def _load_now(self, scope: Scope) -> HotUser:
        started, started_time = time.monotonic(), now_micros()
        self.counts.loads += 1
        if self.on_load is not None and scope.user_id:
            self.on_load()
        try:
            loaded = await self.driver.load(scope, (RowKind.STATE, RowKind.MEMORY, RowKind.FORMER))
        finally:
            # Here rather than in a callback: who looks before that ran would find the user loaded already, but evicted.
            del self._loads[scope]
        hot = HotUser(load(scope, loaded), started, started_time)
        self._cache_of(hot.state.scope).put(hot)
        self.moves.tell(scope)
        return hot

    def forget(self, scope: Scope) -> None:
        """Drop a user from RAM: the next who asks loads it."""
        self._cache_of(scope).forget(scope)

    def _cache_of(self, scope: Scope) -> HotCache:
        return self._cache if scope.user_id else self._namespaces

    def recount(self, hot: HotUser) -> None:
        """Count anew what a user takes, after something was derived from it."""
        self._cache_of(hot.state.scope).recount(hot)

    async def follow(self) -> None:
        """Hear from the driver of users that other processes moved, for good: their watches wake sooner."""
        if self.driver.capabilities().hints.supported:
            await self.moves.follow(self.driver, self._known_tip)

    def _known_tip(self, scope: Scope) -> Tip | None:
        hot = self._cache_of(scope).get(scope)
        return hot.state.tip if hot is not None else None


def _let_go(load: asyncio.Task[HotUser]) -> None:
    """Of a load that nobody waits for any more the error is of no interest."""
    if not load.cancelled():
        load.exception()

"""Hot users: their states in RAM, kept fresh, evicted by bytes.

A read costs one question to the driver ("does this journal still end here?"), or none where the caller allows it. On a
miss the user is loaded once, however many ask; on a small lag the records since are folded in.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct, field

from memsvc.clock import now_micros
from memsvc.config import DEFAULTS
from memsvc.errors import FailedPrecondition, Reason
from memsvc.journal.records import Body, decode_body
from memsvc.journal.state import State, fold, load
from memsvc.model import Scope
from memsvc.storage.driver import EMPTY, Driver, Record, RowKind, Tip, TruncatedJournal
from memsvc.users.hot import HotUser
from memsvc.users.moves import Moves
from memsvc.users.tips import SharedTips

_CATCH_UP_RECORDS = 256


class Consistency(Struct, frozen=True):
    """How fresh a read must be; nothing set: the latest."""

    at_least_revision: int = 0
    max_staleness_seconds: float = 0.0


LATEST = Consistency()


class Users(Struct):
    """The hot users of a process."""

    driver: Driver
    cache_bytes: int = DEFAULTS.cache_bytes
    clock: Callable[[], int] = now_micros
    """The server's clock, microseconds since the epoch."""
    on_move: Callable[[State], None] | None = None
    """Told of every state that a user moves to in this process."""
    moves: Moves = field(default_factory=Moves)
    _hot: OrderedDict[Scope, HotUser] = field(default_factory=OrderedDict)
    _sizes: dict[Scope, int] = field(default_factory=dict)
    _total_bytes: int = 0
    _loads: dict[Scope, asyncio.Task[HotUser]] = field(default_factory=dict)
    _tips: SharedTips | None = None
    _asks_at_once: bool | None = None

    async def read(self, scope: Scope, consistency: Consistency = LATEST) -> HotUser:
        """Return the user, as fresh as asked.

        Raises StorageUnavailable when the database does not answer and RAM is not fresh enough, FailedPrecondition
        (REVISION_NOT_REACHED) when the revision asked for does not exist yet.
        """
        hot = self._hot.get(scope)
        if hot is None or consistency is LATEST or not self._fresh_enough(hot, consistency):
            hot = await self.latest(scope)
        if consistency.at_least_revision > hot.revision:
            raise FailedPrecondition(
                Reason.REVISION_NOT_REACHED,
                f"user is at revision {hot.revision}, asked for {consistency.at_least_revision}",
                metadata={"revision": str(hot.revision)},
            )
        return hot

    async def read_shared(
        self, scope: Scope, user_ids: Iterable[str], consistency: Consistency = LATEST
    ) -> dict[str, HotUser]:
        """Return other users of the namespace by id; a revision asked for is that of `scope`, not theirs."""
        if consistency.at_least_revision:
            consistency = LATEST
        return {user_id: await self.read(Scope(scope.namespace, user_id), consistency) for user_id in user_ids}

    def _fresh_enough(self, hot: HotUser, consistency: Consistency) -> bool:
        if consistency.at_least_revision:
            return hot.revision >= consistency.at_least_revision
        return time.monotonic() - hot.checked <= consistency.max_staleness_seconds

    async def latest(self, scope: Scope) -> HotUser:
        """Return the user with everything that was acknowledged before this call."""
        while True:
            hot = self._hot.get(scope)
            if hot is None:
                hot, mine = await self._load(scope)
                if mine:
                    return hot
                continue
            started = time.monotonic()
            tip = (await self.driver.tips((scope,)))[0] if self._asks_at_once else await self.tip(scope)
            if hot.state.tip == tip:
                hot.checked, hot.checked_time = started, now_micros()
                if scope in self._hot:
                    self._hot.move_to_end(scope)
                return hot
            if await self._catch_up(hot):
                return hot

    async def tip(self, scope: Scope) -> Tip:
        """Return where the journal ends now."""
        if self._asks_at_once is None:
            self._asks_at_once = self.driver.capabilities().tips_cost_nothing
        if self._asks_at_once:
            return (await self.driver.tips((scope,)))[0]
        if self._tips is None:
            self._tips = SharedTips(self.driver)
        return await self._tips.get(scope)

    def hot(self, scope: Scope) -> HotUser | None:
        """Return the user if it is in RAM, however stale."""
        return self._hot.get(scope)

    async def _catch_up(self, hot: HotUser) -> bool:
        """Fold in the records since; return whether that made it as fresh as when this was called."""
        scope, behind = hot.state.scope, hot.state.tip
        started = time.monotonic()
        try:
            records = await self.driver.records(scope, max(behind.seq - 1, 0), _CATCH_UP_RECORDS)
        except TruncatedJournal:
            # What came in between is gone: erased, or no longer kept.
            if self._hot.get(scope) is hot:
                self.forget(scope)
            return False
        if hot.state.tip != behind:
            return False
        if behind == EMPTY:
            same_history, newer = True, records
        else:
            same_history, newer = bool(records) and records[0].nonce == behind.nonce, records[1:]
        if not same_history or len(records) == _CATCH_UP_RECORDS:
            if self._hot.get(scope) is hot:
                self.forget(scope)
            return False
        if newer:
            hot.contended = started
        self._fold(hot, newer)
        hot.checked, hot.checked_time = started, now_micros()
        return True

    def _fold(self, hot: HotUser, records: Sequence[Record]) -> None:
        state, bodies = hot.state, []
        for record in records:
            body = decode_body(record.body)
            state = fold(state, record, body)
            bodies.append(body)
        self.move(hot, state, bodies)

    def move(self, hot: HotUser, state: State, bodies: Sequence[Body]) -> None:
        """Let a hot user go on to `state`; tells those who watch it."""
        hot.move(state, bodies)
        self.weigh(hot)
        if self.on_move is not None:
            self.on_move(state)
        self.moves.tell(state.scope)

    async def _load(self, scope: Scope) -> tuple[HotUser, bool]:
        """Return the loaded user, and whether the load began with this call: one that was joined may have read less."""
        task = self._loads.get(scope)
        mine = task is None
        if task is None:
            task = self._loads[scope] = asyncio.create_task(self._load_now(scope))
        return await asyncio.shield(task), mine

    async def _load_now(self, scope: Scope) -> HotUser:
        started = time.monotonic()
        try:
            loaded = await self.driver.load(scope, (RowKind.STATE, RowKind.MEMORY))
        finally:
            # Here rather than in a callback: who looks before that ran would find the user loaded already, but evicted.
            del self._loads[scope]
        hot = HotUser(load(scope, loaded), started)
        self._hot[scope] = hot
        self.weigh(hot)
        self.moves.tell(scope)
        return hot

    def forget(self, scope: Scope) -> None:
        """Drop a user from RAM: the next who asks loads it."""
        hot = self._hot.pop(scope, None)
        if hot is not None:
            self._total_bytes -= self._sizes.pop(scope)
            # What was derived refers back to the user: without this, only the collector would free either.
            hot.cache.clear()

    def weigh(self, hot: HotUser) -> None:
        """Count anew what a user takes, after something was derived from it; evict those not used for longest."""
        scope = hot.state.scope
        if self._hot.get(scope) is not hot:
            return
        size = hot.size_bytes
        self._total_bytes += size - self._sizes.get(scope, 0)
        self._sizes[scope] = size
        self._hot.move_to_end(scope)
        while self._total_bytes > self.cache_bytes and len(self._hot) > 1:
            self.forget(next(iter(self._hot)))

    async def follow(self) -> None:
        """Hear from the driver of users that other processes moved, for good: their watches wake sooner."""
        if self.driver.capabilities().hints.supported:
            await self.moves.follow(self.driver, self._known_tip)

    def _known_tip(self, scope: Scope) -> Tip | None:
        hot = self._hot.get(scope)
        return hot.state.tip if hot is not None else None

"""Hot users: their states in RAM, kept fresh, evicted by bytes.

A read costs one question to the driver ("does this journal still end here?"), or none where the caller allows it. On a
miss the user is loaded once, however many ask; on a small lag the records since are folded in.
"""

from __future__ import annotations

import asyncio
import math
import time
from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Callable, Iterable, MutableMapping, Sequence

from msgspec import Struct, field

from memsvc.errors import FailedPrecondition, Reason
from memsvc.journal.records import Body, decode_body
from memsvc.journal.state import Memories, State, fold, load
from memsvc.model import Change, Layer, Memory, Scope
from memsvc.search.lexical import Corpus, Hit, LexicalIndex
from memsvc.storage.driver import EMPTY, Driver, Record, RowKind, Tip, TruncatedJournal
from memsvc.users.moves import Moves

_CATCH_UP_RECORDS = 256
_INDEX_BUILDS = 3
"""A user that moves all the time is indexed at one go after so many tries."""
_MEMORY_OVERHEAD_BYTES = 600
_USER_OVERHEAD_BYTES = 2_000


def now_micros() -> int:
    """Return the server's clock, microseconds since the epoch."""
    return time.time_ns() // 1000


class Consistency(Struct, frozen=True):
    """How fresh a read must be; nothing set: the latest."""

    at_least_revision: int = 0
    max_staleness_seconds: float = 0.0


LATEST = Consistency()


class HotUser:
    """One user's state in RAM, and what was derived from it. Read it between awaits only: it moves on."""

    __slots__ = (
        "__weakref__",
        "_index",
        "_order",
        "appends",
        "cache",
        "checked",
        "checked_time",
        "contended",
        "encoded",
        "memory_bytes",
        "state",
    )

    def __init__(self, state: State, checked: float) -> None:
        self.state = state
        self.checked = checked
        """When the tip was last known to be the newest, on the monotonic clock."""
        self.checked_time = now_micros()
        """The same by the server's clock."""
        self.appends = 0
        """How many this process made since the user was loaded."""
        self.contended = -math.inf
        """When records of another process were last folded in, on the monotonic clock."""
        self.cache: MutableMapping[object, object] = {}
        """What readers derived at this revision; emptied when it moves."""
        self.encoded: dict[str, bytes] = {}
        """Memories in a reader's own form, by id; an entry goes when its memory changes."""
        self.memory_bytes = sum(map(_memory_bytes, state.memories()))
        self._index: LexicalIndex | None = None
        self._order: list[tuple[int, str]] | None = None

    @property
    def user_id(self) -> str:
        return self.state.scope.user_id

    @property
    def revision(self) -> int:
        return self.state.core.revision

    @property
    def size_bytes(self) -> int:
        """About how much RAM it takes."""
        index = self._index.size_bytes if self._index is not None else 0
        encoded = self.memory_bytes * len(self.encoded) // max(1, self.state.memory_count)
        requests = 250 * len(self.state.requests or ())
        derived = sum(getattr(value, "size_bytes", 0) for value in self.cache.values())
        return _USER_OVERHEAD_BYTES + self.memory_bytes + index + encoded + requests + derived

    def move(self, state: State, bodies: Iterable[Body]) -> None:
        """Go on to `state`, which the records with these bodies lead to."""
        before = self.state
        self.state = state
        erased = False
        for body in bodies:
            erased = erased or body.erase is not None
            for change in body.changes:
                self.encoded.pop(change.memory_id, None)
                self._reorder(change)
                if change.before is not None:
                    self.memory_bytes -= _memory_bytes(change.before)
                if change.after is not None:
                    self.memory_bytes += _memory_bytes(change.after)
                if self._index is not None and not erased:
                    if change.after is not None:
                        self._index.add(change.after)
                    elif change.memory_id in self._index:
                        self._index.remove(change.memory_id)
        if erased:
            self.encoded.clear()
            self._index = self._order = None
            self.memory_bytes = sum(map(_memory_bytes, state.memories()))
        if before.core.revision != state.core.revision:
            self.cache.clear()

    def _reorder(self, change: Change) -> None:
        if self._order is None:
            return
        if change.before is not None:
            entry = (change.before.update_time, change.memory_id)
            at = bisect_left(self._order, entry)
            if at < len(self._order) and self._order[at] == entry:
                del self._order[at]
        if change.after is not None:
            insort(self._order, (change.after.update_time, change.memory_id))

    def visible(self, memory: Memory) -> bool:
        """Whether the memory has not expired."""
        return not memory.expire_time or memory.expire_time > now_micros()

    @property
    def hides_some(self) -> bool:
        """Whether memories have expired that no sweep has deleted yet."""
        first = self.state.core.first_expiry
        return bool(first) and first <= now_micros()

    def layer(self, layer: Layer) -> Memories:
        """Return a layer's visible memories by id, in the order of their numbers."""
        memories = self.state.layers[layer]
        if self.hides_some:
            return {key: memory for key, memory in memories.items() if self.visible(memory)}
        return memories

    def get(self, memory_id: str) -> Memory | None:
        """Return a visible memory."""
        memory = self.state.memory(memory_id)
        return memory if memory is not None and self.visible(memory) else None

    def memories(self) -> Iterable[Memory]:
        """Yield the visible memories, layer by layer."""
        for layer in Layer:
            yield from self.layer(layer).values()

    def oldest(self) -> Sequence[tuple[int, str]]:
        """Return (update_time, memory_id) of all memories, visible or not, in order."""
        if self._order is None:
            self._order = sorted((memory.update_time, memory.memory_id) for memory in self.state.memories())
        return self._order

    def newest(self) -> Iterable[Memory]:
        """Yield the visible memories, last changed first."""
        for _, memory_id in reversed(self.oldest()):
            memory = self.get(memory_id)
            if memory is not None:
                yield memory

    async def prepare_search(self) -> None:
        """Build the search index if it is not there yet, without holding up the event loop."""
        for _ in range(_INDEX_BUILDS):
            if self._index is not None:
                return
            tip = self.state.tip
            index = await LexicalIndex.build_async(list(self.state.memories()))
            if tip == self.state.tip:
                self._index = index

    def corpus(self, query: str) -> Corpus:
        """Return what these memories add to how much each term of the query counts."""
        return self._searched().corpus(query)

    def search(
        self, query: str, limit: int, allowed: Callable[[str], bool] | None = None, corpus: Corpus | None = None
    ) -> Sequence[Hit]:
        """Return the visible memories that fit `query` best; `corpus` is that of all who are searched together."""
        if self.hides_some:
            seen, wanted = self.visible, allowed

            def allowed(memory_id: str) -> bool:
                memory = self.state.memory(memory_id)
                return memory is not None and seen(memory) and (wanted is None or wanted(memory_id))

        return self._searched().search(query, limit, allowed, corpus)

    def _searched(self) -> LexicalIndex:
        if self._index is None:
            self._index = LexicalIndex.build(self.state.memories())
        return self._index


def _memory_bytes(memory: Memory) -> int:
    return _MEMORY_OVERHEAD_BYTES + len(memory.text) + len(memory.input) + len(memory.value_json)


class Users(Struct):
    """The hot users of a process."""

    driver: Driver
    cache_bytes: int = 64 << 20
    clock: Callable[[], int] = now_micros
    """The server's clock, microseconds since the epoch."""
    on_move: Callable[[State], None] | None = None
    """Told of every state that a user moves to in this process."""
    moves: Moves = field(default_factory=Moves)
    _hot: OrderedDict[Scope, HotUser] = field(default_factory=OrderedDict)
    _sizes: dict[Scope, int] = field(default_factory=dict)
    _total_bytes: int = 0
    _loads: dict[Scope, asyncio.Task[HotUser]] = field(default_factory=dict)
    _tips: _SharedTips | None = None
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
            self._tips = _SharedTips(self.driver)
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


class _SharedTips:
    """One question to the database for all reads that wait; no read joins a question that was already sent."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._waiting: dict[Scope, list[asyncio.Future[Tip]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def get(self, scope: Scope) -> Tip:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Tip] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._send)
        self._waiting.setdefault(scope, []).append(future)
        return await future

    def _send(self) -> None:
        waiting, self._waiting = self._waiting, {}
        task = asyncio.create_task(self._ask(waiting))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, waiting: dict[Scope, list[asyncio.Future[Tip]]]) -> None:
        try:
            tips = await self._driver.tips(list(waiting))
        except Exception as error:
            for futures in waiting.values():
                for future in futures:
                    if not future.done():
                        future.set_exception(error)
            return
        for futures, tip in zip(waiting.values(), tips, strict=True):
            for future in futures:
                if not future.done():
                    future.set_result(tip)

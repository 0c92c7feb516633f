from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from copying_stores import DRIVERS, Stores
from houses import ERIN, GHOST, SARAH, SETTINGS, compared, contents, copied, grow, live_in

from memsvc.copying import Fate, SideFailed
from memsvc.errors import Reason, StorageUnavailable
from memsvc.model import Scope
from memsvc.storage.conformance.items import Journal, redact, state
from memsvc.storage.driver import MAX_APPEND_BYTES, Append, Driver, Loaded, Outcome, PageOf, Row, RowKey, RowKind
from memsvc.storage.memory import MemoryDriver

AVA = Scope("default", "ava")


@pytest.fixture(params=DRIVERS)
async def pair(request: pytest.FixtureRequest, stores: Stores) -> tuple[Driver, Driver]:
    """A SQLite store to copy, and an empty one of each driver."""
    return await stores.new("sqlite"), await stores.new(request.param)


async def test_a_copy_holds_everything_to_the_letter(pair: tuple[Driver, Driver]) -> None:
    source, destination = pair
    await live_in(source)
    done = await copied(source, destination)
    held = await contents(source)
    assert await contents(destination) == held
    assert held.keys() == {SETTINGS, *(Scope("default", user) for user in (SARAH, ERIN, GHOST))}
    assert held[Scope("default", ERIN)].records[0].seq == 5
    assert held[Scope("default", SARAH)].due
    assert not held[Scope("default", GHOST)].listed
    assert (done.copied, done.there_already, done.left_count) == (4, 0, 0)
    comparison = await compared(source, destination)
    assert comparison.same
    assert comparison.counts["users"].source == comparison.counts["users"].destination == 4


async def test_a_second_copy_has_nothing_to_do(pair: tuple[Driver, Driver]) -> None:
    source, destination = pair
    await live_in(source)
    await copied(source, destination)
    again = await copied(source, destination)
    assert (again.copied, again.there_already, again.left_count) == (0, 4, 0)


async def test_a_second_copy_brings_who_moved_since(pair: tuple[Driver, Driver]) -> None:
    source, destination = pair
    await grow(source, AVA, records=3)
    await copied(source, destination)
    journal = await grow(source, AVA, records=2)
    await source.truncate(AVA, 3)
    await journal.append([b"{}"], puts=[state(0)], deletes=[RowKey(RowKind.MEMORY, "memory-2")])
    again = await copied(source, destination)
    assert (again.copied, again.left_count) == (1, 0)
    assert await contents(destination) == await contents(source)


async def test_a_user_who_was_used_at_the_destination_is_not_touched(pair: tuple[Driver, Driver]) -> None:
    source, destination = pair
    await grow(source, AVA, records=3)
    await grow(source, Scope("default", "ben"))
    await grow(destination, AVA, records=2)
    before = (await contents(destination))[AVA]
    done = await copied(source, destination)
    assert [left.scope for left in done.left] == [AVA]
    assert done.left[0].fate is Fate.USED
    held = await contents(destination)
    assert held[AVA] == before
    assert held[Scope("default", "ben")] == (await contents(source))[Scope("default", "ben")]
    comparison = await compared(source, destination)
    assert (comparison.same, comparison.differing) == (False, [AVA])


async def test_a_user_whom_the_source_has_erased_since_is_left(stores: Stores) -> None:
    source, destination = await stores.new("memory"), await stores.new("memory")
    journal = await grow(source, AVA)
    await copied(source, destination)
    await journal.append([b"{}"], erases=True)
    done = await copied(source, destination)
    assert [left.scope for left in done.left] == [AVA]


async def test_what_another_copy_seeded_is_replaced(pair: tuple[Driver, Driver]) -> None:
    source, destination = pair
    await grow(source, AVA, records=3)
    await destination.seed(AVA, [Row(RowKind.MEMORY, "stale", b"{}"), state(7)], afresh=True)
    await copied(source, destination)
    assert await contents(destination) == await contents(source)


class Watched(MemoryDriver):
    """Keeps what it is handed."""

    def __init__(self) -> None:
        super().__init__("memory://", {})
        self.appends: list[Append] = []
        self.seeds: list[Sequence[Row]] = []

    async def append(self, batch: Sequence[Append]) -> Sequence[Outcome]:
        self.appends += batch
        return await super().append(batch)

    async def seed(self, scope: Scope, rows: Sequence[Row], *, afresh: bool) -> None:
        self.seeds.append(rows)
        await super().seed(scope, rows, afresh=afresh)


async def test_a_large_user_is_handed_over_in_small_parts(stores: Stores) -> None:
    source, destination = await stores.new("memory"), await stores.opened(Watched())
    await grow(source, AVA, records=1_500)
    await grow(source, AVA, records=40, size_bytes=700_000)
    await copied(source, destination)
    assert await contents(destination) == await contents(source)
    assert len(destination.appends) > 3
    assert max(len(rows) for rows in destination.seeds) <= 1_000
    assert max(len(item.records) for item in destination.appends) <= 1_000
    for parts in (*destination.seeds, *(((*item.records, *item.puts)) for item in destination.appends)):
        assert sum(len(part.body) for part in parts) <= MAX_APPEND_BYTES
    assert [bool(item.puts) for item in destination.appends] == [False] * (len(destination.appends) - 1) + [True]


class Restless(MemoryDriver):
    """A source in use: a user moves whenever its runs are read, some times."""

    def __init__(self, moves: int) -> None:
        super().__init__("memory://", {})
        self.moves = moves

    async def rows(self, page: PageOf) -> Sequence[Row]:
        found = await super().rows(page)
        if page.kind is RowKind.RUN and page.after is None and self.moves:
            self.moves -= 1
            await grow(self, page.scope)
        return found


async def test_a_user_who_moves_meanwhile_is_copied_again(stores: Stores) -> None:
    source, destination = await stores.opened(Restless(0)), await stores.new("memory")
    await grow(source, AVA, records=3)
    source.moves = 1
    done = await copied(source, destination)
    assert done.left == []
    assert await contents(destination) == await contents(source)


async def test_a_user_who_never_holds_still_is_left_and_said(stores: Stores) -> None:
    source, destination = await stores.opened(Restless(0)), await stores.new("memory")
    await grow(source, AVA, records=3)
    source.moves = 1_000
    done = await copied(source, destination)
    assert done.left[0].fate is Fate.MOVED
    source.moves = 0
    assert (await copied(source, destination)).left == []
    assert await contents(destination) == await contents(source)


class Flaky(MemoryDriver):
    """Fails now and then; an append may be made all the same."""

    def __init__(self, seed: int) -> None:
        super().__init__("memory://", {})
        self.whim = random.Random(seed)
        self.failures = 0

    def _users(self) -> Any:
        if self.whim.random() < 0.25:
            self.failures += 1
            raise StorageUnavailable("the database did not answer")
        return super()._users()

    async def append(self, batch: Sequence[Append]) -> Sequence[Outcome]:
        outcomes = await super().append(batch)
        return outcomes if self.whim.random() < 0.5 else [Outcome.UNKNOWN] * len(batch)


async def test_a_database_that_is_away_for_a_moment_is_asked_again(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memsvc.copying.side._PAUSES_SECONDS", (0.0,) * 20)
    steady = [await stores.new("memory") for _ in range(2)]
    source, destination = [await stores.opened(Flaky(seed)) for seed in range(2)]
    source._store, destination._store = [driver._store for driver in steady]  # type: ignore[attr-defined]
    for number in range(10):
        await grow(steady[0], Scope("default", f"user-{number}"), records=3)
    done = await copied(source, destination, concurrency=1)
    assert (done.copied, done.left) == (10, [])
    assert await contents(steady[1]) == await contents(steady[0])
    assert source.failures
    assert destination.failures


class Away(MemoryDriver):
    async def seed(self, scope: Scope, rows: Sequence[Row], *, afresh: bool) -> None:
        raise StorageUnavailable("database cannot write: disk full", Reason.STORAGE_FULL)

    async def load(self, scope: Scope, kinds: Any) -> Loaded:
        raise StorageUnavailable("the database did not answer")


async def test_an_error_names_the_side(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memsvc.copying.side._PAUSES_SECONDS", (0.0,))
    source, away = await stores.new("memory"), await stores.opened(Away("memory://", {}))
    await grow(source, AVA)
    await grow(away, AVA)
    with pytest.raises(SideFailed, match=r"^destination: database cannot write: disk full"):
        await copied(source, await stores.opened(Away("memory://", {})))
    with pytest.raises(SideFailed, match=r"^source: the database did not answer"):
        await copied(away, source)


async def test_a_difference_is_found(pair: tuple[Driver, Driver]) -> None:
    source, destination = pair
    await grow(source, AVA, records=4)
    await copied(source, destination)
    await redact(destination, AVA, {2: b"{}"})
    comparison = await compared(source, destination)
    assert (comparison.differing, comparison.counts["records"].differ) == ([AVA], 1)
    assert comparison.counts["records"].source == comparison.counts["records"].destination == 4


async def test_a_user_whose_state_cannot_be_read_is_left_and_said(stores: Stores) -> None:
    source, destination = await stores.new("memory"), await stores.new("memory")
    await Journal(source, AVA).append(puts=[Row(RowKind.STATE, "", b"nonsense")])
    await grow(source, Scope("default", "ben"))
    done = await copied(source, destination)
    assert [(left.scope, left.fate) for left in done.left] == [(AVA, Fate.UNREADABLE)]
    assert (await contents(destination)).keys() == {Scope("default", "ben")}


async def test_any_number_of_users_is_copied(stores: Stores) -> None:
    source, destination = await stores.new("memory"), await stores.new("sqlite")
    for number in range(700):
        await Journal(source, Scope(f"namespace-{number % 3}", f"user-{number}")).append(puts=[state(number)])
    done = await copied(source, destination, concurrency=32)
    assert (done.copied, done.left_count) == (700, 0)
    assert (await compared(source, destination)).same


async def test_journals_that_the_suite_left_without_a_state_row_are_copied(pair: tuple[Driver, Driver]) -> None:
    source, destination = pair
    await Journal(source, AVA).append([b"{}", b"{}"])
    gone = Journal(source, Scope("conformance-1", "ava"))
    await gone.append([b"{}"])
    await gone.append([b"{}"], erases=True)
    await copied(source, destination)
    assert await contents(destination) == await contents(source)
    assert (await copied(source, destination)).there_already == 2

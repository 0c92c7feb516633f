"""Schemas: made once, however many race; looked at without a change; never touched when newer."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack, suppress

from memsvc.errors import SchemaMismatch, StorageUnavailable
from memsvc.model import Scope
from memsvc.storage.conformance.bench import Place
from memsvc.storage.conformance.items import Journal, due_in, memory, tip_now
from memsvc.storage.conformance.processes import started
from memsvc.storage.conformance.store import Store
from memsvc.storage.driver import Due, RowKind


async def test_a_current_schema_needs_no_step(store: Store) -> None:
    """migrate: bring the schema to the version wanted; where it is, there is nothing to do."""
    for check in (True, False):
        migration = await store.driver.migrate(check=check)
        assert (migration.found, list(migration.steps)) == (migration.wanted, [])
    await store.journal().append()


async def test_migrate_works_unopened(store: Store) -> None:
    """migrate: may be called unopened, and leaves the driver so."""
    driver = store.place.connect()
    migration = await driver.migrate(check=True)
    assert migration.found == migration.wanted
    try:
        await driver.ping()
    except StorageUnavailable:
        pass
    else:
        raise AssertionError("migrate opened the driver")
    finally:
        await driver.close()


async def test_a_check_changes_nothing(store: Store) -> None:
    """migrate: with `check` only say what would be done."""
    async with store.scratch() as place:
        first, again = [await place.connect().migrate(check=True) for _ in range(2)]
        assert first == again
        assert (first.found, bool(first.steps)) == (0, True)
        done = await place.connect().migrate()
        assert (done.found, done.wanted, list(done.steps)) == (0, first.wanted, list(first.steps))
        after = await place.connect().migrate(check=True)
        assert (after.found, list(after.steps)) == (first.wanted, [])
        await _use(place)


async def test_racing_migrations_apply_once(store: Store) -> None:
    """migrate: MUST apply each step once however many processes race."""
    async with store.scratch() as place:
        migrations = await asyncio.gather(*(place.connect().migrate() for _ in range(6)))
        steps = Counter(step for migration in migrations for step in migration.steps)
        assert set(steps.values()) == {1}
        await _use(place)


async def test_migrations_of_racing_processes_apply_once(store: Store) -> None:
    """migrate: MUST apply each step once however many processes race."""
    store.need_shared()
    async with store.scratch() as place, AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(started(place)) for _ in range(3)]
        for worker in workers:
            await worker.tell(do="migrate")
        migrations = [await worker.answer() for worker in workers]
        steps = Counter(step for migration in migrations for step in migration["steps"])
        assert set(steps.values()) == {1}
        await _use(place)


async def test_drivers_open_an_empty_store_at_once(store: Store) -> None:
    """open: several may open an empty store at once, where it makes the schema, and all can use it."""
    store.need_shared()
    async with store.scratch() as place:
        drivers = [place.connect() for _ in range(4)]
        try:
            await asyncio.gather(*(driver.open() for driver in drivers))
            for number, driver in enumerate(drivers):
                await Journal(driver, Scope(store.namespace, f"user-{number}")).append()
            assert len(await drivers[0].users(store.namespace, "", 10)) == len(drivers)
        finally:
            await asyncio.gather(*(driver.close() for driver in drivers))


async def test_processes_open_an_empty_store_at_once(store: Store) -> None:
    """open: racing replicas find or make the schema, and all can use it."""
    store.need_shared()
    async with store.scratch() as place, AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(started(place)) for _ in range(3)]
        for worker in workers:
            await worker.tell(do="open")
            await worker.tell(do="append", namespace="conformance", user_id="ava", count=5)
        answers = [[await worker.answer() for _ in range(6)] for worker in workers]
        assert sorted(answer["seq"] for of_worker in answers for answer in of_worker[1:]) == list(range(1, 16))
        await _use(place)


async def test_stores_with_names_of_their_own_are_apart(store: Store) -> None:
    """open: what names the tables, keys or database of a store keeps it apart from its neighbours."""
    async with store.scratch() as left, store.scratch() as right:
        async with left.opened() as in_left, right.opened() as in_right:
            scope = store.user()
            drivers = (store.driver, in_left, in_right)
            for number, driver in enumerate(drivers, start=1):
                await Journal(driver, scope).append([b"{}"] * number, puts=[memory("m1", f"of {number}")], due=number)
            for number, driver in enumerate(drivers, start=1):
                loaded = await driver.load(scope, [RowKind.MEMORY])
                assert (loaded.tip.seq, list(loaded.rows)) == (number, [memory("m1", f"of {number}")])
                assert await due_in(driver, scope.namespace, 9) == [Due(scope, number)]
            assert [list(await driver.scopes(None, 10)) for driver in drivers[1:]] == [[scope], [scope]]
            await Journal(in_left, scope, await tip_now(in_left, scope)).append(erases=True)
            assert [list(await driver.users(scope.namespace, "", 10)) for driver in drivers] == [
                ["sarah"],
                [],
                ["sarah"],
            ]


async def test_a_newer_schema_is_refused(store: Store) -> None:
    """open: MUST raise SchemaMismatch instead of touching a schema that is newer."""
    async with store.scratch() as place:
        await _use(place)
        await store.bench.make_schema_newer(place)
        for _ in range(2):
            assert await _refused(place)
        for check in (True, False):
            with suppress(SchemaMismatch):
                newer = await place.connect().migrate(check=check)
                assert newer.found > newer.wanted
                assert list(newer.steps) == []
        assert await _refused(place)


async def _use(place: Place) -> None:
    async with place.opened() as driver:
        await Journal(driver, Scope("conformance", "sarah")).append()
        assert "sarah" in await driver.users("conformance", "", 10)


async def _refused(place: Place) -> bool:
    driver = place.connect()
    try:
        await driver.open()
    except SchemaMismatch:
        return True
    finally:
        await driver.close()
    return False

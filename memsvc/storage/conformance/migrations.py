"""Schemas: made once, however many race; looked at without a change; never touched when newer."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack, suppress

from memsvc.model import Scope
from memsvc.storage.conformance.bench import Place
from memsvc.storage.conformance.items import Journal
from memsvc.storage.conformance.processes import started
from memsvc.storage.conformance.store import Store
from memsvc.storage.driver import SchemaMismatch, StorageUnavailable


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
    driver = place.connect()
    await driver.open()
    try:
        await Journal(driver, Scope("conformance", "sarah")).append()
        assert list(await driver.users("conformance", "", 10)) == ["sarah"]
    finally:
        await driver.close()


async def _refused(place: Place) -> bool:
    driver = place.connect()
    try:
        await driver.open()
    except SchemaMismatch:
        return True
    finally:
        await driver.close()
    return False

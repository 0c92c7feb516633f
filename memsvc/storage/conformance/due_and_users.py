"""Finding users: those that may have work, and all of a namespace."""

from __future__ import annotations

import asyncio

from memsvc.storage.conformance.items import Journal, applied, due_in, item
from memsvc.storage.conformance.store import Store
from memsvc.storage.driver import EMPTY, Due


async def test_due_users_come_earliest_first(store: Store) -> None:
    """due: users whose `due` is set and not after `before`, earliest first."""
    times = {"late": 30, "early": 10, "later": 40, "middle": 20}
    scopes = {user_id: store.user(user_id) for user_id in (*times, "idle")}
    await applied(store.driver, *(item(scope, EMPTY, due=times.get(name, 0)) for name, scope in scopes.items()))
    in_order = [Due(scopes[name], times[name]) for name in ("early", "middle", "late", "later")]
    for before, count in ((9, 0), (10, 1), (19, 1), (20, 2), (39, 3), (40, 4), (2**62, 4)):
        assert await due_in(store.driver, store.namespace, before) == in_order[:count]


async def test_due_follows_the_last_append(store: Store) -> None:
    """append: when the user may have work next; 0: none. Each append says it anew, sooner or later."""
    journal = store.journal()
    for due in (50, 20, 70, 0, 30, 0):
        await journal.append(due=due)
        expected = [Due(journal.scope, due)] if due else []
        assert await due_in(store.driver, store.namespace, 100) == expected


async def test_due_is_bounded(store: Store) -> None:
    """due: at most `limit`, and of those that are due the earliest."""
    scopes = store.crowd(40)
    await applied(store.driver, *(item(scope, EMPTY, due=40 - n) for n, scope in enumerate(scopes)))
    every = await store.driver.due(40, 10_000)
    for limit in (1, 7, 39):
        few = await store.driver.due(40, limit)
        assert [due.time for due in few] == [due.time for due in every[:limit]]


async def test_due_never_misses_a_user(store: Store) -> None:
    """due: a superset of the users that have work; MUST never miss one, whoever appended, while others come and go."""
    drivers = await store.several()
    journals = [Journal(drivers[n % len(drivers)], scope) for n, scope in enumerate(store.crowd(60))]

    async def work(journal: Journal, number: int) -> None:
        for step in range(6):
            await journal.append(due=number + 1 if step % 2 else 0)
            for driver in drivers:
                found = journal.scope in {due.scope for due in await due_in(driver, store.namespace, 100)}
                assert found == bool(step % 2)

    await asyncio.gather(*(work(journal, number) for number, journal in enumerate(journals)))
    expected = [Due(journal.scope, number + 1) for number, journal in enumerate(journals)]
    assert await due_in(store.driver, store.namespace, 100) == expected


async def test_users_are_paged(store: Store) -> None:
    """users: at most `limit` users of a namespace with id > `after`, in order, and none of other namespaces."""
    here, other = store.crowd(2_500), store.crowd(300, within="-other")
    for start in range(0, len(here), 500):
        await applied(store.driver, *(item(scope, EMPTY) for scope in here[start : start + 500]))
    await applied(store.driver, *(item(scope, EMPTY) for scope in other))
    for scopes, limit in ((here, 1_000), (here, 333), (here, 2_500), (other, 100)):
        found: list[str] = []
        while page := await store.driver.users(scopes[0].namespace, found[-1] if found else "", limit):
            assert len(page) <= limit
            found += page
        assert found == [scope.user_id for scope in scopes]
    assert list(await store.driver.users(f"{store.namespace}-none", "", 10)) == []


async def test_users_are_stable_under_writes(store: Store) -> None:
    """users: pages miss nobody who was there before, while others come."""
    scopes = store.crowd(200)
    await applied(store.driver, *(item(scope, EMPTY) for scope in scopes[::2]))
    found: list[str] = []
    for newcomer in scopes[1::2]:
        page = await store.driver.users(store.namespace, found[-1] if found else "", 3)
        found += page
        await applied(store.driver, item(newcomer, EMPTY))
    assert found == sorted(set(found))
    assert {scope.user_id for scope in scopes[::2]} <= set(found)
    assert list(await store.driver.users(store.namespace, "", 1_000)) == [scope.user_id for scope in scopes]

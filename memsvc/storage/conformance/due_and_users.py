"""Finding users: those that may have work, all of a namespace, all there are."""

from __future__ import annotations

import asyncio

from memsvc.model import Scope
from memsvc.storage.conformance.items import Journal, applied, due_in, item, outcome_of, state, tip_now
from memsvc.storage.conformance.store import Store
from memsvc.storage.driver import EMPTY, Due, Outcome


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
    journals = [Journal(drivers[n % len(drivers)], scope) for n, scope in enumerate(store.crowd(store.scaled(60)))]

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
    here, other = store.crowd(store.scaled(2_500)), store.crowd(store.scaled(300), within="-other")
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
    scopes = store.crowd(store.scaled(200, least=40))
    await applied(store.driver, *(item(scope, EMPTY) for scope in scopes[::2]))
    found: list[str] = []
    for newcomer in scopes[1::2]:
        page = await store.driver.users(store.namespace, found[-1] if found else "", 3)
        found += page
        await applied(store.driver, item(newcomer, EMPTY))
    assert found == sorted(set(found))
    assert {scope.user_id for scope in scopes[::2]} <= set(found)
    assert list(await store.driver.users(store.namespace, "", 1_000)) == [scope.user_id for scope in scopes]


async def test_users_are_stable_under_erasures(store: Store) -> None:
    """users: pages miss nobody who stays, while others are erased, the user at the edge of a page among them."""
    journals = [Journal(store.driver, scope) for scope in store.crowd(24)]
    for journal in journals:
        await journal.append()
    found: list[str] = []
    while page := await store.driver.users(store.namespace, found[-1] if found else "", 4):
        found += page
        await journals[len(found) - 1].append(erases=True)
    assert found == [journal.scope.user_id for journal in journals]
    left = [journal.scope.user_id for number, journal in enumerate(journals, start=1) if number % 4]
    assert list(await store.driver.users(store.namespace, "", 1_000)) == left


async def test_scopes_name_every_journal(store: Store) -> None:
    """scopes: MUST name every journal, those of erased users and of namespaces (user id "") included."""
    scopes = [*store.crowd(30), store.user(""), store.user("", within="-other"), store.user("a/b:{c}", within="/%")]
    await applied(store.driver, *(item(scope, EMPTY, puts=[state(1)]) for scope in scopes))
    erased = Journal(store.driver, scopes[7], await tip_now(store.driver, scopes[7]))
    await erased.append(erases=True)
    await store.driver.truncate(scopes[8], 1)
    conflicting = item(store.user("nobody"), erased.tip)
    assert await outcome_of(store.driver, conflicting) is Outcome.CONFLICT
    found: list[Scope] = []
    while page := await store.driver.scopes(found[-1] if found else None, 1_000):
        assert len(page) <= 1_000
        found += page
    ours = [scope for scope in found if scope.namespace.startswith(store.namespace)]
    assert sorted(ours) == sorted(scopes)


async def test_scopes_are_paged_in_an_order_that_stays(store: Store) -> None:
    """scopes: those that follow `after`, at most `limit`; the order is the store's own, but stays the same."""
    async with store.scratch() as place, place.opened() as driver:
        assert list(await driver.scopes(None, 10)) == []
        scopes = [Scope(namespace, f"{name}") for namespace in ("b", "a", "ab") for name in ("", *range(5))]
        await applied(driver, *(item(scope, EMPTY) for scope in scopes))
        whole = list(await driver.scopes(None, 1_000))
        assert sorted(whole) == sorted(scopes)
        for limit in (1, 4, 17, 18, 19):
            found = list(await driver.scopes(None, limit))
            while page := await driver.scopes(found[-1], limit):
                assert len(page) <= limit
                found += page
            assert found == whole
        for scope in scopes[::2]:
            await Journal(driver, scope, await tip_now(driver, scope)).append(erases=True)
        assert list(await driver.scopes(None, 1_000)) == whole

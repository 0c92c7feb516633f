"""The network and the server behind it: frozen, silent, refusing, slow, full of callers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import count

from memsvc.errors import StorageUnavailable
from memsvc.storage.conformance.bench import Skipped
from memsvc.storage.conformance.calls import PATIENCE_SECONDS, Call, every_call, gives_up, refuses, until_well
from memsvc.storage.conformance.items import Journal, item, state, tip_now
from memsvc.storage.conformance.proxy import Proxy, proxied
from memsvc.storage.conformance.store import Store
from memsvc.storage.driver import EMPTY, Driver, RowKind

_MOST_CONNECTIONS = 99


async def test_a_frozen_server_is_unavailable_until_it_goes_on(store: Store) -> None:
    """StorageUnavailable: raised when the database does not answer, by every operation, in bounded time."""
    async with relayed(store) as (driver, proxy):
        proxy.pause()
        await _assert_unavailable(store, driver)
        proxy.resume()
        await _assert_well(store, driver)


async def test_a_silent_network_is_unavailable_until_it_is_well(store: Store) -> None:
    """StorageUnavailable: raised when nothing comes back, not even a reset; silent connections are left behind."""
    async with relayed(store) as (driver, proxy):
        proxy.blackhole()
        await _assert_unavailable(store, driver)
        proxy.resume()
        await _assert_well(store, driver)


async def test_a_server_that_refuses_is_unavailable_until_it_is_back(store: Store) -> None:
    """StorageUnavailable: raised when connections were reset and no new one is let in."""
    async with relayed(store) as (driver, proxy):
        await proxy.cut()
        await _assert_unavailable(store, driver)
        proxy.resume()
        await _assert_well(store, driver)


async def test_a_slow_network_only_takes_longer(store: Store) -> None:
    """StorageUnavailable: not for a network that is slow within the timeouts."""
    async with relayed(store) as (driver, proxy):
        journal = Journal(driver, store.user())
        await journal.append(puts=[state(1)])
        proxy.delay(0.03)
        await journal.append(puts=[state(2)])
        loaded = await driver.load(journal.scope, [RowKind.STATE])
        assert (loaded.tip, list(loaded.rows)) == (journal.tip, [state(2)])
        assert await tip_now(driver, journal.scope) == journal.tip


async def test_open_fails_in_bounded_time(store: Store) -> None:
    """open: StorageUnavailable where the server refuses, is frozen or silent; later the same driver opens."""
    async with proxied(store.bench.upstream(store.place)) as proxy:
        for fail in (proxy.pause, proxy.blackhole, proxy.cut):
            driver = store.bench.through(store.place, proxy.host, proxy.port).connect()
            try:
                if failing := fail():
                    await failing
                assert await refuses(driver.open)
                proxy.resume()
                await until_well(driver.open)
                await driver.ping()
            finally:
                await driver.close()


async def test_close_ends_while_the_server_is_silent(store: Store) -> None:
    """close: it waits for no server: what was handed over is given up in time, and everything freed."""
    async with relayed(store) as (driver, proxy):
        await driver.ping()
        proxy.blackhole()
        appending = asyncio.ensure_future(gives_up(lambda: driver.append([item(store.user(), EMPTY)])))
        await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await driver.close()
        assert await appending


async def test_many_calls_share_few_connections(store: Store) -> None:
    """Driver: shared by all tasks of a process: hundreds of calls at once do not take a connection each."""
    async with relayed(store) as (driver, proxy):
        scopes = store.crowd(200)
        calls: list[Call] = [partial(driver.append, [item(scope, EMPTY)]) for scope in scopes]
        calls += [partial(driver.load, scope, [RowKind.STATE]) for scope in scopes]
        replies = await asyncio.gather(*(call() for call in calls), return_exceptions=True)
        # A server that is slow may answer some too late.
        assert all(isinstance(reply, StorageUnavailable) for reply in replies if isinstance(reply, BaseException))
        assert 1 <= proxy.most_connections <= _MOST_CONNECTIONS
        await _assert_well(store, driver)


async def test_many_calls_to_a_frozen_server_all_end(store: Store) -> None:
    """StorageUnavailable: in bounded time for each of many calls at once: they do not wait for one another's."""
    async with relayed(store) as (driver, proxy):
        scopes = store.crowd(150)
        await asyncio.gather(*(driver.append([item(scope, EMPTY)]) for scope in scopes[:10]))
        proxy.pause()
        calls: list[Call] = []
        for scope in scopes:
            calls.append(partial(driver.append, [item(scope, EMPTY)]))
            calls.append(partial(driver.load, scope, [RowKind.STATE]))
            calls.append(partial(driver.tips, [scope]))
        assert all(await asyncio.gather(*map(gives_up, calls)))
        assert proxy.most_connections <= _MOST_CONNECTIONS
        proxy.resume()
        await _assert_well(store, driver)


async def test_hints_go_on_after_a_cut(store: Store) -> None:
    """hints: never ends by itself: the driver connects anew and hints again."""
    hints = store.capabilities.hints
    if not hints.supported:
        raise Skipped(f"no hints: {hints.reason}")
    async with relayed(store) as (driver, proxy):
        journal, heard = store.journal(), asyncio.Event()
        listening = asyncio.ensure_future(_listen(driver, journal, heard))
        try:
            for _ in range(3):
                # The first may only say that the connection was lost: so another is waited for.
                for _ in range(3):
                    heard.clear()
                    while not heard.is_set():
                        await journal.append()
                        await asyncio.wait([listening], timeout=0.05)
                        assert not listening.done()
                await proxy.cut()
                proxy.resume()
        finally:
            listening.cancel()


@asynccontextmanager
async def relayed(store: Store) -> AsyncIterator[tuple[Driver, Proxy]]:
    """Return a driver that reaches the store through a proxy, and the proxy."""
    async with proxied(store.bench.upstream(store.place)) as proxy:
        async with store.bench.through(store.place, proxy.host, proxy.port).opened() as driver:
            try:
                yield driver, proxy
            finally:
                proxy.resume()


async def _assert_unavailable(store: Store, driver: Driver) -> None:
    calls = {**every_call(driver, store.user("unavailable")), "migrate": lambda: driver.migrate(check=True)}
    refused = await asyncio.gather(*map(gives_up, calls.values()))
    assert [name for name, was in zip(calls, refused, strict=True) if not was] == []


async def _assert_well(store: Store, driver: Driver) -> None:
    attempts = count()

    async def use() -> None:
        journal = Journal(driver, store.user(f"well-{next(attempts)}"))
        for number in range(1, 10):
            await journal.append(puts=[state(number)])
            loaded = await driver.load(journal.scope, [RowKind.STATE])
            assert (loaded.tip, list(loaded.rows)) == (journal.tip, [state(number)])

    await until_well(driver.ping)
    await until_well(use)


async def _listen(driver: Driver, journal: Journal, heard: asyncio.Event) -> None:
    async for scope in driver.hints():
        if scope in (None, journal.scope):
            heard.set()

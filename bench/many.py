"""What calls and users take with 1,000 and with 100,000 users in the database, and what calls ask of it."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import cycle, islice
from pathlib import Path
from statistics import mean, median
from typing import Final, NamedTuple

import uvloop

from bench import hot_set, requests, traffic
from bench.crowd import NAMESPACE, QUIET_SECONDS, Stored, fill, make_models, user_name
from bench.load import Calls, Load
from bench.measuring import Figure, at_most, median_ratio
from bench.processes import Server, memsvc
from bench.sentences import questions
from bench.stores import PostgresStore, RedisStore, SQLiteStore, Store
from memsvc.server import tune_interpreter
from memsvc.storage.driver import Driver, RowKind
from memsvc.storage.registry import connect
from memsvc.v1 import common_pb2
from tests.servers.process import ServerMissing

_SIZES: Final = (1_000, 100_000)
_HOT: Final = 500
"""Users of each store who are in RAM."""
_WEIGHED: Final = 2_000
"""Users who are read into RAM to see what one takes there."""
_ROUNDS: Final = 11
_ROUND_SECONDS: Final = 0.2
_ENOUGH: Final = 10_000
"""More runs than are appended while one figure is measured."""
_DUE_USERS: Final = 256
"""As many as a worker asks for."""
_PAGE: Final = 100
_FLAT: Final = at_most(1.3)

_PARTS: Final = {
    "memories": {RowKind.MEMORY},
    "runs": {RowKind.RUN, RowKind.SAID},
    "others": set(RowKind) - {RowKind.MEMORY, RowKind.RUN, RowKind.SAID},
}
STORES: Final = ("sqlite", "postgres", "redis")

_Call = Callable[[], Awaitable[object]]


class _Served(NamedTuple):
    """A store, how many users it has, and two servers on it."""

    users: int
    store: Store
    warm: Server
    """Has room for all who are asked for."""
    cold: Server
    """Keeps nobody: each call reads its user from the database."""


def measure(scratch: Path, only: str | None = None) -> Iterator[Figure]:
    """Measure all, or one of `STORES`, or `hot_set`. FerretDB is no measure of MongoDB: it is left out."""
    if only in (None, "hot_set"):
        yield from hot_set.measure()
    if only == "hot_set":
        return
    with Load() as load:
        models = make_models(scratch, load)
        for part, kinds in _PARTS.items():
            yield Figure(f"many.bodies.{part}", mean(model.row_bytes(kinds) for model in models), "bytes a user")
        yield Figure("many.bodies.journal", mean(model.journal_bytes for model in models), "bytes a user")
        for name in STORES:
            if only in (None, name):
                yield from _on(name, scratch, load, models)


def _on(name: str, scratch: Path, load: Load, models: Sequence[Stored]) -> Iterator[Figure]:
    with ExitStack() as stack:
        stores = []
        for size in _SIZES:
            try:
                store = _make(name, scratch / f"{name}-{size}")
            except ServerMissing as missing:
                print(f"{name} is left out: {missing}")
                return
            stores.append(stack.enter_context(closing(store)))
            before, started = store.stored_bytes(), time.perf_counter()
            uvloop.run(_filled(store, models, size))
            store.settle()
            yield Figure(f"many.{name}.{size}.filled", time.perf_counter() - started, "s")
            yield Figure(f"many.{name}.{size}.stored", (store.stored_bytes() - before) / size, "bytes a user")
        yield from uvloop.run(_asked(name, stores))
        yield from _through_servers(name, scratch, load, stores, models)
        if isinstance(stores[-1], PostgresStore | RedisStore):
            yield from traffic.measure(name, scratch, load, stores[-1], _some(_SIZES[-1], seed=13))


def _through_servers(
    name: str, scratch: Path, load: Load, stores: Sequence[Store], models: Sequence[Stored]
) -> Iterator[Figure]:
    with ExitStack() as stack:
        served = []
        for size, store in zip(_SIZES, stores, strict=True):
            roomy, none = (
                stack.enter_context(memsvc(scratch, "--storage-url", store.url, "--cache-bytes", str(cache)))
                for cache in (1 << 30, 0)
            )
            served.append(_Served(size, store, roomy, none))
            _check(roomy, models, size - 1)
        yield from _called(name, load, served)
        yield _weighed(name, load, served[-1])


def _make(name: str, folder: Path) -> Store:
    if name == "sqlite":
        return SQLiteStore(folder)
    return PostgresStore() if name == "postgres" else RedisStore()


async def _filled(store: Store, models: Sequence[Stored], size: int) -> None:
    driver = connect(store.url, store.filling)
    await driver.open()
    try:
        await fill(driver, models, size)
    finally:
        await driver.close()


async def _asked(name: str, stores: Sequence[Store]) -> list[Figure]:
    """Measure what is asked of a driver without a user: by workers as they poll, and for lists of users."""
    tune_interpreter()
    drivers = [connect(store.url) for store in stores]
    for driver in drivers:
        await driver.open()
    try:
        now = time.time_ns() // 1_000
        later = now + 2 * QUIET_SECONDS * 1_000_000
        figures = []
        for what, calls in (
            ("due_idle", [_due(driver, now) for driver in drivers]),
            ("due_backlog", [_due(driver, later) for driver in drivers]),
            ("users_page", [_page(driver, size) for driver, size in zip(drivers, _SIZES, strict=True)]),
        ):
            before = [store.ranges() for store in stores if isinstance(store, RedisStore)]
            figures += _compared(f"many.{name}.{what}", await _alternated(calls, stores))
            after = [store.ranges() for store in stores if isinstance(store, RedisStore)]
            # Each of these calls is one command: what it takes by itself is what any client would wait for.
            for size, (count, seconds), (now, so_far) in zip(_SIZES[: len(after)], before, after, strict=True):
                of_each = (so_far - seconds) / (now - count) * 1e3
                figures.append(Figure(f"many.{name}.{what}.{size}.command", of_each, "ms in Redis itself"))
        return figures
    finally:
        for driver in drivers:
            await driver.close()


def _due(driver: Driver, before: int) -> _Call:
    return lambda: driver.due(before, _DUE_USERS)


def _page(driver: Driver, users: int) -> _Call:
    """Ask for the page that begins somewhere among the first nine tenths of the users."""
    source = random.Random(6)
    return lambda: driver.users(NAMESPACE, user_name(source.randrange(users * 9 // 10)), _PAGE)


class _Round(NamedTuple):
    """What was measured of some calls."""

    p50: float
    """Seconds."""
    count: int
    processor: float
    """Seconds that memsvc and the database used for all of them."""


async def _alternated(calls: Sequence[_Call], stores: Sequence[Store]) -> list[list[_Round]]:
    """Measure each, round by round, one right after the other."""
    rounds = [[await _round(*each) for each in zip(calls, stores, strict=True)] for _ in range(1 + _ROUNDS)]
    return [list(each) for each in zip(*rounds[1:], strict=True)]


async def _round(call: _Call, store: Store) -> _Round:
    until = time.perf_counter() + _ROUND_SECONDS
    before = time.process_time() + store.processor_seconds
    times: list[float] = []
    while not times or time.perf_counter() < until:
        started = time.perf_counter()
        await call()
        times.append(time.perf_counter() - started)
    used = time.process_time() + store.processor_seconds - before
    return _Round(median(times), len(times), used)


def _check(server: Server, models: Sequence[Stored], number: int) -> None:
    """Read a user through memsvc and see that it is its model."""
    _, ids = requests.list_pages(server, user_name(number), _PAGE)
    if set(ids) != models[number % len(models)].memory_ids:
        raise RuntimeError("a user who was filled in does not have its model's memories")


def _called(name: str, load: Load, served: Sequence[_Served]) -> Iterator[Figure]:
    """Measure calls, one at a time."""
    for each in served:
        load.send_all(Calls(each.warm.address, requests.COMPILE_CONTEXT, _contexts(_hot(each.users))))
        # A first write reads what the user was asked before, and Postgres logs each page whole that it changes first.
        load.send_all(_appends(each.warm, _hot(each.users), _HOT))

    def warm(method: str, sent: Callable[[Sequence[str]], Sequence[bytes]]) -> list[Calls]:
        return [Calls(each.warm.address, method, sent(_hot(each.users))) for each in served]

    def cold(method: str, sent: Callable[[Sequence[str]], Sequence[bytes]]) -> list[Calls]:
        return [Calls(each.cold.address, method, sent(_some(each.users))) for each in served]

    for what, calls in (
        ("context_warm", warm(requests.COMPILE_CONTEXT, _contexts)),
        ("context_cold", cold(requests.COMPILE_CONTEXT, _contexts)),
        ("list_memories_warm", warm(requests.LIST_MEMORIES, _lists)),
        ("list_memories_cold", cold(requests.LIST_MEMORIES, _lists)),
        ("list_users", warm(requests.LIST_USERS, lambda _: [b""])),
        ("append_run", [_appends(each.warm, _hot(each.users)) for each in served]),
    ):
        sources = [load.add(each) for each in calls]
        for source in sources:
            load.round(source, 1, 2 * _ROUND_SECONDS)
        rounds = [[_sent(load, *each) for each in zip(sources, served, strict=True)] for _ in range(_ROUNDS)]
        yield from _compared(f"many.{name}.{what}", list(zip(*rounds, strict=True)))


def _sent(load: Load, source: int, served: _Served) -> _Round:
    def used() -> float:
        return served.warm.processor_seconds + served.cold.processor_seconds + served.store.processor_seconds

    before = used()
    measured = load.round(source, 1, _ROUND_SECONDS)
    return _Round(measured.median_seconds, measured.count, used() - before)


def _compared(name: str, rounds: Sequence[Sequence[_Round]]) -> Iterator[Figure]:
    few, many = rounds
    for size, each in zip(_SIZES, rounds, strict=True):
        yield Figure(f"{name}.{size}.p50", median(of.p50 for of in each) * 1e3, "ms")
        yield Figure(f"{name}.{size}.processor", _processor(each) * 1e3, "ms a call")
    of_few = f"of {_SIZES[0]} users'"
    yield Figure(f"{name}.p50_ratio", median_ratio([of.p50 for of in many], [of.p50 for of in few]), of_few, _FLAT)
    # What neighbours on the machine do not change.
    yield Figure(f"{name}.processor_ratio", _processor(many) / _processor(few), of_few)


def _processor(rounds: Sequence[_Round]) -> float:
    return sum(each.processor for each in rounds) / sum(each.count for each in rounds)


def _weighed(name: str, load: Load, served: _Served) -> Figure:
    """Read users into RAM and return what one takes there, once it was compiled for."""
    strangers = _some(served.users, seed=12)[:_WEIGHED]
    before = served.warm.resident_bytes
    load.send_all(Calls(served.warm.address, requests.COMPILE_CONTEXT, _contexts(strangers)))
    return Figure(f"many.{name}.resident", (served.warm.resident_bytes - before) / _WEIGHED, "bytes a hot user")


def _hot(users: int) -> list[str]:
    return _some(users, seed=11)[:_HOT]


def _some(users: int, seed: int = 10) -> list[str]:
    """Return as many users as the smallest store has, from anywhere among these, in an order of chance."""
    return [user_name(number) for number in random.Random(seed).sample(range(users), _SIZES[0])]


def _contexts(users: Sequence[str]) -> list[bytes]:
    asked = questions(len(users), seed=7)
    return [requests.contexts(user, [query])[0] for user, query in zip(users, asked, strict=True)]


def _lists(users: Sequence[str]) -> list[bytes]:
    return [requests.list_first(user, 20) for user in users]


def _appends(server: Server, users: Sequence[str], count: int = _ENOUGH) -> Calls:
    # Not learned from: that would go on while something else is measured.
    sent = requests.appends(islice(cycle(users), count), 8, common_pb2.LEARNING_MODE_OFF)
    return Calls(server.address, requests.APPEND_RUN, sent, once=True)

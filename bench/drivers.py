"""Each driver beside its own database's client, and reads through memsvc beside the bare server and a round trip."""

from __future__ import annotations

import asyncio
import functools
import secrets
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import uvloop

from bench import requests
from bench.comparison import echo_calls
from bench.load import Calls, Load, Turn
from bench.measuring import Figure, at_least, at_most, median_ratio
from bench.processes import echo, memsvc
from bench.raw import REQUEST, STATE, RawAppend, RawClient
from memsvc.model import Layer, Memory, Origin, Scope, encode
from memsvc.server import tune_interpreter
from memsvc.storage.driver import EMPTY, Append, Driver, Outcome, Record, RecordKind, Row, RowKind, Tip
from memsvc.storage.registry import connect
from tests.servers.ferretdb import FerretDB
from tests.servers.postgres import Postgres
from tests.servers.process import DatabaseServer, ServerMissing
from tests.servers.redis import Redis

_ROUNDS = 9
_ROUND_SECONDS = 0.15
_USERS = 500
_GROUP = 16
_LOADED = (100, 1_500)
_READER = "reader"
_READ_MEMORIES = 1_000

Call = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Store:
    """A database to measure on."""

    name: str
    url: str
    raw: Callable[[], RawClient]


def measure(scratch: Path) -> Iterator[Figure]:
    """Measure on every database that can be had here."""
    with ExitStack() as running:
        for store in _stores(scratch, running):
            yield from uvloop.run(_driver(store))
            yield from _reads(store, scratch)


def _stores(scratch: Path, running: ExitStack) -> Iterator[Store]:
    # Imported when used: each needs its database's library.
    from bench.raw.mongo import RawMongo
    from bench.raw.postgres import RawPostgres
    from bench.raw.redis import RawRedis
    from bench.raw.sqlite import RawSQLite

    yield Store("sqlite", f"sqlite:///{scratch}/store.db", lambda: RawSQLite(scratch))
    networked: list[tuple[str, type[DatabaseServer], Callable[[str], RawClient]]] = [
        ("postgres", Postgres, RawPostgres),
        ("redis", Redis, RawRedis),
        ("mongo", FerretDB, RawMongo),
    ]
    for name, kind, raw in networked:
        try:
            server = kind()
        except ServerMissing as missing:
            print(f"{name} is left out: {missing}")
            continue
        running.callback(server.close)
        server.start()
        yield Store(name, server.url, functools.partial(raw, server.url))


async def _driver(store: Store) -> list[Figure]:
    tune_interpreter()
    figures = []
    for size in (1, _GROUP):
        async with _opened(store) as (driver, raw):
            figures += await _appends(store.name, driver, raw, size)
            figures += await _tips(store.name, driver, raw, size)
    for count in _LOADED:
        async with _opened(store) as (driver, raw):
            figures += await _loads(store.name, driver, raw, count)
    return figures


@asynccontextmanager
async def _opened(store: Store) -> AsyncIterator[tuple[Driver, RawClient]]:
    # FerretDB reads a whole collection for much of what it is asked: each figure has a database of its own.
    url = f"{store.url}-{secrets.token_hex(4)}" if store.name == "mongo" else store.url
    driver, raw = connect(url), store.raw()
    await driver.open()
    await raw.open()
    try:
        yield driver, raw
    finally:
        await raw.close()
        await driver.close()


async def _appends(name: str, driver: Driver, raw: RawClient, size: int) -> list[Figure]:
    ours, theirs = _Steps(size), _Steps(size)

    async def append() -> None:
        group = ours.following()
        assert set(await driver.append([_item(step, ours) for step in group])) == {Outcome.APPENDED}

    mine, plain = await _alternate(append, lambda: raw.append(theirs.following()))
    if size == 1:
        return _compared(f"drivers.{name}.append", mine, plain)
    share = 1 / median_ratio(mine, plain)
    return [
        Figure(f"drivers.{name}.append_{size}.rate", size / median(mine), "appends/s"),
        Figure(f"drivers.{name}.append_{size}.rate_share", share, "of the raw client's", at_least(0.6)),
    ]


async def _loads(name: str, driver: Driver, raw: RawClient, count: int) -> list[Figure]:
    user = f"with-{count}"
    steps = _Steps(1, users=[user])
    for _ in range(count):
        [step] = steps.following()
        assert await driver.append([_item(step, steps)]) == [Outcome.APPENDED]
        await raw.append([step])

    async def load() -> None:
        loaded = await driver.load(Scope("bench", user), (RowKind.STATE, RowKind.MEMORY))
        assert len(loaded.rows) == count + 1

    async def raw_load() -> None:
        assert await raw.load(user) == count

    return _compared(f"drivers.{name}.load_{count}", *await _alternate(load, raw_load))


async def _tips(name: str, driver: Driver, raw: RawClient, size: int) -> list[Figure]:
    users = [f"user-{number}" if size == 1 else f"user-{number}-of-{size}" for number in range(size)]
    scopes = [Scope("bench", user) for user in users]
    title = f"drivers.{name}.tips" if size == 1 else f"drivers.{name}.tips_{size}"
    return _compared(title, *await _alternate(lambda: driver.tips(scopes), lambda: raw.tips(users)))


def _reads(store: Store, scratch: Path) -> Iterator[Figure]:
    """Read one memory through memsvc, the latest and where a minute's staleness is allowed."""
    trip = asyncio.run(_round_trip(store))
    with Load() as load, memsvc(scratch, "--storage-url", store.url) as server, echo() as bare:
        requests.fill(load, server, [(_READER, _READ_MEMORIES)])
        _, ids = requests.list_pages(server, _READER, 20)
        latest = load.add(Calls(server.address, requests.GET_MEMORY, requests.gets(_READER, ids)))
        stale = load.add(Calls(server.address, requests.GET_MEMORY, requests.gets(_READER, ids, stale_seconds=60)))
        sent = requests.gets(_READER, ids)
        echoed = load.add(echo_calls(bare, sent, load.round(latest, 1, 0.3)))
        for warmed in (stale, echoed):
            load.round(warmed, 1, 0.3)
        fresh, old, plain = load.alternate([Turn(latest), Turn(stale), Turn(echoed)], seconds=0.2)
    name = f"drivers.{store.name}.get"
    base = [each.median_seconds + trip for each in plain.rounds]
    ratio = median_ratio([each.median_seconds for each in fresh.rounds], base)
    yield Figure(f"{name}.latest.p50", fresh.median_seconds * 1e3, "ms")
    yield Figure(f"{name}.raw_round_trip.p50", trip * 1e3, "ms")
    yield Figure(f"{name}.latest.p50_ratio", ratio, "(echo + raw round trip)", at_most(1.5))
    yield Figure(f"{name}.stale.p50_ratio", old.time_ratio(plain), "echoes", at_most(1.5))


async def _round_trip(store: Store) -> float:
    raw = store.raw()
    await raw.open()
    try:
        return median([await _round(lambda: raw.tips(["user-1"])) for _ in range(_ROUNDS)])
    finally:
        await raw.close()


@dataclass(slots=True)
class _Steps:
    """Steps of users in turn, each user's journal going on."""

    size: int
    users: Sequence[str] = tuple(f"user-{number}" for number in range(_USERS))
    tips: dict[str, Tip] = field(default_factory=lambda: defaultdict(lambda: EMPTY))
    before: dict[str, Tip] = field(default_factory=dict)
    """Where a user's journal ended before its last step."""
    count: int = 0

    def following(self) -> list[RawAppend]:
        group = []
        for _ in range(self.size):
            user = f"{self.users[self.count % len(self.users)]}"
            if self.size > 1:
                user = f"{user}-of-{self.size}"
            tip, nonce = self.tips[user], secrets.token_hex(8)
            self.before[user], self.tips[user] = tip, Tip(tip.seq + 1, nonce)
            memory_id = f"{self.count:032x}"
            group.append(
                RawAppend(user, tip.seq + 1, nonce, memory_id, _memory(memory_id, self.count), f"{self.count:036x}")
            )
            self.count += 1
        return group


def _item(step: RawAppend, steps: _Steps) -> Append:
    return Append(
        scope=Scope("bench", step.user),
        after=steps.before[step.user],
        records=[Record(step.seq, step.nonce, RecordKind.COMMIT, 1_763_715_600_123_456, step.memory)],
        puts=[
            Row(RowKind.STATE, "", STATE),
            Row(RowKind.MEMORY, step.memory_id, step.memory),
            Row(RowKind.REQUEST, step.request_id, REQUEST, position=1),
        ],
    )


def _memory(memory_id: str, number: int) -> bytes:
    return encode(
        Memory(
            memory_id=memory_id,
            number=number,
            layer=Layer.PROFILE,
            text="Sarah lives in San Francisco and likes to ski at Tahoe in the winter",
            topics=("places", "hobbies"),
            input="I live in San Francisco and I love to ski at Tahoe",
            origin=Origin(agent_id="support", session_id="s1", engine="rules"),
            create_time=1_763_715_600_123_456,
            update_time=1_763_715_600_123_456,
        )
    )


def _compared(name: str, mine: Sequence[float], plain: Sequence[float]) -> list[Figure]:
    return [
        Figure(f"{name}.p50", median(mine) * 1e3, "ms"),
        Figure(f"{name}.raw.p50", median(plain) * 1e3, "ms"),
        Figure(f"{name}.p50_ratio", median_ratio(mine, plain), "times the raw client's", at_most(1.5)),
    ]


async def _alternate(ours: Call, theirs: Call) -> tuple[list[float], list[float]]:
    """Return the median of each, round by round, one right after the other."""
    for warmed in (ours, theirs):
        await _round(warmed)
    mine, plain = [], []
    for _ in range(_ROUNDS):
        mine.append(await _round(ours))
        plain.append(await _round(theirs))
    return mine, plain


async def _round(call: Call) -> float:
    until = time.perf_counter() + _ROUND_SECONDS
    times = [await _seconds(call)]
    while time.perf_counter() < until:
        times.append(await _seconds(call))
    return median(times)


async def _seconds(call: Call) -> float:
    started = time.perf_counter()
    await call()
    return time.perf_counter() - started

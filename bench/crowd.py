"""Many users, cheaply: a few hundred are made by calls, and what memsvc stored of them is stored again for others.

A user's rows and records say nothing of whose they are: the same ones, appended to an empty journal of another user by
the driver itself, are what memsvc would have stored had that user said the same.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from bench import requests
from bench.load import Calls, Load
from bench.processes import memsvc
from memsvc.copying import Role, Side
from memsvc.journal.state import due_time, load
from memsvc.model import Scope
from memsvc.storage.driver import EMPTY, Append, Driver, Outcome, Record, Row, RowKind
from memsvc.storage.registry import connect
from memsvc.v1 import common_pb2

NAMESPACE: Final = "default"
MODELS: Final = 250
"""Users who are made by calls."""
MEMORIES: Final = 20
RUNS: Final = 3
DUE_SHARE: Final = 0.3
"""Of the users, whose newest run is still to be learned from, once `QUIET_SECONDS` are over."""
QUIET_SECONDS: Final = 3 * 24 * 3600
"""Longer than servers look ahead, so that the backlog stays as it is while it is measured."""
_BATCH: Final = 200
_AT_ONCE: Final = 3


@dataclass(frozen=True, slots=True)
class Stored:
    """What is stored of one user."""

    records: Sequence[Record]
    rows: Sequence[Row]
    due: int

    @property
    def journal_bytes(self) -> int:
        return sum(len(record.body) for record in self.records)

    def row_bytes(self, kinds: Collection[RowKind]) -> int:
        return sum(len(row.body) for row in self.rows if row.kind in kinds)

    @property
    def memory_ids(self) -> set[str]:
        return {row.row_id for row in self.rows if row.kind is RowKind.MEMORY}


def user_name(number: int) -> str:
    return f"user-{number:07}"


def make_models(scratch: Path, load: Load) -> list[Stored]:
    """Let memsvc make the models on SQLite and return what it stored of each."""
    url = f"sqlite:///{scratch}/models.db"
    quiet = ("--quiet-seconds", str(QUIET_SECONDS), "--max-quiet-seconds", str(QUIET_SECONDS))
    names = [user_name(number) for number in range(MODELS)]
    with memsvc(scratch, "--storage-url", url, *quiet) as server:
        requests.fill(load, server, [(name, MEMORIES) for name in names])
        off, on = common_pb2.LEARNING_MODE_OFF, common_pb2.LEARNING_MODE_UNSPECIFIED
        said = [name for name in names for _ in range(RUNS - 1)]
        due = set(random.Random(3).sample(names, int(MODELS * DUE_SHARE)))
        for users, learning in ((said, off), ([n for n in names if n not in due], off), (sorted(due), on)):
            load.send_all(Calls(server.address, requests.APPEND_RUN, requests.appends(users, 5, learning)))
    return asyncio.run(_read_all(url, names))


async def _read_all(url: str, names: Sequence[str]) -> list[Stored]:
    driver = connect(url)
    await driver.open()
    try:
        side = Side(Role.SOURCE, driver)
        return [await _read(side, Scope(NAMESPACE, name)) for name in names]
    finally:
        await driver.close()


async def _read(side: Side, scope: Scope) -> Stored:
    loaded = await side.load(scope)
    rows = [*loaded.rows, *[row async for page in side.paged_rows(scope) for row in page]]
    records = [record async for page in side.records(scope, 0, loaded.tip.seq) for record in page]
    state = [row for row in loaded.rows if row.kind in (RowKind.STATE, RowKind.MEMORY)]
    return Stored(records, rows, due_time(load(scope, type(loaded)(loaded.tip, state))))


async def fill(driver: Driver, models: Sequence[Stored], count: int) -> None:
    """Store so many users in an empty, open store: each is one of the models."""
    batches = _batches(models, count)

    async def work() -> None:
        for batch in batches:
            outcomes = await driver.append(batch)
            if set(outcomes) != {Outcome.APPENDED}:
                raise RuntimeError("the store was not empty, or lost an append")

    async with asyncio.TaskGroup() as tasks:
        for _ in range(_AT_ONCE):
            tasks.create_task(work())


def _batches(models: Sequence[Stored], count: int) -> Iterator[list[Append]]:
    # In no order of names, as users come.
    numbers = list(range(count))
    random.Random(4).shuffle(numbers)
    left = iter(numbers)
    while some := list(islice(left, _BATCH)):
        yield [_append(number, models[number % len(models)]) for number in some]


def _append(number: int, model: Stored) -> Append:
    # Due a little later for each: no two users spoke in the same microsecond.
    due = model.due and model.due + number
    scope = Scope(NAMESPACE, user_name(number))
    return Append(scope=scope, after=EMPTY, records=model.records, puts=model.rows, due=due)

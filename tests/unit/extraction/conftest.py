from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from replica import MakeReplica, Parrot, Replica

from memsvc.access.allowance import Allowances, Quotas
from memsvc.budget import Budgets
from memsvc.config import Config
from memsvc.extraction.jobs.attempts import Attempts
from memsvc.extraction.jobs.events import Hints
from memsvc.extraction.jobs.extractions import Extractions
from memsvc.extraction.jobs.worker import Worker
from memsvc.retention import Retention
from memsvc.sessions import Sessions
from memsvc.settings import SettingsReader
from memsvc.storage.driver import Driver
from memsvc.storage.memory import MemoryDriver
from memsvc.users import Users
from memsvc.writing.writer import Writer


@pytest.fixture
async def driver() -> AsyncIterator[Driver]:
    driver = MemoryDriver("memory://", {})
    await driver.open()
    yield driver
    await driver.close()


@pytest.fixture
async def make_replica(driver: Driver) -> AsyncIterator[MakeReplica]:
    made: list[Replica] = []

    def make(*, clock_ahead_seconds: float = 0.0, **settings: object) -> Replica:
        engine = Parrot()
        users = Users(driver)
        real = users.clock
        users.clock = lambda: real() + int(clock_ahead_seconds * 1_000_000)
        writer = Writer(users)
        hints = Hints()
        chosen = Config(**{"lease_seconds": 0.3, "poll_seconds": 0.02, "retry_seconds": 0.01, **settings})  # type: ignore[arg-type]
        reader = SettingsReader(users)
        attempts = Attempts(users, writer, engine, hints, reader, chosen)
        worker = Worker(users, writer, attempts, Retention(users, writer, reader))
        replica = Replica(
            driver,
            engine,
            users,
            writer,
            Sessions(users, writer),
            Extractions(users, writer, engine, hints, Quotas(10_000), Budgets(users, writer, Allowances()), reader),
            worker,
        )
        made.append(replica)
        return replica

    yield make
    for replica in made:
        replica.engine.gate.set()
        await replica.worker.stop()
        await replica.writer.close()


@pytest.fixture
def replica(make_replica: MakeReplica) -> Replica:
    return make_replica()

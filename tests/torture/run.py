"""A whole torture: rounds of kills while clients work, a clean start, the check, the report."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random

from memsvc.config import DEFAULTS
from memsvc_client import AsyncMemoryClient
from tests.torture.checking import check
from tests.torture.databases import Database
from tests.torture.ledger import Book, Finding, Ledger, Wrong
from tests.torture.process import Installation
from tests.torture.service import Service
from tests.torture.words import new_words
from tests.torture.workload import Client

SMALL_CACHE_BYTES = 20_000
"""It holds about two of the users that are written to."""
_CHECK_SECONDS = 60.0
_SETTINGS = {
    "engine": "rules",
    # So that learning is under way when the server is killed, not only about to begin.
    "quiet_seconds": 0.05,
    "max_quiet_seconds": 0.2,
    "poll_seconds": 0.2,
    "lease_seconds": 2,
    # Parking what kills its worker again and again is right, and not what is tested here: kills are not its doing.
    "max_attempts": 1_000,
}


@dataclass(frozen=True, slots=True)
class Report:
    """What came of it."""

    rounds: int
    kills: int
    early_kills: int
    pauses: Mapping[str, Sequence[float]]
    """See `Ledger`."""
    acknowledged: int
    given_up: int
    repeated: int
    lost: int
    doubled: int
    unfinished: int
    failed: int
    damaged: int
    seconds: float
    seed: int
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        return not self.findings


async def torture(
    database: Database,
    folder: Path,
    rounds: int,
    seed: int,
    *,
    servers: int = 1,
    processes: int = 1,
    cache_bytes: int = DEFAULTS.cache_bytes,
    told: Callable[[int, Ledger], None] = lambda *_: None,
) -> Report:
    """Kill a server `rounds` times and return what was lost, doubled, unfinished or damaged.

    Where harm can be done to the database, that is every second round instead.
    `servers` is how many of memsvc serve at once, of so many processes each, and each of those with so large a cache;
    `told` hears of each round.
    """
    started = time.monotonic()
    ledger = Ledger([Book(f"user-{number}") for number in range(database.users)], new_words())
    service = Service(
        Installation(folder, database.url, {**_SETTINGS, "cache_bytes": cache_bytes, "processes": processes}),
        Random(f"{seed}/kills"),
        lambda what: ledger.found(Wrong.DAMAGED, "", f"server {what}"),
        servers,
        processes,
    )
    clients = [
        Client(service, ledger, Random(f"{seed}/client-{number}"), steady=number % 2 == 0)
        for number in range(database.clients)
    ]
    async with AsyncExitStack() as stack:
        stack.push_async_callback(service.abandon)
        async with asyncio.TaskGroup() as working:
            for client in clients:
                working.create_task(client.work())
            try:
                for number in range(1, rounds + 1):
                    if database.harm is not None and number % 2 == 0:
                        await ledger.pause(service.database_round(database.harm))
                    else:
                        await service.round()
                    told(number, ledger)
                await service.start_missing()
            finally:
                for client in clients:
                    client.ending = True
        async with AsyncMemoryClient(service.target, timeout_seconds=_CHECK_SECONDS) as checker:
            await check(checker, ledger)
        await service.stop()
    faults = database.faults()
    if faults:
        ledger.found(Wrong.DAMAGED, "", f"the database: {faults}")
    return Report(
        rounds=rounds,
        kills=service.kills,
        early_kills=service.early_kills,
        pauses=ledger.pauses,
        acknowledged=ledger.acknowledged,
        given_up=ledger.given_up,
        repeated=ledger.repeated,
        lost=ledger.count(Wrong.LOST),
        doubled=ledger.count(Wrong.DOUBLED),
        unfinished=ledger.count(Wrong.UNFINISHED),
        failed=ledger.count(Wrong.FAILED),
        damaged=ledger.count(Wrong.DAMAGED),
        seconds=time.monotonic() - started,
        seed=seed,
        findings=tuple(ledger.findings),
    )

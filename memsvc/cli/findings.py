"""What `memsvc doctor` finds out about a database: whether it answers, how fast, and what it promises."""

from __future__ import annotations

import enum
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass

from memsvc.config import Config
from memsvc.errors import Error
from memsvc.model import Scope
from memsvc.storage.driver import Capabilities, Capability, Driver
from memsvc.storage.registry import connect, shown

_ROUNDS = 21
_SLOW_TIPS_SECONDS = 0.005
_MEMORY_BYTES = 1_000
"""What a memory takes in RAM, with its place in the search index: about."""

_OLD_READS = (
    "see every acknowledged write; but if the database fails over, then while the deposed primary can still be "
    "reached, reads through it may be older"
)


class Verdict(enum.Enum):
    """What to think of a finding."""

    OK = "ok"
    WARNING = "warn"
    FAILED = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    verdict: Verdict
    subject: str
    detail: str


async def database_findings(config: Config) -> AsyncIterator[Finding]:
    """Look at the database; creates nothing in it."""
    place = shown(config.storage_url)
    try:
        driver = connect(config.storage_url, config.storage_options)
        migration = await driver.migrate(check=True)
        if migration.found == 0:
            yield Finding(Verdict.WARNING, "schema", f"{place} holds nothing yet: ask again after the first start")
            return
        if migration.found > migration.wanted:
            needs = f"version {migration.found}, this memsvc needs {migration.wanted}: run a newer memsvc"
            yield Finding(Verdict.FAILED, "schema", needs)
            return
        if migration.steps:
            pending = f"version {migration.found}: memsvc migrate brings it to {migration.wanted}"
            yield Finding(Verdict.WARNING, "schema", pending)
            return
        yield Finding(Verdict.OK, "schema", f"version {migration.found}")
        await driver.open()
    except Error as error:
        yield Finding(Verdict.FAILED, "database", f"{place}: {error.message}")
        return
    try:
        yield await _round_trips(driver, place)
        for finding in _promises(driver.capabilities()):
            yield finding
    except Error as error:
        yield Finding(Verdict.FAILED, "database", f"{place}: {error.message}")
    finally:
        await driver.close()
    yield _quota(config)


async def _round_trips(driver: Driver, place: str) -> Finding:
    ping = await _median_seconds(driver.ping)
    scopes = [Scope("default", f"doctor-{number}") for number in range(16)]
    tips = await _median_seconds(lambda: driver.tips(scopes))
    detail = f"{place} answers: ping {ping * 1000:.2f} ms, tips {tips * 1000:.2f} ms (median of {_ROUNDS})"
    if tips > _SLOW_TIPS_SECONDS:
        return Finding(Verdict.WARNING, "database", f"{detail}: every fresh read waits for tips; is it far away?")
    return Finding(Verdict.OK, "database", detail)


async def _median_seconds(operation: Callable[[], Awaitable[object]]) -> float:
    taken = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        await operation()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def _promises(offered: Capabilities) -> Iterator[Finding]:
    yield _promise("durable", offered.durable, Verdict.WARNING)
    yield _promise("failover", offered.failover, Verdict.OK)
    yield _promise("shared", offered.shared, Verdict.OK)
    yield _promise("hints", offered.hints, Verdict.OK)
    if not offered.tips_cost_nothing:
        yield Finding(Verdict.OK, "reads", _OLD_READS)
    for warning in offered.warnings:
        yield Finding(Verdict.WARNING, "database", warning)


def _promise(name: str, capability: Capability, absent: Verdict) -> Finding:
    answer = "yes" if capability.supported else "no"
    detail = f"{answer}: {capability.reason}" if capability.reason else answer
    return Finding(Verdict.OK if capability.supported else absent, name, detail)


def _quota(config: Config) -> Finding:
    largest_bytes = config.memory_quota * _MEMORY_BYTES
    megabytes = f"{largest_bytes / 1e6:,.0f} MB of RAM, of {config.cache_bytes / 1e6:,.0f} MB for hot users"
    detail = f"a user with all of {config.memory_quota:,} memories takes about {megabytes}"
    if largest_bytes * 2 > config.cache_bytes:
        return Finding(Verdict.WARNING, "quota", f"{detail}: raise cache_bytes, or such users push out all others")
    return Finding(Verdict.OK, "quota", detail)

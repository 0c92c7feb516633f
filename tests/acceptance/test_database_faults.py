"""What a memsvc process does while its database is down, frozen, cut off or silent, and how it comes back."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.acceptance.outages import (
    LATE,
    LATEST_READ,
    STALE_READS,
    UNAVAILABLE,
    Outage,
    creation,
    outage,
    served_through_proxy,
)
from tests.conftest import NETWORKED, own_database
from tests.torture.databases import Database

pytestmark = pytest.mark.timeout(120)

WAVES = 12
CALLS_OF_A_WAVE = 40
MEBIBYTE = 1 << 20


@pytest.fixture(params=NETWORKED)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    yield from own_database(request.param, tmp_path)


@pytest.mark.parametrize("kind", Outage)
async def test_an_outage_is_told_survived_and_forgotten(
    kind: Outage, database: Database, tmp_path: Path, measured: Callable[[str], None]
) -> None:
    assert database.server is not None
    async with served_through_proxy(database.server, tmp_path) as (service, proxy):
        await service.write_until_good()
        async with service.writing():
            async with outage(kind, database.server, proxy):
                stale = await asyncio.gather(*(service.server.answer(call) for call in STALE_READS))
                assert not [answer for answer in stale if "failure" in answer]
                assert await service.refusal(LATEST_READ) == UNAVAILABLE
                assert await service.refusal(creation("Never acknowledged")) == UNAVAILABLE
            seconds = await service.write_until_good()
            measured(f"{database.server.title} {kind}: first good call {seconds:.3f} s after it was back")
        assert service.failures <= {UNAVAILABLE, LATE}, service.process.log_tail()
        texts = Counter(await service.texts())
        assert service.acknowledged <= set(texts)
        assert max(texts.values()) == 1
    assert database.faults() == ""


async def test_a_slow_network_makes_calls_slow_and_no_more(database: Database, tmp_path: Path) -> None:
    assert database.server is not None
    async with served_through_proxy(database.server, tmp_path) as (service, proxy):
        proxy.delay(0.1)
        await asyncio.gather(*(service.write(seconds=20) for _ in range(8)))
        assert service.failures == set()
        assert set(await service.texts()) == service.acknowledged


async def test_memory_is_bounded_while_the_database_is_frozen(database: Database, tmp_path: Path) -> None:
    assert database.server is not None
    async with served_through_proxy(database.server, tmp_path) as (service, _):
        await service.write_until_good()
        process = psutil.Process(service.process.pid)
        database.server.freeze()
        sizes = []
        for _ in range(WAVES):
            calls = [service.write(size=8_000, seconds=0.3) for _ in range(CALLS_OF_A_WAVE)]
            await asyncio.gather(*calls)
            sizes.append(process.memory_info().rss)
        database.server.thaw()
        await service.write_until_good()
        assert sizes[-1] - sizes[2] < 16 * MEBIBYTE

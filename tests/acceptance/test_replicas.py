"""Several replicas on one database: each write is read everywhere at once, and each extraction has one worker."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from memsvc.model import ExtractionState
from memsvc.storage.conformance import Place
from tests.acceptance.replicas import LEASE_SECONDS, Replica, Rota, replica
from tests.conftest import NETWORKED

pytestmark = pytest.mark.parametrize("store_url", ["memory", "sqlite", *NETWORKED], indirect=True)

Start = Callable[..., Awaitable[Replica]]

WRITERS = 20
WRITES = 800
WORST_SHARE = 0.05
"""Of what each would write if all were served alike, what the one served worst does write."""


@pytest.fixture
def rota() -> Rota:
    return Rota()


@pytest.fixture
async def start(fresh_store: Place, rota: Rota) -> AsyncIterator[Start]:
    """Starts replicas; they end with the test."""
    async with AsyncExitStack() as stack:

        async def start_one(**how: object) -> Replica:
            return await stack.enter_async_context(replica(fresh_store, rota, **how))  # type: ignore[arg-type]

        yield start_one


async def test_what_one_writes_the_others_read_at_once_though_every_notification_is_lost(start: Start) -> None:
    replicas = [await start(deaf=True) for _ in range(3)]
    written: list[str] = []
    for number in range(30):
        written.append(f"Fact number {number}")
        commit = await replicas[number % 3].add("sarah", written[-1])
        for reader in replicas:
            assert await reader.texts("sarah") == written
        assert commit.revision == number + 1


async def test_extractions_of_one_user_never_run_at_the_same_time(start: Start, rota: Rota, fresh_store: Place) -> None:
    # A worker that cannot renew its lease in time gives its work back, and what was read is read again: the effect
    # happens once, a reading at least once. So that it is once here, the lease outlasts whatever the database takes.
    replicas = [await start(lease_seconds=30.0) for _ in range(3)]
    users = [f"user-{number}" for number in range(max(2, int(6 * await _scale(fresh_store))))]
    said = [(user_id, f"{user_id} likes thing {number}") for user_id in users for number in range(8)]
    accepted = await asyncio.gather(
        *(
            replicas[number % 3].say(user_id, text.partition(" likes ")[2])
            for number, (user_id, text) in enumerate(said)
        )
    )
    for number, ((user_id, _), extraction_id) in enumerate(zip(said, accepted, strict=True)):
        extraction = await replicas[number % 3].ended(user_id, extraction_id)
        assert (extraction.state, extraction.attempt) == (ExtractionState.SUCCEEDED, 1)
    assert rota.overlaps == []
    assert rota.reads == len(said)
    for user_id in users:
        assert sorted(await replicas[0].texts(user_id)) == sorted(text for of, text in said if of == user_id)


async def test_twenty_writers_on_one_user_all_make_progress(start: Start, fresh_store: Place) -> None:
    writes = int(WRITES * await _scale(fresh_store))
    replicas = [await start() for _ in range(3)]
    written: Counter[int] = Counter()

    async def write(writer: int) -> None:
        while written.total() < writes:
            await replicas[writer % 3].add("sarah", f"Fact {written[writer]} of writer {writer}")
            written[writer] += 1

    await asyncio.gather(*(write(writer) for writer in range(WRITERS)))
    texts = await replicas[0].texts("sarah")
    assert sorted(texts) == sorted(
        f"Fact {n} of writer {writer}" for writer in range(WRITERS) for n in range(written[writer])
    )
    assert min(written[writer] for writer in range(WRITERS)) >= WORST_SHARE * writes / WRITERS
    assert (await replicas[1].app.users.read(replicas[1].scope("sarah"))).revision == written.total()


async def test_replicas_ten_minutes_apart_learn_everything_once(start: Start, rota: Rota, fresh_store: Place) -> None:
    replicas = [await start(clock_ahead_seconds=ahead) for ahead in (-600, 0, 600)]
    count = max(6, int(24 * await _scale(fresh_store)))
    said = [(f"user-{number % 4}", f"thing {number}") for number in range(count)]
    accepted = await asyncio.gather(*(replicas[n % 3].say(*each) for n, each in enumerate(said)))
    for number, ((user_id, _), extraction_id) in enumerate(zip(said, accepted, strict=True)):
        extraction = await replicas[number % 3].ended(user_id, extraction_id)
        assert (extraction.state, extraction.attempt) == (ExtractionState.SUCCEEDED, 1)
    assert rota.overlaps == []
    for reader in replicas:
        for user_id in {user_id for user_id, _ in said}:
            expected = sorted(f"{of} likes {word}" for of, word in said if of == user_id)
            assert sorted(await reader.texts(user_id)) == expected


@pytest.mark.parametrize("ahead_seconds", [-600, 600])
async def test_a_lease_that_is_renewed_holds_whatever_the_clocks_say(
    start: Start, rota: Rota, ahead_seconds: int
) -> None:
    owner, other = await start(), await start(clock_ahead_seconds=ahead_seconds)
    owner.engine.gate.clear()
    # Whoever takes it, holds it.
    other.engine.gate.clear()
    extraction_id = await owner.say("sarah", "tea")
    held = asyncio.ensure_future(owner.ended("sarah", extraction_id))
    await asyncio.wait([held], timeout=2.5 * LEASE_SECONDS)
    assert not held.done()
    owner.engine.gate.set()
    other.engine.gate.set()
    assert (await held).attempt == 1
    assert (rota.reads, rota.overlaps) == (1, [])


async def _scale(place: Place) -> float:
    """Return how much of a test's work the server can take."""
    return await place.bench().scale(place)

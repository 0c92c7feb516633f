"""What one replica does while another works on the same user, or did before."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from replica import SARAH, MakeReplica, Replica

from memsvc.access.allowance import Quotas
from memsvc.administration import Administration
from memsvc.errors import Reason, ResourceExhausted, Retryable
from memsvc.extraction.jobs.queue import HastenCommand
from memsvc.ids import new_id
from memsvc.journal.records import Request
from memsvc.memories import Create, Delete, Guard, MemoryWriter, Target
from memsvc.model import ExtractionState, Memory, Scope
from memsvc.sessions.commands import MAX_OPEN_EXTRACTIONS
from memsvc.storage.driver import Append, Driver, Due, Loaded, Outcome, Redaction, RowKind
from memsvc.storage.memory import MemoryDriver
from memsvc.users import Users
from memsvc.writing.writer import Writer

TOM = Scope("default", "tom")


class Slow(MemoryDriver):
    """Takes its time where a test wants it to."""

    redacting: asyncio.Event | None = None
    """Set where the first redaction has come; it then waits for `redact_on`."""
    redact_on: asyncio.Event | None = None
    loads: asyncio.Event | None = None
    """What loads wait for."""
    loading = 0
    """How many do."""

    async def redact(self, scope: Scope, redactions: Sequence[Redaction]) -> Collection[int]:
        if self.redacting is not None and self.redact_on is not None and not self.redacting.is_set():
            self.redacting.set()
            await self.redact_on.wait()
        return await super().redact(scope, redactions)

    async def load(self, scope: Scope, kinds: Collection[RowKind]) -> Loaded:
        if self.loads is not None:
            self.loading += 1
            await self.loads.wait()
        return await super().load(scope, kinds)


async def opened() -> Slow:
    driver = Slow("memory://", {})
    await driver.open()
    return driver


def writer_on(driver: Driver) -> MemoryWriter:
    users = Users(driver)
    return MemoryWriter(users, Writer(users), Quotas(10_000))


def memory(text: str) -> Memory:
    return Memory(memory_id=new_id(), number=0, text=text)


async def create(replica: Replica, text: str) -> None:
    await MemoryWriter(replica.users, replica.writer, Quotas(10_000)).write(SARAH, [Create(memory(text))], Guard())


async def test_a_user_who_was_new_here_and_erased_elsewhere_is_read_and_written_again(
    make_replica: MakeReplica,
) -> None:
    here, there = make_replica(), make_replica()
    await here.users.latest(SARAH)
    await create(there, "Old")
    await Administration(there.users, there.writer).erase(SARAH, None)
    await create(there, "Skis")

    assert await here.texts() == ["Skis"]
    await create(here, "Sails")
    assert await there.texts() == ["Sails", "Skis"]


async def test_a_load_that_ended_and_was_evicted_at_once_is_not_waited_for_again() -> None:
    driver = await opened()
    for scope in (SARAH, TOM):
        await writer_on(driver).write(scope, [Create(memory("x" * 2_000))], Guard())
    users = Users(driver, cache_bytes=3_000)
    driver.loads = asyncio.Event()
    loading = [asyncio.create_task(users.latest(scope)) for scope in (SARAH, TOM)]
    coming = asyncio.Event()

    async def come() -> None:
        await coming.wait()
        await users.latest(SARAH)

    third = asyncio.create_task(come())
    while driver.loading < 2:
        await asyncio.sleep(0)
    driver.loads.set()
    coming.set()

    async with asyncio.timeout(5):
        await asyncio.gather(*loading, third)


async def test_two_purges_at_once_leave_no_text() -> None:
    driver = await opened()
    one, two = memory("SECRET-ONE"), memory("SECRET-TWO")
    await writer_on(driver).write(SARAH, [Create(one), Create(two)], Guard(), batch=True)
    driver.redacting, driver.redact_on = asyncio.Event(), asyncio.Event()
    first, second = (
        writer_on(driver).write(SARAH, [Delete(Target(each.memory_id))], Guard(), purge_text=True)
        for each in (one, two)
    )
    purging = asyncio.create_task(first)
    await driver.redacting.wait()
    await second
    driver.redact_on.set()
    await purging

    kept = b"".join(record.body for record in await driver.records(SARAH, 0, 100))
    assert b"SECRET" not in kept


async def test_request_ids_that_expired_go_also_where_a_user_is_loaded_before_there_are_many() -> None:
    driver = await opened()
    for week in range(4):
        users = Users(driver)
        now = users.clock() + week * 8 * 24 * 3600 * 1_000_000
        users.clock = lambda now=now: now  # type: ignore[misc]
        for number in range(150):
            request = Request(f"{week}-{number}", "CreateMemory", "0")
            await MemoryWriter(users, Writer(users), Quotas(10_000)).write(SARAH, [Create(memory("x"))], Guard(request))

    found = (await driver.load(SARAH, (RowKind.REQUEST,))).rows
    assert len(found) < 450


async def test_what_a_stopped_worker_hands_back_is_taken_at_once(make_replica: MakeReplica) -> None:
    stopping, other = make_replica(lease_seconds=30.0), make_replica(lease_seconds=30.0)
    await other.users.latest(SARAH)
    stopping.engine.gate.clear()
    stopping.worker.start()
    other.worker.start()
    receipt = await stopping.say("I ski")
    await stopping.engine.reading.wait()
    # So the other one knows of the claim.
    await other.extractions.get(SARAH, receipt.extraction_id)
    await other.users.latest(SARAH)
    await stopping.worker.stop()

    extraction, _ = await other.extractions.wait(SARAH, receipt.extraction_id, 5)
    assert extraction.state is ExtractionState.SUCCEEDED


async def test_a_claim_that_was_under_way_at_the_stop_is_handed_back(make_replica: MakeReplica) -> None:
    stopping, other = make_replica(lease_seconds=30.0), make_replica(lease_seconds=30.0)
    append = stopping.driver.append
    claiming, go_on = asyncio.Event(), asyncio.Event()

    async def slow(batch: Sequence[Append]) -> Sequence[Outcome]:
        outcomes = await append(batch)
        claiming.set()
        await go_on.wait()
        return outcomes

    receipt = await stopping.say("I ski")
    stopping.driver.append = slow  # type: ignore[method-assign]
    stopping.worker.start()
    await claiming.wait()
    stop = asyncio.create_task(stopping.worker.stop())
    await asyncio.sleep(0)
    go_on.set()
    await stop

    waiting = await other.extractions.get(SARAH, receipt.extraction_id)
    assert (waiting.state, waiting.attempt) == (ExtractionState.WAITING, 0)


async def looked_for_work(replica: Replica) -> None:
    """Wait until the worker has looked for work twice from now on: the first look may have begun before."""
    due, looks = replica.driver.due, 0

    async def counted(before: int, limit: int) -> Sequence[Due]:
        nonlocal looks
        looks += 1
        return await due(before, limit)

    replica.driver.due = counted  # type: ignore[method-assign]
    while looks < 2:
        await asyncio.sleep(0.005)
    replica.driver.due = due  # type: ignore[method-assign]


async def test_a_further_run_does_not_make_the_model_be_asked_sooner_than_it_wished(make_replica: MakeReplica) -> None:
    replica = make_replica()
    limited = Retryable(Reason.MODEL_RATE_LIMITED, "429", retry_after_seconds=60.0, counts=False)
    replica.engine.failures = [limited] * 9
    replica.worker.start()
    receipt = await replica.say("I ski")
    await replica.engine.reading.wait()
    while not (await replica.extractions.get(SARAH, receipt.extraction_id)).reason:
        await asyncio.sleep(0.01)
    for number in range(3):
        await replica.say(f"And {number}")
        await looked_for_work(replica)

    assert len(replica.engine.calls) == 1


async def test_a_further_run_does_not_put_off_what_somebody_waits_for(replica: Replica) -> None:
    receipt = await replica.say("I ski", quiet=5.0)
    await replica.writer.write(SARAH, HastenCommand(receipt.extraction_id))
    await replica.say("I sail", quiet=5.0)

    extraction = await replica.extractions.get(SARAH, receipt.extraction_id)
    assert extraction.next_attempt_time <= replica.users.clock()


async def test_a_clock_that_was_ahead_once_does_not_put_learning_off(make_replica: MakeReplica) -> None:
    ahead, right = make_replica(clock_ahead_seconds=600.0), make_replica()
    await create(ahead, "x")
    right.worker.start()
    receipt = await right.say("I ski")

    extraction, _ = await right.extractions.wait(SARAH, receipt.extraction_id, 5)
    assert extraction.state is ExtractionState.SUCCEEDED


async def test_a_server_that_starts_sees_what_is_due_later_and_takes_nobody_into_ram_for_it(
    make_replica: MakeReplica,
) -> None:
    other, started = make_replica(), make_replica()
    await other.say("I ski", quiet=60.0)
    started.worker.start()
    while not started.worker.troubles.queue():
        await asyncio.sleep(0.01)
    assert started.users.hot_count == 0


async def test_a_wait_ends_the_quiet_period_also_where_the_run_is_not_known_yet(make_replica: MakeReplica) -> None:
    learning, other = make_replica(), make_replica()
    await create(learning, "x")
    await other.users.latest(SARAH)
    learning.worker.start()
    receipt = await learning.say("I ski", quiet=60.0)

    extraction, _ = await other.extractions.wait(SARAH, receipt.extraction_id, 10)
    assert extraction.state is ExtractionState.SUCCEEDED


async def test_open_extractions_of_a_user_are_bounded_and_an_erasure_ends_them_all(replica: Replica) -> None:
    for number in range(MAX_OPEN_EXTRACTIONS):
        await replica.say("I ski", session_id=f"s{number}", quiet=60.0)
    try:
        await replica.say("I ski", session_id="one more", quiet=60.0)
        refused = ""
    except ResourceExhausted as error:
        refused = error.reason
    await replica.say("I sail", session_id="s1", quiet=60.0)
    await Administration(replica.users, replica.writer).erase(SARAH, None)

    assert refused == Reason.TOO_MANY_EXTRACTIONS
    assert not (await replica.users.latest(SARAH)).state.core.open

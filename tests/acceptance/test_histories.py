"""What replicas say of a history that changes under their hands: erased, cleared in parts, written while it is read."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from memsvc.clock import now_micros
from memsvc.errors import FailedPrecondition, Reason, StorageUnavailable
from memsvc.ids import new_id
from memsvc.journal.records import Request
from memsvc.memories import Create, Erased, Guard, WatchEvent
from memsvc.model import Memory, Origin
from memsvc.search.filter import ANY
from memsvc.storage.conformance import Place
from tests.acceptance.replicas import Replica, Rota, replica
from tests.conftest import NETWORKED

pytestmark = pytest.mark.parametrize("store_url", ["sqlite", *NETWORKED], indirect=True)

Start = Callable[..., Awaitable[Replica]]

REQUEST = Request("0192f0c0-0000-7000-8000-000000000001", "CreateMemory", "0123456789abcdef")


@pytest.fixture
async def start(fresh_store: Place) -> AsyncIterator[Start]:
    """Starts replicas; they end with the test."""
    rota = Rota()
    async with AsyncExitStack() as stack:

        async def start_one(**how: object) -> Replica:
            return await stack.enter_async_context(replica(fresh_store, rota, **how))  # type: ignore[arg-type]

        yield start_one


async def erase(replica: Replica, user_id: str) -> None:
    await replica.app.administration.erase(replica.scope(user_id), None)


async def watched(replica: Replica, user_id: str, begun: asyncio.Event, events: list[WatchEvent]) -> None:
    """Watch until `Erased`."""
    watch = replica.app.memory_history.watch(replica.scope(user_id), ANY, send_initial=True, resume_token="")
    async with contextlib.aclosing(watch) as watching:
        async for _, event in watching:
            events.append(event)
            begun.set()


@pytest.mark.parametrize("look", [1, 2, 3, 4])
@pytest.mark.parametrize("times", [1, 2])
async def test_a_watch_of_a_user_who_is_erased_while_written_to_ends_with_that(
    start: Start, look: int, times: int
) -> None:
    """Whichever look of the watch at the journal the erasure comes before."""
    watcher, writer = await start(), await start()
    await writer.add("sarah", "Likes tea")
    begun, events = asyncio.Event(), list[WatchEvent]()
    watching = asyncio.create_task(watched(watcher, "sarah", begun, events))
    await begun.wait()

    async def erased() -> None:
        for number in range(times):
            await erase(writer, "sarah")
            await writer.add("sarah", f"Likes it again {number}")

    happened = asyncio.Event()

    async def meanwhile() -> None:
        await erased()
        happened.set()

    watcher.driver.before("records", meanwhile, look)
    for number in range(3):
        await writer.add("sarah", f"Likes thing {number}")
        await asyncio.sleep(0)
    if not happened.is_set():
        watcher.driver.let_pass()
        await erased()
    async with asyncio.timeout(20):
        await watching
    assert isinstance(events[-1], Erased)


async def test_watches_of_many_users_who_are_erased_while_written_to_all_end_with_that(
    start: Start, fresh_store: Place
) -> None:
    watcher, writer = await start(), await start()

    async def one(user_id: str) -> None:
        await writer.add(user_id, "Likes tea")
        begun, events = asyncio.Event(), list[WatchEvent]()
        watching = asyncio.create_task(watched(watcher, user_id, begun, events))
        await begun.wait()
        writes = [asyncio.create_task(writer.add(user_id, f"Likes thing {number}")) for number in range(4)]
        await asyncio.gather(erase(writer, user_id), *writes)
        async with asyncio.timeout(30):
            await watching
        assert isinstance(events[-1], Erased)

    for number in range(max(2, int(20 * await fresh_store.bench().scale(fresh_store)))):
        await one(f"user-{number}")


async def test_a_late_repeat_after_an_erasure_at_another_replica_is_told_so(start: Start) -> None:
    here, there = await start(deaf=True), await start()
    scope = here.scope("sarah")

    async def repeated() -> None:
        memory = Memory(memory_id="m1", number=0, text="Likes tea")
        await here.app.memory_writer.write(scope, [Create(memory)], Guard(REQUEST))

    await repeated()
    await repeated()
    await erase(there, "sarah")
    for _ in range(2):
        with pytest.raises(FailedPrecondition) as told:
            await repeated()
        assert told.value.reason is Reason.USER_ERASED


async def test_a_repeat_whose_record_is_erased_while_it_is_read_is_told_so(start: Start) -> None:
    here, there = await start(deaf=True), await start()
    scope = here.scope("sarah")

    async def repeated() -> None:
        memory = Memory(memory_id="m1", number=0, text="Likes tea")
        await here.app.memory_writer.write(scope, [Create(memory)], Guard(REQUEST))

    await repeated()
    here.driver.before("records", lambda: erase(there, "sarah"))
    with pytest.raises(FailedPrecondition) as told:
        await repeated()
    assert told.value.reason is Reason.USER_ERASED


@pytest.mark.parametrize("question", ["load", "tips", "records"])
async def test_the_time_of_a_read_is_no_later_than_the_moment_it_is_true_of(start: Start, question: str) -> None:
    """However long the database takes: what was acknowledged before `read_time` is in the answer."""
    reader, writer = await start(deaf=True), await start()
    await writer.add("sarah", "Likes tea")
    if question != "load":
        await reader.texts("sarah")
    if question == "records":
        await writer.add("sarah", "Likes milk")
    written_at: list[int] = []

    async def written() -> None:
        await writer.add("sarah", "Likes sushi")
        written_at.append(now_micros())

    reader.driver.after(question, written)
    hot = await reader.app.users.read(reader.scope("sarah"))
    assert written_at
    assert "Likes sushi" not in [memory.text for memory in hot.memories()]
    assert hot.checked_time < written_at[0]


@pytest.mark.parametrize("parts", [1, 3, 7])
async def test_a_clear_that_was_cut_off_and_repeated_answers_for_the_whole_request(start: Start, parts: int) -> None:
    first, second = await start(), await start()
    scope = first.scope("sarah")
    await fill(first, 2_000)
    guard = Guard(Request(REQUEST.request_id, "ClearMemories", REQUEST.digest))
    first.driver.before("append", cut_off, parts + 1)
    with pytest.raises(StorageUnavailable):
        await first.app.memory_writer.clear(scope, ANY, guard, purge_text=False)
    assert len(await first.texts("sarah")) == 2_000 - 250 * parts
    for each in (second, first, second):
        assert (await each.app.memory_writer.clear(scope, ANY, guard, purge_text=False)).count == 2_000
    assert (await second.app.users.read(scope)).revision == 2 + 8


async def test_a_session_whose_deletion_was_cut_off_and_repeated_answers_for_the_whole_request(start: Start) -> None:
    first, second = await start(), await start()
    scope = first.scope("sarah")
    await first.ended("sarah", await first.say("sarah", "tea"))
    run = (await first.app.sessions.list(scope, 10, ""))[0][0]
    await fill(first, 600, run.session_id)
    request = Request(REQUEST.request_id, "DeleteSession", REQUEST.digest)
    how = {"forget_learned": True, "purge_text": False, "allow_missing": False}
    first.driver.before("append", cut_off, 2)
    with pytest.raises(StorageUnavailable):
        await first.app.sessions.delete(scope, run.session_id, request, **how)
    for each in (second, first):
        gone = await each.app.sessions.delete(scope, run.session_id, request, **how)
        assert (gone.runs, gone.memories) == (1, 600 + 1)


async def cut_off() -> None:
    raise StorageUnavailable("the connection was cut")


async def fill(replica: Replica, count: int, session_id: str = "") -> None:
    """Remember so many memories."""
    for start in range(0, count, 1_000):
        operations = [
            Create(Memory(memory_id=new_id(), number=0, text="Likes tea", origin=Origin(session_id=session_id)))
            for _ in range(min(1_000, count - start))
        ]
        await replica.app.memory_writer.write(replica.scope("sarah"), operations, Guard())

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest
from msgspec.structs import replace

from memsvc.access.allowance import Quotas
from memsvc.administration import EraseCommand
from memsvc.errors import (
    Aborted,
    AlreadyExists,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    Reason,
    ResourceExhausted,
    StorageUnavailable,
)
from memsvc.ids import new_id
from memsvc.journal.records import Request
from memsvc.memories import Create, Delete, Guard, MemoryWriter, Target, Update
from memsvc.memories.writing import Operation, WriteCommand
from memsvc.model import Commit, Layer, Memory, Scope
from memsvc.storage.driver import Append, Driver, Outcome
from memsvc.storage.memory import MemoryDriver
from memsvc.users import Users
from memsvc.writing.writer import Writer

SARAH = Scope("default", "sarah")


def memory(text: str, memory_id: str = "", key: str = "") -> Memory:
    return Memory(memory_id=memory_id or new_id(), number=0, text=text, key=key)


def create(text: str, request_id: str = "", memory_id: str = "", key: str = "") -> WriteCommand:
    request = Request(request_id, "CreateMemory", text) if request_id else None
    return WriteCommand([Create(memory(text, memory_id, key))], Guard(request), 10_000)


async def test_commands_of_one_user_go_in_one_append(driver: Driver, users: Users, writer: Writer) -> None:
    batches: list[Sequence[Append]] = []
    append = driver.append

    async def spy(batch: Sequence[Append]) -> Sequence[Outcome]:
        batches.append(batch)
        return await append(batch)

    driver.append = spy  # type: ignore[method-assign]
    await users.latest(SARAH)
    await asyncio.gather(*(writer.write(SARAH, create(f"fact {n}")) for n in range(5)))
    assert [len(item.records) for batch in batches for item in batch] == [5]
    assert (await users.latest(SARAH)).revision == 5


async def test_what_cannot_be_recorded_fails_alone(users: Users, writer: Writer) -> None:
    half_a_pair = "\ud800"
    await users.latest(SARAH)
    results = await asyncio.gather(
        writer.write(SARAH, create("before")),
        writer.write(SARAH, create(half_a_pair)),
        writer.write(SARAH, create("after")),
        writer.write(Scope("default", "ben"), create("beside")),
        return_exceptions=True,
    )
    assert [type(each) for each in results] == [Commit, Internal, Commit, Commit]
    await writer.write(SARAH, create("later"))
    assert [each.text for each in (await users.latest(SARAH)).memories()] == ["before", "after", "later"]


async def test_a_repeat_gets_the_first_result_and_changes_nothing(users: Users, writer: Writer) -> None:
    first = await writer.write(SARAH, create("likes tea", "r1", "m1"))
    await writer.write(SARAH, WriteCommand([Delete(Target("m1"))], Guard(), 10))
    again = await writer.write(SARAH, create("likes tea", "r1", "m1"))
    assert again == first
    assert (await users.latest(SARAH)).revision == 2


async def test_two_at_once_with_one_request_id_apply_once(users: Users, writer: Writer) -> None:
    results = await asyncio.gather(*(writer.write(SARAH, create("likes tea", "r1")) for _ in range(4)))
    assert len({result.changes[0].memory_id for result in results}) == 1
    assert (await users.latest(SARAH)).revision == 1


async def test_a_request_id_with_another_content_is_refused(writer: Writer) -> None:
    await writer.write(SARAH, create("likes tea", "r1"))
    with pytest.raises(InvalidArgument) as caught:
        await writer.write(SARAH, create("likes coffee", "r1"))
    assert caught.value.reason is Reason.REQUEST_ID_REUSED


async def test_a_repeat_is_known_after_a_restart(driver: Driver, writer: Writer) -> None:
    first = await writer.write(SARAH, create("likes tea", "r1"))
    other = Writer(Users(driver))
    assert await other.write(SARAH, create("likes tea", "r1")) == first
    await other.close()


async def test_an_id_that_was_used_anew_when_it_had_expired_is_known_after_a_restart(
    driver: Driver, users: Users, writer: Writer
) -> None:
    days = 0.0
    users.clock = lambda: int((20_000 + days) * 24 * 3600 * 1_000_000)
    await writer.write(SARAH, create("likes tea", "r1"))
    for number in range(300):
        await writer.write(SARAH, create(f"early {number}", f"early {number}"))
    days = 8.0
    again = await writer.write(SARAH, create("likes tea", "r1"))
    for number in range(300):
        await writer.write(SARAH, create(f"late {number}", f"late {number}"))
    restarted = Users(driver)
    restarted.clock = users.clock
    other = Writer(restarted)
    assert await other.write(SARAH, create("likes tea", "r1")) == again
    await other.close()


async def test_a_repeat_after_erase_brings_nothing_back(users: Users, writer: Writer) -> None:
    await writer.write(SARAH, create("likes tea", "r1"))
    erased = await writer.write(SARAH, EraseCommand(Request("r2", "EraseUser", "")))
    with pytest.raises(FailedPrecondition) as caught:
        await writer.write(SARAH, create("likes tea", "r1"))
    assert caught.value.reason is Reason.USER_ERASED
    assert await writer.write(SARAH, EraseCommand(Request("r2", "EraseUser", ""))) == erased
    assert (await users.latest(SARAH)).revision == 2


async def test_an_append_acknowledged_during_erase_is_visible(users: Users, writer: Writer) -> None:
    results = await asyncio.gather(
        writer.write(SARAH, create("before")),
        writer.write(SARAH, EraseCommand(None)),
        writer.write(SARAH, create("after")),
    )
    texts = [each.text for each in (await users.latest(SARAH)).memories()]
    last = results[2]
    assert isinstance(last, Commit)
    assert texts == ["after"]


async def test_a_repeat_computed_at_a_newer_revision_applies_once(driver: Driver, writer: Writer) -> None:
    """Two replicas get the same request: whoever comes second finds it, although its state did not have it."""
    replica = Writer(Users(driver))
    await replica.write(SARAH, create("warms the other replica"))
    first = await writer.write(SARAH, create("likes tea", "r1"))
    second = await replica.write(SARAH, create("likes tea", "r1"))
    assert first == second
    await replica.close()


async def test_conflicting_replicas_catch_up_and_decide_again(driver: Driver, users: Users, writer: Writer) -> None:
    replicas = [Writer(Users(driver)) for _ in range(3)]

    async def work(replica: Writer, name: int) -> None:
        for n in range(20):
            await replica.write(SARAH, create(f"{name} says {n}"))

    await asyncio.gather(*(work(replica, name) for name, replica in enumerate(replicas)))
    user = await users.latest(SARAH)
    assert user.revision == 60
    assert len({each.number for each in user.memories()}) == 60
    for replica in replicas:
        await replica.close()


async def test_a_replica_says_no_only_from_a_fresh_state(driver: Driver, users: Users, writer: Writer) -> None:
    replica = Writer(Users(driver))
    created = await writer.write(SARAH, create("v1", memory_id="m1"))
    await replica.write(SARAH, create("loads the user"))
    after = created.changes[0].after
    assert after is not None
    update = Update(Target("m1"), memory("v2"), frozenset(["text"]), after.etag)
    changed = await writer.write(SARAH, WriteCommand([update], Guard(), 10))
    current = changed.changes[0].after
    assert current is not None
    update = Update(Target("m1"), memory("v3"), frozenset(["text"]), current.etag)
    assert (await replica.write(SARAH, WriteCommand([update], Guard(), 10))).changes
    with pytest.raises(Aborted):
        await replica.write(SARAH, WriteCommand([update], Guard(), 10))
    await replica.close()


async def test_a_batch_is_all_or_nothing_and_names_the_operation(users: Users, writer: Writer) -> None:
    memories = MemoryWriter(users, writer, Quotas(10))
    await writer.write(SARAH, create("taken", memory_id="m1"))
    with pytest.raises(AlreadyExists) as caught:
        await memories.write(SARAH, [Create(memory("new")), Create(memory("x", "m1"))], Guard(), batch=True)
    assert caught.value.fields[0].field == "operations[1].create.memory.memory_id"
    assert (await users.latest(SARAH)).state.memory_count == 1


async def test_the_quota_holds(users: Users, writer: Writer) -> None:
    memories = MemoryWriter(users, writer, Quotas(2))
    with pytest.raises(ResourceExhausted):
        await memories.write(SARAH, [Create(memory(str(n))) for n in range(3)], Guard(), batch=True)
    assert (await users.latest(SARAH)).state.memory_count == 0


async def test_a_clear_larger_than_a_record_is_done_in_parts(users: Users, writer: Writer) -> None:
    from memsvc.search.filter import ANY

    memories = MemoryWriter(users, writer, Quotas(10_000))
    await memories.write(SARAH, [Create(memory(f"fact {n}")) for n in range(700)], Guard(), batch=True)
    request = Request("clear", "ClearMemories", "")
    result = await memories.clear(SARAH, ANY, Guard(request), purge_text=False)
    assert result.count == 700
    await writer.write(SARAH, create("new"))
    assert (await memories.clear(SARAH, ANY, Guard(request), purge_text=False)).count == 700
    assert (await users.latest(SARAH)).state.memory_count == 1


class Unreliable(MemoryDriver):
    """Loses the acknowledgement of an append, with or without having made it."""

    applies = True
    broken = 0

    async def append(self, batch: Sequence[Append]) -> Sequence[Outcome]:
        if not self.broken:
            return await super().append(batch)
        self.broken -= 1
        if self.applies:
            await super().append(batch)
        raise StorageUnavailable("connection lost")


@pytest.mark.parametrize("applies", [True, False])
async def test_an_append_whose_acknowledgement_was_lost_is_resolved_by_looking(applies: bool) -> None:
    driver = Unreliable("memory://", {})
    await driver.open()
    users = Users(driver)
    writer = Writer(users)
    await writer.write(SARAH, create("first"))
    driver.applies, driver.broken = applies, 1
    if applies:
        assert (await writer.write(SARAH, create("second", "r1"))).revision == 2
    else:
        with pytest.raises(StorageUnavailable):
            await writer.write(SARAH, create("second", "r1"))
        assert (await writer.write(SARAH, create("second", "r1"))).revision == 2
    assert (await users.latest(SARAH)).revision == 2
    await writer.close()


class Full(MemoryDriver):
    """A database whose disk is full for a while."""

    full = False

    async def append(self, batch: Sequence[Append]) -> Sequence[Outcome]:
        if self.full:
            raise StorageUnavailable("database cannot write: it is full", Reason.STORAGE_FULL)
        return await super().append(batch)


async def test_a_full_disk_is_said_in_the_log_when_it_begins_and_when_it_is_over(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = Full("memory://", {})
    await driver.open()
    writer = Writer(Users(driver))

    async def refused_and_accepted() -> list[str]:
        caplog.clear()
        driver.full = True
        for number in range(3):
            with pytest.raises(StorageUnavailable):
                await writer.write(Scope("default", f"user {number}"), create("Skis"))
        driver.full = False
        for _ in range(2):
            await writer.write(SARAH, create("Skis"))
        return [record.getMessage() for record in caplog.records]

    assert await refused_and_accepted() == ["writes_refused", "writes_accepted_again"]
    assert await refused_and_accepted() == []
    monkeypatch.setattr("memsvc.log._SPELL_SECONDS", 0.0)
    assert await refused_and_accepted() == ["writes_refused", "writes_accepted_again"]
    assert getattr(caplog.records[0], "fields")["reason"] is Reason.STORAGE_FULL  # noqa: B009
    await writer.close()


async def test_a_caller_that_gives_up_leaves_the_others_alone(users: Users, writer: Writer) -> None:
    given_up = asyncio.ensure_future(writer.write(SARAH, create("given up")))
    kept = asyncio.ensure_future(writer.write(SARAH, create("kept")))
    await asyncio.sleep(0)
    given_up.cancel()
    assert (await kept).revision in (1, 2)


async def test_purged_text_is_blank_in_the_history(driver: Driver, users: Users, writer: Writer) -> None:
    memories = MemoryWriter(users, writer, Quotas(10))
    await writer.write(SARAH, create("a secret nobody may read", memory_id="m1"))
    await memories.write(SARAH, [Delete(Target("m1"))], Guard(), purge_text=True)
    records = await driver.records(SARAH, 0, 100)
    assert not any(b"secret" in record.body for record in records)
    assert (await users.latest(SARAH)).state.core.purges == {}
    assert (await Users(driver).latest(SARAH)).revision == 2


async def test_what_the_database_wrote_but_never_acknowledges_is_not_acknowledged_either(
    driver: Driver, users: Users, writer: Writer
) -> None:
    """As with too few replicas: what can be read there may still be lost."""
    append = driver.append

    async def doubtful(batch: Sequence[Append]) -> Sequence[Outcome]:
        return [Outcome.UNKNOWN for _ in await append(batch)]

    driver.append = doubtful  # type: ignore[method-assign]
    for _ in range(2):
        with pytest.raises(StorageUnavailable):
            await writer.write(SARAH, create("Skis", request_id="r1"))

    driver.append = append  # type: ignore[method-assign]
    repeated = await writer.write(SARAH, create("Skis", request_id="r1"))
    assert isinstance(repeated, Commit)
    assert repeated.revision == 1
    assert [each.text for each in (await users.latest(SARAH)).memories()] == ["Skis"]


async def test_a_write_whose_answer_was_lost_is_acknowledged_once_a_later_one_is(
    driver: Driver, users: Users, writer: Writer
) -> None:
    append, calls = driver.append, 0

    async def once_doubtful(batch: Sequence[Append]) -> Sequence[Outcome]:
        nonlocal calls
        calls += 1
        outcomes = await append(batch)
        return [Outcome.UNKNOWN for _ in outcomes] if calls == 1 else outcomes

    driver.append = once_doubtful  # type: ignore[method-assign]
    commit = await writer.write(SARAH, create("Skis"))
    assert commit.revision == 1
    assert calls == 2


async def test_a_repeat_that_comes_to_another_process_is_answered_once_the_write_is_as_safe(
    driver: Driver, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, capabilities = driver.append, replace(driver.capabilities(), reads_run_ahead=True)
    confirms, appends = False, 0

    async def copied(batch: Sequence[Append]) -> Sequence[Outcome]:
        nonlocal appends
        appends += 1
        outcomes = await append(batch)
        return outcomes if confirms else [Outcome.UNKNOWN for _ in outcomes]

    monkeypatch.setattr(driver, "append", copied)
    monkeypatch.setattr(driver, "capabilities", lambda: capabilities)
    other = Writer(Users(driver))
    for process in (writer, other):
        with pytest.raises(StorageUnavailable):
            await process.write(SARAH, create("Skis", request_id="r1"))
    confirms = True
    for _ in range(2):
        repeated = await other.write(SARAH, create("Skis", request_id="r1"))
        assert isinstance(repeated, Commit)
        assert repeated.revision == 1
    # The first of them was confirmed, and with it the second.
    assert appends == 4
    await other.close()


@pytest.mark.parametrize(
    "operations",
    [
        [lambda: Create(memory("Sails", "m2", key="boat")), lambda: Delete(at("boat"))],
        [lambda: Update(Target("m1"), memory("x"), ("text",)), lambda: Delete(at("sport"))],
    ],
    ids=["made", "named by its id"],
)
async def test_a_batch_names_each_memory_once_by_whatever_name(
    writer: Writer, users: Users, operations: Sequence[Callable[[], Operation]]
) -> None:
    memories = MemoryWriter(users, writer, Quotas(10_000))
    await memories.write(SARAH, [Create(memory("Skis", "m1", key="sport"))], Guard())

    with pytest.raises(InvalidArgument) as caught:
        await memories.write(SARAH, [make() for make in operations], Guard(), batch=True)

    assert [field.field for field in caught.value.fields] == ["operations[1]"]
    assert [each.text for each in (await users.latest(SARAH)).memories()] == ["Skis"]


def at(key: str) -> Target:
    return Target(layer=Layer.KNOWLEDGE, key=key)

"""What was written can be undone, and read as it was."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from rpc_harness import SARAH, Harness, failing, new_request_id, said

from memsvc.access.allowance import Quotas
from memsvc.journal import past
from memsvc.model import Scope
from memsvc.v1 import admin_pb2, common_pb2, context_pb2, session_pb2
from memsvc.v1 import memory_pb2 as pb

PROFILE = common_pb2.LAYER_PROFILE


async def add(server: Harness, memory_id: str, text: str, **fields: Any) -> int:
    memory = pb.Memory(memory_id=memory_id, text=text, **fields)
    reply = await server.memories.CreateMemory(pb.CreateMemoryRequest(scope=SARAH, memory=memory))
    return int(reply.revision)


async def change(server: Harness, memory_id: str, text: str) -> int:
    request = pb.UpdateMemoryRequest(scope=SARAH, memory=pb.Memory(memory_id=memory_id, text=text))
    request.update_mask.paths.append("text")
    return int((await server.memories.UpdateMemory(request)).revision)


async def delete(server: Harness, memory_id: str, *, purge: bool = False) -> int:
    request = pb.DeleteMemoryRequest(scope=SARAH, memory_id=memory_id, purge=purge)
    return int((await server.memories.DeleteMemory(request)).revision)


async def restore(server: Harness, **what: Any) -> Any:
    return await server.memories.RestoreMemories(pb.RestoreMemoriesRequest(scope=SARAH, **what))


async def listed(server: Harness, **consistency: Any) -> list[tuple[int, str, str]]:
    request = pb.ListMemoriesRequest(scope=SARAH, order=pb.MEMORY_ORDER_CREATE_TIME_ASC)
    if consistency:
        request.consistency.CopyFrom(common_pb2.Consistency(**consistency))
    return [(each.number, each.key, each.text) for each in (await server.memories.ListMemories(request)).memories]


async def test_the_newest_revision_is_undone_and_an_undo_too(each_server: Harness) -> None:
    await add(each_server, "m1", "Skis", layer=PROFILE, key="sport", topics=["winter"])
    await change(each_server, "m1", "Sails")

    undone = await restore(each_server, revert_revision=0)
    assert await listed(each_server) == [(1, "sport", "Skis")]
    assert [each.cause for each in undone.commit.changes] == [pb.CHANGE_CAUSE_RESTORED]
    assert (undone.commit.revision, undone.revision) == (3, 3)
    await restore(each_server, revert_revision=0)
    assert await listed(each_server) == [(1, "sport", "Sails")]


@pytest.mark.parametrize("deleted", [("m1",), ("m2",), ("m1", "m3")])
async def test_what_was_deleted_comes_back_under_its_number(each_server: Harness, deleted: tuple[str, ...]) -> None:
    for number in (1, 2, 3):
        await add(each_server, f"m{number}", f"Text {number}", layer=PROFILE, key=f"k{number}")
    before = await listed(each_server)
    operations = [pb.BatchWriteOperation(delete=pb.DeleteOperation(memory_id=each)) for each in deleted]
    request = pb.BatchWriteMemoriesRequest(scope=SARAH, operations=operations)
    gone = (await each_server.memories.BatchWriteMemories(request)).revision
    await add(each_server, "m4", "Later")

    await restore(each_server, revert_revision=gone)
    assert await listed(each_server) == [*before, (4, "", "Later")]
    assert await add(each_server, "m5", "Last")
    assert (await listed(each_server))[-1] == (5, "", "Last")


async def test_a_memory_that_changed_again_is_not_reverted_past_that(each_server: Harness) -> None:
    await add(each_server, "m1", "Skis")
    second = await change(each_server, "m1", "Sails")
    await change(each_server, "m1", "Rows")

    failure = await failing(restore(each_server, revert_revision=second))
    assert (failure.code, failure.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CHANGED_SINCE")
    assert await listed(each_server) == [(1, "", "Rows")]
    # What is as it would be anyway is no conflict, and no change.
    await restore(each_server, to_revision=1, memory_ids=["m1"])
    again = await restore(each_server, revert_revision=second)
    assert (list(again.commit.changes), again.commit.revision, again.revision) == ([], 0, 4)


async def test_memories_are_brought_back_to_a_revision_by_id_or_all(each_server: Harness) -> None:
    await add(each_server, "m1", "Skis")
    then = await add(each_server, "m2", "Sails")
    await change(each_server, "m1", "Skates")
    await delete(each_server, "m2")
    await add(each_server, "m3", "Rows")

    await restore(each_server, to_revision=then, memory_ids=["m1", "m3"])
    assert await listed(each_server) == [(1, "", "Skis")]
    await restore(each_server, to_revision=then, all=True)
    assert await listed(each_server) == [(1, "", "Skis"), (2, "", "Sails")]
    await restore(each_server, to_revision=0, all=True)
    assert await listed(each_server) == []
    failure = await failing(restore(each_server, to_revision=then, memory_ids=["m1", "none"]))
    assert (failure.code, failure.fields) == (grpc.StatusCode.NOT_FOUND, ("memory_ids[1]",))
    failure = await failing(restore(each_server, to_revision=99, all=True))
    assert (failure.code, failure.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "REVISION_NOT_REACHED")


async def test_an_id_that_was_given_anew_goes_back_to_its_old_place_and_number(each_server: Harness) -> None:
    await add(each_server, "m1", "Chef", layer=PROFILE, key="role")
    then = await add(each_server, "m2", "Python", layer=PROFILE, key="stack")
    for memory_id in ("m1", "m2"):
        await delete(each_server, memory_id)
    await add(each_server, "m2", "Baker", layer=PROFILE, key="role")
    await add(each_server, "m1", "Go", layer=PROFILE, key="stack")

    await restore(each_server, to_revision=then, all=True)
    assert await listed(each_server) == [(1, "role", "Chef"), (2, "stack", "Python")]
    for key, memory_id in (("role", "m1"), ("stack", "m2")):
        address = pb.KeyAddress(layer=PROFILE, key=key)
        found = await each_server.memories.GetMemory(pb.GetMemoryRequest(scope=SARAH, address=address))
        assert found.memory.memory_id == memory_id


async def test_validate_only_says_what_would_change_and_changes_nothing(each_server: Harness) -> None:
    await add(each_server, "m1", "Skis")
    await delete(each_server, "m1")

    would = await restore(each_server, revert_revision=0, validate_only=True)
    assert await listed(each_server) == []
    assert (would.commit.revision, would.revision) == (0, 2)
    (change_made,) = would.commit.changes
    assert (change_made.kind, change_made.after.text, change_made.after.etag) == (pb.CHANGE_KIND_CREATED, "Skis", "")


async def test_a_key_or_place_that_was_taken_meanwhile_is_not_taken_away(each_server: Harness) -> None:
    await add(each_server, "m1", "Chef", layer=PROFILE, key="role")
    gone = await delete(each_server, "m1")
    await add(each_server, "m2", "Baker", layer=PROFILE, key="role")
    for what in ({"revert_revision": gone}, {"to_revision": 1, "memory_ids": ["m1"]}):
        failure = await failing(restore(each_server, **what))
        assert (failure.code, failure.reason) == (grpc.StatusCode.ALREADY_EXISTS, "KEY_TAKEN")
        assert "m2" in failure.message
        assert failure.fields == (next(iter(what)),)
    # Nor where the id has a new place since.
    await add(each_server, "m1", "Go", layer=PROFILE, key="stack")
    failure = await failing(restore(each_server, to_revision=1, memory_ids=["m1"]))
    assert (failure.code, failure.reason) == (grpc.StatusCode.ALREADY_EXISTS, "KEY_TAKEN")
    await delete(each_server, "m1")
    await delete(each_server, "m2")
    await add(each_server, "m3", "Baker", layer=PROFILE, key="role.now")
    failure = await failing(restore(each_server, revert_revision=gone))
    assert (failure.code, failure.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "KEY_CONFLICT")


async def test_what_was_purged_stays_away_from_restores_and_from_the_past(each_server: Harness) -> None:
    await add(each_server, "m1", "SECRET")
    then = await add(each_server, "m2", "Sails")
    purged = await delete(each_server, "m1", purge=True)
    await delete(each_server, "m2")

    for what in ({"revert_revision": purged}, {"to_revision": then, "memory_ids": ["m2", "m1"]}):
        failure = await failing(restore(each_server, **what))
        assert (failure.code, failure.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "MEMORY_PURGED")
        assert "m1" in failure.message
    assert await listed(each_server, as_of_revision=then) == [(2, "", "Sails")]
    brought = await restore(each_server, to_revision=then, all=True)
    assert await listed(each_server) == [(2, "", "Sails")]
    assert list(brought.purged_memory_ids) == ["m1"]


async def test_a_past_that_was_read_forgets_what_is_purged_then(each_server: Harness) -> None:
    then = await add(each_server, "m1", "SECRET")
    await delete(each_server, "m1")
    assert await listed(each_server, as_of_revision=then) == [(1, "", "SECRET")]
    # It is deleted already: this makes no revision.
    request = pb.DeleteMemoryRequest(scope=SARAH, memory_id="m1", purge=True, allow_missing=True)
    assert (await each_server.memories.DeleteMemory(request)).revision == 2
    assert await listed(each_server, as_of_revision=then) == []


async def test_what_was_erased_cannot_be_read_or_brought_back(each_server: Harness) -> None:
    then = await add(each_server, "m1", "SECRET")
    time = await read_time(each_server)
    await each_server.admin.EraseUser(admin_pb2.EraseUserRequest(scope=SARAH))
    await add(each_server, "m2", "Sails")

    for asked in (
        restore(each_server, to_revision=then, all=True),
        restore(each_server, revert_revision=then),
        restore(each_server, revert_revision=2),
        listed(each_server, as_of_revision=then),
        listed(each_server, as_of_time=time),
    ):
        failure = await failing(asked)
        assert (failure.code, failure.reason) == (grpc.StatusCode.OUT_OF_RANGE, "HISTORY_TRIMMED")
    assert await listed(each_server, as_of_revision=2) == []


async def read_time(server: Harness) -> Timestamp:
    """Return the time of the newest commit."""
    changes = await server.memories.ListMemoryChanges(pb.ListMemoryChangesRequest(scope=SARAH))
    time: Timestamp = changes.commits[0].time
    return time


async def test_below_the_floor_the_history_is_trimmed(each_server: Harness) -> None:
    times = []
    for number in (1, 2, 3, 4):
        await add(each_server, f"m{number}", f"Text {number}")
        times.append(await read_time(each_server))
    await each_server.application.driver.truncate(Scope("default", "sarah"), 3)

    for asked in (
        listed(each_server, as_of_revision=1),
        listed(each_server, as_of_time=times[1]),
        restore(each_server, to_revision=1, all=True),
        restore(each_server, revert_revision=2),
    ):
        failure = await failing(asked)
        assert (failure.code, failure.reason) == (grpc.StatusCode.OUT_OF_RANGE, "HISTORY_TRIMMED")
    # The first record that is kept says what was before it.
    assert len(await listed(each_server, as_of_revision=2)) == 2
    assert len(await listed(each_server, as_of_time=times[2])) == 3
    await restore(each_server, revert_revision=3)
    assert [number for number, *_ in await listed(each_server)] == [1, 2, 4]


@pytest.mark.parametrize("limit", ["MAX_RECORDS", "MAX_BYTES"])
async def test_no_more_of_a_journal_is_read_than_its_bounds_say(
    server: Harness, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    for number in range(60):
        await add(server, f"m{number}", f"Text {number}")
    monkeypatch.setattr(past, limit, 10)

    failure = await failing(listed(server, as_of_revision=1))
    assert (failure.code, failure.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RESULT_TOO_LARGE")
    failure = await failing(restore(server, to_revision=1, all=True))
    assert failure.reason == "RESULT_TOO_LARGE"
    assert len(await listed(server, as_of_revision=58)) == 58
    assert len(await listed(server, as_of_revision=60)) == 60


async def test_the_quota_holds(server: Harness) -> None:
    writer = server.application.memory_restorer
    await add(server, "m1", "Skis")
    await delete(server, "m1")
    await add(server, "m2", "Sails")
    writer.quotas = Quotas(1)

    failure = await failing(restore(server, revert_revision=2))
    assert (failure.code, failure.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED")
    await restore(server, to_revision=1, all=True)
    assert await listed(server) == [(1, "", "Skis")]


async def test_more_than_a_commit_holds_is_brought_back_by_name(server: Harness) -> None:
    for batch in range(3):
        creates = [pb.Memory(memory_id=f"m{batch}-{number}", text="Skis") for number in range(500)]
        operations = [pb.BatchWriteOperation(create=pb.CreateOperation(memory=each)) for each in creates]
        await server.memories.BatchWriteMemories(pb.BatchWriteMemoriesRequest(scope=SARAH, operations=operations))
    await server.memories.ClearMemories(pb.ClearMemoriesRequest(scope=SARAH, all=True))

    failure = await failing(restore(server, to_revision=3, all=True))
    assert (failure.code, failure.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "REQUEST_TOO_LARGE")
    names = [f"m{batch}-{number}" for batch in range(3) for number in range(500)]
    for first in (0, 750):
        await restore(server, to_revision=3, memory_ids=names[first : first + 750])
    assert len(await listed(server, as_of_revision=3)) == 100
    stats = await server.admin.GetStats(admin_pb2.GetStatsRequest(scope=SARAH))
    assert stats.memory_count == 1_500


async def test_a_restore_is_guarded_and_safe_to_repeat(each_server: Harness) -> None:
    await add(each_server, "m1", "Skis")
    await delete(each_server, "m1")
    failure = await failing(restore(each_server, revert_revision=0, expected_revision=1))
    assert (failure.code, failure.reason) == (grpc.StatusCode.ABORTED, "REVISION_MISMATCH")

    request_id = new_request_id()
    first = await restore(each_server, revert_revision=0, expected_revision=2, request_id=request_id)
    await change(each_server, "m1", "Sails")
    again = await restore(each_server, revert_revision=0, expected_revision=2, request_id=request_id)
    assert again == first
    assert await listed(each_server) == [(1, "", "Sails")]


async def test_undoing_skips_expirations_and_does_not_bring_back_what_has_expired(each_server: Harness) -> None:
    await add(each_server, "m1", "Skis")
    soon = pb.Memory(memory_id="m2", text="Travels")
    soon.ttl.FromMilliseconds(30)
    await each_server.memories.CreateMemory(pb.CreateMemoryRequest(scope=SARAH, memory=soon))
    await change(each_server, "m1", "Sails")
    async with asyncio.timeout(20):
        while (await each_server.application.users.latest(Scope("default", "sarah"))).revision < 4:
            await asyncio.sleep(0.01)

    await restore(each_server, revert_revision=0)
    assert await listed(each_server) == [(1, "", "Skis")]
    brought = await restore(each_server, to_revision=2, all=True)
    assert list(brought.commit.changes) == []
    # Then it was there.
    assert await listed(each_server, as_of_revision=2) == [(1, "", "Skis"), (2, "", "Travels")]


async def test_every_read_of_memories_can_be_of_the_past(each_server: Harness) -> None:
    then = await add(each_server, "m1", "Skis in winter", layer=PROFILE, key="sport", topics=["winter"])
    time = await read_time(each_server)
    await change(each_server, "m1", "Sails")
    await add(each_server, "m2", "Lives in Rome")

    for consistency in (common_pb2.Consistency(as_of_revision=then), common_pb2.Consistency(as_of_time=time)):
        how: dict[str, Any] = {"scope": SARAH, "consistency": consistency}
        memories = each_server.memories
        got = await memories.GetMemory(pb.GetMemoryRequest(memory_id="m1", **how))
        assert (got.memory.text, got.revision) == ("Skis in winter", then)
        failure = await failing(memories.GetMemory(pb.GetMemoryRequest(memory_id="m2", **how)))
        assert failure.reason == "MEMORY_NOT_FOUND"
        document = await memories.GetUserMemory(pb.GetUserMemoryRequest(layers=[PROFILE], **how))
        assert document.document_json == '{"profile":{"sport":"Skis in winter"}}'
        topics = await memories.ListTopics(pb.ListTopicsRequest(**how))
        assert [each.topic for each in topics.topics] == ["winter"]
        for query, found in (("winter", ["m1"]), ("Rome", []), ("sails", [])):
            hits = await memories.SearchMemories(pb.SearchMemoriesRequest(query=query, **how))
            assert [hit.memory.memory_id for hit in hits.hits] == found
        newest = pb.SearchMemoriesRequest(method=pb.SEARCH_METHOD_LAST_N, **how)
        assert [hit.memory.text for hit in (await memories.SearchMemories(newest)).hits] == ["Skis in winter"]
        context = await each_server.contexts.CompileContext(context_pb2.CompileContextRequest(query="Rome", **how))
        assert "Skis in winter" in context.text
        assert "Rome" not in context.text
        assert context.revision == then
    assert [text for *_, text in await listed(each_server)] == ["Sails", "Lives in Rome"]


async def test_the_past_has_memories_only(server: Harness) -> None:
    await add(server, "m1", "Skis")
    run = session_pb2.Run(session_id="s1", messages=[said("I ski")])
    await server.sessions.AppendRun(session_pb2.AppendRunRequest(scope=SARAH, run=run))
    past_asked = common_pb2.Consistency(as_of_revision=1)
    request = context_pb2.CompileContextRequest(scope=SARAH, consistency=past_asked, query="ski")
    history, recall, wait = (context_pb2.CompileContextRequest() for _ in range(3))
    history.history.session_id = "s1"
    recall.recall = True
    wait.wait_for_learning.seconds = 1
    for asked, field in ((history, "history"), (recall, "recall"), (wait, "wait_for_learning")):
        asked.MergeFrom(request)
        failure = await failing(server.contexts.CompileContext(asked))
        assert (failure.code, failure.fields) == (grpc.StatusCode.INVALID_ARGUMENT, (field,))
    assert "I ski" not in (await server.contexts.CompileContext(request)).text


async def test_shared_users_have_a_past_by_time_only(server: Harness) -> None:
    team = common_pb2.Scope(user_id="team:x")
    for text in ("Ships on Friday", "Ships on Monday"):
        memory = pb.Memory(text=text)
        await server.memories.CreateMemory(pb.CreateMemoryRequest(scope=team, memory=memory))
        await add(server, text.split()[-1], f"Likes {text.split()[-1]}")
    first = (await server.memories.ListMemoryChanges(pb.ListMemoryChangesRequest(scope=SARAH))).commits[1].time
    request = pb.SearchMemoriesRequest(scope=SARAH, query="ships", shared_user_ids=["team:x"])
    request.consistency.as_of_time.CopyFrom(first)
    assert [hit.memory.text for hit in (await server.memories.SearchMemories(request)).hits] == ["Ships on Friday"]
    request.consistency.as_of_revision = 1
    failure = await failing(server.memories.SearchMemories(request))
    assert (failure.code, failure.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("consistency.as_of_revision",))


async def test_what_is_still_to_come_has_not_been(each_server: Harness) -> None:
    await add(each_server, "m1", "Skis")
    failure = await failing(listed(each_server, as_of_revision=2))
    assert (failure.code, failure.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "REVISION_NOT_REACHED")
    failure = await failing(listed(each_server, as_of_time=Timestamp(seconds=1 << 34)))
    assert (failure.code, failure.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("consistency.as_of_time",))
    failure = await failing(listed(each_server, as_of_revision=-1))
    assert (failure.code, failure.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("consistency.as_of_revision",))
    assert await listed(each_server, as_of_revision=0) == []
    assert await listed(each_server, as_of_time=Timestamp(seconds=1)) == []

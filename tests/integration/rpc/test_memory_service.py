from __future__ import annotations

import json

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from rpc_harness import SARAH, Harness, failing

from memsvc.model import Scope
from memsvc.rpc.fields import DEFAULT_NAMESPACE
from memsvc.v1 import common_pb2 as common
from memsvc.v1 import memory_pb2 as pb


async def create(server: Harness, text: str, **fields: object) -> pb.Memory:
    memory = pb.Memory(text=text, **fields)  # type: ignore[arg-type]
    reply = await server.memories.CreateMemory(pb.CreateMemoryRequest(scope=SARAH, memory=memory))
    created: pb.Memory = reply.memory
    return created


async def test_a_created_memory_comes_back_whole(each_server: Harness) -> None:
    given = pb.Memory(
        memory_id="m-1",
        layer=common.LAYER_PROFILE,
        text="Sarah is a Staff Engineer",
        key="role",
        value_json='"Staff Engineer"',
        topics=["work"],
        input="I'm now a Staff Engineer",
        origin=common.Origin(agent_id="support", session_id="s1", engine="ignored"),
        trust=common.TRUST_INFERRED,
        metadata={"source": "crm"},
        observe_time=Timestamp(seconds=1_700_000_000, nanos=123_456_789),
        expire_time=Timestamp(seconds=4_000_000_000),
    )
    request = pb.CreateMemoryRequest(scope=SARAH, memory=given)
    created = await each_server.memories.CreateMemory(request)
    got = await each_server.memories.GetMemory(pb.GetMemoryRequest(scope=SARAH, memory_id="m-1"))
    by_key = pb.KeyAddress(layer=common.LAYER_PROFILE, key="role")
    same = await each_server.memories.GetMemory(pb.GetMemoryRequest(scope=SARAH, address=by_key))

    assert created.memory == got.memory == same.memory
    assert (created.revision, got.revision) == (1, 1)
    assert got.read_time.seconds > 0
    memory = got.memory
    assert memory.scope == common.Scope(namespace="default", user_id="sarah")
    assert (memory.number, memory.etag[:2], memory.origin.engine) == (1, "1-", "")
    assert memory.observe_time.nanos == 123_456_000
    assert memory.create_time == memory.update_time != Timestamp()
    for name in ("layer", "text", "key", "value_json", "topics", "input", "trust", "metadata", "expire_time"):
        assert getattr(memory, name) == getattr(given, name)


async def test_defaults_are_those_of_the_protos(server: Harness) -> None:
    memory = await create(server, "Skis at Tahoe")

    assert (memory.layer, memory.trust) == (common.LAYER_KNOWLEDGE, common.TRUST_STATED)
    assert memory.memory_id
    assert memory.observe_time == memory.create_time
    assert memory.WhichOneof("expiration") is None


async def test_a_time_to_live_becomes_an_expire_time(server: Harness) -> None:
    memory = await create(server, "Is in Paris this week", ttl=Duration(seconds=3600))

    assert memory.WhichOneof("expiration") == "expire_time"
    assert memory.expire_time.seconds - memory.create_time.seconds in (3599, 3600)


async def test_an_update_sets_the_masked_fields_only(server: Harness) -> None:
    memory = await create(server, "Skis at Tahoe", topics=["sport"], input="I ski at Tahoe", metadata={"a": "1"})
    change = pb.Memory(memory_id=memory.memory_id, text="Skis at Kirkwood", metadata={"b": "2"}, etag=memory.etag)
    request = pb.UpdateMemoryRequest(scope=SARAH, memory=change, update_mask=FieldMask(paths=["text", "topics"]))
    reply = await server.memories.UpdateMemory(request)

    assert (reply.memory.text, list(reply.memory.topics)) == ("Skis at Kirkwood", [])
    assert (reply.memory.input, dict(reply.memory.metadata)) == ("I ski at Tahoe", {"a": "1"})
    assert (reply.memory.number, reply.memory.create_time) == (memory.number, memory.create_time)
    assert (reply.revision, reply.memory.etag != memory.etag) == (2, True)


async def test_a_star_replaces_everything_that_can_be(server: Harness) -> None:
    memory = await create(server, "Skis", topics=["sport"], key="hobby", expire_time=Timestamp(seconds=4_000_000_000))
    change = pb.Memory(layer=common.LAYER_KNOWLEDGE, key="hobby", text="Sails")
    request = pb.UpdateMemoryRequest(scope=SARAH, memory=change, update_mask=FieldMask(paths=["*"]))
    reply = await server.memories.UpdateMemory(request)

    assert (reply.memory.memory_id, reply.memory.text, list(reply.memory.topics)) == (memory.memory_id, "Sails", [])
    assert reply.memory.WhichOneof("expiration") is None


async def test_an_update_may_create_what_is_missing(server: Harness) -> None:
    memory = pb.Memory(layer=common.LAYER_PROFILE, key="role", text="Engineer", value_json='"Engineer"')
    request = pb.UpdateMemoryRequest(
        scope=SARAH, memory=memory, update_mask=FieldMask(paths=["text"]), allow_missing=True
    )
    created = await server.memories.UpdateMemory(request)
    request.memory.text = "Manager"
    changed = await server.memories.UpdateMemory(request)

    assert created.memory.memory_id == changed.memory.memory_id != ""
    assert (changed.memory.text, changed.memory.value_json, changed.revision) == ("Manager", '"Engineer"', 2)


async def test_what_an_update_leads_to_must_be_a_memory(server: Harness) -> None:
    memory = await create(server, "Skis")
    mask = FieldMask(paths=["value_json"])
    change = pb.Memory(memory_id=memory.memory_id, value_json="1")
    failure = await failing(
        server.memories.UpdateMemory(pb.UpdateMemoryRequest(scope=SARAH, memory=change, update_mask=mask))
    )
    empty = pb.Memory(memory_id="new", topics=["a"])
    missing = await failing(
        server.memories.UpdateMemory(
            pb.UpdateMemoryRequest(
                scope=SARAH, memory=empty, update_mask=FieldMask(paths=["topics"]), allow_missing=True
            )
        )
    )

    assert (failure.code, failure.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("memory.value_json",))
    assert (missing.code, missing.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("memory.text",))


async def test_a_deleted_memory_is_gone_and_may_be_missing(server: Harness) -> None:
    memory = await create(server, "Skis")
    gone = await server.memories.DeleteMemory(pb.DeleteMemoryRequest(scope=SARAH, memory_id=memory.memory_id))
    again = pb.DeleteMemoryRequest(scope=SARAH, memory_id=memory.memory_id)
    failure = await failing(server.memories.DeleteMemory(again))
    again.allow_missing = True
    nothing = await server.memories.DeleteMemory(again)

    assert (gone.revision, nothing.revision) == (2, 2)
    assert (failure.code, failure.reason) == (grpc.StatusCode.NOT_FOUND, "MEMORY_NOT_FOUND")


async def test_a_purged_text_is_gone_from_the_history(each_server: Harness) -> None:
    memory = await create(each_server, "a secret", metadata={"a": "secret"})
    await each_server.memories.DeleteMemory(pb.DeleteMemoryRequest(scope=SARAH, memory_id=memory.memory_id, purge=True))
    changes = await each_server.memories.ListMemoryChanges(pb.ListMemoryChangesRequest(scope=SARAH))

    assert [commit.revision for commit in changes.commits] == [2, 1]
    assert "secret" not in str(changes)


async def test_a_batch_is_one_commit_or_nothing(each_server: Harness) -> None:
    memory = await create(each_server, "Skis")
    operations = [
        pb.BatchWriteOperation(create=pb.CreateOperation(memory=pb.Memory(text="Sails"))),
        pb.BatchWriteOperation(
            update=pb.UpdateOperation(
                memory=pb.Memory(memory_id=memory.memory_id, text="Skis at Tahoe"),
                update_mask=FieldMask(paths=["text"]),
            )
        ),
        pb.BatchWriteOperation(delete=pb.DeleteOperation(memory_id="none", allow_missing=True)),
    ]
    reply = await each_server.memories.BatchWriteMemories(
        pb.BatchWriteMemoriesRequest(scope=SARAH, operations=operations)
    )
    operations[2].delete.allow_missing = False
    failure = await failing(
        each_server.memories.BatchWriteMemories(pb.BatchWriteMemoriesRequest(scope=SARAH, operations=operations))
    )

    assert (reply.revision, reply.commit.revision) == (2, 2)
    assert [change.kind for change in reply.commit.changes] == [pb.CHANGE_KIND_CREATED, pb.CHANGE_KIND_UPDATED]
    assert (failure.code, failure.fields) == (grpc.StatusCode.NOT_FOUND, ("operations[2].delete",))
    listed = await each_server.memories.ListMemories(pb.ListMemoriesRequest(scope=SARAH))
    assert (listed.revision, listed.total_size) == (2, 2)


async def test_a_batch_that_changes_nothing_has_no_revision(server: Harness) -> None:
    await create(server, "Skis")
    operations = [pb.BatchWriteOperation(delete=pb.DeleteOperation(memory_id="none", allow_missing=True))]
    reply = await server.memories.BatchWriteMemories(pb.BatchWriteMemoriesRequest(scope=SARAH, operations=operations))

    assert (reply.revision, reply.commit.revision) == (1, 0)


async def test_guards_refuse_what_changed(server: Harness) -> None:
    memory = await create(server, "Skis")
    await create(server, "Sails")
    mask = FieldMask(paths=["text"])
    stale = pb.UpdateMemoryRequest(
        scope=SARAH, memory=pb.Memory(memory_id=memory.memory_id, text="x", etag="0-0"), update_mask=mask
    )
    etag = await failing(server.memories.UpdateMemory(stale))
    expecting = pb.CreateMemoryRequest(scope=SARAH, memory=pb.Memory(text="x"), expected_revision=1)
    revision = await failing(server.memories.CreateMemory(expecting))

    assert (etag.code, etag.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    assert etag.metadata == {"memory_id": memory.memory_id, "etag": memory.etag}
    assert (revision.code, revision.reason) == (grpc.StatusCode.ABORTED, "REVISION_MISMATCH")
    assert revision.metadata == {"revision": "2"}


async def test_a_taken_id_or_key_names_its_holder(server: Harness) -> None:
    memory = await create(server, "Engineer", memory_id="m1", layer=common.LAYER_PROFILE, key="role")
    by_id = pb.CreateMemoryRequest(scope=SARAH, memory=pb.Memory(memory_id="m1", text="x"))
    by_key = pb.CreateMemoryRequest(scope=SARAH, memory=pb.Memory(layer=common.LAYER_PROFILE, key="role", text="x"))
    below = pb.CreateMemoryRequest(scope=SARAH, memory=pb.Memory(layer=common.LAYER_PROFILE, key="role.x", text="x"))

    failures = [await failing(server.memories.CreateMemory(request)) for request in (by_id, by_key, below)]

    assert [failure.reason for failure in failures] == ["MEMORY_EXISTS", "KEY_TAKEN", "KEY_CONFLICT"]
    assert [failure.code.name for failure in failures] == ["ALREADY_EXISTS", "ALREADY_EXISTS", "FAILED_PRECONDITION"]
    assert failures[0].metadata == failures[1].metadata == {"memory_id": memory.memory_id}


async def test_a_list_is_ordered_filtered_and_counted(server: Harness) -> None:
    for index in range(5):
        await create(server, f"text {index}", topics=["even" if index % 2 == 0 else "odd"])
    listed = await server.memories.ListMemories(pb.ListMemoriesRequest(scope=SARAH))
    even = await server.memories.ListMemories(
        pb.ListMemoriesRequest(
            scope=SARAH,
            filter=common.MemoryFilter(topics_any=["EVEN"]),
            order=pb.MEMORY_ORDER_CREATE_TIME_ASC,
        )
    )

    assert [memory.text for memory in listed.memories] == [f"text {index}" for index in (4, 3, 2, 1, 0)]
    assert (listed.total_size, listed.next_page_token, listed.revision) == (5, "", 5)
    assert [memory.text for memory in even.memories] == ["text 0", "text 2", "text 4"]


async def test_a_list_never_shows_what_changed_since_it_was_encoded(server: Harness) -> None:
    memory = await create(server, "Skis")
    await server.memories.ListMemories(pb.ListMemoriesRequest(scope=SARAH))
    change = pb.Memory(memory_id=memory.memory_id, text="Sails")
    await server.memories.UpdateMemory(
        pb.UpdateMemoryRequest(scope=SARAH, memory=change, update_mask=FieldMask(paths=["text"]))
    )
    listed = await server.memories.ListMemories(pb.ListMemoriesRequest(scope=SARAH))

    assert [each.text for each in listed.memories] == ["Sails"]


async def test_a_search_finds_with_scores_also_in_shared_users(server: Harness) -> None:
    await create(server, "Sarah skis at Tahoe in winter")
    await create(server, "Sarah works at Acme")
    team = common.Scope(user_id="team:support")
    await server.memories.CreateMemory(
        pb.CreateMemoryRequest(scope=team, memory=pb.Memory(text="The team skis in Chamonix"))
    )
    request = pb.SearchMemoriesRequest(scope=SARAH, query="where does she ski?", shared_user_ids=["team:support"])
    found = await server.memories.SearchMemories(request)

    assert {(hit.memory.text, hit.shared_user_id) for hit in found.hits} == {
        ("Sarah skis at Tahoe in winter", ""),
        ("The team skis in Chamonix", "team:support"),
    }
    assert all(hit.score > 0 for hit in found.hits)
    assert {hit.memory.scope.user_id for hit in found.hits} == {"sarah", "team:support"}
    assert (found.method, found.method_reason, found.revision) == (pb.SEARCH_METHOD_LEXICAL, "", 2)


async def test_what_a_search_keeps_of_users_is_counted(server: Harness) -> None:
    team = common.Scope(user_id="team:support")
    for scope in (SARAH, team):
        await server.memories.CreateMemory(pb.CreateMemoryRequest(scope=scope, memory=pb.Memory(text="Skis at Tahoe")))
    users = server.application.users

    for query in ("where does she ski?", "Tahoe"):
        await server.memories.SearchMemories(
            pb.SearchMemoriesRequest(scope=SARAH, query=query, shared_user_ids=["team:support"])
        )
        kept = [users.hot(Scope(DEFAULT_NAMESPACE, each.user_id)) for each in (SARAH, team)]
        assert users.hot_bytes == sum(each.size_bytes for each in kept if each is not None)


async def test_last_n_and_first_n_need_no_query(server: Harness) -> None:
    for index in range(3):
        await create(server, f"text {index}")
    last = await server.memories.SearchMemories(
        pb.SearchMemoriesRequest(scope=SARAH, method=pb.SEARCH_METHOD_LAST_N, top_k=2)
    )
    first = await server.memories.SearchMemories(
        pb.SearchMemoriesRequest(scope=SARAH, method=pb.SEARCH_METHOD_FIRST_N, top_k=1)
    )

    assert [hit.memory.text for hit in last.hits] == ["text 2", "text 1"]
    assert [hit.memory.text for hit in first.hits] == ["text 0"]


@pytest.mark.parametrize(
    ("method", "code", "reason"),
    [
        (pb.SEARCH_METHOD_SEMANTIC, grpc.StatusCode.FAILED_PRECONDITION, "NO_EMBEDDER"),
        (pb.SEARCH_METHOD_HYBRID, grpc.StatusCode.FAILED_PRECONDITION, "NO_EMBEDDER"),
        (pb.SEARCH_METHOD_AGENTIC, grpc.StatusCode.FAILED_PRECONDITION, "NO_MODEL"),
    ],
)
async def test_methods_that_are_not_there_say_so(
    server: Harness, method: pb.SearchMethod, code: grpc.StatusCode, reason: str
) -> None:
    request = pb.SearchMemoriesRequest(scope=SARAH, query="x", method=method)
    failure = await failing(server.memories.SearchMemories(request))

    assert (failure.code, failure.reason) == (code, reason)


async def test_clear_deletes_what_the_filter_names(each_server: Harness) -> None:
    for index in range(4):
        await create(each_server, f"text {index}", topics=["even" if index % 2 == 0 else "odd"])
    request = pb.ClearMemoriesRequest(
        scope=SARAH, filter=common.MemoryFilter(topics_any=["odd"]), validate_only=True, expected_revision=4
    )
    would = await each_server.memories.ClearMemories(request)
    request.validate_only = False
    did = await each_server.memories.ClearMemories(request)
    everything = await each_server.memories.ClearMemories(pb.ClearMemoriesRequest(scope=SARAH, all=True))

    assert (would.cleared_count, would.revision) == (2, 4)
    assert (did.cleared_count, did.revision) == (2, 5)
    assert (everything.cleared_count, everything.revision) == (2, 6)


async def test_large_memories_are_cleared_in_parts(server: Harness) -> None:
    text = "x" * 8000
    for start in range(0, 300, 100):
        operations = [
            pb.BatchWriteOperation(
                create=pb.CreateOperation(memory=pb.Memory(memory_id=f"{start + index}", text=text, input=text))
            )
            for index in range(100)
        ]
        await server.memories.BatchWriteMemories(pb.BatchWriteMemoriesRequest(scope=SARAH, operations=operations))
    cleared = await server.memories.ClearMemories(pb.ClearMemoriesRequest(scope=SARAH, all=True))

    assert cleared.cleared_count == 300
    listed = await server.memories.ListMemories(pb.ListMemoriesRequest(scope=SARAH))
    assert listed.total_size == 0


async def test_the_document_nests_keys_and_is_empty_without_memories(server: Harness) -> None:
    empty = await server.memories.GetUserMemory(pb.GetUserMemoryRequest(scope=SARAH))
    await create(server, "Knows Go", layer=common.LAYER_PROFILE, key="stack.languages", value_json='["Go"]')
    await create(server, "Too long", layer=common.LAYER_FEEDBACK, polarity=common.POLARITY_NEGATIVE)
    reply = await server.memories.GetUserMemory(
        pb.GetUserMemoryRequest(scope=SARAH, layers=[common.LAYER_PROFILE, common.LAYER_FEEDBACK])
    )

    assert (empty.document_json, empty.memory_count) == ("{}", 0)
    assert json.loads(reply.document_json) == {
        "profile": {"stack": {"languages": ["Go"]}},
        "feedback": {"positive": [], "negative": ["Too long"]},
    }
    assert (reply.memory_count, reply.revision) == (2, 2)


async def test_topics_come_most_frequent_first(server: Harness) -> None:
    await create(server, "a", topics=["x", "y"])
    await create(server, "b", topics=["y"])
    first = await server.memories.ListTopics(pb.ListTopicsRequest(scope=SARAH, page_size=1))
    second = await server.memories.ListTopics(
        pb.ListTopicsRequest(scope=SARAH, page_size=1, page_token=first.next_page_token)
    )

    assert [(each.topic, each.count) for each in (*first.topics, *second.topics)] == [("y", 2), ("x", 1)]
    assert second.next_page_token == ""


async def test_a_memory_counts_once_for_a_topic_that_it_names_twice(server: Harness) -> None:
    await create(server, "Skis", topics=["sport", "sport"])
    reply = await server.memories.ListTopics(pb.ListTopicsRequest(scope=SARAH))

    assert [(each.topic, each.count) for each in reply.topics] == [("sport", 1)]


async def test_the_changes_of_one_memory_are_its_own(each_server: Harness) -> None:
    memory = await create(each_server, "Skis")
    await create(each_server, "Sails")
    await each_server.memories.DeleteMemory(pb.DeleteMemoryRequest(scope=SARAH, memory_id=memory.memory_id))
    everything = await each_server.memories.ListMemoryChanges(pb.ListMemoryChangesRequest(scope=SARAH))
    own = await each_server.memories.ListMemoryChanges(
        pb.ListMemoryChangesRequest(scope=SARAH, memory_id=memory.memory_id)
    )

    assert [commit.revision for commit in everything.commits] == [3, 2, 1]
    assert [commit.revision for commit in own.commits] == [3, 1]
    assert own.commits[0].changes[0].before.text == "Skis"
    assert not everything.trimmed


async def test_an_expired_memory_is_swept_and_watchers_learn_why(server: Harness) -> None:
    stream = server.memories.WatchMemories(pb.WatchMemoriesRequest(scope=SARAH, send_initial=True))
    await stream.read()
    memory = await create(server, "Is in Paris", ttl=Duration(nanos=50_000_000))
    created, expired = await stream.read(), await stream.read()
    stream.cancel()

    assert created.commit.changes[0].after == memory
    assert [(change.kind, change.cause) for change in expired.commit.changes] == [
        (pb.CHANGE_KIND_DELETED, pb.CHANGE_CAUSE_EXPIRED)
    ]
    failure = await failing(server.memories.GetMemory(pb.GetMemoryRequest(scope=SARAH, memory_id=memory.memory_id)))
    assert failure.reason == "MEMORY_NOT_FOUND"


async def test_an_expired_memory_is_hidden_before_it_is_swept(server: Harness) -> None:
    await server.application.worker.stop()
    memory = await create(server, "Is in Paris", ttl=Duration(nanos=1))
    await create(server, "Skis")
    listed = await server.memories.ListMemories(pb.ListMemoriesRequest(scope=SARAH))
    failure = await failing(server.memories.GetMemory(pb.GetMemoryRequest(scope=SARAH, memory_id=memory.memory_id)))

    assert ([each.text for each in listed.memories], listed.total_size) == (["Skis"], 1)
    assert failure.reason == "MEMORY_NOT_FOUND"


async def test_reads_say_how_fresh_they_must_be(server: Harness) -> None:
    await create(server, "Skis")

    async def read(**requirement: object) -> pb.ListMemoriesResponse:
        consistency = common.Consistency(**requirement)  # type: ignore[arg-type]
        reply: pb.ListMemoriesResponse = await server.memories.ListMemories(
            pb.ListMemoriesRequest(scope=SARAH, consistency=consistency)
        )
        return reply

    assert (await read(latest=True)).revision == 1
    assert (await read(at_least_revision=1)).revision == 1
    ahead = pb.ListMemoriesRequest(scope=SARAH, consistency=common.Consistency(at_least_revision=9))
    failure = await failing(server.memories.ListMemories(ahead))
    assert (failure.code, failure.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "REVISION_NOT_REACHED")
    server.driver.broken = RuntimeError("down")
    assert (await read(max_staleness=Duration(seconds=60))).total_size == 1
    assert (await read(at_least_revision=1)).total_size == 1

from __future__ import annotations

import grpc
from rpc_harness import SARAH, Harness, failing, new_request_id, rest_of, said

from memsvc import __version__
from memsvc.v1 import admin_pb2 as pb
from memsvc.v1 import common_pb2 as common
from memsvc.v1 import extraction_pb2, memory_pb2, session_pb2


async def create(server: Harness, text: str, request_id: str = "", **fields: object) -> None:
    memory = memory_pb2.Memory(text=text, **fields)  # type: ignore[arg-type]
    await server.memories.CreateMemory(
        memory_pb2.CreateMemoryRequest(scope=SARAH, memory=memory, request_id=request_id)
    )


async def test_users_are_listed_by_namespace_in_order(each_server: Harness) -> None:
    for namespace, user_id in (("", "b"), ("", "a"), ("other", "c"), ("", "ä"), ("", "B")):
        scope = common.Scope(namespace=namespace, user_id=user_id)
        request = memory_pb2.CreateMemoryRequest(scope=scope, memory=memory_pb2.Memory(text="x"))
        await each_server.memories.CreateMemory(request)
    request = pb.ListUsersRequest(page_size=3)
    first = await each_server.admin.ListUsers(request)
    request.page_token = first.next_page_token
    second = await each_server.admin.ListUsers(request)

    assert [*first.user_ids, *second.user_ids] == ["B", "a", "b", "ä"]
    assert second.next_page_token == ""
    other = await each_server.admin.ListUsers(pb.ListUsersRequest(namespace="other"))
    assert list(other.user_ids) == ["c"]


async def test_stats_count_what_a_user_has(server: Harness) -> None:
    await create(server, "Skis")
    await create(server, "Engineer", layer=common.LAYER_PROFILE)
    server.engine.gate.clear()
    run = session_pb2.Run(session_id="s1", messages=[said("I ski")])
    await server.sessions.AppendRun(session_pb2.AppendRunRequest(scope=SARAH, run=run))
    stats = await server.admin.GetStats(pb.GetStatsRequest(scope=SARAH))

    assert (stats.memory_count, stats.memory_quota, stats.revision) == (2, 10_000, 2)
    assert {each.layer: each.count for each in stats.layers} == {common.LAYER_PROFILE: 1, common.LAYER_KNOWLEDGE: 1}
    assert (stats.run_count, stats.pending_run_count, stats.open_extraction_count) == (1, 1, 1)
    assert stats.update_time.seconds > 0


async def test_a_user_that_never_was_has_nothing(server: Harness) -> None:
    stats = await server.admin.GetStats(pb.GetStatsRequest(scope=SARAH))

    assert (stats.memory_count, stats.revision, stats.HasField("update_time")) == (0, 0, False)


async def test_an_erased_user_is_gone_its_watchers_know_and_revisions_go_on(each_server: Harness) -> None:
    request_id = new_request_id()
    await create(each_server, "Skis", request_id)
    each_server.engine.gate.clear()
    run = session_pb2.Run(session_id="s1", messages=[said("I ski")])
    accepted = await each_server.sessions.AppendRun(session_pb2.AppendRunRequest(scope=SARAH, run=run))
    memories = each_server.memories.WatchMemories(memory_pb2.WatchMemoriesRequest(scope=SARAH, send_initial=True))
    while (await memories.read()).WhichOneof("event") != "initial_done":
        pass
    learning = each_server.extractions.WatchExtraction(
        extraction_pb2.WatchExtractionRequest(scope=SARAH, extraction_id=accepted.extraction_id)
    )
    await learning.read()
    await each_server.engine.reading.wait()
    erasing = pb.EraseUserRequest(scope=SARAH, request_id=new_request_id())
    erased = await each_server.admin.EraseUser(erasing)
    again = await each_server.admin.EraseUser(erasing)
    watched = await rest_of(memories)
    learned = [reply.event for reply in await rest_of(learning)]
    each_server.engine.gate.set()

    assert erased == again
    assert (erased.erased_memory_count, erased.erased_run_count, erased.revision) == (1, 1, 2)
    assert [event.WhichOneof("event") for event in watched] == ["erased"]
    assert watched[0].erased.revision == 2
    failed = next(event.failed for event in learned if event.WhichOneof("event") == "failed")
    assert (failed.state, failed.reason) == (extraction_pb2.EXTRACTION_STATE_CANCELLED, "USER_ERASED")
    late = memory_pb2.CreateMemoryRequest(scope=SARAH, memory=memory_pb2.Memory(text="Skis"), request_id=request_id)
    failure = await failing(each_server.memories.CreateMemory(late))
    assert (failure.code, failure.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "USER_ERASED")
    assert not (await each_server.admin.ListUsers(pb.ListUsersRequest())).user_ids
    assert not (await each_server.sessions.ListRuns(session_pb2.ListRunsRequest(scope=SARAH))).runs
    await create(each_server, "New here")
    stats = await each_server.admin.GetStats(pb.GetStatsRequest(scope=SARAH))
    assert (stats.memory_count, stats.revision) == (1, 3)


async def test_the_server_says_what_it_is(server: Harness) -> None:
    info = await server.admin.GetServerInfo(pb.GetServerInfoRequest())

    assert (info.version, info.driver, info.engine, info.model) == (__version__, "memory", "learner", "")
    assert {each.name: each.supported for each in info.capabilities} == {
        "DURABLE": False,
        "FAILOVER": False,
        "SHARED": False,
        "HINTS": False,
    }
    assert info.capabilities[0].reason == "kept in RAM only"
    assert (info.memory_quota, info.max_request_bytes) == (10_000, 4 << 20)
    assert info.start_time.seconds > 0

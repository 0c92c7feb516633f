"""What is not kept for ever goes: runs, records and ended extractions, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from rpc_harness import Harness, failing, said

from memsvc.v1 import admin_pb2, common_pb2, extraction_pb2, memory_pb2, session_pb2
from memsvc.v1 import config_pb2 as pb

DAY = 86_400
USERS = tuple(f"user-{number:03}" for number in range(60))
"""More than a sweep takes at a time."""


async def keep(server: Harness, **seconds: int) -> None:
    kept = pb.RetentionSettings(**{name: Duration(seconds=value) for name, value in seconds.items()})
    request = pb.UpdateMemoryConfigRequest(
        settings=pb.MemorySettings(retention=kept), update_mask=FieldMask(paths=["retention"])
    )
    await server.configs.UpdateMemoryConfig(request)


def in_days(server: Harness, days: float) -> None:
    """Let the server's clock go on."""
    real = type(server.application.users)(server.application.driver).clock
    server.application.users.clock = lambda: real() + int(days * DAY * 1_000_000)


async def append(server: Harness, user_id: str, session_id: str, text: str = "I ski") -> str:
    run = session_pb2.Run(session_id=session_id, messages=[said(text), said("Noted", common_pb2.ROLE_ASSISTANT)])
    request = session_pb2.AppendRunRequest(
        scope=common_pb2.Scope(user_id=user_id), run=run, wait_for_learning={"seconds": 20}
    )
    return str((await server.sessions.AppendRun(request)).run_id)


async def runs_of(server: Harness, user_id: str) -> list[Any]:
    request = session_pb2.ListRunsRequest(scope=common_pb2.Scope(user_id=user_id))
    return list((await server.sessions.ListRuns(request)).runs)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await holds():
            await asyncio.sleep(0.02)


async def test_old_runs_go_and_what_was_learned_from_them_stays(each_server: Harness) -> None:
    server, scope = each_server, common_pb2.Scope(user_id="sarah")
    for number in range(20):
        await append(server, "sarah", "old", f"I like the number {number}")
    await append(server, "sarah", "both", "I row")
    in_days(server, 10)
    await append(server, "sarah", "both", "I sail")
    await append(server, "sarah", "new", "I ski")
    await keep(server, runs=9 * DAY)

    async def gone() -> bool:
        return len(await runs_of(server, "sarah")) == 2

    await until(gone)
    sessions = (await server.sessions.ListSessions(session_pb2.ListSessionsRequest(scope=scope))).sessions
    assert {each.session_id: (each.run_count, each.message_count) for each in sessions} == {
        "both": (1, 2),
        "new": (1, 2),
    }
    assert len((await server.memories.ListMemories(memory_pb2.ListMemoriesRequest(scope=scope))).memories) == 23
    found = await server.sessions.SearchHistory(session_pb2.SearchHistoryRequest(scope=scope, query="row number"))
    assert not [passage for passage in found.passages if "number" in passage.message.parts[0].text.text]
    failure = await failing(server.sessions.GetSession(session_pb2.GetSessionRequest(scope=scope, session_id="old")))
    assert failure.reason == "SESSION_NOT_FOUND"
    await append(server, "sarah", "both", "I swim")
    again = await server.sessions.GetSession(session_pb2.GetSessionRequest(scope=scope, session_id="both"))
    assert (again.session.run_count, again.session.message_count) == (2, 4)


async def test_what_is_still_to_be_learned_from_stays(server: Harness) -> None:
    server.engine.gate.clear()
    run = session_pb2.Run(session_id="s1", messages=[said("I ski")])
    scope = common_pb2.Scope(user_id="sarah")
    pending = await server.sessions.AppendRun(session_pb2.AppendRunRequest(scope=scope, run=run))
    await server.engine.reading.wait()
    await server.sessions.AppendRun(
        session_pb2.AppendRunRequest(scope=scope, run=run, learning_mode=common_pb2.LEARNING_MODE_OFF)
    )
    in_days(server, 3)
    await keep(server, runs=DAY)

    async def one_left() -> bool:
        return [each.run_id for each in await runs_of(server, "sarah")] == [pending.run_id]

    await until(one_left)
    server.engine.gate.set()
    await until(lambda: _is_learned(server))


async def _is_learned(server: Harness) -> bool:
    request = memory_pb2.ListMemoriesRequest(scope=common_pb2.Scope(user_id="sarah"))
    return len((await server.memories.ListMemories(request)).memories) == 1


async def test_a_sweep_begins_at_once_though_a_clock_was_ahead_before(server: Harness) -> None:
    in_days(server, 30)
    await keep(server, runs=400 * DAY)
    in_days(server, 0)
    await append(server, "sarah", "s1")
    in_days(server, 10)
    await keep(server, runs=9 * DAY)

    async def gone() -> bool:
        return not await runs_of(server, "sarah")

    await until(gone)


async def test_old_records_go_and_the_memories_stay(each_server: Harness) -> None:
    server, scope = each_server, common_pb2.Scope(user_id="sarah")
    for number in range(5):
        memory = memory_pb2.Memory(text=f"Likes {number}")
        await server.memories.CreateMemory(memory_pb2.CreateMemoryRequest(scope=scope, memory=memory))
    in_days(server, 30)
    memory = memory_pb2.Memory(text="Likes 5")
    await server.memories.CreateMemory(memory_pb2.CreateMemoryRequest(scope=scope, memory=memory))
    await keep(server, history=20 * DAY)
    past = memory_pb2.ListMemoriesRequest(scope=scope, consistency=common_pb2.Consistency(as_of_revision=3))

    async def trimmed() -> bool:
        try:
            await server.memories.ListMemories(past)
        except grpc.aio.AioRpcError as error:
            return error.code() is grpc.StatusCode.OUT_OF_RANGE
        return False

    await until(trimmed)
    past.consistency.as_of_revision = 5
    assert len((await server.memories.ListMemories(past)).memories) == 5
    assert len((await server.memories.ListMemories(memory_pb2.ListMemoriesRequest(scope=scope))).memories) == 6
    await append(server, "sarah", "s1")


async def test_extractions_that_ended_go(each_server: Harness) -> None:
    server, scope = each_server, common_pb2.Scope(user_id="sarah")
    await append(server, "sarah", "s1")
    run = session_pb2.Run(session_id="s2", messages=[said("Wait")])
    server.engine.gate.clear()
    held = await server.sessions.AppendRun(session_pb2.AppendRunRequest(scope=scope, run=run))
    in_days(server, 5)
    await keep(server, ended_extractions=DAY)

    async def left() -> list[str]:
        listed = await server.extractions.ListExtractions(extraction_pb2.ListExtractionsRequest(scope=scope))
        return [each.extraction_id for each in listed.extractions]

    async def one_left() -> bool:
        return await left() == [held.extraction_id]

    await until(one_left)
    assert {each.learning for each in await runs_of(server, "sarah")} == {
        common_pb2.LEARNING_STATE_LEARNED,
        common_pb2.LEARNING_STATE_PENDING,
    }


async def test_a_sweep_goes_through_all_users_of_its_namespace_and_through_no_other(each_server: Harness) -> None:
    server = each_server
    for user_id in USERS:
        await _append_quickly(server, common_pb2.Scope(user_id=user_id))
    other = common_pb2.Scope(namespace="other", user_id="sarah")
    await _append_quickly(server, other)
    in_days(server, 2)
    await keep(server, runs=DAY)

    async def all_gone() -> bool:
        counts = [len(await runs_of(server, user_id)) for user_id in (USERS[0], USERS[30], USERS[-1])]
        return not any(counts)

    await until(all_gone)
    assert len((await server.sessions.ListRuns(session_pb2.ListRunsRequest(scope=other))).runs) == 1
    stats = await server.admin.GetStats(admin_pb2.GetStatsRequest(scope=common_pb2.Scope(user_id=USERS[0])))
    assert stats.run_count == 1


async def _append_quickly(server: Harness, scope: common_pb2.Scope) -> None:
    run = session_pb2.Run(session_id="s1", messages=[said("I ski")])
    request = session_pb2.AppendRunRequest(scope=scope, run=run, learning_mode=common_pb2.LEARNING_MODE_OFF)
    await server.sessions.AppendRun(request)

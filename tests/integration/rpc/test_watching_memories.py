from __future__ import annotations

from typing import Any

import grpc
from google.protobuf.field_mask_pb2 import FieldMask
from rpc_harness import SARAH, Harness, failing, rest_of

from memsvc.model import Scope
from memsvc.v1 import admin_pb2
from memsvc.v1 import common_pb2 as common
from memsvc.v1 import memory_pb2 as pb


async def create(server: Harness, text: str, **fields: Any) -> pb.Memory:
    reply = await server.memories.CreateMemory(
        pb.CreateMemoryRequest(scope=SARAH, memory=pb.Memory(text=text, **fields))
    )
    created: pb.Memory = reply.memory
    return created


async def update(server: Harness, memory: pb.Memory, **fields: Any) -> None:
    change = pb.Memory(memory_id=memory.memory_id, **fields)
    await server.memories.UpdateMemory(
        pb.UpdateMemoryRequest(scope=SARAH, memory=change, update_mask=FieldMask(paths=list(fields)))
    )


def watch(server: Harness, **fields: Any) -> Any:
    return server.memories.WatchMemories(pb.WatchMemoriesRequest(scope=SARAH, **fields))


async def test_the_present_comes_first_then_every_commit_in_order(each_server: Harness) -> None:
    skis = await create(each_server, "Skis")
    stream = watch(each_server, send_initial=True)
    initial, done = await stream.read(), await stream.read()
    sails = await create(each_server, "Sails")
    await update(each_server, skis, text="Skis at Tahoe")
    await each_server.memories.DeleteMemory(pb.DeleteMemoryRequest(scope=SARAH, memory_id=sails.memory_id))
    commits = [(await stream.read()).commit for _ in range(3)]
    stream.cancel()

    assert (initial.initial, initial.resume_token) == (skis, "")
    assert done.initial_done.revision == 1
    assert [commit.revision for commit in commits] == [2, 3, 4]
    assert [commit.changes[0].kind for commit in commits] == [
        pb.CHANGE_KIND_CREATED,
        pb.CHANGE_KIND_UPDATED,
        pb.CHANGE_KIND_DELETED,
    ]
    assert commits[1].changes[0].before.text == "Skis"


async def test_a_watch_resumes_after_each_of_its_tokens(each_server: Harness) -> None:
    stream = watch(each_server, send_initial=True)
    tokens = [(await stream.read()).resume_token]
    for index in range(3):
        await create(each_server, f"text {index}")
        tokens.append((await stream.read()).resume_token)
    stream.cancel()

    for index, token in enumerate(tokens[:-1]):
        resumed = watch(each_server, resume_token=token)
        revisions = [(await resumed.read()).commit.revision for _ in range(3 - index)]
        resumed.cancel()
        assert revisions == list(range(index + 1, 4))


async def test_what_stops_matching_is_sent_as_deleted(server: Harness) -> None:
    stream = watch(server, filter=common.MemoryFilter(topics_any=["sport"]), send_initial=True)
    await stream.read()
    await create(server, "Reads", topics=["books"])
    memory = await create(server, "Skis", topics=["sport"])
    await update(server, memory, topics=["winter"])
    await update(server, memory, topics=["sport"])
    changes = [(await stream.read()).commit.changes[0] for _ in range(3)]
    stream.cancel()

    assert [change.kind for change in changes] == [
        pb.CHANGE_KIND_CREATED,
        pb.CHANGE_KIND_DELETED,
        pb.CHANGE_KIND_CREATED,
    ]
    assert [change.HasField("before") for change in changes] == [False, True, False]
    assert [change.HasField("after") for change in changes] == [True, False, True]
    assert list(changes[1].before.topics) == ["sport"]
    assert list(changes[2].after.topics) == ["sport"]


async def test_an_idle_watch_moves_its_token_forward(server: Harness) -> None:
    server.application.memory_history.heartbeat_seconds = 0.0
    stream = watch(server, filter=common.MemoryFilter(topics_any=["sport"]))
    first = await stream.read()
    await create(server, "Reads", topics=["books"])
    events = [await stream.read()]
    while events[-1].bookmark.revision < 1:
        events.append(await stream.read())
    stream.cancel()

    assert {event.WhichOneof("event") for event in (first, *events)} == {"bookmark"}
    assert events[-1].resume_token != first.resume_token


async def test_the_first_event_comes_at_once_and_from_its_token_on_nothing_is_missed(each_server: Harness) -> None:
    await create(each_server, "before")
    for wanted in (None, common.MemoryFilter(topics_any=["sport"])):
        stream = watch(each_server, filter=wanted)
        first = await stream.read()
        stream.cancel()
        missed = await create(each_server, "said while nobody watched", topics=["sport"])
        resumed = watch(each_server, filter=wanted, resume_token=first.resume_token)
        event = await resumed.read()
        resumed.cancel()

        assert first.WhichOneof("event") == "bookmark"
        assert event.commit.changes[0].after == missed


async def test_a_resumed_watch_of_which_nothing_was_missed_begins_at_once_too(server: Harness) -> None:
    stream = watch(server, send_initial=True)
    done = await stream.read()
    stream.cancel()
    resumed = watch(server, resume_token=done.resume_token)
    first = await resumed.read()
    resumed.cancel()

    assert (first.WhichOneof("event"), first.resume_token) == ("bookmark", done.resume_token)


async def test_the_present_is_not_sent_to_who_resumes(server: Harness) -> None:
    stream = watch(server, send_initial=True)
    token = (await stream.read()).resume_token
    stream.cancel()
    failure = await failing(watch(server, send_initial=True, resume_token=token))

    assert (failure.code, failure.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("send_initial",))


async def test_a_token_from_before_an_erasure_or_the_floor_is_out_of_range(each_server: Harness) -> None:
    stream = watch(each_server, send_initial=True)
    await stream.read()
    await create(each_server, "Skis")
    token = (await stream.read()).resume_token
    stream.cancel()
    for index in range(3):
        await create(each_server, f"text {index}")
    scope = Scope("default", "sarah")
    await each_server.application.driver.truncate(scope, 4)
    failure = await failing(watch(each_server, resume_token=token))

    assert (failure.code, failure.reason) == (grpc.StatusCode.OUT_OF_RANGE, "HISTORY_TRIMMED")


async def test_a_client_that_vanishes_leaves_nothing_behind(server: Harness) -> None:
    users = server.application.users
    stream = watch(server, send_initial=True)
    await stream.read()
    watched = dict(users.moves._events)
    stream.cancel()
    await server.channel.close(grace=None)
    async with grpc.aio.insecure_channel(server.edge.addresses[0]) as channel:
        # The server handles what comes over another connection after it saw the first one close.
        other = Harness(server.application, server.engine, server.driver, server.edge, channel)
        while users.moves._events:
            await create(other, "text")

    assert list(watched) == [Scope("default", "sarah")]


async def test_a_reader_that_does_not_read_holds_up_nobody(server: Harness) -> None:
    stream = watch(server, send_initial=True)
    await stream.read()
    for index in range(60):
        await create(server, f"{index} " + "x" * 8000)
    events = [await stream.read() for _ in range(60)]
    stream.cancel()

    assert [event.commit.revision for event in events] == list(range(1, 61))


async def test_the_last_event_after_an_erasure_is_erased(server: Harness) -> None:
    stream = watch(server, send_initial=True)
    await stream.read()
    await create(server, "Skis")
    await server.admin.EraseUser(admin_pb2.EraseUserRequest(scope=SARAH))
    events = await rest_of(stream)

    assert events[-1].WhichOneof("event") == "erased"
    assert events[-1].erased.revision == 2

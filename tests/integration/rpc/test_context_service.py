from __future__ import annotations

import gc
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from msgspec.structs import force_setattr
from rpc_harness import SARAH, Harness, failing, said

from memsvc.sessions import Quiet
from memsvc.v1 import common_pb2 as common
from memsvc.v1 import context_pb2 as pb
from memsvc.v1 import memory_pb2, message_pb2, session_pb2


async def create(server: Harness, text: str, scope: common.Scope = SARAH, **fields: Any) -> memory_pb2.Memory:
    memory = memory_pb2.Memory(text=text, **fields)
    reply = await server.memories.CreateMemory(memory_pb2.CreateMemoryRequest(scope=scope, memory=memory))
    created: memory_pb2.Memory = reply.memory
    return created


async def compiled(server: Harness, **fields: Any) -> pb.CompileContextResponse:
    reply: pb.CompileContextResponse = await server.contexts.CompileContext(
        pb.CompileContextRequest(scope=SARAH, **fields)
    )
    return reply


async def test_a_user_whose_context_is_kept_costs_the_collector_little(server: Harness) -> None:
    users = [common.Scope(namespace=SARAH.namespace, user_id=f"user-{number}") for number in range(100)]
    for scope in users:
        await create(server, "Skis at Tahoe", scope)
        await create(server, "Sarah", scope, layer=common.LAYER_PROFILE, key="name")

    counts = []
    for some in (users[:20], users[20:]):
        for scope in some:
            await server.contexts.CompileContext(pb.CompileContextRequest(scope=scope, query="sport"))
        gc.collect()
        gc.collect()
        counts.append(len(gc.get_objects()))

    assert counts[1] - counts[0] < 7 * 80


async def test_a_context_has_sections_text_ids_and_an_etag(each_server: Harness) -> None:
    skis = await create(each_server, "Skis at Tahoe")
    name = await create(each_server, "Sarah", layer=common.LAYER_PROFILE, key="name")
    first = await compiled(each_server, query="sport")
    again = await compiled(each_server, query="sport")

    assert first.text == "".join(section.text for section in first.sections)
    assert first.text.startswith("<user_memory>")
    assert "name: Sarah" in first.text
    assert list(first.memory_ids) == [name.memory_id, skis.memory_id]
    assert (first.token_counter, first.tokens, first.revision) == ("bytes4", -(-len(first.text) // 4), 2)
    assert first.etag == again.etag != ""
    assert again.read_time.ToNanoseconds() > first.read_time.ToNanoseconds()
    again.read_time.CopyFrom(first.read_time)
    assert first == again


async def test_a_changed_memory_changes_the_context(server: Harness) -> None:
    memory = await create(server, "Skis at Tahoe")
    first = await compiled(server)
    await server.memories.DeleteMemory(memory_pb2.DeleteMemoryRequest(scope=SARAH, memory_id=memory.memory_id))
    second = await compiled(server)

    assert "Tahoe" in first.text
    assert (second.text, second.revision, second.etag != first.etag) == ("", 2, True)


async def test_the_holder_of_the_etag_gets_no_text(server: Harness) -> None:
    await create(server, "Skis at Tahoe")
    first = await compiled(server)
    second = await compiled(server, etag=first.etag)

    assert second.unchanged
    assert (second.text, len(second.sections), len(second.memory_ids)) == ("", 0, 0)
    assert (second.etag, second.tokens, second.revision) == (first.etag, first.tokens, 1)


async def test_what_does_not_fit_is_counted(server: Harness) -> None:
    for index in range(40):
        await create(server, f"A fact of some length, number {index}")
    reply = await compiled(server, budget=pb.ContextBudget(max_characters=500))
    by_tokens = await compiled(server, budget=pb.ContextBudget(max_tokens=100, token_counter="bytes4"))

    assert len(reply.text) <= 500
    assert by_tokens.tokens <= 100
    (cut,) = reply.cuts
    assert (cut.layer, cut.reason) == (common.LAYER_KNOWLEDGE, pb.CUT_REASON_BUDGET)
    assert cut.memory_count == 40 - len(reply.memory_ids) == len(cut.memory_ids)


async def test_a_query_chooses_what_stays(server: Harness) -> None:
    for index in range(60):
        await create(server, f"A fact of some length, number {index}")
    await create(server, "Sarah plays the cello")
    for index in range(60):
        await create(server, f"Another fact of some length, number {index}")
    budget = pb.ContextBudget(max_characters=300)

    assert "cello" in (await compiled(server, budget=budget, query="which instrument? the cello?")).text
    assert "cello" not in (await compiled(server, budget=budget)).text


async def test_filters_formats_and_layers_shape_the_text(server: Harness) -> None:
    await create(server, "Skis", topics=["sport"])
    await create(server, "Reads", topics=["books"])
    await create(server, "Answer briefly", layer=common.LAYER_POLICY)
    wanted = common.MemoryFilter(topics_any=["sport"])
    filtered = await compiled(server, filter=wanted, format=pb.CONTEXT_FORMAT_MARKDOWN, wrapper=False)
    layered = await compiled(server, layers=[common.LAYER_POLICY], format=pb.CONTEXT_FORMAT_JSON)

    assert "Skis" in filtered.text
    assert "Reads" not in filtered.text
    assert "<" not in filtered.text
    assert "Answer briefly" in layered.text
    assert "Skis" not in layered.text


async def test_shared_users_come_in_sections_of_their_own(server: Harness) -> None:
    await create(server, "Skis")
    await create(server, "We ship on Fridays", scope=common.Scope(user_id="team:support"))
    reply = await compiled(server, shared_user_ids=["team:support"])

    assert {(section.shared_user_id) for section in reply.sections if "Fridays" in section.text} == {"team:support"}
    assert reply.revision == 1


async def test_history_comes_with_it_under_its_own_budget(server: Harness) -> None:
    for index in range(4):
        run = session_pb2.Run(session_id="s1", messages=[said(f"text {index}")])
        await server.sessions.AppendRun(
            session_pb2.AppendRunRequest(scope=SARAH, run=run, learning_mode=common.LEARNING_MODE_OFF)
        )

    async def texts(**fields: Any) -> list[str]:
        reply = await compiled(server, history=pb.ContextHistory(session_id="s1", **fields))
        return [message.parts[0].text.text for message in reply.history]

    assert await texts() == ["text 1", "text 2", "text 3"]
    assert await texts(last_runs=1) == ["text 3"]
    assert await texts(max_characters=13) == ["text 2", "text 3"]
    assert await texts(max_characters=5) == []


async def test_pending_runs_are_counted_and_can_be_waited_for(server: Harness) -> None:
    force_setattr(server.application, "quiet", Quiet(60.0, 60.0))
    run = session_pb2.Run(session_id="s1", messages=[said("I ski")])
    await server.sessions.AppendRun(session_pb2.AppendRunRequest(scope=SARAH, run=run))
    before = await compiled(server)
    after = await compiled(server, wait_for_learning=Duration(seconds=10))

    assert (before.pending_run_count, "I ski" in before.text) == (1, False)
    assert (after.pending_run_count, "I ski" in after.text) == (0, True)


async def test_a_context_beyond_the_size_of_a_reply_is_refused(server: Harness) -> None:
    for start in range(0, 1000, 200):
        operations = [
            memory_pb2.BatchWriteOperation(
                create=memory_pb2.CreateOperation(memory=memory_pb2.Memory(text=f"{start + index} " + "語" * 1000))
            )
            for index in range(200)
        ]
        await server.memories.BatchWriteMemories(
            memory_pb2.BatchWriteMemoriesRequest(scope=SARAH, operations=operations)
        )
    budget = pb.ContextBudget(max_characters=1_000_000)
    failure = await failing(server.contexts.CompileContext(pb.CompileContextRequest(scope=SARAH, budget=budget)))

    assert (failure.code, failure.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RESULT_TOO_LARGE")


async def test_what_was_said_about_the_query_comes_after_the_memories(server: Harness) -> None:
    for session_id, text in (("s1", "We took in a greyhound"), ("s2", "The greyhound is called Comet")):
        run = session_pb2.Run(session_id=session_id, messages=[said(text)])
        await server.sessions.AppendRun(session_pb2.AppendRunRequest(scope=SARAH, run=run, learning_mode=2))

    async def text_of(**fields: object) -> str:
        request = pb.CompileContextRequest(scope=SARAH, query="greyhound", **fields)  # type: ignore[arg-type]
        reply = await server.contexts.CompileContext(request)
        return str(reply.text)

    recalled = await text_of(recall=True)
    assert "user: We took in a greyhound" in recalled
    assert recalled.index("greyhound\n") < recalled.index("Comet")
    assert "greyhound" not in await text_of(recall=False)
    # Messages that come as history are not repeated.
    with_history = await text_of(recall=True, history=pb.ContextHistory(session_id="s2"))
    assert "We took in" in with_history
    assert "Comet" not in with_history


async def test_characters_of_a_history_count_what_tools_are_asked_and_answer(server: Harness) -> None:
    def ran(session_id: str, part: message_pb2.Part, role: int) -> session_pb2.AppendRunRequest:
        message = message_pb2.Message(role=role, parts=[part])  # type: ignore[arg-type]
        return session_pb2.AppendRunRequest(
            scope=SARAH, run=session_pb2.Run(session_id=session_id, messages=[said("look it up"), message])
        )

    long = '{"x": "' + "x" * 50_000 + '"}'
    asked = message_pb2.ToolCallPart(id="c1", name="look", arguments_json=long)
    text = message_pb2.Part(text=message_pb2.TextPart(text=long))
    answered = message_pb2.ToolResultPart(call_id="c1", parts=[text])
    own = message_pb2.ProviderPart(provider="openai", json=long)
    parts = {
        "asked": (message_pb2.Part(tool_call=asked), common.ROLE_ASSISTANT),
        "answered": (message_pb2.Part(tool_result=answered), common.ROLE_TOOL),
        "own": (message_pb2.Part(provider=own), common.ROLE_ASSISTANT),
    }
    for session_id, (part, role) in parts.items():
        await server.sessions.AppendRun(ran(session_id, part, role))
        await server.sessions.AppendRun(
            session_pb2.AppendRunRequest(
                scope=SARAH, run=session_pb2.Run(session_id=session_id, messages=[said("thanks")])
            )
        )
        history = pb.ContextHistory(session_id=session_id, max_characters=1_000)
        reply = await compiled(server, history=history)

        assert [message.parts[0].text.text for message in reply.history] == ["thanks"]

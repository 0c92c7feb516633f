"""One turn of an agent: its memory may be down, the agent is not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fake_memory_service import FakeMemoryService, Running

from memsvc.rpc.messages import read_messages
from memsvc.v1 import common_pb2
from memsvc_client import (
    AsyncMemoryClient,
    ClientMisused,
    Media,
    MemoryClient,
    Message,
    ProviderPart,
    ToolCall,
    ToolResult,
)
from memsvc_client.message import MessageLike
from memsvc_client.turn import QUERY_BYTES, UNAVAILABLE, Turn

SAID = [("user", "I ski"), ("assistant", "Nice")]


@pytest.fixture
def nowhere() -> Iterator[MemoryClient]:
    with MemoryClient("127.0.0.1:1") as client:
        yield client


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "memsvc"]


def test_without_memory_everything_is_empty_and_one_line_says_so(
    nowhere: MemoryClient, caplog: pytest.LogCaptureFixture
) -> None:
    turn = Turn(nowhere, "sarah", "s1")
    assert turn.context("Where do I ski?") == ""
    assert turn.tools() == []
    assert turn.call_tool("save_memory", {"text": "Skis"}) == UNAVAILABLE
    assert turn.append(SAID) is None
    assert turn.failure is not None
    assert len(lines(caplog)) == 1
    assert "memory_down" in lines(caplog)[0]


async def test_without_memory_the_same_holds_for_asyncio(caplog: pytest.LogCaptureFixture) -> None:
    async with AsyncMemoryClient("127.0.0.1:1") as client:
        turn = Turn(client, "sarah", "s1")
        assert await turn.acontext("Where do I ski?") == ""
        assert await turn.atools() == []
        assert await turn.acall_tool("save_memory", {"text": "Skis"}) == UNAVAILABLE
        assert await turn.aappend(SAID) is None
    assert len(lines(caplog)) == 1


def test_a_limit_that_is_over_by_itself_stops_no_agent(
    service: FakeMemoryService, client: MemoryClient, caplog: pytest.LogCaptureFixture
) -> None:
    service.faults.limited |= {"CompileContext", "AppendRun"}
    turn = Turn(client, "sarah", "s1")
    assert turn.context("Where do I ski?") == ""
    assert turn.append(SAID) is None
    [line] = lines(caplog)
    assert line.startswith("memory_down: the agent goes on without it: ResourceExhausted LIMIT_REACHED ")


async def test_a_blocking_client_is_called_in_a_thread(service: FakeMemoryService, client: MemoryClient) -> None:
    turn = Turn(client, "sarah", "s1", mode="both")
    await turn.acontext("Where do I ski?")
    receipt = await turn.aappend(SAID)
    assert receipt is not None
    assert (turn.failure, receipt.run_id != "") == (None, True)


async def test_an_asyncio_client_is_refused_where_nothing_can_await_it(running: Running) -> None:
    async with AsyncMemoryClient(running.target) as client:
        with pytest.raises(ClientMisused, match="give a MemoryClient"):
            Turn(client, "sarah", "s1").context()
        with pytest.raises(ClientMisused, match="give a MemoryClient"):
            Turn(client, "sarah", "s1").append(SAID)


def test_a_long_question_is_cut_at_its_beginning(service: FakeMemoryService, client: MemoryClient) -> None:
    Turn(client, "sarah", "s1").context("é" * QUERY_BYTES + " Where do I ski?")
    asked = service.received("CompileContext")[-1].request.query
    assert asked.endswith("Where do I ski?")
    assert len(asked.encode()) <= QUERY_BYTES


def test_a_run_that_cannot_be_stored_costs_no_answer(client: MemoryClient, caplog: pytest.LogCaptureFixture) -> None:
    turn = Turn(client, "sarah", "s1")
    assert turn.append([("user", "a secret"), ("nobody", "b")]) is None
    assert lines(caplog) == ["run_not_stored: ValueError"]


async def test_what_no_text_of_memory_may_hold_costs_no_run(service: FakeMemoryService, client: MemoryClient) -> None:
    def call(arguments: str) -> dict[str, Any]:
        return {"id": "c1", "type": "function", "function": {"name": "cat", "arguments": arguments}}

    calls = [call(each) for each in ('{"a": "\\u0000"}', "", "not JSON", '"text"', "[1]", '{"a": NaN}')]
    said: list[MessageLike] = [
        ("user", "What is\0 in it?"),
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c1", "content": "ELF\0\0ab"},
        Message("assistant", ("A program", Media("image/png", caption="Its\0 icon")), author_id="bot"),
    ]
    turn = Turn(client, "sarah", "s1")
    for stored in (turn.append(said), await turn.aappend(said), await turn.aappend_once(said, "r1")):
        assert stored
    for received in service.received("AppendRun"):
        asked, called, read, told = received.request.run.messages
        assert asked.parts[0].text.text == "What is in it?"
        given = [part.tool_call.arguments_json for part in called.parts]
        assert given[:2] == ['{"a": "\\u0000"}', ""]
        assert [json.loads(each) for each in given[2:]] == [
            {"input": "not JSON"},
            {"input": '"text"'},
            {"input": "[1]"},
            {"input": '{"a": NaN}'},
        ]
        assert read.parts[0].tool_result.parts[0].text.text == "ELFab"
        assert (told.parts[0].text.text, told.parts[1].media.caption, told.author_id) == (
            "A program",
            "Its icon",
            "bot",
        )


async def test_half_of_a_character_costs_neither_the_context_nor_the_run(
    service: FakeMemoryService, client: MemoryClient
) -> None:
    turn = Turn(client, "sarah", "s1")
    turn.context("Where \ud83d do I ski\ud83d\ude00?")
    await turn.asearch("Where \ud83d?")
    assert turn.append([("user", "I ski\ud83d")])
    assert service.received("CompileContext")[-1].request.query == "Where \ufffd do I ski😀?"
    assert service.received("SearchMemories")[-1].request.query == "Where \ufffd?"
    [run] = service.received("AppendRun")
    assert run.request.run.messages[0].parts[0].text.text == "I ski\ufffd"


async def test_a_run_that_is_given_again_is_stored_once(service: FakeMemoryService, client: MemoryClient) -> None:
    turn = Turn(client, "sarah", "s1")
    assert await turn.aappend_once(SAID, "r1")
    assert await Turn(client, "sarah", "s1").aappend_once(SAID, "r1")
    assert [run.run_id for run in client.user("sarah").runs("s1")] == ["r1"]


LONG = "é" * 300_000
ANSWER: dict[str, Any] = {"role": "tool", "tool_call_id": "c1", "content": LONG}
LARGE: list[tuple[list[MessageLike], int]] = [
    ([("user", "Read it"), ANSWER, ("assistant", "Long")], 1),
    ([("user", LONG)], 1),
    ([("user", "Read it"), *[ANSWER] * 12, ("assistant", "Long")], 2),
    ([("user", "Count"), *[("assistant", "1")] * 2_500], 3),
    ([Message("assistant", [ToolCall("c1", "write", json.dumps({"text": '"' * 300_000}))])], 1),
    ([Message("assistant", [LONG, Media("image/png", caption=LONG), LONG, "\0" * 9, "end"])], 1),
    ([Message("tool", [ToolResult("c1", ["a" * 200_000, ProviderPart(json.dumps(["a" * 200_000]))])])], 1),
    ([Message("assistant", [ProviderPart(json.dumps({"image": "a" * 300_000}))])], 1),
    ([Message("user", ["a" * 300] * 900)], 1),
    ([Message("user", ["a"] * 1_001)], 1),
    ([Message("tool", [ToolResult("c1", ["a" * 300] * 1_500)])], 1),
    ([Message("tool", [ToolResult(f"c{number}", ["a", "b"]) for number in range(600)])], 1),
    ([Message("tool", [ToolResult("c1", ["a"] * 1_100), *["a"] * 300, ToolResult("c2", ["a"] * 1_200)])], 1),
]


@pytest.mark.parametrize(("said", "run_count"), LARGE)
async def test_what_is_too_large_costs_no_turn(
    said: list[MessageLike], run_count: int, service: FakeMemoryService, client: MemoryClient
) -> None:
    turn = Turn(client, "sarah", "s1")
    assert turn.append(said)
    assert await turn.aappend(said)
    assert await turn.aappend_once(said, "r1")
    assert await turn.aappend_once(said, "r1")
    runs = [each.request.run for each in service.received("AppendRun")]
    assert len(runs) == 4 * run_count
    assert [run.run_id for run in runs[2 * run_count :]] == ["r1", "r1-2", "r1-3"][:run_count] * 2
    for run in runs:
        read_messages(run.messages, "run.messages")
    assert sum(len(run.messages) for run in runs) == 4 * len(said)


def test_what_is_cut_is_kept_by_its_beginning_with_how_much_is_left_out(
    service: FakeMemoryService, client: MemoryClient
) -> None:
    call = ToolCall("c1", "write", json.dumps({"text": '"' * 300_000}))
    image = ProviderPart(json.dumps({"image": "a" * 300_000}))
    Turn(client, "sarah", "s1").append([ANSWER, Message("assistant", [call]), Message("assistant", [image])])
    [[read, wrote, seen]] = [each.request.run.messages for each in service.received("AppendRun")]
    text = read.parts[0].tool_result.parts[0].text.text
    kept = text.partition("\n")[0]
    assert set(kept) == {"é"}
    assert text == f"{kept}\n[... {600_000 - 2 * len(kept)} bytes left out]"
    assert 262_100 < len(text.encode()) <= 262_144
    arguments = json.loads(wrote.parts[0].tool_call.arguments_json)["input"]
    assert arguments.startswith('{"text": "\\"')
    assert arguments.endswith(" bytes left out]")
    assert seen.parts[0].text.text == f"[... {len(image.json)} bytes left out]"


def test_of_too_many_parts_the_first_are_kept_with_how_many_are_left_out(
    service: FakeMemoryService, client: MemoryClient
) -> None:
    answer = Message("tool", [ToolResult("c1", [f"line {number}" for number in range(1_500)])])
    many = Message("user", [f"line {number}" for number in range(1_001)])
    Turn(client, "sarah", "s1").append([many, answer, Message("assistant", ["a"] * 1_000)])
    [[said, read, whole]] = [each.request.run.messages for each in service.received("AppendRun")]
    assert [part.text.text for part in said.parts[997:]] == ["line 997", "line 998", "[... 2 parts left out]"]
    [result] = [part.tool_result for part in read.parts]
    assert [part.text.text for part in result.parts[996:]] == ["line 996", "line 997", "[... 502 parts left out]"]
    assert {part.text.text for part in whole.parts} == {"a"}


def test_a_message_as_large_as_one_may_be_is_stored_as_it_is(service: FakeMemoryService, client: MemoryClient) -> None:
    said: list[MessageLike] = [("user", "a" * 262_144)] * 8
    Turn(client, "sarah", "s1").append(said)
    [run] = service.received("AppendRun")
    assert {message.parts[0].text.text for message in run.request.run.messages} == {"a" * 262_144}


def test_a_call_and_its_answers_stay_together_where_a_turn_is_several_runs(
    service: FakeMemoryService, client: MemoryClient
) -> None:
    called: dict[str, Any] = {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f"}}]}
    answered: dict[str, Any] = {"role": "tool", "tool_call_id": "c", "content": "ok"}
    Turn(client, "sarah", "s1").append([("user", "Go"), *[called, answered, answered] * 500], replaces_run_id="r0")
    runs = [each.request.run for each in service.received("AppendRun")]
    assert [(len(run.messages), run.replaces_run_id) for run in runs] == [(1_000, "r0"), (501, "")]
    assert runs[1].messages[0].role == common_pb2.ROLE_ASSISTANT
    assert [each.request.skip_stored for each in service.received("AppendRun")] == [True, False]
    Turn(client, "ben", "s1").append([called, *[answered] * 1_500, ("system", "Be brief.")])
    assert [len(each.request.run.messages) for each in service.received("AppendRun")[2:]] == [1_000, 501]


async def test_a_run_that_memory_could_not_take_is_told_from_one_that_it_never_will(
    nowhere: MemoryClient, client: MemoryClient, caplog: pytest.LogCaptureFixture
) -> None:
    down = Turn(nowhere, "sarah", "s1")
    assert not await down.aappend_once(SAID, "r1")
    assert down.failure is not None
    there = Turn(client, "sarah", "s1")
    assert not await there.aappend_once([("nobody", "b")], "r1")
    assert there.failure is None
    assert len(lines(caplog)) == 2


async def test_a_search_finds_nothing_without_memory(nowhere: MemoryClient, caplog: pytest.LogCaptureFixture) -> None:
    assert await Turn(nowhere, "sarah", "s1").asearch("Where do I ski?", limit=3) == []
    assert len(lines(caplog)) == 1


def test_nobody_named_is_an_error(client: MemoryClient) -> None:
    with pytest.raises(ValueError, match="no user"):
        Turn(client, None, "s1")

"""Agents hand over all messages of a conversation each turn; the session holds each of them once."""

from __future__ import annotations

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rpc_harness import SARAH, Harness, failing, new_request_id, said

from memsvc.sessions.stored import overlap
from memsvc.v1 import common_pb2 as common
from memsvc.v1 import message_pb2
from memsvc.v1 import session_pb2 as pb

ASSISTANT, SYSTEM, TOOL = common.ROLE_ASSISTANT, common.ROLE_SYSTEM, common.ROLE_TOOL


def turn(number: int) -> list[message_pb2.Message]:
    return [said(f"question {number}"), said(f"answer {number}", ASSISTANT)]


async def append(server: Harness, messages: list[message_pb2.Message], **fields: str) -> pb.AppendRunResponse:
    run = pb.Run(session_id="s1", messages=messages, **fields)  # type: ignore[arg-type]
    request = pb.AppendRunRequest(scope=SARAH, run=run, skip_stored=True, learning_mode=common.LEARNING_MODE_OFF)
    reply: pb.AppendRunResponse = await server.sessions.AppendRun(request)
    return reply


async def texts(server: Harness) -> list[str]:
    history = await server.sessions.GetHistory(pb.GetHistoryRequest(scope=SARAH, session_id="s1", last_runs=100))
    return [message.parts[0].text.text for message in history.messages]


async def test_a_list_that_grows_is_stored_once(each_server: Harness) -> None:
    messages = [said("Be kind.", SYSTEM)]
    for number in range(4):
        messages += turn(number)
        await append(each_server, messages)
    session = await each_server.sessions.GetSession(pb.GetSessionRequest(scope=SARAH, session_id="s1"))

    assert await texts(each_server) == [f"{what} {n}" for n in range(4) for what in ("question", "answer")]
    assert (session.session.run_count, session.session.message_count) == (4, 8)


async def test_a_repeat_of_a_list_that_held_nothing_new_stores_nothing_later_either(each_server: Harness) -> None:
    whole = [said("Be kind.", SYSTEM), *turn(0), *turn(1)]
    await append(each_server, whole)
    run = pb.Run(session_id="s1", messages=whole)
    request = pb.AppendRunRequest(scope=SARAH, run=run, skip_stored=True, request_id=new_request_id())
    first = await each_server.sessions.AppendRun(request)
    await append(each_server, turn(2))

    assert await each_server.sessions.AppendRun(request) == first
    assert await texts(each_server) == [f"{what} {n}" for n in range(3) for what in ("question", "answer")]


async def test_a_window_of_the_last_messages_is_understood_too(server: Harness) -> None:
    for number in range(3):
        await append(server, turn(number))
    await append(server, [*turn(1), *turn(2), *turn(3)])

    assert (await texts(server))[-4:] == ["question 2", "answer 2", "question 3", "answer 3"]


async def test_a_list_whose_beginning_was_never_stored_loses_nothing(server: Harness) -> None:
    await append(server, turn(1))
    await append(server, [*turn(0), *turn(1), *turn(2)])

    assert {"question 0", "answer 0", "question 2", "answer 2"} <= set(await texts(server))


async def test_who_says_the_same_twice_has_said_it_twice(server: Harness) -> None:
    for _ in range(2):
        await append(server, [said("yes"), said("fine", ASSISTANT)])

    assert await texts(server) == ["yes", "fine", "yes", "fine"]


async def test_a_whole_list_without_anything_new_answers_the_last_run(each_server: Harness) -> None:
    messages = [said("Be kind.", SYSTEM), *turn(0)]
    stored = await append(each_server, messages)
    again = await append(each_server, messages)
    grown = await append(each_server, [*messages, *turn(1)])
    once_more = await append(each_server, [*turn(0), *turn(1)])

    assert (again.run_id, again.index) == (stored.run_id, 1)
    assert (once_more.run_id, once_more.index) == (grown.run_id, 2)


async def test_an_answer_that_is_made_anew_replaces_the_last(server: Harness) -> None:
    await append(server, turn(0))
    last = await append(server, [*turn(0), *turn(1)])
    better = [said("question 1"), said("a better answer", ASSISTANT)]
    await append(server, [*turn(0), *better], replaces_run_id=last.run_id)

    assert await texts(server) == ["question 0", "answer 0", "question 1", "a better answer"]


async def test_secrets_that_were_redacted_are_known_again(server: Harness) -> None:
    secret = [said("my key is sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD"), said("noted", ASSISTANT)]
    await append(server, secret)
    await append(server, [*secret, *turn(1)])

    assert (await texts(server))[1:] == ["noted", "question 1", "answer 1"]


async def test_system_messages_alone_are_nothing_to_store(server: Harness) -> None:
    failure = await failing(append(server, [said("Be kind.", SYSTEM)]))

    assert (failure.code, failure.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("run.messages",))


@given(history=st.text("ab", max_size=12), given=st.text("ab", max_size=12))
def test_the_overlap_is_the_longest_there_is(history: str, given: str) -> None:
    longest = max(length for length in range(len(given) + 1) if history.endswith(given[:length]))

    assert overlap(history, given) == longest


def call(call_id: str, arguments: str = "{}") -> message_pb2.Message:
    part = message_pb2.ToolCallPart(id=call_id, name="weather", arguments_json=arguments)
    return message_pb2.Message(role=ASSISTANT, parts=[message_pb2.Part(tool_call=part)])


def result(call_id: str, text: str) -> message_pb2.Message:
    answer = message_pb2.Part(text=message_pb2.TextPart(text=text))
    part = message_pb2.ToolResultPart(call_id=call_id, parts=[answer])
    return message_pb2.Message(role=TOOL, parts=[message_pb2.Part(tool_result=part)])


@pytest.mark.parametrize(
    ("roles", "kept"),
    [
        ([], [0, 1, 2, 3, 4, 5, 6]),
        ([common.ROLE_USER], [0, 4]),
        ([ASSISTANT], [1, 2, 3, 5, 6]),
        ([TOOL], [1, 2, 3, 5, 6]),
        ([common.ROLE_USER, ASSISTANT], [0, 1, 2, 3, 4, 5, 6]),
    ],
)
async def test_a_call_and_its_results_come_together(server: Harness, roles: list[int], kept: list[int]) -> None:
    two = call("c1")
    two.parts.append(call("c2").parts[0])
    messages = [said("Rain?"), two, result("c1", "wet"), result("c2", "cold"), said("And now?"), call("c1")]
    messages.append(result("c1", "dry"))
    await append(server, messages)
    request = pb.GetHistoryRequest(scope=SARAH, session_id="s1", roles=roles)  # type: ignore[arg-type]
    history = await server.sessions.GetHistory(request)

    assert [message.parts for message in history.messages] == [messages[index].parts for index in kept]

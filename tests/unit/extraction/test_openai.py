"""The openai engine against a real HTTP endpoint on loopback that behaves, and misbehaves, as told."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import gc
import json
import logging
import subprocess
import sys
import traceback
import urllib.request
import weakref
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from memsvc.endpoint.failures import retry_after_seconds
from memsvc.errors import ExtractionError, Permanent, Reason, Retryable, Unusable
from memsvc.extraction.engine import Action, Conversation, Engine, EngineEvent, Finished, Progress, Proposal
from memsvc.extraction.model.openai import OpenAIEngine, OpenAISettings, OutputLimitField
from memsvc.extraction.model.prompt import StructuredOutput
from memsvc.extraction.schemas import default_schemas
from memsvc.model import Layer, Memory, Message, Role, TextPart, Usage
from memsvc.testing.fake_openai import FakeOpenAI
from memsvc.testing.replies import Ending, Reply, operations

KEY = "sk-very-secret"
SECRET = "I live in Lyon and my cat is called Minou."
SCHEMAS = default_schemas()


def user(text: str) -> Message:
    return Message(Role.USER, (TextPart(text),))


def assistant(text: str) -> Message:
    return Message(Role.ASSISTANT, (TextPart(text),))


CONVERSATION = Conversation([user(SECRET)], schemas=SCHEMAS)
LYON: Mapping[str, Any] = {
    "action": "add",
    "layer": "profile",
    "text": "The user lives in Lyon.",
    "key": "location",
    "value": '"Lyon"',
    "quote": "I live in Lyon",
    "message_index": 0,
}
CAT: Mapping[str, Any] = {
    "action": "add",
    "layer": "knowledge",
    "text": "A cat, Minou.",
    "quote": "cat is called Minou",
}
WRONG: Mapping[str, Any] = {**CAT, "quote": "my dog is called Rex"}


@contextlib.asynccontextmanager
async def engine_of(fake: FakeOpenAI, **settings: Any) -> AsyncIterator[OpenAIEngine]:
    engine = OpenAIEngine(OpenAISettings(model="m", base_url=fake.base_url, api_key=KEY, **settings))
    try:
        yield engine
    finally:
        await engine.close()


async def events_of(reply: Reply, conversation: Conversation = CONVERSATION, **settings: Any) -> list[EngineEvent]:
    async with FakeOpenAI([reply]) as fake, engine_of(fake, **settings) as engine:
        return [event async for event in engine.extract(conversation)]


async def finish_of(reply: Reply, conversation: Conversation = CONVERSATION, **settings: Any) -> Finished:
    finished = (await events_of(reply, conversation, **settings))[-1]
    assert isinstance(finished, Finished)
    return finished


async def gather(engine: OpenAIEngine, events: list[EngineEvent]) -> None:
    async for event in engine.extract(CONVERSATION):
        events.append(event)  # noqa: PERF401


async def failure_of(reply: Reply, **settings: Any) -> ExtractionError:
    """Return the error that the reply leads to, having checked what holds for all of them."""
    async with FakeOpenAI([reply]) as fake, engine_of(fake, **settings) as engine:
        events: list[EngineEvent] = []
        with pytest.raises(ExtractionError) as caught:
            await gather(engine, events)
        assert not any(isinstance(event, Finished) for event in events)
        assert len(fake.requests) == 1
    printed = "".join(traceback.format_exception(caught.value))
    assert KEY not in printed
    assert "Lyon" not in printed
    assert caught.value.usage.calls == 1
    return caught.value


async def test_it_is_an_engine() -> None:
    engine: Engine = OpenAIEngine(OpenAISettings(model="m"))
    assert engine.name == "openai"
    await engine.close()


async def test_operations_are_proposed_and_then_finished_with_usage_and_model() -> None:
    usage = {"prompt_tokens": 900, "completion_tokens": 80, "prompt_tokens_details": {"cached_tokens": 512}}
    events = await events_of(operations(LYON, CAT, piece_characters=7, usage=usage))
    proposed = [event.operation for event in events if isinstance(event, Proposal)]
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert list(finished.operations) == proposed
    assert [operation.text for operation in proposed] == ["The user lives in Lyon.", "A cat, Minou."]
    assert finished.usage == Usage(1, 900, 512, 80)
    assert finished.model == "fake-model"
    assert any(isinstance(event, Progress) for event in events)


async def test_an_operation_is_proposed_before_the_answer_has_ended() -> None:
    text = json.dumps({"operations": [LYON, CAT]})
    reply = Reply(content=text, piece_characters=1, pieces=text.index("},") + 1, ending=Ending.HANG)
    async with FakeOpenAI([reply]) as fake, engine_of(fake) as engine:
        async with contextlib.aclosing(engine.extract(CONVERSATION)) as events:
            async for event in events:
                if isinstance(event, Proposal):
                    assert event.operation.key == "location"
                    break
        await fake.wait_for(lambda fake: len(fake.abandoned) == 1)


@pytest.mark.parametrize("known", [0, 10, 100, 1000])
async def test_an_extraction_is_one_call_of_at_most_6_kb_however_much_is_known(known: int) -> None:
    memories = [
        Memory(
            memory_id=str(n), number=n, text=f"Fact {n} that is known about the user, told at length. " * (1 + n % 9)
        )
        for n in range(1, known + 1)
    ]
    conversation = Conversation([user("I live in Lyon."), assistant("Lovely!")], known=memories, schemas=SCHEMAS)
    async with FakeOpenAI() as fake, engine_of(fake) as engine:
        events = [event async for event in engine.extract(conversation)]
        assert isinstance(events[-1], Finished)
        assert [operation.text for operation in events[-1].operations] == ["The user lives in Lyon."]
        assert [request.path for request in fake.requests] == ["/v1/chat/completions"]
        assert fake.requests[0].body_bytes <= 6000


async def test_small_talk_costs_nothing() -> None:
    async with FakeOpenAI() as fake, engine_of(fake) as engine:
        conversation = Conversation([user("ok thanks"), assistant("You're welcome!")], schemas=SCHEMAS)
        assert [event async for event in engine.extract(conversation)] == [Finished((), Usage())]
        assert fake.requests == []


async def test_the_request_is_a_streamed_structured_one_and_only_the_header_holds_the_key() -> None:
    async with FakeOpenAI([operations()]) as fake:
        async with engine_of(fake, extra_headers={"X-Team": "t"}, temperature=0.0, max_output_tokens=99) as engine:
            assert [type(event) async for event in engine.extract(CONVERSATION)] == [Progress, Finished]
        request = fake.requests[0]
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["x-team"] == "t"
    assert KEY not in request.body.decode()
    sent = request.json
    assert (sent["model"], sent["stream"], sent["stream_options"]) == ("m", True, {"include_usage": True})
    assert (sent["temperature"], sent["max_completion_tokens"]) == (0.0, 99)
    assert sent["response_format"]["json_schema"]["strict"] is True
    assert [message["role"] for message in sent["messages"]] == ["system", "user"]


async def test_older_servers_are_asked_in_their_own_way() -> None:
    async with FakeOpenAI([operations()]) as fake:
        async with engine_of(
            fake,
            structured_output=StructuredOutput.TEXT,
            output_limit_field=OutputLimitField.MAX_TOKENS,
            stream_usage=False,
            extra_body={"seed": 7},
        ) as engine:
            finished = [event async for event in engine.extract(CONVERSATION)][-1]
        sent = fake.requests[0].json
    assert isinstance(finished, Finished)
    assert finished.usage.calls == 1
    assert sent.keys() == {"model", "messages", "stream", "max_tokens", "seed"}


async def test_an_explicitly_empty_list_is_nothing_to_learn() -> None:
    finished = await finish_of(operations())
    assert finished.operations == ()
    assert finished.usage.calls == 1


async def test_flawed_operations_are_dropped_one_by_one_without_a_word_of_them_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG, "memsvc"):
        finished = await finish_of(operations(WRONG, LYON, {**LYON, "layer": "x"}))
    assert [operation.key for operation in finished.operations] == ["location"]
    dropped = [record.fields for record in caplog.records if record.message == "operations_dropped"]  # type: ignore[attr-defined]
    assert dropped == [{"quote_not_said": 1, "wrong_layer": 1}]
    assert "Lyon" not in caplog.text
    assert "Rex" not in caplog.text
    assert KEY not in caplog.text


async def test_when_all_operations_are_flawed_the_answer_is_unusable() -> None:
    error = await failure_of(operations(WRONG, {"action": "x"}))
    assert isinstance(error, Unusable)
    assert error.reason is Reason.MODEL_OUTPUT_UNUSABLE
    assert error.detail == "none of the model's operations can be used: 1 quote_not_said, 1 unknown_action"
    assert error.usage.input_tokens > 0


async def test_updates_can_name_only_memories_that_were_shown() -> None:
    known = [Memory(memory_id="a", number=5, layer=Layer.PROFILE, key="location", text="Lives in Paris.")]
    conversation = Conversation([user(SECRET)], known=known, schemas=SCHEMAS)
    update = {**LYON, "action": "update"}
    finished = await finish_of(operations({**update, "number": 5}, {**update, "number": 6}), conversation)
    assert [(operation.action, operation.number) for operation in finished.operations] == [(Action.UPDATE, 5)]


@pytest.mark.parametrize(
    "content",
    [
        "```json\n" + json.dumps({"operations": [LYON]}) + "\n```",
        json.dumps({"operations": [LYON]})[:-2] + ",]}",
        "Here you are:\n" + json.dumps({"operations": [LYON]}),
    ],
)
async def test_malformed_output_is_repaired_without_another_call(content: str) -> None:
    finished = await finish_of(Reply(content=content, piece_characters=3))
    assert [operation.key for operation in finished.operations] == ["location"]


@pytest.mark.parametrize("content", ["", "I found nothing.", '{"operations": [{"action": "add', "{}", "null"])
async def test_unusable_output_is_never_nothing_to_learn(content: str) -> None:
    error = await failure_of(Reply(content=content))
    assert isinstance(error, Unusable)
    assert error.reason is Reason.MODEL_OUTPUT_UNUSABLE


@pytest.mark.parametrize(
    "reply",
    [
        operations(LYON, keep_alives=3, piece_characters=9),
        operations(LYON, usage={}),
        Reply(
            body=b": OPENROUTER PROCESSING\n\n"
            b'data: {"choices":[{"delta":{"role":"assistant","reasoning_content":"Hm {"}}]}\n\n'
            b'data: {"choices":[{"delta":{"content":null}}]}\n\n'
            b'data: {"choices":null}\n\ndata: {"choices":[{"delta":null}]}\n\ndata: {"choices":[null]}\n\ndata: 1\n\n'
            b"data: %s\n\n"
            b'data: {"choices":[{"delta":{},"finish_reason":"stop"}],"usage":null}\n\n'
            % json.dumps({"choices": [{"delta": {"content": json.dumps({"operations": [LYON]})}}]}).encode(),
            headers={"Content-Type": "text/event-stream"},
        ),
        operations(LYON, ending=Ending.STOP),
    ],
    ids=["keep-alives", "no usage", "odd chunks", "no finish reason"],
)
async def test_compatible_servers_may_differ(reply: Reply) -> None:
    finished = await finish_of(reply)
    assert [operation.key for operation in finished.operations] == ["location"]
    assert finished.usage.calls == 1


@pytest.mark.parametrize("usage", [{}, {"prompt_tokens": None}, {"prompt_tokens": 0, "completion_tokens": 0}])
async def test_tokens_that_an_endpoint_does_not_count_are_estimated(usage: Mapping[str, Any]) -> None:
    told = (await finish_of(operations(LYON, CAT))).usage
    estimated = (await finish_of(operations(LYON, CAT, usage=usage))).usage
    assert (estimated.calls, estimated.cached_tokens) == (1, 0)
    # The fake endpoint counts four bytes a token too, of the whole request.
    assert told.input_tokens / 2 < estimated.input_tokens <= told.input_tokens
    assert told.output_tokens <= estimated.output_tokens <= told.output_tokens + 1


@pytest.mark.parametrize("ending", [Ending.CUT, Ending.STOP, Ending.HANG])
async def test_an_answer_that_is_cut_off_has_cost_what_was_asked_and_answered(ending: Ending) -> None:
    reply = operations(LYON, CAT, piece_characters=5, pieces=20, ending=ending)
    cost = (await failure_of(reply, idle_timeout_seconds=0.5)).usage
    assert cost.input_tokens > 500
    assert cost.output_tokens == 25


@pytest.mark.parametrize("reply", [Reply(status=429), Reply(status=503), Reply(body=b"<html>Log in</html>")])
async def test_who_has_not_answered_has_cost_nothing(reply: Reply) -> None:
    assert (await failure_of(reply)).usage == Usage(1)


@pytest.mark.parametrize(
    ("reply", "kind", "reason", "counts"),
    [
        (Reply(status=429), Retryable, Reason.MODEL_RATE_LIMITED, False),
        (Reply(status=402), Retryable, Reason.MODEL_RATE_LIMITED, False),
        (Reply(status=500), Retryable, Reason.MODEL_UNAVAILABLE, False),
        (Reply(status=503, body=b"<html>busy</html>"), Retryable, Reason.MODEL_UNAVAILABLE, False),
        (Reply(status=503, body=b"x", headers={"Content-Length": "9"}, ending=Ending.CUT), Retryable,
         Reason.MODEL_UNAVAILABLE, False),
        (Reply(status=408), Retryable, Reason.MODEL_TIMEOUT, True),
        (Reply(status=400), Permanent, Reason.MODEL_REJECTED, None),
        (Reply(status=401), Retryable, Reason.MODEL_REJECTED, False),
        (Reply(status=403), Retryable, Reason.MODEL_REJECTED, False),
        (Reply(status=404), Retryable, Reason.MODEL_REJECTED, False),
        (Reply(status=405), Retryable, Reason.MODEL_REJECTED, False),
        (Reply(status=407), Retryable, Reason.MODEL_REJECTED, False),
        (Reply(status=400, body=b'{"error":{"message":"API key not valid. Please pass a valid API key."}}'), Retryable,
         Reason.MODEL_REJECTED, False),
        (Reply(status=400, body=b'{"error":{"message":"The model `m` does not exist"}}'), Retryable,
         Reason.MODEL_REJECTED, False),
        (Reply(status=413), Permanent, Reason.MODEL_REJECTED, None),
        (Reply(refusal="I cannot help with Lyon."), Permanent, Reason.MODEL_REFUSED, None),
        (Reply(finish_reason="content_filter"), Permanent, Reason.MODEL_REFUSED, None),
        (operations(LYON, finish_reason="length"), Unusable, Reason.MODEL_OUTPUT_TOO_LARGE, None),
        (operations(LYON, CAT, piece_characters=5, pieces=20, ending=Ending.CUT), Retryable,
         Reason.MODEL_UNAVAILABLE, True),
        (operations(LYON, CAT, piece_characters=5, pieces=20, ending=Ending.STOP), Retryable,
         Reason.MODEL_UNAVAILABLE, True),
        (operations(ending=Ending.CUT), Retryable, Reason.MODEL_UNAVAILABLE, True),
        (Reply(body=b"<html>Log in, Lyon</html>", headers={"Content-Type": "text/html"}), Retryable,
         Reason.MODEL_UNAVAILABLE, False),
        (Reply(body=b'data: {"Lyon": \n\n', headers={"Content-Type": "text/event-stream"}), Unusable,
         Reason.MODEL_OUTPUT_UNUSABLE, None),
        (Reply(body=b'data: {"a": "\xff\xfe"}\n\n', headers={"Content-Type": "text/event-stream"}), Unusable,
         Reason.MODEL_OUTPUT_UNUSABLE, None),
        (Reply(body=b'data: {"error":{"message":"Lyon","code":"server_error"}}\n\n'), Retryable,
         Reason.MODEL_UNAVAILABLE, True),
        (Reply(body=b'data: {"error":{"message":"Lyon","code":"rate_limit_exceeded"}}\n\n'), Retryable,
         Reason.MODEL_RATE_LIMITED, False),
    ],
)  # fmt: skip
async def test_each_failure_has_its_kind(
    reply: Reply, kind: type[ExtractionError], reason: Reason, counts: bool | None
) -> None:
    error = await failure_of(reply)
    assert type(error) is kind
    assert error.reason is reason
    assert getattr(error, "counts", None) is counts


async def test_the_status_and_the_code_of_a_rejection_are_told_but_not_its_message() -> None:
    body = json.dumps({"error": {"message": f"no key {KEY}, prompt {SECRET}", "code": "model_not_found"}}).encode()
    error = await failure_of(Reply(status=404, body=body))
    assert error.detail == "model endpoint answered 404 (model_not_found)"


async def test_retry_after_is_passed_on() -> None:
    error = await failure_of(Reply(status=429, headers={"Retry-After": "7"}))
    assert isinstance(error, Retryable)
    assert error.retry_after_seconds == 7


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": email.utils.formatdate(1_000_090, usegmt=True)}, 90),
        ({"retry-after": email.utils.formatdate(999_000, usegmt=True)}, 0),
        ({"retry-after": "-3"}, 0),
        ({"retry-after": "soon"}, 0),
        ({"retry-after": "nan"}, 0),
        ({"retry-after": "1e99"}, 86_400),
    ],
)
def test_retry_after_is_seconds_milliseconds_or_a_date(headers: Mapping[str, str], seconds: float) -> None:
    assert retry_after_seconds(headers, now=1_000_000) == seconds


async def test_an_unreachable_endpoint_counts_no_attempt() -> None:
    async with FakeOpenAI() as fake:
        pass
    async with engine_of(fake) as engine:
        with pytest.raises(Retryable) as caught:
            [event async for event in engine.extract(CONVERSATION)]
    assert caught.value.reason is Reason.MODEL_UNAVAILABLE
    assert caught.value.counts is False


@pytest.mark.parametrize(
    "reply",
    [Reply(hang=True), operations(LYON, CAT, piece_characters=5, pieces=9, ending=Ending.HANG)],
    ids=["before the headers", "in the stream"],
)
async def test_a_silent_endpoint_times_out(reply: Reply) -> None:
    error = await failure_of(reply, idle_timeout_seconds=0.1)
    assert isinstance(error, Retryable)
    assert error.reason is Reason.MODEL_TIMEOUT
    assert error.counts


async def test_an_endless_drip_ends_with_the_timeout_of_the_call() -> None:
    reply = Reply(content="." * 100_000, piece_characters=1, delay_seconds=0.01)
    error = await failure_of(reply, timeout_seconds=0.3)
    assert isinstance(error, Retryable)
    assert error.reason is Reason.MODEL_TIMEOUT


async def test_oversized_output_is_cut_off() -> None:
    async with FakeOpenAI([Reply(content="x" * 50_000, piece_characters=100, delay_seconds=0.001)]) as fake:
        async with engine_of(fake, max_output_bytes=2000) as engine:
            with pytest.raises(Unusable) as caught:
                [event async for event in engine.extract(CONVERSATION)]
            assert caught.value.reason is Reason.MODEL_OUTPUT_TOO_LARGE
            await fake.wait_for(lambda fake: len(fake.abandoned) == 1)


@pytest.mark.parametrize("reply", [Reply(hang=True), operations(LYON, ending=Ending.HANG)], ids=["headers", "stream"])
async def test_cancelling_closes_the_stream(reply: Reply) -> None:
    async with FakeOpenAI([reply, operations(LYON)]) as fake, engine_of(fake) as engine:

        async def read() -> None:
            [event async for event in engine.extract(CONVERSATION)]

        reading = asyncio.create_task(read())
        await fake.wait_for(lambda fake: len(fake.requests) == 1)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await fake.wait_for(lambda fake: len(fake.abandoned) == 1)
        finished = [event async for event in engine.extract(CONVERSATION)][-1]
        assert isinstance(finished, Finished)


async def test_many_conversations_are_read_at_once_over_one_engine() -> None:
    async with FakeOpenAI() as fake, engine_of(fake) as engine:

        async def read(city: str) -> str:
            conversation = Conversation([user(f"I live in {city}.")], schemas=SCHEMAS)
            finished = [event async for event in engine.extract(conversation)][-1]
            assert isinstance(finished, Finished)
            return finished.operations[0].value_json

        cities = [f"Town {number}" for number in range(20)]
        assert await asyncio.gather(*map(read, cities)) == [json.dumps(city) for city in cities]


@pytest.mark.parametrize("wrong", [{"model": ""}, {"model": "m", "base_url": "localhost:8000"}])
def test_wrong_settings_are_told_at_once(wrong: Mapping[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        OpenAISettings(**wrong)


def test_the_key_is_not_shown() -> None:
    assert KEY not in repr(OpenAISettings(model="m", api_key=KEY, extra_headers={"X": KEY}))


def test_the_engine_does_not_load_the_client_before_it_is_needed() -> None:
    code = (
        "import sys; from memsvc.extraction.model.openai import OpenAIEngine, OpenAISettings\n"
        "OpenAIEngine(OpenAISettings(model='m')); print('openai' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_the_fake_endpoint_runs_as_a_process() -> None:
    command = [sys.executable, "-m", "memsvc.testing.fake_openai"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        base_url = process.stdout.readline().strip()
        prompt = "<conversation>\n<message n=0 role=user>My name is Ava and I like to ski.</message>\n</conversation>"
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": prompt}]}).encode()
        # A body without a length is sent in chunks.
        for given in (body, iter((body[:100], body[100:]))):
            with urllib.request.urlopen(urllib.request.Request(f"{base_url}/chat/completions", given)) as reply:
                content = json.load(reply)["choices"][0]["message"]["content"]
        with urllib.request.urlopen(f"{base_url}/models") as reply:
            assert [model["id"] for model in json.load(reply)["data"]] == ["fake-model"]
        with urllib.request.urlopen(f"{base_url.removesuffix('/v1')}/fake/requests") as reply:
            received = json.load(reply)["requests"]
        process.terminate()
        assert process.wait() == 0
    assert [operation["quote"] for operation in json.loads(content)["operations"]] == [
        "My name is Ava",
        "I like to ski",
    ]
    same = {"path": "/v1/chat/completions", "body_bytes": len(body), "body": body.decode()}
    assert [each for each in received if each["path"] == "/v1/chat/completions"] == [same, same]


@pytest.mark.parametrize("is_there", [True, False])
async def test_a_failed_call_leaves_nothing_to_the_collector(is_there: bool) -> None:
    """The conversation is megabytes, and the collector comes rarely."""
    async with FakeOpenAI([Reply(status=500)] * 2) as fake:
        base_url = fake.base_url if is_there else "http://127.0.0.1:9/v1"
        engine = OpenAIEngine(OpenAISettings(model="m", base_url=base_url, api_key=KEY))
        await failed_call(engine)
        gc.collect()
        gc.disable()
        try:
            conversation = weakref.ref(await failed_call(engine))
            assert conversation() is None
        finally:
            gc.enable()
            await engine.close()


class Watched(list[Message]):
    """Messages of which it can be told whether they are still there."""


async def failed_call(engine: Engine) -> Watched:
    said = Watched([user(SECRET)])
    with contextlib.suppress(Retryable):
        async for _ in engine.extract(Conversation(said, schemas=SCHEMAS)):
            pass
    return said

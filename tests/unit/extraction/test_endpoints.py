"""Endpoints that speak OpenAI's chat completions differ: in what they take, and in how they answer. All are read."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest

from memsvc.errors import Permanent, Reason, Retryable, Unusable
from memsvc.extraction.engine import Conversation, Finished
from memsvc.extraction.model.openai import OpenAIEngine, OpenAISettings
from memsvc.extraction.model.prompt import StructuredOutput
from memsvc.extraction.schemas import default_schemas
from memsvc.model import Message, Role, TextPart, Usage
from memsvc.testing.fake_openai import FakeOpenAI
from memsvc.testing.replies import Received, Reply, Shape, as_json, operations, refusing

LYON: Mapping[str, Any] = {
    "action": "add",
    "layer": "profile",
    "text": "The user lives in Lyon.",
    "key": "location",
    "value": '"Lyon"',
    "quote": "I live in Lyon",
}
CONVERSATION = Conversation(
    [Message(Role.USER, (TextPart("I live in Lyon and my cat is called Minou."),))], schemas=default_schemas()
)
ANSWER = json.dumps({"operations": [LYON]})
DRAFT = json.dumps({"operations": []})


def learned(_: Received) -> Reply:
    return operations(LYON)


@contextlib.asynccontextmanager
async def engine_of(fake: FakeOpenAI, **settings: Any) -> AsyncIterator[OpenAIEngine]:
    engine = OpenAIEngine(OpenAISettings(model="m", base_url=fake.base_url, **settings))
    try:
        yield engine
    finally:
        await engine.close()


async def read(engine: OpenAIEngine, conversation: Conversation = CONVERSATION) -> Finished:
    *_, finished = [event async for event in engine.extract(conversation)]
    assert isinstance(finished, Finished)
    return finished


async def keys_of(reply: Reply) -> list[str]:
    async with FakeOpenAI([reply]) as fake, engine_of(fake) as engine:
        finished = await read(engine)
        assert len(fake.requests) == 1
        return [operation.key for operation in finished.operations]


REFUSALS: Mapping[str, tuple[str, str, int]] = {
    "usage in the stream": ("stream_options", "Unrecognized request argument supplied: stream_options", 400),
    "unknown fields": ("stream_options", '{"detail":[{"loc":["body","stream_options"],"msg":"extra fields"}]}', 422),
    "the limit's name": (
        "max_completion_tokens",
        "Unsupported parameter: 'max_completion_tokens'. Use 'max_tokens' instead.",
        400,
    ),
    "the temperature": ("temperature", "temperature does not support 0.2 with this model.", 400),
    "the form": ("response_format", "response_format is not supported by this model", 400),
    "the form, by a router": ("response_format", "No endpoints found that support structured outputs", 404),
    "a schema": ("response_format.json_schema", "Invalid parameter: 'json_schema' is not supported", 400),
    "a field of one's own": ("reasoning_effort", "reasoning_effort: unknown field", 422),
    "a stream": ("stream", "Streaming is not available for this model", 400),
    "a server that fails over it": ("response_format", "failed to compile grammar", 500),
}


@pytest.mark.parametrize(("field", "words", "status"), REFUSALS.values(), ids=REFUSALS)
async def test_a_field_that_is_refused_is_left_out_once_and_for_all(field: str, words: str, status: int) -> None:
    picky = refusing({field: words}, learned, status=status)
    async with FakeOpenAI(otherwise=picky) as fake:
        async with engine_of(fake, temperature=0.2, extra_body={"reasoning_effort": "low"}) as engine:
            first, second = await read(engine), await read(engine)
        sent = [request.json for request in fake.requests]
    assert [operation.key for operation in first.operations] == ["location"]
    assert first.operations == second.operations
    assert (first.usage.calls, second.usage.calls) == (len(sent) - 1, 1)
    outer = field.partition(".")[0]
    assert sent[0].get(outer) is not None
    assert sent[-1].keys() >= sent[0].keys() - {outer, "max_completion_tokens", "stream"}


async def test_an_endpoint_may_refuse_one_field_after_the_other() -> None:
    words = {
        "stream_options": "stream_options: not permitted",
        "response_format.json_schema": "json_schema: not permitted",
        "response_format": "response_format: not permitted",
        "max_completion_tokens": "max_completion_tokens: not permitted",
        "max_tokens": "max_tokens: not permitted",
        "temperature": "temperature: not permitted",
    }
    async with FakeOpenAI(otherwise=refusing(words, learned, status=422)) as fake:
        async with engine_of(fake, temperature=0.0) as engine:
            await read(engine)
        sent = fake.requests[-1]
    assert sent.json.keys() == {"model", "messages", "stream"}
    assert '"operations"' in sent.prompt


async def test_the_form_stands_in_the_prompt_where_the_endpoint_is_not_held_to_it() -> None:
    def forms_of(fake: FakeOpenAI) -> list[bool]:
        return ["Answer with this JSON only" in request.prompt for request in fake.requests]

    async with FakeOpenAI(otherwise=refusing({"response_format.json_schema": "json_schema"}, learned)) as fake:
        async with engine_of(fake) as engine:
            await read(engine)
        assert forms_of(fake) == [False, True]
        assert fake.requests[1].json["response_format"] == {"type": "json_object"}


async def test_a_model_that_ignored_the_form_is_told_it_in_the_next_attempt() -> None:
    again = Conversation(CONVERSATION.messages, schemas=CONVERSATION.schemas, last_failure=Reason.MODEL_OUTPUT_UNUSABLE)
    async with FakeOpenAI([Reply(content="The user lives in Lyon."), operations(LYON)]) as fake:
        async with engine_of(fake) as engine:
            with pytest.raises(Unusable):
                await read(engine)
            finished = await read(engine, again)
        prompts = [request.prompt for request in fake.requests]
    assert [operation.key for operation in finished.operations] == ["location"]
    assert ["Answer with this JSON only" in prompt for prompt in prompts] == [False, True]


async def test_a_system_message_that_is_refused_becomes_part_of_the_users() -> None:
    def picky(request: Received) -> Reply:
        roles = [message["role"] for message in request.json["messages"]]
        if "system" in roles:
            return Reply(status=400, body=as_json({"error": {"message": "System role not supported"}}))
        return operations(LYON)

    async with FakeOpenAI(otherwise=picky) as fake, engine_of(fake) as engine:
        assert len((await read(engine)).operations) == 1
        assert fake.requests[1].json["messages"][0]["content"].startswith("You keep the long-term memory")


async def test_a_refusal_that_names_no_field_is_final() -> None:
    async with FakeOpenAI(otherwise=lambda _: Reply(status=400)) as fake, engine_of(fake) as engine:
        with pytest.raises(Permanent) as caught:
            await read(engine)
        assert (caught.value.reason, len(fake.requests)) == (Reason.MODEL_REJECTED, 1)


async def test_an_endpoint_that_refuses_everything_is_not_asked_for_ever() -> None:
    words = "temperature stream_options response_format max_tokens max_completion_tokens streaming system role"

    def refuse(_: Received) -> Reply:
        return Reply(status=422, body=words.encode())

    async with FakeOpenAI(otherwise=refuse) as fake, engine_of(fake, temperature=1.0) as engine:
        with pytest.raises(Permanent):
            await read(engine)
        assert len(fake.requests) <= 10


@pytest.mark.parametrize("as_document", [False, True], ids=["events", "one document"])
@pytest.mark.parametrize("shape", Shape)
async def test_an_answer_is_read_wherever_it_stands(shape: Shape, as_document: bool) -> None:
    assert await keys_of(operations(LYON, shape=shape, as_document=as_document, piece_characters=9)) == ["location"]


@pytest.mark.parametrize("as_document", [False, True], ids=["events", "one document"])
@pytest.mark.parametrize(
    "content",
    [
        f"```json\n{ANSWER}\n```",
        f"```\n{ANSWER}\n```\nThat is all.",
        f"<think>Is it {DRAFT}?</think>{ANSWER}",
        f"<thinking>\nIs it {DRAFT}?\n</thinking>\n\n{ANSWER}",
        f"Is it {DRAFT}? No.\n</think>\n{ANSWER}",
        f"First I thought {DRAFT}. But: {ANSWER}",
        f"```json\n{DRAFT}\n```\nWait.\n```json\n{ANSWER}\n```",
        json.dumps([LYON]),
        json.dumps(LYON),
        ANSWER[:-1],
    ],
)
async def test_the_last_complete_answer_counts(content: str, as_document: bool) -> None:
    assert await keys_of(Reply(content=content, as_document=as_document, piece_characters=5)) == ["location"]


async def test_thoughts_beside_the_answer_are_not_the_answer() -> None:
    assert await keys_of(operations(LYON, thoughts=DRAFT)) == ["location"]
    assert await keys_of(operations(LYON, thoughts=DRAFT, as_document=True)) == ["location"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"choices": [{"message": {"content": %s}, "finish_reason": "stop"}], "usage": null}',
        b'{"choices": [{"text": %s, "finish_reason": null}], "usage": {"prompt_tokens": null}}',
        b'data: {"choices": [], "usage": null}\n\ndata: {"choices": [{"delta": {"content": %s}}]}\n\n',
        b'event: message\r\nid: 1\r\ndata: {"choices": [{"delta": {"content": %s}}]}\r\n\r\ndata: [DONE]\r\n\r\n',
        b'data:{"choices":[{"delta":{"content":[%s]}}]}\n\ndata:[DONE]\n\n',
    ],
)
async def test_bodies_may_lack_what_others_have(body: bytes) -> None:
    assert await keys_of(Reply(body=body % json.dumps(ANSWER).encode())) == ["location"]


async def test_separators_of_lines_inside_an_answer_are_only_characters() -> None:
    answer = json.dumps({"operations": [{**LYON, "text": "Lives in\u2028Lyon\x85."}]}, ensure_ascii=False)
    body = b'data: {"choices": [{"delta": {"content": %s}}]}\n\n' % json.dumps(answer, ensure_ascii=False).encode()
    assert await keys_of(Reply(body=body)) == ["location"]


@pytest.mark.parametrize(
    "content",
    ['{"action": "none"}', '{"operations": [{"action": "none", "text": ""}]}', '[{"action": "noop"}]', DRAFT, "[]"],
)
async def test_nothing_to_do_costs_one_call(content: str) -> None:
    async with FakeOpenAI([Reply(content=content)]) as fake, engine_of(fake) as engine:
        finished = await read(engine)
        assert (finished.operations, finished.usage.calls, len(fake.requests)) == ((), 1, 1)


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: Reply(body=b"<!DOCTYPE html><title>Sign in</title>", headers={"Content-Type": "text/html"}),
        lambda _: Reply(status=404, body=b"404 page not found"),
        lambda _: Reply(status=401),
        lambda _: Reply(status=403, body=b"Forbidden"),
        lambda _: Reply(status=407),
        lambda _: Reply(status=400, body=b'{"error": {"message": "Incorrect API key provided"}}'),
        lambda _: Reply(body=b'data: {"error": {"code": "invalid_api_key", "message": "no"}}\n\n'),
    ],
    ids=[
        "a web page",
        "no such path",
        "the key",
        "no permission",
        "a proxy",
        "the key, as 400",
        "the key, in a stream",
    ],
)
async def test_what_is_mended_outside_counts_no_attempt(answer: Callable[[Received], Reply]) -> None:
    async with FakeOpenAI(otherwise=answer) as fake, engine_of(fake) as engine:
        with pytest.raises(Retryable) as caught:
            await read(engine)
    assert not caught.value.counts
    assert caught.value.usage == Usage(calls=1)


@pytest.mark.parametrize(
    ("variable", "value"),
    [("SSL_CERT_FILE", "/nowhere/ca.pem"), ("HTTPS_PROXY", "nonsense://x"), ("HTTP_PROXY", "http://127.0.0.1:9")],
)
async def test_a_client_that_cannot_be_made_or_a_proxy_that_is_not_there_counts_no_attempt(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    engine = OpenAIEngine(OpenAISettings(model="m", base_url="http://model.invalid/v1"))
    with pytest.raises(Retryable) as caught:
        await read(engine)
    assert (caught.value.reason, caught.value.counts) == (Reason.MODEL_UNAVAILABLE, False)
    monkeypatch.delenv(variable)
    async with FakeOpenAI([operations(LYON)]) as fake, engine_of(fake) as mended:
        assert len((await read(mended)).operations) == 1
    await engine.close()


@pytest.mark.parametrize("output", StructuredOutput)
async def test_each_form_can_be_set(output: StructuredOutput) -> None:
    async with FakeOpenAI([operations(LYON)]) as fake, engine_of(fake, structured_output=output) as engine:
        await read(engine)
        form = fake.requests[0].json.get("response_format", {"type": "text"})
    assert form["type"] == output


TOO_LONG: Mapping[str, tuple[str, int]] = {
    "OpenAI": (
        "This model's maximum context length is 4096 tokens. However, your messages resulted in 5000 tokens.",
        400,
    ),
    "llama.cpp": ("the request exceeds the available context size (4096 tokens), try increasing it", 400),
    "Anthropic": ("prompt is too long: 5000 tokens > 4096 maximum", 400),
    "Mistral": (
        "Prompt contains 5000 tokens and 0 draft tokens, too large for model with 4096 maximum context length",
        422,
    ),
    "a proxy": ("Payload Too Large", 413),
}


@pytest.mark.parametrize(("words", "status"), TOO_LONG.values(), ids=TOO_LONG)
async def test_what_a_model_has_no_room_for_is_shortened_until_it_has(words: str, status: int) -> None:
    room = 9_000
    said = [f"Message {number}. " + "It was a long day, and I walked home. " * 20 for number in range(30)]
    messages = [Message(Role.USER, (TextPart(text),)) for text in (*said, "I live in Lyon.")]

    def answer(request: Received) -> Reply:
        if request.body_bytes <= room:
            return operations(LYON)
        return Reply(status=status, body=as_json({"error": {"message": words, "type": "invalid_request_error"}}))

    async with FakeOpenAI(otherwise=answer) as fake, engine_of(fake) as engine:
        finished = await read(engine, Conversation(messages, schemas=default_schemas()))
        asked = [request.body_bytes for request in fake.requests]
    assert [operation.key for operation in finished.operations] == ["location"]
    assert asked == sorted(asked, reverse=True)
    assert 2 < len(asked) < 7
    (left_out,) = finished.refusals
    assert left_out.reason is Reason.REQUEST_TOO_LARGE
    assert "bytes of the conversation were not read" in left_out.detail


async def test_a_short_conversation_that_a_model_has_no_room_for_fails_at_once() -> None:
    words, status = TOO_LONG["OpenAI"]
    body = as_json({"error": {"message": words, "code": "context_length_exceeded"}})
    async with FakeOpenAI(otherwise=lambda _: Reply(status=status, body=body)) as fake, engine_of(fake) as engine:
        with pytest.raises(Permanent):
            await read(engine)
        assert len(fake.requests) == 1

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from memsvc.config import Config
from memsvc.errors import InvalidArgument
from memsvc.meaning.embedders import build_embedder
from memsvc.meaning.openai import EmbeddingSettings, OpenAIEmbedder
from memsvc.search.embedders.contract import EmbeddingFailed
from memsvc.search.embedders.static import StaticEmbedder
from memsvc.testing.fake_openai import FakeOpenAI
from memsvc.testing.replies import Reply


@pytest.fixture
async def endpoint() -> AsyncIterator[FakeOpenAI]:
    async with FakeOpenAI() as fake:
        yield fake


def embedder_of(base_url: str, **settings: object) -> OpenAIEmbedder:
    return OpenAIEmbedder(EmbeddingSettings(model="small", base_url=base_url, **settings))  # type: ignore[arg-type]


def embedded(fake: FakeOpenAI) -> list[str]:
    return [text for request in fake.requests for text in request.json["input"]]


async def test_texts_go_in_batches_and_each_goes_once(endpoint: FakeOpenAI) -> None:
    embedder = embedder_of(endpoint.base_url, api_key="sk-secret", dimensions=32)
    texts = [f"text number {number}" for number in range(150)]

    first = await embedder.embed([*texts, texts[0], "", "   "])
    again = await embedder.embed([texts[7], "new"])
    await embedder.close()

    assert embedder.name == "openai-small-32"
    assert {len(vector) for vector in (*first, *again)} == {32}
    assert first[0] == first[150] != first[1]
    assert again[0] == first[7]
    assert first[151] == first[152] == bytes(32)
    assert sorted(embedded(endpoint)) == sorted([*texts, "new"])
    assert len(endpoint.requests) == 4
    assert endpoint.requests[0].headers["authorization"] == "Bearer sk-secret"


@pytest.mark.parametrize(
    ("reply", "detail", "wait"),
    [
        (Reply(status=429, headers={"Retry-After": "7"}), "429", 7.0),
        (Reply(status=503), "503", 0.0),
        (Reply(status=401), "401", 0.0),
        (Reply(body=b"<html>Sign in</html>"), "something else", 0.0),
        (Reply(body=b'{"data": "none"}'), "something else", 0.0),
        (Reply(body=b'{"data": []}'), "something else", 0.0),
        (Reply(body=json.dumps({"data": [{"index": 0, "embedding": [1, None]}]}).encode()), "something else", 0.0),
        (Reply(body=json.dumps({"data": [{"index": 3, "embedding": [1.0]}]}).encode()), "something else", 0.0),
    ],
)
async def test_what_an_endpoint_does_wrong_is_one_error_that_holds_no_text(
    reply: Reply, detail: str, wait: float
) -> None:
    async with FakeOpenAI([reply]) as fake:
        embedder = embedder_of(fake.base_url, api_key="sk-secret")
        with pytest.raises(EmbeddingFailed) as raised:
            await embedder.embed(["the user's secret"])
        assert detail in str(raised.value)
        assert raised.value.retry_after_seconds == wait
        assert "secret" not in str(raised.value)
        assert raised.value.__cause__ is None
        # And then it is there again.
        assert len((await embedder.embed(["the user's secret"]))[0]) == 64
        await embedder.close()


async def test_an_endpoint_that_is_silent_or_gone_ends_in_time() -> None:
    async with FakeOpenAI([Reply(hang=True)]) as fake:
        embedder = embedder_of(fake.base_url, timeout_seconds=0.2)
        async with asyncio.timeout(10):
            with pytest.raises(EmbeddingFailed):
                await embedder.embed(["anything"])
        await embedder.close()
        gone = fake.base_url
    embedder = embedder_of(gone)
    with pytest.raises(EmbeddingFailed, match="cannot be reached"):
        await embedder.embed(["anything"])
    await embedder.close()


def test_the_configuration_says_which_embedder_there_is() -> None:
    assert build_embedder(Config(embedder="none")) is None
    assert isinstance(build_embedder(Config()), StaticEmbedder)
    remote = build_embedder(Config(embedder="openai", embedding_model="m", embedding_dimensions=8))
    assert remote is not None
    assert (remote.name, remote.instant) == ("openai-m-8", False)


def test_the_language_models_key_is_not_sent_to_another_endpoint() -> None:
    def key(**settings: str) -> str:
        built = build_embedder(Config(embedder="openai", openai_api_key="k", **settings))  # type: ignore[arg-type]
        assert isinstance(built, OpenAIEmbedder)
        return built._settings.api_key

    assert key() == "k"
    assert key(embedding_base_url="http://other/v1") == ""
    assert key(embedding_base_url="http://other/v1", embedding_api_key="e") == "e"


def test_an_embedder_that_is_unknown_is_named() -> None:
    from memsvc.config import load_config

    with pytest.raises(InvalidArgument, match="embedder"):
        load_config({"embedder": "word2vec"}, {})

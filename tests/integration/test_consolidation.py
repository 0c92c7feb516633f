"""Consolidation through a server of its own: what is plain, what a model judges, by hand and by itself."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from memsvc.testing.fake_openai import FakeOpenAI, by_understanding
from memsvc.testing.replies import Received, Reply
from memsvc.v1 import config_pb2
from memsvc.v1.config_pb2_grpc import ConfigServiceStub
from memsvc_client import AsyncMemoryClient, AsyncUser, ChangeCause, ChangeKind, MemoryClient, User


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MemoryClient]:
    path = tmp_path_factory.mktemp("consolidation") / "memory.db"
    with MemoryClient.local(path, engine="rules", embedder="none", quiet_seconds=0) as client:
        yield client


@pytest.fixture
def sarah(target: MemoryClient, request: pytest.FixtureRequest) -> User:
    return target.user(f"sarah-{request.node.name}"[:200])


def texts(user: User, **wanted: object) -> list[str]:
    return sorted(each.memory for each in user.memories.list(filter=dict(wanted)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Likes dogs", "The user likes dogs."),
        ("Owns a red bicycle", "owns  the red bicycle"),
        ("The user's hobby is chess.", "Hobby is chess"),
        ("喜欢喝茶", "喜欢喝茶。"),
    ],
)
def test_the_same_words_become_one_memory(sarah: User, first: str, second: str) -> None:
    kept = sarah.memories.add(first, topics=["one"], metadata={"a": "1"}, duplicate=True)
    sarah.memories.add(second, topics=["two"], metadata={"b": "2"}, duplicate=True)
    commit = sarah.memories.consolidate().commit

    assert commit is not None
    assert {each.cause for each in commit.changes} == {ChangeCause.CONSOLIDATED}
    (memory,) = sarah.memories.list()
    assert (memory.memory_id, set(memory.topics)) == (kept, {"one", "two"})
    assert dict(memory.metadata) == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Likes dogs", "Liked dogs"),
        ("Likes dogs", "Does not like dogs"),
        ("Has two cats", "Has three cats"),
        ("Flies to Paris", "Flies from Paris"),
        ("Prefers tea over coffee", "Prefers coffee over tea"),
        ("Met Ann in 2019", "Met Ann in 2020"),
        ("Likes C", "Likes C++"),
        ("Loves 🍕", "Loves 🍔"),
        ("Blood type is A-", "Blood type is A"),
        ("Takes vitamin A", "Takes vitamin"),
        ("Owes $5", "Owes €5"),
        ("バスが好き", "パスが好き"),
        ("मुझे दिल पसंद है", "मुझे दाल पसंद है"),
        ("Likes the song mà", "Likes the song má"),
    ],
)
def test_what_differs_stays_apart_without_a_model(sarah: User, first: str, second: str) -> None:
    sarah.memories.add(first, duplicate=True)
    sarah.memories.add(second, duplicate=True)
    done = sarah.memories.consolidate()
    assert done.commit is not None
    assert (done.commit.revision, done.commit.changes) == (0, ())
    assert len(sarah.memories.list()) == 2


def test_what_is_over_is_retired_and_what_was_over_when_it_was_said_stays(sarah: User) -> None:
    said, until = datetime(2025, 5, 1, tzinfo=UTC), datetime(2025, 6, 10, tzinfo=UTC)
    sarah.memories.add("Is on vacation", observe_time=said, valid_to=until)
    sarah.memories.add("Worked at Siemens", observe_time=said, valid_to=datetime(2020, 1, 1, tzinfo=UTC))
    sarah.memories.consolidate()
    assert texts(sarah) == ["Worked at Siemens"]
    assert texts(sarah, valid_at=datetime(2025, 6, 1, tzinfo=UTC)) == ["Is on vacation"]


def test_a_preview_changes_nothing_and_an_undo_takes_it_back(sarah: User) -> None:
    for text in ("Likes dogs", "Likes dogs.", "The user likes dogs"):
        sarah.memories.add(text, duplicate=True)
    before = texts(sarah)
    preview = sarah.memories.consolidate(validate_only=True)
    assert preview.commit is not None
    assert sorted(each.kind for each in preview.commit.changes).count(ChangeKind.DELETED) == 2
    assert (preview.extraction_id, preview.commit.revision, texts(sarah)) == ("", 0, before)

    done = sarah.memories.consolidate()
    assert done.commit is not None
    assert len(sarah.memories.list()) == 1
    sarah.memories.restore(done.commit.revision - 1, all=True)
    assert texts(sarah) == before


def test_a_repeat_is_the_same_consolidation(sarah: User) -> None:
    request_id = "7f3d0f8e-55a1-4ab1-9b1a-0c6fb3f2a111"
    first, again = (sarah.memories.consolidate(request_id=request_id) for _ in range(2))
    assert first.extraction_id == again.extraction_id
    assert [str(each.kind) for each in sarah.extractions.list()] == ["consolidation"]


def test_members_of_a_team_keep_what_each_of_them_said(target: MemoryClient) -> None:
    team = target.user("team:consolidated")
    for author in ("ann", "bob"):
        team.learn([{"role": "user", "author_id": author, "content": "I like sushi."}])
    team.memories.consolidate()
    assert len(team.memories.list()) == 2


class Judge:
    """A model that judges what is alike; it merges and retires by the words that it finds."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer = '{"merge": [], "retire": []}'

    def __call__(self, request: Received) -> Reply:
        if "You tidy" not in request.prompt:
            return by_understanding(request)
        self.asked.append(request.prompt)
        numbers = {text: int(number) for number, text in re.findall(r"^m(\d+) \w+ [\d-]+: (.*)$", request.prompt, re.M)}
        answer = re.sub(r'"(#[^"]+)"', lambda found: str(numbers.get(found[1][1:], 0)), self.answer)
        return Reply(content=answer)


@pytest.fixture
async def judged(tmp_path: Path) -> AsyncIterator[tuple[AsyncUser, Judge]]:
    judge = Judge()
    async with FakeOpenAI(otherwise=judge) as fake:
        settings = {
            "engine": "openai",
            "openai_base_url": fake.base_url,
            "openai_api_key": "none",
            "quiet_seconds": 0,
            "retry_seconds": 0.05,
        }
        client = await asyncio.to_thread(lambda: AsyncMemoryClient.local(tmp_path / "m.db", **settings))  # type: ignore[arg-type]
        async with client:
            yield client.user("sarah"), judge


async def fill(sarah: AsyncUser, *listed: str) -> None:
    for year, text in enumerate(listed, start=2020):
        await sarah.memories.add(text, duplicate=True, observe_time=datetime(year, 1, 1, tzinfo=UTC))


async def all_texts(sarah: AsyncUser, **wanted: object) -> list[str]:
    return sorted([each.memory async for each in sarah.memories.list(filter=dict(wanted))])  # type: ignore[arg-type]


async def test_a_model_merges_and_retires_in_one_call_and_one_commit(judged: tuple[AsyncUser, Judge]) -> None:
    sarah, judge = judged
    await fill(
        sarah,
        "Goes hiking in the Alps every summer",
        "Hikes in the Alps in summer",
        "Is learning Spanish at a school",
        "Stopped learning Spanish at a school",
        "Owns a piano",
    )
    judge.answer = json.dumps(
        {
            "merge": [
                {
                    "numbers": ["#Goes hiking in the Alps every summer", "#Hikes in the Alps in summer"],
                    "text": "Hikes in the Alps every summer",
                }
            ],
            "retire": [{"number": "#Is learning Spanish at a school", "by": "#Stopped learning Spanish at a school"}],
        }
    )
    preview = await sarah.memories.consolidate(validate_only=True)
    assert preview.usage.calls == 1
    done = await sarah.memories.consolidate()
    assert done.extraction is not None
    assert done.extraction.usage.calls == 1
    assert done.commit is not None
    assert len(done.commit.changes) == len(preview.commit.changes if preview.commit else ()) == 3
    assert await all_texts(sarah) == [
        "Hikes in the Alps every summer",
        "Owns a piano",
        "Stopped learning Spanish at a school",
    ]
    past = await all_texts(sarah, valid_at=datetime(2022, 6, 1, tzinfo=UTC))
    assert "Is learning Spanish at a school" in past
    assert "Stopped learning Spanish at a school" not in past
    # Nothing is alike any more: no call is made.
    calls = len(judge.asked)
    await sarah.memories.undo()
    assert len(await all_texts(sarah)) == 5
    assert len(judge.asked) == calls


@pytest.mark.parametrize(
    "answer",
    [
        {
            "merge": [
                {"numbers": ["#Owns a blue boat in Kiel", "#Owns a green boat in Kiel"], "text": "Owns 7 boats in Kiel"}
            ]
        },
        {
            "merge": [
                {"numbers": ["#Owns a blue boat in Kiel", "#Owns a green boat in Kiel"], "text": "Owns boats in Oslo"}
            ]
        },
        {"merge": [{"numbers": ["#Owns a blue boat in Kiel", 999], "text": "Owns a boat"}]},
        {"retire": [{"number": "#Owns a green boat in Kiel", "by": "#Owns a blue boat in Kiel"}]},
        {"retire": [{"number": "#Owns a blue boat in Kiel", "by": 999}]},
        {"merge": "nothing", "retire": {"number": 1}},
    ],
    ids=["a number nobody said", "a name nobody said", "one alone", "older by newer", "by nothing", "no lists"],
)
async def test_what_a_model_may_not_do_is_not_done(judged: tuple[AsyncUser, Judge], answer: object) -> None:
    sarah, judge = judged
    await fill(sarah, "Owns a blue boat in Kiel", "Owns a green boat in Kiel")
    judge.answer = json.dumps(answer)
    await sarah.memories.consolidate()
    assert judge.asked
    assert await all_texts(sarah) == ["Owns a blue boat in Kiel", "Owns a green boat in Kiel"]


async def test_the_prompt_is_bounded_however_much_is_known(judged: tuple[AsyncUser, Judge]) -> None:
    sarah, judge = judged
    listed = [
        f"Owns boat number {number} in the harbour of Kiel, called Anna {number}. {'x' * 400}" for number in range(300)
    ]
    await sarah.memories.batch([_create(text) for text in listed])
    await sarah.memories.consolidate()
    assert len(judge.asked) <= 1
    assert all(len(prompt) < 40_000 for prompt in judge.asked)
    assert len(await all_texts(sarah)) == 300


def _create(text: str) -> object:
    from memsvc_client import create

    return create(text)


async def test_a_namespace_can_have_it_done_by_itself(tmp_path: Path) -> None:
    client = await asyncio.to_thread(
        lambda: AsyncMemoryClient.local(
            tmp_path / "m.db", engine="rules", embedder="none", poll_seconds=0.05, listen=f"unix://{tmp_path}/s"
        )
    )
    async with (
        client,
        grpc.aio.insecure_channel(f"unix://{tmp_path}/s", options=[("grpc.default_authority", "localhost")]) as channel,
    ):
        sarah = client.user("sarah")
        request = config_pb2.UpdateMemoryConfigRequest(
            update_mask=FieldMask(paths=["retention.consolidation_interval"])
        )
        request.settings.retention.consolidation_interval.FromMilliseconds(200)
        await ConfigServiceStub(channel).UpdateMemoryConfig(request)
        await sarah.memories.add("Likes dogs", duplicate=True)
        await sarah.memories.add("The user likes dogs.", duplicate=True)
        async with asyncio.timeout(30):
            while len(await all_texts(sarah)) > 1:
                await asyncio.sleep(0.05)
        kinds = [str(each.kind) async for each in sarah.extractions.list()]
        assert set(kinds) == {"consolidation"}

"""Whose words become whose memory: another author's are not the user's, a team's are each author's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from memsvc.testing.fake_openai import FakeOpenAI
from memsvc_client import AsyncMemoryClient, AsyncUser, Committed, Message, Refused
from tests.torture.process import Installation

ENGINES = ["rules", "openai"]


@pytest.fixture(params=ENGINES)
async def client(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AsyncMemoryClient]:
    settings = {"engine": request.param, "openai_api_key": "none", "quiet_seconds": 0, "poll_seconds": 0.1}
    installation = Installation(tmp_path, "memory://", settings)
    async with FakeOpenAI() as fake, installation.serving(openai_base_url=fake.base_url) as server:
        async with AsyncMemoryClient(server.target) as client:
            yield client


async def say(user: AsyncUser, *messages: tuple[str, str]) -> None:
    spoken = [Message("user", text, author_id=author_id) for author_id, text in messages]
    await user.append_run("s1", spoken, wait=20.0)


async def test_another_authors_words_do_not_change_the_users_memory(client: AsyncMemoryClient) -> None:
    alice = client.user("alice")
    await say(alice, ("", "I live in Paris."))
    await say(alice, ("bob", "I live in Lyon."), ("", "Nice."))
    await say(alice, ("alice", "I like tea."))
    texts = " ".join([memory.memory async for memory in alice.memories.list()])
    assert "Paris" in texts
    assert "tea" in texts
    assert "Lyon" not in texts


async def test_a_team_remembers_who_said_what(client: AsyncMemoryClient) -> None:
    team = client.user("team:support")
    await say(team, ("caroline", "I live in Lyon."), ("bob", "I live in Rome."))
    await say(team, ("caroline", "I love painting."))
    memories = [memory async for memory in team.memories.list()]
    authors = {memory.origin.author_id for memory in memories if memory.origin is not None}
    found = await team.memories.search("What does Caroline love?")
    context = (await team.context()).text

    assert authors == {"caroline", "bob"}
    assert any("painting" in hit.memory for hit in found)
    assert {memory.key for memory in memories if memory.key} == {"members.caroline.location", "members.bob.location"}
    assert "caroline" in context
    assert "Lyon" in context
    assert "Rome" in context
    [line] = [line for line in context.splitlines() if "painting" in line]
    assert line.strip().startswith("caroline: ")


async def test_a_wish_to_forget_everything_that_is_not_allowed_is_refused_aloud(tmp_path: Path) -> None:
    settings = {"engine": "rules", "quiet_seconds": 0, "poll_seconds": 0.1}
    for allowed in (False, True):
        installation = Installation(tmp_path, "memory://", settings)
        environment = {"MEMSVC_ALLOW_CLEAR": str(allowed)}
        async with installation.serving(environment=environment) as server, AsyncMemoryClient(server.target) as client:
            user = client.user("sarah")
            await user.learn("I live in Lyon.")
            events = [event async for event in user.extract("Please forget everything you know about me.")]
            refused = [event.reason for event in events if isinstance(event, Refused)]
            left = [memory.memory async for memory in user.memories.list()]
            [committed] = [event for event in events if isinstance(event, Committed)]
        assert refused == ([] if allowed else ["OPERATION_FORBIDDEN"])
        assert len(left) == (0 if allowed else 1)
        assert len(committed.commit.changes) == (1 if allowed else 0)

"""A conversation is observed by the Python client, whatever becomes of the server meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from memsvc_client import (
    Accepted,
    AsyncMemoryClient,
    AsyncUser,
    Committed,
    Completed,
    ExtractionEvent,
    InvalidArgument,
    MemoryClient,
    Unavailable,
    User,
)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[MemoryClient]:
    with MemoryClient.local(tmp_path / "memory.db", engine="rules", quiet_seconds=3600) as client:
        yield client


def test_what_is_said_is_stored_at_once_and_learned_at_the_end(client: MemoryClient) -> None:
    sarah = client.user("sarah", agent_id="coach")
    seen: list[ExtractionEvent] = []
    with sarah.observe("s1", on_event=seen.append) as conversation:
        assert conversation.add("user", "I live in Kraków.") == 1
        assert conversation.add({"role": "assistant", "content": "Lovely."}) == 2
        assert [each["content"] for each in sarah.history("s1")] == ["I live in Kraków.", "Lovely."]
        assert conversation.extend([("user", f"I like thing {number}.") for number in range(100)])[-1] == 102
    learned = [change.after.memory for commit in conversation.commits for change in commit.changes if change.after]

    assert any("Kraków" in text for text in learned)
    assert [type(event) for event in conversation.events[:1]] == [Accepted]
    assert sum(isinstance(event, Completed) for event in conversation.events) == len(
        {event.extraction.extraction_id for event in conversation.events if isinstance(event, Accepted)}
    )
    assert [event for event in seen if isinstance(event, (Accepted, Committed, Completed))] == conversation.events
    assert len(list(sarah.runs("s1"))) == 102


def test_a_session_goes_on_after_its_last_message(client: MemoryClient) -> None:
    sarah = client.user("sarah")
    with sarah.observe("s1") as conversation:
        conversation.add("user", "I ski.")
    with sarah.observe("s1") as conversation:
        assert conversation.last_number == 1
        assert conversation.add("user", "I row.") == 2
    with sarah.observe("s2") as conversation:
        assert conversation.add("user", "I sail.") == 1


def _say_and_fail(user: User) -> None:
    with user.observe("s1") as conversation:
        conversation.add("user", "I ski.")
        raise KeyError("mine")


async def _say_and_fail_async(user: AsyncUser) -> None:
    async with user.observe("s2") as conversation:
        await conversation.add("user", "I ski.")
        raise KeyError("mine")


def test_an_exception_keeps_what_was_said_and_is_raised(client: MemoryClient) -> None:
    sarah = client.user("sarah")
    with pytest.raises(KeyError):
        _say_and_fail(sarah)

    assert [each["content"] for each in sarah.history("s1")] == ["I ski."]
    assert sarah.stats().pending_run_count == 1


def test_a_message_that_is_refused_is_an_error_of_the_call(client: MemoryClient) -> None:
    with pytest.raises(InvalidArgument), client.user("sarah").observe("s1") as conversation:
        conversation.add("user", "x" * 300_000)
    with pytest.raises(TypeError):
        with client.user("sarah").observe("s1") as conversation:
            conversation.add("user", "a", "b")
    with pytest.raises(ValueError, match="session_id"):
        client.user("sarah").observe("")


def test_nobody_there_is_an_error_soon(tmp_path: Path) -> None:
    with MemoryClient(f"unix://{tmp_path}/none.sock", timeout_seconds=0.5) as client:
        with pytest.raises(Unavailable), client.user("sarah").observe("s1"):
            raise AssertionError("there is no server")


def test_a_server_that_is_killed_again_and_again_costs_no_message(client: MemoryClient) -> None:
    sarah = client.user("sarah")
    with sarah.observe("s1") as conversation:
        for number in range(1, 61):
            assert conversation.add("user", f"I like playing sport number{number}.") == number
            if number % 20 == 10:
                os.kill(_process_id(client), signal.SIGKILL)

    assert [each["content"] for each in sarah.history("s1", last_runs=100)] == [
        f"I like playing sport number{number}." for number in range(1, 61)
    ]
    assert sarah.stats().pending_run_count == 0
    numbers = [event.number for event in conversation.events if isinstance(event, Completed)]
    assert numbers
    texts = [memory.memory for memory in sarah.memories.list()]
    assert len(texts) == len(set(texts))


def _process_id(client: MemoryClient) -> int:
    """Return the process that serves the client's socket."""
    path = repr(client).partition("unix://")[2].partition("'")[0]
    # What cannot be asked, as it has ended, has None for its arguments.
    processes = [each.info for each in psutil.process_iter(["pid", "cmdline"])]
    return next(
        int(each["pid"])
        for each in processes
        if each["pid"] != os.getpid() and any(path in argument for argument in each["cmdline"] or ())
    )


def test_the_asyncio_client_observes_too(tmp_path: Path) -> None:
    async def observe() -> tuple[list[int], list[str]]:
        async with AsyncMemoryClient.local(tmp_path / "memory.db", engine="rules", quiet_seconds=3600) as client:
            sarah = client.user("sarah")
            async with sarah.observe("s1") as conversation:
                numbers = [await conversation.add("user", "I live in Kraków.")]
                numbers += await conversation.extend([("user", f"I like thing {number}.") for number in range(100)])
            with pytest.raises(KeyError):
                await _say_and_fail_async(sarah)
            with pytest.raises(InvalidArgument):
                async with sarah.observe("s3") as cut:
                    await cut.add("user", "x" * 300_000)
            assert [each["content"] for each in await sarah.history("s2")] == ["I ski."]
            return numbers, [memory.memory async for memory in sarah.memories.list()]

    numbers, texts = asyncio.run(observe())
    assert numbers == list(range(1, 102))
    assert any("Kraków" in text for text in texts)

"""The Python client against a server of its own: what people do with it, and what goes wrong."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from memsvc_client import (
    Aborted,
    AsyncMemoryClient,
    ClientMisused,
    Consistency,
    InvalidArgument,
    LearningMode,
    MemoryClient,
    NotFound,
    Reason,
    Unavailable,
    User,
)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server on the loopback, beside the socket by which it is owned."""
    folder = tmp_path_factory.mktemp("client")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with MemoryClient.local(folder / "memory.db", listen=f"127.0.0.1:{port}", engine="rules"):
        yield f"127.0.0.1:{port}"


@pytest.fixture
def sarah(target: str, request: pytest.FixtureRequest) -> Iterator[User]:
    with MemoryClient(target) as client:
        yield client.user(f"sarah-{request.node.name}"[:200])


@dataclass
class Stack:
    languages: list[str]


@dataclass
class EngineerProfile:
    role: str
    years: int
    stack: Stack


def test_what_is_configured_holds_for_the_namespace_and_its_agents(target: str) -> None:
    with MemoryClient(target, namespace="configured") as client:
        config = client.config.update(
            profile_schema=EngineerProfile,
            policies_prompt="Only wishes about code.",
            update_memory_on_run=True,
            enable_agentic_memory=True,
        )
        assert (config.in_force.mode, config.settings.enabled) == (LearningMode.BOTH, None)
        assert client.config.get() == config
        zoe = client.user("zoe").memories
        zoe.upsert("profile", "stack.languages", value=["Go"])
        with pytest.raises(InvalidArgument) as refused:
            zoe.upsert("profile", "years", value="many")
        assert refused.value.reason == Reason.SCHEMA_VIOLATION
        assert [each.field for each in refused.value.fields] == ["memory.value_json"]
        client.config.update(agent_id="off", enabled=False)
        assert client.user("zoe", agent_id="off").append_run("s1", [("user", "I am Zoe")]).extraction_id == ""
        assert str(client.user("zoe", agent_id="off").context()) == ""
        assert "Go" in str(client.user("zoe").context())
        assert "Go" not in str(client.user("zoe").context(settings={"profile_shown": False}))
        with pytest.raises(Aborted):
            client.config.update(enabled=False, etag=f"{config.etag}x")


async def test_the_configuration_for_asyncio(target: str) -> None:
    async with AsyncMemoryClient(target, namespace="async") as client:
        config = await client.config.update(feedback_learned=False, allow_clear=True)
        assert config.in_force.allow_clear
        assert (await client.config.get()).settings.feedback.learned is False


def closed_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def test_the_whole_list_each_turn_stores_what_is_new(sarah: User) -> None:
    messages: list[dict[str, Any]] = [{"role": "system", "content": "Be kind."}]
    for number in range(3):
        messages += [{"role": "user", "content": f"q{number}"}, {"role": "assistant", "content": f"a{number}"}]
        receipt = sarah.append_run("s1", messages)
    again = sarah.append_run("s1", messages)

    assert [each["content"] for each in sarah.history("s1")] == ["q0", "a0", "q1", "a1", "q2", "a2"]
    assert again.run_id == receipt.run_id
    with pytest.raises(InvalidArgument):
        sarah.append_run("s1", messages[:1])


def test_the_same_text_is_one_memory_unless_asked(sarah: User) -> None:
    first, again = sarah.memories.add("Skis at Tahoe"), sarah.memories.add("skis at Tahoe.", topics=["sport"])
    other = sarah.memories.add("Skis at Tahoe", duplicate=True)

    assert first == again != other
    assert len(sarah.memories.list()) == 2
    assert sarah.memories.get(first).topics == ("sport",)


def test_a_list_reads_like_a_list(sarah: User) -> None:
    for number in range(7):
        sarah.memories.add(f"Fact {number}")
    memories = sarah.memories.list(page_size=2, order="create_time_asc")

    assert memories[0].memory == "Fact 0"
    assert repr(memories) == "Listing(2 fetched, more may follow)"
    assert [each.memory for each in memories[1:3]] == ["Fact 1", "Fact 2"]
    assert (len(memories), memories[-1].memory, bool(memories)) == (7, "Fact 6", True)
    assert memories == list(memories)
    assert not sarah.memories.list({"topics_any": ["none"]})
    with pytest.raises(IndexError, match="there are 7"):
        memories[7]


async def test_a_list_is_awaited_or_iterated_over(target: str) -> None:
    async with AsyncMemoryClient(target) as client:
        ben = client.user("ben")
        for number in range(5):
            await ben.memories.add(f"Fact {number}")
        memories = ben.memories.list(page_size=2)
        assert len(await memories) == 5
        assert [each.memory async for each in memories] == [each.memory for each in await memories]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda user: user.append_run(123, [("user", "Hi")]), "session_id must be a string, not 123"),
        (lambda user: user.append_run("s1", None), "messages must be a list of messages, not None"),
        (lambda user: user.append_run("s1", [("user", "\ud800")]), r"messages\[0\]: content has half of a character"),
        (lambda user: user.append_run("s1", [("user", "Hi")], wait="yes"), "wait must be True, False or seconds"),
        (lambda user: user.append_run("s1", [("user", "Hi")], wait=float("nan")), "wait must be from 0"),
        (lambda user: user.append_run("s1", [("user", "Hi")], skip_stored=1), "skip_stored must be True or False"),
        (lambda user: user.context(5), "query must be a string, not 5"),
        (lambda user: user.context("x", history=5), "history must be a session's id"),
        (lambda user: user.context("x", max_tokens=1.5), "max_tokens must be a whole number"),
        (lambda user: user.context("x\udc00"), "query has half of a character"),
        (lambda user: user.context("x", timeout="1"), "timeout must be a number"),
        (lambda user: user.learn(42), "messages must be a list of messages, not 42"),
        (lambda user: user.learn(""), "messages must not be empty"),
        (lambda user: user.extract([None]), r"messages\[0\]: must be"),
        (lambda user: user.memories.add(5), "text must be a string"),
        (lambda user: user.memories.add("x", input=5), "input must be a string"),
        (lambda user: user.memories.add("x", ttl="1h"), "ttl must be seconds"),
        (lambda user: user.memories.add("x", observe_time=5), "observe_time must be a datetime"),
        (lambda user: user.memories.add("x", key="k", value="\ud800"), "half of a character"),
        (lambda user: user.memories.search("x", limit=1000), "limit must be at most 100, not 1000"),
        (lambda user: user.memories.search("x", limit="5"), "limit must be a whole number"),
        (lambda user: user.memories.search("x", min_score="high"), "min_score must be a number"),
        (lambda user: user.memories.search("x", filter=["layers"]), "filter must be a dict"),
        (lambda user: user.memories.search("x", consistency="latest"), "consistency must be a Consistency"),
        (lambda user: user.memories.get(5), "memory_id must be a string"),
        (lambda user: user.memories.delete("m", expected_revision=-1), "expected_revision must be from 0"),
        (lambda user: user.memories.list(page_size=2**40), "page_size must be from 0"),
        (lambda user: user.search_history("x", limit=1000), "limit must be at most 100"),
        (lambda user: user.search_history("x", time=5), "time must be"),
        (lambda user: user.search_history("x", beside=11), "beside must be at most 10"),
        (lambda user: user.history(None), "session_id must be a string, not None"),
        (lambda user: user.get(consistency=Consistency()), "exactly one"),
    ],
)
def test_a_wrong_argument_is_named_in_both_clients(call: Callable[[Any], object], says: str) -> None:
    for kind in (MemoryClient, AsyncMemoryClient):
        with pytest.raises((TypeError, ValueError), match=says):
            call(kind("localhost:1").user("sarah"))


def test_a_closed_client_says_so(target: str) -> None:
    client = MemoryClient(target)
    user = client.user("sarah")
    listing, stream = user.memories.list(), user.watch()
    client.close()
    client.close()

    for use in (user.get, lambda: user.memories.add("x"), lambda: len(listing), lambda: next(iter(stream))):
        with pytest.raises(ClientMisused, match="CLIENT_CLOSED: this client is closed"):
            use()


async def test_a_closed_asyncio_client_says_so(target: str) -> None:
    client = AsyncMemoryClient(target)
    await client.user("sarah").get()
    await client.close()
    await client.close()

    with pytest.raises(ClientMisused, match="CLIENT_CLOSED"):
        await client.user("sarah").get()
    with pytest.raises(ClientMisused, match="CLIENT_CLOSED"):
        await client.user("sarah").memories.list()


def test_an_asyncio_client_belongs_to_one_event_loop(target: str) -> None:
    client = AsyncMemoryClient(target)

    async def use() -> None:
        await client.user("sarah").get()

    asyncio.run(use())
    with pytest.raises(ClientMisused, match="OTHER_EVENT_LOOP: this client belongs to another event loop"):
        asyncio.run(use())


def _use_after_fork(client: MemoryClient, answer: Connection) -> None:
    try:
        client.user("sarah").get()
        answer.send("")
    except ClientMisused as error:
        answer.send(str(error))
    client.close()
    os._exit(0)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_client_belongs_to_the_process_that_made_it() -> None:
    # Never connected: what is tested is the check, and gRPC itself must not be forked while it works.
    client = MemoryClient(closed_port())
    forking = multiprocessing.get_context("fork")
    here, there = forking.Pipe()
    child = forking.Process(target=_use_after_fork, args=(client, there))
    child.start()
    assert here.poll(20)
    assert here.recv().startswith("OTHER_PROCESS: this client was made in another process")
    child.join(20)


@pytest.mark.parametrize("variable", ["http_proxy", "grpc_proxy", "https_proxy"])
def test_the_loopback_is_never_reached_through_a_proxy(
    target: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "no_grpc_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, f"http://{closed_port()}")
    with MemoryClient(target) as client:
        assert client.server_info().driver == "sqlite"


def test_an_agent_answers_without_its_memory() -> None:
    with MemoryClient(closed_port(), context_or_empty=True) as client:
        context = client.user("sarah").context("What do you know?")
        assert (str(context), context.history, context.memory_ids) == ("", (), ())
        assert isinstance(context.failure, Unavailable)
        with pytest.raises(Unavailable):
            client.user("sarah").context("What do you know?", or_empty=False)
        with pytest.raises(Unavailable):
            client.user("sarah").get()


async def test_an_asyncio_agent_answers_without_its_memory() -> None:
    async with AsyncMemoryClient(closed_port()) as client:
        context = await client.user("sarah").context("What do you know?", or_empty=True)
        assert isinstance(context.failure, Unavailable)


@pytest.mark.parametrize("seconds", [0.3, 0.6])
async def test_a_service_that_hangs_costs_a_context_no_more_than_its_deadline(seconds: float) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        async with AsyncMemoryClient(address, context_timeout_seconds=seconds, context_or_empty=True) as client:
            begun = time.monotonic()
            context = await client.user("sarah").context("x")
            assert seconds * 0.9 < time.monotonic() - begun < seconds + 5
    assert context.failure is not None


def test_mistakes_of_the_caller_are_raised_all_the_same(target: str) -> None:
    with MemoryClient(target, context_or_empty=True) as client:
        sarah = client.user("sarah")
        with pytest.raises(InvalidArgument):
            sarah.context("x" * 100_000)
        with pytest.raises(NotFound):
            sarah.memories.get("none")
        assert sarah.context("x").failure is None


def test_what_is_shown_is_one_line_with_what_matters(sarah: User, target: str) -> None:
    memory_id = sarah.memories.add("Skis at Tahoe\nand " + "very " * 40 + "often", topics=["sport"])
    sarah.append_run("s1", [("user", "Hi")])
    values = [
        sarah,
        sarah.memories,
        sarah.memories.get(memory_id),
        sarah.memories.search("Tahoe"),
        sarah.context("Tahoe"),
        sarah.runs("s1")[0],
        sarah.get(),
    ]

    assert repr(MemoryClient(target, namespace="app")) == f"MemoryClient('{target}', namespace='app')"
    assert repr(MemoryClient("localhost:1", token="secret").user("ann", agent_id="a")) == "User('ann', agent_id='a')"
    for value in values:
        assert "\n" not in repr(value)
        assert len(repr(value)) < 700
    assert "topics=['sport']" in repr(values[2])
    assert "Tahoe" in repr(values[2])


def test_the_readme_of_the_client_runs_as_it_stands(
    target: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    readme = Path(__file__).parents[2] / "clients" / "python" / "README.md"
    blocks = [part.partition("```")[0] for part in readme.read_text(encoding="utf-8").split("```python\n")[1:]]
    monkeypatch.chdir(tmp_path)

    assert len(blocks) == 8
    names: dict[str, Any] = {}
    for block in blocks:
        code = block.replace("unix:///run/memsvc/memsvc.sock", target)
        exec(compile(code, "README.md", "exec", dont_inherit=True), names)
    assert [hit.memory for hit in names["hits"]] == ["Skis at Kirkwood"]
    assert [answer["tool_call_id"] for answer in names["answers"]] == ["call_1"]

"""What a server does when its disk is full, its files cannot be used, or it is frozen or told to go."""

from __future__ import annotations

import asyncio
import resource
import shutil
import subprocess
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import grpc
import pytest

from memsvc.testing.fake_openai import FakeOpenAI
from memsvc.testing.replies import Reply
from memsvc.v1 import common_pb2, memory_pb2, memory_pb2_grpc
from memsvc_client import AsyncMemoryClient, AsyncUser, DeadlineExceeded, Unavailable
from memsvc_client.errors import error_from_status
from tests.torture.databases import Database, sqlite
from tests.torture.process import Installation

T = TypeVar("T")

SETTINGS = {"engine": "rules", "quiet_seconds": 0, "poll_seconds": 0.1, "drain_seconds": 3}
LONG_TEXT = "x" * 4_000

can_mount = (
    shutil.which("unshare") is not None and not subprocess.run(["unshare", "-rm", "true"], check=False).returncode
)
needs_mounts = pytest.mark.skipif(not can_mount, reason="the kernel does not let this user have mounts of its own")


def in_own_mounts(script: str, folder: Path) -> list[str]:
    """Return the command that runs another one after `script`, which may mount things on `folder`, called $0."""
    return ["unshare", "-rm", "sh", "-c", f'{script} && exec "$@"', str(folder)]


@pytest.fixture(scope="module")
def used_database(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of a database that a server has written to."""
    folder = tmp_path_factory.mktemp("used")
    asyncio.run(write_one_memory(Installation(folder, sqlite(folder).url, SETTINGS)))
    return (folder / "memory.db").read_bytes()


async def write_one_memory(installation: Installation) -> None:
    async with installation.serving() as server, AsyncMemoryClient(server.target) as client:
        await client.user("sarah").memories.add("I ski")
        assert await server.stop() == 0


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    folder.mkdir()
    return folder


@pytest.fixture
def database(store: Path) -> Database:
    return sqlite(store)


@pytest.fixture
def installation(tmp_path: Path, database: Database) -> Installation:
    return Installation(tmp_path, database.url, SETTINGS)


async def write_until_refused(user: AsyncUser) -> tuple[list[str], Unavailable]:
    """Write, several at once, until all are refused; return what was acknowledged, and the last refusal."""
    written: list[str] = []
    while True:
        # A request that is refused is sent four times more before the client hears of it.
        answers = await asyncio.gather(
            *(user.memories.add(f"{len(written)} {number} {LONG_TEXT}") for number in range(16)), return_exceptions=True
        )
        written += [answer for answer in answers if isinstance(answer, str)]
        refusals = [answer for answer in answers if not isinstance(answer, str)]
        for refusal in refusals:
            assert isinstance(refusal, Unavailable), refusal
        if len(refusals) == len(answers):
            assert isinstance(refusals[-1], Unavailable)
            return written, refusals[-1]
        assert len(written) < 2_000, "the disk is not full"


async def repeated(send: Callable[[], Awaitable[T]]) -> T:
    """Send until it is answered, as a client does that was refused for now."""
    while True:
        try:
            return await send()
        except Unavailable:
            pass


async def ids_of(user: AsyncUser) -> set[str]:
    return {memory.memory_id async for memory in user.memories.list(page_size=1000)}


async def test_a_full_database_refuses_writes_and_answers_reads(installation: Installation, database: Database) -> None:
    async with installation.serving(storage_options="max_bytes=1048576") as server:
        async with AsyncMemoryClient(server.target) as client:
            user = client.user("sarah")
            written, refusal = await write_until_refused(user)
            assert refusal.reason == "STORAGE_FULL"
            assert await ids_of(user) == set(written)
            assert (await user.context()).text
        assert await server.stop() == 0
    async with installation.serving() as server, AsyncMemoryClient(server.target) as client:
        user = client.user("sarah")
        written.append(await user.memories.add("There is room again"))
        assert await ids_of(user) == set(written)
        assert await server.stop() == 0
    assert database.faults() == ""


@needs_mounts
async def test_a_full_disk_refuses_writes_until_there_is_room(installation: Installation, store: Path) -> None:
    small = in_own_mounts('mount -t tmpfs -o size=3m tmpfs "$0" && head -c 1500000 /dev/zero > "$0/ballast"', store)
    async with installation.serving(within=small) as server, AsyncMemoryClient(server.target) as client:
        user = client.user("sarah")
        written, refusal = await write_until_refused(user)
        assert refusal.reason == "STORAGE_FULL"
        assert await ids_of(user) == set(written)
        (Path(f"/proc/{server.pid}/root") / store.relative_to("/") / "ballast").unlink()
        written.append(await repeated(lambda: user.memories.add("There is room again")))
        assert await ids_of(user) == set(written)
        assert await server.stop() == 0
    said = server.log_tail()
    assert (said.count(" writes_refused reason=STORAGE_FULL "), said.count(" writes_accepted_again ")) == (1, 1)


async def test_a_server_that_may_not_write_more_recovers_once_it_may(
    installation: Installation, database: Database
) -> None:
    async with installation.serving() as server, AsyncMemoryClient(server.target) as client:
        user = client.user("sarah")
        _, hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (600_000, hard))
        written, refusal = await write_until_refused(user)
        assert refusal.reason in ("STORAGE_FULL", "STORAGE_UNAVAILABLE")
        assert await ids_of(user) >= set(written)
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (hard, hard))
        written.append(await repeated(lambda: user.memories.add("There is room again")))
        assert await ids_of(user) >= set(written)
        assert await server.stop() == 0
    assert database.faults() == ""


@needs_mounts
@pytest.mark.parametrize("what", ["", "/memory.db"], ids=["folder", "file"])
async def test_what_cannot_be_written_is_said_at_the_start(
    what: str, installation: Installation, store: Path, used_database: bytes
) -> None:
    (store / "memory.db").write_bytes(used_database)
    read_only = in_own_mounts(f'mount --bind "$0{what}" "$0{what}" && mount -o remount,ro,bind "$0{what}"', store)
    server = await installation.launch(within=read_only)
    assert await server.ended() == 1
    assert only_line(server.log_tail()).startswith("memsvc: ")
    assert (store / "memory.db").read_bytes() == used_database


@pytest.mark.parametrize("damage", ["garbage", "a page overwritten", "cut in half"])
async def test_a_damaged_file_is_said_at_the_start_and_left_as_it_is(
    damage: str, installation: Installation, store: Path, used_database: bytes
) -> None:
    damaged = {
        "garbage": b"no database at all " * 1_000,
        "a page overwritten": b"\xff" * 4096 + used_database[4096:],
        "cut in half": used_database[: len(used_database) // 8192 * 4096],
    }[damage]
    (store / "memory.db").write_bytes(damaged)
    server = await installation.launch()
    assert await server.ended() == 1
    assert only_line(server.log_tail()).startswith("memsvc: ")
    assert (store / "memory.db").read_bytes() == damaged


async def test_a_frozen_server_costs_its_clients_no_more_than_their_deadline(installation: Installation) -> None:
    request_id = str(uuid.uuid4())
    async with installation.serving() as server, AsyncMemoryClient(server.target) as client:
        user = client.user("sarah")
        await user.memories.add("I ski")
        server.freeze()
        with pytest.raises(DeadlineExceeded):
            await user.memories.add("I sail", request_id=request_id, timeout=0.5)
        with pytest.raises(DeadlineExceeded):
            await user.context(timeout=0.5)
        server.thaw()
        await user.memories.add("I sail", request_id=request_id)
        assert sorted([memory.memory async for memory in user.memories.list()]) == ["I sail", "I ski"]


async def test_a_server_told_to_go_ends_its_streams_and_hands_its_work_back(installation: Installation) -> None:
    async with FakeOpenAI([Reply(hang=True)]) as fake:
        hanging = {"engine": "openai", "openai_base_url": fake.base_url, "openai_api_key": "none"}
        async with installation.serving(**hanging) as server, AsyncMemoryClient(server.target) as client:
            receipt = await client.user("sarah").append_run("s1", [("user", "I love sushi!")])
            await fake.wait_for(lambda fake: bool(fake.requests))
            async with grpc.aio.insecure_channel(server.target, [("grpc.default_authority", "localhost")]) as channel:
                request = memory_pb2.WatchMemoriesRequest(scope=common_pb2.Scope(user_id="sarah"), send_initial=True)
                watching = memory_pb2_grpc.MemoryServiceStub(channel).WatchMemories(request)
                await watching.read()
                stopping = asyncio.create_task(server.stop())
                with pytest.raises(grpc.aio.AioRpcError) as ended:
                    await watching.read()
            status = ended.value
            failure = error_from_status(status.code(), status.details() or "", status.trailing_metadata())
            assert (type(failure), failure.reason) == (Unavailable, "SERVER_DRAINING")
            assert await stopping == 0
    async with installation.serving() as server, AsyncMemoryClient(server.target) as client:
        user = client.user("sarah")
        [*_, completed] = [event async for event in user.extractions.watch(receipt.extraction_id, timeout=20)]
        assert completed.extraction.attempt == 1  # type: ignore[union-attr]
        assert [memory.memory async for memory in user.memories.list()] == ["Likes sushi"]


def only_line(log: str) -> str:
    [line] = log.splitlines()
    return line

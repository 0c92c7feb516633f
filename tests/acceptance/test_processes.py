"""Several processes that serve together: one that ends is replaced, and no client sees more of it than a retry."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import psutil
import pytest

from memsvc.testing.fake_openai import FakeOpenAI
from memsvc.testing.replies import Reply
from memsvc_client import AsyncMemoryClient
from tests.conftest import NETWORKED, own_database
from tests.torture.databases import sqlite
from tests.torture.process import Installation, Server, ServerEnded

SETTINGS = {
    "engine": "rules",
    "quiet_seconds": 0,
    "poll_seconds": 0.1,
    "processes": 2,
    "http_listen": "127.0.0.1:0",
    "lease_seconds": 1,
}
ANYWHERE = ("0.0.0.0:0",)
"""Each address of this machine is a connection of its own: gRPC's channels to one address share theirs."""
CLIENTS = 8
WAIT_SECONDS = 30.0


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path, sqlite(tmp_path).url, SETTINGS)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def started(
    stack: AsyncExitStack, installation: Installation, listen: Sequence[str] = ANYWHERE, **settings: object
) -> Server:
    environment = {"MEMSVC_INSECURE": "true"}
    serving = installation.serving(listen=listen, environment=environment, **settings)
    server = await stack.enter_async_context(serving)
    # Each says so shortly after it serves: one that is killed before never does.
    await until(lambda: serving_lines(server) == SETTINGS["processes"])
    return server


async def clients_of(stack: AsyncExitStack, server: Server, count: int = CLIENTS) -> Sequence[AsyncMemoryClient]:
    """Return clients with a connection each."""
    (port,) = re.findall(r"^0\.0\.0\.0:(\d+)$", server.ready_file.read_text(), re.MULTILINE)
    targets = [f"127.0.0.{number}:{port}" for number in range(1, count + 1)]
    return [await stack.enter_async_context(AsyncMemoryClient(target, timeout_seconds=60)) for target in targets]


async def metrics(server: Server) -> str:
    (url,) = re.findall(r"^http://.*$", server.ready_file.read_text(), re.MULTILINE)
    async with httpx.AsyncClient() as client:
        return (await client.get(f"{url}/metrics")).text


async def served_by(server: Server, method: str) -> dict[int, int]:
    """Return how many calls each process has answered."""
    pattern = rf'^memsvc_rpc_calls_total{{process="(\d)",method="{method}",code="OK"}} (\d+)$'
    return {int(process): int(count) for process, count in re.findall(pattern, await metrics(server), re.MULTILINE)}


def children(server: Server) -> list[psutil.Process]:
    return psutil.Process(server.pid).children()


def serving_lines(server: Server) -> int:
    """Return how many processes have served by now, one after the other or at once."""
    return server.log.read_text().count("memsvc serving process=")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while not condition():
            await asyncio.sleep(0.01)


class Writers:
    """Clients that write without a pause until a call fails, and note what was acknowledged."""

    def __init__(self, clients: Sequence[AsyncMemoryClient]) -> None:
        self.users = [client.user(f"user-{number}") for number, client in enumerate(clients)]
        self.written: dict[int, list[str]] = {number: [] for number in range(len(clients))}
        self.failures: list[BaseException] = []
        self._tasks = [asyncio.create_task(self._write(number)) for number in self.written]

    @property
    def count(self) -> int:
        return sum(map(len, self.written.values()))

    async def more(self, count: int) -> None:
        """Return once so much more was acknowledged."""
        wanted = self.count + count
        await until(lambda: self.count >= wanted or bool(self.failures))

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _write(self, number: int) -> None:
        user, written = self.users[number], self.written[number]
        while True:
            try:
                written.append(await user.memories.add(f"Fact number {len(written)}"))
            except Exception as failure:
                self.failures.append(failure)
                return

    async def lost(self, clients: Sequence[AsyncMemoryClient]) -> list[str]:
        """Return what was acknowledged and is not there, as any of these clients sees it."""
        lost = []
        for number, written in self.written.items():
            reader = clients[-1 - number].user(f"user-{number}")
            found = [memory.memory_id async for memory in reader.memories.list()]
            lost += [memory_id for memory_id in written if found.count(memory_id) != 1]
        return lost


async def test_all_processes_serve_and_what_one_writes_another_reads_at_once(
    stack: AsyncExitStack, installation: Installation
) -> None:
    server = await started(stack, installation)
    clients = await clients_of(stack, server)
    for number in range(60):
        writer, reader = clients[number % CLIENTS], clients[(5 * number + 1) % CLIENTS]
        memory_id = await writer.user("sarah").memories.add(f"Fact number {number}")
        assert (await reader.user("sarah").memories.get(memory_id)).memory == f"Fact number {number}"
        assert f"Fact number {number}" in (await reader.user("sarah").context()).text
    served = await served_by(server, "MemoryService/CreateMemory")
    assert sum(served.values()) == 60
    assert set(served) == {1, 2}
    assert all(served.values()), served


async def test_the_port_is_the_processes_own(stack: AsyncExitStack, installation: Installation) -> None:
    server = await started(stack, installation)
    (port,) = re.findall(r"^0\.0\.0\.0:(\d+)$", server.ready_file.read_text(), re.MULTILINE)
    for processes in (1, 2):
        with pytest.raises(ServerEnded, match=rf"listen: cannot listen on 127.0.0.1:{port}: .*another process"):
            await started(stack, installation, listen=[f"127.0.0.1:{port}"], processes=processes)


async def test_a_killed_process_is_replaced_and_nothing_acknowledged_is_lost(
    stack: AsyncExitStack, installation: Installation
) -> None:
    server = await started(stack, installation)
    clients = await clients_of(stack, server)
    writers = Writers(clients)
    for kills in range(1, 4):
        await writers.more(50)
        children(server)[kills % 2].kill()
        await until(lambda kills=kills: serving_lines(server) == 2 + kills)  # type: ignore[misc]
    await writers.more(50)
    await writers.end()
    assert writers.failures == []
    assert await writers.lost(clients) == []
    assert "memsvc_process_restarts_total 3" in await metrics(server)


async def test_a_process_that_cannot_be_started_now_is_started_once_there_is_room(
    stack: AsyncExitStack, installation: Installation
) -> None:
    server = await started(stack, installation)
    supervisor = psutil.Process(server.pid)
    before = supervisor.rlimit(psutil.RLIMIT_NOFILE)
    supervisor.rlimit(psutil.RLIMIT_NOFILE, (3, before[1]))
    children(server)[0].kill()
    await until(lambda: "process_not_started" in server.log.read_text())
    (client, *_) = await clients_of(stack, server, 1)
    await client.user("sarah").memories.add("Skis at Tahoe")
    supervisor.rlimit(psutil.RLIMIT_NOFILE, before)
    await until(lambda: serving_lines(server) == 3)
    assert "cannot start a process: Too many open files" in server.log.read_text()


async def test_what_a_killed_process_was_learning_another_learns(
    stack: AsyncExitStack, installation: Installation
) -> None:
    fake = await stack.enter_async_context(FakeOpenAI([Reply(hang=True)]))
    model = {"engine": "openai", "openai_base_url": fake.base_url, "openai_api_key": "none"}
    server = await started(stack, installation, **model)
    first, *_ = await clients_of(stack, server, 1)
    receipt = await first.user("sarah").append_run("s1", [("user", "I love sushi!")])
    await fake.wait_for(lambda fake: bool(fake.requests))
    for child in children(server):
        child.kill()
    async for _ in first.user("sarah").extractions.watch(receipt.extraction_id, timeout=WAIT_SECONDS):
        pass
    assert len(fake.requests) == 2


async def test_sighup_replaces_one_after_the_other_without_a_failed_call(
    stack: AsyncExitStack, installation: Installation
) -> None:
    server = await started(stack, installation)
    clients = await clients_of(stack, server)
    writers = Writers(clients)
    for _ in range(2):
        before = {child.pid for child in children(server)}
        await writers.more(50)
        server.process.send_signal(signal.SIGHUP)
        await until(lambda before=before: before.isdisjoint(child.pid for child in children(server)))  # type: ignore[misc]
    await writers.more(50)
    await writers.end()
    assert writers.failures == []
    assert await writers.lost(clients) == []
    log = server.log.read_text()
    assert log.count("process_replaced") == 4
    assert "process_ended" not in log


async def test_settings_that_are_wrong_replace_nothing(
    stack: AsyncExitStack, installation: Installation, tmp_path: Path
) -> None:
    file = tmp_path / "memsvc.toml"
    file.write_text('log_level = "INFO"\n')
    server = await started(stack, installation, config=file)
    before = children(server)
    for settings, said, count in (
        ('log_level = "LOUD"', "settings_refused because=.*log_level", 1),
        ("max_calls = 0", "settings_refused because=.*max_calls", 1),
        ('tokens_file = "/nowhere/tokens"', "process_not_replaced process=[12] because=.*tokens_file", 2),
    ):
        file.write_text(settings)
        server.process.send_signal(signal.SIGHUP)
        await until(lambda said=said, count=count: len(re.findall(said, server.log.read_text())) == count)  # type: ignore[misc]
    assert children(server) == before


async def test_sigterm_drains_all(stack: AsyncExitStack, installation: Installation) -> None:
    server = await started(stack, installation)
    writers = Writers(await clients_of(stack, server))
    await writers.more(50)
    all_of_them = children(server)
    stopping = asyncio.create_task(server.stop())
    assert await stopping == 0
    await writers.end()
    assert not any(child.is_running() for child in all_of_them)
    assert server.log.read_text().count("memsvc stopped") == 2
    again = await started(stack, installation)
    assert await writers.lost(await clients_of(stack, again)) == []


async def test_what_killed_processes_leave_behind_is_removed_by_those_that_come(
    installation: Installation, tmp_path: Path
) -> None:
    temporary = tmp_path / "t"
    temporary.mkdir()
    environment = {"TMPDIR": str(temporary)}
    async with installation.serving(environment=environment) as server:
        await server.kill_all()
    left = set(temporary.iterdir())
    assert left
    for folder in left:
        # They were made a while ago.
        os.utime(folder, (0, 0))
    async with installation.serving(environment=environment):
        serving = set(temporary.iterdir())
        assert len(serving) == 2
        assert left.isdisjoint(serving)
        for folder in serving:
            os.utime(folder, (0, 0))
        async with installation.serving(environment=environment) as beside:
            assert serving < set(temporary.iterdir())
            async with AsyncMemoryClient(beside.target, timeout_seconds=60) as client:
                await client.user("sarah").memories.add("Likes tea")
    assert list(temporary.iterdir()) == []


async def test_a_process_that_dies_as_it_drains_is_said(installation: Installation) -> None:
    server = await installation.launch()
    try:
        await server.ready()
        doomed = children(server)[0]
        doomed.suspend()
        stopping = asyncio.create_task(server.stop())
        await until(lambda: "memsvc stopped" in server.log.read_text())
        doomed.kill()
        assert await stopping == 0
    finally:
        await server.kill_all()
    with pytest.raises(ServerEnded, match=r"process_ended_badly process=\d pid=\d+ exit_code=-9"):
        await server.close()


async def test_processes_end_with_a_supervisor_that_is_killed(
    stack: AsyncExitStack, installation: Installation
) -> None:
    server = await started(stack, installation)
    orphans = children(server)
    await server.kill()
    await until(lambda: not any(orphan.is_running() for orphan in orphans))
    assert server.log.read_text().count("memsvc stopped") == 2


async def test_a_socket_is_served_by_all_of_them_through_a_replacement(
    stack: AsyncExitStack, installation: Installation, tmp_path: Path
) -> None:
    path = tmp_path / "s"
    server = await started(stack, installation, listen=[f"unix://{path}"])
    # Another spelling is another connection.
    targets = [f"unix://{tmp_path}{'/' * number}/s" for number in range(CLIENTS)]
    clients = [await stack.enter_async_context(AsyncMemoryClient(target, timeout_seconds=60)) for target in targets]
    writers = Writers(clients)
    async with asyncio.timeout(WAIT_SECONDS):
        # Who accepts is chance: more connections, until each has had one.
        for number in itertools.count(CLIENTS):
            served = await served_by(server, "MemoryService/CreateMemory")
            if set(served) == {1, 2} and all(served.values()):
                break
            client = AsyncMemoryClient(f"unix://{tmp_path}{'/' * number}/s")
            await (await stack.enter_async_context(client)).user("sarah").memories.add(f"Fact number {number}")
    before = children(server)
    server.process.send_signal(signal.SIGHUP)
    await until(lambda: {*before}.isdisjoint(children(server)))
    await writers.more(50)
    await writers.end()
    assert writers.failures == []
    assert await writers.lost(clients) == []
    assert await server.stop() == 0
    assert not path.exists()


async def test_a_database_of_one_process_is_refused(tmp_path: Path) -> None:
    installation = Installation(tmp_path, "memory://", SETTINGS)
    with pytest.raises(ServerEnded, match=r"memsvc: processes: more than 1 need a database that processes can share"):
        async with installation.serving():
            pass


async def test_a_process_that_cannot_start_ends_all_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    installation = Installation(tmp_path, f"sqlite:///{tmp_path}/file/memory.db", SETTINGS)
    with pytest.raises(ServerEnded, match=rf"exit code 1\n(.*\n)*memsvc: .*{tmp_path}/file"):
        async with installation.serving():
            pass
    assert "Traceback" not in (tmp_path / "server-1.log").read_text()


@pytest.mark.parametrize("driver", NETWORKED)
async def test_a_killed_process_loses_nothing_on_any_database(
    stack: AsyncExitStack, tmp_path: Path, driver: str
) -> None:
    for database in own_database(driver, tmp_path):
        installation = Installation(tmp_path, database.url, SETTINGS)
        server = await started(stack, installation)
        clients = await clients_of(stack, server)
        writers = Writers(clients)
        await writers.more(30)
        children(server)[0].kill()
        await writers.more(30)
        server.process.send_signal(signal.SIGHUP)
        await until(lambda server=server: "process_replaced" in server.log.read_text())  # type: ignore[misc]
        await writers.more(30)
        await writers.end()
        assert writers.failures == []
        assert await writers.lost(clients) == []
        assert await server.stop() == 0

"""A server whose database cannot be reached at its start gives up, or waits for it while probes are answered."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from memsvc_client import AsyncMemoryClient
from tests.conftest import NETWORKED, own_database
from tests.servers.places import free_port
from tests.torture.databases import Database
from tests.torture.process import START_SECONDS, Installation, Server, ServerEnded

OWN_CONNECTION = (("grpc.use_local_subchannel_pool", 1), ("grpc.default_authority", "localhost"))
SETTINGS = {"engine": "rules", "embedder": "none", "log_level": "INFO"}


@pytest.fixture(params=NETWORKED)
def stopped_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    for database in own_database(request.param, tmp_path):
        assert database.server is not None
        database.server.stop()
        yield database


async def check(port: int, *options: str) -> int:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "memsvc", "healthcheck", f"--health-listen=0.0.0.0:{port}", *options),
        stderr=asyncio.subprocess.DEVNULL,
    )
    return await process.wait()


async def until_logged(server: Server, word: str) -> None:
    async with asyncio.timeout(START_SECONDS):
        while word not in server.log.read_text():
            await asyncio.sleep(0.02)


async def test_probes_are_answered_while_the_database_is_awaited(stopped_database: Database, tmp_path: Path) -> None:
    port = free_port()
    settings = {**SETTINGS, "health_listen": f"0.0.0.0:{port}", "start_without_storage": "true"}
    environment = {f"MEMSVC_{name.upper()}": value for name, value in settings.items()}
    installation = Installation(tmp_path, stopped_database.url)
    server = await installation.launch(environment=environment)
    try:
        await until_logged(server, "storage_away")
        while await check(port):
            assert server.process.returncode is None, server.log_tail()
        assert await check(port, "--liveness") == 0
        assert not server.ready_file.exists()

        assert stopped_database.server is not None
        stopped_database.server.start()
        await server.ready()
        assert await check(port) == 0
        async with AsyncMemoryClient(server.target, timeout_seconds=60) as client:
            await client.user("sarah").memories.add("Likes tea")
        assert await server.stop() == 0
        assert "Traceback" not in server.log.read_text()
    finally:
        await server.kill()


async def test_a_server_that_waits_for_its_database_stops_when_it_is_told_to(tmp_path: Path) -> None:
    installation = Installation(tmp_path, "postgresql://memsvc@127.0.0.1:1/memsvc")
    server = await installation.launch(environment={"MEMSVC_START_WITHOUT_STORAGE": "true"})
    try:
        await until_logged(server, "storage_away")
        assert await server.stop() == 0
    finally:
        await server.kill()


async def test_without_that_setting_it_gives_up(tmp_path: Path) -> None:
    server = await Installation(tmp_path, "postgresql://memsvc@127.0.0.1:1/memsvc").launch()
    try:
        with pytest.raises(ServerEnded, match="nothing listens at its port"):
            await server.ready()
    finally:
        await server.kill()


async def test_a_check_of_what_does_not_serve_fails() -> None:
    assert await check(free_port()) == 1


async def test_more_clients_are_served_than_a_shell_hands_on_descriptors(tmp_path: Path) -> None:
    within = ("bash", "-c", 'ulimit -Sn 64; exec "$@"', "bash")
    installation = Installation(tmp_path, "memory://", SETTINGS)
    async with installation.serving(within=within) as server, contextlib.AsyncExitStack() as clients:
        for _ in range(100):
            channel = await clients.enter_async_context(
                grpc.aio.insecure_channel(server.target, options=OWN_CONNECTION)
            )
            await channel.unary_unary("/memsvc.v1.AdminService/GetServerInfo")(b"", timeout=20)

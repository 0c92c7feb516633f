"""The servers of the tests: what is missing is named, and a failure where everything has to be there."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.conftest import must_have
from tests.servers import ferretdb, postgres, redis
from tests.servers.places import new_folder
from tests.servers.process import ServerMissing
from tests.torture.process import Installation, ServerEnded


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine on which nothing is installed."""
    monkeypatch.setattr(shutil, "which", lambda *_: None)
    monkeypatch.setattr(postgres, "find_spec", lambda _: None)
    monkeypatch.setattr(redis, "find_spec", lambda _: None)
    monkeypatch.setattr(postgres, "DEBIAN_FOLDER", tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.mark.parametrize(
    ("find", "name"),
    [(postgres.binaries.__wrapped__, "PostgreSQL"), (redis.binary.__wrapped__, "Redis"), (ferretdb.binary, "FerretDB")],
)
@pytest.mark.usefixtures("bare_machine")
def test_a_missing_server_is_named(find: object, name: str) -> None:
    with pytest.raises(ServerMissing, match=rf"^{name}: .*(install|built)"):
        find()  # type: ignore[operator]


@pytest.mark.usefixtures("bare_machine")
@pytest.mark.parametrize(
    ("environment", "outcome"),
    [
        ({}, pytest.skip.Exception),
        ({"CI": "true"}, pytest.fail.Exception),
        ({"CI": "true", "MEMSVC_TEST_ALLOW_MISSING": "1"}, pytest.skip.Exception),
    ],
)
def test_a_missing_server_skips_a_test_and_fails_it_in_ci(
    environment: dict[str, str], outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CI", "MEMSVC_TEST_ALLOW_MISSING"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(outcome, match="Redis: no redis-server found"):
        must_have(redis.binary.__wrapped__)


STARTS_SERVERS = """
import asyncio, sys
from pathlib import Path
from tests.servers.redis import Redis
from tests.torture.process import Installation

async def start():
    redis = Redis()
    redis.start()
    memsvc = await Installation(Path(sys.argv[1]), "memory://", {"engine": "rules"}).launch()
    await memsvc.ready()
    print(redis._process.pid, memsvc.pid, flush=True)
    await asyncio.sleep(3600)

asyncio.run(start())
"""


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv (util-linux) is not installed")
def test_servers_end_with_a_run_of_the_tests_that_is_killed() -> None:
    folder = new_folder("killed-run")
    with subprocess.Popen([sys.executable, "-c", STARTS_SERVERS, str(folder)], stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        servers = [psutil.Process(int(pid)) for pid in run.stdout.readline().split()]
        assert len(servers) == 2
        run.send_signal(signal.SIGKILL)
        run.wait()
    deadline = time.monotonic() + 20
    while any(server.is_running() and server.status() != psutil.STATUS_ZOMBIE for server in servers):
        assert time.monotonic() < deadline, servers
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("end", "seen"),
    [("os.abort", "exit code -6"), ("os._exit, 3", "exit code 3"), ("lambda: None.nothing", "AttributeError")],
    ids=["crash", "failure", "error nobody caught"],
)
async def test_a_server_that_ends_badly_fails_the_test(end: str, seen: str, tmp_path: Path) -> None:
    program = f"import atexit, os\nfrom memsvc.cli import main\natexit.register({end})\nmain()\n"
    (tmp_path / "ends_badly.py").write_text(program)
    installation = Installation(tmp_path, "memory://", {"engine": "rules"}, program=["ends_badly"])
    path = os.pathsep.join([str(tmp_path), *sys.path])
    with pytest.raises(ServerEnded, match=seen):
        async with installation.serving(environment={"PYTHONPATH": path}):
            pass


@pytest.mark.parametrize("how", ["close", "kill"])
async def test_a_server_that_died_meanwhile_fails_the_test(how: str, tmp_path: Path) -> None:
    server = await Installation(tmp_path, "memory://", {"engine": "rules"}).launch()
    await server.ready()
    os.kill(server.pid, signal.SIGABRT)
    await server.process.wait()
    with pytest.raises(ServerEnded, match="exit code -6"):
        await getattr(server, how)()


async def test_a_server_that_a_test_killed_may_be_closed(tmp_path: Path) -> None:
    async with Installation(tmp_path, "memory://", {"engine": "rules"}).serving() as server:
        await server.kill()
        await server.kill()

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from memsvc_client import Accepted, AsyncMemoryClient, Completed, DeadlineExceeded, MemoryClient, SidecarFailed
from memsvc_client.sidecar import MAX_SOCKET_PATH_BYTES, START_SECONDS, Sidecar

STAND_IN = [sys.executable, str(Path(__file__).with_name("fake_memory_service.py"))]


@pytest.fixture
def sidecar(short_path: Path) -> Iterator[Callable[..., Sidecar]]:
    """Makes sidecars of one file; no server outlives the test."""

    def make(**options: str) -> Sidecar:
        return Sidecar(short_path / "m.db", options, runtime_dir=short_path / "run", command=STAND_IN)

    yield make
    for pid in started(short_path / "m.db"):
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(pid).kill()


def started(database: Path) -> list[int]:
    """The servers that were ever started on a file: the stand-in writes its pid there."""
    return [int(line) for line in database.read_text().split()] if database.exists() else []


def wait_for_end(pid: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(pid).wait(10)


def test_a_sidecar_is_started_shared_and_gone_after_its_last_client(sidecar: Callable[..., Sidecar]) -> None:
    first = MemoryClient(sidecar())
    with MemoryClient(sidecar()) as second:
        pid = int(second.server_info().version)
        first.close()
        assert int(second.server_info().version) == pid
    wait_for_end(pid)
    assert not psutil.pid_exists(pid)

    with MemoryClient(sidecar()) as third:
        assert int(third.server_info().version) != pid


def test_clients_that_start_at_once_start_one_server(sidecar: Callable[..., Sidecar], short_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        clients = list(threads.map(lambda _: MemoryClient(sidecar()), range(8)))
    pids = {client.server_info().version for client in clients}
    for client in clients:
        client.close()
    assert len(pids) == 1
    assert len(started(short_path / "m.db")) == 1


def test_a_server_survives_the_process_that_started_it(sidecar: Callable[..., Sidecar], short_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from memsvc_client import MemoryClient\n"
        "from memsvc_client.sidecar import Sidecar\n"
        "own = Sidecar(sys.argv[1], runtime_dir=Path(sys.argv[2]), command=sys.argv[3:])\n"
        "client = MemoryClient(own); print(client.server_info().version, flush=True); sys.stdin.read()\n"
    )
    arguments = [sys.executable, "-c", script, str(short_path / "m.db"), str(short_path / "run"), *STAND_IN]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        pid = starter.stdout.readline().strip()
        with MemoryClient(sidecar()) as client:
            starter.kill()
            starter.wait()
            assert client.server_info().version == pid
    wait_for_end(int(pid))
    assert not psutil.pid_exists(int(pid))


def test_a_killed_server_is_started_again_by_the_next_call(sidecar: Callable[..., Sidecar]) -> None:
    with MemoryClient(sidecar()) as client, MemoryClient(sidecar()) as other:
        pid = int(client.server_info().version)
        os.kill(pid, signal.SIGKILL)
        wait_for_end(pid)
        assert int(client.server_info().version) != pid
        assert other.server_info().version == client.server_info().version


NEVER_READY = "import os, sys, time; open(sys.argv[1], 'a').write(f'{os.getpid()}\\n'); time.sleep(60)"


def broken(own: Sidecar) -> None:
    """Let the next server be one that never takes a call."""
    own.arguments = [sys.executable, "-c", NEVER_READY, str(own.database)]


def test_calls_end_at_their_deadline_while_their_server_does_not_start(
    sidecar: Callable[..., Sidecar], short_path: Path
) -> None:
    own = sidecar()
    with MemoryClient(own) as client, ThreadPoolExecutor(8) as threads:
        os.kill(pid := int(client.server_info().version), signal.SIGKILL)
        wait_for_end(pid)
        broken(own)
        begun = time.monotonic()
        calls = [threads.submit(client.user("sarah").get, timeout=4.0) for _ in range(8)]
        assert {type(call.exception()) for call in calls} <= {SidecarFailed, DeadlineExceeded}
        assert time.monotonic() - begun < START_SECONDS / 2
    assert len(started(short_path / "m.db")) == 2


async def test_calls_for_asyncio_end_so_too(sidecar: Callable[..., Sidecar], short_path: Path) -> None:
    own = sidecar()
    async with AsyncMemoryClient(own) as client:
        os.kill(pid := int((await client.server_info()).version), signal.SIGKILL)
        await asyncio.to_thread(wait_for_end, pid)
        broken(own)
        begun = time.monotonic()
        user = client.user("sarah")
        answers = await asyncio.gather(*(user.get(timeout=4.0) for _ in range(40)), return_exceptions=True)
        assert {type(answer) for answer in answers} <= {SidecarFailed, DeadlineExceeded}
        assert time.monotonic() - begun < START_SECONDS / 2
    assert len(started(short_path / "m.db")) == 2


def test_a_stream_finds_the_server_that_comes_after_a_killed_one(
    sidecar: Callable[..., Sidecar], short_path: Path
) -> None:
    with MemoryClient(sidecar()) as client:
        pid = int(client.server_info().version)
        os.kill(pid, signal.SIGKILL)
        wait_for_end(pid)
        events = list(client.user("sarah").extract("I ski"))
    assert [type(event) for event in events] == [Accepted, Completed]
    assert len(started(short_path / "m.db")) == 2


def test_a_stale_socket_is_in_nobodys_way(sidecar: Callable[..., Sidecar]) -> None:
    own = sidecar()
    own.folder.mkdir(parents=True)
    own.socket.touch()
    (own.folder / "ready").touch()
    with MemoryClient(own) as client:
        assert client.server_info().driver == "fake"


def test_a_server_that_does_not_start_shows_its_last_words(sidecar: Callable[..., Sidecar]) -> None:
    with pytest.raises(SidecarFailed, match=r"(?s)exited with status 1.*no space left"):
        MemoryClient(sidecar(fail_with="no space left"))


def test_what_is_not_installed_is_named(short_path: Path) -> None:
    own = Sidecar(short_path / "m.db", runtime_dir=short_path / "run", command=[sys.executable, "-m", "no_such_server"])
    with pytest.raises(SidecarFailed, match=r"(?s)exited with status 1.*No module named"):
        MemoryClient(own)


def test_a_client_that_was_closed_starts_no_server(sidecar: Callable[..., Sidecar]) -> None:
    own = sidecar()
    MemoryClient(own).close()
    with pytest.raises(SidecarFailed, match="closed"):
        own.ensure()


async def test_an_async_client_has_a_sidecar_too(sidecar: Callable[..., Sidecar], short_path: Path) -> None:
    client = AsyncMemoryClient(sidecar())
    assert started(short_path / "m.db") == []
    async with client:
        infos = await asyncio.gather(*(client.server_info() for _ in range(5)))
        pid = int(infos[0].version)
        os.kill(pid, signal.SIGKILL)
        await asyncio.to_thread(wait_for_end, pid)
        assert int((await client.server_info()).version) != pid


def test_paths_that_mean_one_file_share_one_server(short_path: Path) -> None:
    (short_path / "link").symlink_to(short_path)
    direct = Sidecar(short_path / "m.db", runtime_dir=short_path)
    linked = Sidecar(short_path / "link" / ".." / short_path.name / "m.db", runtime_dir=short_path)
    assert direct.folder == linked.folder


def test_the_folder_of_the_socket_is_private_and_its_path_short(
    monkeypatch: pytest.MonkeyPatch, short_path: Path
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_path / ("deep" * 30)))
    too_deep = Sidecar("m.db")
    assert len(os.fsencode(too_deep.socket)) <= MAX_SOCKET_PATH_BYTES
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_path))
    assert Sidecar("m.db").folder.parent == short_path / "memsvc"
    assert (short_path / "memsvc").stat().st_mode & 0o777 == 0o700
    (short_path / "memsvc").chmod(0o777)
    assert Sidecar("m.db").folder.parent != short_path / "memsvc"


def test_options_are_flags_as_on_the_command_line(short_path: Path) -> None:
    own = Sidecar(short_path / "m.db", {"log_level": "debug", "quiet": True, "insecure": False}, runtime_dir=short_path)
    assert own.arguments[3:4] == ["serve"]
    assert own.arguments[-4:] == ["--log-level", "debug", "--quiet", "--no-insecure"]
    assert f"sqlite:///{short_path}/m.db" in own.arguments

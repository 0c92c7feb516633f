from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from rpc_harness import Learner

from memsvc.application import Application, build_application
from memsvc.errors import InvalidArgument
from memsvc.rpc.listeners import serving
from memsvc.rpc.socket_lock import SocketLock
from memsvc.storage.driver import Driver
from memsvc.v1 import admin_pb2
from memsvc.v1.admin_pb2_grpc import AdminServiceStub

HOLD_A_LOCK = """
import sys, time
from pathlib import Path
from memsvc.rpc.socket_lock import SocketLock
lock = SocketLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


LISTEN = """
import socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen(8)
print("listening", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def application(driver: Driver) -> Application:
    return build_application(driver, Learner())


async def answers(address: str) -> bool:
    options = [("grpc.default_authority", "localhost")]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        info = await AdminServiceStub(channel).GetServerInfo(admin_pb2.GetServerInfoRequest(), timeout=10)  # type: ignore[misc]
        return bool(info.version)


async def test_a_socket_is_served_in_a_new_folder_for_owner_and_group(application: Application, folder: Path) -> None:
    path = folder / "new" / "memsvc.sock"
    async with serving(application, [f"unix://{path}"]) as edge:
        assert edge.addresses == [f"unix://{path}"]
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert await answers(edge.addresses[0])

    assert not path.exists()


async def test_ports_that_were_left_open_are_said(application: Application, folder: Path) -> None:
    async with serving(application, ["127.0.0.1:0", "[::1]:0", "localhost:0", f"unix://{folder}/s"]) as edge:
        v4, v6, name, unix = edge.addresses
        assert not any(address.endswith(":0") for address in edge.addresses)
        assert (v4[:10], v6[:6], name[:10]) == ("127.0.0.1:", "[::1]:", "localhost:")
        for address in (v4, v6, name, unix):
            assert await answers(address)


async def test_a_second_server_is_told_who_serves_the_socket(application: Application, folder: Path) -> None:
    async with serving(application, [f"unix://{folder}/s"]) as edge:
        with pytest.raises(InvalidArgument, match=f"{folder}/s is served by process {os.getpid()}"):
            async with serving(application, [f"unix://{folder}/s"]):
                pass
        assert await answers(edge.addresses[0])


async def test_a_lock_of_another_process_counts_and_ends_with_it(application: Application, folder: Path) -> None:
    path = folder / "s"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD_A_LOCK, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(InvalidArgument, match=f"served by process {holder.pid}"):
        async with serving(application, [f"unix://{path}"]):
            pass
    holder.kill()
    holder.wait()
    holder.stdin.close()
    holder.stdout.close()
    async with serving(application, [f"unix://{path}"]) as edge:
        assert await answers(edge.addresses[0])


async def test_what_a_dead_server_left_is_removed_and_nothing_else(application: Application, folder: Path) -> None:
    stale, precious = folder / "stale", folder / "precious"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(stale))
    precious.write_text("data")
    async with serving(application, [f"unix://{stale}"]) as edge:
        assert await answers(edge.addresses[0])
    with pytest.raises(InvalidArgument, match="exists and is no socket"):
        async with serving(application, [f"unix://{precious}"]):
            pass

    assert precious.read_text() == "data"


@contextlib.contextmanager
def another_program(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program that knows of no lock and listens at the path."""
    program = subprocess.Popen([sys.executable, "-c", LISTEN, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert program.stdin is not None
    assert program.stdout is not None
    try:
        assert program.stdout.readline() == b"listening\n"
        yield program
    finally:
        program.kill()
        program.wait()
        program.stdin.close()
        program.stdout.close()


async def test_the_live_socket_of_another_program_is_left_alone(application: Application, folder: Path) -> None:
    path = folder / "s"
    with another_program(path) as program:
        for stopped in (False, True):
            if stopped:
                program.send_signal(signal.SIGSTOP)
            with pytest.raises(InvalidArgument, match=f"served by process {program.pid}"):
                async with serving(application, [f"unix://{path}"]):
                    pass
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
    async with serving(application, [f"unix://{path}"]) as edge:
        assert await answers(edge.addresses[0])


async def test_a_full_backlog_is_a_live_server_too(application: Application, folder: Path) -> None:
    path = folder / "s"
    with socket.socket(socket.AF_UNIX) as busy, contextlib.ExitStack() as clients:
        busy.bind(str(path))
        busy.listen(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                client = clients.enter_context(socket.socket(socket.AF_UNIX))
                client.setblocking(False)
                client.connect(str(path))
        with pytest.raises(InvalidArgument, match="is served by another process"):
            async with serving(application, [f"unix://{path}"]):
                pass
        assert path.is_socket()


async def test_without_its_lock_file_a_server_still_holds_its_socket(application: Application, folder: Path) -> None:
    async with serving(application, [f"unix://{folder}/s"]) as edge:
        (folder / "s.lock").unlink()
        for _ in range(2):
            with pytest.raises(InvalidArgument, match=f"{folder}/s is served by process {os.getpid()}"):
                async with serving(application, [f"unix://{folder}/s"]):
                    pass
        assert await answers(edge.addresses[0])


async def test_a_stopping_server_leaves_the_socket_of_another(application: Application, folder: Path) -> None:
    path = folder / "s"
    lock = SocketLock(path)
    lock.acquire()
    with socket.socket(socket.AF_UNIX) as first, socket.socket(socket.AF_UNIX) as second:
        first.bind(str(path))
        lock.bound()
        path.unlink()
        second.bind(str(path))
        lock.release()

        assert path.is_socket()


@pytest.mark.parametrize("content", [b"", b"4711\n", b"a document of somebody else's\n" * 100])
async def test_a_file_in_the_locks_place_keeps_what_it_holds(
    application: Application, folder: Path, content: bytes
) -> None:
    foreign = folder / "s.lock"
    foreign.write_bytes(content)
    foreign.chmod(0o400)
    before = foreign.stat()
    async with serving(application, [f"unix://{folder}/s"]) as edge:
        assert await answers(edge.addresses[0])

    assert foreign.read_bytes() == content
    assert (foreign.stat().st_ino, foreign.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


async def test_a_link_in_the_locks_place_is_not_followed(application: Application, folder: Path) -> None:
    for name in ("precious", "missing"):
        path, target = folder / name, folder / f"{name}.txt"
        (folder / f"{name}.lock").symlink_to(target)
        if name == "precious":
            target.write_text("data")
        with pytest.raises(InvalidArgument, match=f"{path}.lock: it is a symbolic link"):
            async with serving(application, [f"unix://{path}"]):
                pass

    assert (folder / "precious.txt").read_text() == "data"
    assert not (folder / "missing.txt").exists()


async def test_what_is_no_file_is_no_lock(application: Application, folder: Path) -> None:
    os.mkfifo(folder / "pipe.lock")
    (folder / "folder.lock").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(InvalidArgument, match=f"cannot lock {folder}/{name} by {folder}/{name}.lock: "):
            async with serving(application, [f"unix://{folder}/{name}"]):
                pass


async def test_only_the_owner_can_hold_the_lock(application: Application, folder: Path) -> None:
    mask = os.umask(0)
    try:
        async with serving(application, [f"unix://{folder}/s"]):
            assert stat.S_IMODE((folder / "s.lock").stat().st_mode) == 0o600
            assert stat.S_IMODE((folder / "s").stat().st_mode) == 0o660
    finally:
        os.umask(mask)


async def test_a_port_that_is_taken_is_refused(application: Application) -> None:
    async with serving(application, ["127.0.0.1:0"]) as edge:
        with pytest.raises(InvalidArgument, match=f"cannot listen on {edge.addresses[0]}"):
            async with serving(application, edge.addresses):
                pass


@pytest.mark.parametrize("sent", [b"", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"], ids=["nothing", "half"])
async def test_who_connects_and_says_no_more_is_cut_off_soon(application: Application, sent: bytes) -> None:
    async with serving(application, ["127.0.0.1:0"]) as edge:
        host, _, port = edge.addresses[0].rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(sent)
        async with asyncio.timeout(30):
            while await reader.read(1000):
                pass
        writer.close()
        assert await answers(edge.addresses[0])


async def test_a_failed_start_lets_its_sockets_go(application: Application, folder: Path) -> None:
    with pytest.raises(InvalidArgument):
        async with serving(application, [f"unix://{folder}/s", f"unix://{folder}/s/below"]):
            pass
    async with serving(application, [f"unix://{folder}/s"]) as edge:
        assert await answers(edge.addresses[0])

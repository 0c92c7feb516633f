from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from rpc_harness import Learner

from memsvc.application import Application, build_application
from memsvc.errors import InvalidArgument
from memsvc.rpc.listeners import serving
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


async def test_a_port_that_is_taken_is_refused(application: Application) -> None:
    async with serving(application, ["127.0.0.1:0"]) as edge:
        with pytest.raises(InvalidArgument, match=f"cannot listen on {edge.addresses[0]}"):
            async with serving(application, edge.addresses):
                pass


async def test_a_failed_start_lets_its_sockets_go(application: Application, folder: Path) -> None:
    with pytest.raises(InvalidArgument):
        async with serving(application, [f"unix://{folder}/s", f"unix://{folder}/s/below"]):
            pass
    async with serving(application, [f"unix://{folder}/s"]) as edge:
        assert await answers(edge.addresses[0])

"""Which user is at the other end of a unix socket, as the kernel says it."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from callers import Callers, bearer
from rpc_harness import SARAH, Harness, failing, served

from memsvc.access.caller import Right
from memsvc.access.tokens import Entry
from memsvc.rpc.relaying import SocketUsers
from memsvc.storage.driver import Driver
from memsvc.v1 import common_pb2, memory_pb2

OURS = os.getuid()
UNAUTHENTICATED, DENIED = grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED
CALL_AS = """
import os, sys
import grpc
channel = grpc.insecure_channel(sys.argv[1], options=[("grpc.default_authority", "localhost")])
# It connects when it is used first; by then nothing has to be imported any more, which another user might not read.
os.setgid(int(sys.argv[2]))
os.setuid(int(sys.argv[2]))
call = channel.unary_unary("/memsvc.v1.MemoryService/ListMemories")
try:
    call(bytes.fromhex(sys.argv[3]), timeout=20)
    print("OK")
except grpc.RpcError as error:
    print(error.code().name)
"""


@pytest.fixture
def callers(folder: Path) -> Callers:
    callers = Callers(folder)
    callers.file.add(Entry(id="pod", socket_user=OURS, namespaces=["team-7"], rights=[Right.READ, Right.WRITE]))
    return callers


@pytest.fixture
async def told_apart(driver: Driver, folder: Path, callers: Callers) -> AsyncIterator[Harness]:
    async with served(driver, folder, tokens_file=str(callers.path), socket_users=True) as harness:
        yield harness


def listing(harness: Harness, namespace: str = "", metadata: Any = ()) -> Any:
    request = memory_pb2.ListMemoriesRequest(scope=common_pb2.Scope(namespace=namespace, user_id="sarah"))
    return harness.memories.ListMemories(request, metadata=metadata, timeout=30)


async def test_a_user_of_the_machine_has_its_namespace_without_a_token_and_no_other(
    told_apart: Harness, folder: Path
) -> None:
    write = memory_pb2.CreateMemoryRequest(scope=SARAH, memory=memory_pb2.Memory(text="Skis"))
    made = await told_apart.memories.CreateMemory(write)
    assert made.memory.scope.namespace == "team-7"
    assert len((await listing(told_apart)).memories) == 1
    assert (await failing(listing(told_apart, "default"))).code is DENIED
    assert stat.S_IMODE((folder / "s").stat().st_mode) == 0o660


async def test_a_token_decides_where_there_is_one(told_apart: Harness, callers: Callers) -> None:
    await listing(told_apart, "default", bearer(callers.token()))
    assert (await failing(listing(told_apart, metadata=bearer("x")))).code is UNAUTHENTICATED


@pytest.mark.skipif(OURS != 0, reason="only root can become another user")
async def test_another_user_is_another_caller(told_apart: Harness, folder: Path, callers: Callers) -> None:
    folder.chmod(0o755)
    (folder / "s").chmod(0o666)
    callers.file.add(Entry(id="other", socket_user=4007, namespaces=["team-8"], rights=[Right.READ]))
    outcomes = {}
    for user, namespace in ((4007, "team-8"), (4007, "team-7"), (4009, "team-8")):
        request = memory_pb2.ListMemoriesRequest(scope=common_pb2.Scope(namespace=namespace, user_id="sarah"))
        arguments = [f"unix://{folder}/s", str(user), request.SerializeToString().hex()]
        calling = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CALL_AS, *arguments, stdout=subprocess.PIPE
        )
        output, _ = await calling.communicate()
        outcomes[user, namespace] = output.decode().strip()
    assert outcomes == {(4007, "team-8"): "OK", (4007, "team-7"): DENIED.name, (4009, "team-8"): UNAUTHENTICATED.name}


async def test_replies_of_any_size_come_whole_also_to_who_reads_slowly(told_apart: Harness) -> None:
    texts = [f"{number} " + "x" * 8_000 for number in range(200)]
    for text in texts:
        memory = memory_pb2.Memory(text=text)
        await told_apart.memories.CreateMemory(memory_pb2.CreateMemoryRequest(scope=SARAH, memory=memory))
    for _ in range(3):
        listed = await told_apart.memories.ListMemories(memory_pb2.ListMemoriesRequest(scope=SARAH, page_size=200))
        assert sorted(memory.text for memory in listed.memories) == sorted(texts)


async def test_nobody_takes_anothers_place_by_the_name_of_its_end(told_apart: Harness) -> None:
    await listing(told_apart)
    names = [
        line.rpartition("@")[2].strip()
        for line in Path("/proc/net/unix").read_text().splitlines()
        if "@memsvc-" in line
    ]
    users = SocketUsers()
    for name in names:
        with socket.socket(socket.AF_UNIX) as forged, pytest.raises(OSError, match="in use"):
            forged.bind(f"\0{name}")
        assert users.user_of(f"unix-abstract:{name}") is None
    assert names


async def test_nothing_of_it_is_left_once_the_server_has_stopped(
    driver: Driver, folder: Path, callers: Callers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    async with served(driver, folder, tokens_file=str(callers.path), socket_users=True) as harness:
        await listing(harness)
        (inner,) = tmp_path.iterdir()
        assert stat.S_IMODE(inner.stat().st_mode) == 0o700
    assert not list(tmp_path.iterdir())
    assert not (folder / "s").exists()


async def test_where_no_folder_but_that_of_the_socket_can_be_written_it_is_there(
    driver: Driver, folder: Path, callers: Callers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_a_pod() -> str:
        raise FileNotFoundError("no usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", in_a_pod)
    before = set(folder.iterdir())
    async with served(driver, folder, tokens_file=str(callers.path), socket_users=True) as harness:
        await listing(harness)
        (inner,) = {each for each in folder.iterdir() if each.is_dir()} - before
        assert stat.S_IMODE(inner.stat().st_mode) == 0o700
    assert {each for each in folder.iterdir() if each.is_dir()} <= before


async def test_without_the_setting_the_user_of_a_socket_is_nobody(
    driver: Driver, folder: Path, callers: Callers
) -> None:
    async with served(driver, folder, tokens_file=str(callers.path)) as harness:
        assert (await failing(listing(harness))).code is UNAUTHENTICATED

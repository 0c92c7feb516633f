from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_memory_service import FakeMemoryService, Running, start

from memsvc_client import MemoryClient, User


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder whose name leaves room for a socket's path."""
    with tempfile.TemporaryDirectory(prefix="mc") as folder:
        yield Path(folder)


@pytest.fixture
def running(short_path: Path) -> Iterator[Running]:
    target = f"unix://{short_path}/s.sock"
    service = FakeMemoryService()
    server, _ = start(service, target)
    yield Running(service, target)
    server.stop(None).wait()


@pytest.fixture
def service(running: Running) -> FakeMemoryService:
    return running.service


@pytest.fixture
def client(running: Running) -> Iterator[MemoryClient]:
    with MemoryClient(running.target) as client:
        yield client


@pytest.fixture
def sarah(client: MemoryClient) -> User:
    return client.user("sarah", agent_id="support")

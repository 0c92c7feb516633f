"""A memsvc for the tests of this folder."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator

import pytest

pytest.importorskip("mcp", reason="needs the SDK of the Model Context Protocol: pip install 'memsvc[mcp]'")

from memsvc_client import MemoryClient


@pytest.fixture(scope="module")
def service() -> Iterator[MemoryClient]:
    """A client of a memsvc that runs for all tests of a file."""
    with tempfile.TemporaryDirectory(prefix="memsvc") as folder:
        with MemoryClient.local(f"{folder}/memory.db", engine="rules", quiet_seconds=0) as client:
            yield client


@pytest.fixture
def target(service: MemoryClient) -> str:
    return service._endpoint.target


@pytest.fixture
def user_id() -> str:
    """A user whom no other test has."""
    return f"Sarah / ü {uuid.uuid4()}"

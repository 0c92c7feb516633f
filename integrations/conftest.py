"""What the tests of every adapter need: a real server, on SQLite, and the scripted model that answers and learns."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from memsvc.testing.fake_agent import answer
from memsvc.testing.fake_openai import FakeOpenAI
from memsvc.testing.replies import Received
from memsvc_client import MemoryClient
from memsvc_client.turn import Turn

SECONDS = 30.0
ENGINE = "You keep the long-term memory of one user."


class Model:
    """The model's endpoint, in a thread of its own: frameworks block."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.fake = FakeOpenAI(otherwise=answer)
        self._carry_out(self.fake.__aenter__())
        self.base_url = self.fake.base_url

    @property
    def asked(self) -> list[Received]:
        """What the agents asked, in order; not what memory asked to learn."""
        return [
            each for each in self.fake.requests if each.path == "/v1/chat/completions" and ENGINE not in each.prompt
        ]

    @property
    def learned(self) -> list[Received]:
        return [each for each in self._completions() if ENGINE in each.prompt]

    def _completions(self) -> list[Received]:
        return [each for each in self.fake.requests if each.path == "/v1/chat/completions"]

    def forget(self) -> None:
        self.fake.requests.clear()

    def close(self) -> None:
        self._carry_out(self.fake.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _carry_out(self, coroutine: Any) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(SECONDS)


@pytest.fixture(scope="session")
def _endpoint() -> Iterator[Model]:
    model = Model()
    yield model
    model.close()


@pytest.fixture
def model(_endpoint: Model) -> Model:
    _endpoint.forget()
    return _endpoint


@pytest.fixture(scope="session")
def _environment(_endpoint: Model) -> Iterator[None]:
    """What an example finds around it: the model, and folders of its own."""
    with tempfile.TemporaryDirectory(prefix="mi") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", "none")
        patch.setenv("OPENAI_BASE_URL", _endpoint.base_url)
        patch.setenv("OPENAI_MODEL", "scripted")
        patch.setenv("XDG_RUNTIME_DIR", folder)
        patch.setenv("XDG_DATA_HOME", folder)
        patch.setenv("MEMSVC_QUIET_SECONDS", "0")
        yield


@pytest.fixture(scope="session")
def database(_environment: None) -> Path:
    return Path(os.environ["XDG_DATA_HOME"]) / "memory.db"


@pytest.fixture(scope="session")
def memory(database: Path) -> Iterator[MemoryClient]:
    """A client of a real server."""
    with MemoryClient.local(database, context_timeout_seconds=30) as client:
        client.server_info()
        yield client


@pytest.fixture
def user_id() -> str:
    """A user whom nobody knows yet."""
    return f"user-{uuid.uuid4()}"


@pytest.fixture
def nowhere() -> Iterator[MemoryClient]:
    """A client of a server that is down."""
    with MemoryClient("127.0.0.1:1") as client:
        yield client


@pytest.fixture
def learned(memory: MemoryClient) -> Callable[[str], str]:
    """What is known of a user, once all that was said is learned."""
    return lambda user_id: memory.user(user_id).context(wait=SECONDS).text


@pytest.fixture
def contexts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The questions for which a context was asked, in order."""
    asked: list[str] = []
    ask = Turn.acontext

    async def acontext(turn: Turn, query: str = "", **options: Any) -> str:
        asked.append(query)
        return await ask(turn, query, **options)

    monkeypatch.setattr(Turn, "acontext", acontext)
    return asked


@pytest.fixture
def run_example(model: Model, database: Path, tmp_path: Path) -> Callable[[Path], str]:
    """Run a program as a user does, in a folder of its own; return what it prints. It asserts what it claims."""

    def run(path: Path) -> str:
        command = [sys.executable, str(path)]
        result = subprocess.run(command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout[-2_000:] + result.stderr[-4_000:]
        return result.stdout

    return run

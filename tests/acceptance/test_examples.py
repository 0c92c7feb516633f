"""The examples are in the list of their README, short, and made of the client alone; the agents remember across starts.

`make examples` runs all of them.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from memsvc.testing.fake_openai import FakeOpenAI
from memsvc.testing.replies import Received, Reply
from memsvc_client import AsyncMemoryClient
from tests.sidecars import seen_to_end

EXAMPLES = Path(__file__).parents[2] / "examples"
AGENTS = ["agent.py", "agent_async.py"]
_SECONDS = 150


def answer(request: Received) -> Reply:
    """Answer as a chat model does."""
    return Reply(content=f"You said {request.json['messages'][-1]['content']}.")


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MEMSVC_", "OPENAI_", "XDG_"))}
    with seen_to_end() as variables:
        yield {**kept, **variables, "XDG_DATA_HOME": str(tmp_path), "PYTHONUNBUFFERED": "1"}


def test_every_example_is_listed() -> None:
    listed = re.findall(r"^\| \[([\w/]+\.py)\]\(\1\) \|", (EXAMPLES / "README.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(path.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.rglob("*.py"))


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_is_short_and_needs_the_client_alone(path: Path) -> None:
    text = path.read_text("utf-8")
    imported = {name.split(".")[0] for name in re.findall(r"^(?:from|import) (\S+)", text, re.MULTILINE)}
    assert imported - sys.stdlib_module_names <= {"memsvc_client", "openai"}
    assert 20 <= len(text.splitlines()) <= 60
    assert path.name in AGENTS or "assert " in text


@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", AGENTS)
async def test_an_agent_remembers_what_it_was_told(name: str, environment: dict[str, str], tmp_path: Path) -> None:
    async with FakeOpenAI(otherwise=answer) as model:
        environment = {**environment, "OPENAI_API_KEY": "none", "OPENAI_BASE_URL": model.base_url}
        environment |= {"MEMSVC_ENGINE": "rules", "MEMSVC_QUIET_SECONDS": "0"}
        first = await talked(name, environment, "I live in Lyon")
        async with AsyncMemoryClient.local(tmp_path / "memsvc" / "memory.db") as client:
            await client.user("sarah").context(wait=20)
        second = await talked(name, environment, "Where do I live?")
        prompt = model.requests[-1].prompt
    assert (first, second) == ("You said I live in Lyon.\n", "You said Where do I live?.\n")
    assert "location: Lyon" in prompt


async def talked(name: str, environment: dict[str, str], line: str) -> str:
    """Run an example, say one line to it, and return what it printed."""
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, str(EXAMPLES / name), "sarah")
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment)
    async with asyncio.timeout(_SECONDS):
        output, errors = await process.communicate(f"{line}\n".encode())
    assert process.returncode == 0, errors.decode()
    return output.decode()

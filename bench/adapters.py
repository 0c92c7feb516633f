"""What a turn of an agent costs with memory: by adapter, beside the framework's own memory on SQLite, and without any.

Every adapter runs in its environment (`make integrations`), with the real framework, a real server and a scripted model
that answers at once. 1,000 memories are known of the user. Turns take turns, so that a busy machine slows all alike.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Final

from bench.environments import integrations_tool
from bench.measuring import Figure, at_most
from bench.scripted_model import scripted_model
from memsvc.testing.replies import Received
from memsvc_client import MemoryClient
from memsvc_client.writing import create

ROOT: Final = Path(__file__).parents[1]
NAMES: Final = ("adk", "agent_framework", "agno", "langchain", "openai_agents", "pydantic_ai", "strands")
MEMORIES: Final = 1_000
TURNS: Final = 40
USER: Final = "ada"
_SECONDS: Final = 600


def measure(scratch: Path) -> Iterator[Figure]:
    """Measure each adapter: milliseconds that memory adds to a turn, and how often a model is asked."""
    tool = integrations_tool()
    tool.CACHE.mkdir(parents=True, exist_ok=True)
    uv = tool.uv_command()
    site = tool.wheel(uv, scratch.resolve())
    with scripted_model() as (base_url, requests):
        for name in NAMES:
            requests.clear()
            python = tool.environment(uv, name)
            times = _turns(name, python, site, base_url, scratch)
            yield from _figures(name, times, requests)


def _figures(name: str, times: dict[str, list[float]], requests: list[Received]) -> Iterator[Figure]:
    without = median(times["none"])
    added = {kind: median(taken) - without for kind, taken in times.items() if kind != "none"}
    yield Figure(f"adapters.{name}.turn_without", without * 1e3, "ms")
    for kind, seconds in added.items():
        yield Figure(f"adapters.{name}.added_by_{kind}", seconds * 1e3, "ms")
    if "own" in added:
        yield Figure(f"adapters.{name}.share_of_own", added["memsvc"] / added["own"], "share", at_most(0.5))
    for kind, taken in times.items():
        asked = sum(f"[{kind}]" in request.body.decode() for request in requests)
        # The agent's own call, and what memory adds: one, in the background.
        goal = at_most(2.0) if kind == "memsvc" else None
        yield Figure(f"adapters.{name}.model_calls_{kind}", asked / (len(taken) + 1), "calls", goal)


def _turns(name: str, python: Path, site: Path, base_url: str, scratch: Path) -> dict[str, list[float]]:
    """Run the turns of one framework in its environment; wait until all of it is learned."""
    model = {"OPENAI_API_KEY": "none", "OPENAI_BASE_URL": base_url, "OPENAI_MODEL": "scripted"}
    options = {"openai_base_url": base_url, "openai_api_key": "none", "openai_model": "scripted", "engine": "openai"}
    with MemoryClient.local(scratch / f"{name}.db", quiet_seconds=0, **options) as client:
        for start in range(0, MEMORIES, 500):
            client.user(USER).memories.batch(create(_memory(n)) for n in range(start, min(start + 500, MEMORIES)))
        target = client._endpoint.target
        # -P: what is beside the script would be found before packages of the same names.
        command = (str(python), "-P", str(ROOT / "bench" / "adapter_turns.py"), name, target, str(TURNS), str(scratch))
        environment = {**os.environ, **model, "PYTHONPATH": str(site), "PYTHONWARNINGS": "ignore"}
        result = subprocess.run(command, env=environment, capture_output=True, timeout=_SECONDS, check=False)
        if result.returncode:
            raise RuntimeError(f"{name}: {result.stderr.decode()[-2_000:]}")
        client.user(USER).context(wait=60, timeout=90)
        client.user(USER).erase()
    times: dict[str, list[float]] = json.loads(result.stdout.decode().splitlines()[-1])
    return times


def _memory(number: int) -> str:
    things = ("tea", "skiing", "jazz", "chess", "running", "novels", "pottery", "sailing")
    return f"The user likes {things[number % len(things)]} of kind {number}"

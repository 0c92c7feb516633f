"""What a turn of an agent costs: a context for what the user said, and the run stored, while a model learns from it.

Each user has 1,000 runs, and none to 10,000 memories. Learning is by the model of `memsvc.testing`, in a process of its
own, which answers at once; it shares the machine, as the agents do.
"""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Final

import grpc

from bench import requests
from bench.agents import Agents, Taken
from bench.load import Calls, Load
from bench.measuring import Figure, Goal, at_least, at_most, median_ratio
from bench.processes import Server, memsvc
from memsvc.v1 import common_pb2, extraction_pb2, extraction_pb2_grpc

_SIZES: Final = (0, 100, 1_000, 10_000)
_USERS_OF_EACH: Final = 4
_RUNS: Final = 1_000
_ROUNDS: Final = 5
_ROUND_SECONDS: Final = 0.5
_SECONDS: Final = 8.0
_QUIET_SECONDS: Final = 0.2
_MAX_QUIET_SECONDS: Final = 1.0
"""Runs that come without a pause are learned from after so long: a second of what is said waits at any time."""
_BEHIND_SECONDS: Final = 3.0
_LEARNING_SECONDS: Final = 120.0
_CACHE_BYTES: Final = 1 << 30
_SETTINGS: Final = (
    *("--quiet-seconds", str(_QUIET_SECONDS), "--max-quiet-seconds", str(_MAX_QUIET_SECONDS)),
    *("--memory-quota", "1000000", "--cache-bytes", str(_CACHE_BYTES)),
    # The tiny model writes no summaries.
    *("--summarize-every-runs", "0"),
    # For /metrics, which has how long the event loop was held up.
    *("--http-listen", "127.0.0.1:0"),
)


def measure(scratch: Path) -> Iterator[Figure]:
    with _model() as url, Load() as load:
        model = ("--engine", "openai", "--openai-base-url", url, "--openai-api-key", "none")
        with memsvc(scratch, *_SETTINGS, *model) as server, Agents(server.address) as agents:
            _fill(load, server)
            yield from _alone(server, agents)
            yield from _together(server, agents)


def _name(size: int, number: int = 0) -> str:
    return f"user-{size}-{number}"


def _everybody() -> Sequence[str]:
    return [_name(size, number) for number in range(_USERS_OF_EACH) for size in _SIZES]


def _fill(load: Load, server: Server) -> None:
    users = [(_name(size, number), size) for size in _SIZES for number in range(_USERS_OF_EACH)]
    requests.fill(load, server, [(user, size) for user, size in users if size])
    said = [user for _ in range(_RUNS) for user, _ in users]
    runs = requests.appends(said, seed=7, learning=common_pb2.LEARNING_MODE_OFF)
    load.send_all(Calls(server.address, requests.APPEND_RUN, runs))


def _alone(server: Server, agents: Agents) -> Iterator[Figure]:
    """Measure one agent, of users of each size in turn."""
    taken: dict[int, list[Taken]] = {size: [] for size in _SIZES}
    processor: dict[int, float] = dict.fromkeys(_SIZES, 0.0)
    for size in _SIZES:
        agents.take_turns([_name(size)], _ROUND_SECONDS)
    _learned(server, _everybody())
    for _ in range(_ROUNDS):
        for size in _SIZES:
            before = server.processor_seconds
            taken[size].append(agents.take_turns([_name(size)], _ROUND_SECONDS))
            processor[size] += server.processor_seconds - before
    for size, rounds in taken.items():
        together = _together_of(rounds)
        yield from _times(f"turn.{size}_memories", together)
        yield Figure(f"turn.{size}_memories.processor", processor[size] / len(together.turns) * 1e3, "ms a turn")
    smallest, *_, largest = ([median(each.turns) for each in taken[size]] for size in _SIZES)
    yield Figure("turn.p50_by_memories", median_ratio(largest, smallest), "of that without memories", at_most(1.3))
    _learned(server, _everybody())


def _together(server: Server, agents: Agents) -> Iterator[Figure]:
    """Measure an agent for each user, as fast as they can, and then half as fast."""
    everybody = _everybody()
    _longest_stall(server)
    top = agents.take_turns(everybody, _SECONDS)
    yield Figure("turn.at_16.learned_after", _learned(server, everybody), "s")
    yield Figure("turn.at_16.loop_stall", _longest_stall(server) * 1e3, "ms", at_most(25))
    yield from _times("turn.at_16", top, at_most(4))
    half = agents.take_turns(everybody, _SECONDS, top.rate / 2)
    behind = _learned(server, everybody)
    yield Figure("turn.at_16.half_rate.loop_stall", _longest_stall(server) * 1e3, "ms", at_most(25))
    yield Figure("turn.at_16.half_rate", half.rate / top.rate, "of the top rate", at_least(0.45))
    yield Figure("turn.at_16.half_rate.learned_after", behind, "s", at_most(_BEHIND_SECONDS))


def _times(name: str, taken: Taken, goal: Goal | None = None) -> Iterator[Figure]:
    yield Figure(f"{name}.rate", taken.rate, "turns/s")
    for call, seconds in (("context", taken.contexts), ("append", taken.appends), ("turn", taken.turns)):
        ordered = sorted(seconds)
        p50, p99 = median(ordered), ordered[int(len(ordered) * 0.99)]
        yield Figure(f"{name}.{call}.p50", p50 * 1e3, "ms")
        yield Figure(f"{name}.{call}.p99", p99 * 1e3, "ms")
        if goal is not None:
            yield Figure(f"{name}.{call}.p99_ratio", p99 / p50, "of p50", goal)


def _together_of(rounds: Sequence[Taken]) -> Taken:
    return Taken(
        sum(each.seconds for each in rounds),
        [seconds for each in rounds for seconds in each.contexts],
        [seconds for each in rounds for seconds in each.appends],
    )


def _learned(server: Server, users: Sequence[str]) -> float:
    """Wait until nothing that these users said is to be learned any more, and return how long that took, in seconds."""
    open_states = (extraction_pb2.EXTRACTION_STATE_WAITING, extraction_pb2.EXTRACTION_STATE_RUNNING)
    started = time.perf_counter()
    with grpc.insecure_channel(server.address, options=[("grpc.default_authority", "localhost")]) as channel:
        stub = extraction_pb2_grpc.ExtractionServiceStub(channel)
        for user in users:
            request = extraction_pb2.ListExtractionsRequest(scope=requests.scope(user), states=open_states, page_size=1)
            while stub.ListExtractions(request).extractions:
                if time.perf_counter() > started + _LEARNING_SECONDS:
                    raise TimeoutError(f"{user} is still learned from after {_LEARNING_SECONDS:g} s")
                time.sleep(0.02)
    return time.perf_counter() - started


def _longest_stall(server: Server) -> float:
    """Return for how long the event loop was held up at most since this was asked last, in seconds."""
    with urllib.request.urlopen(f"{server.tcp_address}/metrics") as page:
        lines = page.read().decode().splitlines()
    (found,) = (line for line in lines if line.startswith("memsvc_event_loop_lag_seconds "))
    return float(found.split()[1])


@contextmanager
def _model() -> Iterator[str]:
    """Run the model that learns, and yield its URL."""
    command = [sys.executable, "-m", "memsvc.testing.fake_openai", "--piece-characters", "100000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()

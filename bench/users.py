"""What a call takes as there are more users, and as one user knows more."""

from __future__ import annotations

import json
import random
import signal
import time
import urllib.request
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path

from bench import requests
from bench.load import Calls, Load, Rounds, Turn
from bench.measuring import Figure, Goal, at_most
from bench.processes import Server, memsvc
from bench.sentences import questions
from memsvc.v1 import common_pb2

_FEW, _MANY = 10, 10_000
_MEMORIES_EACH = 20
_SIZES = (10, 100, 1_000, 10_000)
_FLAT = at_most(1.3)
_WARM_MILLISECONDS = at_most(2)
_PAUSE_MILLISECONDS = at_most(15)
_RESIDENT = at_most(1.5)
_ENOUGH = 12_000
"""More runs than are appended while one figure is measured."""


def measure(scratch: Path) -> Iterator[Figure]:
    yield from _as_there_are_more(scratch)
    yield from _as_one_grows(scratch)


def _as_there_are_more(scratch: Path) -> Iterator[Figure]:
    pauses = scratch / "pauses.json"
    roomy = ("--cache-bytes", str(1 << 30))
    tells = ("--http-listen", "127.0.0.1:0")
    with Load() as load, memsvc(scratch, *roomy) as small, memsvc(scratch, *roomy, *tells, pauses=pauses) as large:
        servers = {_FEW: small, _MANY: large}
        for users, server in servers.items():
            requests.fill(load, server, [(f"user-{number}", _MEMORIES_EACH) for number in range(users)])
            load.send_all(Calls(server.address, requests.COMPILE_CONTEXT, _contexts(users)[:users]))
        for name, rounds in (
            (
                "context",
                [load.add(Calls(s.address, requests.COMPILE_CONTEXT, _contexts(n))) for n, s in servers.items()],
            ),
            ("append_run", [load.add(_appends(s, _shuffled(n))) for n, s in servers.items()]),
        ):
            few, many = _singly(load, rounds)
            yield Figure(f"users.{_FEW}.{name}.p50", few.median_seconds * 1e3, "ms")
            yield Figure(f"users.{_MANY}.{name}.p50", many.median_seconds * 1e3, "ms", _warm(name))
            yield Figure(f"users.{_MANY}.{name}.p50_ratio", many.time_ratio(few), f"of {_FEW} users'", _FLAT)
        resident, counted = large.resident_bytes, _counted_bytes(large)
        yield Figure(f"users.{_MANY}.resident", resident / 2**20, "MiB")
        yield Figure(f"users.{_MANY}.resident_ratio", resident / counted, "of what is counted", _RESIDENT)
        _collect_all(large)
    own, forced = _longest(pauses)
    yield Figure(f"users.{_MANY}.longest_collection", own, "ms", _PAUSE_MILLISECONDS)
    # With the server's thresholds it is due after millions of new objects: what it would take is shown only.
    yield Figure(f"users.{_MANY}.full_collection", forced, "ms")


def _as_one_grows(scratch: Path) -> Iterator[Figure]:
    asked = questions(500, seed=6)
    users = [f"user-{size}" for size in _SIZES]
    with Load() as load, memsvc(scratch) as server:
        requests.fill(load, server, list(zip(users, _SIZES, strict=True)))

        def calls(method: str, sent: Sequence[bytes]) -> int:
            return load.add(Calls(server.address, method, sent))

        for name, sources in (
            ("context", [calls(requests.COMPILE_CONTEXT, requests.contexts(user, asked)) for user in users]),
            (
                "context_same_query",
                [calls(requests.COMPILE_CONTEXT, requests.contexts(user, asked[:1])) for user in users],
            ),
            ("search", [calls(requests.SEARCH_MEMORIES, requests.searches(user, asked)) for user in users]),
            ("append_run", [load.add(_appends(server, [user])) for user in users]),
        ):
            measured = _singly(load, sources)
            for size, rounds in zip(_SIZES, measured, strict=True):
                yield Figure(f"memories.{size}.{name}.p50", rounds.median_seconds * 1e3, "ms", _warm(name))
            ratio = measured[-1].time_ratio(measured[0])
            # A search has to rank what it finds: of it only the 2 ms are asked.
            goal = None if name == "search" else _FLAT
            yield Figure(f"memories.{_SIZES[-1]}.{name}.p50_ratio", ratio, f"of {_SIZES[0]} memories'", goal)


def _singly(load: Load, sources: Sequence[int]) -> list[Rounds]:
    for source in sources:
        load.round(source, 1, 0.4)
    return load.alternate([Turn(source) for source in sources], rounds=11, seconds=0.2)


def _warm(name: str) -> Goal | None:
    return None if name == "append_run" else _WARM_MILLISECONDS


def _contexts(users: int) -> list[bytes]:
    asked = questions(max(users, 500), seed=7)
    names = islice(cycle(_shuffled(users)), len(asked))
    return [requests.contexts(user, [query])[0] for user, query in zip(names, asked, strict=True)]


def _appends(server: Server, users: Sequence[str]) -> Calls:
    # Not learned from: with many users each run would be an extraction of its own, with few they are taken together.
    sent = requests.appends(islice(cycle(users), _ENOUGH), 8, common_pb2.LEARNING_MODE_OFF)
    return Calls(server.address, requests.APPEND_RUN, sent, once=True)


def _shuffled(users: int) -> list[str]:
    names = [f"user-{number}" for number in range(users)]
    random.Random(9).shuffle(names)
    return names


def _counted_bytes(server: Server) -> float:
    """Return what the server counts its hot users at."""
    address = next(line for line in server.ready_file.read_text().splitlines() if line.startswith("http"))
    with urllib.request.urlopen(f"{address}/metrics") as reply:
        for line in reply.read().decode().splitlines():
            name, _, value = line.partition(" ")
            if name == "memsvc_hot_users_bytes":
                return float(value)
    raise LookupError("the server's metrics say nothing of its hot users")


def _collect_all(server: Server) -> None:
    """Let the server collect all of its objects, a few times."""
    for _ in range(3):
        server.process.send_signal(signal.SIGUSR1)
        time.sleep(1.0)


def _longest(pauses: Path) -> tuple[float, float]:
    """Return the longest pause that the server came to by itself, and the longest that was asked for."""
    listed = [(float(milliseconds), forced) for milliseconds, forced in json.loads(pauses.read_text())]
    return (
        max((milliseconds for milliseconds, forced in listed if not forced), default=0.0),
        max(milliseconds for milliseconds, forced in listed if forced),
    )

"""Durable writes: many at once against one at a time, and against the bare server and a bare SQLite insert."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path
from statistics import median

from bench import requests
from bench.comparison import AT_ONCE, echo_calls
from bench.load import Calls, Load, Rounds, Turn, Work
from bench.measuring import Figure, at_least, at_most, median_ratio
from bench.processes import Server, echo, memsvc

_USERS = 2_000
_LEARNING_USERS = 200
_ENOUGH = 20_000
"""More writes than are made while one figure is measured."""
_PROCESSOR_SECONDS = 1.5
"""A process counts its time in hundredths of a second."""


def measure(scratch: Path) -> Iterator[Figure]:
    # Runs and their extractions are stored as always; what learning takes of the processor afterwards is shown apart.
    settings = ("--memory-quota", "1000000", "--quiet-seconds", "3600", "--max-quiet-seconds", "3600")
    with Load() as load, memsvc(scratch, *settings) as server, echo() as bare:
        requests.fill(load, server, [(user, 20) for user in _names(_USERS)])
        yield from _creates(load, server, bare, _USERS)
        yield from _creates(load, server, bare, 1)
        yield from _appends(load, server, bare, scratch)
    with Load() as load, memsvc(scratch) as server:
        requests.fill(load, server, [(user, 20) for user in _names(_LEARNING_USERS)])
        yield _append_while_learning(load, server)


def _creates(load: Load, server: Server, bare: Server, users: int) -> Iterator[Figure]:
    sent = requests.creates(islice(cycle(_names(users)), _ENOUGH), seed=users)
    ours = load.add(Calls(server.address, requests.CREATE_MEMORY, sent, once=True))
    theirs = load.add(echo_calls(bare, sent, load.round(ours, AT_ONCE, 0.3)))
    load.round(theirs, AT_ONCE, 0.3)
    turns = [Turn(ours, AT_ONCE), Turn(ours), Turn(theirs, AT_ONCE), Turn(theirs)]
    many, single, echoed, echo_alone = load.alternate(turns)
    # The goals are for many users, as in real use; one user alone is shown beside them.
    name, goals = ("writes.create", True) if users > 1 else ("writes.create.one_user", False)
    yield Figure(f"{name}.rate_share", many.rate_share(echoed), "of the echo's", at_least(0.33) if goals else None)
    yield Figure(f"{name}.rate", many.rate, "writes/s")
    yield Figure(f"{name}.rate_ratio", many.rate_share(single), "times one at a time", at_least(4) if goals else None)
    yield Figure(f"{name}.p50", single.median_seconds * 1e3, "ms")
    yield Figure(f"{name}.over_echo", _over(single, echo_alone) * 1e3, "ms", at_most(0.8) if goals else None)
    if goals:
        yield from _processor(name, load, server, ours)


def _appends(load: Load, server: Server, bare: Server, scratch: Path) -> Iterator[Figure]:
    sent = requests.appends(islice(cycle(_names(_USERS)), _ENOUGH), seed=3)
    ours = load.add(Calls(server.address, requests.APPEND_RUN, sent, once=True))
    theirs = load.add(echo_calls(bare, sent, load.round(ours, 1, 0.3)))
    insert = load.add(Work(functools.partial(raw_insert, scratch / "raw.db", sent[0])))
    for warmed in (theirs, insert):
        load.round(warmed, 1, 0.3)
    appended, echoed, inserted = load.alternate([Turn(ours), Turn(theirs), Turn(insert)], rounds=15, seconds=0.2)
    ratio = median_ratio(
        [each.median_seconds for each in appended.rounds],
        [
            echo_round.median_seconds + insert_round.median_seconds
            for echo_round, insert_round in zip(echoed.rounds, inserted.rounds, strict=True)
        ],
    )
    yield Figure("writes.append_run.p50_ratio", ratio, "(insert + echo)", at_most(2))
    yield Figure("writes.append_run.p50", appended.median_seconds * 1e3, "ms")
    yield Figure("writes.append_run.over_echo", _over(appended, echoed) * 1e3, "ms", at_most(1))
    yield from _processor("writes.append_run", load, server, ours)
    yield Figure("writes.raw_insert.p50", inserted.median_seconds * 1e3, "ms")


def _over(measured: Rounds, echoed: Rounds) -> float:
    """Return how many seconds a call alone takes longer than an echo, measured right beside it."""
    pairs = zip(measured.rounds, echoed.rounds, strict=True)
    return median(ours.median_seconds - theirs.median_seconds for ours, theirs in pairs)


def _processor(name: str, load: Load, server: Server, source: int) -> Iterator[Figure]:
    """Show what the server spends on a write: many at once share its wake-ups and its transactions."""
    for suffix, at_once in (("", AT_ONCE), (".alone", 1)):
        before = server.processor_seconds
        count = load.round(source, at_once, _PROCESSOR_SECONDS).count
        yield Figure(f"{name}.processor{suffix}", (server.processor_seconds - before) / count * 1e3, "ms of the server")


def _append_while_learning(load: Load, server: Server) -> Figure:
    """Append without a pause, far more than can be learned from at once; count once learning is under way."""
    sent = requests.appends(islice(cycle(_names(_LEARNING_USERS)), _ENOUGH), seed=4)
    source = load.add(Calls(server.address, requests.APPEND_RUN, sent, once=True))
    load.round(source, 1, 12.0)
    [appended] = load.alternate([Turn(source)], rounds=15, seconds=0.2)
    return Figure("writes.append_run.while_learning.p50", appended.median_seconds * 1e3, "ms")


def _names(users: int) -> list[str]:
    return ["the-only-user"] if users == 1 else [f"user-{number}" for number in range(users)]


def raw_insert(file: Path, body: bytes) -> Callable[[], object]:
    """Return what inserts one row durably: all that SQLite itself needs, without a thread or a check."""
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE records (seq INTEGER PRIMARY KEY, body BLOB)")
    return functools.partial(connection.execute, "INSERT INTO records (body) VALUES (?)", (body,))

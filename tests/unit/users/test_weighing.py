"""What the cache counts is what the process takes: each kind of memory is loaded in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

_MEASURE = """
import gc, json, sys
import psutil
from memsvc.journal.state import load
from memsvc.model import Memory, Origin, Scope, encode
from memsvc.storage.driver import Loaded, Row, RowKind, Tip
from memsvc.users import HotUser
from memsvc.users.cache import HotCache

users, memories, kind = int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])


def rows(user):
    for number in range(memories):
        memory_id = f"01a22449-f198-75d4-9d41-{user:06d}{number:06d}"
        text = (kind["text"] + f" {user} {number}") * kind["times"]
        origin = Origin(session_id="s1", run_id=memory_id[::-1], engine="rules") if kind.get("origin") else Origin()
        topics = tuple(f"topic {each} of {number}" for each in range(kind.get("topics", 0)))
        metadata = {f"name {each}": f"value {number}" for each in range(kind.get("metadata", 0))}
        key = f"places.visited_{number}" if kind.get("key") else ""
        memory = Memory(
            memory_id=memory_id, number=number + 1, text=text, key=key, origin=origin, topics=topics,
            metadata=metadata, create_time=10**15 + number, update_time=10**15 + number, etag=f"{number}-0123abcd",
        )
        yield Row(RowKind.MEMORY, memory_id, encode(memory))


def hot(user):
    return HotUser(load(Scope("default", f"user-{user}"), Loaded(Tip(memories, "0" * 16), list(rows(user)))), 0.0, 0)


cache = HotCache(1 << 40)
cache.put(hot(users))
gc.collect()
before, counted = psutil.Process().memory_info().rss, cache.total_bytes
for number in range(users):
    cache.put(hot(number))
gc.collect()
print(json.dumps([psutil.Process().memory_info().rss - before, cache.total_bytes - counted]))
"""


@pytest.mark.parametrize(
    ("users", "memories", "kind"),
    [
        pytest.param(6_000, 1, {"text": "Likes tea", "times": 1}, id="many users"),
        pytest.param(600, 30, {"text": "Likes tea with milk and honey", "times": 2, "origin": True}, id="ordinary"),
        pytest.param(30, 2_000, {"text": "Likes tea", "times": 1, "key": True}, id="keyed"),
        pytest.param(10, 2_000, {"text": "茶が好きです", "times": 5, "origin": True}, id="wide characters"),
        pytest.param(200, 60, {"text": "Likes tea", "times": 1, "topics": 4, "metadata": 4}, id="topics and metadata"),
        pytest.param(20, 100, {"text": "Likes tea", "times": 600}, id="long texts"),
    ],
)
def test_what_users_are_weighed_at_is_what_the_process_takes(
    users: int, memories: int, kind: dict[str, object]
) -> None:
    arguments = [str(users), str(memories), json.dumps(kind)]
    measured = subprocess.run([sys.executable, "-c", _MEASURE, *arguments], capture_output=True, check=True)
    taken, counted = json.loads(measured.stdout)
    # Too much rather than too little.
    assert 0.8 < counted / taken < 1.5, f"{counted / 2**20:.1f} MiB counted, {taken / 2**20:.1f} MiB taken"

"""How long building, updating and searching the lexical index takes, and how large it is, by number of memories."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence
from itertools import accumulate
from statistics import median

from memsvc.model import Memory, Origin
from memsvc.search.lexical import LexicalIndex

SIZES = (100, 1_000, 10_000)
_DAY_MICROSECONDS = 86_400_000_000
_QUESTIONS = (
    "What does the user do for fun on weekends?",
    "Where does {0} live now?",
    "Which {0} did they {1} with the {2} last summer?",
    "{0} {1}",
    "Tell me about {0}",
    "How can I get the {0} to {1} my {2} without the {3}?",
    "user {0} likes",
)


def memories(count: int, seed: int = 0) -> list[Memory]:
    """Return made-up memories: Zipf-distributed words, "user" in most, half of a dozen to a session."""
    source = random.Random(seed)
    words, weights = _vocabulary()
    made = []
    for number in range(1, count + 1):
        body = source.choices(words, cum_weights=weights, k=source.randint(4, 16))
        opening = source.choice(("User", "User likes", "User's", "The user", ""))
        made.append(
            Memory(
                memory_id=f"0192{seed:04x}-{number:08x}",
                number=number,
                text=f"{opening} {' '.join(body)}.",
                topics=(source.choice(("work", "hobbies", "family", "food", "travel")),),
                origin=Origin(session_id=f"session-{number // 6}"),
                observe_time=1_760_000_000_000_000 + number * _DAY_MICROSECONDS // 10,
                update_time=1_760_000_000_000_000 + number,
            )
        )
    return made


def queries(count: int, seed: int = 1) -> list[str]:
    """Return questions about such memories: one rare word, others as common as they are in the memories."""
    source = random.Random(seed)
    words, weights = _vocabulary()
    return [
        source.choice(_QUESTIONS).format(source.choice(words[20:]), *source.choices(words, cum_weights=weights, k=3))
        for _ in range(count)
    ]


def measure(sizes: Sequence[int] = SIZES) -> list[dict[str, object]]:
    """Return a row per figure: name, value, unit."""
    LexicalIndex.build(memories(1_000))
    asked = queries(200)
    rows: list[dict[str, object]] = []
    for size in sizes:
        known = memories(size)
        started = time.perf_counter()
        index = LexicalIndex.build(known)
        built = time.perf_counter() - started
        seventh = {memory.memory_id for memory in known if memory.number % 7 == 0}
        searches = sorted(_least_seconds(index.search, query, 10) for query in asked)
        filtered = [_least_seconds(index.search, query, 10, seventh) for query in asked]
        replaced = [_least_seconds(index.add, memory) for memory in random.Random(2).sample(known, min(size, 300))]
        added = [_least_seconds(index.add, memory, times=1) for memory in memories(300, seed=3)]
        for name, value, unit in (
            ("build", built * 1e3, "ms"),
            ("size", index.size_bytes * size / len(index) / 1024, "KiB"),
            ("search.p50", median(searches) * 1e3, "ms"),
            ("search.p90", searches[len(searches) * 9 // 10] * 1e3, "ms"),
            ("search.p99", searches[len(searches) * 99 // 100] * 1e3, "ms"),
            ("search.filtered.p50", median(filtered) * 1e3, "ms"),
            ("replace.p50", median(replaced) * 1e6, "us"),
            ("add.p50", median(added) * 1e6, "us"),
        ):
            rows.append({"name": f"search_speed.{name}.{size}", "value": round(value, 4), "unit": unit})
    return rows


def _least_seconds(call: Callable[..., object], *arguments: object, times: int = 5) -> float:
    """Return the least of some measurements: what the call takes when the machine does nothing else."""
    least = math.inf
    for _ in range(times):
        started = time.perf_counter()
        call(*arguments)
        least = min(least, time.perf_counter() - started)
    return least


_SYLLABLES = ("ba", "ko", "ri", "ten", "mar", "lo", "vis", "da", "pel", "shu", "ing", "er", "ou", "gra", "ni", "zo")


def _vocabulary(size: int = 20_000) -> tuple[list[str], list[float]]:
    source = random.Random(7)
    words = list({"".join(source.choices(_SYLLABLES, k=source.randint(2, 4))): None for _ in range(size)})
    return words, list(accumulate(1 / (rank + 3) for rank in range(len(words))))


if __name__ == "__main__":
    for measured in measure():
        print(f"{measured['name']:40} {measured['value']:>10} {measured['unit']}")

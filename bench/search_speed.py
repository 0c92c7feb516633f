"""How long building, updating and searching the lexical index takes, and how large it is, by number of memories."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from itertools import accumulate

from memsvc.model import Memory, Origin
from memsvc.search.lexical import LexicalIndex
from memsvc.search.text import Analyzer

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
    """Return natural questions about such memories."""
    source = random.Random(seed)
    words, weights = _vocabulary()
    return [
        source.choice(_QUESTIONS).format(*source.choices(words[20:], weights=None, k=1),
                                         *source.choices(words, cum_weights=weights, k=3))
        for _ in range(count)
    ]  # fmt: skip


def measure(sizes: tuple[int, ...] = SIZES) -> list[dict[str, object]]:
    """Return a row per figure: name, value, unit."""
    rows: list[dict[str, object]] = []

    def row(name: str, value: float, unit: str) -> None:
        rows.append({"name": f"search_speed.{name}", "value": round(value, 4), "unit": unit})

    LexicalIndex.build(memories(50))
    for size in sizes:
        known = memories(size)
        LexicalIndex(analyzer=Analyzer())
        started = time.perf_counter()
        index = LexicalIndex.build(known)
        row(f"build.{size}", (time.perf_counter() - started) * 1e3, "ms")
        row(f"size.{size}", index.size_bytes / 1024, "KiB")
        asked = queries(300)
        times = sorted(_seconds(lambda query=query: index.search(query, 10)) for query in asked)  # type: ignore[misc]
        row(f"search.p50.{size}", statistics.median(times) * 1e3, "ms")
        row(f"search.p99.{size}", times[int(len(times) * 0.99)] * 1e3, "ms")
        few = {memory.memory_id for memory in known if memory.number % 7 == 0}
        filtered = [_seconds(lambda query=query: index.search(query, 10, few)) for query in asked]  # type: ignore[misc]
        row(f"search.filtered.p50.{size}", statistics.median(filtered) * 1e3, "ms")
        replaced = random.Random(2).sample(known, min(size, 500))
        row(f"replace.p50.{size}", statistics.median(_seconds(lambda m=m: index.add(m)) for m in replaced) * 1e6, "us")  # type: ignore[misc]
        added = memories(300, seed=3)
        row(f"add.p50.{size}", statistics.median(_seconds(lambda m=m: index.add(m)) for m in added) * 1e6, "us")  # type: ignore[misc]
    return rows


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


_SYLLABLES = ("ba", "ko", "ri", "ten", "mar", "lo", "vis", "da", "pel", "shu", "ing", "er", "ou", "gra", "ni", "zo")


def _vocabulary(size: int = 20_000) -> tuple[list[str], list[float]]:
    source = random.Random(7)
    words = list({"".join(source.choices(_SYLLABLES, k=source.randint(2, 4))): None for _ in range(size)})
    return words, list(accumulate(1 / (rank + 3) for rank in range(len(words))))


if __name__ == "__main__":
    for measured in measure():
        print(f"{measured['name']:40} {measured['value']:>10} {measured['unit']}")

"""How many turns miss the users in RAM: a million users of whom few come often, and a cache that drops by last use.

A session is of one user, by Zipf's law: the r-th of them comes with a weight of 1 / r ** skew. Its turns come half a
minute apart. Replicas have a cache each, and a session stays with the replica that it was given by chance.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final

from bench.measuring import Figure

_USERS: Final = 1_000_000
_SESSIONS_A_DAY: Final = 100_000
_TURNS: Final = 5
_GAP_SECONDS: Final = 30.0
_DAYS: Final = 2
"""The last one counts; before, the caches fill."""
_DAY_SECONDS: Final = 86_400.0
_SKEWS: Final = (0.6, 0.8, 1.0)
_CACHES: Final = (2_500, 10_000, 40_000)
"""Users that one replica has room for."""
_REPLICAS: Final = (1, 4)


def measure() -> Iterator[Figure]:
    """Play two days with each kind of crowd; yield the share of the last day's turns that have to load their user."""
    for skew in _SKEWS:
        turns = _turns(skew)
        today = {user for time, user, _ in turns if time >= (_DAYS - 1) * _DAY_SECONDS}
        yield Figure(f"hot_set.{skew}.active_a_day", len(today) / _USERS, "of the users")
        for replicas in _REPLICAS:
            for room in _CACHES:
                yield Figure(f"hot_set.{skew}.{replicas}_x_{room}.missed", _missed(turns, replicas, room), "of turns")


def _turns(skew: float) -> Sequence[tuple[float, int, float]]:
    """Return time, user and a number that names the session, of each turn in order."""
    source = random.Random(20)
    weights = list(accumulate(rank**-skew for rank in range(1, _USERS + 1)))
    users = source.choices(range(_USERS), cum_weights=weights, k=_SESSIONS_A_DAY * _DAYS)
    turns = []
    for user in users:
        began, session = source.random() * _DAYS * _DAY_SECONDS, source.random()
        turns += [(began + turn * _GAP_SECONDS, user, session) for turn in range(_TURNS)]
    turns.sort()
    return turns


def _missed(turns: Sequence[tuple[float, int, float]], replicas: int, room: int) -> float:
    caches: list[OrderedDict[int, None]] = [OrderedDict() for _ in range(replicas)]
    counted = missed = 0
    for time, user, session in turns:
        cache = caches[int(session * replicas)]
        last_day = time >= (_DAYS - 1) * _DAY_SECONDS
        counted += last_day
        if user in cache:
            cache.move_to_end(user)
            continue
        missed += last_day
        cache[user] = None
        if len(cache) > room:
            cache.popitem(last=False)
    return missed / counted

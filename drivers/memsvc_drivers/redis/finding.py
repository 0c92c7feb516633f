"""Reads over all buckets: users that are due, users of a namespace, every user of the store."""

from __future__ import annotations

from collections.abc import Sequence

from memsvc.model import Scope
from memsvc.storage.driver import Due
from memsvc_drivers.redis import scripts
from memsvc_drivers.redis.calls import Call, Calls
from memsvc_drivers.redis.keys import BUCKETS, META, Keys, number_in, ordered, scope_of, utf8

_NUMBER_BYTES = 16
_MAX_INT64 = (1 << 63) - 1
_LEAST_SHARE = 8
_SCOPES_BUCKETS = 16


async def due(calls: Calls, keys: Keys, before: int, limit: int, *, one_node: bool) -> list[Due]:
    """Read who is due, earliest first."""
    names = {bucket: keys.bucket(bucket, "due") for bucket in range(BUCKETS)}
    highest = b"[" + ordered(min(max(before, 0), _MAX_INT64)) + b"\xff"
    entries = await _first(calls, names, b"[" + ordered(1), highest, limit, one_node=one_node)
    return [Due(scope_of(entry[_NUMBER_BYTES:]), number_in(entry[:_NUMBER_BYTES])) for entry in entries]


async def users(calls: Calls, keys: Keys, namespace: str, after: str, limit: int, *, one_node: bool) -> list[str]:
    """Read who of a namespace has a journal."""
    names = {bucket: keys.users(bucket, namespace) for bucket in range(BUCKETS)}
    found = await _first(calls, names, b"(" + utf8(after), b"+", limit, one_node=one_node)
    return [user_id.decode() for user_id in found]


async def scopes(calls: Calls, keys: Keys, after: Scope | None, limit: int) -> list[Scope]:
    """Read who has a journal, bucket by bucket."""
    found: list[bytes] = []
    bucket, lowest = 0, b"-"
    if after is not None:
        user = keys.of(after)
        bucket, lowest = user.bucket, b"(" + user.name
    while bucket < BUCKETS and len(found) < limit:
        group = range(bucket, min(bucket + _SCOPES_BUCKETS, BUCKETS))
        edges = [lowest, *[b"-"] * (len(group) - 1)]
        for members in await calls.values(
            [
                Call(number, "ZRANGEBYLEX", keys.bucket(number, "scopes"), edge, b"+", "LIMIT", 0, limit)
                for number, edge in zip(group, edges, strict=True)
            ]
        ):
            found += members
        bucket, lowest = group.stop, b"-"
    return [scope_of(name) for name in found[:limit]]


async def _first(
    calls: Calls, names: dict[int, bytes], lowest: bytes, highest: bytes, limit: int, *, one_node: bool
) -> list[bytes]:
    """Return the first `limit` members, by bytes, of sorted sets taken together.

    Each is asked for a little more than its share; then those that may have more of the first, until none may.
    """
    share = max(_LEAST_SHARE, 2 * limit // len(names))
    edges = dict.fromkeys(names, lowest)
    found: list[bytes] = []
    while True:
        share = min(share, limit)
        more: dict[int, bytes] = {}
        for bucket, members in zip(edges, await _ranges(calls, names, edges, highest, share, one_node), strict=True):
            found += members
            if len(members) == share:
                more[bucket] = members[-1]
        found.sort()
        del found[limit:]
        full = len(found) == limit
        edges = {bucket: b"(" + last for bucket, last in more.items() if not full or last < found[-1]}
        if not edges or limit <= 0:
            return found
        share *= 4


async def _ranges(
    calls: Calls, names: dict[int, bytes], edges: dict[int, bytes], highest: bytes, limit: int, one_node: bool
) -> Sequence[Sequence[bytes]]:
    if one_node:
        keys = [names[bucket] for bucket in edges]
        ranges: Sequence[Sequence[bytes]] = await calls.value(
            Call.of_script(META, scripts.RANGES, keys, (highest, limit, *edges.values()))
        )
        return ranges
    return await calls.values(
        [Call(bucket, "ZRANGEBYLEX", names[bucket], edge, highest, "LIMIT", 0, limit) for bucket, edge in edges.items()]
    )

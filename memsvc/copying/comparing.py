"""Whether two databases keep the same of the users of the first: tips, every record and every row."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from memsvc.copying.side import Side
from memsvc.model import Scope
from memsvc.storage.driver import EMPTY, Row, RowKind, Tip

_NAMED = 100


@dataclass(slots=True)
class Count:
    """How many there are of something at the source and at the destination, and of how many users they differ."""

    source: int = 0
    destination: int = 0
    differ: int = 0


@dataclass(slots=True)
class Comparison:
    """What comparing found, by what was compared."""

    counts: dict[str, Count] = field(default_factory=dict)
    differing_count: int = 0
    differing: list[Scope] = field(default_factory=list)
    """The first users who are not the same."""
    users_done: int = 0

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.differing_count

    def add(self, scope: Scope, source: _User, destination: _User) -> None:
        """Count a user."""
        self.users_done += 1
        self._count("users", source.tip != EMPTY, destination.tip != EMPTY, source.tip != destination.tip)
        for name, pile in source.piles.items():
            other = destination.piles[name]
            self._count(name, pile.number, other.number, pile != other)
        if source != destination:
            self.differing_count += 1
            if len(self.differing) < _NAMED:
                self.differing.append(scope)

    def _count(self, name: str, source: int, destination: int, differ: bool) -> None:
        count = self.counts.setdefault(name, Count())
        count.source += source
        count.destination += destination
        count.differ += differ


async def compare(source: Side, destination: Side, comparison: Comparison, *, concurrency: int) -> None:
    """Compare every user of the source with the same user at the destination, adding to `comparison`.

    Raises SideFailed.
    """
    for name in ("users", "records", *(f"{kind} rows" for kind in _KINDS)):
        comparison.counts.setdefault(name, Count())
    free = asyncio.Semaphore(concurrency)

    async def compare_user(scope: Scope) -> None:
        try:
            comparison.add(scope, await _read(source, scope), await _read(destination, scope))
        finally:
            free.release()

    try:
        async with asyncio.TaskGroup() as tasks:
            async for scopes in source.scopes():
                for scope in scopes:
                    await free.acquire()
                    tasks.create_task(compare_user(scope))
    except ExceptionGroup as group:
        raise group.exceptions[0] from group


_KINDS = (
    RowKind.MEMORY,
    RowKind.FORMER,
    RowKind.RUN,
    RowKind.SESSION,
    RowKind.EXTRACTION,
    RowKind.REQUEST,
    RowKind.VECTOR,
    RowKind.SUMMARY,
    RowKind.SAID,
    RowKind.STATE,
)


@dataclass(slots=True)
class _Pile:
    """Things in any order: how many, and a number that their content leads to."""

    number: int = 0
    digest: int = 0

    def add(self, parts: Sequence[object], body: bytes) -> None:
        self.number += 1
        hashed = blake2b("\0".join(map(str, parts)).encode() + b"\0" + body, digest_size=16).digest()
        self.digest = (self.digest + int.from_bytes(hashed)) % (1 << 128)


@dataclass(slots=True)
class _User:
    tip: Tip
    piles: dict[str, _Pile]


async def _read(side: Side, scope: Scope) -> _User:
    loaded = await side.load(scope)
    user = _User(loaded.tip, {name: _Pile() for name in ("records", *(f"{kind} rows" for kind in _KINDS))})
    if loaded.tip == EMPTY:
        return user
    _add_rows(user, loaded.rows)
    async for rows in side.paged_rows(scope):
        _add_rows(user, rows)
    after = await side.floor(scope) - 1
    async for records in side.records(scope, after, loaded.tip.seq):
        for record in records:
            user.piles["records"].add((record.seq, record.nonce, record.kind, record.time), record.body)
    return user


def _add_rows(user: _User, rows: Sequence[Row]) -> None:
    for row in rows:
        user.piles[f"{row.kind} rows"].add((row.row_id, row.group, row.position), row.body)

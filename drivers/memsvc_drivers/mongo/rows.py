"""Rows as they are at a journal's tip: versions that show, and above them what the journal's end says of rows.

A read takes three looks: how far rows show, the versions, the journal's end. Only if rows show no farther in the end
than before the versions were read, versions and end together are all; otherwise it looks again. What is read wins by
seq, so versions that are superseded, or come late, do no harm.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from pymongo import ASCENDING, DESCENDING

from memsvc.errors import StorageUnavailable
from memsvc.storage.driver import EMPTY, Loaded, PageOf, Row, RowKey, RowKind
from memsvc_drivers.mongo.documents import ERASED, VERSION_FIELDS, Document, key_of, row_of, versions_of
from memsvc_drivers.mongo.journal import Journal, Tail
from memsvc_drivers.mongo.knowledge import Knowledge
from memsvc_drivers.mongo.schema import Collections

_T = TypeVar("_T")

_LOOKS = 50
_SLACK = 8
_LEAST_INT64 = -(2**63)


class Rows:
    """Reads rows of all users."""

    def __init__(self, store: Collections, journal: Journal, known: Knowledge) -> None:
        self._store = store
        self._journal = journal
        self._known = known

    async def load(self, user: str, kinds: Collection[RowKind]) -> Loaded:
        """Return a user's tip and all rows of these kinds."""
        found, tail = await self._looked(user, partial(self._versions, user, kinds, {}))
        rows = current(found, tail)
        return Loaded(tail.tip, [row for key, row in rows.items() if key.kind in kinds])

    async def get(self, user: str, kind: RowKind, row_ids: Sequence[str]) -> Mapping[str, Row]:
        """Return those of these rows that exist."""
        which = {} if self._store.rows.scans else {"row": {"$in": list(row_ids)}}
        found, tail = await self._looked(user, partial(self._versions, user, [kind], which))
        rows = current(found, tail)
        keys = [RowKey(kind, row_id) for row_id in row_ids]
        return {key.row_id: rows[key] for key in keys if key in rows}

    async def page(self, user: str, wanted: PageOf) -> Sequence[Row]:
        """Return a page of rows in order of position."""
        limit = wanted.limit
        if self._store.rows.scans:
            return wanted.of((await self.load(user, [wanted.kind])).rows)
        while True:
            limit += _SLACK
            (page, there), tail = await self._looked(user, partial(self._page, user, wanted, limit))
            rows = [row for row in current(there, tail).values() if wanted.holds(row)]
            complete = len(page) < limit
            if not complete:
                edge = page[-1]["position"]
                # Behind it there may be others, not yet read.
                rows = [row for row in rows if (row.position >= edge if wanted.descending else row.position <= edge)]
            if complete or len(rows) >= wanted.limit:
                return wanted.of(rows)
            limit *= 2

    async def _looked(self, user: str, read: Callable[[], Awaitable[_T]]) -> tuple[_T, Tail]:
        """Return what `read` reads of versions and the journal's end, which together are all."""
        applied = self._known.applied(user)
        if applied is None:
            applied = (await self._tail(user)).applied
        for _ in range(_LOOKS):
            found = await read()
            tail = await self._tail(user)
            if tail.applied <= applied:
                return found, tail
            applied = tail.applied
        raise StorageUnavailable("the user's journal does not come to rest")

    async def _tail(self, user: str) -> Tail:
        tail = await self._journal.tail(user)
        if tail.entries:
            self._known.saw(user, tail.entries[-1].after, tail.tip, applied=tail.applied)
        return tail

    async def _page(self, user: str, wanted: PageOf, limit: int) -> tuple[list[Document], list[Document]]:
        """Return the versions in their place, and those of them that are valid."""
        page = await self._positioned(user, wanted, limit)
        # Of a row that moved, the version that is valid may be on no page.
        ids = list({version["row"] for version in page})
        there = await self._versions(user, [wanted.kind], {"row": {"$in": ids}}, ("kind", "row", "seq"))
        newest = {key_of(version): version["seq"] for version in sorted(there, key=lambda each: each["seq"])}
        erased = [version for version in there if version["kind"] == ERASED]
        return page, erased + [version for version in page if newest.get(key_of(version)) == version["seq"]]

    async def _versions(
        self, user: str, kinds: Collection[RowKind], which: Document, fields: Sequence[str] = VERSION_FIELDS
    ) -> list[Document]:
        others = [str(kind) for kind in kinds if kind != RowKind.MEMORY]
        either: Document = {"kind": {"$in": [*others, ERASED]}}
        if others and which:
            either = {"$or": [{"kind": {"$in": others}, **which}, {"kind": ERASED}]}
        reads = [self._store.rows.find({"u": user, **either}, fields)]
        if RowKind.MEMORY in kinds:
            reads.append(self._store.memories.find({"u": user, **which}, fields))
        return [version for found in await asyncio.gather(*reads) for version in found]

    async def _positioned(self, user: str, wanted: PageOf, limit: int) -> list[Document]:
        position: dict[str, Any] = {"$gte": _LEAST_INT64}
        if wanted.after is not None:
            position["$gt"] = wanted.after
        if wanted.before is not None:
            position["$lt"] = wanted.before
        group = {} if wanted.group is None else {"group": wanted.group}
        kept_in = self._store.memories if wanted.kind == RowKind.MEMORY else self._store.rows
        kind = {} if wanted.kind == RowKind.MEMORY else {"kind": str(wanted.kind)}
        return await kept_in.find(
            {"u": user, **kind, **group, "position": position},
            VERSION_FIELDS,
            sort=[("position", DESCENDING if wanted.descending else ASCENDING)],
            limit=limit,
        )


def current(versions: Iterable[Document], tail: Tail) -> dict[RowKey, Row]:
    """Return the rows that are valid at a journal's tip; none for a user without a journal, be there seeded ones."""
    if tail.tip == EMPTY:
        return {}
    return {key_of(version): row_of(version) for version in valid(versions, tail) if "body" in version}


def valid(versions: Iterable[Document], tail: Tail) -> Iterable[Document]:
    """Return of each row the version that is valid, those that delete included."""
    newest: dict[tuple[str, str], Document] = {}
    for version in (*versions, *(said for entry in tail.fresh for said in versions_of(entry))):
        key = (version["kind"], version["row"])
        held = newest.get(key)
        if held is None or held["seq"] <= version["seq"]:
            newest[key] = version
    erased = newest.get((ERASED, ""), {}).get("seq", -1)
    return [v for v in newest.values() if v["seq"] >= erased or v["kind"] == RowKind.REQUEST]

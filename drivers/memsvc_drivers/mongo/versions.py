"""Writes versions of rows: newer ones first, then those that they supersede go.

Versions may come late, from a process that was held up, when others have removed or erased the row long ago. So those
that delete stay for a day and hide them, and take them along when they go themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from pymongo import DeleteMany

from memsvc.storage.driver import Row, RowKind
from memsvc_drivers.mongo.client import Collection
from memsvc_drivers.mongo.documents import ERASED, Document, seeded_document, version_document
from memsvc_drivers.mongo.errors import DUPLICATE_KEY, refused
from memsvc_drivers.mongo.schema import Collections

_CHUNK = 1_000
_HEAD = ("_id", "u", "kind", "row", "seq")


class Versions:
    """Writes to the collections of rows."""

    def __init__(self, store: Collections) -> None:
        self._memories = store.memories
        self._rows = store.rows

    async def put(self, versions: Mapping[str, Sequence[Document]], now: datetime) -> None:
        """Add versions by user, and remove those that they supersede."""
        documents = [version_document(user, version, now) for user in versions for version in versions[user]]
        await asyncio.gather(*(_replace(collection, some) for collection, some in self._placed(documents)))

    async def erase(self, seqs: Mapping[str, int]) -> None:
        """Remove every version that is older than its user's seq, but those of requests."""
        for collection in (self._memories, self._rows):
            there = await collection.find({"u": {"$in": list(seqs)}}, _HEAD)
            older = (version for version in there if version["seq"] < seqs[version["u"]])
            await _delete(collection, [version for version in older if version["kind"] != RowKind.REQUEST])

    async def seed(self, user: str, rows: Sequence[Row], seq: int, now: datetime, *, afresh: bool) -> None:
        """Put rows as they are where the journal ends; 0: before it begins."""
        if afresh:
            for collection in (self._memories, self._rows):
                await collection.write([DeleteMany({"u": user})])
        documents = [seeded_document(user, row, seq, now) for row in rows]
        for collection, some in self._placed(documents):
            for start in range(0, len(some), _CHUNK):
                chunk = some[start : start + _CHUNK]
                held = [chunk[index] for index in await _insert(collection, chunk)]
                await _delete(collection, held)
                await _insert(collection, held)

    async def bury(self, before: datetime) -> None:
        """Remove versions that have been deleting since `before`, and what they hide."""
        for collection in (self._memories, self._rows):
            while gone := await collection.find({"gone": {"$lt": before}}, _HEAD, limit=_CHUNK):
                erased = {version["u"]: version["seq"] for version in gone if version["kind"] == ERASED}
                if erased:
                    await self.erase(erased)
                bounds = {_row(version): version["seq"] for version in gone}
                there = await _versions_of_same_rows(collection, gone)
                await _delete(collection, [each for each in there if each["seq"] < bounds.get(_row(each), -1)])
                await _delete(collection, gone)

    def _placed(self, documents: Iterable[Document]) -> Sequence[tuple[Collection, list[Document]]]:
        memories: list[Document] = []
        rows: list[Document] = []
        for document in documents:
            (memories if document["kind"] == RowKind.MEMORY else rows).append(document)
        return [(self._memories, memories), (self._rows, rows)]


async def _replace(collection: Collection, documents: Sequence[Document]) -> None:
    for start in range(0, len(documents), _CHUNK):
        chunk = documents[start : start + _CHUNK]
        await _insert(collection, chunk)
        newest: dict[tuple[str, str, str], Document] = {}
        there = sorted(await _versions_of_same_rows(collection, chunk), key=lambda version: version["seq"])
        newest.update((_row(version), version) for version in there)
        await _delete(collection, [version for version in there if newest[_row(version)] is not version])


async def _insert(collection: Collection, documents: Sequence[Document]) -> Sequence[int]:
    """Insert what is not there; return the places of those that are."""
    if not documents:
        return []
    codes = await collection.insert(documents)
    failures = set(codes.values()) - {DUPLICATE_KEY}
    if failures:
        raise refused(failures.pop())
    return list(codes)


async def _versions_of_same_rows(collection: Collection, documents: Sequence[Document]) -> list[Document]:
    same = {name: {"$in": list({document[name] for document in documents})} for name in ("u", "kind", "row")}
    return await collection.find(same, _HEAD)


async def _delete(collection: Collection, documents: Sequence[Document]) -> None:
    for start in range(0, len(documents), _CHUNK):
        chunk = documents[start : start + _CHUNK]
        ids = [document["_id"] for document in chunk]
        await collection.write([DeleteMany(those) for those in collection.among(ids, {d["u"] for d in chunk})])


def _row(document: Document) -> tuple[str, str, str]:
    return document["u"], document["kind"], document["row"]

"""Follows journals from document to document: for a server that is quicker by `_id` than by anything else.

That is FerretDB 1: it reads the whole collection either way, but by `_id` inside of its own database. A journal's end
that is not known well enough to go on from there, or has moved far on, is looked for as elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection as Some
from collections.abc import Mapping, Sequence

from memsvc.storage.driver import Record, Tip
from memsvc_drivers.mongo.documents import ENTRY_FIELDS, TIP_FIELDS, Document, Entry, entry_id, entry_of
from memsvc_drivers.mongo.journal import Journal, Tail, records_after

_MOST_USERS = 64
"""Of so many users each is followed by itself."""
_MOST_STEPS = 64


class WalkingJournal(Journal):
    """Reads the ends of journals that are known by `_id` alone."""

    async def tail(self, user: str) -> Tail:
        place = self._known.place(user)
        if place is not None and place.applied is not None:
            found = await self._follow(user, min(place.tip.seq, place.applied), ENTRY_FIELDS)
            if found or (found is not None and place.applied >= place.tip.seq):
                return Tail([entry_of(document) for document in found], place.tip)
        elif place is None and (entries := await self._begun(user, ENTRY_FIELDS)) is not None:
            return Tail.of(entries)
        return await super().tail(user)

    async def tips(self, users: Some[str]) -> Mapping[str, Tip]:
        if len(users) > _MOST_USERS:
            return await super().tips(users)
        tips = dict(zip(users, await asyncio.gather(*map(self._tip, users)), strict=True))
        lost = [user for user, tip in tips.items() if tip is None]
        found = await super().tips(lost) if lost else {}
        return {**{user: tip for user, tip in tips.items() if tip is not None}, **found}

    async def records(self, user: str, after: int, limit: int) -> Sequence[Record]:
        found = await self._follow(user, after, ("last", "records"))
        if not found:
            return await super().records(user, after, limit)
        return records_after(after, found)[:limit]

    async def _open(self, users: Some[str], fields: Sequence[str]) -> Mapping[str, list[Entry]]:
        if len(users) > _MOST_USERS:
            return await super()._open(users, fields)
        each = await asyncio.gather(*(self._open_of(user, fields) for user in users))
        walked = dict(zip(users, each, strict=True))
        lost = [user for user, entries in walked.items() if entries is None]
        found = await super()._open(lost, fields) if lost else {}
        return {**{user: entries for user, entries in walked.items() if entries}, **found}

    async def _open_of(self, user: str, fields: Sequence[str]) -> list[Entry] | None:
        """Return the open entries of a journal, newest first; without rows asked for, at least the newest."""
        place = self._known.place(user)
        if place is None:
            return await self._begun(user, fields)
        start = place.open_after if fields is ENTRY_FIELDS else place.after
        found = None if start is None else await self._follow(user, start, fields)
        return (_newest_first(found) or None) if found else None

    async def _begun(self, user: str, fields: Sequence[str]) -> list[Entry] | None:
        """Return all entries of a journal that is still at its beginning, or has not begun."""
        first = await self._documents.find({"_id": entry_id(user, 0)}, ["open"])
        if first and "open" not in first[0]:
            return None
        found = await self._follow(user, 0, fields) if first else []
        return None if found is None else _newest_first(found)

    async def _tip(self, user: str) -> Tip | None:
        place = self._known.place(user)
        found = None if place is None else await self._follow(user, place.tip.seq, TIP_FIELDS)
        if place is None or found is None:
            return None
        if not found:
            return place.tip
        newest = entry_of(found[-1])
        self._known.saw(user, newest.after, newest.tip)
        return newest.tip

    async def _follow(self, user: str, after: int, fields: Sequence[str]) -> list[Document] | None:
        """Return all documents from the one that follows `after` on; None where it is too far to the end."""
        found: list[Document] = []
        while documents := await self._documents.find({"_id": entry_id(user, after)}, fields):
            if "last" not in documents[0] or len(found) == _MOST_STEPS:
                return None
            found += documents
            after = documents[0]["last"]
        return found


def _newest_first(documents: Sequence[Document]) -> list[Entry]:
    return [entry_of(document) for document in reversed(documents) if "open" in document]

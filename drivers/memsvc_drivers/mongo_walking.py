"""Follows journals from document to document: for a server that is quicker by `_id` than by anything else.

That is FerretDB 1: it reads the whole collection either way, but by `_id` inside of its own database. A journal's end
that is not known well enough to go on from there, or has moved far on, is looked for as elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection as Some
from collections.abc import Mapping, Sequence

from memsvc.storage.driver import Record, Tip
from memsvc_drivers.mongo_documents import ENTRY_FIELDS, TIP_FIELDS, Document, entry_id, entry_of
from memsvc_drivers.mongo_journal import Journal, Tail, records_after

_MOST_USERS = 16
"""Of so many users each is followed by itself."""
_MOST_STEPS = 16


class WalkingJournal(Journal):
    """Reads the ends of journals that are known by `_id` alone."""

    async def tail(self, user: str) -> Tail:
        place = self._known.place(user)
        if place is None or place.applied is None:
            return await super().tail(user)
        found = await self._follow(user, min(place.tip.seq, place.applied), ENTRY_FIELDS)
        if found is None or (not found and place.applied < place.tip.seq):
            return await super().tail(user)
        return Tail([entry_of(document) for document in found], place.tip)

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

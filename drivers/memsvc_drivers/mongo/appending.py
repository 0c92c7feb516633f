"""Appending: one insert for all items of a batch, and what its outcome says of each.

The insert decides alone: `_id` names the seq that an append follows, so of all that follow one seq one is taken. That
the journal does end there with the nonce named, and not before, was seen on this connection, or is looked up first.
"""

from __future__ import annotations

from collections.abc import Sequence

from memsvc.errors import Error
from memsvc.storage.driver import EMPTY, Append, Outcome, Tip
from memsvc_drivers.mongo.client import Collection
from memsvc_drivers.mongo.documents import check_unicode, entry_document, user_key
from memsvc_drivers.mongo.errors import DUPLICATE_KEY, refused
from memsvc_drivers.mongo.journal import Journal
from memsvc_drivers.mongo.knowledge import Knowledge
from memsvc_drivers.mongo.projection import Projection


class Appending:
    """Appends to the journals of all users."""

    def __init__(self, documents: Collection, journal: Journal, known: Knowledge, projection: Projection) -> None:
        self._documents = documents
        self._journal = journal
        self._known = known
        self._projection = projection

    async def append(self, batch: Sequence[Append]) -> Sequence[Outcome]:
        """See `Driver.append`."""
        users = {}
        for item in batch:
            check_unicode(item)
            users[user_key(item.scope)] = item
        outcomes = dict.fromkeys(users, Outcome.CONFLICT)
        possible = await self._possible(users)
        try:
            outcomes |= await self._insert(possible)
        finally:
            # Also of those that nobody waits for any more: they may be there.
            for user in possible:
                self._projection.touch(user)
        for user, item in possible.items():
            if outcomes[user] is Outcome.APPENDED:
                last = item.records[-1]
                begun = 0 if item.after == EMPTY else None
                tip = Tip(last.seq, last.nonce)
                self._known.saw(user, item.after.seq, tip, applied=begun, open_after=begun)
        erased = [user for user, item in possible.items() if item.erases and outcomes[user] is Outcome.APPENDED]
        if erased:
            try:
                await self._projection.project(erased)
            except Error:
                # It was taken, but what it erases may be there for a while.
                outcomes |= dict.fromkeys(erased, Outcome.UNKNOWN)
        return list(outcomes.values())

    async def _possible(self, users: dict[str, Append]) -> dict[str, Append]:
        """Return the items whose journal ends, or ended, at `after`."""
        unsure = {user: item.after for user, item in users.items() if item.after not in (EMPTY, self._known.tip(user))}
        if not unsure:
            return users
        ended = await self._journal.ends(unsure)
        return {user: item for user, item in users.items() if user not in unsure or user in ended}

    async def _insert(self, items: dict[str, Append]) -> dict[str, Outcome]:
        if not items:
            return {}
        now = self._projection.now
        codes = await self._documents.insert([entry_document(user, item, now) for user, item in items.items()])
        failures = {code for code in codes.values() if code != DUPLICATE_KEY}
        if failures and len(codes) == len(items):
            raise refused(failures.pop())
        return {user: _outcome(codes.get(index)) for index, user in enumerate(items)}


def _outcome(code: int | None) -> Outcome:
    if code is None:
        return Outcome.APPENDED
    return Outcome.CONFLICT if code == DUPLICATE_KEY else Outcome.UNKNOWN

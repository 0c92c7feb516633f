"""The collection of the journal: where journals end, their records and floors, who is due, who there is.

An append is one document, named after the seq that it follows. So documents of a user form a chain, and where it ends
is where no document follows. Say sarah's are `sarah/0` (seq 1 and 2), `sarah/2` (seq 3) and `sarah/3` (seq 4): her tip
is seq 4. Nothing points forward; instead a document is `open` until somebody knows that another follows it, so that the
end is found by an index on `open`. A document says of rows what its append does to them (`said`), while `fresh`: until
that shows in the collections of rows. What is truncated loses its content but keeps its name for a day.
"""

from __future__ import annotations

from collections.abc import Collection as Some
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

import msgspec
from pymongo import ASCENDING, DESCENDING, DeleteMany, UpdateMany, UpdateOne

from memsvc.model import Scope
from memsvc.storage.driver import EMPTY, Due, Record, Redaction, Tip, TruncatedJournal
from memsvc_drivers.mongo.client import Collection, Write
from memsvc_drivers.mongo.documents import (
    APPLIED_FIELDS,
    ENTRY_FIELDS,
    FORGOTTEN_FIELDS,
    HEAD_FIELDS,
    PASSED_FIELDS,
    TIP_FIELDS,
    Document,
    Entry,
    entry_of,
    records_of,
    scope_of,
)
from memsvc_drivers.mongo.knowledge import Knowledge

_SLACK = 16
_CHUNK = 100
"""How many documents one write changes: a server that is slow does it within a call's time."""
_ROOT = {"after": 0}


class Tail(msgspec.Struct, frozen=True, gc=False):
    """The end of one journal: the entries that no later one is known to follow."""

    entries: Sequence[Entry]
    """Oldest first, without a gap."""
    base: Tip = EMPTY
    """Where it ends if there are no such entries."""

    @classmethod
    def of(cls, newest_first: Iterable[Entry]) -> Tail:
        """Return what hangs together with the newest of these entries."""
        joined: list[Entry] = []
        for entry in newest_first:
            if joined and entry.tip.seq != joined[-1].after:
                break
            joined.append(entry)
        return cls(joined[::-1])

    @property
    def tip(self) -> Tip:
        return self.entries[-1].tip if self.entries else self.base

    @property
    def fresh(self) -> Sequence[Entry]:
        """The entries at its end whose rows may not show yet. What is before one that shows, shows."""
        count = 0
        for entry in reversed(self.entries):
            if not entry.fresh:
                break
            count += 1
        return self.entries[len(self.entries) - count :]

    @property
    def applied(self) -> int:
        """The seq up to which all rows show."""
        fresh = self.fresh
        return fresh[0].after if fresh else self.tip.seq


class Journal:
    """Reads and thins out the journals of all users."""

    def __init__(self, documents: Collection, known: Knowledge) -> None:
        self._documents = documents
        self._known = known

    async def tail(self, user: str) -> Tail:
        """Return how a journal ends, rows included."""
        found = await self._documents.find({"u": user, "open": True}, ENTRY_FIELDS, sort=[("last", DESCENDING)])
        return Tail.of(map(entry_of, found))

    async def open_entries(self, users: Some[str]) -> Mapping[str, list[Entry]]:
        """Return what is open of these users' journals, newest first, rows included."""
        found = dict(await self._open(users, ENTRY_FIELDS))
        torn = [user for user, entries in found.items() if len(Tail.of(entries).entries) < len(entries)]
        if torn:
            # Appended while it was read, perhaps: what is apart still, others have dealt with.
            found |= await self._open(torn, ENTRY_FIELDS)
        return found

    async def tips(self, users: Some[str]) -> Mapping[str, Tip]:
        """Return where these journals end, of those that there are."""
        # An index holds these fields.
        return {user: entry.tip for user, entry in (await self._newest(users, TIP_FIELDS)).items()}

    async def heads(self, users: Some[str]) -> Mapping[str, Entry]:
        """Return the newest entry of each journal, without its rows."""
        return await self._newest(users, HEAD_FIELDS)

    async def _newest(self, users: Some[str], fields: Sequence[str]) -> Mapping[str, Entry]:
        newest = {user: entries[0] for user, entries in (await self._open(users, fields)).items()}
        for user, entry in newest.items():
            self._known.saw(user, entry.after, entry.tip)
        return newest

    async def _open(self, users: Some[str], fields: Sequence[str]) -> Mapping[str, list[Entry]]:
        which = {"u": next(iter(users))} if len(users) == 1 else {"u": {"$in": list(users)}}
        found: dict[str, list[Entry]] = {}
        for document in await self._documents.find({**which, "open": True}, fields):
            found.setdefault(document["u"], []).append(entry_of(document))
        for entries in found.values():
            entries.sort(key=lambda entry: entry.after, reverse=True)
        return found

    async def ends(self, wanted: Mapping[str, Tip]) -> set[str]:
        """Return those users in whose journals an append ended, or ends, just so."""
        ends = [{"u": user, "last": tip.seq, "nonce": tip.nonce} for user, tip in wanted.items()]
        query = ends[0] if len(ends) == 1 else {"$or": ends}
        return {document["u"] for document in await self._documents.find(query, ["u"])}

    async def records(self, user: str, after: int, limit: int) -> Sequence[Record]:
        """Return records in order. Raises TruncatedJournal where the first ones are gone."""
        query = {"u": user, "last": {"$gt": after}}
        found = await self._documents.find(query, ["after", "records"], sort=[("last", ASCENDING)], limit=limit)
        return records_after(after, found)[:limit]

    async def due(self, before: int, limit: int) -> Sequence[Due]:
        """Return users that are due, earliest first."""
        query = {"due": {"$gt": 0, "$lte": before}}
        asked = limit
        while True:
            asked += _SLACK
            found = await self._documents.find(query, ["u"], sort=[("due", ASCENDING)], limit=asked)
            users = dict.fromkeys(document["u"] for document in found)
            heads = await self.heads(users) if users else {}
            # The newest entry says what is due, whichever led to it.
            due = [Due(scope_of(user), head.due) for user, head in heads.items() if 0 < head.due <= before]
            if len(found) < asked or len(due) >= limit:
                return sorted(due, key=lambda each: each.time)[:limit]
            asked *= 2

    async def users(self, namespace: str, after: str, limit: int) -> Sequence[str]:
        """Return the users of a namespace, those left out whose newest entry erases."""
        users: list[str] = []
        while len(users) < limit:
            asked = limit - len(users) + _SLACK
            query = {"namespace": namespace, "user_id": {"$gt": after}, "$or": [_ROOT, {"erases": True}]}
            found = await self._documents.find(
                query, ["u", "user_id", "after", "erases"], sort=[("user_id", ASCENDING)], limit=asked
            )
            page = dict.fromkeys(document["user_id"] for document in found)
            if len(found) == asked and len(page) > 1:
                # The last one's documents may go on behind the page.
                page.popitem()
            erasing = {document["user_id"]: document["u"] for document in found if "erases" in document}
            erased = await self._erased(erasing) if erasing else set()
            users += [user_id for user_id in page if user_id not in erased]
            if len(found) < asked:
                break
            after = next(reversed(page))
        return users[:limit]

    async def _erased(self, erasing: Mapping[str, str]) -> set[str]:
        heads = await self.heads(set(erasing.values()))
        return {user_id for user_id, user in erasing.items() if user in heads and heads[user].erases}

    async def scopes(self, after: Scope | None, limit: int) -> Sequence[Scope]:
        """Return whose journals there are, by namespace and user."""
        query: Document = {**_ROOT, "user_id": {"$gte": ""}}
        if after is not None:
            later = {"namespace": {"$gt": after.namespace}, "user_id": {"$gte": ""}}
            query = {**_ROOT, "$or": [{"namespace": after.namespace, "user_id": {"$gt": after.user_id}}, later]}
        found = await self._documents.find(
            query, ["u"], sort=[("namespace", ASCENDING), ("user_id", ASCENDING)], limit=limit
        )
        return [scope_of(document["u"]) for document in found]

    async def forget(self, floors: Mapping[str, int], now: datetime) -> None:
        """Empty what is below the floors; its place stays taken. Its rows must show, and a later entry be there."""
        gone = {"$unset": _names((*FORGOTTEN_FIELDS, "namespace", "user_id")), "$set": {"gone": now}}
        # The first one stays for good: it keeps the journal from beginning a second time.
        emptied = {"$unset": _names(FORGOTTEN_FIELDS)}
        below: list[str] = []
        first: list[str] = []
        writes: list[Write] = []
        query = {"u": {"$in": list(floors)}, "after": {"$lt": max(floors.values())}, "last": {"$gt": 0}}
        for document in await self._documents.find(query, ["_id", "u", "after", "last"]):
            floor = floors[document["u"]]
            if document["last"] < floor:
                (below if document["after"] else first).append(document["_id"])
            elif document["after"] < floor - 1:
                fields = _names(f"records.{seq}" for seq in range(document["after"] + 1, floor))
                writes += [UpdateOne(it, {"$unset": fields}) for it in self._among([document["_id"]], floors)]
        for ids, update in ((below, gone), (first, emptied)):
            writes += [UpdateMany(those, update) for those in self._among(ids, floors)]
        await self._write(writes)

    async def redact(self, user: str, redactions: Sequence[Redaction]) -> Some[int]:
        """Replace the bodies of the records that still are as they were; return which, read afterwards."""
        wanted = {str(each.seq): each for each in redactions}
        seqs = [each.seq for each in redactions]
        query = {"u": user, "last": {"$gte": min(seqs)}, "after": {"$lt": max(seqs)}}
        writes: list[Write] = []
        sent: set[str] = set()
        for document in await self._documents.find(query, ["_id", "records"]):
            held = document.get("records", {})
            matching = [seq for seq in held if seq in wanted and held[seq].get("body") == wanted[seq].old]
            sent.update(matching)
            for it in self._among([document["_id"]] if matching else [], [user]):
                # The server compares and sets in one step: what changed since it was read is left alone.
                unchanged = {f"records.{seq}.body": wanted[seq].old for seq in matching}
                replaced = {f"records.{seq}.body": wanted[seq].new for seq in matching}
                writes.append(UpdateOne({**it, **unchanged}, {"$set": replaced}))
        await self._write(writes)
        return [
            int(seq)
            for document in (await self._documents.find(query, ["records"]) if writes else ())
            for seq, record in document.get("records", {}).items()
            if seq in sent and record.get("body") == wanted[seq].new
        ]

    async def settle(self, entries: Mapping[str, Sequence[Entry]]) -> None:
        """Note that the rows of these entries show; each user's are newest first."""
        newest = [of_user[0].id for of_user in entries.values() if of_user[0].fresh]
        passed = [entry.id for of_user in entries.values() for entry in of_user[1:]]
        writes: list[Write] = []
        for ids, fields in ((passed, PASSED_FIELDS), (newest, APPLIED_FIELDS)):
            writes += [UpdateMany(those, {"$unset": _names(fields)}) for those in self._among(ids, entries)]
        await self._write(writes)

    async def bury(self, before: datetime) -> None:
        """Delete what was forgotten before that: nobody is so far behind any more as to append there."""
        await self._documents.write([DeleteMany({"gone": {"$lt": before}})])

    async def unsettled(self, until: datetime, limit: int) -> Sequence[str]:
        """Return users whose rows do not show since `until` or longer: whoever appended them is gone."""
        query = {"fresh": {"$lt": until}}
        found = await self._documents.find(query, ["u"], sort=[("fresh", ASCENDING)], limit=limit)
        return list(dict.fromkeys(document["u"] for document in found))

    def _among(self, ids: Sequence[str], users: Iterable[str]) -> Iterable[Mapping[str, Any]]:
        for start in range(0, len(ids), _CHUNK):
            yield from self._documents.among(ids[start : start + _CHUNK], users)

    async def _write(self, writes: Sequence[Write]) -> None:
        for start in range(0, len(writes), _CHUNK):
            await self._documents.write(writes[start : start + _CHUNK])


def records_after(after: int, documents: Iterable[Document]) -> Sequence[Record]:
    """Return the records that documents in order hold. Raises TruncatedJournal where the first ones are gone."""
    records = [record for document in documents for record in records_of(document) if record.seq > after]
    # Before a gap is what was being forgotten while it was read.
    gaps = [later.seq for earlier, later in pairwise(records) if later.seq != earlier.seq + 1]
    if records and (gaps or records[0].seq != after + 1):
        raise TruncatedJournal(gaps[-1] if gaps else records[0].seq)
    return records


def _names(fields: Iterable[str]) -> dict[str, Any]:
    return dict.fromkeys(fields, "")

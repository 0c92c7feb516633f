"""What is in the collections: keys, and documents made and read.

journal
    One document an append: `_id` `<user>/<seq that it follows>`, so the insert is the compare-and-set, and of all
    appends after one seq one is there. `u` (the user), `after`, `previous` and `last`, `nonce` (the tips before and
    behind it), `records` by seq, `said` of rows, in MessagePack, until it shows in their collections (`fresh`), `open`
    until a later append is known of, `due`. The first one of a journal, `<user>/0`, is never deleted.
memories, rows
    Versions of rows, never changed: `_id` `<user>/<kind>/<row>@<seq>`; of one row the highest seq is valid. A version
    without a body says that the row was deleted then, or (kind `erased`) every row but requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import msgspec
from bson.int64 import Int64

from memsvc.model import Memory, Scope, decode
from memsvc.storage.driver import EMPTY, Append, Record, RecordKind, Row, RowKey, RowKind, Tip
from memsvc_drivers.unicode import is_unicode, require_unicode

ERASED = "erased"
"""The kind of the version that voids every older one but those of requests."""

ENTRY_FIELDS = ("u", "open", "after", "last", "nonce", "fresh", "erases", "due", "said")
TIP_FIELDS = ("u", "open", "after", "last", "nonce")
HEAD_FIELDS = ("u", "open", "after", "last", "nonce", "erases", "due")
VERSION_FIELDS = ("kind", "row", "seq", "group", "position", "body")
APPLIED_FIELDS = ("fresh", "said")
"""What a document of the journal loses once its rows show."""
PASSED_FIELDS = (*APPLIED_FIELDS, "open", "due", "erases")
"""... and once a later one is there."""
FORGOTTEN_FIELDS = (*PASSED_FIELDS, "last", "nonce", "previous", "records")
"""... and once it is below the floor: what is left only keeps its `_id` taken."""

_ESCAPES = str.maketrans({sign: f"%{ord(sign):02X}" for sign in "%/{}:\0"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Document = dict[str, Any]


def user_key(scope: Scope) -> str:
    """Return what names a user in every document. Raises InvalidArgument for a name that has no UTF-8."""
    key = f"{scope.namespace.translate(_ESCAPES)}/{scope.user_id.translate(_ESCAPES)}"
    require_unicode((key,))
    return key


def scope_of(key: str) -> Scope:
    """Return whose key it is; also of the `_id` of a journal's document."""
    namespace, user_id, *_ = key.split("/")
    return Scope(unquote(namespace), unquote(user_id))


def entry_id(user: str, after: int) -> str:
    """Return the `_id` of what follows `after` in a user's journal."""
    return f"{user}/{after}"


def check_unicode(item: Append) -> None:
    """Raise InvalidArgument for a name that has no UTF-8."""
    names = [name for row in item.puts for name in (row.row_id, row.group)]
    names += [key.row_id for key in item.deletes]
    require_unicode(names)


def entry_document(user: str, item: Append, now: datetime) -> Document:
    """Return the document that an append inserts."""
    last = item.records[-1]
    document: Document = {
        "_id": entry_id(user, item.after.seq),
        "u": user,
        "after": Int64(item.after.seq),
        "previous": item.after.nonce,
        "last": Int64(last.seq),
        "nonce": last.nonce,
        "records": {
            str(record.seq): {
                "nonce": record.nonce,
                "kind": str(record.kind),
                "time": Int64(record.time),
                "body": record.body,
            }
            for record in item.records
        },
        "open": True,
        "fresh": now,
    }
    if item.puts or item.deletes:
        document["said"] = _said_encoder.encode(_Said(item.puts, item.deletes))
    if item.due:
        document["due"] = Int64(item.due)
    if item.erases:
        document["erases"] = True
    if item.erases or item.after == EMPTY:
        document |= {"namespace": item.scope.namespace, "user_id": item.scope.user_id}
    return document


def records_of(document: Document) -> Iterable[Record]:
    """Return the records that a journal's document still holds, in order."""
    for seq, record in sorted((int(seq), record) for seq, record in document.get("records", {}).items()):
        # A redaction that comes upon a truncation may leave a body alone.
        if "nonce" in record:
            yield Record(seq, record["nonce"], RecordKind(record["kind"]), int(record["time"]), record["body"])


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A document of the journal without its records."""

    user: str
    after: int
    tip: Tip
    fresh: bool
    """Whether its rows may not show yet."""
    erases: bool
    due: int
    said: bytes
    """What the append puts and deletes."""

    @property
    def id(self) -> str:
        return entry_id(self.user, self.after)


def entry_of(document: Document) -> Entry:
    """Return the entry that was read with `ENTRY_FIELDS`, or fewer."""
    return Entry(
        document["u"],
        int(document["after"]),
        Tip(int(document["last"]), document["nonce"]),
        "fresh" in document,
        "erases" in document,
        int(document.get("due", 0)),
        document.get("said", b""),
    )


def versions_of(entry: Entry) -> Iterable[Document]:
    """Return what an entry says of rows, as versions without `_id`."""
    seq = Int64(entry.tip.seq)
    if entry.erases:
        yield {"kind": ERASED, "row": "", "seq": seq}
    if entry.said:
        said = _said_decoder.decode(entry.said)
        for key in said.deletes:
            yield {"kind": str(key.kind), "row": key.row_id, "seq": seq}
        for row in said.puts:
            yield {**_put(row), "seq": seq}


class _Said(msgspec.Struct, frozen=True, gc=False, array_like=True):
    puts: Sequence[Row]
    deletes: Sequence[RowKey]


_said_encoder = msgspec.msgpack.Encoder()
_said_decoder = msgspec.msgpack.Decoder(_Said)


def version_document(user: str, version: Document, now: datetime) -> Document:
    """Return a version as it is kept."""
    name = f"{user}/{version['kind']}/{version['row']}@{version['seq']}"
    document = {"_id": name, "u": user, **version}
    if "body" not in version:
        document["gone"] = now
    elif version["kind"] == RowKind.MEMORY:
        document |= _readable(user, version["body"])
    return document


def seeded_document(user: str, row: Row, seq: int, now: datetime) -> Document:
    """Return a row's version that no append puts."""
    return version_document(user, {**_put(row), "seq": Int64(seq)}, now)


def row_of(version: Document) -> Row:
    """Return the row that a version with a body holds."""
    body = version["body"]
    return Row(
        RowKind(version["kind"]),
        version["row"],
        body.encode() if isinstance(body, str) else bytes(body),
        version["group"],
        int(version["position"]),
    )


def key_of(version: Mapping[str, Any]) -> RowKey:
    """Return which row a version is of."""
    return RowKey(version["kind"], version["row"])


def _put(row: Row) -> Document:
    # Text where it can be: people read it in the database's shell.
    try:
        body: str | bytes = row.body.decode()
    except UnicodeDecodeError:
        body = row.body
    return {
        "kind": str(row.kind),
        "row": row.row_id,
        "group": row.group,
        "position": Int64(row.position),
        "body": body,
    }


def _readable(user: str, body: str | bytes) -> Document:
    """Return the fields of a memory for people; none where the body is none."""
    try:
        memory = decode(body.encode() if isinstance(body, str) else body, Memory)
    except (msgspec.MsgspecError, UnicodeEncodeError):
        return {}
    scope = scope_of(user)
    texts = {
        "namespace": scope.namespace,
        "user_id": scope.user_id,
        "memory_id": memory.memory_id,
        "memory": memory.text,
        "input": memory.input,
        "agent_id": memory.origin.agent_id,
        "team_id": memory.origin.team_id,
        "session_id": memory.origin.session_id,
        "layer": str(memory.layer),
        "key": memory.key,
        "value": memory.value_json,
        "polarity": str(memory.polarity),
        "trust": str(memory.trust),
    }
    times = {
        "updated_at": memory.update_time,
        "created_at": memory.create_time,
        "observed_at": memory.observe_time,
        "expires_at": memory.expire_time,
    }
    return {
        **{name: text for name, text in texts.items() if is_unicode(text)},
        "topics": [topic for topic in memory.topics if is_unicode(topic)],
        "number": Int64(memory.number),
        **{name: _date(time) for name, time in times.items() if time},
    }


def _date(time: int) -> datetime | None:
    try:
        return _EPOCH + timedelta(microseconds=time)
    except OverflowError:
        return None

"""What things are called in Redis, and how they are written down so that people can read them.

A user's keys are `memsvc:{17}:memory:namespace/user`: the number in braces is the user's bucket, and on a cluster all
that belongs to a bucket is on one node. A store that was made on a cluster has 256 buckets, and one that was made on a
single server has one, `{0}`: who is due, or comes next, is then one look, and not one into each bucket. How many a
store has is in `memsvc:{meta}:schema`, and stays.

Per user there are `head` (seq, nonce, floor, due, erased), `journal` (a list of records), one hash of rows for each
kind and, for kinds that are paged, `<kind>.order`; per bucket `due`, `scopes` and `users:<namespace>`. What is ordered
is a sorted set whose scores are all 0, and so ordered by bytes: a score is a double, and does not tell two large int64
apart.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote
from zlib import crc32

from memsvc.model import Scope
from memsvc.storage.driver import Record, RecordKind, Row, RowKind
from memsvc_drivers.unicode import not_unicode

CLUSTER_BUCKETS: Final = 256
"""Of a store that was made on a cluster; also of those on a single server that are older than stores of one bucket."""

SERVER_BUCKETS: Final = 1
"""Of a store that was made on a single server."""

META: Final = -1
"""The bucket of what belongs to the store as a whole."""

PAGED: Final = frozenset((RowKind.RUN, RowKind.SESSION, RowKind.EXTRACTION, RowKind.SUMMARY, RowKind.SAID))
"""Kinds whose rows are paged by position in Redis. The others are few, or read whole in any case."""

JSON_OBJECT: Final = ord("{")
"""What a value begins with that is its row's JSON alone."""

_TO_ESCAPE = re.compile(r"[%/{}:]")
_LEAST_INT64 = -(1 << 63)


class Keys:
    """The names of one store's keys."""

    __slots__ = ("buckets", "prefix")

    def __init__(self, prefix: str, buckets: int) -> None:
        self.prefix = prefix
        self.buckets = buckets

    def of(self, scope: Scope) -> UserKeys:
        """Return the names of a user's keys. Raises InvalidArgument."""
        return UserKeys(self.prefix, scope, self.buckets)

    def bucket(self, bucket: int, part: str) -> bytes:
        """Return a key that the users of a bucket share."""
        return f"{self.prefix}{{{bucket}}}:{part}".encode()

    def users(self, bucket: int, namespace: str) -> bytes:
        """Return the key of the users of a namespace. Raises InvalidArgument."""
        return self.bucket(bucket, f"users:{escaped(namespace)}")

    def meta(self, part: str) -> bytes:
        """Return a key of the store as a whole."""
        return f"{self.prefix}{{meta}}:{part}".encode()


class UserKeys:
    """The names of one user's keys."""

    __slots__ = ("_base", "bucket", "name", "namespace")

    def __init__(self, prefix: str, scope: Scope, buckets: int) -> None:
        self.namespace = escaped(scope.namespace)
        name = f"{self.namespace}/{escaped(scope.user_id)}"
        self.name = name.encode()
        self.bucket = crc32(self.name) % buckets
        self._base = b"%b{%d}:" % (prefix.encode(), self.bucket)

    @property
    def head(self) -> bytes:
        return self._base + b"head:" + self.name

    @property
    def journal(self) -> bytes:
        return self._base + b"journal:" + self.name

    def rows(self, kind: RowKind) -> bytes:
        return b"%b%b:%b" % (self._base, kind.value.encode(), self.name)

    def order(self, kind: RowKind) -> bytes:
        return b"%b%b.order:%b" % (self._base, kind.value.encode(), self.name)

    def shared(self) -> tuple[bytes, bytes, bytes]:
        """Return the keys of the bucket that tell of its users: due, users of the namespace, scopes."""
        return (
            self._base + b"due",
            b"%busers:%b" % (self._base, self.namespace.encode()),
            self._base + b"scopes",
        )


def tag(bucket: int) -> bytes:
    """Return what decides on which node of a cluster a bucket is."""
    return b"meta" if bucket == META else b"%d" % bucket


def escaped(text: str) -> str:
    """Return text that has none of the signs which part a key. Raises InvalidArgument where it has no UTF-8."""
    if text.isalnum() and text.isascii():
        return text
    utf8(text)
    return _TO_ESCAPE.sub(lambda sign: f"%{ord(sign[0]):02X}", text)


def utf8(text: str) -> bytes:
    """Return a name's bytes. Raises InvalidArgument for a lone surrogate, which has none."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise not_unicode() from error


def scope_of(name: bytes) -> Scope:
    """Return whose escaped name it is."""
    namespace, _, user_id = name.decode().partition("/")
    return Scope(unquote(namespace), unquote(user_id))


def ordered(number: int) -> bytes:
    """Return an int64 as text that is ordered as it is: 16 hexadecimal digits."""
    return b"%016x" % (number - _LEAST_INT64)


def number_in(text: bytes) -> int:
    """Return the number that `ordered` wrote."""
    return int(text, 16) + _LEAST_INT64


def write_record(record: Record) -> bytes:
    """Return a record as an element of a journal: `seq nonce kind time body`."""
    envelope = f"{record.seq} {record.nonce} {record.kind.value} {record.time} "
    return envelope.encode() + record.body


def read_record(element: bytes) -> Record:
    """Return the record that `write_record` wrote."""
    seq, nonce, kind, time, body = element.split(b" ", 4)
    return Record(int(seq), nonce.decode(), RecordKind(kind.decode()), int(time), body)


def write_row(row: Row, group: bytes) -> bytes:
    """Return a row as the value of its hash.

    What is read whole and has no group is its JSON, after its position unless that is 0, as with a memory. The others
    are `position group-length group body`, the position as `ordered` writes it.
    """
    if not group and row.kind not in PAGED and row.body[:1] == b"{":
        return b"%d %b" % (row.position, row.body) if row.position else row.body
    return b"%b %d %b %b" % (ordered(row.position), len(group), group, row.body)


def read_row(kind: RowKind, row_id: str, value: bytes) -> Row:
    """Return the row that `write_row` wrote."""
    if value[0] == JSON_OBJECT:
        return Row(kind, row_id, value)
    gap = value.index(b" ")
    if value[gap + 1] == JSON_OBJECT:
        return Row(kind, row_id, value[gap + 1 :], "", int(value[:gap]))
    start = value.index(b" ", gap + 1) + 1
    end = start + int(value[gap + 1 : start])
    return Row(kind, row_id, value[end + 1 :], value[start:end].decode(), number_in(value[:gap]))


def members(position: bytes, group: bytes, row_id: bytes) -> tuple[bytes, bytes]:
    """Return what places a row in its kind's order: among all of the kind, and among those of its group."""
    return b"*%b%b" % (position, row_id), b"%b%b%b" % (group_prefix(group), position, row_id)


def group_prefix(group: bytes | None) -> bytes:
    """Return what the places in a group begin with; None: those among all."""
    return b"*" if group is None else b"=%d:%b" % (len(group), group)

"""Replies put together from bytes that were serialized before.

A message's fields may follow each other in any order, so a reply is the bytes of its parts, one after the other: parts
that stay the same are kept, the rest is serialized per call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from struct import Struct
from typing import Any

from memsvc.memories.reading import Entry
from memsvc.model import Memory
from memsvc.rpc.memories import proto_memory
from memsvc.users import HotUser, Users

_VARINT = 0
_FIXED_64 = 1
_LENGTH_DELIMITED = 2
_DOUBLE = Struct("<Bd")
_MICROS = 1_000_000


def varint(number: int) -> bytes:
    """Return a number that is not negative in base 128, low digits first."""
    if number < 0x80:
        return _ONE_BYTE[number]
    digits = b""
    while number > 0x7F:
        digits += _MORE_FOLLOW[number & 0x7F]
        number >>= 7
    return digits + _ONE_BYTE[number]


_ONE_BYTE = [bytes((number,)) for number in range(0x80)]
_MORE_FOLLOW = [bytes((number | 0x80,)) for number in range(0x80)]


def message_field(number: int, payload: bytes) -> bytes:
    """Return a field that holds a serialized message, or text, or bytes."""
    return varint(number << 3 | _LENGTH_DELIMITED) + varint(len(payload)) + payload


def number_field(number: int, value: int) -> bytes:
    """Return a field that holds a number which is not negative; of 0, which is not sent, nothing."""
    return varint(number << 3 | _VARINT) + varint(value) if value else b""


def double_field(number: int, value: float) -> bytes:
    """Return a field that holds a double, of a number below 16; of 0, which is not sent, nothing."""
    return _DOUBLE.pack(number << 3 | _FIXED_64, value) if value else b""


def freshness(kind: Callable[[], Any]) -> Callable[[HotUser], bytes]:
    """Return what writes of a reply of which `revision` of a user it is, and its `read_time`.

    One message serves all calls: to make one is half of what it takes to write it.
    """
    reply = kind()
    read_time = reply.read_time

    def fresh(user: HotUser) -> bytes:
        reply.revision = user.state.core.revision
        read_time.seconds, rest = divmod(user.checked_time, _MICROS)
        read_time.nanos = rest * 1000
        sent: bytes = reply.SerializeToString()
        return sent

    return fresh


def framed_memory(user: HotUser, memory: Memory) -> bytes:
    """Return a memory of the user as field 1 of a message, as every reply that returns memories has it.

    `memory` must have been read from `user` since the last await.
    """
    framed = user.encoded.get(memory.memory_id)
    if framed is None:
        message = proto_memory(memory, user.state.scope)
        framed = user.encoded[memory.memory_id] = message_field(1, message.SerializeToString())
    return framed


def framed_memories(users: Users, user: HotUser, entries: Sequence[Entry]) -> list[bytes]:
    """Return `framed_memory` of the memories on a page; what is now kept of the user is counted."""
    encoded = user.encoded
    try:
        return [encoded[memory_id] for _, memory_id in entries]
    except KeyError:
        memories = filter(None, (user.get(memory_id) for _, memory_id in entries))
        framed = [framed_memory(user, memory) for memory in memories]
        users.recount(user)
        return framed


def fitting(parts: Sequence[bytes], limit: int) -> int:
    """Return how many of the first parts fit into `limit` bytes."""
    return sum(1 for total in accumulate(map(len, parts)) if total <= limit)

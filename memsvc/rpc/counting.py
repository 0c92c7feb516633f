"""How much a request holds, counted in its bytes before anything is made of them.

Four megabytes can be two million empty messages, which take a hundred times as much in RAM and seconds in any loop. The
walk below reads nothing but tags and lengths, steps over whatever is no message, and ends at the first limit.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, NamedTuple, NoReturn

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError

from memsvc.errors import invalid

MAX_REPEATED: Final = 1_000
"""No list of the API is longer."""
MAX_ENTRIES: Final = 4_096
"""... but for maps, which are bounded in bytes."""
MAX_FIELDS: Final = 100_000
_MAX_DEPTH: Final = 32
_LONGEST_NUMBER: Final = 10
_SLICE: Final = 10_000
"""After so many fields others have their turn: a few milliseconds."""

_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5


class Kind(NamedTuple):
    """What of a message has to be known to walk through it."""

    lists: dict[int, tuple[str, int]]
    """Name and limit of the fields that are lists, by number."""
    packed: set[int]
    """Which of them are lists of numbers: many of these may stand in one place."""
    messages: dict[int, tuple[str, bool, Kind]]
    """Name, whether it is a list, and kind of the fields that are messages."""


_kinds: Final[dict[str, Kind]] = {}
"""By the messages' full names: one for all methods whose requests may hold the message."""


def kind_of(descriptor: Any) -> Kind:
    """Return the kind of a message, and of all that it may hold."""
    known = _kinds.get(descriptor.full_name)
    if known is not None:
        return known
    kind = _kinds[descriptor.full_name] = Kind({}, set(), {})
    for field in descriptor.fields:
        message = field.message_type
        if field.is_repeated:
            # To ask for the options themselves would import their descriptors, half a megabyte.
            is_map = message is not None and message.has_options
            kind.lists[field.number] = (field.name, MAX_ENTRIES if is_map else MAX_REPEATED)
            if message is None and field.type not in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES):
                kind.packed.add(field.number)
        if message is not None:
            kind.messages[field.number] = (field.name, field.is_repeated, kind_of(message))
    return kind


def message_tags(kind: Kind) -> bytes:
    """Return the bytes of which one begins each message in a message of a kind, however its tag is written."""
    seen: set[int] = set()
    waiting, kinds = [kind], [kind]
    while waiting:
        for number, (_, _, held) in waiting.pop().messages.items():
            tag = number << 3 | _LENGTH_DELIMITED
            # The first of several bytes has the highest bit, and a short tag may be written as a long one.
            seen |= {tag & 0x7F | 0x80} if tag > 0x7F else {tag, tag | 0x80}
            if all(held is not each for each in kinds):
                kinds.append(held)
                waiting.append(held)
    return bytes(seen)


def at_most_messages(raw: bytes, tags: bytes) -> int:
    """Return how many messages a request holds at most; `tags` are those of its kind. Its texts count as well."""
    return 1 + len(raw) - len(raw.translate(None, tags))


async def count_messages(raw: bytes, kind: Kind) -> int:
    """Return how many messages a request holds.

    Raises InvalidArgument that names the list which is too long, DecodeError for what is no message.
    """
    walk = _Walk(raw)
    # One at a time, the innermost first: a path is only needed where something is wrong.
    waiting: list[tuple[int, int, Kind, str, int]] = [(0, len(raw), kind, "", 0)]
    messages = 0
    pause = _SLICE
    while waiting:
        start, end, of, path, depth = waiting.pop()
        messages += 1
        if depth > _MAX_DEPTH:
            raise DecodeError
        walk.message(start, end, of, path, depth, waiting)
        if walk.fields > MAX_FIELDS:
            raise invalid(path.partition(".")[0].partition("[")[0], f"holds more than {MAX_FIELDS} values: split it")
        if walk.fields > pause:
            pause = walk.fields + _SLICE
            await asyncio.sleep(0)
    return messages


class _Walk:
    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self.fields = 0

    def message(
        self, at: int, end: int, kind: Kind, path: str, depth: int, waiting: list[tuple[int, int, Kind, str, int]]
    ) -> None:
        """Step through one message; those that it holds are left in `waiting`."""
        raw, counts = self._raw, dict.fromkeys(kind.lists, 0)
        seen = 0
        while at < end:
            seen += 1
            tag = raw[at]
            at += 1
            if tag > 0x7F:
                tag, at = _varint(raw, at - 1, end)
            number, wire = tag >> 3, tag & 7
            listed = kind.lists.get(number)
            if listed is not None:
                counts[number] += 1
                if counts[number] > listed[1]:
                    raise invalid(f"{path}{listed[0]}", f"must be at most {listed[1]}")
            if wire == _LENGTH_DELIMITED:
                length = raw[at] if at < end else _cut_off()
                at += 1
                if length > 0x7F:
                    length, at = _varint(raw, at - 1, end)
                if at + length > end:
                    _cut_off()
                held = kind.messages.get(number)
                if listed is not None and number in kind.packed:
                    counts[number] += length // _LONGEST_NUMBER
                    if counts[number] > listed[1]:
                        raise invalid(f"{path}{listed[0]}", f"must be at most {listed[1]}")
                if held is not None:
                    name, is_list, of = held
                    index = f"[{counts[number] - 1}]" if is_list else ""
                    waiting.append((at, at + length, of, f"{path}{name}{index}.", depth + 1))
                at += length
            elif wire == _VARINT:
                while at < end and raw[at] > 0x7F:
                    at += 1
                at += 1
            elif wire == _FIXED64:
                at += 8
            elif wire == _FIXED32:
                at += 4
            else:
                # Groups are of another time.
                raise DecodeError
            if seen > MAX_FIELDS:
                break
        self.fields += seen


def _varint(raw: bytes, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 70:
        digit = raw[at]
        at += 1
        value |= (digit & 0x7F) << shift
        if digit < 0x80:
            return value, at
        shift += 7
    return _cut_off()


def _cut_off() -> NoReturn:
    raise DecodeError

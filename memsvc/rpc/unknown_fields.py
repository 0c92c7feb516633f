"""Fields that this server does not know: refused in every write, and in the filter and the settings of a read.

An older server must not do more than a newer client asked for: to clear what a filter names, without the condition that
it does not know, deletes what was to stay; to show what settings hide, because it does not know them, is no better.
protobuf keeps what it does not know and says nothing; so a request is
written again without it, and compared. Most requests come as they would be written, and are through then:

    ClearMemoriesRequest{filter: {layers: [FEEDBACK], 99: 1}}  ->  filter.99: is no field that this server knows
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from memsvc.errors import InvalidArgument, Reason, invalid

Check = Callable[[Any, bytes], None]
"""Raise for a request, and the bytes it was read from, that holds what is not known here."""

_BINDING: Final = ("Filter", "MemorySettings")
"""The names of messages that say which things are meant, and what may be shown of them, end so."""
_DEEPEST: Final = 4


def check_write(request: Message, raw: bytes) -> None:
    """Raise InvalidArgument (UNKNOWN_FIELD) if the request, or anything in it, has a field that is not known here.

    What is not known is dropped from the request in any case.
    """
    request.DiscardUnknownFields()
    if request.SerializeToString() == raw:
        return
    # Others may write the same in another order, or longer: then its size tells.
    whole = type(request).FromString(raw)
    if whole.ByteSize() != request.ByteSize():
        raise _unknown(whole, "")


def read_check(request: type[Message]) -> Check | None:
    """Return the check of the filters and settings that a read can have; None where it can have none."""
    paths = list(_binding_paths(request.DESCRIPTOR, ()))
    if not paths:
        return None

    def check(request: Any, raw: bytes) -> None:
        for path in paths:
            # Most requests have none: those are through without a call.
            part = _at(request, path) if request.HasField(path[0]) else None
            if part is not None:
                _check_part(part, ".".join(path))

    return check


def _check_part(part: Message, path: str) -> None:
    known = type(part)()
    known.CopyFrom(part)
    known.DiscardUnknownFields()
    if known.ByteSize() != part.ByteSize():
        raise _unknown(part, path)


def _at(request: Message, path: tuple[str, ...]) -> Message | None:
    """Return the message in a field, by the names from the request down; None where it is not set."""
    for name in path:
        if not request.HasField(name):
            return None
        request = getattr(request, name)
    return request


def _binding_paths(message: Any, above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if len(above) == _DEEPEST:
        return
    for field in message.fields:
        kind = field.message_type
        if kind is None or field.is_repeated or kind.file.package != message.file.package:
            continue
        path = (*above, field.name)
        if kind.name.endswith(_BINDING):
            yield path
        else:
            yield from _binding_paths(kind, path)


def _unknown(message: Message, path: str) -> InvalidArgument:
    names = next(_unknown_names(message, path), path)
    return invalid(names, "is no field that this server knows", Reason.UNKNOWN_FIELD)


def _unknown_names(message: Message, path: str) -> Iterator[str]:
    """Yield where in a message there are fields that are not known here, by their numbers."""
    prefix = f"{path}." if path else ""
    unknown = UnknownFieldSet(message)
    for index in range(len(unknown)):
        yield f"{prefix}{unknown[index].field_number}"
    for field, value in message.ListFields():
        kind = field.message_type
        if kind is None or kind.GetOptions().map_entry:
            continue
        if field.is_repeated:
            for index, each in enumerate(value):
                yield from _unknown_names(each, f"{prefix}{field.name}[{index}]")
        else:
            yield from _unknown_names(value, f"{prefix}{field.name}")

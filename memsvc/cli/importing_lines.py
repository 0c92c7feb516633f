"""What `memsvc import` imports: records, each with its number, so that the command can go on where it was cut off."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from memsvc.v1 import admin_pb2
from memsvc_client import ExportRecord


class Line(Struct, frozen=True):
    """One record."""

    number: int
    """From 1."""
    digest: str
    """Of all lines up to this one."""
    user_id: str
    record: ExportRecord
    size_bytes: int
    place: str = ""
    """Where it stands, in a file that is none of lines."""
    is_unkeyed: bool = False
    """Its key was taken from it."""

    def without_key(self) -> Line:
        """Return the same memory, at no key."""
        wire = admin_pb2.ExportRecord()
        wire.CopyFrom(self.record.wire)
        wire.memory.ClearField("key")
        wire.memory.ClearField("value_json")
        return replace(self, record=ExportRecord.of(wire), is_unkeyed=True)


class Damaged(Exception):
    """A line that is no record, or that is refused."""

    def __init__(self, number: int, why: str, place: str = "") -> None:
        super().__init__(f"{place or f'line {number}'}: {why}")
        self.number = number

"""Which memories a read is about, and how fresh it must be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypedDict

from memsvc.v1 import common_pb2
from memsvc_client.enums import Layer, Polarity, Trust
from memsvc_client.wire import duration, enum_numbers, string, string_map, strings, timestamp

TimeRange = tuple[datetime | None, datetime | None]
"""From, and before; None: no bound."""


class MemoryFilter(TypedDict, total=False):
    """Which memories are meant: `{"layers": ["profile"], "topics_any": ["hobbies"]}`.

    Fields are combined with AND, values of one field with OR. Empty: all.
    """

    layers: Iterable[Layer | str]
    topics_any: Iterable[str]
    """With at least one of these topics (case ignored)."""
    topics_all: Iterable[str]
    key_path: str
    """With this key, or one below it: "stack" means stack and stack.languages."""
    text_contains: str
    """Whose text contains this (case and accents ignored)."""
    agent_ids: Iterable[str]
    team_ids: Iterable[str]
    session_ids: Iterable[str]
    trusts: Iterable[Trust | str]
    polarities: Iterable[Polarity | str]
    engines: Iterable[str]
    """Found by one of these engines; "" means written directly."""
    metadata: Mapping[str, str]
    create_time: TimeRange
    update_time: TimeRange
    observe_time: TimeRange
    memory_ids: Iterable[str]
    config_before: int
    valid_at: datetime
    """What was so then, in the world: with the facts of the past that held, in place of what took theirs."""
    include_superseded: bool
    """Facts of the past too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consistency:
    """How fresh a read must be; exactly one of these. Without it a read sees everything acknowledged before."""

    at_least_revision: int | None = None
    """Answered from RAM where that suffices, also while the database is down."""
    max_staleness: float | timedelta | None = None
    """Seconds, or a timedelta."""
    as_of_revision: int | None = None
    """The memories as they were when this revision was made."""
    as_of_time: datetime | None = None
    """The memories as they were then."""


def filter_to_wire(given: MemoryFilter | None) -> common_pb2.MemoryFilter | None:
    """Return the filter for the wire. Raises TypeError for a field that there is not."""
    if given is None:
        return None
    if unknown := set(given) - set(MemoryFilter.__annotations__):
        known = ", ".join(MemoryFilter.__annotations__)
        raise TypeError(f"filter has no field {', '.join(sorted(unknown))}: one of {known}")
    return common_pb2.MemoryFilter(
        layers=enum_numbers("layers", Layer, given.get("layers")),
        topics_any=strings("topics_any", given.get("topics_any")),
        topics_all=strings("topics_all", given.get("topics_all")),
        key_path=string("key_path", given.get("key_path", "")),
        text_contains=string("text_contains", given.get("text_contains", "")),
        agent_ids=strings("agent_ids", given.get("agent_ids")),
        team_ids=strings("team_ids", given.get("team_ids")),
        session_ids=strings("session_ids", given.get("session_ids")),
        trusts=enum_numbers("trusts", Trust, given.get("trusts")),
        polarities=enum_numbers("polarities", Polarity, given.get("polarities")),
        engines=strings("engines", given.get("engines")),
        metadata=string_map("metadata", given.get("metadata")),
        create_time=range_to_wire(given.get("create_time"), "create_time"),
        update_time=range_to_wire(given.get("update_time"), "update_time"),
        observe_time=range_to_wire(given.get("observe_time"), "observe_time"),
        memory_ids=strings("memory_ids", given.get("memory_ids")),
        config_before=given.get("config_before", 0),
        valid_at=timestamp(given.get("valid_at"), "valid_at"),
        include_superseded=given.get("include_superseded", False),
    )


def consistency_to_wire(given: Consistency | None) -> common_pb2.Consistency | None:
    """Return the requirement for the wire. Raises ValueError where more or less than one is set."""
    if given is None:
        return None
    chosen = {
        "at_least_revision": given.at_least_revision,
        "max_staleness": duration(given.max_staleness),
        "as_of_revision": given.as_of_revision,
        "as_of_time": timestamp(given.as_of_time),
    }
    required: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
    if len(required) != 1:
        raise ValueError(f"Consistency takes exactly one of {', '.join(chosen)}")
    return common_pb2.Consistency(**required)


def range_to_wire(given: TimeRange | None, name: str = "time") -> common_pb2.TimeRange | None:
    if given is None:
        return None
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        raise TypeError(f"{name} must be (from, before), either None, not {given!r:.80}")
    start, end = given
    return common_pb2.TimeRange(start_time=timestamp(start, f"{name}[0]"), end_time=timestamp(end, f"{name}[1]"))

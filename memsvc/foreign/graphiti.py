"""Graphiti: its edges as JSON, each a fact between two entities, with the time in which it was so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from memsvc.foreign.facts import Damaged, Fact, Finds, Found, mapping, moment, string
from memsvc.foreign.files import listed
from memsvc.foreign.metadata import as_texts


def read(path: Path) -> Finds:
    """Yield the edges of a file. The group of an edge is its user."""
    for place, each in listed(path, "edge", "edges", "facts"):
        yield each if isinstance(each, Damaged) else _found(place, each)


def _found(place: str, each: Mapping[str, Any]) -> Found:
    try:
        valid_from = moment(place, "valid_at", each.get("valid_at"))
        valid_to = moment(place, "invalid_at", each.get("invalid_at")) or moment(
            place, "expired_at", each.get("expired_at")
        )
        if valid_from is not None and valid_to is not None and valid_to <= valid_from:
            # It was so for no time that could be told.
            valid_from = None
        said = {name: each[name] for name in ("name", "source_node_uuid", "target_node_uuid") if each.get(name)}
        return Fact(
            place=place,
            source_id=string(place, "uuid", each.get("uuid")),
            text=string(place, "fact", each.get("fact"), required=True),
            user_id=string(place, "group_id", each.get("group_id")),
            metadata=as_texts("graphiti", {**said, **mapping(place, "attributes", each.get("attributes"))}),
            create_time=moment(place, "created_at", each.get("created_at")),
            valid_from=valid_from,
            valid_to=valid_to,
        )
    except Damaged as damaged:
        return damaged

"""mem0: what `get_all` answers, as JSON: `{"results": [{"id", "memory", "metadata", "created_at", ...}]}`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from memsvc.foreign.facts import Damaged, Fact, Finds, Found, mapping, moment, string, strings
from memsvc.foreign.files import listed
from memsvc.foreign.metadata import as_texts


def read(path: Path) -> Finds:
    """Yield the memories of a file."""
    for place, each in listed(path, "memory", "results", "memories"):
        yield each if isinstance(each, Damaged) else _found(place, each)


def _found(place: str, each: Mapping[str, Any]) -> Found:
    try:
        metadata = mapping(place, "metadata", each.get("metadata"))
        topics = strings(place, "categories", each.get("categories") or metadata.get("categories"))
        kept = {name: value for name, value in metadata.items() if name != "categories"}
        said = {name: each[name] for name in ("actor_id", "role") if each.get(name)}
        return Fact(
            place=place,
            source_id=string(place, "id", each.get("id")),
            text=string(place, "memory", each.get("memory"), required=True),
            user_id=string(place, "user_id", each.get("user_id")),
            topics=topics,
            agent_id=string(place, "agent_id", each.get("agent_id")),
            run_id=string(place, "run_id", each.get("run_id")),
            metadata=as_texts("mem0", {**kept, **said}),
            create_time=moment(place, "created_at", each.get("created_at")),
            update_time=moment(place, "updated_at", each.get("updated_at")),
            expire_time=moment(place, "expiration_date", each.get("expiration_date")),
        )
    except Damaged as damaged:
        return damaged

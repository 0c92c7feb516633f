"""agno: its table `agno_memories` in a SQLite file, or the same rows as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from memsvc.foreign.facts import Damaged, Fact, Finds, Found, moment, string, strings
from memsvc.foreign.files import is_sqlite, listed, parse_json, rows

TABLE: Final = "agno_memories"


def read(path: Path, table: str = "") -> Finds:
    """Yield the memories of a file."""
    source: Iterator[tuple[str, Mapping[str, Any] | Damaged]]
    if is_sqlite(path):
        source = rows(path, table or TABLE, ("memory_id", "memory", "user_id"))
    else:
        source = listed(path, "memory", "memories", "data")
    for place, row in source:
        yield row if isinstance(row, Damaged) else _found(place, row)


def _found(place: str, row: Mapping[str, Any]) -> Found:
    try:
        return Fact(
            place=place,
            source_id=string(place, "memory_id", row.get("memory_id")),
            text=string(place, "memory", _memory(place, row.get("memory")), required=True),
            user_id=string(place, "user_id", row.get("user_id")),
            topics=strings(place, "topics", _json(place, "topics", row.get("topics"))),
            input=string(place, "input", row.get("input")),
            agent_id=string(place, "agent_id", row.get("agent_id")),
            team_id=string(place, "team_id", row.get("team_id")),
            metadata={"agno.feedback": feedback}
            if (feedback := string(place, "feedback", row.get("feedback")))
            else {},
            create_time=moment(place, "created_at", row.get("created_at")),
            update_time=moment(place, "updated_at", row.get("updated_at")),
        )
    except Damaged as damaged:
        return damaged


def _memory(place: str, value: Any) -> Any:
    """Return the text: the column holds it as JSON; rows of agno 1 hold an object."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value.get("memory") if isinstance(value, dict) else value


def _json(place: str, name: str, value: Any) -> Any:
    return parse_json(value, f"{place}: {name}") if isinstance(value, str) else value

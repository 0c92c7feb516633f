"""Memories of users in the forms of others: one JSON document, Markdown for people, files of agno and mem0."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TextIO

import click

from memsvc_client import Layer, Memory, MemoryClient

FORMS: Final = ("json", "markdown", "agno", "mem0")

_HEADINGS: Final = {
    Layer.PROFILE: "Profile",
    Layer.POLICY: "Policies",
    Layer.KNOWLEDGE: "Knowledge",
    Layer.FEEDBACK: "Feedback",
}
_MARKS: Final = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_[]<>#"})
_AGNO: Final = """CREATE TABLE agno_memories (
    memory_id VARCHAR NOT NULL, memory JSON NOT NULL, input VARCHAR, agent_id VARCHAR, team_id VARCHAR, user_id VARCHAR,
    topics JSON, feedback VARCHAR, created_at BIGINT NOT NULL, updated_at BIGINT, PRIMARY KEY (memory_id))"""


def write_as(form: str, client: MemoryClient, users: Iterable[str], output: TextIO) -> int:
    """Write the memories of users to a file of text; return how many."""
    theirs = ((user_id, list(client.user(user_id).memories.list(order="create_time_asc"))) for user_id in users)
    if form == "markdown":
        return _markdown(theirs, output)
    listed = list(theirs)
    whole: Any
    if form == "mem0":
        whole = {"results": [_mem0(user_id, memory) for user_id, memories in listed for memory in memories]}
    else:
        whole = {"users": [_user(user_id, memories) for user_id, memories in listed]}
    output.write(json.dumps(whole, ensure_ascii=False, indent=1) + "\n")
    return sum(len(memories) for _, memories in listed)


def write_agno(client: MemoryClient, users: Iterable[str], path: Path) -> int:
    """Write the memories of users as agno's table into a new SQLite file; return how many."""
    if path.exists():
        raise click.ClickException(f"{path} is there already: name a new file")
    try:
        return _write_agno(client, users, path)
    except BaseException as error:
        # There was nothing before: the same command may be run again.
        path.unlink(missing_ok=True)
        if isinstance(error, sqlite3.Error):
            raise click.ClickException(f"{path}: {error}") from error
        raise


def _write_agno(client: MemoryClient, users: Iterable[str], path: Path) -> int:
    count = 0
    seen: set[str] = set()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(_AGNO)
        for user_id in users:
            for memory in client.user(user_id).memories.list(order="create_time_asc"):
                # Unique among all users there, and for one user here.
                is_taken = memory.memory_id in seen
                memory_id = f"{user_id}/{memory.memory_id}" if is_taken else memory.memory_id
                seen.add(memory_id)
                database.execute(
                    "INSERT INTO agno_memories VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", _agno(memory_id, memory)
                )
                count += 1
    return count


def _agno(memory_id: str, memory: Memory) -> Sequence[object]:
    return (
        memory_id,
        json.dumps(memory.memory),
        memory.input or None,
        memory.agent_id or None,
        memory.team_id or None,
        memory.user_id,
        json.dumps(list(memory.topics)),
        None,
        _seconds(memory.create_time),
        _seconds(memory.update_time),
    )


def _mem0(user_id: str, memory: Memory) -> Mapping[str, Any]:
    said = memory.to_dict()
    kept = {"layer": said["layer"], **({"key": memory.key, "value": memory.value} if memory.key else {})}
    return {
        "id": memory.memory_id,
        "memory": memory.memory,
        "user_id": user_id,
        **({"agent_id": memory.agent_id} if memory.agent_id else {}),
        **({"run_id": memory.origin.run_id} if memory.origin.run_id else {}),
        "metadata": {**memory.metadata, **kept},
        "categories": list(memory.topics),
        "created_at": said["created_at"],
        "updated_at": said["updated_at"],
    }


def _user(user_id: str, memories: Sequence[Memory]) -> Mapping[str, Any]:
    return {"user_id": user_id, "memories": [memory.to_dict() for memory in memories]}


def _markdown(theirs: Iterable[tuple[str, Sequence[Memory]]], output: TextIO) -> int:
    count = 0
    for user_id, memories in theirs:
        output.write(f"{'' if not count else chr(10)}# {_plain(user_id)}\n")
        for layer, heading in _HEADINGS.items():
            lines = list(_lines(memory for memory in memories if memory.layer is layer))
            if lines:
                output.write(f"\n## {heading}\n\n" + "\n".join(lines) + "\n")
        count += len(memories)
    return count


def _lines(memories: Iterable[Memory]) -> Iterator[str]:
    for memory in memories:
        key = f"**{_plain(memory.key)}**: " if memory.key else ""
        ended = f" (until {memory.valid_to:%Y-%m-%d})" if memory.valid_to is not None else ""
        yield f"- {key}{_plain(memory.memory)}{ended}"


def _plain(text: str) -> str:
    """Return a text as one line that Markdown shows as it is."""
    return " ".join(text.split()).translate(_MARKS)


def _seconds(time: datetime | None) -> int:
    return int(time.timestamp()) if time is not None else 0

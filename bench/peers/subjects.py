"""What is compared: each peer on each database that it can use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Subject:
    """A peer on a database."""

    peer: str
    database: str
    title: str
    over_tcp: bool = False

    @property
    def key(self) -> str:
        return f"{self.peer}-{self.database}{'-tcp' if self.over_tcp else ''}"

    @property
    def base(self) -> str:
        """The key of what it is divided by: memsvc on the same database, over a unix socket."""
        return f"memsvc-{'postgres' if self.database == 'postgres' else 'sqlite'}"


SUBJECTS: Final[Sequence[Subject]] = (
    Subject("memsvc", "sqlite", "memsvc, SQLite"),
    Subject("memsvc", "sqlite", "memsvc, SQLite, over TCP", over_tcp=True),
    Subject("agno", "sqlite", "agno, SQLite"),
    Subject("langgraph", "sqlite", "LangGraph SqliteStore"),
    Subject("mem0", "qdrant", "mem0, embedded Qdrant"),
    Subject("memsvc", "postgres", "memsvc, Postgres"),
    Subject("agno", "postgres", "agno, Postgres"),
    Subject("langgraph", "postgres", "LangGraph PostgresStore"),
)
PEERS: Final = ("agno", "langgraph", "mem0")

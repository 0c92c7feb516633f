"""The databases that can be tortured: how to get an empty one, and how to ask it whether it is sound."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Database:
    """An empty database."""

    url: str
    faults: Callable[[], str]
    """Says what is wrong with it once no server has it open; empty: nothing."""


def sqlite(folder: Path) -> Database:
    """One file, kept over all rounds."""
    path = folder / "memory.db"

    def faults() -> str:
        with closing(sqlite3.connect(path)) as connection:
            found = [row for (row,) in connection.execute("PRAGMA integrity_check")]
        return "" if found == ["ok"] else "; ".join(found)

    return Database(f"sqlite:///{path}", faults)


DATABASES: Mapping[str, Callable[[Path], Database]] = {"sqlite": sqlite}
"""By the name of the driver."""

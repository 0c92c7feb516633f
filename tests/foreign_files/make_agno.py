"""Make agno.sql with agno's own database: pip install agno==3.1.10 "sqlalchemy[asyncio]"."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

from agno.db.schemas.memory import UserMemory
from agno.db.sqlite import SqliteDb

HERE = Path(__file__).parent
MEMORIES = [
    UserMemory(
        memory_id="m-1",
        memory="Lives in Boston",
        topics=["home"],
        user_id="sarah@example.com",
        input="I live in Boston",
        agent_id="support",
        created_at=1_700_000_000,
        updated_at=1_700_000_000,
    ),
    UserMemory(
        memory_id="m-2",
        memory='The user\'s name is Sarah \N{GRINNING FACE}, called "Sari"',
        topics=["name", "family"],
        user_id="sarah@example.com",
        team_id="crew",
        feedback="good",
        created_at=1_700_000_100,
        updated_at=1_700_000_200,
    ),
    UserMemory(
        memory_id="m-3",
        memory="Lives in Berlin",
        user_id="sarah@example.com",
        created_at=1_710_000_000,
        updated_at=1_710_000_000,
    ),
    UserMemory(
        memory_id="m-4", memory="Plays chess", user_id="ben", created_at=1_700_000_000, updated_at=1_700_000_000
    ),
]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/agno.db"
        database = SqliteDb(db_file=path)
        for memory in MEMORIES:
            database.upsert_user_memory(memory)
        with sqlite3.connect(path) as made:
            (HERE / "agno.sql").write_text("\n".join(made.iterdump()) + "\n")


if __name__ == "__main__":
    main()

"""Names of one's own for the tables: memories stay readable with nothing but the database."""

import sqlite3

from memsvc_client import MemoryClient

FILE = "tmp/custom_table_name.db"


def main() -> None:
    # As `memsvc serve --storage-options=...`; on Postgres, MongoDB and Redis the names are options, too.
    with MemoryClient.local(FILE, storage_options="table_memories=my_memories") as client:
        user = client.user("sarah")
        user.erase()
        user.memories.add("Skis at Tahoe", topics=["sport"])

    with sqlite3.connect(FILE) as database:
        tables = {
            name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")
        }
        rows = database.execute("SELECT user_id, memory, topics FROM my_memories").fetchall()
    print(sorted(tables))
    print(rows)
    assert "my_memories" in tables
    assert ("sarah", "Skis at Tahoe") in [row[:2] for row in rows]


if __name__ == "__main__":
    main()

"""Make langgraph.sql with LangGraph's own store: pip install langgraph-checkpoint-sqlite."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

from langgraph.store.sqlite import SqliteStore

HERE = Path(__file__).parent


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/store.db"
        with SqliteStore.from_conn_string(path) as store:
            store.setup()
            store.put(("memories", "sarah"), "1", {"kind": "Memory", "content": {"content": "User prefers dark mode"}})
            store.put(("memories", "sarah", "facts"), "2", {"text": "Lives in Rome", "source": "chat"})
            store.put(("memories", "ben"), "1", {"data": "Plays chess"})
            store.put(("memories", "ben"), "odd", {"score": 3, "tags": ["a"]})
            store.put(("cache", "x"), "1", {"text": "no memory"})
        with sqlite3.connect(path) as made:
            (HERE / "langgraph.sql").write_text("\n".join(made.iterdump()) + "\n")


if __name__ == "__main__":
    main()

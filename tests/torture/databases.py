"""The databases that can be tortured: how to get an empty one, and how to ask it whether it is sound."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.servers.ferretdb import FerretDB
from tests.servers.postgres import Postgres
from tests.servers.process import DatabaseServer
from tests.servers.redis import Redis
from tests.torture.soundness import mongodb_faults, postgres_faults, redis_faults, sqlite_faults


@dataclass(frozen=True, slots=True)
class Database:
    """An empty database."""

    url: str
    faults: Callable[[], str]
    """Says what is wrong with it once no memsvc has it open; empty: nothing."""
    server: DatabaseServer | None = None
    """What can be killed besides memsvc; None: there is no server."""
    users: int = 24
    clients: int = 16
    """How many work at once."""

    def close(self) -> None:
        if self.server is not None:
            self.server.close()


def sqlite(folder: Path) -> Database:
    """One file, kept over all rounds."""
    path = folder / "memory.db"

    def faults() -> str:
        with closing(sqlite3.connect(path)) as connection:
            return sqlite_faults(connection)

    return Database(f"sqlite:///{path}", faults)


def postgresql(folder: Path) -> Database:
    server = Postgres()
    server.start()
    return Database(server.url, lambda: postgres_faults(server), server)


def redis(folder: Path) -> Database:
    server = Redis()
    server.start()
    return Database(server.url, lambda: redis_faults(server), server)


def mongodb(folder: Path) -> Database:
    server = FerretDB()
    server.start()
    # FerretDB reads every document there is for most of what a server that starts has to ask.
    return Database(server.url, lambda: mongodb_faults(server), server, users=8, clients=4)


DATABASES: Mapping[str, Callable[[Path], Database]] = {
    "sqlite": sqlite,
    "postgresql": postgresql,
    "redis": redis,
    "mongodb": mongodb,
}
"""By the scheme of the driver's URL; each takes a folder that it may use, and raises ServerMissing."""

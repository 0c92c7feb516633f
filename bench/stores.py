"""Databases that are filled fast and then measured as they are in production: synced to the disk, and at rest."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import psutil

from tests.servers.postgres import Postgres
from tests.servers.process import DatabaseServer
from tests.servers.redis import Redis

_POLL_SECONDS: Final = 0.05
_REWRITE_SECONDS: Final = 300.0


class Store(ABC):
    """One store, empty at first."""

    filling: Mapping[str, str] = {}
    """The driver's options while it is filled: what is lost then is filled again."""
    flags: tuple[str, ...] = ()
    """What memsvc is to be told besides the URL."""
    url: str

    @property
    def processor_seconds(self) -> float:
        """What the database's own processes have used of processors; in SQLite there are none."""
        return 0.0

    @abstractmethod
    def settle(self) -> None:
        """From now on sync to the disk; return once nothing is left over from filling."""

    @abstractmethod
    def stored_bytes(self) -> int:
        """Return what the store takes: on disk, in Redis in RAM."""

    @abstractmethod
    def close(self) -> None:
        """Delete it."""


class SQLiteStore(Store):
    filling: Mapping[str, str] = {
        "synchronous": "off",
        "cache_bytes": str(256 << 20),
        "checkpoint_bytes": str(256 << 20),
        "wal_cap_bytes": str(1 << 30),
    }

    def __init__(self, folder: Path) -> None:
        self._path = folder / "store.db"
        folder.mkdir()
        self.url = f"sqlite:///{self._path}"

    def settle(self) -> None:
        """Nothing is left over: who closes the store last empties its log."""

    def stored_bytes(self) -> int:
        return sum(each.stat().st_size for each in self._path.parent.iterdir())

    def close(self) -> None:
        for each in self._path.parent.iterdir():
            each.unlink()


class ServedStore(Store):
    """A store on a server of its own."""

    filling: Mapping[str, str] = {"operation_timeout_ms": "60000", "connect_timeout_ms": "60000"}
    server: DatabaseServer

    @property
    def processor_seconds(self) -> float:
        first = psutil.Process(self.server.pid)
        return sum(map(_processor_seconds, [first, *first.children(recursive=True)]))

    def close(self) -> None:
        self.server.close()


class PostgresStore(ServedStore):
    def __init__(self) -> None:
        self.server: Postgres = Postgres(
            {
                # Room for what is looked up of all users; what is stored of each comes from the system.
                "shared_buffers": "512MB",
                "fsync": "off",
                "full_page_writes": "off",
                "autovacuum": "off",
                "max_wal_size": "8GB",
                "checkpoint_timeout": "1h",
                "shared_preload_libraries": "pg_stat_statements",
            }
        )
        self.server.start()
        self.server.sql("CREATE EXTENSION pg_stat_statements")
        self.url = self.server.url

    def settle(self) -> None:
        self.server.sql("VACUUM ANALYZE")
        self.server.configure(fsync="on", full_page_writes="on", autovacuum="on")
        self.server.sql("CHECKPOINT")

    def stored_bytes(self) -> int:
        tables = "FROM pg_class WHERE relname LIKE 'memsvc%' AND relkind = 'r'"
        return int(self.server.sql(f"SELECT coalesce(sum(pg_total_relation_size(oid)), 0) {tables}"))


class RedisStore(ServedStore):
    def __init__(self) -> None:
        self.server: Redis = Redis({"appendfsync": "no", "auto-aof-rewrite-percentage": "0"})
        self.server.start()
        self.url = self.server.url
        self._empty_bytes = self._info("memory", "used_memory")

    def settle(self) -> None:
        self.server.execute("CONFIG", "SET", "appendfsync", "always")
        self.server.execute("BGREWRITEAOF")
        deadline = time.monotonic() + _REWRITE_SECONDS
        while any(self._info("persistence", f"aof_rewrite_{what}") for what in ("in_progress", "scheduled")):
            if time.monotonic() > deadline:
                raise TimeoutError("Redis still rewrites its file")
            time.sleep(_POLL_SECONDS)

    def stored_bytes(self) -> int:
        return self._info("memory", "used_memory") - self._empty_bytes

    def ranges(self) -> tuple[int, float]:
        """Return how many ranges of names Redis was asked for so far, and how many seconds it took for them itself."""
        found = self.server.execute("INFO", "commandstats").get("cmdstat_zrangebylex", {"calls": 0, "usec": 0})
        return int(found["calls"]), int(found["usec"]) / 1e6

    def _info(self, section: str, name: str) -> int:
        return int(self.server.execute("INFO", section)[name])


def _processor_seconds(process: psutil.Process) -> float:
    try:
        return float(sum(process.cpu_times()[:2]))
    except psutil.NoSuchProcess:
        return 0.0

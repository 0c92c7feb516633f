"""Asks each database, with its own means, whether it is sound: its files, and that no journal has a gap."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

from pymongo import MongoClient

from tests.servers.ferretdb import FerretDB
from tests.servers.postgres import Postgres
from tests.servers.redis import Redis

_SQL = """
SELECT heads.namespace || '/' || heads.user_id || ' has ' || count(journal.seq) || ' records, '
    || min(journal.seq) || ' to ' || max(journal.seq) || ' of ' || heads.floor || ' to ' || heads.seq
FROM memsvc_heads heads LEFT JOIN memsvc_journal journal
ON journal.namespace = heads.namespace AND journal.user_id = heads.user_id
GROUP BY heads.namespace, heads.user_id, heads.seq, heads.floor
HAVING count(journal.seq) <> heads.seq - heads.floor + 1
    OR min(journal.seq) <> heads.floor OR max(journal.seq) <> heads.seq
"""
"""Finds the journals that have a gap, or do not begin or end where they should."""


def sqlite_faults(connection: sqlite3.Connection) -> str:
    """Return what is wrong with the file and the journals in it; empty: nothing."""
    found = [row for (row,) in connection.execute("PRAGMA integrity_check") if row != "ok"]
    return "; ".join([*found, *(row for (row,) in connection.execute(_SQL))])


def postgres_faults(server: Postgres) -> str:
    """Return what is wrong with the tables, the indexes and the journals."""
    if server.sql("SELECT 1 FROM pg_available_extensions WHERE name = 'amcheck'"):
        server.sql("CREATE EXTENSION IF NOT EXISTS amcheck")
        try:
            server.program("pg_amcheck", "--heapallindexed", "postgres")
        except RuntimeError as error:
            return str(error)
    return "; ".join(server.sql(_SQL).splitlines())


def redis_faults(server: Redis) -> str:
    """Return what is wrong with the journals."""
    found = []
    with server.client() as client:
        for key in client.scan_iter(match="memsvc:*:journal:*", count=1_000):
            head = client.get(key.replace(":journal:", ":head:", 1))
            seq, nonce, floor = head.split(" ")[:3]
            records = [element.split(" ", 2)[:2] for element in client.lrange(key, 0, -1)]
            seqs = [int(number) for number, _ in records]
            if seqs != list(range(int(floor), int(seq) + 1)) or records[-1][1] != nonce:
                found.append(f"{key} has records {seqs} of {head}")
    return "; ".join(found)


def mongodb_faults(server: FerretDB) -> str:
    """Return what is wrong with the journals."""
    entries: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    client: MongoClient[Mapping[str, Any]] = MongoClient(server.url)
    try:
        for entry in client["memsvc"]["journal"].find({}):
            # What was truncated only keeps its place.
            if "last" in entry:
                entries[entry["u"]].append(entry)
    finally:
        client.close()
    return "; ".join(fault for user, known in entries.items() for fault in _broken_links(user, known))


def _broken_links(user: str, entries: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    """Yield where entries of a user's journal do not follow each other."""
    ordered = sorted(entries, key=lambda entry: int(entry["after"]))
    for entry in ordered:
        seqs = sorted(map(int, entry["records"]))
        if seqs != list(range(int(entry["after"]) + 1, int(entry["last"]) + 1)):
            yield f"{entry['_id']} has records {seqs}"
    for entry, following in pairwise(ordered):
        if (entry["last"], entry["nonce"]) != (following["after"], following["previous"]):
            yield f"{following['_id']} of {user} does not follow {entry['_id']}"

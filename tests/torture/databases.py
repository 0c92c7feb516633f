"""The databases that can be tortured: how to get an empty one, and how to ask it whether it is sound."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.servers.ferretdb import FerretDB
from tests.servers.patroni import PatroniCluster
from tests.servers.postgres import Postgres
from tests.servers.process import DatabaseServer
from tests.servers.redis import Redis
from tests.torture.failovers import Failovers
from tests.torture.soundness import mongodb_faults, postgres_faults, redis_faults, sqlite_faults

LATEST_RESTART_SECONDS = 1.5
"""How long a killed database stays away at most."""


@dataclass(frozen=True, slots=True)
class Database:
    """An empty database."""

    url: str
    faults: Callable[[], str]
    """Says what is wrong with it once no memsvc has it open; empty: nothing."""
    servers: Sequence[DatabaseServer] = ()
    """What is closed in the end, and whose logs are kept."""
    harm: Callable[[Random], Awaitable[str]] | None = None
    """Does it harm, and returns what that was once it is well again; None: nothing besides memsvc can be harmed."""
    users: int = 24
    clients: int = 16
    """How many work at once."""

    @property
    def server(self) -> DatabaseServer | None:
        """Its server, where it is just one."""
        return self.servers[0] if len(self.servers) == 1 else None

    def close(self) -> None:
        for server in self.servers:
            server.close()


def _on(server: DatabaseServer, faults: Callable[[], str], **sizes: int) -> Database:
    """Return the database of one server, which is killed, and started again on the same data after a short while."""

    async def kill(random: Random) -> str:
        server.kill()
        await asyncio.sleep(random.uniform(0, LATEST_RESTART_SECONDS))
        server.launch()
        await server.ready()
        return "database killed"

    return Database(server.url, faults, [server], kill, **sizes)


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
    return _on(server, lambda: postgres_faults(server))


def redis(folder: Path) -> Database:
    server = Redis()
    server.start()
    return _on(server, lambda: redis_faults(server))


def mongodb(folder: Path) -> Database:
    server = FerretDB()
    server.start()
    # FerretDB reads every document there is for most of what a server that starts has to ask.
    return _on(server, lambda: mongodb_faults(server), users=8, clients=4)


def patroni(folder: Path) -> Database:
    """Three members under Patroni, behind PgBouncer and HAProxy."""
    return _patroni(lambda cluster: cluster.url)


def patroni_hosts(folder: Path) -> Database:
    """The same, by a URL that names all members."""
    return _patroni(lambda cluster: cluster.hosts_url)


def _patroni(url_of: Callable[[PatroniCluster], str]) -> Database:
    cluster = PatroniCluster()
    asyncio.run(cluster.start())

    def faults() -> str:
        return "; ".join(postgres_faults(member) for member in cluster.members if member.leads())

    return Database(url_of(cluster), faults, cluster.servers, Failovers(cluster).harm, users=12, clients=4)


DATABASES: Mapping[str, Callable[[Path], Database]] = {
    "sqlite": sqlite,
    "postgresql": postgresql,
    "redis": redis,
    "mongodb": mongodb,
    "patroni": patroni,
    "patroni-hosts": patroni_hosts,
}
"""By the scheme of the driver's URL, or what stands behind it; each takes a folder to use, and raises ServerMissing."""

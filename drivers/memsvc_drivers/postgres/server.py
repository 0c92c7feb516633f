"""What the server is set to do, and what that lets the driver promise."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from memsvc.storage.driver import Capabilities, Capability
from memsvc_drivers.postgres.connecting import Connection
from memsvc_drivers.postgres.settings import Settings

_LOOK = """
SELECT
    current_setting('fsync') = 'on' AS fsync,
    current_setting('full_page_writes') = 'on' AS full_page_writes,
    current_setting('synchronous_commit') AS synchronous_commit,
    current_setting('synchronous_standby_names') AS standby_names,
    (SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')) AS standbys,
    pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS sees_standbys,
    current_setting('max_connections')::bigint
        - current_setting('superuser_reserved_connections')::bigint AS connections,
    (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()) AS encrypted,
    coalesce(inet_client_addr() <<= '127.0.0.0/8' OR inet_client_addr() = '::1', true) AS near
"""

_SYNCHRONOUS = ("on", "remote_apply")


class Server(msgspec.Struct, frozen=True):
    """What was read from a server."""

    fsync: bool
    full_page_writes: bool
    synchronous_commit: str
    standby_names: str
    standbys: int
    sees_standbys: bool
    connections: int
    """What is left for those who are no superusers."""
    encrypted: bool
    near: bool
    """Whether it is reached without a network."""


async def look(connection: Connection) -> Server:
    """Read what matters here."""
    found = await connection.fetchrow(_LOOK)
    assert found is not None
    return Server(**dict(found.items()))


def capabilities_of(server: Server, settings: Settings) -> Capabilities:
    """Return what holds with this server and these settings."""
    return Capabilities(
        durable=_durable(server),
        failover=_failover(server),
        shared=Capability(True, "any number of processes"),
        hints=_hints(settings),
        concurrent_batches=settings.concurrent_batches,
        # A primary that restarts shows what no standby confirmed, as does one whose wait for them was cancelled.
        reads_run_ahead=bool(server.standby_names),
        warnings=tuple(_warnings(server, settings)),
    )


def _durable(server: Server) -> Capability:
    if not server.fsync:
        return Capability(False, "fsync is off")
    if server.synchronous_commit == "off":
        return Capability(False, "synchronous_commit is off")
    return Capability(True)


def _failover(server: Server) -> Capability:
    if not (durable := _durable(server)).supported:
        return durable
    if not server.standby_names:
        return Capability(False, "synchronous_standby_names is empty: standbys may lag behind")
    if server.synchronous_commit not in _SYNCHRONOUS:
        return Capability(
            False, f"synchronous_commit is {server.synchronous_commit}: a standby may not have it on disk"
        )
    if not server.standbys:
        seen = "" if server.sees_standbys else ", or this user may not see it: grant pg_read_all_stats"
        return Capability(False, f"no synchronous standby is connected{seen}")
    return Capability(True, "if a synchronous standby is the one promoted")


def _hints(settings: Settings) -> Capability:
    if settings.transaction_pooler:
        return Capability(False, "no LISTEN through a transaction pooler")
    if not settings.hints:
        return Capability(False, "switched off")
    return Capability(True, "by NOTIFY, some 20 ms after the commit")


def _warnings(server: Server, settings: Settings) -> Iterator[str]:
    if not server.fsync:
        yield "fsync is off: a crash of the server's machine may lose or damage everything. Set fsync = on."
    if not server.full_page_writes:
        yield (
            "full_page_writes is off: a crash may leave torn pages, unless the file system never does. "
            "Set full_page_writes = on."
        )
    if server.synchronous_commit == "off":
        yield "synchronous_commit is off: a crash of the server loses what was acknowledged last. Set it to on."
    if server.standby_names and not server.standbys and server.sees_standbys:
        yield (
            "synchronous_standby_names is set and no synchronous standby is connected: writes wait until one is. "
            "Start a standby."
        )
    if not server.encrypted and not server.near:
        yield "The connection is not encrypted and leaves this host. Add sslmode=verify-full to the URL."
    wanted = settings.pool_size + 1
    if server.connections < 3 * wanted:
        yield (
            f"max_connections leaves {server.connections} connections and each memsvc may take {wanted}. "
            "Raise max_connections, or lower pool_size."
        )

"""What a server says about itself: what it promises, what it must not do, what should be changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from redis.exceptions import ResponseError

from memsvc.errors import Error, FailedPrecondition, Reason
from memsvc.storage.driver import Capabilities, Capability
from memsvc_drivers.redis.errors import unavailable
from memsvc_drivers.redis.nodes import Node
from memsvc_drivers.redis.settings import Mode, Settings

_OLDEST = 6


@dataclass(frozen=True, slots=True)
class Server:
    """What was read from one server; None where it does not let itself be asked."""

    version: str
    is_cluster: bool | None
    is_replica: bool
    appends_to_file: bool | None
    fsync: str | None
    max_memory_bytes: int | None
    eviction: str | None
    replica_count: int


async def inspect(node: Node) -> Server:
    """Ask a server about itself. Raises Lost, Unreachable, Rerouted or StorageUnavailable."""
    info, config = await node.exchange((("INFO",), ("CONFIG", "GET", "appendfsync")))
    for reply in (info, config):
        if isinstance(reply, Exception) and not isinstance(reply, ResponseError):
            raise unavailable(reply) from reply
    facts = {} if isinstance(info, ResponseError) else _facts(info)
    fsync = None if isinstance(config, ResponseError) or not config else config[1].decode()
    mode, aof, memory = facts.get("redis_mode"), facts.get("aof_enabled"), facts.get("maxmemory")
    return Server(
        version=facts.get("redis_version", ""),
        is_cluster=None if mode is None else mode == "cluster",
        is_replica=facts.get("role") == "slave",
        appends_to_file=None if aof is None else aof == "1",
        fsync=fsync,
        max_memory_bytes=None if memory is None else int(memory),
        eviction=facts.get("maxmemory_policy"),
        replica_count=int(facts.get("connected_slaves", 0)),
    )


def refusal(server: Server, settings: Settings) -> Error | None:
    """Return why the driver must not work on this server; None: it may."""
    major = server.version.partition(".")[0]
    if major.isdecimal() and int(major) < _OLDEST:
        return _refuse(f"Redis {server.version} is too old: memsvc needs {_OLDEST}")
    if server.is_cluster and settings.mode is not Mode.CLUSTER:
        return _refuse("the server is part of a cluster: use redis+cluster://host:port")
    if server.is_replica:
        return _refuse("the server is a replica: name its master, or use redis+sentinel://host:port/service")
    if server.max_memory_bytes and server.eviction not in (None, "noeviction"):
        return _refuse(
            f"maxmemory-policy is {server.eviction}, so Redis would throw memories away when it is full: "
            "set it to noeviction"
        )
    return None


def capabilities(servers: Sequence[Server], settings: Settings) -> Capabilities:
    """Return what all of these servers promise."""
    return Capabilities(
        durable=_worst(_durable(server) for server in servers),
        failover=Capability(False, "Redis replicates asynchronously: WAIT (wait_replicas) narrows the window, no more"),
        shared=Capability(True),
        hints=Capability(True, "published after the append; those of a lost connection are lost")
        if settings.hint_interval_ms
        else Capability(False, "hint_interval_ms is 0"),
        concurrent_batches=4,
        warnings=tuple(dict.fromkeys(warning for server in servers for warning in _warnings(server, settings))),
    )


def _refuse(message: str) -> Error:
    return FailedPrecondition(Reason.NOT_SUPPORTED, message)


def _facts(info: bytes) -> Mapping[str, str]:
    lines = (line.partition(":") for line in info.decode("utf-8", "replace").splitlines())
    return {name: value for name, _, value in lines if value}


def _worst(found: Iterable[Capability]) -> Capability:
    return min(found, key=lambda capability: capability.supported, default=Capability(False, "no server was asked"))


def _durable(server: Server) -> Capability:
    if server.appends_to_file is False:
        return Capability(False, "appendonly is no")
    if server.appends_to_file is None or server.fsync is None:
        return Capability(False, "appendonly and appendfsync cannot be read")
    if server.fsync != "always":
        return Capability(False, f"appendfsync is {server.fsync}")
    return Capability(True, "appendonly with appendfsync always")


def _warnings(server: Server, settings: Settings) -> Iterable[str]:
    if server.appends_to_file is False:
        yield "appendonly is no: a crash of Redis loses acknowledged writes; set appendonly yes and appendfsync always."
    elif server.fsync not in (None, "always"):
        yield f"appendfsync is {server.fsync}: a crash loses acknowledged writes of about a second; set it to always."
    elif server.appends_to_file is None or server.fsync is None:
        yield "Redis does not say how it writes to disk: make sure of appendonly yes and appendfsync always."
    if server.max_memory_bytes is None or server.eviction is None:
        yield "Redis does not tell its maxmemory-policy: make sure that it is noeviction."
    elif server.eviction != "noeviction" and not server.max_memory_bytes:
        yield f"maxmemory-policy is {server.eviction}: set it to noeviction before maxmemory is set."
    if server.max_memory_bytes == 0:
        yield "maxmemory is not set: a full machine kills Redis instead of refusing writes; set it, with noeviction."
    if server.replica_count and not settings.wait_replicas:
        yield "There are replicas and none is waited for: a failover loses the latest writes; set wait_replicas."
    if settings.tls is None and not all(address.is_loopback for address in settings.hosts):
        yield "Memories and the password go over the network in the clear: use rediss://."

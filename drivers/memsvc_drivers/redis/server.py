"""The servers of a store as such: what they promise, the schema in them, and the rewriting of their files."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from redis.exceptions import NoPermissionError, ResponseError

from memsvc.errors import Error, FailedPrecondition, Reason, SchemaMismatch, StorageUnavailable
from memsvc.storage.driver import Capabilities, Capability, Migration
from memsvc_drivers.redis.calls import Call, Calls
from memsvc_drivers.redis.errors import Lost, Rerouted, Unreachable, unavailable
from memsvc_drivers.redis.keys import CLUSTER_BUCKETS, META, SERVER_BUCKETS, Keys
from memsvc_drivers.redis.nodes import Node
from memsvc_drivers.redis.routing import Route
from memsvc_drivers.redis.scripts import Script
from memsvc_drivers.redis.settings import Mode, ScrubMode, Settings

_OLDEST = 6
VERSION_FIELD = "version"
_LOCK_MS = 30_000
_LOCK_POLL_SECONDS = 0.02
_LOCK_WAIT_SECONDS = 60.0
_POLL_SECONDS = 0.01
_MAX_POLL_SECONDS = 0.25
_MOST_TRIES = 5


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
        reads_run_ahead=settings.wait_replicas > 0,
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


# Each answers the same when it is sent twice because a reply was lost.
_LOCK = Script("""
-- KEYS: lock. ARGV: token, milliseconds.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
""")

_ADVANCE = Script("""
-- KEYS: schema, lock. ARGV: version before, version after, buckets, token. Answers whether the step is mine.
if redis.call('GET', KEYS[2]) ~= ARGV[4] then return 0 end
local version = redis.call('HGET', KEYS[1], 'version') or '0'
if version ~= ARGV[1] and version ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'buckets', ARGV[3])
return 1
""")

_UNLOCK = Script("""
-- KEYS: lock. ARGV: token.
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
""")


class Step(NamedTuple):
    """What brings the schema to `version` from the one before. May be begun again after a crash."""

    version: int
    description: str
    apply: Callable[[Calls, Keys], Awaitable[None]]


async def check_schema(calls: Calls, keys: Keys) -> Migration:
    """Return what `migrate_schema` would do."""
    version = await calls.value(Call(META, "HGET", keys.meta("schema"), VERSION_FIELD))
    found = int(version or 0)
    return Migration(found=found, wanted=VERSION, steps=tuple(step.description for step in STEPS[found:]))


async def require_schema(calls: Calls, keys: Keys) -> Keys:
    """Make the schema where there is none, with as many buckets as `keys` has; return keys with those that there are.

    Raises SchemaMismatch where there is another schema, or another number of buckets than any memsvc makes.
    """
    found = (await check_schema(calls, keys)).found
    if found == 0:
        await migrate_schema(calls, keys)
    elif found < VERSION:
        raise SchemaMismatch(f"schema {found}, this memsvc needs {VERSION}: run `memsvc migrate`")
    elif found > VERSION:
        raise _newer(found)
    # Another process may have made it just now, on a cluster or not.
    buckets = int(await calls.value(Call(META, "HGET", keys.meta("schema"), "buckets")) or 0)
    if buckets not in (SERVER_BUCKETS, CLUSTER_BUCKETS):
        raise SchemaMismatch(f"the store has {buckets} buckets, not {SERVER_BUCKETS} or {CLUSTER_BUCKETS}")
    return Keys(keys.prefix, buckets)


def _newer(found: int) -> SchemaMismatch:
    """Return the error for a schema of a newer memsvc."""
    return SchemaMismatch(f"schema {found}, this memsvc needs {VERSION}: run a newer memsvc")


async def migrate_schema(calls: Calls, keys: Keys) -> Migration:
    """Bring the schema to the version wanted, under a lock; whoever comes second finds nothing to do."""
    before = await check_schema(calls, keys)
    if before.found > VERSION:
        raise _newer(before.found)
    if not before.steps:
        return before
    token = secrets.token_hex(8)
    await _lock(calls, keys, token)
    try:
        migration = await check_schema(calls, keys)
        for step in STEPS[migration.found :]:
            await step.apply(calls, keys)
            values = (step.version - 1, step.version, keys.buckets, token)
            names = (keys.meta("schema"), keys.meta("migrating"))
            if await calls.value(Call.of_script(META, _ADVANCE, names, values), writes=True) != 1:
                raise StorageUnavailable("the migration took too long and lost its lock: run it again")
        return migration
    finally:
        await calls.run((Call.of_script(META, _UNLOCK, (keys.meta("migrating"),), (token,)),))


async def _lock(calls: Calls, keys: Keys, token: str) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + _LOCK_WAIT_SECONDS
    lock = (META, _LOCK, (keys.meta("migrating"),), (token, _LOCK_MS))
    while not await calls.value(Call.of_script(*lock)):
        if loop.time() > until:
            raise StorageUnavailable("another process migrates the store: wait for it to end")
        await asyncio.sleep(_LOCK_POLL_SECONDS)


async def _create(calls: Calls, keys: Keys) -> None:
    """Nothing to make: keys come with what they hold."""


STEPS: Sequence[Step] = (Step(1, "set up the key space", _create),)
"""In order, from version 1. A published step never changes."""

VERSION = STEPS[-1].version


class Scrub:
    """Gets deleted text out of Redis' append-only file, which keeps all that ever was until it is rewritten.

    A file is rewritten once for all who ask while a rewrite is under way. What this does not reach: an RDB snapshot
    (`save`) until the next one, the files of replicas until they rewrite theirs, backups.
    """

    def __init__(self, settings: Settings, route: Route) -> None:
        self._settings = settings
        self._route = route
        self._current: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None
        self.refused = False
        """Whether the server did not allow it."""

    async def scrub(self, seconds: float) -> None:
        """Return when what was deleted before this call is out of the file, or the time has passed; it goes on."""
        if self._settings.scrub is ScrubMode.OFF or self.refused:
            return
        if self._next is None:
            self._next = asyncio.create_task(self._rewrite(self._current))
        await asyncio.wait((self._next,), timeout=seconds)

    async def close(self) -> None:
        """Leave the rest to the server."""
        tasks = [task for task in (self._current, self._next) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _rewrite(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait((before,))
        self._current, self._next = self._next, None
        await asyncio.gather(*(self._rewrite_on(node) for node in self._route.nodes()))

    async def _rewrite_on(self, node: Node) -> None:
        try:
            for _ in range(_MOST_TRIES):
                if not await _settled(node):
                    return
                [started] = await node.exchange((("BGREWRITEAOF",),))
                if isinstance(started, NoPermissionError):
                    raise started
                # Refused where another one has just begun, perhaps before the deletion.
                if not isinstance(started, Exception):
                    break
            await _settled(node)
        except NoPermissionError:
            self.refused = True
        except (Lost, Unreachable, Rerouted):
            # The server is gone; whatever it did not rewrite, it will rewrite once it has grown.
            return


async def _settled(node: Node) -> bool:
    """Return when no rewrite is under way: whether there is a file to rewrite. Raises NoPermissionError."""
    pause = _POLL_SECONDS
    while True:
        [info] = await node.exchange((("INFO", "persistence"),))
        if isinstance(info, NoPermissionError):
            raise info
        if not isinstance(info, bytes) or b"aof_enabled:1" not in info:
            return False
        if b"aof_rewrite_in_progress:0" in info and b"aof_rewrite_scheduled:0" in info:
            return True
        await asyncio.sleep(pause)
        pause = min(pause * 2, _MAX_POLL_SECONDS)

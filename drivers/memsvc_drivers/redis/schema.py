"""The store's schema: its version, kept in one key, and the numbered steps from each to the next."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from memsvc.errors import SchemaMismatch, StorageUnavailable
from memsvc.storage.driver import Migration
from memsvc_drivers.redis.calls import Call, Calls
from memsvc_drivers.redis.keys import BUCKETS, META, Keys
from memsvc_drivers.redis.scripts import Script

VERSION_FIELD = "version"

_LOCK_MS = 30_000
_LOCK_POLL_SECONDS = 0.02
_LOCK_WAIT_SECONDS = 60.0

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


async def check(calls: Calls, keys: Keys) -> Migration:
    """Return what `migrate` would do. Raises SchemaMismatch for a store with another number of buckets."""
    version, buckets = await calls.value(Call(META, "HMGET", keys.meta("schema"), VERSION_FIELD, "buckets"))
    found = int(version or 0)
    if found <= VERSION and buckets is not None and int(buckets) != BUCKETS:
        raise SchemaMismatch(f"the store has {int(buckets)} buckets, this memsvc needs {BUCKETS}")
    return Migration(found=found, wanted=VERSION, steps=tuple(step.description for step in STEPS[found:]))


async def require(calls: Calls, keys: Keys) -> None:
    """Make the schema where there is none. Raises SchemaMismatch where there is another."""
    found = (await check(calls, keys)).found
    if found == 0:
        await migrate(calls, keys)
    elif found < VERSION:
        raise SchemaMismatch(f"schema {found}, this memsvc needs {VERSION}: run `memsvc migrate`")
    elif found > VERSION:
        raise newer(found)


def newer(found: int) -> SchemaMismatch:
    """Return the error for a schema of a newer memsvc."""
    return SchemaMismatch(f"schema {found}, this memsvc needs {VERSION}: run a newer memsvc")


async def migrate(calls: Calls, keys: Keys) -> Migration:
    """Bring the schema to the version wanted, under a lock; whoever comes second finds nothing to do."""
    before = await check(calls, keys)
    if before.found > VERSION:
        raise newer(before.found)
    if not before.steps:
        return before
    token = secrets.token_hex(8)
    await _lock(calls, keys, token)
    try:
        migration = await check(calls, keys)
        for step in STEPS[migration.found :]:
            await step.apply(calls, keys)
            values = (step.version - 1, step.version, BUCKETS, token)
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

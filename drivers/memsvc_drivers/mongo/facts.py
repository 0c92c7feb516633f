"""What the server is, as it says itself, and so what the driver can promise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from pymongo.errors import OperationFailure, PyMongoError

from memsvc.errors import StorageUnavailable
from memsvc.storage.driver import Capabilities, Capability
from memsvc_drivers.mongo.client import Client
from memsvc_drivers.mongo.errors import failed
from memsvc_drivers.mongo.settings import ReadConcern, Settings

_BATCHES = 4


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What was read from the server."""

    ferretdb: bool = False
    """FerretDB 1, which stores in SQLite or Postgres, has no indexes to speak of, and no change streams."""
    sharded: bool = False
    replica_set: bool = False
    members: int = 1
    """How many members of the replica set (of the smallest one of a cluster) hold data; 0: could not be read."""
    in_ram: bool = False
    """Whether the storage engine keeps nothing."""
    shard_keys: Mapping[str, str] = {}
    """By which field each collection is sharded, where that is not `u`."""


async def read_facts(client: Client, settings: Settings) -> Facts:
    """Ask the server. Raises StorageUnavailable."""
    try:
        hello = await client.ask("hello")
        build = await client.ask("buildInfo")
        if "ferretdbVersion" in build:
            return Facts(ferretdb=True)
        status = await _permitted(client, "serverStatus")
        engine = status.get("storageEngine", {})
        sharded = hello.get("msg") == "isdbgrid"
        return Facts(
            sharded=sharded,
            replica_set="setName" in hello,
            members=await _shard_members(client) if sharded else len(hello.get("hosts", [1])) + _passive(hello),
            in_ram=not engine.get("persistent", True),
            shard_keys=await _foreign_shard_keys(client, settings) if sharded else {},
        )
    except PyMongoError as error:
        raise failed(error) from error


def capabilities_of(facts: Facts, settings: Settings) -> Capabilities:
    """Return what holds on such a server."""
    return Capabilities(
        durable=_durable(facts),
        failover=_failover(facts),
        shared=Capability(True, _freshness(facts, settings)),
        hints=_hints(facts),
        concurrent_batches=min(_BATCHES, settings.pool_size),
        warnings=[*_warnings(facts)],
    )


def _durable(facts: Facts) -> Capability:
    if facts.ferretdb:
        return Capability(True, "as FerretDB's own database syncs its commits: SQLite and Postgres do by default")
    if facts.in_ram:
        return Capability(False, "the storage engine keeps data in RAM only")
    return Capability(True)


def _failover(facts: Facts) -> Capability:
    if facts.ferretdb:
        return Capability(False, "FerretDB is one node")
    if facts.in_ram:
        return Capability(False, "the storage engine keeps data in RAM only")
    if facts.members == 0:
        return Capability(False, "this user may not see how many members the shards have")
    if facts.members == 1:
        return Capability(False, "one member holds the data")
    return Capability(True, "the majority has journaled every acknowledged append")


def _freshness(facts: Facts, settings: Settings) -> str:
    if settings.read_concern is ReadConcern.LINEARIZABLE or not (facts.replica_set or facts.sharded):
        return ""
    return "a primary that was cut off may answer reads until it notices, about 10 s: see read_concern"


def _hints(facts: Facts) -> Capability:
    if facts.ferretdb:
        return Capability(False, "FerretDB has no change streams")
    if not (facts.replica_set or facts.sharded):
        return Capability(False, "a standalone server has no change streams")
    return Capability(True, "a change stream")


def _warnings(facts: Facts) -> list[str]:
    found = []
    if facts.ferretdb:
        found.append("this is FerretDB 1, which reads whole collections: for tests and small stores; use MongoDB")
        found.append("it updates a document in two steps: a purge by one server may undo what another's just blanked")
    elif not (facts.replica_set or facts.sharded):
        found.append("this is a standalone server: run a replica set of three, or its loss is the loss of all")
    elif facts.members == 2:
        found.append("two members hold the data: writes stop while one is away; run three")
    if facts.in_ram:
        found.append("the storage engine keeps nothing on disk: use WiredTiger")
    for name, key in facts.shard_keys.items():
        found.append(f"the collection {name} is sharded by {key}: two appends may both be taken; shard it by u alone")
    return found


def _passive(hello: Mapping[str, Any]) -> int:
    return len(hello.get("passives", []))


async def _permitted(client: Client, command: str) -> Mapping[str, Any]:
    """Return a reply, an empty one if this user may not ask."""
    try:
        return await client.ask(command)
    except OperationFailure:
        return {}


async def _shard_members(client: Client) -> int:
    shards = (await _permitted(client, "listShards")).get("shards", [])
    return min((len(shard["host"].partition("/")[2].split(",")) for shard in shards), default=0)


async def _foreign_shard_keys(client: Client, settings: Settings) -> Mapping[str, str]:
    each = (settings.names.journal, settings.names.memories, settings.names.rows)
    names = {f"{settings.database}.{name}": name for name in each}
    try:
        found = await client.foreign("config", "collections").find({"_id": {"$in": list(names)}}, ["_id", "key"])
    except StorageUnavailable:
        return {}
    keys = {names[document["_id"]]: ", ".join(document.get("key", {})) for document in found}
    return {name: key for name, key in keys.items() if key != "u"}

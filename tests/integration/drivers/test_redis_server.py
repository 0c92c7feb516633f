"""What the driver makes of the server that it finds: refused, warned of, or promised no more than it keeps."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from redis_stores import place, until

from memsvc.errors import FailedPrecondition, StorageUnavailable
from memsvc.model import Scope
from memsvc.storage.conformance.items import Journal
from memsvc.storage.driver import Capability
from tests.servers.redis import Redis

pytestmark = pytest.mark.redis

SARAH = Scope("default", "sarah")
MakeRedis = Callable[..., Redis]


async def test_a_server_that_evicts_is_refused(own_redis: MakeRedis) -> None:
    server = own_redis({"maxmemory": "100mb", "maxmemory-policy": "allkeys-lru"})
    with pytest.raises(FailedPrecondition, match="noeviction"):
        async with place(server.url).opened():
            pass
    server.execute("CONFIG", "SET", "maxmemory-policy", "noeviction")
    async with place(server.url).opened() as driver:
        assert list(driver.capabilities().warnings) == []


@pytest.mark.parametrize(
    ("settings", "durable"),
    [
        ({}, Capability(True, "appendonly with appendfsync always")),
        ({"appendfsync": "everysec"}, Capability(False, "appendfsync is everysec")),
        ({"appendonly": "no"}, Capability(False, "appendonly is no")),
    ],
)
async def test_durable_is_what_the_server_does(
    own_redis: MakeRedis, settings: dict[str, str], durable: Capability
) -> None:
    server = own_redis({"maxmemory": "100mb", **settings})
    async with place(server.url).opened() as driver:
        found = driver.capabilities()
        assert found.durable == durable
        assert not found.failover.supported
        assert bool(found.warnings) == (not durable.supported)


async def test_a_server_that_does_not_tell_promises_nothing(own_redis: MakeRedis) -> None:
    server = own_redis()
    server.execute("ACL", "SETUSER", "sidecar", "on", ">secret", "~memsvc:*", "&*", "+@all", "-@admin", "-@dangerous")
    async with place(f"redis://sidecar:secret@127.0.0.1:{server.port}").opened() as driver:
        found = driver.capabilities()
        assert found.durable == Capability(False, "appendonly and appendfsync cannot be read")
        assert len(found.warnings) == 2
        journal = Journal(driver, SARAH)
        await journal.append()
        await journal.append(erases=True)
        assert any("BGREWRITEAOF" in warning for warning in driver.capabilities().warnings)


async def test_what_no_longer_holds_is_no_longer_promised(own_redis: MakeRedis) -> None:
    server = own_redis({"maxmemory": "100mb"})
    async with place(server.url).opened() as driver:
        assert driver.capabilities().durable.supported
        server.execute("CONFIG", "SET", "appendfsync", "no")
        server.execute("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        server.execute("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await driver.ping()
        await until(lambda: not driver.capabilities().durable.supported)
        assert any("noeviction" in warning for warning in driver.capabilities().warnings)


async def test_a_replica_and_a_node_of_a_cluster_are_refused(own_redis: MakeRedis) -> None:
    master, replica, node = own_redis(), own_redis(), own_redis({"cluster-enabled": "yes"})
    replica.execute("REPLICAOF", "127.0.0.1", master.port)
    with pytest.raises(FailedPrecondition, match="replica"):
        await place(replica.url).connect().open()
    with pytest.raises(FailedPrecondition, match=r"redis\+cluster"):
        await place(node.url).connect().open()
    with pytest.raises(FailedPrecondition, match="redis://"):
        await place(f"redis+cluster://127.0.0.1:{master.port}").connect().open()


async def test_wrong_credentials_are_told_without_repeating_them(own_redis: MakeRedis) -> None:
    server = own_redis()
    server.execute("ACL", "SETUSER", "sidecar", "on", ">secret", "~*", "&*", "+@all")
    for credentials in ("sidecar:wrong-secret@", "nobody:wrong-secret@"):
        with pytest.raises(StorageUnavailable, match="refuses the user or the password") as raised:
            await place(f"redis://{credentials}127.0.0.1:{server.port}").connect().open()
        assert "wrong-secret" not in str(raised.value)
    async with place(f"redis://sidecar:secret@127.0.0.1:{server.port}").opened() as driver:
        await driver.ping()


async def test_a_password_that_is_missing_is_asked_for(own_redis: MakeRedis) -> None:
    server = own_redis()
    server.execute("ACL", "SETUSER", "default", ">secret", "resetpass", ">secret")
    with pytest.raises(StorageUnavailable, match="refuses the user or the password"):
        await place(server.url).connect().open()
    async with place(f"redis://:secret@127.0.0.1:{server.port}").opened() as driver:
        await driver.ping()


async def test_a_user_with_too_few_rights_is_told(own_redis: MakeRedis) -> None:
    server = own_redis()
    server.execute("ACL", "SETUSER", "reader", "on", ">secret", "~other:*", "&*", "+@all")
    with pytest.raises(StorageUnavailable, match="NOPERM"):
        await place(f"redis://reader:secret@127.0.0.1:{server.port}").connect().open()


async def test_a_network_in_the_clear_is_warned_of(redis_server: Redis) -> None:
    from memsvc_drivers.redis.server import Server, capabilities
    from memsvc_drivers.redis.settings import parse_settings

    server = Server("7.0.0", False, False, True, "always", 1 << 30, "noeviction", 0)
    for url, warned in (("redis://cache.example", True), ("rediss://cache.example", False), ("redis://[::1]", False)):
        assert bool(capabilities([server], parse_settings(url, {})).warnings) == warned

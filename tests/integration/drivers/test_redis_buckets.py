"""How many buckets a store in Redis has: one on a single server, 256 where it was made on a cluster or long ago."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from redis_stores import CLUSTER_KEYS, KEYS, place

from memsvc.errors import SchemaMismatch
from memsvc.model import Scope
from memsvc.storage.conformance import Case, Place, Skipped, Store, cases
from memsvc.storage.conformance.items import applied, item
from memsvc.storage.driver import EMPTY, Due
from tests.servers.redis import Redis

pytestmark = pytest.mark.redis

THEMES = ("due_and_users", "erasing", "names", "racing", "reading", "sharing")
CROWD = [Scope("default", f"user-{number:03}") for number in range(300)]
MakeRedis = Callable[..., Redis]


def _of_many_buckets(server: Redis, prefix: str) -> Place:
    """Return an empty store as they were made on a single server before they had one bucket."""
    server.execute("HSET", f"{prefix}{{meta}}:schema", "version", 1, "buckets", 256)
    return Place(server.url, {"key_prefix": prefix})


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=f"{case.theme}-{case.name}") for case in cases() if case.theme in THEMES]
)
async def test_a_store_of_many_buckets_on_a_single_server_is_served(redis_server: Redis, case: Case) -> None:
    try:
        async with Store(_of_many_buckets(redis_server, "many-buckets:")) as store:
            await case.function(store)
    except Skipped as skipped:
        pytest.skip(str(skipped))


async def test_a_store_keeps_the_buckets_that_it_was_made_with(own_redis: MakeRedis) -> None:
    server = own_redis()
    old = _of_many_buckets(server, "memsvc:")
    async with old.opened() as driver:
        await applied(driver, *(item(scope, EMPTY) for scope in CROWD))
    async with old.opened() as driver:
        assert await driver.users("default", CROWD[99].user_id, 150) == [scope.user_id for scope in CROWD[100:250]]
    assert server.execute("EXISTS", *(CLUSTER_KEYS.of(scope).head for scope in CROWD)) == len(CROWD)


async def test_another_number_of_buckets_is_refused(own_redis: MakeRedis) -> None:
    server = own_redis()
    server.execute("HSET", KEYS.meta("schema"), "version", 1, "buckets", 16)
    with pytest.raises(SchemaMismatch, match="16 buckets"):
        async with place(server.url).opened():
            pass


async def test_on_a_single_server_who_is_due_and_a_page_of_users_are_one_command_each(own_redis: MakeRedis) -> None:
    server = own_redis()
    async with place(server.url).opened() as driver:
        await applied(driver, *(item(scope, EMPTY, due=1 + number) for number, scope in enumerate(CROWD)))
        before = _looks(server)
        assert await driver.due(400, 256) == [Due(scope, 1 + number) for number, scope in enumerate(CROWD[:256])]
        assert await driver.users("default", CROWD[99].user_id, 100) == [scope.user_id for scope in CROWD[100:200]]
        assert await driver.scopes(CROWD[9], 100) == CROWD[10:110]
        assert _looks(server) == before + 3


def _looks(server: Redis) -> int:
    found = server.execute("INFO", "commandstats").get("cmdstat_zrangebylex", {"calls": 0})
    return int(found["calls"])

"""What the Postgres driver promises is what it read from the server, and what an operator should change it says."""

from __future__ import annotations

import pytest
from postgres_stores import SARAH, MakePostgres, place

from memsvc.storage.conformance.items import Journal
from memsvc.storage.driver import Capability
from memsvc_drivers.postgres.server import Server, capabilities_of
from memsvc_drivers.postgres.settings import parse_settings

SOUND = Server(
    fsync=True,
    full_page_writes=True,
    synchronous_commit="on",
    standby_names="",
    standbys=0,
    sees_standbys=True,
    connections=97,
    encrypted=True,
    near=False,
)


def altered(**settings: object) -> Server:
    return Server(**{**{name: getattr(SOUND, name) for name in SOUND.__struct_fields__}, **settings})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("server", "durable", "failover", "warns"),
    [
        (SOUND, True, False, ()),
        (altered(fsync=False), False, False, ("fsync",)),
        (altered(synchronous_commit="off"), False, False, ("synchronous_commit",)),
        (altered(full_page_writes=False), True, False, ("full_page_writes",)),
        (altered(standby_names="a", standbys=1), True, True, ()),
        (altered(standby_names="a"), True, False, ("standby",)),
        (altered(standby_names="a", sees_standbys=False), True, False, ()),
        (altered(standby_names="a", standbys=1, synchronous_commit="remote_write"), True, False, ()),
        (altered(standby_names="a", standbys=1, fsync=False), False, False, ("fsync",)),
        (altered(encrypted=False), True, False, ("encrypted",)),
        (altered(encrypted=False, near=True), True, False, ()),
        (altered(connections=20), True, False, ("max_connections",)),
    ],
)
def test_promises_follow_the_servers_settings(
    server: Server, durable: bool, failover: bool, warns: tuple[str, ...]
) -> None:
    found = capabilities_of(server, parse_settings("postgresql://db/memories", {}))
    assert (found.durable.supported, found.failover.supported) == (durable, failover)
    assert (bool(found.durable.reason), bool(found.failover.reason)) == (not durable, True)
    assert len(found.warnings) == len(warns)
    assert all(word in warning for word, warning in zip(warns, found.warnings, strict=True))


@pytest.mark.postgresql
async def test_promises_are_read_anew_with_a_ping(own_postgres: MakePostgres) -> None:
    server = own_postgres()
    async with place(server.url).opened() as driver:
        assert driver.capabilities().durable == Capability(True)
        server.configure(fsync="off")
        while driver.capabilities().durable.supported:
            await driver.ping()
        assert driver.capabilities().durable == Capability(False, "fsync is off")


@pytest.mark.postgresql
async def test_a_commit_that_need_not_be_on_disk_is_not_called_durable(own_postgres: MakePostgres) -> None:
    server = own_postgres()
    server.configure(synchronous_commit="off")
    async with place(server.url).opened() as driver:
        assert driver.capabilities().durable.supported, "the driver asks for it in its own sessions"
    async with place(server.url, synchronous_commit="off").opened() as driver:
        assert not driver.capabilities().durable.supported


@pytest.mark.postgresql
async def test_behind_a_transaction_pooler_the_servers_own_settings_hold(own_postgres: MakePostgres) -> None:
    server = own_postgres()
    server.configure(synchronous_commit="off")
    async with place(server.url, transaction_pooler="true").opened() as driver:
        capabilities = driver.capabilities()
        assert not capabilities.durable.supported
        assert capabilities.hints == Capability(False, "no LISTEN through a transaction pooler")
        journal = Journal(driver, SARAH)
        for _ in range(3):
            await journal.append()
        assert len(await driver.records(SARAH, 0, 10)) == 3
        async for hint in driver.hints():
            raise AssertionError(f"hinted {hint}")

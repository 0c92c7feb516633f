"""What is said of a Postgres that cannot be used: which it is, and why."""

from __future__ import annotations

import re

import pytest
from postgres_stores import AnyPostgres, MakePostgres, place, refused

from memsvc.errors import StorageUnavailable
from memsvc.storage.registry import connect, named
from tests.servers.places import free_port

pytestmark = pytest.mark.postgresql


async def test_a_server_without_tls_is_told_from_one_that_does_not_answer(own_postgres: MakePostgres) -> None:
    error = str(await refused(place(f"{own_postgres().url}?sslmode=require").connect()))
    assert "does not speak TLS, which sslmode asks for" in error


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_port_at_which_nothing_listens_is_named(host: str) -> None:
    url = f"postgres://ava:hush@{host}:{free_port()}/memories"
    with pytest.raises(StorageUnavailable) as failed:
        with named(url):
            await connect(url, {"connect_timeout_ms": "2000"}).open()
    assert re.fullmatch(
        rf"postgres://{re.escape(host)}:\d+/memories: .*nothing listens at its port", failed.value.message
    )


async def test_a_host_that_there_is_not_is_told() -> None:
    error = await refused(place("postgresql://ava@no-such-host.invalid/memories").connect())
    assert "name is not known" in str(error)


@pytest.mark.parametrize(
    ("revoked", "named"),
    [
        ("REVOKE CREATE ON SCHEMA public FROM public", "permission denied for schema public"),
        ("REVOKE CONNECT ON DATABASE postgres FROM public", 'permission denied for database "postgres"'),
        ("REVOKE USAGE ON SCHEMA public FROM public", "schema"),
    ],
)
async def test_the_privilege_that_is_missing_is_named(own_postgres: MakePostgres, revoked: str, named: str) -> None:
    server = own_postgres()
    server.sql(f"CREATE ROLE reader LOGIN; {revoked}")
    error = str(await refused(place(server.url.replace("postgres@", "reader@")).connect()))
    assert named in error


async def test_urls_of_others_are_understood(postgres_server: AnyPostgres) -> None:
    url = postgres_server.url
    separator = "&" if "?" in url else "?"
    other = f"{url.replace('postgresql://', 'postgres://')}{separator}pgbouncer=true"
    async with place(url).opened(), place(other).opened() as pooled:
        await pooled.ping()
        assert not pooled.capabilities().hints.supported
    error = await refused(place(f"{url}{separator}connection_limit=5").connect())
    assert "parameter" in str(error)

"""The URL and the options of the Postgres driver: understood, or refused by name, and no password told."""

from __future__ import annotations

from pathlib import Path

import pytest

from memsvc.errors import InvalidArgument
from memsvc.storage.registry import connect
from memsvc_drivers.postgres.driver import PostgresDriver
from memsvc_drivers.postgres.settings import SynchronousCommit, parse_settings

SECRET = "hush"
URL = "postgresql://ava:s%40cret@db.example:6432/memories"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pool_size", "0"),
        ("pool_size", "many"),
        ("connect_timeout_ms", "1"),
        ("operation_timeout_ms", "-5"),
        ("migration_timeout_ms", "10"),
        ("concurrent_batches", "0"),
        ("concurrent_batches", "8"),
        ("synchronous_commit", "sometimes"),
        ("hints", "yes"),
        ("transaction_pooler", "2"),
        ("table_prefix", "my-tables"),
        ("table_rows", "x" * 51),
        ("pool", "4"),
    ],
)
def test_a_wrong_option_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(InvalidArgument, match=rf"^storage_options\.{name}: "):
        parse_settings(URL, {name: value})


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ava:hush/hush@db/memories",
        "postgresql://ava:hush#hush@db/memories",
        "postgresql://ava:hush@db:99999/memories",
        "postgresql://ava:hush@db/memories?sslmode=perhaps",
        "postgresql://ava:hush@db/memories?target_session_attrs=standby",
        "postgresql://ava:hush@db/memories?channel_binding=require",
        "postgresql://ava:hush@db/memories?sslrootcert=/nowhere/root.crt",
        "postgresql://ava:hush@db/memories?connect_timeout=soon",
        "postgresql://ava:hush@db/memories?sslmode",
        "postgresql://ava:hush@/memories?host=a,b,c&port=1,2",
    ],
)
def test_a_wrong_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(InvalidArgument, match=r"^storage_url: ") as caught:
        connect(url)
    assert SECRET not in str(caught.value)


def test_options_have_defaults_and_are_read() -> None:
    assert parse_settings(URL, {}).pool_size == 8
    options = {"pool_size": "3", "synchronous_commit": "REMOTE_APPLY", "hints": "false", "transaction_pooler": "true"}
    settings = parse_settings(URL, options)
    assert (settings.pool_size, settings.synchronous_commit) == (3, SynchronousCommit.REMOTE_APPLY)
    assert (settings.hints, settings.transaction_pooler) == (False, True)


def test_settings_can_be_shown_without_the_password() -> None:
    assert "cret" not in repr(parse_settings(URL, {}))


def test_parameters_of_libpq_are_understood() -> None:
    quick = parse_settings(f"{URL}?connect_timeout=2&keepalives_idle=5&gssencmode=disable", {})
    assert quick.connect_timeout_ms == 2_000
    assert parse_settings(f"{URL}?connect_timeout=2", {"connect_timeout_ms": "70"}).connect_timeout_ms == 70
    assert "keepalives" not in quick.hosts[0]
    assert "search_path=app" in parse_settings(f"{URL}?search_path=app", {}).hosts[0]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ava@one:1111,two:2222/memories",
        "postgresql+asyncpg://ava@one:1111,two:2222/memories",
        "postgresql://ava@/memories?host=one,two&port=1111,2222",
    ],
)
def test_each_of_several_hosts_gets_a_url(url: str) -> None:
    first, second = parse_settings(url, {}).hosts
    assert "host=one&port=1111" in first
    assert "host=two&port=2222" in second
    assert all("target_session_attrs=read-write" in host for host in (first, second))


def test_a_host_may_be_an_address_or_a_folder() -> None:
    [address] = parse_settings("postgresql://[::1]:5433/memories", {}).hosts
    assert "host=%3A%3A1&port=5433" in address
    [folder] = parse_settings("postgresql:///memories?host=/run/postgresql", {}).hosts
    assert "host=%2Frun%2Fpostgresql" in folder


def test_files_of_tls_are_looked_for_before_anything_is_tried(tmp_path: Path) -> None:
    certificate = tmp_path / "root.crt"
    certificate.touch()
    assert parse_settings(f"{URL}?sslmode=verify-full&sslrootcert={certificate}", {}).hosts


def test_every_option_is_described() -> None:
    described = PostgresDriver.options()
    assert {"pool_size", "operation_timeout_ms", "table_prefix", "table_rows"} <= set(described)
    assert not {"hosts", "names"} & set(described)
    assert all(len(text) > 20 for text in described.values())

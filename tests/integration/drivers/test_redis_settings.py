"""What the Redis driver is told: each URL form, and errors that name what is wrong."""

from __future__ import annotations

import pytest

from memsvc.errors import InvalidArgument
from memsvc.storage.registry import connect
from memsvc_drivers.redis.settings import Address, Credentials, Mode, parse_settings


@pytest.mark.parametrize(
    ("url", "mode", "hosts", "service", "database"),
    [
        ("redis://cache", Mode.STANDALONE, [("cache", 6379)], "", 0),
        ("redis://cache:1/7", Mode.STANDALONE, [("cache", 1)], "", 7),
        ("redis://cache:1?db=7", Mode.STANDALONE, [("cache", 1)], "", 7),
        ("redis://[::1]:1/0", Mode.STANDALONE, [("::1", 1)], "", 0),
        ("redis+sentinel://a:1,b/main", Mode.SENTINEL, [("a", 1), ("b", 26379)], "main", 0),
        ("redis+sentinel://a/main/3", Mode.SENTINEL, [("a", 26379)], "main", 3),
        ("redis+cluster://a:1,b:2", Mode.CLUSTER, [("a", 1), ("b", 2)], "", 0),
        ("redis+cluster://a/0", Mode.CLUSTER, [("a", 6379)], "", 0),
    ],
)
def test_each_form_of_the_url(url: str, mode: Mode, hosts: list[tuple[str, int]], service: str, database: int) -> None:
    settings = parse_settings(url, {})
    assert (settings.mode, settings.service, settings.database) == (mode, service, database)
    assert list(settings.hosts) == [Address(*host) for host in hosts]
    assert settings.tls is None
    with_tls = parse_settings(url.replace("redis", "rediss", 1), {})
    assert (with_tls.mode, with_tls.hosts) == (mode, settings.hosts)
    assert with_tls.tls == {"ssl_cert_reqs": "required", "ssl_check_hostname": True}


def test_credentials_are_decoded_and_never_shown() -> None:
    url = "redis+sentinel://me:p%40ss%2Fword@a/main?sentinel_username=them&sentinel_password=theirs"
    settings = parse_settings(url, {})
    assert settings.credentials == Credentials("me", "p@ss/word")
    assert settings.sentinel_credentials == Credentials("them", "theirs")
    assert "p@ss" not in repr(settings)
    assert "theirs" not in repr(settings)


def test_tls_is_configured_in_the_url() -> None:
    url = "rediss://a?ssl_ca_certs=/ca.pem&ssl_certfile=/c.pem&ssl_keyfile=/k.pem&ssl_check_hostname=false"
    assert parse_settings(url, {}).tls == {
        "ssl_ca_certs": "/ca.pem",
        "ssl_certfile": "/c.pem",
        "ssl_keyfile": "/k.pem",
        "ssl_cert_reqs": "required",
        "ssl_check_hostname": False,
    }


@pytest.mark.parametrize(
    "url",
    [
        "redis://",
        "redis://a,b",
        "redis://a/b",
        "redis://a/1/2",
        "redis://a/-1",
        "redis://a:port",
        "redis://a?socket_timeout=5",
        "redis://a?ssl_ca_certs=/ca.pem",
        "rediss://a?ssl_cert_reqs=perhaps",
        "rediss://a?ssl_check_hostname=perhaps",
        "redis+sentinel://a",
        "redis+sentinel://a/main/0/more",
        "redis+cluster://a/1",
        "redis+cluster://a?db=1",
        "redis+else://a",
    ],
)
def test_a_wrong_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidArgument) as raised:
        connect(url)
    assert [field.field for field in raised.value.fields] == ["storage_url"]


def test_a_password_that_breaks_the_url_is_not_repeated() -> None:
    with pytest.raises(InvalidArgument) as raised:
        connect("redis://me:secret/word@host")
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pool_size", "0"),
        ("connect_timeout_ms", "soon"),
        ("operation_timeout_ms", "1"),
        ("wait_replicas", "-1"),
        ("wait_timeout_ms", "0"),
        ("hint_interval_ms", "-1"),
        ("key_prefix", "{mine}:"),
        ("key_prefix", "a\nb"),
        ("key_prefix", "x" * 101),
        ("scrub", "perhaps"),
        ("table_prefix", "mine_"),
    ],
)
def test_a_wrong_option_is_named(name: str, value: str) -> None:
    with pytest.raises(InvalidArgument) as raised:
        connect("redis://a", {name: value})
    assert [field.field for field in raised.value.fields] == [f"storage_options.{name}"]


def test_waiting_for_replicas_ends_before_the_call_does() -> None:
    with pytest.raises(InvalidArgument) as raised:
        connect("redis://a", {"wait_replicas": "1", "wait_timeout_ms": "5000"})
    assert [field.field for field in raised.value.fields] == ["storage_options.wait_timeout_ms"]

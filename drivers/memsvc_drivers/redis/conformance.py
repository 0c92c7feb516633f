"""What the conformance suite may do to a Redis store: see `memsvc.storage.conformance.bench`."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from redis import Redis
from redis.exceptions import RedisError

from memsvc.storage import conformance
from memsvc.storage.conformance import Place, Skipped
from memsvc_drivers.redis.connections import abort, ask
from memsvc_drivers.redis.keys import CLUSTER_BUCKETS, META, Keys
from memsvc_drivers.redis.routing import route
from memsvc_drivers.redis.server import VERSION, VERSION_FIELD
from memsvc_drivers.redis.settings import Mode, Settings, parse_settings

_HASTY = {"connect_timeout_ms": "500", "operation_timeout_ms": "1000"}


class Bench(conformance.Bench):
    """Makes scratch stores under key prefixes of their own, on the same server."""

    @asynccontextmanager
    async def scratch(self, place: Place) -> AsyncIterator[Place]:
        prefix = f"conformance-{secrets.token_hex(8)}:"
        try:
            yield Place(place.url, {**place.options, "key_prefix": prefix})
        finally:
            await _delete_all(place, prefix)

    async def make_schema_newer(self, scratch: Place) -> None:
        settings = parse_settings(scratch.url, scratch.options)
        found = route(settings)
        await found.open()
        try:
            key = Keys(settings.key_prefix, CLUSTER_BUCKETS).meta("schema")
            await found.node(META).exchange((("HSET", key, VERSION_FIELD, VERSION + 1),))
        finally:
            await found.close()

    def files(self, scratch: Place) -> Sequence[Path]:
        settings = _single(scratch, "the files of a cluster's nodes are many")
        try:
            folder, names = _files(settings)
        except RedisError as error:
            raise Skipped("Redis does not tell where its files are") from error
        if not settings.hosts[0].is_loopback or not folder.is_dir():
            raise Skipped("the files are on another machine")
        return sorted(path for name in names for path in [folder / name, *(folder / name).glob("*")] if path.is_file())

    def upstream(self, place: Place) -> tuple[str, int]:
        return _single(place, "the nodes of a cluster name each other: no proxy comes between").hosts[0]

    def through(self, place: Place, host: str, port: int) -> Place:
        parts = urlsplit(place.url)
        userinfo, at, _ = parts.netloc.rpartition("@")
        url = parts._replace(netloc=f"{userinfo}{at}{host}:{port}").geturl()
        return Place(url, {**place.options, **_HASTY})


def _single(place: Place, otherwise: str) -> Settings:
    settings = parse_settings(place.url, place.options)
    if settings.mode is not Mode.STANDALONE:
        raise Skipped(otherwise)
    return settings


def _files(settings: Settings) -> tuple[Path, Sequence[str]]:
    """Return the server's folder, and the names of its files, and of folders with such, in it."""
    (host, port), who = settings.hosts[0], settings.credentials
    tls = {} if settings.tls is None else {"ssl": True, **settings.tls}
    with Redis(host=host, port=port, username=who.username or None, password=who.password or None, **tls) as client:
        found = {
            name: value for pattern in ("dir", "append*name", "dbfilename") for name, value in _config(client, pattern)
        }
    return Path(found.pop("dir")), [name for name in found.values() if name]


def _config(client: Redis, pattern: str) -> list[tuple[str, str]]:
    found = client.config_get(pattern)
    assert isinstance(found, dict)
    return [(_text(name), _text(value)) for name, value in found.items()]


def _text(value: str | bytes | None) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""


async def _delete_all(place: Place, prefix: str) -> None:
    found = route(parse_settings(place.url, place.options))
    await found.open()
    try:
        for node in found.nodes():
            connection = await node.dial()
            try:
                cursor = b"0"
                while True:
                    cursor, keys = await ask(connection, "SCAN", cursor, "MATCH", f"{prefix}*", "COUNT", 1_000)
                    for key in keys:
                        await ask(connection, "UNLINK", key)
                    if cursor == b"0":
                        break
            finally:
                await abort(connection)
    finally:
        await found.close()

"""What the conformance suite may do to a MongoDB database: see `memsvc.storage.conformance.bench`."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from pymongo.uri_parser import parse_uri

from memsvc.storage import conformance
from memsvc.storage.conformance import Place, Skipped
from memsvc_drivers.mongo.client import Client
from memsvc_drivers.mongo.facts import read_facts
from memsvc_drivers.mongo.schema import VERSION, collections, write_version
from memsvc_drivers.mongo.settings import parse_settings

_FERRETDB_SCALE = 0.1


class Bench(conformance.Bench):
    """Makes scratch stores as databases of their own, beside the database."""

    @asynccontextmanager
    async def scratch(self, place: Place) -> AsyncIterator[Place]:
        database = f"{parse_settings(place.url, place.options).database}-{secrets.token_hex(6)}"
        scratch = Place(urlsplit(place.url)._replace(path=f"/{database}").geturl(), place.options)
        try:
            yield scratch
        finally:
            async with _client(scratch) as client:
                await client.drop()

    async def make_schema_newer(self, scratch: Place) -> None:
        async with _client(scratch) as client:
            store = collections(client, parse_settings(scratch.url, scratch.options).names)
            assert await write_version(store.schema, VERSION + 1, "what a later memsvc does")

    def upstream(self, place: Place) -> tuple[str, int]:
        hosts: list[tuple[str, int]] = parse_uri(place.url)["nodelist"]
        if len(hosts) > 1:
            raise Skipped("a replica set's members are found by their own addresses")
        return hosts[0]

    def through(self, place: Place, host: str, port: int) -> Place:
        url = urlsplit(place.url)
        user = url.netloc.rpartition("@")[0]
        netloc = f"{user}@{host}:{port}" if user else f"{host}:{port}"
        query = f"{url.query}&directConnection=true" if url.query else "directConnection=true"
        soon = {"connect_timeout_ms": "500", "operation_timeout_ms": "2500"}
        return Place(url._replace(netloc=netloc, query=query).geturl(), {**place.options, **soon})

    async def require_atomic_updates(self, place: Place) -> None:
        if await _is_ferretdb(place):
            raise Skipped("FerretDB 1 reads a document, and writes it back whole")

    async def scale(self, place: Place) -> float:
        return _FERRETDB_SCALE if await _is_ferretdb(place) else 1.0


async def _is_ferretdb(place: Place) -> bool:
    async with _client(place) as client:
        return (await read_facts(client, parse_settings(place.url, place.options))).ferretdb


@asynccontextmanager
async def _client(place: Place) -> AsyncIterator[Client]:
    client = Client(parse_settings(place.url, place.options))
    await client.connect()
    try:
        yield client
    finally:
        await client.close()

"""What the conformance suite may do to a Postgres database: see `memsvc.storage.conformance.bench`."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

from memsvc.storage import conformance
from memsvc.storage.conformance import Place, Skipped
from memsvc_drivers.postgres.connecting import Connection, Connector
from memsvc_drivers.postgres.schema import VERSION, VERSION_ROW
from memsvc_drivers.postgres.settings import parse_settings
from memsvc_drivers.postgres.statements import statements_for

_LOOPBACK = "127.0.0.1"
_CRAMPED_BYTES = 2 << 20


class Bench(conformance.Bench):
    """Makes scratch stores under table names of their own, in the same database."""

    @asynccontextmanager
    async def scratch(self, place: Place) -> AsyncIterator[Place]:
        options = {name: value for name, value in place.options.items() if not name.startswith("table_")}
        scratch = Place(place.url, {**options, "table_prefix": f"conformance_{secrets.token_hex(6)}_"})
        try:
            yield scratch
        finally:
            names = parse_settings(*scratch).names
            async with _connected(scratch) as connection:
                for view in (names.memories, names.runs, names.sessions, names.extractions):
                    await connection.execute(f'DROP VIEW IF EXISTS "{view}"')
                for table in (names.meta, names.heads, names.journal, names.rows):
                    await connection.execute(f'DROP TABLE IF EXISTS "{table}"')
                for function in (f"{names.rows}_json", f"{names.journal}_full"):
                    await connection.execute(f'DROP FUNCTION IF EXISTS "{function}"')

    async def make_schema_newer(self, scratch: Place) -> None:
        async with _connected(scratch) as connection:
            statements = statements_for(parse_settings(*scratch).names)
            await connection.execute(statements.write_meta, VERSION_ROW, VERSION + 1)

    def cramped(self, scratch: Place) -> Place:
        if parse_settings(*scratch).transaction_pooler:
            raise Skipped("no session settings through a transaction pooler")
        # Not the disk is bounded, but Postgres says so, as it would in the middle of a statement.
        with ThreadPoolExecutor(1) as beside:
            beside.submit(asyncio.run, _bound_size(scratch)).result()
        there = urlsplit(scratch.url)
        return Place(there._replace(query=f"{there.query}&memsvc.cramped=on".lstrip("&")).geturl(), scratch.options)

    def files(self, scratch: Place) -> Sequence[Path]:
        raise Skipped("Postgres keeps old row versions in its files until VACUUM, and its log")

    def upstream(self, place: Place) -> tuple[str, int]:
        hosts = parse_settings(*place).hosts
        asked = parse_qs(urlsplit(hosts[0]).query)
        host = asked.get("host", [_LOOPBACK])[0]
        if host.startswith("/") or len(hosts) > 1:
            raise Skipped("not one server at a TCP address")
        return host, int(asked.get("port", ["5432"])[0])

    def through(self, place: Place, host: str, port: int) -> Place:
        there = urlsplit(parse_settings(*place).hosts[0])
        asked = {**{name: values[0] for name, values in parse_qs(there.query).items()}, "host": host, "port": str(port)}
        options = {**place.options, "connect_timeout_ms": "1000", "operation_timeout_ms": "1000"}
        return Place(there._replace(query=urlencode(asked)).geturl(), options)


async def _bound_size(scratch: Place) -> None:
    await scratch.connect().migrate()
    journal = parse_settings(*scratch).names.journal
    async with _connected(scratch) as connection:
        await connection.execute(f"""
            CREATE FUNCTION "{journal}_full"() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF current_setting('memsvc.cramped', true) = 'on'
                    AND octet_length(NEW.body) + (SELECT sum(octet_length(body)) FROM "{journal}") > {_CRAMPED_BYTES}
                THEN RAISE disk_full; END IF;
                RETURN NEW;
            END $$;
            CREATE TRIGGER bounded BEFORE INSERT ON "{journal}"
                FOR EACH ROW EXECUTE FUNCTION "{journal}_full"();
        """)  # noqa: S608


@asynccontextmanager
async def _connected(place: Place) -> AsyncIterator[Connection]:
    deadline = asyncio.get_running_loop().time() + 10
    connection = await Connector(parse_settings(*place)).connect(deadline)
    try:
        yield connection
    finally:
        connection.terminate()

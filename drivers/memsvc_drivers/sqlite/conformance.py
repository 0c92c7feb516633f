"""What the conformance suite may do to a SQLite database: see `memsvc.storage.conformance.bench`."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path

from memsvc.storage import conformance
from memsvc.storage.conformance import Place
from memsvc_drivers.sqlite.schema import VERSION, VERSION_ROW
from memsvc_drivers.sqlite.settings import parse_settings
from memsvc_drivers.sqlite.statements import statements_for

_CRAMPED_BYTES = 2 << 20


class Bench(conformance.Bench):
    """Makes scratch stores in a folder of their own, beside the database: on the same disk."""

    @asynccontextmanager
    async def scratch(self, place: Place) -> AsyncIterator[Place]:
        beside = parse_settings(place.url, place.options).path.parent
        with tempfile.TemporaryDirectory(prefix="conformance-", dir=beside) as folder:
            yield Place(f"sqlite:///{folder}/scratch.db", place.options)

    async def make_schema_newer(self, scratch: Place) -> None:
        settings = parse_settings(scratch.url, scratch.options)
        with closing(sqlite3.connect(settings.path, isolation_level=None)) as connection:
            connection.execute(statements_for(settings.names).write_meta, (VERSION_ROW, VERSION + 1))

    def cramped(self, scratch: Place) -> Place:
        return Place(scratch.url, {**scratch.options, "max_bytes": str(_CRAMPED_BYTES)})

    def files(self, scratch: Place) -> Sequence[Path]:
        return sorted(parse_settings(scratch.url, scratch.options).path.parent.iterdir())

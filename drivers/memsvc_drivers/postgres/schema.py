"""The schema of a store in Postgres: found, created, checked and migrated."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from memsvc.errors import SchemaMismatch
from memsvc.storage.crashpoints import reach
from memsvc.storage.driver import Migration
from memsvc_drivers.postgres.connecting import Connection
from memsvc_drivers.postgres.statements import Statements

VERSION_ROW = "schema_version"

_PRESENT = "SELECT relname::text FROM pg_class WHERE relname = ANY ($1::text[]) AND pg_table_is_visible(oid)"
"""Reads the catalog itself: a name looked up before may still be remembered as absent after waiting for a lock."""


class Step(NamedTuple):
    """What brings the schema to `version` from the one before."""

    version: int
    description: str
    apply: Callable[[Connection, Statements], Awaitable[None]]


async def plan(connection: Connection, statements: Statements) -> Migration:
    """Return where the schema stands and what is to be done. Raises SchemaMismatch where it is not ours to do."""
    names = statements.names
    present = {name for (name,) in await connection.fetch(_PRESENT, list(names))}
    found = await connection.fetchval(statements.read_meta, VERSION_ROW) if names.meta in present else None
    if found is None:
        if present:
            raise SchemaMismatch(
                f"table {min(present)} is there already and was not made by memsvc: choose another name"
            )
        if await connection.fetchval("SHOW server_encoding") != "UTF8":
            raise SchemaMismatch("the database is not encoded in UTF8")
        return _pending(0)
    missing = sorted(set(names) - present)
    if found == VERSION and missing:
        raise SchemaMismatch(f"table {missing[0]} is missing: was the store made with other table names?")
    return _pending(found)


async def prepare(connection: Connection, statements: Statements) -> None:
    """Make the schema where there is none. Raises SchemaMismatch for one of another version."""
    migration = await plan(connection, statements)
    if migration.found == 0:
        migration = await migrate(connection, statements, create_only=True)
    if migration.found > VERSION:
        raise newer(migration)
    if migration.found not in (0, VERSION):
        raise SchemaMismatch(f"schema {migration.found}, this memsvc needs {VERSION}: run `memsvc migrate`")


async def migrate(connection: Connection, statements: Statements, *, create_only: bool = False) -> Migration:
    """Bring the schema to the version wanted; whoever comes second finds nothing to do. Raises SchemaMismatch.

    With `create_only` leave one alone that is there already.
    """
    async with connection.transaction(isolation="read_committed"):
        await connection.execute("SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0")
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _lock_key(statements))
        migration = await plan(connection, statements)
        if migration.found > VERSION:
            raise newer(migration)
        if create_only and migration.found:
            return migration
        for step in STEPS[migration.found :]:
            await step.apply(connection, statements)
            await connection.execute(statements.write_meta, VERSION_ROW, step.version)
        reach("postgres.before_migrate")
    reach("postgres.after_migrate")
    return migration


def newer(migration: Migration) -> SchemaMismatch:
    """Return the error for a schema of a later memsvc."""
    return SchemaMismatch(f"schema {migration.found}, this memsvc needs {VERSION}: run a newer memsvc")


def _lock_key(statements: Statements) -> int:
    # Names alone: two schemas of one database may wait for each other, which does no harm.
    digest = hashlib.blake2b(f"memsvc migrate {statements.names.meta}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def _pending(found: int) -> Migration:
    return Migration(found=found, wanted=VERSION, steps=tuple(step.description for step in STEPS[found:]))


async def _create(connection: Connection, statements: Statements) -> None:
    for statement in statements.create:
        await connection.execute(statement)


STEPS: Sequence[Step] = (Step(1, "create the tables, and the views for people", _create),)
"""In order, from version 1. A published step never changes: with step 2, step 1's SQL is written out in full."""

VERSION = STEPS[-1].version

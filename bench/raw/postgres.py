"""asyncpg: one statement of common table expressions for a group, on one connection, committed by itself."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import asyncpg

from bench.raw import REQUEST, STATE, RawAppend

_TABLES = """
CREATE SCHEMA {schema};
CREATE TABLE {schema}.heads (usr text COLLATE "C" PRIMARY KEY, seq bigint, nonce text);
CREATE TABLE {schema}.journal (usr text COLLATE "C", seq bigint, body bytea, PRIMARY KEY (usr, seq));
CREATE TABLE {schema}.rows (usr text COLLATE "C", kind text COLLATE "C", id text COLLATE "C", body bytea,
  PRIMARY KEY (usr, kind, id));
"""

_APPEND = """
WITH given AS (
  SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::bytea[], $6::text[])
    AS given(usr, seq, nonce, memory_id, memory, request_id)
), heads AS (
  INSERT INTO {schema}.heads SELECT usr, seq, nonce FROM given
    ON CONFLICT (usr) DO UPDATE SET seq = excluded.seq, nonce = excluded.nonce
), records AS (
  INSERT INTO {schema}.journal SELECT usr, seq, memory FROM given
)
INSERT INTO {schema}.rows
  SELECT usr, 'state', '', $7::bytea FROM given
  UNION ALL SELECT usr, 'memory', memory_id, memory FROM given
  UNION ALL SELECT usr, 'request', request_id, $8::bytea FROM given
  ON CONFLICT (usr, kind, id) DO UPDATE SET body = excluded.body
"""


class RawPostgres:
    def __init__(self, url: str) -> None:
        self._url = url
        self._schema = f"raw_{secrets.token_hex(4)}"

    async def open(self) -> None:
        self._connection = await asyncpg.connect(self._url)
        await self._connection.execute(_TABLES.format(schema=self._schema))
        prepare, schema = self._connection.prepare, self._schema
        self._append = await prepare(_APPEND.format(schema=schema))
        self._load = await prepare(
            f"SELECT seq, nonce, kind, id, body FROM {schema}.heads JOIN {schema}.rows USING (usr)"
            " WHERE usr = $1 AND kind IN ('state', 'memory')"
        )
        self._tips = await prepare(f"SELECT usr, seq, nonce FROM {schema}.heads WHERE usr = ANY($1::text[])")

    async def close(self) -> None:
        await self._connection.execute(f"DROP SCHEMA {self._schema} CASCADE")
        await self._connection.close()

    async def append(self, group: Sequence[RawAppend]) -> None:
        columns = [list(column) for column in zip(*group, strict=True)]
        await self._append.fetch(*columns, STATE, REQUEST)

    async def load(self, user: str) -> int:
        return sum(row["kind"] == "memory" for row in await self._load.fetch(user))

    async def tips(self, users: Sequence[str]) -> None:
        await self._tips.fetch(list(users))

"""redis-py: one pipeline for a group; a pipeline in MULTI for a load; MGET for tips."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import redis.asyncio

from bench.raw import REQUEST, STATE, RawAppend


class RawRedis:
    def __init__(self, url: str) -> None:
        self._client = redis.asyncio.Redis.from_url(url, protocol=2)
        self._prefix = f"raw-{secrets.token_hex(4)}:"

    async def open(self) -> None:
        await self._client.ping()

    async def close(self) -> None:
        for key in [key async for key in self._client.scan_iter(f"{self._prefix}*", count=1_000)]:
            await self._client.unlink(key)
        await self._client.aclose()

    async def append(self, group: Sequence[RawAppend]) -> None:
        pipeline = self._client.pipeline(transaction=False)
        for item in group:
            pipeline.get(self._key("head", item.user))
            pipeline.set(self._key("head", item.user), f"{item.seq} {item.nonce} 1 - 0")
            pipeline.rpush(self._key("journal", item.user), item.memory)
            pipeline.hset(self._key("state", item.user), "", STATE)
            pipeline.hset(self._key("memory", item.user), item.memory_id, item.memory)
            pipeline.hset(self._key("request", item.user), item.request_id, REQUEST)
        await pipeline.execute()

    async def load(self, user: str) -> int:
        pipeline = self._client.pipeline(transaction=True)
        pipeline.get(self._key("head", user))
        pipeline.hgetall(self._key("state", user))
        pipeline.hgetall(self._key("memory", user))
        return len((await pipeline.execute())[2])

    async def tips(self, users: Sequence[str]) -> None:
        await self._client.mget([self._key("head", user) for user in users])

    def _key(self, kind: str, user: str) -> str:
        return f"{self._prefix}{kind}:{user}"

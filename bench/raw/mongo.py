"""motor: one document a step, which carries its rows; one unordered insert for a group."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from motor.motor_asyncio import AsyncIOMotorClient

from bench.raw import REQUEST, STATE, RawAppend


class RawMongo:
    def __init__(self, url: str) -> None:
        self._client = AsyncIOMotorClient(url, w="majority", journal=True)
        self._name = f"raw_{secrets.token_hex(4)}"
        self._steps = self._client[self._name]["steps"]

    async def open(self) -> None:
        await self._steps.create_index([("u", 1), ("seq", 1)])

    async def close(self) -> None:
        await self._client.drop_database(self._name)
        self._client.close()

    async def append(self, group: Sequence[RawAppend]) -> None:
        documents = [
            {
                "_id": f"{item.user}/{item.seq}",
                "u": item.user,
                "seq": item.seq,
                "nonce": item.nonce,
                "body": item.memory,
                "rows": [
                    {"kind": "state", "id": "", "body": STATE},
                    {"kind": "memory", "id": item.memory_id, "body": item.memory},
                    {"kind": "request", "id": item.request_id, "body": REQUEST},
                ],
            }
            for item in group
        ]
        await self._steps.insert_many(documents, ordered=False)

    async def load(self, user: str) -> int:
        return len(await self._steps.find({"u": user}).to_list(None))

    async def tips(self, users: Sequence[str]) -> None:
        await self._steps.find({"u": {"$in": list(users)}}, {"seq": 1, "nonce": 1}).sort("seq", -1).to_list(len(users))

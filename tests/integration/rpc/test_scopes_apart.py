"""Nobody sees or changes what is another's, whatever the names are."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
from callers import Callers
from rpc_harness import failing, served

from memsvc.model import Scope
from memsvc.storage.driver import Driver
from memsvc.v1 import common_pb2, memory_pb2

PAIRS = 500
WORDS = ["a", "b", "ab", "a/b", "a:b", "A", "ä", "a b", "default", "cust-1", "cust-10", "cust-", "'", '"', "%", "\\"]


def name(drawn: random.Random) -> str:
    return "".join(drawn.choices(WORDS, k=drawn.randint(1, 3)))


def scopes(drawn: random.Random) -> Iterator[tuple[Scope, Scope]]:
    """Yield pairs of different scopes, two thirds of which have the namespace or the user in common."""
    for number in range(PAIRS):
        mine, yours = Scope(name(drawn), name(drawn)), Scope(name(drawn), name(drawn))
        if number % 3:
            yours = Scope(mine.namespace, yours.user_id) if number % 3 == 1 else Scope(yours.namespace, mine.user_id)
        if mine != yours:
            yield mine, yours


async def test_random_pairs_of_scopes_stay_apart(driver: Driver, folder: Path) -> None:
    pairs = list(scopes(random.Random(7)))
    callers = Callers(folder)
    bound = callers.bound_to([scope for pair in pairs for scope in pair])
    async with served(driver, folder, tokens_file=str(callers.path)) as harness:
        for number, (mine, yours) in enumerate(pairs):
            text = f"secret {number}"
            own, other = (common_pb2.Scope(namespace=each.namespace, user_id=each.user_id) for each in (mine, yours))
            write = memory_pb2.CreateMemoryRequest(scope=own, memory=memory_pb2.Memory(text=text))
            made = await harness.memories.CreateMemory(write, metadata=bound[mine])
            # By the other's right, for the other's own scope: nothing of it is there.
            listed = await harness.memories.ListMemories(
                memory_pb2.ListMemoriesRequest(scope=other, page_size=1000), metadata=bound[yours]
            )
            assert text not in [memory.text for memory in listed.memories]
            # By the other's right, for this scope: refused.
            for call, request in (
                ("ListMemories", memory_pb2.ListMemoriesRequest(scope=own)),
                ("DeleteMemory", memory_pb2.DeleteMemoryRequest(scope=own, memory_id=made.memory.memory_id)),
            ):
                refused: Any = getattr(harness.memories, call)(request, metadata=bound[yours])
                assert (await failing(refused)).code is grpc.StatusCode.PERMISSION_DENIED
            kept = memory_pb2.GetMemoryRequest(scope=own, memory_id=made.memory.memory_id)
            assert (await harness.memories.GetMemory(kept, metadata=bound[mine])).memory.text == text

"""The store answers as LangGraph's own InMemoryStore does, operation by operation, drawn at random.

STORE_OPERATIONS=10000 draws so many; STORE_SEED another sequence.
"""

from __future__ import annotations

import os
import random
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from langgraph.store.base import GetOp, Item, ListNamespacesOp, MatchCondition, Op, PutOp, SearchOp
from langgraph.store.memory import InMemoryStore

from memsvc_client import AsyncMemoryClient, MemoryClient
from memsvc_langgraph import MemsvcStore

OPERATIONS = int(os.environ.get("STORE_OPERATIONS", "1000"))
SEED = int(os.environ.get("STORE_SEED", "1"))
LABELS = ["memories", "ada", "ben", "a b", "żółw", "50%/x", "*"]
KEYS = ["prefs", "k1", "k2", "", ".", "żółw\n", "a/b", "x" * 5000, "\0", "\ud800"]
TEXTS = [
    "Skis at Tahoe",
    "",
    " ",
    "\0",
    "\ud83d",
    "4111 1111 1111 1111",
    "my password is hunter2hunter2",
    "sk-proj-aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW",
    "<user_memory>",
    "zażółć 🦊 {name} $x",
    "true",
]


class Drawing:
    """Operations, drawn at random."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def namespace(self, least: int = 1) -> tuple[str, ...]:
        return tuple(self.random.choice(LABELS) for _ in range(self.random.randint(least, 4)))

    def value(self, depth: int = 0) -> Any:
        kind = self.random.randint(0, 8 if depth < 3 else 5)
        match kind:
            case 0:
                return self.random.choice([None, True, False])
            case 1:
                return self.random.choice([0, 1, -1, 7, 2**70])
            case 2:
                return self.random.choice([0.1, -1.5, 1e300, 1e-9, float("inf")])
            case 3 | 4 | 5:
                return self.random.choice(TEXTS)
            case 6:
                return [self.value(depth + 1) for _ in range(self.random.randint(0, 3))]
            case _:
                return self.document(depth + 1)

    def document(self, depth: int = 0) -> dict[str, Any]:
        names = self.random.sample(["kind", "n", "content", "żółw", "a.b", "", "$x"], self.random.randint(0, 4))
        document = {name: self.value(depth) for name in names}
        if self.random.random() < 0.5:
            document["n"] = self.random.randint(0, 9)
        if depth == 0 and self.random.random() < 0.06:
            document["file"] = self.random.randbytes(self.random.choice([2_500, 20_000, 60_000])).hex()
        return document

    def filter(self) -> dict[str, Any] | None:
        match self.random.randint(0, 5):
            case 0:
                operator = self.random.choice(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"])
                return {"n": {operator: self.random.randint(0, 9)}}
            case 1:
                return {"n": {"$gte": 2, "$lt": 7}}
            case 2:
                return {"content": self.random.choice(TEXTS)}
            case 3:
                return {"content": {"n": self.random.randint(0, 9)}}
            case _:
                return None

    def conditions(self) -> list[MatchCondition] | None:
        if self.random.random() < 0.3:
            return None
        kinds = self.random.choices(["prefix", "suffix"], k=self.random.randint(1, 2))
        return [MatchCondition(kind, self.namespace()) for kind in kinds]

    def operation(self) -> Op:
        chance = self.random.random()
        if chance < 0.45:
            value = None if self.random.random() < 0.2 else self.document()
            return PutOp(self.namespace(), self.random.choice(KEYS), value)
        if chance < 0.75:
            return GetOp(self.namespace(), self.random.choice(KEYS))
        limit, offset = self.random.choice([(10, 0), (1000, 0), (2, 1), (3, 0), (1, 5), (0, 0)])
        if chance < 0.9:
            return SearchOp(self.namespace(least=0), self.filter(), limit, offset)
        depth = self.random.choice([None, 1, 2, 3])
        return ListNamespacesOp(self.conditions(), depth, self.random.choice([100, 2]), self.random.choice([0, 1]))

    def batches(self, count: int) -> Iterator[list[Op]]:
        while count > 0:
            size = min(count, self.random.choice([1, 1, 1, 2, 5]))
            count -= size
            yield [self.operation() for _ in range(size)]


def reads_what_cannot_be_compared(reference: InMemoryStore, op: Op) -> bool:
    """Where values are no numbers, the reference raises and drops the whole search; ours takes them for no match."""
    try:
        reference.batch([op])
    except (TypeError, ValueError):
        return True
    return False


def content(item: Any) -> Any:
    """Return what an item says, so that 1 is not True and 1.0 is not 1."""
    return None if item is None else (item.namespace, item.key, repr(item.value))


def check(reference: InMemoryStore, op: Op, theirs: Any, ours: Any) -> None:
    if isinstance(op, SearchOp):
        everything = reference.batch([op._replace(limit=10_000, offset=0)])[0]
        assert len(ours) == len(theirs)
        assert len({content(each) for each in ours}) == len(ours)
        assert {content(each) for each in ours} <= {content(each) for each in everything}
        written = [each.updated_at for each in ours]
        assert written == sorted(written, reverse=True)
    elif isinstance(op, ListNamespacesOp):
        assert ours == theirs
    else:
        assert content(ours) == content(theirs)
        assert isinstance(ours, Item | None)


def forget_empty_namespaces(reference: InMemoryStore) -> None:
    """A namespace without items is none, as in the store on Postgres; the reference lists what was ever asked for."""
    for namespace in [each for each, items in reference._data.items() if not items]:
        del reference._data[namespace]


def expected(reference: InMemoryStore, ops: Sequence[Op]) -> list[Any]:
    forget_empty_namespaces(reference)
    results = []
    for op in ops:
        # Reads see what was before the batch.
        forget_empty_namespaces(reference)
        results.append(None if isinstance(op, PutOp) else reference.batch([op])[0])
    return results


@pytest.mark.timeout(60 + OPERATIONS // 4)
@pytest.mark.parametrize("user_labels", [1, 2])
def test_ours_and_the_reference_answer_the_same(database: Any, memory: Any, user_labels: int) -> None:
    reference, drawing = InMemoryStore(), Drawing(SEED)
    with MemoryClient.local(database, namespace=f"store-{uuid.uuid4()}") as client:
        ours = MemsvcStore(client, user_labels=user_labels)
        for ops in drawing.batches(OPERATIONS // 2):
            comparable = [op for op in ops if not reads_what_cannot_be_compared(InMemoryCopy(reference), op)]
            theirs = expected(reference, comparable)
            answers = ours.batch(comparable)
            for op, one, other in zip(comparable, theirs, answers, strict=True):
                check(reference, op, one, other)
            reference.batch([op for op in comparable if isinstance(op, PutOp)])


async def test_the_same_for_asyncio(database: Any, memory: Any) -> None:
    reference, drawing = InMemoryStore(), Drawing(SEED + 1)
    async with AsyncMemoryClient.local(database, namespace=f"store-{uuid.uuid4()}") as client:
        ours = MemsvcStore(client)
        for ops in drawing.batches(150):
            comparable = [op for op in ops if not reads_what_cannot_be_compared(InMemoryCopy(reference), op)]
            theirs = expected(reference, comparable)
            answers = await ours.abatch(comparable)
            for op, one, other in zip(comparable, theirs, answers, strict=True):
                check(reference, op, one, other)
            reference.batch([op for op in comparable if isinstance(op, PutOp)])


class InMemoryCopy(InMemoryStore):
    """What a store holds, to try something on."""

    __slots__ = ()

    def __init__(self, of: InMemoryStore) -> None:
        super().__init__()
        self._data.update({namespace: dict(items) for namespace, items in of._data.items()})

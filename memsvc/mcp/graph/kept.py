"""The graph as memories of a user: one for each entity, observation and relation, told apart by metadata.

    Sarah (person)                      {"graph": "entity", "entity": "Sarah", "entity_type": "person"}
    Prefers morning meetings  [Sarah]   {"graph": "observation", "entity": "Sarah"}
    Sarah works_at Acme                 {"graph": "relation", "from": "Sarah", "relation_type": "works_at", ...}

So contexts and searches find them as they find any memory. Ids follow from what they name: nothing can be there twice.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeVar
from weakref import WeakValueDictionary

from memsvc.limits import METADATA_BYTES, TEXT_BYTES, TOPIC_BYTES
from memsvc.mcp.faces import Unfit
from memsvc.mcp.graph.model import Entity, Graph, Meaning, Relation
from memsvc_client import Aborted, AsyncUser, Memory, create, delete
from memsvc_client.writing import Operation

T = TypeVar("T")

GRAPH: Final = {"source": "server-memory"}
"""In the metadata of all memories of a graph."""
NAME_BYTES: Final = METADATA_BYTES // 4
_NAMESPACE: Final = uuid.UUID("6d656d73-7663-5f67-8f72-617068000001")
_PART: Final = 500
_PAGE: Final = 1_000
_TRIES: Final = 10
_QUERY_CHARACTERS: Final = 1_000


class Changes:
    """What is to be written of a graph. What is there already is not added, and what is not, not removed."""

    def __init__(self, graph: Graph) -> None:
        self._memory_ids = graph.memory_ids
        # Where a secret was taken out of a text, its memory still has the id of what was given.
        self._taken = set(graph.memory_ids.values())
        self.operations: list[Operation] = []

    def add_entity(self, entity: Entity) -> None:
        """Add an entity without its observations."""
        said = {"graph": "entity", "entity": entity.name, "entity_type": entity.entity_type}
        self._create(f"{entity.name} ({entity.entity_type})", ("entity", entity.name), said, entity.name)

    def add_observation(self, name: str, observation: str) -> bool:
        """Add an observation; return whether it is new."""
        said = {"graph": "observation", "entity": name}
        return self._create(observation, ("observation", name, observation), said, name)

    def add_relation(self, relation: Relation) -> bool:
        """Add a relation; return whether it is new."""
        said = {"from": relation.start, "to": relation.end, "relation_type": relation.relation_type}
        text = f"{relation.start} {relation.relation_type} {relation.end}"
        return self._create(text, ("relation", *said.values()), {"graph": "relation", **said})

    def remove_entity(self, entity: Entity) -> None:
        """Remove an entity with its observations."""
        self._delete(("entity", entity.name))
        for each in dict.fromkeys(entity.observations):
            self.remove_observation(entity.name, each)

    def remove_observation(self, name: str, observation: str) -> None:
        self._delete(("observation", name, observation))

    def remove_relation(self, relation: Relation) -> None:
        self._delete(("relation", relation.start, relation.end, relation.relation_type))

    def _create(self, text: str, meaning: Meaning, said: dict[str, str], name: str = "") -> bool:
        memory_id = _id_of(meaning)
        if meaning in self._memory_ids or memory_id in self._taken:
            return False
        self._taken.add(memory_id)
        topics = [name] if name and len(name.encode()) <= TOPIC_BYTES else []
        self.operations.append(create(text, memory_id=memory_id, topics=topics, metadata={**GRAPH, **said}))
        return True

    def _delete(self, meaning: Meaning) -> None:
        if (memory_id := self._memory_ids.pop(meaning, "")) or (memory_id := _id_of(meaning)) in self._taken:
            self._taken.discard(memory_id)
            self.operations.append(delete(memory_id, allow_missing=True))


class KeptGraph:
    """The graphs of users."""

    def __init__(self) -> None:
        # Calls of one host come at once: those of one user go one after the other, instead of colliding.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def read(self, user: AsyncUser) -> Graph:
        """Return the graph as it is now."""
        memories = [each async for each in user.memories.list({"metadata": GRAPH}, page_size=_PAGE)]
        return _graph_of(sorted(memories, key=lambda memory: memory.number))

    async def change(self, user: AsyncUser, decide: Callable[[Graph, Changes], T]) -> T:
        """Write what `decide` makes of the graph, and return what it returns; once more where somebody else wrote."""
        lock = self._locks.setdefault(repr(user), asyncio.Lock())
        async with lock:
            for left in reversed(range(_TRIES)):
                revision = (await user.stats()).revision
                graph = await self.read(user)
                changes = Changes(graph)
                answer = decide(graph, changes)
                try:
                    for part in _parts(changes.operations):
                        revision = (await user.memories.batch(part, expected_revision=revision)).revision
                except Aborted:
                    if not left:
                        raise
                    continue
                return answer
        raise AssertionError

    async def nearest(self, user: AsyncUser, query: str) -> Sequence[str]:
        """Return the names of entities whose memories share words with a query, best first."""
        hits = await user.memories.search(
            query[:_QUERY_CHARACTERS], method="lexical", limit=20, filter={"metadata": GRAPH}
        )
        return list(dict.fromkeys(hit.metadata["entity"] for hit in hits if "entity" in hit.metadata))


def checked_name(path: str, name: str) -> str:
    """Return a name that can be kept. Raises Unfit."""
    if not name.strip() or len(name.encode()) > NAME_BYTES or "\0" in name:
        raise Unfit(f"{path} must be of 1 to {NAME_BYTES} bytes, and not blank.")
    return name


def checked_observation(path: str, observation: str) -> str:
    """Return an observation that can be kept. Raises Unfit."""
    if not observation.strip() or len(observation.encode()) > TEXT_BYTES or "\0" in observation:
        raise Unfit(f"{path} must be of 1 to {TEXT_BYTES} bytes, and not blank.")
    return observation


def _graph_of(memories: Iterable[Memory]) -> Graph:
    graph = Graph()
    observed: list[tuple[str, str]] = []
    for memory in memories:
        said = memory.metadata
        meaning: Meaning
        match said:
            case {"graph": "entity", "entity": name, "entity_type": entity_type}:
                meaning = ("entity", name)
                graph.entities[name] = Entity(name, entity_type)
            case {"graph": "observation", "entity": name}:
                meaning = ("observation", name, memory.memory)
                observed.append((name, memory.memory))
            case {"graph": "relation", "from": start, "to": end, "relation_type": relation_type}:
                meaning = ("relation", start, end, relation_type)
                graph.relations.append(Relation(start, end, relation_type))
            case _:
                continue
        graph.memory_ids[meaning] = memory.memory_id
    for name, observation in observed:
        if (entity := graph.entities.get(name)) is not None:
            entity.observations.append(observation)
    return graph


def _id_of(meaning: Meaning) -> str:
    return f"graph-{uuid.uuid5(_NAMESPACE, json.dumps(meaning))}"


def _parts(operations: Sequence[Operation]) -> Iterator[Sequence[Operation]]:
    part: list[Operation] = []
    for each in operations:
        if len(part) == _PART:
            yield part
            part = []
        part.append(each)
    if part:
        yield part

"""A knowledge graph: entities with observations, and relations between them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct, field


class Entity(Struct):
    """A thing, and what was observed of it."""

    name: str
    entity_type: str
    observations: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "entityType": self.entity_type, "observations": list(self.observations)}


class Relation(Struct, frozen=True):
    """What one entity has to do with another; names need not be those of entities."""

    start: str
    end: str
    relation_type: str

    def to_dict(self) -> dict[str, Any]:
        return {"from": self.start, "to": self.end, "relationType": self.relation_type}


Meaning = tuple[str, ...]
"""What tells one part of a graph from all others: `("observation", "Sarah", "Prefers mornings")`."""


class Graph(Struct):
    """All of it, in the order in which it was made."""

    entities: dict[str, Entity] = field(default_factory=dict)
    relations: list[Relation] = field(default_factory=list)
    memory_ids: dict[Meaning, str] = field(default_factory=dict)
    """Which memory keeps what."""

    def to_dict(self) -> dict[str, Any]:
        return {
            "entities": [each.to_dict() for each in self.entities.values()],
            "relations": [each.to_dict() for each in self.relations],
        }

    def around(self, names: Iterable[str]) -> Graph:
        """Return the entities of these names, and the relations that begin or end at one of them."""
        # As server-memory does it: of a name that is no entity's, no relation is shown.
        wanted = set(names) & self.entities.keys()
        return Graph(
            {name: entity for name, entity in self.entities.items() if name in wanted},
            [each for each in self.relations if each.start in wanted or each.end in wanted],
        )

    def containing(self, text: str) -> Sequence[str]:
        """Return the names of the entities that hold a text, whatever its case: in name, type or observations."""
        sought = text.lower()
        return [
            each.name
            for each in self.entities.values()
            if any(sought in where.lower() for where in (each.name, each.entity_type, *each.observations))
        ]

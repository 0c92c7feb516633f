"""The nine tools of server-memory, by its names and in its forms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mcp import types


def _string(description: str = "") -> dict[str, Any]:
    return {"type": "string", **({"description": description} if description else {})}


def _strings(description: str) -> dict[str, Any]:
    return {"type": "array", "items": {"type": "string"}, "description": description}


def _object(**properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item}


_ENTITY: Final = _object(
    name=_string("The name of the entity"),
    entityType=_string("The type of the entity"),
    observations=_strings("An array of observation contents associated with the entity"),
)
_RELATION: Final = _object(
    **{
        "from": _string("The name of the entity where the relation starts"),
        "to": _string("The name of the entity where the relation ends"),
        "relationType": _string("The type of the relation"),
    }
)
_GRAPH: Final = _object(entities=_list(_ENTITY), relations=_list(_RELATION))
_DONE: Final = _object(success={"type": "boolean"}, message=_string())
_NAME: Final = _string("The name of the entity")


def _tool(
    name: str,
    description: str,
    takes: dict[str, Any],
    answers: dict[str, Any],
    *,
    reads: bool = False,
    removes: bool = False,
) -> types.Tool:
    title = name.replace("_", " ").title()
    return types.Tool(
        name=name,
        title=title,
        description=description,
        input_schema=takes,
        output_schema=answers,
        annotations=types.ToolAnnotations(
            title=title,
            read_only_hint=reads,
            destructive_hint=removes,
            idempotent_hint=reads or removes,
            open_world_hint=False,
        ),
    )


READING: Final[Sequence[types.Tool]] = (
    _tool("read_graph", "Read the entire knowledge graph", _object(), _GRAPH, reads=True),
    _tool(
        "search_nodes",
        "Search for nodes in the knowledge graph based on a query",
        _object(query=_string("The search query to match against entity names, types, and observation content")),
        _GRAPH,
        reads=True,
    ),
    _tool(
        "open_nodes",
        "Open specific nodes in the knowledge graph by their names",
        _object(names=_strings("An array of entity names to retrieve")),
        _GRAPH,
        reads=True,
    ),
)
WRITING: Final[Sequence[types.Tool]] = (
    _tool(
        "create_entities",
        "Create multiple new entities in the knowledge graph",
        _object(entities=_list(_ENTITY)),
        _object(entities=_list(_ENTITY)),
    ),
    _tool(
        "create_relations",
        "Create multiple new relations between entities in the knowledge graph. Relations should be in active voice",
        _object(relations=_list(_RELATION)),
        _object(relations=_list(_RELATION)),
    ),
    _tool(
        "add_observations",
        "Add new observations to existing entities in the knowledge graph",
        _object(
            observations=_list(_object(entityName=_NAME, contents=_strings("An array of observation contents to add")))
        ),
        _object(results=_list(_object(entityName=_string(), addedObservations=_strings("Those that were new")))),
    ),
    _tool(
        "delete_entities",
        "Delete multiple entities and their associated relations from the knowledge graph",
        _object(entityNames=_strings("An array of entity names to delete")),
        _DONE,
        removes=True,
    ),
    _tool(
        "delete_observations",
        "Delete specific observations from entities in the knowledge graph",
        _object(
            deletions=_list(_object(entityName=_NAME, observations=_strings("An array of observations to delete")))
        ),
        _DONE,
        removes=True,
    ),
    _tool(
        "delete_relations",
        "Delete multiple relations from the knowledge graph",
        _object(relations=_list(_RELATION)),
        _DONE,
        removes=True,
    ),
)

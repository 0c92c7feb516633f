"""What server-memory's users know: its tools, its answers, its resource.

It answers as server-memory does, but for this: the same observation is kept once in an entity, names and observations
are not blank, and where no entity holds the words of a search as they stand, those are found that share some of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from mcp import types

from memsvc.mcp.faces import Arguments, NotThere, Unfit, answered
from memsvc.mcp.graph import arguments as given_in
from memsvc.mcp.graph.kept import Changes, KeptGraph
from memsvc.mcp.graph.model import Entity, Graph
from memsvc.mcp.graph.tools import READING, WRITING
from memsvc.mcp.whose import Whose
from memsvc_client import AsyncUser

_URI: Final = "memory://knowledge-graph"
_MOST_CHARACTERS: Final = 4_000_000


class GraphFace:
    """A user's knowledge graph."""

    name = "memory-server"
    title = "Knowledge graph"
    instructions = (
        "A knowledge graph of entities, their observations and the relations between them, kept between conversations."
        " Search it before you answer something personal; add what will still matter later."
    )

    def __init__(self) -> None:
        self._kept = KeptGraph()

    async def tools(self, user: AsyncUser, whose: Whose) -> Sequence[types.Tool]:
        return [*WRITING, *READING] if whose.may_write else READING

    async def call(self, user: AsyncUser, whose: Whose, name: str, arguments: Arguments) -> types.CallToolResult:
        allowed = [tool.name for tool in await self.tools(user, whose)]
        if name not in allowed:
            raise NotThere(f"There is no such tool here. There are: {', '.join(allowed)}.")
        match name:
            case "create_entities":
                return await self._create_entities(user, arguments)
            case "create_relations":
                return await self._create_relations(user, arguments)
            case "add_observations":
                return await self._add_observations(user, arguments)
            case "delete_entities":
                return await self._delete_entities(user, arguments)
            case "delete_observations":
                return await self._delete_observations(user, arguments)
            case "delete_relations":
                return await self._delete_relations(user, arguments)
            case "search_nodes":
                return _shown(await self._search(user, given_in.query(arguments)))
            case "open_nodes":
                wanted = given_in.names(arguments, "names")
                return _shown((await self._kept.read(user)).around(wanted))
            case _:
                return _shown(await self._kept.read(user))

    def resources(self, whose: Whose) -> Sequence[types.Resource]:
        return [
            types.Resource(
                name="knowledge-graph",
                title="Knowledge Graph",
                uri=_URI,
                description="The full knowledge graph with all entities and relations",
                mime_type="application/json",
            )
        ]

    def templates(self) -> Sequence[types.ResourceTemplate]:
        return []

    async def read(self, user: AsyncUser, whose: Whose, uri: str) -> types.TextResourceContents:
        if uri != _URI:
            raise NotThere("There is no such resource here: resources/list names those that there are.")
        text = _json((await self._kept.read(user)).to_dict())
        return types.TextResourceContents(uri=uri, mime_type="application/json", text=text)

    def prompts(self, whose: Whose) -> Sequence[types.Prompt]:
        return []

    async def prompt(
        self, user: AsyncUser, whose: Whose, name: str, arguments: Mapping[str, str]
    ) -> types.GetPromptResult:
        raise NotThere("There are no prompts here.")

    async def _create_entities(self, user: AsyncUser, arguments: Arguments) -> types.CallToolResult:
        given = given_in.entities(arguments)

        def decide(graph: Graph, changes: Changes) -> list[Entity]:
            created: dict[str, Entity] = {}
            for each in given:
                if each.name in graph.entities or each.name in created:
                    continue
                entity = Entity(each.name, each.entity_type, list(dict.fromkeys(each.observations)))
                created[each.name] = entity
                changes.add_entity(entity)
                for observation in entity.observations:
                    changes.add_observation(entity.name, observation)
            return list(created.values())

        created = [each.to_dict() for each in await self._kept.change(user, decide)]
        return answered(_json(created), {"entities": created})

    async def _create_relations(self, user: AsyncUser, arguments: Arguments) -> types.CallToolResult:
        given = given_in.relations(arguments)

        def decide(graph: Graph, changes: Changes) -> list[dict[str, Any]]:
            return [each.to_dict() for each in given if changes.add_relation(each)]

        created = await self._kept.change(user, decide)
        return answered(_json(created), {"relations": created})

    async def _add_observations(self, user: AsyncUser, arguments: Arguments) -> types.CallToolResult:
        given = given_in.observations(arguments, "observations", "contents")

        def decide(graph: Graph, changes: Changes) -> list[dict[str, Any]]:
            results = []
            for path, name, contents in given:
                if name not in graph.entities:
                    raise Unfit(f"{path}.entityName is no entity of the graph: create_entities makes one.")
                added = [each for each in contents if changes.add_observation(name, each)]
                results.append({"entityName": name, "addedObservations": added})
            return results

        results = await self._kept.change(user, decide)
        return answered(_json(results), {"results": results})

    async def _delete_entities(self, user: AsyncUser, arguments: Arguments) -> types.CallToolResult:
        wanted = set(given_in.names(arguments, "entityNames"))

        def decide(graph: Graph, changes: Changes) -> None:
            for name in wanted & graph.entities.keys():
                changes.remove_entity(graph.entities[name])
            for relation in graph.relations:
                if relation.start in wanted or relation.end in wanted:
                    changes.remove_relation(relation)

        await self._kept.change(user, decide)
        return _done("Entities deleted successfully")

    async def _delete_observations(self, user: AsyncUser, arguments: Arguments) -> types.CallToolResult:
        given = given_in.observations(arguments, "deletions", "observations")

        def decide(graph: Graph, changes: Changes) -> None:
            for _, name, texts in given:
                for text in texts:
                    changes.remove_observation(name, text)

        await self._kept.change(user, decide)
        return _done("Observations deleted successfully")

    async def _delete_relations(self, user: AsyncUser, arguments: Arguments) -> types.CallToolResult:
        given = given_in.relations(arguments)

        def decide(graph: Graph, changes: Changes) -> None:
            for each in given:
                changes.remove_relation(each)

        await self._kept.change(user, decide)
        return _done("Relations deleted successfully")

    async def _search(self, user: AsyncUser, query: str) -> Graph:
        graph = await self._kept.read(user)
        return graph.around(graph.containing(query) or (await self._kept.nearest(user, query) if query.strip() else ()))


def _shown(graph: Graph) -> types.CallToolResult:
    whole = graph.to_dict()
    text = _json(whole)
    if len(text) > _MOST_CHARACTERS:
        raise Unfit("That is more than a call answers: look with search_nodes or open_nodes for less.")
    return answered(text, whole)


def _done(message: str) -> types.CallToolResult:
    return answered(message, {"success": True, "message": message})


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)

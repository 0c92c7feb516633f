"""`memsvc mcp --as server-memory`: a knowledge graph that is kept as memories."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import jsonschema
import pytest

from memsvc_client import MemoryClient
from tests.integration.mcp.mcp_hosts import MODES, flags_of, over_stdio, said_of, text_of

FACE = ("--as", "server-memory")


def entity(name: str, entity_type: str, *observations: str) -> dict[str, Any]:
    return {"name": name, "entityType": entity_type, "observations": list(observations)}


def relation(start: str, relation_type: str, end: str) -> dict[str, str]:
    return {"from": start, "to": end, "relationType": relation_type}


SARAH = entity("Sarah", "person", "Prefers morning meetings", "  Plays\nthe cello  ", "Speaks 日本語")
ACME = entity("Acme", "company")
WORKS = relation("Sarah", "works_at", "Acme")


@pytest.mark.parametrize("mode", MODES)
async def test_a_graph_is_made_read_searched_and_taken_apart(
    service: MemoryClient, target: str, user_id: str, mode: str
) -> None:
    async with over_stdio(*flags_of(target, user_id), *FACE, mode=mode) as host:
        tools = {tool.name: tool for tool in (await host.list_tools()).tools}

        async def call(name: str, **arguments: Any) -> Any:
            answer = await host.call_tool(name, arguments)
            assert not answer.is_error, text_of(answer)
            jsonschema.validate(answer.structured_content, tools[name].output_schema or {})
            return answer.structured_content

        assert (await call("create_entities", entities=[SARAH, ACME, SARAH]))["entities"] == [SARAH, ACME]
        assert (await call("create_entities", entities=[entity("Sarah", "robot")]))["entities"] == []
        assert (await call("create_relations", relations=[WORKS, WORKS]))["relations"] == [WORKS]
        added = await call("add_observations", observations=[{"entityName": "Acme", "contents": ["Sells anvils"] * 2}])
        assert added["results"] == [{"entityName": "Acme", "addedObservations": ["Sells anvils"]}]
        graph = {"entities": [SARAH, entity("Acme", "company", "Sells anvils")], "relations": [WORKS]}
        assert await call("read_graph") == graph
        assert await call("open_nodes", names=["Acme", "Nobody"]) == {**graph, "entities": graph["entities"][1:]}
        assert (await call("search_nodes", query="CELLO"))["entities"] == [SARAH]
        assert (await call("search_nodes", query="Who has meetings in the mornings?"))["entities"] == [SARAH]
        assert await call("search_nodes", query="zeppelin") == {"entities": [], "relations": []}
        (resource,) = (await host.list_resources()).resources
        assert json.loads((await host.read_resource(str(resource.uri))).contents[0].text) == graph  # type: ignore[union-attr]

        await call("delete_observations", deletions=[{"entityName": "Acme", "observations": ["Sells anvils", "None"]}])
        await call("delete_relations", relations=[WORKS, WORKS])
        await call("delete_entities", entityNames=["Sarah", "Nobody"])
        assert await call("read_graph") == {"entities": [ACME], "relations": []}
        assert (await call("create_entities", entities=[SARAH]))["entities"] == [SARAH]

    assert [tool.annotations.destructive_hint for tool in tools.values() if tool.annotations] == [
        *(False, False, False, True, True, True, False, False, False)
    ]


async def test_the_graph_is_there_after_a_restart_and_is_found_as_memories_are(
    service: MemoryClient, target: str, user_id: str
) -> None:
    async with over_stdio(*flags_of(target, user_id), *FACE) as host:
        await host.call_tool("create_entities", {"entities": [SARAH, ACME]})
        await host.call_tool("create_relations", {"relations": [WORKS]})
    async with over_stdio(*flags_of(target, user_id), *FACE, "--read-only") as host:
        read = (await host.call_tool("read_graph", {})).structured_content
        assert "There is no such tool here" in await said_of(host, "delete_entities", {"entityNames": ["Sarah"]})

    assert read == {"entities": [SARAH, ACME], "relations": [WORKS]}
    assert "Prefers morning meetings" in service.user(user_id).context(query="When does she like to meet?").text
    assert service.user(user_id).memories.search("Acme")[0].memory


async def test_hosts_that_write_at_once_lose_nothing_and_double_nothing(
    service: MemoryClient, target: str, user_id: str
) -> None:
    async with (
        over_stdio(*flags_of(target, user_id), *FACE) as one,
        over_stdio(*flags_of(target, user_id), *FACE, mode="legacy") as other,
    ):
        await one.call_tool("create_entities", {"entities": [entity("Sarah", "person")]})
        calls = [
            host.call_tool(
                "add_observations",
                {"observations": [{"entityName": "Sarah", "contents": ["Of all", f"Fact {number}"]}]},
            )
            for number in range(8)
            for host in (one, other)
        ]
        answers = await asyncio.gather(*calls)
        graph = (await one.call_tool("read_graph", {})).structured_content

    assert not any(answer.is_error for answer in answers)
    (sarah,) = graph["entities"]
    assert sorted(sarah["observations"]) == [*(f"Fact {number}" for number in range(8)), "Of all"]
    added = [each for answer in answers for each in answer.structured_content["results"][0]["addedObservations"]]
    assert sorted(added) == sorted(sarah["observations"])


async def test_a_secret_in_an_observation_is_not_kept_and_the_observation_can_be_deleted(
    service: MemoryClient, target: str, user_id: str
) -> None:
    secret = "The password is hunter2-Zebra!9"
    async with over_stdio(*flags_of(target, user_id), *FACE) as host:
        for _ in range(2):
            await host.call_tool("create_entities", {"entities": [entity("Vault", "place", secret)]})
            again = {"observations": [{"entityName": "Vault", "contents": [secret]}]}
            added = (await host.call_tool("add_observations", again)).structured_content
            assert added["results"][0]["addedObservations"] == []
            (vault,) = (await host.call_tool("read_graph", {})).structured_content["entities"]
            await host.call_tool("delete_entities", {"entityNames": ["Vault"]})
            assert "hunter2" not in json.dumps(vault)
            assert len(vault["observations"]) == 1

    assert list(service.user(user_id).memories.list()) == []


HOSTILE: list[tuple[str, Any]] = [
    ("create_entities", {}),
    ("create_entities", {"entities": "hush-4711"}),
    ("create_entities", {"entities": ["hush-4711"]}),
    ("create_entities", {"entities": [{"name": "hush-4711"}]}),
    ("create_entities", {"entities": [entity("hush-4711" * 200, "x")]}),
    ("create_entities", {"entities": [entity("  ", "hush-4711")]}),
    ("create_entities", {"entities": [entity("a", "b", "hush-4711" * 1_000)]}),
    ("create_entities", {"entities": [{**ACME, "observations": [{"hush-4711": 1}]}]}),
    ("create_relations", {"relations": [{"from": "hush-4711", "to": None, "relationType": 1}]}),
    ("add_observations", {"observations": [{"entityName": "hush-4711", "contents": ["a"]}]}),
    ("delete_entities", {"entityNames": {"hush-4711": 1}}),
    ("search_nodes", {"query": ["hush-4711"]}),
    ("open_nodes", {"names": [["hush-4711"]]}),
    ("hush-4711", {}),
]


async def test_hostile_arguments_are_errors_that_repeat_no_value_and_change_nothing(target: str, user_id: str) -> None:
    async with over_stdio(*flags_of(target, user_id), *FACE) as host:
        for name, arguments in HOSTILE:
            said = await said_of(host, name, arguments)
            assert said
            assert "hush-4711" not in said
        long = await host.call_tool("search_nodes", {"query": "hush-4711 " * 2_000})
        read = (await host.call_tool("read_graph", {})).structured_content

    assert long.structured_content == read == {"entities": [], "relations": []}

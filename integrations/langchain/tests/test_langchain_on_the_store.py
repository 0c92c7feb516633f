"""LangMem and deepagents keep what they keep in our store, and read it back in another process's place."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from deepagents.backends import StoreBackend
from deepagents.backends.utils import create_file_data
from langmem import create_manage_memory_tool, create_search_memory_tool

from memsvc_client import MemoryClient
from memsvc_langgraph import MemsvcStore

CONFIG = {"configurable": {"user": "ada"}}


@pytest.fixture
def namespace() -> str:
    return f"store-{uuid.uuid4()}"


@pytest.fixture
def store(database: Any, memory: Any, namespace: str) -> Iterator[MemsvcStore]:
    with MemoryClient.local(database, namespace=namespace) as client:
        yield MemsvcStore(client)


@pytest.fixture
def again(database: Any, namespace: str, store: Any) -> Iterator[MemsvcStore]:
    """The same store, as another process has it."""
    with MemoryClient.local(database, namespace=namespace) as client:
        yield MemsvcStore(client)


def test_langmem_keeps_finds_changes_and_deletes_its_memories(store: MemsvcStore, again: MemsvcStore) -> None:
    manage = create_manage_memory_tool(("memories", "{user}"), store=store)
    answer = manage.invoke({"action": "create", "content": "Skis at Tahoe every winter"}, CONFIG)
    memory_id = answer.rpartition(" ")[2]
    manage.invoke({"action": "create", "content": "Allergic to peanuts"}, CONFIG)
    search = create_search_memory_tool(("memories", "{user}"), store=again)
    found = json.loads(search.invoke({"query": "winter sports", "limit": 1}, CONFIG))
    assert [each["value"]["content"] for each in found] == ["Skis at Tahoe every winter"]
    manage.invoke({"action": "update", "id": memory_id, "content": "Skis at Kirkwood"}, CONFIG)
    assert again.get(("memories", "ada"), memory_id).value["content"] == "Skis at Kirkwood"  # type: ignore[union-attr]
    manage.invoke({"action": "delete", "id": memory_id}, CONFIG)
    assert [each.value["content"] for each in again.search(("memories",))] == ["Allergic to peanuts"]


def test_deepagents_keeps_its_files_small_and_large(store: MemsvcStore, again: MemsvcStore) -> None:
    long = "\n".join(f"line {number} of {uuid.uuid4()}" for number in range(2_000))
    files = StoreBackend(store=store, namespace=lambda _: ("filesystem", "ada"))
    assert files.write("/notes/trip.md", "Lyon, then Oslo").error is None
    assert files.write("/notes/long.md", long).error is None
    assert files.edit("/notes/trip.md", "Oslo", "Bergen").error is None
    others = StoreBackend(store=again, namespace=lambda _: ("filesystem", "ada"))
    kept = again.get(("filesystem", "ada"), "/notes/long.md")
    assert kept is not None
    assert kept.value["content"] == create_file_data(long)["content"]
    assert "Bergen" in str(others.read("/notes/trip.md"))
    assert {each["path"] for each in others.ls("/notes").entries or ()} == {"/notes/trip.md", "/notes/long.md"}
    assert len(others.grep("line 1999 of", "/notes").matches or ()) == 1

"""What the differential test does not draw: time to live, searching, large values, and what memsvc shows of items."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any, TypedDict

import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.store.base import BaseStore, GetOp, InvalidNamespaceError, PutOp

from memsvc_client import AsyncMemoryClient, ClientMisused, MemoryClient, Unavailable
from memsvc_langgraph import MemsvcStore

SECONDS = 30.0
ADA = ("memories", "ada")


@pytest.fixture
def client(database: Any, memory: Any) -> Iterator[MemoryClient]:
    with MemoryClient.local(database, namespace=f"store-{uuid.uuid4()}") as client:
        yield client


@pytest.fixture
def store(client: MemoryClient) -> MemsvcStore:
    return MemsvcStore(client)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline


def test_a_search_finds_by_words_what_fits_best_first_and_the_rest_after(store: MemsvcStore) -> None:
    store.put(ADA, "k1", {"text": "Skis at Tahoe every winter"})
    store.put(ADA, "k2", {"text": "Allergic to peanuts"})
    store.put((*ADA, "deep"), "k3", {"text": "Ski boots of size 40", "hidden": "peanuts"}, index=["text"])
    store.put(("memories", "ben"), "k1", {"text": "Skis too"})
    found = store.search(ADA, query="winter sports: ski", limit=10)
    assert [each.key for each in found[:1]] == ["k1"]
    assert {each.key for each in found} == {"k1", "k2", "k3"}
    assert found[0].score is not None
    assert [each.key for each in store.search(ADA, query="peanuts", limit=1)] == ["k2"]
    assert [each.key for each in store.search((*ADA, "deep"), query="boots")] == ["k3"]
    assert store.search(ADA, query="peanuts", filter={"text": "none"}) == []


def test_what_is_not_to_be_indexed_is_found_by_no_word_but_is_there(store: MemsvcStore) -> None:
    store.put(ADA, "k1", {"text": "Skis at Tahoe"}, index=False)
    [found] = store.search(ADA, query="Tahoe")
    assert found.score is None or found.score == 0
    assert found.value == {"text": "Skis at Tahoe"}


def test_an_item_ends_after_its_time(store: MemsvcStore) -> None:
    store.put(ADA, "short", {"n": 1}, ttl=0.001)
    store.put(ADA, "long", {"n": 2}, ttl=60)
    until(lambda: store.get(ADA, "short", refresh_ttl=False) is None)
    assert [each.key for each in store.search(ADA)] == ["long"]
    store.put(ADA, "long", {"n": 3})
    item = store.get(ADA, "long")
    assert item is not None
    assert item.value == {"n": 3}


@pytest.mark.parametrize("value", [{"n": 1}, {"file": "x" * 50_000 + str(list(range(5_000)))}], ids=["small", "large"])
def test_reading_an_item_lets_it_live_its_whole_time_again(
    client: MemoryClient, store: MemsvcStore, value: dict[str, Any]
) -> None:
    store.put(ADA, "k1", value, ttl=0.5)
    user = client.user("langgraph:memories/ada")

    def ends() -> list[Any]:
        return [each.expire_time for each in user.memories.list()]

    before, written = ends(), store.get(ADA, "k1", refresh_ttl=False)
    assert written is not None
    assert ends() == before
    until(lambda: store.get(ADA, "k1") is not None and min(ends()) > max(before))
    read = store.get(ADA, "k1", refresh_ttl=False)
    assert read is not None
    assert (read.value, read.created_at, read.updated_at) == (value, written.created_at, written.updated_at)


def test_a_configured_time_to_live_is_that_of_every_item(client: MemoryClient) -> None:
    store = MemsvcStore(client, ttl={"default_ttl": 60, "refresh_on_read": False})
    store.put(ADA, "k1", {"n": 1})
    assert client.user("langgraph:memories/ada").memories.list()[0].expire_time is not None


def test_writing_again_keeps_when_it_was_made(store: MemsvcStore) -> None:
    store.put(ADA, "k1", {"n": 1})
    first = store.get(ADA, "k1")
    store.put(ADA, "k1", {"n": 2})
    second = store.get(ADA, "k1")
    assert first is not None
    assert second is not None
    assert second.created_at == first.created_at
    assert second.updated_at > first.updated_at


def test_a_large_value_leaves_nothing_behind_when_it_becomes_small_or_goes(
    client: MemoryClient, store: MemsvcStore
) -> None:
    memories = client.user("langgraph:memories/ada").memories
    large = {"file": str([uuid.uuid4() for _ in range(500)])}
    store.put(ADA, "k1", large)
    assert len(memories.list()) > 2
    store.put(ADA, "k1", {"n": 1})
    assert len(memories.list()) == 1
    store.put(ADA, "k1", large)
    store.delete(ADA, "k1")
    assert len(memories.list()) == 0


def test_a_large_value_is_read_whole_while_it_is_written(store: MemsvcStore) -> None:
    values = [{"file": str([(number, uuid.uuid4()) for _ in range(200 * (number + 1))])} for number in range(3)]
    store.put(ADA, "k1", values[0])
    done = threading.Event()

    def write() -> None:
        for turn in range(30):
            store.put(ADA, "k1", values[turn % 3])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while not done.is_set():
            item = store.get(ADA, "k1")
            assert item is not None
            assert item.value in values
            [found] = store.search(ADA)
            assert found.value in values
    finally:
        writer.join()


def test_what_json_does_not_hold_is_refused_by_its_place(store: MemsvcStore) -> None:
    with pytest.raises(TypeError, match=r"value\.a\[1\] must be what JSON holds, not set"):
        store.put(ADA, "k1", {"a": [1, {2}]})
    with pytest.raises(TypeError, match="value has a key that is no string: 1"):
        store.put(ADA, "k1", {1: "a"})  # type: ignore[dict-item]
    with pytest.raises(InvalidNamespaceError):
        store.batch([PutOp(("a.b",), "k1", {"n": 1})])
    with pytest.raises(InvalidNamespaceError):
        store.batch([GetOp(("",), "k1")])
    assert store.search(()) == []


def test_secrets_are_kept_in_the_value_and_not_in_what_is_searched(client: MemoryClient, store: MemsvcStore) -> None:
    value = {"text": "my password is hunter2hunter2"}
    store.put(ADA, "k1", value)
    item = store.get(ADA, "k1")
    assert item is not None
    assert item.value == value
    assert "hunter2" not in client.user("langgraph:memories/ada").memories.list()[0].memory


def test_a_value_that_is_nothing_but_secrets_is_kept(store: MemsvcStore) -> None:
    value = {"keys": ["my password is hunter2hunter2"] * 2_000}
    store.put(ADA, "k1", value)
    store.batch([PutOp(ADA, f"k{number}", value) for number in range(2, 5)])
    assert [each.value for each in store.search(ADA)] == [value] * 4


def test_nobody_else_is_shown_what_is_in_the_store(client: MemoryClient, store: MemsvcStore) -> None:
    client.user("ada").memories.add("Lives in Lyon")
    store.put(ADA, "k1", {"text": "Skis at Tahoe"})
    assert "Tahoe" not in client.user("ada").context(query="Tahoe").text
    assert [each.memory for each in client.user("ada").memories.list()] == ["Lives in Lyon"]
    assert store.list_namespaces() == [ADA]
    assert [each.key for each in store.search(())] == ["k1"]


def test_items_are_not_merged_however_alike_they_are(client: MemoryClient, store: MemsvcStore) -> None:
    for key in ("k1", "k2", "k3"):
        store.put(ADA, key, {"text": "Skis at Tahoe"})
    client.user("langgraph:memories/ada").memories.consolidate(wait=True)
    assert len(store.search(ADA)) == 3


def test_labels_too_long_for_an_id_have_items_too(store: MemsvcStore) -> None:
    deep = ("ł" * 100, "x" * 300, *"abcdefghijklmnop")
    store.put(deep, "k1", {"n": 1})
    store.put(deep[:-1], "k1", {"n": 2})
    assert store.get(deep, "k1").value == {"n": 1}  # type: ignore[union-attr]
    assert [each.value for each in store.search(deep)] == [{"n": 1}]
    assert len(store.search(deep[:1])) == 2
    assert store.list_namespaces(prefix=deep[:2]) == sorted([deep, deep[:-1]])


def test_items_of_the_same_digests_are_told_apart(store: MemsvcStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put(("memories", "ada", "x"), "k1", {"n": 1})
    # Whatever two labels share of their digests: what is below another prefix is not shown.
    monkeypatch.setattr("memsvc_langgraph.places.Places.path", lambda *_: "item")
    assert store.search(("memories", "ada", "y")) == []


async def test_an_asyncio_client_serves_asyncio_and_a_blocking_one_both(database: Any, store: MemsvcStore) -> None:
    await store.aput(ADA, "k1", {"n": 1})
    assert (await store.aget(ADA, "k1")).value == {"n": 1}  # type: ignore[union-attr]
    async with AsyncMemoryClient.local(database, namespace=f"store-{uuid.uuid4()}") as client:
        theirs = MemsvcStore(client)
        await asyncio.gather(*(theirs.aput(("memories", name), "k", {"of": name}) for name in ("ada", "ben")))
        found = await asyncio.gather(*(theirs.asearch(("memories", name)) for name in ("ada", "ben")))
        assert [[each.value for each in items] for items in found] == [[{"of": "ada"}], [{"of": "ben"}]]
        with pytest.raises(ClientMisused, match="begin with a"):
            theirs.get(ADA, "k1")


def test_a_store_that_is_down_says_so(nowhere: MemoryClient) -> None:
    with pytest.raises(Unavailable):
        MemsvcStore(nowhere).get(ADA, "k1")


def test_a_graph_keeps_what_its_nodes_put(store: MemsvcStore) -> None:
    class State(TypedDict):
        count: int

    def node(state: State, *, store: BaseStore) -> State:
        before = store.get(("counts",), "n")
        count = (before.value["n"] if before else 0) + 1
        store.put(("counts",), "n", {"n": count})
        return {"count": count}

    builder = StateGraph(State)
    builder.add_node("node", node)
    builder.add_edge(START, "node")
    builder.add_edge("node", END)
    graph = builder.compile(store=store)
    assert [graph.invoke({"count": 0})["count"] for _ in range(3)] == [1, 2, 3]

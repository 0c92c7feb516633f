"""A graph whose nodes keep what they find out in a store that outlives its process."""

from typing import TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.store.base import BaseStore

from memsvc_client import MemoryClient
from memsvc_langgraph import MemsvcStore


class Trip(TypedDict):
    user: str
    wish: str
    ideas: list[str]


def remember(trip: Trip, *, store: BaseStore) -> None:
    store.put(("wishes", trip["user"]), trip["wish"], {"text": trip["wish"]}, index=["text"])


def suggest(trip: Trip, *, store: BaseStore) -> dict[str, list[str]]:
    found = store.search(("wishes", trip["user"]), query=trip["wish"], limit=3)
    return {"ideas": [item.value["text"] for item in found]}


def graph_on(client: MemoryClient):
    builder = StateGraph(Trip)
    builder.add_node("suggest", suggest)
    builder.add_node("remember", remember)
    builder.add_edge(START, "suggest")
    builder.add_edge("suggest", "remember")
    builder.add_edge("remember", END)
    return builder.compile(store=MemsvcStore(client))


with MemoryClient.local("tmp/langgraph.db", namespace="store") as client:
    graph_on(client).invoke({"user": "sarah", "wish": "Skiing at Tahoe in winter", "ideas": []})

with MemoryClient.local("tmp/langgraph.db", namespace="store") as client:  # another day, another process
    trip = graph_on(client).invoke({"user": "sarah", "wish": "Something for winter", "ideas": []})
    print(trip["ideas"])
    assert trip["ideas"] == ["Skiing at Tahoe in winter"]
    stranger = graph_on(client).invoke({"user": "ben", "wish": "Something for winter", "ideas": []})
    assert stranger["ideas"] == []

"""What is purged or erased is found by no method, and is in no file of the database.

A purge of a memory takes what is remembered of it, and the summaries of the session that it came from. What was said in
that session stays until the session is deleted: docs/security.md has who takes what.
"""

from __future__ import annotations

import base64
import enum
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from memsvc.search.embedders.static import StaticEmbedder
from memsvc.search.postings import term_codes
from memsvc.search.text import shared_analyzer
from memsvc_client import Consistency, ContextHistory, Memory, MemoryClient, MemoryServiceError, User

SECRET = "quicksilver"
OTHERS = ("marmalade", "Zanzibar", "chrysanthemum")
WORDS = (SECRET, *OTHERS)
SAID = f"I live in Zanzibar. The {SECRET} {OTHERS[0]} for the offsite in Lisbon is behind the chrysanthemum."
SAID_TOO = "The offsite in Lisbon is in the second week of June, and Priya books the flights."
SETTINGS = {
    "engine": "rules",
    "embedder": "static",
    "quiet_seconds": 0,
    "poll_seconds": 0.05,
    "embed_after_seconds": 0,
    "store_vectors_after_seconds": 0,
    "store_vectors_from_memories": 0,
}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[MemoryClient]:
    with MemoryClient.local(tmp_path / "memory.db", **SETTINGS) as client:  # type: ignore[arg-type]
        yield client


def remember(user: User) -> str:
    """Write a memory that has the words in each of its parts, and has had others before."""
    memory_id = user.memories.add(
        f"Keeps the {SECRET} in Zanzibar",
        layer="profile",
        key="hiding.place",
        value=["chrysanthemum"],
        topics=["marmalade"],
        metadata={"colour": SECRET},
        input=f"my {SECRET} is in Zanzibar",
    )
    user.memories.update(memory_id, text=f"Keeps the {SECRET} elsewhere", topics=["marmalade", "chrysanthemum"])
    user.memories.add("Likes tea")
    return memory_id


def talk(user: User) -> None:
    """Say the words in a session; they are learned, summarized, and can be found in the history."""
    user.append_run("s1", [("user", SAID), ("assistant", f"Noted: {SECRET}.")], wait=True)
    user.append_run("s1", [("user", SAID_TOO)], wait=True)
    user.append_run("s2", [("user", "Nothing of this is secret.")], wait=True)
    summary = user.summarize("s1").summary
    assert summary is not None


def found_by(user: User) -> dict[str, str]:
    """Return, by method, all that is found where the words are looked for in every way there is."""
    asked = f"{SECRET} {' '.join(OTHERS)}"
    dated = {"include_superseded": True}
    ways: dict[str, Callable[[], object]] = {
        "list": lambda: list(user.memories.list(filter=dated)),
        "document": lambda: user.get(),
        "topics": lambda: list(user.topics()),
        "changes": lambda: list(user.changes()),
        "context": lambda: user.context(query=asked, recall=True).text,
        "context with history": lambda: user.context(query=asked, history=ContextHistory(session_id="s1", last_runs=1)),
        "history": lambda: (user.history("s1", last_runs=50), user.history("s1", last_runs=1).summary),
        "runs": lambda: list(user.runs()),
        "sessions": lambda: list(user.sessions()),
        "extractions": lambda: list(user.extractions.list()),
        "export": lambda: list(user.export()),
        "history search": lambda: user.search_history(asked),
        "tool": lambda: user.call_tool("get_memories", {}),
        "tool search": lambda: user.call_tool("search_memories", {"query": asked}),
        "tool history": lambda: user.call_tool("search_history", {"query": asked}),
    }
    for method in ("lexical", "semantic", "hybrid", "last_n", "first_n"):
        query = "" if method.endswith("_n") else asked
        past = None if method in ("semantic", "hybrid") else dated
        ways[method] = lambda query=query, method=method, past=past: list(  # type: ignore[misc]
            user.memories.search(query, method=method, filter=past)
        )
    for revision in range(user.stats().revision + 1):
        ways[f"revision {revision}"] = lambda revision=revision: at_revision(user, revision)  # type: ignore[misc]
    return {name: shown(way()) for name, way in ways.items()}


def at_revision(user: User, revision: int) -> list[Memory]:
    """Return the memories of then; of an erased user there is no then."""
    try:
        return list(user.memories.list(consistency=Consistency(as_of_revision=revision)))
    except MemoryServiceError as error:
        if error.reason != "HISTORY_TRIMMED":
            raise
        return []


def shown(what: object) -> str:
    """Return an answer of the client as text, with all that is in it."""
    if isinstance(what, Mapping):
        return shown([*what.keys(), *what.values()])
    if isinstance(what, list | tuple):
        return " ".join(map(shown, what))
    if type(what).__module__.startswith("memsvc_client") and not isinstance(what, enum.Enum):
        names = {name for kind in type(what).__mro__ for name in getattr(kind, "__slots__", ())}
        names |= set(getattr(what, "__dict__", ()))
        return shown([getattr(what, name) for name in sorted(names) if not name.startswith("_")])
    return f"{what!r} {what}"


def telling(user: User, words: tuple[str, ...] = WORDS) -> list[str]:
    """Return the methods that still tell one of the words."""
    return [name for name, text in found_by(user).items() if any(word.lower() in text.lower() for word in words)]


def traces(folder: Path, words: tuple[str, ...] = WORDS) -> list[str]:
    """Return the files that hold one of the words, the vector of what was said, or its terms as postings are stored."""
    wanted = [word.encode() for word in words]
    wanted += [base64.b64encode(StaticEmbedder().vector(text))[8:200] for text in (SAID,)]
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".log")]
    return [path.name for path in files if any(each in path.read_bytes() for each in wanted)]


def until_quiet(user: User) -> None:
    """Return once nothing is owed: what was written by the way has been written."""
    while any(str(each.state) in ("waiting", "running") for each in user.extractions.list()):
        time.sleep(0.05)


def test_a_purged_memory_that_was_written_is_found_nowhere(client: MemoryClient, tmp_path: Path) -> None:
    sarah = client.user("sarah")
    memory_id = remember(sarah)
    assert {"list", "changes", "lexical", "export", "revision 1"} <= set(telling(sarah))
    assert traces(tmp_path)

    sarah.memories.delete(memory_id, purge=True)

    assert telling(sarah) == []
    assert traces(tmp_path) == []
    assert [hit.memory for hit in sarah.memories.search("tea")] == ["Likes tea"]


def test_cleared_with_purge_nothing_that_ever_was_is_found(client: MemoryClient, tmp_path: Path) -> None:
    sarah = client.user("sarah")
    sarah.memories.delete(remember(sarah))
    remember(sarah)
    sarah.learn([{"role": "user", "content": "I live in Zanzibar", "time": datetime(2024, 1, 5, tzinfo=UTC)}])
    sarah.learn([{"role": "user", "content": "I moved to Oslo", "time": datetime(2025, 1, 5, tzinfo=UTC)}])
    until_quiet(sarah)

    sarah.memories.clear(all=True, purge=True)

    assert telling(sarah) == []
    assert traces(tmp_path) == []


def test_a_session_that_is_purged_takes_what_was_said_summarized_and_learned(
    client: MemoryClient, tmp_path: Path
) -> None:
    sarah = client.user("sarah")
    talk(sarah)
    until_quiet(sarah)
    told = set(telling(sarah))
    assert {"list", "history", "history search", "context", "export", "tool history"} <= told
    assert traces(tmp_path)

    sarah.delete_session("s1", forget_learned=True, purge=True)

    assert telling(sarah) == []
    assert traces(tmp_path) == []
    terms = base64.b64encode(term_codes(sorted(set(shared_analyzer.document_terms(SAID)))))[4:40]
    assert not any(terms in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert "Nothing of this is secret." in shown(sarah.search_history("secret"))


def test_a_purged_memory_leaves_what_was_said_and_no_summary(client: MemoryClient, tmp_path: Path) -> None:
    sarah = client.user("sarah")
    talk(sarah)
    (memory,) = sarah.memories.list(filter={"key_path": "location"})
    sarah.memories.delete(memory.memory_id, purge=True)

    told = set(telling(sarah, ("Zanzibar",)))
    assert told == {"history", "runs", "export", "history search", "context", "context with history", "tool history"}
    assert sarah.history("s1", last_runs=1).summary is None


@pytest.mark.parametrize("way", ["erase", "erase_namespace"])
def test_of_an_erased_user_nothing_is_found(way: str, client: MemoryClient, tmp_path: Path) -> None:
    sarah = client.user("sarah")
    remember(sarah)
    talk(sarah)
    sarah.call_tool("save_memory", {"layer": "knowledge", "text": f"Was told of {SECRET}"})
    sarah.learn([{"role": "user", "content": f"Remember that I collect {SECRET}."}])
    until_quiet(sarah)
    assert traces(tmp_path)

    if way == "erase":
        sarah.erase()
    else:
        client.erase_namespace("default", confirm_namespace="default")

    assert traces(tmp_path) == []
    assert telling(sarah) == []
    assert traces(tmp_path, ("Priya",)) == []

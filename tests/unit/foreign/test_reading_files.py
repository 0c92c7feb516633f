"""Files of other memory systems: what is in them is found, and what makes no sense is named by its place."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import zipfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memsvc.foreign.facts import Damaged, Fact, Found, LeftOut, Turn
from memsvc.foreign.reading import KINDS, Source
from memsvc.model import Layer, Role

MADE = Path(__file__).parents[2] / "foreign_files"


def found(kind: str, path: Path, **how: str) -> Sequence[Found]:
    return list(Source(kind=kind, path=path, **how).read())


def facts(kind: str, path: Path, **how: str) -> Sequence[Fact]:
    return [each for each in found(kind, path, **how) if isinstance(each, Fact)]


def written(folder: Path, content: Any, name: str = "file.json") -> Path:
    path = folder / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def from_sql(name: str, folder: Path) -> Path:
    path = folder / f"{name}.db"
    database = sqlite3.connect(path)
    database.executescript((MADE / f"{name}.sql").read_text())
    database.close()
    return path


def zipped(folder: Path) -> Path:
    path = folder / "bank.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in sorted((MADE / "hindsight").rglob("*.json")):
            archive.write(each, each.relative_to(MADE / "hindsight"))
    return path


def test_hindsights_archive_has_its_facts_with_times_and_tags(tmp_path: Path) -> None:
    everything = found("hindsight", zipped(tmp_path))
    (krakow, nuts, trip) = [each for each in everything if isinstance(each, Fact)]

    assert [each.user_id for each in (krakow, nuts, trip)] == ["sarah"] * 3
    assert krakow.text == "Sarah lives in Kraków."
    assert krakow.valid_from == datetime(2024, 5, 1, tzinfo=UTC)
    assert (krakow.create_time, list(krakow.topics)) == (datetime(2025, 3, 1, 12, tzinfo=UTC), ["home"])
    assert krakow.metadata["hindsight.source"] == "chat"
    assert trip.metadata["hindsight.fact_type"] == "experience"
    assert [each for each in everything if isinstance(each, LeftOut)] == [
        LeftOut("manifest.json", "observations are not imported")
    ]


LETTA = {
    "agents": [{"name": "a", "messages": [{"role": "user"}]}],
    "blocks": [
        {"label": "human", "value": "Name: Sarah\n- Lives in Rome\n\n"},
        {"label": "persona", "value": "I answer concisely."},
        {"label": "project", "value": "Ships in May. " * 900},
        {"label": "empty", "value": "  "},
    ],
}


def test_lettas_blocks_become_lines_of_layers(tmp_path: Path) -> None:
    everything = found("letta", written(tmp_path, LETTA, "agent.af"))
    human = [each for each in everything if isinstance(each, Fact) and each.layer is Layer.PROFILE]
    persona = [each for each in everything if isinstance(each, Fact) and each.layer is Layer.POLICY]
    others = [each for each in everything if isinstance(each, Fact) and each.layer is None]

    assert [each.text for each in human] == ["Name: Sarah", "Lives in Rome"]
    assert [each.text for each in persona] == ["I answer concisely."]
    assert [each.text for each in others] == ["Ships in May."] * 900
    assert {tuple(each.topics) for each in others} == {("project",)}
    assert [each.why for each in everything if isinstance(each, LeftOut)] == [
        "is empty",
        "conversations of the agent are not imported",
    ]
    old = {"core_memory": [{"label": "human", "value": "Is Ben"}]}
    assert [each.text for each in facts("letta", written(tmp_path, old))] == ["Is Ben"]


def node(name: str, parent: str | None, role: str, *parts: Any, **more: Any) -> dict[str, Any]:
    message = {
        "id": name,
        "author": {"role": role},
        "create_time": 1_700_000_000.5,
        "content": {"content_type": "text", "parts": list(parts)},
        "recipient": "all",
        **more,
    }
    return {"id": name, "parent": parent, "children": [], "message": message}


def conversation(*nodes: dict[str, Any], current: str, **more: Any) -> dict[str, Any]:
    root = {"id": "root", "parent": None, "children": [], "message": None}
    tree = {each["id"]: each for each in (root, *nodes)}
    return {"id": "c-1", "title": "Trip", "mapping": tree, "current_node": current, **more}


TRIP = conversation(
    node("s", "root", "system", ""),
    node("u1", "s", "user", "I live in Oslo"),
    node("old", "u1", "assistant", "An answer that was made anew"),
    node("a1", "u1", "assistant", "Nice!"),
    node("t", "a1", "tool", "{}"),
    node("u2", "t", "user", "Plan a trip", {"asset_pointer": "an image"}),
    node("a2", "u2", "assistant", "Sure."),
    current="a2",
)


def test_a_chatgpt_conversation_is_read_from_its_current_node_back(tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("chat.html", "")
        archive.writestr("conversations-000.json", json.dumps([TRIP]))
    for each in (path, written(tmp_path, [TRIP])):
        everything = found("chatgpt", each)
        turns = [one for one in everything if isinstance(one, Turn)]
        assert [[(said.role, said.text) for said in turn.messages] for turn in turns] == [
            [(Role.USER, "I live in Oslo"), (Role.ASSISTANT, "Nice!")],
            [(Role.USER, "Plan a trip"), (Role.ASSISTANT, "Sure.")],
        ]
        assert [turn.run_id for turn in turns] == ["c-1/u1", "c-1/u2"]
        assert [one.why for one in everything if isinstance(one, LeftOut)] == [
            "2 messages of tools, hidden ones or without text are not imported"
        ]


def test_lines_lose_bullets_and_numbers_and_nothing_else(tmp_path: Path) -> None:
    text = "\ufeff# Me\n- Lives in Oslo\n 1. Has 2 cats\n* [x] Likes *bold* plans\n---\n3.5 years at Acme\n\nÜ 🎻\n"
    assert [(each.place, each.text) for each in facts("lines", written(tmp_path, text, "a.md"))] == [
        ("line 2", "Lives in Oslo"),
        ("line 3", "Has 2 cats"),
        ("line 4", "Likes *bold* plans"),
        ("line 6", "3.5 years at Acme"),
        ("line 8", "Ü 🎻"),
    ]


MEMORY = {"memory_id": "1", "memory": "A", "user_id": "u"}
WRONG: list[tuple[str, Any, str]] = [
    ("mem0", [{"memory": ""}], "memory 1: memory must not be empty"),
    ("mem0", [{"memory": {"a": 1}}], "memory 1: memory must be a text"),
    ("mem0", ["a"], "memory 1: must be an object"),
    ("mem0", [{"memory": "a", "created_at": "yesterday"}], "memory 1: created_at must be a time"),
    ("mem0", [{"memory": "a", "created_at": 1e300}], "memory 1: created_at must be a time"),
    ("mem0", [{"memory": "a", "metadata": []}], "memory 1: metadata must be an object"),
    ("mem0", [{"memory": "a\x00"}], "memory 1: memory must not contain NUL"),
    ("mem0", '[{"memory": "\\ud800"}]', "memory 1: memory must be of whole characters"),
    ("mem0", '{"memory": "a"}\n{"memory": \n', "line 2: is no JSON"),
    ("agno", [{**MEMORY, "topics": "{"}], "memory 1: topics: is no JSON"),
    ("agno", [{**MEMORY, "topics": {}}], "memory 1: topics must be a list"),
    ("agno", [{**MEMORY, "updated_at": True}], "memory 1: updated_at must be a time"),
    ("langgraph", [{"namespace": [1], "key": "a", "value": 3}], "item 1: value must be an object"),
    ("graphiti", [{"fact": None}], "edge 1: fact must be a text"),
    ("letta", {"blocks": [3]}, "block 1: must be an object"),
    ("chatgpt", [{"id": "c", "mapping": {"a": {"parent": "a"}}, "current_node": "a"}], "1: is no tree of messages"),
    ("chatgpt", [{"id": "c", "mapping": {}, "current_node": "a"}], "conversation 1: is no tree of messages"),
    ("chatgpt", [{"mapping": {}}], "conversation 1: id must be a text"),
]


@pytest.mark.parametrize(("kind", "content", "said"), WRONG)
def test_what_makes_no_sense_is_named_by_its_place_and_the_rest_is_read(
    tmp_path: Path, kind: str, content: Any, said: str
) -> None:
    how = {"template": "{user}"} if kind == "langgraph" else {}
    (wrong,) = [each for each in found(kind, written(tmp_path, content), **how) if isinstance(each, Damaged)]
    assert str(wrong).endswith(said)


UNREADABLE: list[tuple[str, Any, str]] = [
    ("mem0", "{", "is no JSON"),
    ("mem0", "", "is no JSON"),
    ("mem0", "[" * 100_000, "is no JSON that can be read"),
    ("mem0", '{"results": 3}', "must be a list of memorys"),
    ("mem0", b"\xff\xfe\x00\xd8", "is no UTF-8"),
    ("mem0", b'{"a"\n: "\xff"}', "line 2: is no UTF-8"),
    ("agno", b"SQLite format 3\x00" + b"x" * 200, "cannot be read as a SQLite file"),
    ("letta", "[]", "must be an agent file"),
    ("hindsight", b"PK\x03\x04", "cannot be read as a ZIP archive"),
    ("hindsight", "[]", "cannot be read as a ZIP archive"),
    ("chatgpt", "3", "must be a list of conversations"),
]


@pytest.mark.parametrize(("kind", "content", "said"), UNREADABLE)
def test_a_file_of_another_kind_is_an_error_in_one_sentence(tmp_path: Path, kind: str, content: Any, said: str) -> None:
    with pytest.raises(Damaged) as failure:
        found(kind, written(tmp_path, content))
    assert said in str(failure.value)


def test_a_table_that_is_not_there_is_said_with_those_that_are(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.db") as database:
        database.execute("CREATE TABLE other (memory_id, memory, user_id)")
        database.execute("INSERT INTO other VALUES ('1', '\"A\"', 'u')")
    database.close()
    with pytest.raises(Damaged, match="has no table agno_memories: --table says its name; there are: other"):
        found("agno", tmp_path / "a.db")
    assert [each.text for each in facts("agno", tmp_path / "a.db", table="other")] == ["A"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = ["id", "memory", "user_id", "metadata", "created_at", "updated_at", "topics", "categories", "value", "key"]
NAMES += ["namespace", "prefix", "fact", "valid_at", "invalid_at", "group_id", "blocks", "label", "mapping", "parent"]
NAMES += ["current_node", "message", "author", "role", "content", "parts", "content_type", "results", "core_memory"]
OBJECTS = st.dictionaries(st.sampled_from(NAMES), JSON, max_size=8)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("hindsight", "lines")])
@settings(max_examples=60)
@given(content=st.lists(OBJECTS, max_size=3) | OBJECTS | JSON)
def test_whatever_a_file_holds_is_found_left_out_or_damaged(
    tmp_path_factory: pytest.TempPathFactory, kind: str, content: Any
) -> None:
    path = written(tmp_path_factory.getbasetemp(), content, f"{kind}.json")
    with contextlib.suppress(Damaged):
        assert all(isinstance(each, (Fact, Turn, LeftOut, Damaged)) for each in found(kind, path))


READERS: list[Callable[[Path], Path]] = []

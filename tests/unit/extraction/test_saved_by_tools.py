from __future__ import annotations

import json
from typing import Any

import pytest

from memsvc.extraction.saved import Saved, saved_by_tools
from memsvc.model import Layer, Memory, Message, Origin, Role, Run, TextPart, ToolCallPart, ToolResultPart


def run_with(name: str, *, answer: str = "Saved as m1", is_error: bool = False, **arguments: Any) -> Run:
    """Return a run in which the agent's model called one tool."""
    messages = (
        Message(Role.USER, (TextPart("..."),)),
        Message(Role.ASSISTANT, (ToolCallPart("c1", name, json.dumps(arguments)),)),
        Message(Role.TOOL, (ToolResultPart("c1", (TextPart(answer),), is_error),)),
    )
    return Run(session_id="s1", run_id="r2", index=2, messages=messages, create_time=200)


def work(name: str, **arguments: Any) -> Saved:
    return saved_by_tools((), [run_with(name, **arguments)], 0)


def proposed(text: str, quote: str = "", key: str = "", value: Any = None, layer: Layer = Layer.PROFILE) -> Memory:
    value_json = "" if value is None else json.dumps(value)
    return Memory(memory_id="1", number=0, layer=layer, text=text, input=quote, key=key, value_json=value_json)


PEANUTS = {"layer": "knowledge", "text": "Is allergic to peanuts"}


@pytest.mark.parametrize(
    ("saved", "memory"),
    [
        (PEANUTS, proposed("The user has a peanut allergy.", "I'm allergic to peanuts")),
        (PEANUTS, proposed("The user is allergic to peanuts.", "peanuts, by the way, and I am allergic")),
        ({"layer": "profile", "text": "Lives in Oslo and works at Acme"}, proposed("Lives in Oslo", "I live in Oslo")),
        (
            {"layer": "profile", "text": "Role", "key": "role", "value": "Staff Engineer"},
            proposed("Works as an engineer", "engineer", "role", "engineer"),
        ),
        (
            {"layer": "profile", "text": "Speaks French, Dutch", "key": "languages", "value": ["French", "Dutch"]},
            proposed("Speaks French", "I speak French", "languages", ["french"]),
        ),
        ({"layer": "knowledge", "text": "寿司が好き"}, proposed("寿司が好き", "寿司が好き")),
    ],
)
def test_what_was_saved_is_not_learned_again(saved: dict[str, Any], memory: Memory) -> None:
    assert work("save_memory", **saved).holds(memory)
    assert work("mcp__memsvc__save_memory", **saved).holds(memory)


@pytest.mark.parametrize(
    "memory",
    [
        proposed("The user moved to Oslo.", "I moved to Oslo"),
        proposed("The user is allergic to cats and grass pollen.", "I'm allergic to cats and grass pollen"),
        proposed("Speaks French, German", "I speak French and German", "languages", ["French", "German"]),
    ],
)
def test_everything_else_is_learned(memory: Memory) -> None:
    assert not work("save_memory", **PEANUTS).holds(memory)
    assert not work("save_memory", layer="profile", text="French", key="languages", value=["French"]).holds(memory)


def test_other_tools_and_calls_that_did_nothing_save_nothing() -> None:
    memory = proposed("Is allergic to peanuts", "I'm allergic to peanuts")
    assert not work("search_memories", query="allergic to peanuts").holds(memory)
    assert not work("book_flight", text="Is allergic to peanuts").holds(memory)
    assert not work("save_memory", is_error=True, **PEANUTS).holds(memory)
    assert not work("save_memory", answer="Error: the layer knowledge is off", **PEANUTS).holds(memory)
    assert not saved_by_tools((), [], 0).holds(memory)


def test_a_memory_that_a_tool_changed_is_left_to_it() -> None:
    changed = work("update_memory", number="m7", text="Has three dogs")
    assert changed.holds(proposed("Has 3 dogs", "dogs now"), number=7)
    assert not changed.holds(proposed("Has a cat", "a cat"), number=8)


def test_a_task_is_what_it_says() -> None:
    done = work("update_user_memory", task="update my role: I'm a Staff Engineer now")
    assert done.holds(proposed("Works as a Staff Engineer", "I'm a Staff Engineer now", "role", "Staff Engineer"))
    assert not done.holds(proposed("Works at Acme", "I work at Acme", "company", "Acme"))


@pytest.mark.parametrize(
    ("update_time", "session_id", "covered"), [(150, "s1", True), (90, "s1", False), (150, "s2", False)]
)
def test_an_agent_may_keep_its_calls_to_itself(update_time: int, session_id: str, covered: bool) -> None:
    origin = Origin(session_id=session_id, engine="tool")
    saved = Memory(memory_id="1", number=1, text="Is allergic to peanuts", origin=origin, update_time=update_time)
    run = Run(session_id="s1", run_id="r2", index=2, messages=(), create_time=200)

    assert saved_by_tools([saved], [run], since=100).holds(proposed("Peanut allergy", "allergic to peanuts")) is covered

from __future__ import annotations

import json

import pytest
from context_source import Notebook

from memsvc.document import MAX_VALUE_DEPTH, build_document, value_of
from memsvc.model import Layer, Memory, Polarity


def test_keyed_memories_are_at_their_place_and_texts_under_notes():
    notebook = Notebook()
    notebook.profile("Name is Sarah", "name", "Sarah")
    notebook.profile("Programs in Python and Go", "stack.languages", ["Python", "Go"])
    notebook.profile("Skis at Tahoe")
    notebook.profile("vim", "stack.editor")
    notebook.policy("Wants concise answers", "response_style", "concise")
    notebook.knows("Has a house", "house", {"rooms": 3, "garden": True})

    document = build_document(notebook.source(), (Layer.PROFILE, Layer.POLICY, Layer.KNOWLEDGE, Layer.FEEDBACK))

    assert document == {
        "profile": {
            "name": "Sarah",
            "stack": {"languages": ["Python", "Go"], "editor": "vim"},
            "notes": ["Skis at Tahoe"],
        },
        "policy": {"response_style": "concise"},
        "knowledge": {"house": {"rooms": 3, "garden": True}},
        "feedback": {"positive": [], "negative": []},
    }


def test_feedback_is_told_apart_by_its_polarity():
    notebook = Notebook()
    notebook.feedback("The table helped", Polarity.POSITIVE)
    notebook.feedback("Too long", Polarity.NEGATIVE, "length", "long")
    notebook.feedback("Wrote to support")
    notebook.feedback("Rated it", key="rating", value=4)

    assert build_document(notebook.source(), (Layer.FEEDBACK,)) == {
        "feedback": {
            "rating": 4,
            "positive": ["The table helped"],
            "negative": ["Too long"],
            "notes": ["Wrote to support"],
        }
    }


def test_no_memory_is_an_empty_document():
    notebook = Notebook()
    notebook.profile("Skis at Tahoe")

    assert build_document(Notebook().source(), tuple(Layer)) == {}
    assert build_document(notebook.source(), (Layer.POLICY,)) == {}


def test_a_key_with_the_name_of_a_list_makes_way():
    notebook = Notebook()
    notebook.knows("Keeps notes in Obsidian", "notes.tool", "Obsidian")
    notebook.knows("Likes tea")
    notebook.feedback("Positive about charts", key="positive", value="charts")
    notebook.profile("Is positive", "positive", True)

    document = build_document(notebook.source(), (Layer.KNOWLEDGE, Layer.FEEDBACK, Layer.PROFILE))

    assert document["knowledge"] == {"_notes": {"tool": "Obsidian"}, "notes": ["Likes tea"]}
    assert document["feedback"] == {"_positive": "charts", "positive": [], "negative": []}
    assert document["profile"] == {"positive": True}


def test_a_memory_whose_place_is_taken_is_kept_as_a_note():
    notebook = Notebook()
    notebook.profile("Uses Python", "stack", "Python")
    notebook.profile("Uses vim", "stack.editor", "vim")
    notebook.profile("Uses Go", "stack", "Go")

    assert build_document(notebook.source(), (Layer.PROFILE,)) == {
        "profile": {"stack": "Python", "notes": ["Uses vim", "Uses Go"]}
    }


@pytest.mark.parametrize(
    "value_json",
    [
        "{",
        "NaN",
        "1e999",
        "9" * 5000,
        r'"\ud800"',
        "[" * 4000 + "]" * 4000,
        '{"a":' * (MAX_VALUE_DEPTH + 1) + "1" + "}" * (MAX_VALUE_DEPTH + 1),
    ],
)
def test_a_value_that_not_every_reader_can_read_gives_way_to_the_text(value_json):
    memory = Memory(memory_id="m1", number=1, text="the text", key="k", value_json=value_json)

    assert value_of(memory) == "the text"


@pytest.mark.parametrize(
    "value",
    [None, False, 0, -(2**63), 2**64, 10**40, 1.5, "", "1234567890123456789012", [[]] * 100, {"a": {"b": [1, None]}}],
)
def test_any_other_value_is_given_as_it_is(value):
    memory = Memory(memory_id="m1", number=1, text="the text", key="k", value_json=json.dumps(value))

    assert value_of(memory) == value

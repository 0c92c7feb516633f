"""The reader of a model's answer: early, whole, linear, and never guessing."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memsvc.errors import Unusable
from memsvc.extraction.model.parsing import OperationReader, _Scanner

LIVES = {"action": "add", "layer": "profile", "text": 'Lives in "Lyon" {really}', "topics": ["a]", "b["]}
SKIS = {"action": "add", "text": "Skis 🎿 \\", "value": {"nested": [{"deep": "}"}]}}

untimed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
scalars = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=12)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
operation_lists = st.lists(st.dictionaries(st.sampled_from(["action", "text", "key", "value"]), values), max_size=5)


@st.composite
def documents(draw: st.DrawFn) -> tuple[list[Any], str]:
    listed = draw(operation_lists)
    indent = draw(st.sampled_from([None, 1]))
    text = json.dumps({"operations": listed}, ensure_ascii=draw(st.booleans()), indent=indent)
    return listed, text


def cut(text: str, places: Sequence[int]) -> list[str]:
    bounds = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[start:end] for start, end in itertools.pairwise(bounds)]


def read(*pieces: str) -> tuple[list[Any], OperationReader]:
    reader = OperationReader()
    return [fields for piece in pieces for fields in reader.feed(piece)], reader


def finished(text: str) -> list[Any]:
    return list(read(text)[1].finish())


@untimed
@given(documents(), st.lists(st.integers(0, 10_000), max_size=30))
def test_any_chunking_gives_the_operations_of_the_whole(document: tuple[list[Any], str], places: list[int]) -> None:
    listed, text = document
    early, reader = read(*cut(text, places))
    assert early == listed
    assert list(reader.finish()) == listed
    assert reader.is_complete


@untimed
@given(documents(), st.integers(0, 10_000))
def test_a_prefix_yields_only_whole_operations_and_is_never_accepted(
    document: tuple[list[Any], str], place: int
) -> None:
    listed, text = document
    prefix = text[: place % len(text)]
    early, reader = read(*prefix)
    assert early == listed[: len(early)]
    assert not reader.is_complete
    with contextlib.suppress(Unusable):
        assert list(reader.finish()) == listed  # only the last brace was missing
        assert json.loads(prefix + "}") == json.loads(text)


@untimed
@given(st.text() | st.text('{}[]",:\\ operations01`\n', max_size=80), st.lists(st.integers(0, 100), max_size=5))
def test_garbage_raises_nothing_but_unusable(text: str, places: list[int]) -> None:
    _, reader = read(*cut(text, places))
    with contextlib.suppress(Unusable):
        assert isinstance(reader.finish(), list)


def test_an_operation_is_yielded_as_soon_as_its_brace_closes() -> None:
    text = json.dumps({"operations": [LIVES, SKIS]})
    reader = OperationReader()
    first_end = text.index(json.dumps(LIVES)) + len(json.dumps(LIVES))
    assert reader.feed(text[: first_end - 1]) == []
    assert reader.feed(text[first_end - 1]) == [LIVES]
    assert reader.feed(text[first_end:]) == [SKIS]


def test_each_character_is_scanned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work grows with the answer, not with its square, even when it arrives character by character."""
    looked_at = 0
    scan = _Scanner._scan_list

    def counting(self: _Scanner, piece: str, position: int, closed: list[str]) -> int:
        nonlocal looked_at
        end = scan(self, piece, position, closed)
        looked_at += end - position
        return end

    monkeypatch.setattr(_Scanner, "_scan_list", counting)
    text = json.dumps({"operations": [LIVES] * 50})
    early, _ = read(*text)
    assert len(early) == 50
    assert looked_at <= len(text)


BOTH = json.dumps({"operations": [LIVES, SKIS]})


@pytest.mark.parametrize(
    "text",
    [
        BOTH,
        f"\n  {BOTH}\n",
        f"```json\n{BOTH}\n```",
        f"```\n{BOTH}```  ",
        f"Sure! Here it is:\n```json\n{BOTH}\n```\nAnything else?",
        f"Here: {BOTH} That is all {{of it}}.",
        f'<thinking>Perhaps {{"operations": []}}? No.</thinking>\n{BOTH}',
        f'Perhaps {{"operations": []}}? No.</think>\n{BOTH}',
        f'First {{"operations": []}}, or rather:\n{BOTH}',
        f'```json\n{{"operations": []}}\n```\nNo, I must not forget:\n```json\n{BOTH}\n```',
        f'```json\n{{"operations": []}}\n```\nNo, I must not forget: {BOTH}',
        f'<think>Perhaps {{"operations": []}}? No.</think>\n{BOTH}',
        BOTH[:-2] + ",]}",
        BOTH[:-1] + " , }",
        BOTH[:-1],
        json.dumps([LIVES, SKIS]),
        json.dumps({"thoughts": "none", "operations": [LIVES, SKIS], "more": []}),
        "\ufeff" + BOTH,
    ],
)
def test_what_leaves_no_doubt_is_repaired(text: str) -> None:
    assert finished(text) == [LIVES, SKIS]


def test_a_line_break_in_a_string_is_repaired() -> None:
    assert finished('{"operations": [{"action": "add", "text": "two\nlines"}]}')[0]["text"] == "two\nlines"


def test_a_single_operation_stands_for_a_list() -> None:
    assert finished(json.dumps(LIVES)) == [LIVES]


@pytest.mark.parametrize("text", ['{"operations": []}', "[]", '```json\n{"operations":[]}\n```'])
def test_an_explicitly_empty_list_is_nothing_to_learn(text: str) -> None:
    assert finished(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "{}",
        "nothing to learn",
        '{"operations": null}',
        '{"operations": {}}',
        '{"operations": [,]}',
        '{"operations": [',
        '{"operations": [{"action": "add"}',
        '{"operations": [{"action": "add"},',
        '{"action": "delete", "number": 1',
        '[{"action": "add"}',
        "I looked at [] and found nothing.",
        '{"operations": []} or rather {"operations": [{"action": "add"}',
        '{"operations": [{"action": "add", "text": "cut he',
        "[" * 100_000,
        '{"operations": ' + "[" * 100_000,
        '{"operations": [' + '{"a":' * 100_000,
    ],
)
def test_what_is_in_doubt_is_unusable_and_never_nothing_to_learn(text: str) -> None:
    with pytest.raises(Unusable):
        finished(text)


def test_an_emoji_cut_in_two_is_joined() -> None:
    _, reader = read('{"operations": [{"action": "add", "text": "\ud83c', '\udfbf"}]}')
    assert list(reader.finish()) == [{"action": "add", "text": "🎿"}]

"""Whatever is said, the rules engine answers soundly: no error, quotes verbatim, values JSON, always the same."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading_rules import learned

from memsvc.extraction.engine import Action
from memsvc.extraction.rules.patterns import load_book
from memsvc.extraction.rules.reading import MAX_SENTENCE_TOKENS, sentences
from memsvc.limits import check_key

_SPELLING = load_book().spelling
_VOCABULARY = """
    i my we me am is live love like hate have work as at in a the an and but , . ? ! : - " ' ( ) > ` ``` if that
    said not don't no longer forget remember always never please sushi boston nurse dog dogs two 32 years old name bob
    to of for favorite color blue married kids wife's I'm Ava Acme you it this because when was born from Texas
"""
_WORDS = st.sampled_from(_VOCABULARY.split())
_SAYINGS = st.lists(_WORDS, max_size=40).map(" ".join) | st.text(max_size=200)


@given(st.lists(_SAYINGS, max_size=4))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_without_error_into_sound_operations(texts: list[str]) -> None:
    operations = learned(*texts)
    assert operations == learned(*texts)
    for operation in operations:
        assert operation.quote in texts[operation.message_index]
        if operation.key:
            check_key("key", operation.key)
        if operation.value_json:
            json.loads(operation.value_json)
        if operation.action is Action.ADD:
            assert operation.text.strip() == operation.text != ""
        else:
            assert operation.number or operation.key or operation.topic


@given(_SAYINGS)
@settings(max_examples=200, deadline=None)
def test_tokens_stand_where_they_say(text: str) -> None:
    for sentence in sentences(text, _SPELLING):
        assert len(sentence.tokens) <= MAX_SENTENCE_TOKENS + 2
        places = [(token.start, token.end) for token in sentence.tokens]
        assert places == sorted(places)
        assert all(0 <= start < end <= len(text) for start, end in places)


@pytest.mark.parametrize(
    "unit",
    [
        "i am a ",
        "I like x. ",
        "my favorite my favorite is ",
        "'a ",
        '"a ',
        "`",
        "(",
        "> ",
        "\n",
        ". ",
        "a",
        "a@",
        "7 ",
        "if i ",
        "i have a dog and a cat and ",
        "i live in in in ",
        "forget my forget my ",
        "my name is bob ",
        "\u2019",
        "```a",
    ],
)
def test_hostile_input_is_read_in_bounded_work(unit: str) -> None:
    text = (unit * 100_000)[:16_384]
    assert len(learned(text)) < 10


def test_a_message_of_the_largest_size_is_read() -> None:
    prose = "I was thinking about the report, and the results were mixed because of the weather. "
    text = (prose * 4_000)[: 256 * 1024 - 30] + ". I live in Oslo."
    (operation,) = learned(text)
    assert operation.value_json == '"Oslo"'

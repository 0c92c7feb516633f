"""Whatever is said, the rules engine answers soundly: no error, quotes verbatim, values JSON, always the same."""

from __future__ import annotations

import asyncio
import json
import logging
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading_rules import ENGINE, learned, user

from memsvc.extraction.engine import Action, Conversation, Finished, Proposal
from memsvc.extraction.rules.patterns import load_book
from memsvc.extraction.rules.sentences import MAX_MESSAGE_CHARACTERS, sentences
from memsvc.limits import check_key

_BOOK = load_book()
_CASES = int(os.environ.get("RULES_FUZZ_CASES", "300"))
"""The torture reads many more."""


def _vocabulary() -> list[str]:
    """Return every word that the engine knows of: of its patterns, its lists and its spellings, and marks."""
    words = {word for name in _BOOK.lexicon.names for entry in _BOOK.lexicon.words(name) for word in entry.split()}
    words |= {word.strip("()[]|<>@:") for entry in _BOOK.entries for say in entry.say for word in say.split()}
    words |= {*_BOOK.spelling.contractions, *_BOOK.spelling.slips}
    return sorted(filter(None, words))


_SMALL_WORDS = sorted(
    {
        word
        for said in ("i my we me am is live love like hate have work as at in a the an and but if", "not no longer")
        for word in said.split()
    }
    | {"anymore", "forget", "remember", "always", "never", "please", "because", "when", "sorry", "mean", "died", "left"}
    | {"yesterday", "Ava", "Boston", "Acme", "I'm", "isn't"}
)
_MARKS = [",", ".", "?", "!", ":", ";", "-", '"', "'", "(", ")", ">", "`", "```", "\n", ", ,", "—", "..."]
_WORDS = st.sampled_from(_SMALL_WORDS) | st.sampled_from(_vocabulary()) | st.sampled_from(_MARKS)
_EXAMPLES = st.sampled_from([said for entry in _BOOK.entries for said in (*entry.fires, *entry.silent)])
_SAYINGS = st.one_of(
    st.lists(_WORDS, max_size=30).map(" ".join),
    st.lists(_EXAMPLES | _WORDS, min_size=1, max_size=6).map(" ".join),
    st.lists(_EXAMPLES | _WORDS, min_size=1, max_size=4).map(", ".join),
    st.text(max_size=100),
)


@given(st.lists(_SAYINGS, min_size=1, max_size=3))
@settings(max_examples=_CASES, deadline=None)
def test_any_text_is_read_without_error_into_sound_operations(texts: list[str]) -> None:
    errors: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: errors.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("memsvc.extraction.rules.reading")
    logger.addHandler(handler)
    try:
        operations = learned(*texts)
        assert operations == learned(*texts)
    finally:
        logger.removeHandler(handler)
    assert errors == []
    for operation in operations:
        assert operation.quote in texts[operation.message_index]
        if operation.key:
            check_key("key", operation.key)
        if operation.value_json:
            json.loads(operation.value_json)
        if operation.action in (Action.ADD, Action.UPDATE):
            assert operation.text.strip() == operation.text != ""
        elif operation.action is Action.DELETE:
            assert operation.number or operation.key or operation.topic


@given(_SAYINGS)
@settings(max_examples=200, deadline=None)
def test_tokens_stand_where_they_say(text: str) -> None:
    for sentence in sentences(text, _BOOK.spelling):
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
        "let function (",
        "i joined a a in in last last week ",
        "i like a, b and ",
    ],
)
def test_hostile_input_is_read_in_bounded_work(unit: str) -> None:
    text = (unit * 100_000)[:MAX_MESSAGE_CHARACTERS]
    assert len(learned(text)) < 10


def test_what_one_message_may_cost_is_bounded() -> None:
    prose = "I was thinking about the report, and the results were mixed because of the weather. "
    long = "I live in Oslo. " + prose * 3_000 + "I live in Bergen."
    (operation,) = learned(long)
    assert operation.value_json == '"Oslo"'


def test_a_long_conversation_holds_up_no_other() -> None:
    """Of two conversations read at once, the short one ends first, however long the other is."""
    long = Conversation([user("I was thinking about the weather today. " * 400)] * 100)
    short = Conversation([user("I live in Rome.")])
    ended: list[str] = []

    async def read(name: str, conversation: Conversation) -> None:
        async for _ in ENGINE.extract(conversation):
            pass
        ended.append(name)

    async def both() -> None:
        first = asyncio.create_task(read("long", long))
        await asyncio.sleep(0)
        await read("short", short)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)

    asyncio.run(both())
    assert ended == ["short"]


def test_proposals_are_what_is_finished() -> None:
    async def collect() -> list[object]:
        return [event async for event in ENGINE.extract(Conversation([user("I live in Rome. I love sushi.")]))]

    *proposals, finished = asyncio.run(collect())
    assert isinstance(finished, Finished)
    assert [each.operation for each in proposals if isinstance(each, Proposal)] == list(finished.operations)

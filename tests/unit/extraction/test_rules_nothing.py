"""What the rules engine does not take for a statement about the user."""

from __future__ import annotations

import pytest
from reading_rules import events, facts, learned

from memsvc.extraction.engine import Action
from memsvc.model import Message, Role, TextPart, ToolResultPart


@pytest.mark.parametrize(
    "said",
    [
        "What are my hobbies?",
        "How do I clean data?",
        "ok thanks",
        "Should I move to Seattle?",
        "Am I a vegetarian?",
        "Is it weird that I like pineapple on pizza?",
        "Did you know that I am hungry?",
        "where do i live",
        "I live in Paris, right?",
    ],
)
def test_questions(said: str) -> None:
    assert facts(said) == []


@pytest.mark.parametrize(
    "said",
    [
        "If I lived in Paris I would love croissants",
        "imagine I am a doctor",
        "Suppose I have 100 dollars and two dogs",
        "I wish I had a dog",
        "What if I lived on Mars",
        "Let's pretend I'm a pilot",
        "if I were rich I would live in Monaco",
    ],
)
def test_suppositions(said: str) -> None:
    assert facts(said) == []


@pytest.mark.parametrize(
    "said",
    [
        'He said "I live in Rome and I love pasta"',
        "She told me 'I am a nurse and I hate broccoli'",
        "they say I am a genius",
        "> I live in Rome\nok",
        "```\nmy name is Bob\n```",
        "see `I am a nurse`",
        "my friend thinks I am a nurse",
        "Translate to French: My name is Claire and I live in Nice",
        "Proofread this text:\nI live in Paris.\nI have two dogs.",
        "Summarize the following text. I was born in Ohio.",
        "“I have three kids” is what it says",
    ],
)
def test_the_words_of_others(said: str) -> None:
    assert facts(said) == []


@pytest.mark.parametrize(
    "said",
    [
        "my friend lives in Boston",
        "She is a nurse",
        "My boss has two dogs",
        "My neighbor is a lawyer",
        "His name is Robert",
    ],
)
def test_facts_about_others(said: str) -> None:
    assert facts(said) == []


@pytest.mark.parametrize(
    "said",
    [
        "I'm a billionaire and own three islands. Just kidding!",
        "I am a nurse. jk",
        "I'm not a vegetarian",
        "I'm not a doctor",
        "I am not from Boston",
    ],
)
def test_what_is_taken_back_or_denied(said: str) -> None:
    assert facts(said) == []


@pytest.mark.parametrize(
    "said",
    [
        "I'm fine",
        "I am so tired",
        "I'm sorry",
        "I'm here",
        "I think so",
        "I'm going to the store",
        "I love that idea!",
        "I love it",
        "I like your style",
        "I want to ask something",
        "I have a question",
        "I am looking for a flight",
        "I live for this",
        "I'd like to book a table for two",
        "I have a meeting in ten minutes",
        "I have a list of numbers",
        "I'm a fan!",
        "I'm a bit confused",
        "I can read the file",
        "I run into the same problem",
        "My name is misspelled",
        "call me later",
        "my location is wrong in the app",
        "I am Legend is a great movie",
        "I AM NOT HAPPY WITH THIS",
        "I have kids to pick up",
        "I'm engaged in a debate",
        "I like the second option better",
        "we live in interesting times",
        "forget it",
        "don't forget the milk",
        "remember to buy milk",
        "always a pleasure",
        "great question",
        "that was fun",
        "the movie was too long",
    ],
)
def test_talk_of_the_moment(said: str) -> None:
    assert facts(said) == []


def test_only_text_of_the_user_is_read() -> None:
    messages = [
        Message(Role.ASSISTANT, (TextPart("My name is Bot and I live in Paris"),)),
        Message(Role.SYSTEM, (TextPart("I am a nurse"),)),
        Message(Role.TOOL, (ToolResultPart("1", (TextPart("I love sushi"),)),)),
        Message(Role.USER, (ToolResultPart("1", (TextPart("I love sushi"),)),)),
    ]
    (finished,) = events(messages)
    assert list(finished.operations) == []  # type: ignore[union-attr]


def test_a_denial_of_liking_is_a_dislike_and_nothing_else() -> None:
    (operation,) = learned("I don't like sushi")
    assert (operation.action, operation.text) == (Action.ADD, "Dislikes sushi")

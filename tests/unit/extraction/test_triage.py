"""What is not worth a model call, and above all what is."""

from __future__ import annotations

import pytest

from memsvc.extraction.engine import Conversation
from memsvc.extraction.model.triage import worth_reading
from memsvc.model import Message, Role, TextPart

HELPFUL = "Here is how to clean data: start with the missing values."
QUESTION = "Do you live in Lyon?"


def said(text: str, heard: str = "", *, earlier: bool = False) -> Conversation:
    user = Message(Role.USER, (TextPart(text),))
    before = [Message(Role.ASSISTANT, (TextPart(heard),))] if heard else []
    return Conversation([user], before) if earlier else Conversation([*before, user])


@pytest.mark.parametrize(
    "text",
    [
        "ok thanks",
        "OK, thanks!",
        "Thank you so much!!",
        "hi",
        "Hello there",
        "good morning",
        "lol",
        "hahaha",
        "bye 👋",
        "😂😂",
        "",
        "   \n",
        "...",
        "?",
        "ok",
        "👍",
        "got it, thanks",
        "Thanks a lot!",
        "great, thank you 🙏",
        "k",
        "Merci",
    ],
)
def test_small_talk_is_passed_over(text: str) -> None:
    assert not worth_reading(said(text))


@pytest.mark.parametrize("text", ["ok thanks", "ok", "great", "thanks!", "😂", "cool cool", "hmm"])
def test_an_acknowledgement_of_a_statement_is_passed_over(text: str) -> None:
    assert not worth_reading(said(text, HELPFUL))
    assert not worth_reading(said(text, HELPFUL, earlier=True))


@pytest.mark.parametrize("text", ["yes", "Yes, I live there", "no", "ok", "sure", "👍", "🇫🇷", "great", "42", "Lyon"])
@pytest.mark.parametrize("earlier", [True, False])
def test_an_answer_to_a_question_is_read(text: str, earlier: bool) -> None:
    assert worth_reading(said(text, QUESTION, earlier=earlier))


@pytest.mark.parametrize(
    "text",
    [
        "yes",
        "I ski",
        "hi, Ava here",
        "thanks, but too long",
        "ok I moved to Lyon",
        "perfect",
        "no",
        "住在北京",
        "call me Ty",
        "Hey! I'm Sam.",
        "thanks for that, as a vegan I needed it",
        "x" * 500,
        "ok " * 100,
    ],
)
def test_what_may_hold_something_is_read(text: str) -> None:
    assert worth_reading(said(text, HELPFUL))


def test_a_judgement_of_a_statement_is_read() -> None:
    assert worth_reading(said("👎", HELPFUL))


def test_one_message_with_something_in_it_is_enough() -> None:
    texts = ["hi", "I ski", "ok thanks"]
    assert worth_reading(Conversation([Message(Role.USER, (TextPart(text),)) for text in texts]))


def test_without_words_of_the_user_there_is_nothing_to_read() -> None:
    assert not worth_reading(Conversation([Message(Role.ASSISTANT, (TextPart(HELPFUL),))]))
    assert not worth_reading(Conversation([]))

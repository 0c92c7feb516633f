from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memsvc.extraction.rules.tasks import in_first_person


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("forget my workplace details", "Forget my workplace details."),
        ("Remove the user's workplace details", "Forget my workplace details."),
        ("update my role: I'm a Staff Engineer now", "I'm a Staff Engineer now."),
        ("Update the user's role to Principal Engineer", "My role is Principal Engineer."),
        ("Update user's memory: The user is now a nurse at Acme", "I am now a nurse at Acme."),
        ("Change my location from Oslo to Bergen and forget my job", "I live in Bergen. Forget my job."),
        ("Remember that the user lives in Oslo", "I live in Oslo."),
        ("Save to memory: user is allergic to peanuts", "I am allergic to peanuts."),
        ("The user's name is Sarah Chen and she works at Acme", "My name is Sarah Chen and I work at Acme."),
        ("User no longer lives in Oslo", "I no longer live in Oslo."),
        ("The user doesn't like coriander", "I don't like coriander."),
        ("The customer studies law and watches football", "I study law and I watch football."),
        ("Forget that the user likes sushi", "Forget that I like sushi."),
        ("erase all the user's memories", "Forget everything about me."),
        ("Delete everything about them.", "Forget everything about me."),
        ("role = Staff Engineer", "My role is Staff Engineer."),
        ("I moved to Berlin. My dog is called Rex.", "I moved to Berlin. My dog is called Rex."),
    ],
)
def test_a_task_is_read_as_the_user_would_say_it(task: str, said: str) -> None:
    assert in_first_person(task) == said


@given(st.text(max_size=400))
def test_any_text_is_read(task: str) -> None:
    assert isinstance(in_first_person(task), str)


@pytest.mark.parametrize(
    "text", ["update " + "a " * 4_000, "forget " * 2_000, "the user and " * 1_500, "set x" * 2_000]
)
def test_long_tasks_take_no_longer_than_they_are(text: str) -> None:
    assert in_first_person(text)

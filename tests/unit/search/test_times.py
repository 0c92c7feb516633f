from __future__ import annotations

from datetime import UTC, datetime

import pytest

from memsvc.model import Message, Role, Run, TextPart
from memsvc.search.history import HistoryIndex
from memsvc.search.postings import term_codes
from memsvc.search.said import said_in
from memsvc.search.text import shared_analyzer
from memsvc.search.times import TIMED, asks_when, time_codes

SAID = int(datetime(2023, 5, 8, 12, tzinfo=UTC).timestamp()) * 1_000_000
"""A Monday."""


def indexed(*texts: str) -> HistoryIndex:
    index = HistoryIndex()
    runs = [
        Run(
            session_id=f"s{number}",
            run_id=f"r{number}",
            index=number,
            messages=(Message(Role.USER, (TextPart(text),), time=SAID),),
        )
        for number, text in enumerate(texts)
    ]
    index.add_all([(run.run_id, run.index, said_in(run, shared_analyzer)) for run in runs])
    return index


def first(index: HistoryIndex, query: str) -> str:
    return index.search(query, 1)[0].spot.run_id


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("We swam yesterday, it was cold.", ["7 May 2023"]),
        ("Two weeks ago I joined a choir", ["24 April 2023"]),
        ("I moved here in March 2019. We'll meet next Friday!", ["March 2019", "12 May 2023"]),
        ("The whole last month was awful", ["April 2023"]),
        ("Every day I run", []),
    ],
)
def test_a_time_that_is_said_is_a_day_of_the_calendar(text: str, days: list[str]) -> None:
    expected = term_codes([TIMED]) + b"".join(map(shared_analyzer.document_codes, days))
    assert time_codes(shared_analyzer, text, SAID) == expected


@pytest.mark.parametrize("text", ["I like tea", "", "Room 12 is free"])
def test_a_text_without_a_time_holds_none(text: str) -> None:
    assert time_codes(shared_analyzer, text, SAID) == b""


def test_what_happened_yesterday_is_found_by_its_day() -> None:
    index = indexed("We swam in the lake yesterday", "We swam in the river today", "I will swim in the sea tomorrow")
    assert first(index, "Where did they swim on 7 May 2023?") == "r0"
    assert first(index, "Where did they swim on 9 May 2023?") == "r2"


def test_who_asks_when_finds_what_says_when() -> None:
    index = indexed("My new job is a dream", "I began my new job two weeks ago", "The new job pays well")
    assert first(index, "When did she begin the job?") == "r1"
    assert first(index, "Does the job pay?") == "r2"
    # A time alone does not answer what no message is about.
    assert index.search("When was that?", 5) == []


@pytest.mark.parametrize(
    ("query", "asks"),
    [
        ("When did she move?", True),
        ("And when is the wedding?", True),
        ("Where and when does the choir sing? when and where does it?", True),
        ("Which year did they meet?", True),
        ("How long ago was it?", True),
        ("How old was she when she moved?", False),
        ("Where is it?", False),
    ],
)
def test_a_question_for_a_time_is_told_from_one_that_mentions_it(query: str, asks: bool) -> None:
    assert asks_when(query) is asks

from __future__ import annotations

import importlib
import random
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memsvc.model import Message, Role, Run, TextPart
from memsvc.search import history, ranking
from memsvc.search.filter import TimeRange
from memsvc.search.history import HistoryFilter, HistoryIndex, Spot
from memsvc.search.said import MOST_TERMS, SaidRun, said_in
from memsvc.search.text import shared_analyzer

DAY = 86_400_000_000
U, A, T, S = Role.USER, Role.ASSISTANT, Role.TOOL, Role.SYSTEM


def run_of(index: int, *said: tuple[Role, str], session: str = "s1", agent: str = "", author: str = "") -> Run:
    messages = tuple(Message(role, (TextPart(text),), author_id=author) for role, text in said)
    return Run(
        session_id=session,
        run_id=f"r{index}",
        index=index,
        messages=messages,
        agent_id=agent,
        create_time=1_767_225_600_000_000 + index * DAY,
    )


def indexed(*runs: Run) -> HistoryIndex:
    index = HistoryIndex()
    index.add_all([(run.run_id, run.index, said_in(run, shared_analyzer)) for run in runs])
    return index


def found(index: HistoryIndex, query: str, limit: int = 10, wanted: HistoryFilter | None = None) -> list[Spot]:
    return [hit.spot for hit in index.search(query, limit, wanted)]


TALK = (
    run_of(1, (S, "You know skis"), (U, "I sold my skis"), (A, "Why did you sell your skis?"), agent="shop"),
    run_of(2, (U, "My knee hurts"), (A, "Since when?")),
    run_of(3, (U, "Which wax for skis?"), (T, "skis skis skis"), (A, "Skis take hard wax"), session="s2"),
    run_of(4, (U, "The build is red"), session="s3", author="ann.lee"),
)


def test_what_the_user_said_comes_before_what_the_assistant_said_and_that_before_tools() -> None:
    spots = found(indexed(*TALK), "skis")
    assert spots.index(Spot("r1", 1)) < spots.index(Spot("r1", 2))
    assert spots.index(Spot("r3", 0)) < spots.index(Spot("r3", 2)) < spots.index(Spot("r3", 1))
    assert Spot("r1", 0) not in spots


def test_speakers_and_days_are_searchable() -> None:
    index = indexed(*TALK)
    assert found(index, "what did Ann say about the build?")[0] == Spot("r4", 0)
    assert found(index, "What was said on 3 January 2026?")[0].run_id == "r2"


def test_filters_hold() -> None:
    index = indexed(*TALK)

    def runs(wanted: HistoryFilter) -> set[str]:
        return {spot.run_id for spot in found(index, "skis", 10, wanted)}

    assert runs(HistoryFilter(session_ids=("s2",))) == {"r3"}
    assert runs(HistoryFilter(agent_ids=("shop",))) == {"r1"}
    assert runs(HistoryFilter(but_run_ids=("r1", "r2"))) == {"r3"}
    assert runs(HistoryFilter(time=TimeRange(end=TALK[1].create_time))) == {"r1"}
    assert found(index, "skis", 10, HistoryFilter(roles=(T,))) == [Spot("r3", 1)]


def test_what_was_said_beside_comes_along_across_runs_but_not_across_sessions() -> None:
    hit = indexed(*TALK).search("my knee hurts", 1, None, 2)[0]
    assert hit.spot == Spot("r2", 0)
    assert hit.before == (Spot("r1", 1), Spot("r1", 2))
    assert hit.after == (Spot("r2", 1),)


def test_a_removed_run_is_found_no_more_nor_beside_others() -> None:
    index = indexed(*TALK)
    index.remove("r1")
    index.remove("r1")

    assert {spot.run_id for spot in found(index, "skis sold sell")} == {"r3"}
    assert index.search("knee", 1, None, 3)[0].before == ()
    assert "r1" not in index
    assert len(index) == 6


def test_an_empty_query_or_index_finds_nothing() -> None:
    assert found(HistoryIndex(), "skis") == []
    assert found(indexed(*TALK), "%") == []
    assert found(indexed(*TALK), "skis", 0) == []
    assert said_in(run_of(1, (U, "  "), (S, "skis")), shared_analyzer).messages == ()


def test_what_is_pasted_takes_bounded_room() -> None:
    pasted = " ".join(f"word{number}" for number in range(3_000))
    (message,) = said_in(run_of(1, (U, pasted)), shared_analyzer).messages
    assert len(message.counts) == MOST_TERMS
    assert len(message.codes) == 4 * MOST_TERMS


def test_a_message_takes_few_bytes() -> None:
    source = random.Random(1)
    words = [f"word{number}" for number in range(3_000)]
    runs = [
        run_of(number, (U, " ".join(source.choices(words, k=12))), (A, " ".join(source.choices(words, k=30))))
        for number in range(1_000)
    ]
    index = indexed(*runs)
    assert len(index) == 2_000
    assert index.size_bytes / len(index) < 600
    assert sys.getsizeof(index) < 1_000


texts = st.lists(st.sampled_from(["tea", "ski", "dog", "red", "café", "猫"]), max_size=8).map(" ".join)
runs_drawn = st.lists(
    st.tuples(st.lists(st.tuples(st.sampled_from([U, A, T]), texts), min_size=1, max_size=3), st.sampled_from("ab")),
    max_size=12,
)


@given(runs_drawn, texts, st.sets(st.integers(0, 11)), st.integers(1, 5))
def test_an_index_that_grew_and_shrank_finds_what_one_made_anew_finds(
    drawn: list[tuple[list[tuple[Role, str]], str]], query: str, removed: set[int], limit: int
) -> None:
    runs = [run_of(number, *said, session=session) for number, (said, session) in enumerate(drawn)]
    grown = HistoryIndex()
    for run in runs:
        grown.add_all([(run.run_id, run.index, said_in(run, shared_analyzer))])
    whole = indexed(*runs)
    assert grown.search(query, limit, None, 1) == whole.search(query, limit, None, 1)

    for number in removed:
        grown.remove(f"r{number}")
    left = {run.run_id for number, run in enumerate(runs) if number not in removed}
    fresh = indexed(*(run for run in runs if run.run_id in left))
    assert {hit.spot for hit in grown.search(query, 100)} <= {hit.spot for hit in fresh.search(query, 100)}
    assert {hit.spot.run_id for hit in grown.search(query, 100)} <= left


@pytest.mark.parametrize("seed", range(4))
def test_terms_that_are_read_at_once_give_the_same_scores_to_the_last_bit(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    importlib.import_module("numpy")
    source = random.Random(seed)
    words = [f"w{number}" for number in range(60)]
    index = indexed(
        *(
            run_of(
                number,
                *((source.choice([U, A, T]), " ".join(source.choices(words, k=8))) for _ in range(3)),
                session=f"s{number // 9}",
                author=source.choice(["", "Ann"]),
            )
            for number in range(200)
        )
    )
    for number in range(0, 200, 7):
        index.remove(f"r{number}")

    for query in ("w1 w2 w3", "w4 Ann w5", "when w6"):
        for wanted in (None, HistoryFilter(roles=(U,))):
            monkeypatch.setattr(ranking, "_MANY_POSTINGS", sys.maxsize)
            one_by_one = index.search(query, 30, wanted, 1)
            monkeypatch.setattr(ranking, "_MANY_POSTINGS", 0)
            assert index.search(query, 30, wanted, 1) == one_by_one
            assert len(one_by_one) == 30


def test_an_index_with_many_dead_or_too_many_messages_is_made_anew() -> None:
    index = indexed(*TALK)
    assert not index.is_stale
    said = SaidRun("s", said_in(TALK[0], shared_analyzer).messages)
    index.add_all([(f"x{number}", number + 10, said) for number in range((history.NEWEST_MESSAGES + 2_001) // 2)])
    assert index.is_stale

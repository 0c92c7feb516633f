"""Facts of other systems find their layers, keys and order, and none of them is lost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from memsvc.foreign.facts import Damaged, Fact, Said, Turn
from memsvc.foreign.sorting import Sorted, sort
from memsvc.limits import TEXT_BYTES, TOPIC_BYTES, TOPICS
from memsvc.model import Layer, Role

DAY = datetime(2025, 1, 1, tzinfo=UTC)


def fact(text: str, day: int = 0, **more: Any) -> Fact:
    said = {"place": f"day {day}", "user_id": "sarah", "create_time": DAY + timedelta(days=day), **more}
    return Fact(text=text, **said)


def places(found: Sorted) -> Sequence[tuple[str, str, str]]:
    return [(each.fact.text, str(each.fact.layer), each.fact.key) for each in found.facts]


def test_what_the_rules_understand_gets_a_layer_and_a_key_and_keeps_its_words() -> None:
    texts = ["The user's name is Sarah", "Prefers concise answers", "I live in Oslo", "Spielt Cello", "Forget my job"]
    assert places(sort(iter(fact(text) for text in texts), "mem0")) == [
        ("The user's name is Sarah", "profile", "name"),
        ("Prefers concise answers", "policy", "response_style"),
        ("I live in Oslo", "profile", "location"),
        ("Spielt Cello", "knowledge", ""),
        ("Forget my job", "knowledge", ""),
    ]


def test_of_two_that_contradict_each_other_the_newer_one_has_the_key_wherever_it_stands() -> None:
    found = sort(
        iter([fact("Lives in Berlin", 9), fact("Lives in Boston", 2), fact("Lives in Berlin, now", 1)]), "mem0"
    )
    by_text = {each.fact.text: each.fact for each in found.facts}

    assert by_text["Lives in Berlin"].key == "location"
    assert (by_text["Lives in Boston"].key, by_text["Lives in Boston"].valid_to) == ("", DAY + timedelta(days=9))
    assert [each.fact.text for each in found.facts][-1] == "Lives in Berlin"


def test_lists_contradict_nothing_and_the_same_words_are_one_memory() -> None:
    given = [fact("Speaks French", 1, topics=["a"]), fact("Speaks Dutch", 2), fact("speaks  french", 3, topics=["b"])]
    found = sort(iter(given), "mem0")

    assert [(each.fact.text, list(each.fact.topics)[:2]) for each in found.facts][1] == ("speaks  french", ["a", "b"])
    assert [each.fact.valid_to for each in found.facts] == [None, None]
    assert [(each.place, each.why) for each in found.left_out] == [("day 1", "says the same as day 3")]


def test_nobodys_facts_are_damaged_and_a_user_may_be_named_for_all() -> None:
    turn = Turn(place="turn", session_id="s", run_id="r", messages=[Said(Role.USER, "Hi")])
    nobodys = [fact("Skis", user_id=""), fact("Swims", user_id="a\nb"), fact("Dives", user_id="x" * 300), turn]
    assert len(sort(iter(nobodys), "mem0").damaged) == 4
    named = sort(iter(nobodys), "mem0", "ben")
    assert {each.fact.user_id for each in named.facts} | {each.user_id for each in named.turns} == {"ben"}


def test_what_has_expired_stays_behind_and_what_is_known_of_layers_is_heard() -> None:
    found = sort(iter([fact("Skis", expire_time=DAY), fact("The user lives in Oslo", layer=Layer.POLICY)]), "letta")
    assert [each.why for each in found.left_out] == ["has expired"]
    assert places(found) == [("The user lives in Oslo", "policy", "")]


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40)


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            TEXTS.filter(str.strip), st.integers(0, 9), st.lists(TEXTS, max_size=40), st.sampled_from([1, 400, 9_000])
        ),
        max_size=6,
    )
)
def test_no_text_is_lost_whatever_is_imported_and_twice_gives_the_same(given: Any) -> None:
    facts = [fact(text * times, day, topics=topics) for text, day, topics, times in given]
    found, again = sort(iter(facts), "mem0"), sort(iter(facts), "mem0")

    kept = "".join(sorted("".join("".join(each.fact.text for each in found.facts).split())))
    left = [each for each in found.left_out if each.why.startswith("says the same")]
    if not left:
        assert kept == "".join(sorted("".join("".join(each.text for each in facts).split())))
    assert not any(isinstance(each, Damaged) for each in found.damaged)
    for each in found.facts:
        assert 0 < len(each.fact.text.encode()) <= TEXT_BYTES
        assert len(each.fact.topics) <= TOPICS
        assert all(0 < len(topic.encode()) <= TOPIC_BYTES for topic in each.fact.topics)
    ids = [each.memory_id for each in found.facts]
    assert ids == [each.memory_id for each in again.facts]
    keys = [(each.fact.layer, each.fact.key) for each in found.facts if each.fact.key]
    assert len(set(keys)) == len(keys)

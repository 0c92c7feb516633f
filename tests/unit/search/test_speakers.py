from __future__ import annotations

import pytest

from memsvc.model import Message, Role, Run, TextPart
from memsvc.search.embedders.static import StaticEmbedder
from memsvc.search.history import HistoryIndex
from memsvc.search.said import said_in
from memsvc.search.speakers import name_codes, without_speaker
from memsvc.search.text import shared_analyzer

ANN, BOB = "ann.lee@acme.test", "bob"
CHAT = (
    (ANN, "Hello Bob, how are you? You look tired."),
    (BOB, "Ann! I play the cello all night."),
    (ANN, "I play the harp, but my hands hurt."),
    (BOB, "Ann, you play too much, Ann."),
)


def message(author: str, text: str, role: Role = Role.USER, name: str = "") -> Message:
    return Message(role, (TextPart(text),), author_id=author, name=name)


def indexed(*messages: Message, embedder: StaticEmbedder | None = None) -> HistoryIndex:
    index = HistoryIndex(embedder.name if embedder else "")
    runs = [
        Run(session_id=f"s{number}", run_id=f"r{number}", index=number, messages=(each,))
        for number, each in enumerate(messages)
    ]
    index.add_all([(run.run_id, run.index, said_in(run, shared_analyzer, embedder)) for run in runs])
    return index


def found(index: HistoryIndex, query: str) -> list[int]:
    return [int(hit.spot.run_id[1:]) for hit in index.search(query, 10)]


def test_what_the_named_speaker_said_comes_before_what_names_that_speaker() -> None:
    index = indexed(*(message(*said) for said in CHAT))
    assert found(index, "What does Ann play?")[0] == 2
    assert found(index, "what does ann play?")[0] == 2
    assert set(found(index, "What does Bob play?")[:2]) == {1, 3}
    # The others are found as well.
    assert set(found(index, "What does Ann play?")) == {0, 1, 2, 3}


def test_of_whom_a_query_names_an_assistant_counts_as_much_as_a_user() -> None:
    said = (message("", "The cello is old"), message("bob", "My cello is old", Role.ASSISTANT))
    assert found(indexed(*said), "old cello") == [0, 1]
    assert found(indexed(*said), "Bob's old cello") == [1, 0]


@pytest.mark.parametrize("name", ["", "helper"])
def test_what_the_assistant_said_comes_first_where_it_is_asked_for(name: str) -> None:
    said = (message("", "Is Lisbon nice in June?"), message("", "Lisbon is nice in May", Role.ASSISTANT, name))
    index = indexed(*said)
    assert found(index, "nice time for Lisbon")[0] == 0
    for query in (
        "When did you say Lisbon is nice?",
        "What did the assistant say of Lisbon?",
        "your advice on Lisbon",
    ):
        assert found(index, query)[0] == 1
    assert found(index, "Did I tell you that Lisbon is nice?")[0] == 0


def test_a_transcript_names_its_speakers_as_authors_do() -> None:
    authored = indexed(*(message(*said) for said in CHAT))
    inlined = indexed(*(message("", f"{author[:3].title()}: {text}") for author, text in CHAT))
    for query in ("What does Ann play?", "What does Bob play?"):
        assert found(inlined, query) == found(authored, query)
        assert inlined.without_names(query) == authored.without_names(query)


@pytest.mark.parametrize(
    "text", ["see https://example.test", "well: no", "10:30 works", "so it goes on and on: no", ""]
)
def test_what_is_no_name_is_none(text: str) -> None:
    assert name_codes(message("", text), shared_analyzer) == b""


def test_tools_are_no_speakers() -> None:
    assert name_codes(message("", "found", Role.TOOL, name="search"), shared_analyzer) == b""


def test_names_are_no_part_of_what_a_query_means() -> None:
    index = indexed(message(ANN, "Hello"), message(BOB, "Hello"))
    assert index.without_names("Where does Ann's sister live?").split() == ["Where", "does", "sister", "live?"]
    assert index.without_names("Where does Carol live at Acme?") == "Where does Carol live at Acme?"
    assert index.without_names("Ann, Bob?") == "Ann, Bob?"
    assert HistoryIndex().without_names("Where is Ann?") == "Where is Ann?"
    assert without_speaker(message("", "Ann: Hello: you")) == "Hello: you"
    assert without_speaker(message("ann", "Note: this")) == "Note: this"


def test_what_somebody_by_name_said_is_found_by_meaning_though_it_was_the_assistant() -> None:
    embedder = StaticEmbedder()
    said = [message("", "I bought a newspaper"), message("bob", "We adopted a greyhound", Role.ASSISTANT)]
    index = indexed(*said, embedder=embedder)
    query = "Which pet does Bob have?"
    hits = index.search(query, 1, vector=embedder.vector(index.without_names(query)))
    assert [hit.spot.run_id for hit in hits] == ["r1"]

"""Pattern files: those of the package read their own examples, users' own extend them, and errors name the entry."""

from __future__ import annotations

from pathlib import Path

import pytest
from reading_rules import learned

from memsvc.extraction.engine import Action
from memsvc.extraction.rules import PatternError, RulesEngine
from memsvc.extraction.rules.framing import Framing
from memsvc.extraction.rules.lexicon import Lexicon
from memsvc.extraction.rules.pattern_files import Frame, PatternEntry
from memsvc.extraction.rules.patterns import load_book
from memsvc.extraction.rules.say import compiled
from memsvc.extraction.rules.sentences import sentences
from memsvc.extraction.schemas import default_schemas
from memsvc.model import Trust

BOOK = load_book()
FIRING = [(entry, said, text) for entry in BOOK.entries for said, text in entry.fires.items()]
SILENT = [(entry, said) for entry in BOOK.entries for said in entry.silent]


@pytest.mark.parametrize(("entry", "said", "text"), FIRING, ids=[f"{entry.name}: {said}" for entry, said, _ in FIRING])
def test_a_pattern_reads_its_own_examples(entry: PatternEntry, said: str, text: str) -> None:
    # A list may hold more than its first element.
    assert any(operation.text == text or operation.text.startswith(f"{text},") for operation in learned(said))


@pytest.mark.parametrize(("entry", "said"), SILENT, ids=[f"{entry.name}: {said}" for entry, said in SILENT])
def test_a_pattern_is_silent_where_it_should_be(entry: PatternEntry, said: str) -> None:
    places = {(fact.layer, fact.key) for fact in entry.facts}
    stated = [operation for operation in learned(said) if operation.trust is Trust.STATED]
    assert [operation.text for operation in stated if (operation.layer, operation.key) in places] == []


@pytest.mark.parametrize("frame", BOOK.frames, ids=lambda frame: frame.reach)
def test_frames_open_where_they_should(frame: Frame) -> None:
    framing = Framing(BOOK)
    for said in frame.fires:
        assert frame.reach in [framing.of(sentence) for sentence in sentences(said, BOOK.spelling)], said
    for said in frame.silent:
        assert [framing.of(sentence) for sentence in sentences(said, BOOK.spelling)] == [""], said


def test_every_pattern_that_learns_shows_what_it_reads() -> None:
    learning = [entry for entry in BOOK.entries if any(fact.action is Action.ADD for fact in entry.facts)]
    assert [entry.name for entry in learning if not entry.fires] == []


def test_patterns_write_canonical_keys_only() -> None:
    keys = {schema.layer: schema.keys for schema in default_schemas()}
    for entry in BOOK.entries:
        for fact in entry.facts:
            assert not fact.key or "{" in fact.key or fact.key in keys[fact.layer], entry.name


def test_a_file_of_ones_own_adds_patterns_and_words(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        """
        [[pattern]]
        name = "squad"
        say = ["i [am] (play|playing) in squad <squad:text>"]
        facts = [{ layer = "profile", key = "squad", text = "Plays in squad {squad}", topics = ["sports"] }]

        [lexicon]
        occupations = "wyvern tamer"
        """
    )
    squad, role = learned("I play in squad Blue", "I am a wyvern tamer", engine=RulesEngine(file))
    assert (squad.key, squad.value_json, squad.text) == ("squad", '"Blue"', "Plays in squad Blue")
    assert (role.key, role.value_json) == ("role", '"wyvern tamer"')


def test_a_pattern_of_ones_own_goes_before_the_others(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        """
        [[pattern]]
        name = "house"
        say = ["i love <house:text>"]
        facts = [{ text = "Adores {house}" }]
        """
    )
    assert [operation.text for operation in learned("I love sushi", engine=RulesEngine(file))] == ["Adores sushi"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("pattern = 1", "mine.toml: .*array"),
        ("[[pattern", "mine.toml: "),
        ('[[pattern]]\nname = "a"\nsay = ["i (x"]\nfacts = []', "mine.toml: pattern 'a': .*'\\)' is missing"),
        ('[[pattern]]\nname = "a"\nsay = ["i x)"]\nfacts = []', "mine.toml: pattern 'a': .*unmatched '\\)'"),
        ('[[pattern]]\nname = "a"\nsay = [""]\nfacts = []', "mine.toml: pattern 'a': an empty say"),
        ('[[pattern]]\nname = "a"\nsay = ["i <x:nope>"]\nfacts = []', "mine.toml: pattern 'a': .*no kind 'nope'"),
        ('[[pattern]]\nname = "a"\nsay = ["i <x:@nope>"]\nfacts = []', "mine.toml: pattern 'a': .*no word list 'nope'"),
        ('[[pattern]]\nname = "a"\nsay = ["i @nope"]\nfacts = []', "mine.toml: pattern 'a': .*no word list 'nope'"),
        (
            '[[pattern]]\nname = "a"\nsay = ["i <x:text>"]\nfacts = [{ text = "{y}" }]',
            "mine.toml: pattern 'a': .*no slot 'y'",
        ),
        (
            '[[pattern]]\nname = "a"\nsay = ["i x"]\nfacts = [{ key = "b" }]',
            "mine.toml: pattern 'a': a fact without text",
        ),
        (
            '[[pattern]]\nname = "a"\nsay = ["i x"]\nfacts = [{ text = "b", layer = "no" }]',
            "mine.toml: pattern 'a': .*layer",
        ),
        ('[[pattern]]\nname = "a"\nsays = ["i x"]\nfacts = []', "mine.toml: pattern 'a': "),
        ('[[frame]]\nreach = "nowhere"\nsay = ["x"]', "mine.toml: .*nowhere"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(PatternError, match=complaint):
        RulesEngine(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PatternError, match=r"nowhere\.toml"):
        RulesEngine(tmp_path / "nowhere.toml")


def test_what_cannot_be_read_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    for name, said in (("", "cannot read .*: Is a directory"), ("binary.toml", "binary.toml is no text in UTF-8")):
        with pytest.raises(PatternError, match=f"^{said}$"):
            RulesEngine(tmp_path / name)


def test_brackets_nest() -> None:
    say = compiled("i [am (a|an) [big] <x:text>]", Lexicon({}))
    assert say.expression.fullmatch("i ")
    match = say.expression.fullmatch("i am a big cat ")
    assert match is not None
    assert match["x"] == "cat "

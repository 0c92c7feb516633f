"""Pattern files: those of the package hold together, users' own extend them, and errors name the entry."""

from __future__ import annotations

from pathlib import Path

import pytest
from reading_rules import learned

from memsvc.extraction.rules import PatternError, RulesEngine
from memsvc.extraction.rules.pattern_files import check_file, read_file
from memsvc.extraction.rules.patterns import ENGLISH_FOLDER, load_book
from memsvc.extraction.rules.say import parse
from memsvc.extraction.schemas import default_schemas


@pytest.mark.parametrize("path", sorted(ENGLISH_FOLDER.glob("*.toml")), ids=lambda path: path.name)
def test_the_pattern_files_of_the_package_are_sound(path: Path) -> None:
    check_file(path, read_file(path), load_book().lexicon)


@pytest.mark.parametrize("path", sorted(ENGLISH_FOLDER.glob("*.toml")), ids=lambda path: path.name)
def test_patterns_write_canonical_keys_only(path: Path) -> None:
    keys = {schema.layer: schema.keys for schema in default_schemas()}
    for entry in read_file(path).pattern:
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
        professions = "wyvern tamer"
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
        ('[[pattern]]\nname = "a"\nsay = ["i (x"]\nfacts = []', "mine.toml: pattern 'a': .* '\\)' is missing"),
        ('[[pattern]]\nname = "a"\nsay = ["i x)"]\nfacts = []', "mine.toml: pattern 'a': .*unmatched '\\)'"),
        ('[[pattern]]\nname = "a"\nsay = [""]\nfacts = []', "mine.toml: pattern 'a': an empty say"),
        ('[[pattern]]\nname = "a"\nsay = ["i <x:nope>"]\nfacts = []', "mine.toml: pattern 'a': .*no kind 'nope'"),
        ('[[pattern]]\nname = "a"\nsay = ["i <x:@nope>"]\nfacts = []', "mine.toml: pattern 'a': .*no kind '@nope'"),
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


def test_brackets_nest() -> None:
    assert parse("i [am (a|an) [big] <x>]")

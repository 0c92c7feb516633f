"""All patterns together, found by how a clause begins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from memsvc.extraction.rules.kinds import is_kind
from memsvc.extraction.rules.lexicon import Lexicon, entries_of
from memsvc.extraction.rules.pattern_files import REACHES, PatternEntry, PatternError, PatternFile, read_file
from memsvc.extraction.rules.say import Say, compiled
from memsvc.extraction.rules.sentences import Spelling

ENGLISH_FOLDER: Final = Path(__file__).with_name("english")


class Pattern(msgspec.Struct, frozen=True, gc=False):
    """One `say` of an entry, ready to match."""

    order: int
    entry: PatternEntry
    say: Say


class PatternBook:
    """The patterns, word lists and spellings of some files."""

    def __init__(self, files: Sequence[tuple[str, PatternFile]]) -> None:
        lists: dict[str, list[str]] = {}
        self.canonical: dict[str, dict[str, str]] = {}
        for _, file in files:
            for name, text in file.lexicon.items():
                lists.setdefault(name, []).extend(entries_of(text))
            for name, words in file.canonical.items():
                self.canonical.setdefault(name, {}).update(words)
        self.lexicon = Lexicon(lists)
        self.spelling = Spelling(
            {written: tuple(words.split()) for written, words in self.canonical.get("contractions", {}).items()},
            self.canonical.get("slips", {}),
            self.lexicon.words("abbreviations"),
        )
        self.entries = tuple(entry for _, file in files for entry in file.pattern)
        self.subjects = tuple(subject for _, file in files for subject in file.subject)
        self.questions = tuple(question for _, file in files for question in file.question)
        self.frames = tuple(frame for _, file in files for frame in file.frame)
        for name, file in files:
            for frame in file.frame:
                if frame.reach not in REACHES:
                    raise PatternError(f"{name}: frame with reach {frame.reach!r}")
        self._count = 0
        self._by_opening: dict[tuple[str, str], list[Pattern]] = {}
        for name, file in files:
            for entry in file.pattern:
                self._add(name, entry)

    def candidates(self, words: Sequence[str]) -> Iterator[Pattern]:
        """Yield the patterns that a clause with these words may match, in the order of the files."""
        first, second = words[0], words[1] if len(words) > 1 else ""
        found = [each for key in ((first, second), (first, ""), ("", "")) for each in self._by_opening.get(key, ())]
        yield from sorted({each.order: each for each in found}.values(), key=lambda pattern: pattern.order)

    def _add(self, file_name: str, entry: PatternEntry) -> None:
        try:
            says = [compiled(say, self.lexicon) for say in entry.say]
            slots = {slot for say in says for slot in say.kinds}
            for say in says:
                for kind in say.kinds.values():
                    if not is_kind(kind, self.lexicon):
                        raise ValueError(f"no kind {kind!r}")
            for fact in entry.facts:
                if fact.slots - slots:
                    raise ValueError(f"{fact.text!r}: no slot {min(fact.slots - slots)!r}")
        except ValueError as error:
            raise PatternError(f"{file_name}: pattern {entry.name!r}: {error}") from error
        for say in says:
            pattern = Pattern(self._count, entry, say)
            self._count += 1
            for opening in say.openings:
                self._by_opening.setdefault(opening, []).append(pattern)


def load_book(extra: Path | None = None) -> PatternBook:
    """Return the patterns of this package and of a file of the user's own.

    Raises PatternError, naming file and entry, for what is wrong in that file.
    """
    # The user's patterns come before the ones here: the first that learns something wins.
    paths = [*([extra] if extra else []), *sorted(ENGLISH_FOLDER.glob("*.toml"))]
    return PatternBook([(path.name, read_file(path)) for path in paths])

"""Word lists: sets of words and short phrases, each by its name, plurals recognised."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

MAX_ENTRY_WORDS: Final = 4


class Lexicon:
    """The word lists of the pattern files. Immutable once read."""

    def __init__(self, lists: Mapping[str, Iterable[str]]) -> None:
        entries = {name: frozenset(words) for name, words in lists.items()}
        self._lists = {name: _included(name, entries, frozenset()) for name in entries}

    def __contains__(self, name: str) -> bool:
        return name in self._lists

    def words(self, name: str) -> frozenset[str]:
        """Return the entries of a list; empty when there is none of that name."""
        return self._lists.get(name, frozenset())

    def has(self, name: str, phrase: str) -> bool:
        """Tell whether a list has a word or phrase, in singular or plural."""
        entries = self._lists.get(name, frozenset())
        return phrase in entries or singular(phrase) in entries

    def longest(self, name: str, words: Sequence[str], at: int) -> int:
        """Return how many words from `at` are one entry of the list: the most; 0 when none."""
        for count in range(min(MAX_ENTRY_WORDS, len(words) - at), 0, -1):
            if self.has(name, " ".join(words[at : at + count])):
                return count
        return 0

    def speaks_to_others(self, words: Iterable[str]) -> bool:
        """Tell whether a phrase is not about the user alone: it has "you", "he", "they" ..."""
        return not self.words("other_persons").isdisjoint(words)


def entries_of(text: str) -> list[str]:
    """Return the entries of a list as a pattern file writes it: separated by commas or line breaks."""
    return [entry for line in text.splitlines() for part in line.split(",") if (entry := part.strip())]


def singular(phrase: str) -> str:
    """Return an English noun (phrase) without its plural ending, by rule of thumb."""
    if len(phrase) < 4 or not phrase.endswith("s") or phrase.endswith(("ss", "us", "is")):
        return phrase
    if phrase.endswith("ies") and len(phrase) > 4:
        return phrase[:-3] + "y"
    if phrase.endswith(("xes", "ches", "shes", "sses", "zes")):
        return phrase[:-2]
    return _IRREGULAR.get(phrase, phrase[:-1])


_IRREGULAR: Final = {
    "wives": "wife",
    "puppies": "puppy",
    "wolves": "wolf",
    "movies": "movie",
    "cookies": "cookie",
    "pies": "pie",
}


def _included(name: str, entries: Mapping[str, frozenset[str]], seen: frozenset[str]) -> frozenset[str]:
    """Return a list with `@other` entries replaced by what `other` has."""
    found: set[str] = set()
    for entry in entries[name]:
        if not entry.startswith("@"):
            found.add(entry)
        elif entry[1:] in entries and entry[1:] not in seen:
            found |= _included(entry[1:], entries, seen | {name})
    return frozenset(found)

"""Word lists: sets of words and short phrases, each by its name, plurals recognised."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final


class Lexicon:
    """The word lists of the pattern files. Immutable once read."""

    def __init__(self, lists: Mapping[str, Iterable[str]]) -> None:
        entries = {name: frozenset(words) for name, words in lists.items()}
        self._lists = {name: _included(name, entries, frozenset()) for name in entries}
        self._beginnings = {name: _beginnings(words) for name, words in self._lists.items()}

    def __contains__(self, name: str) -> bool:
        return name in self._lists

    @property
    def names(self) -> Sequence[str]:
        return sorted(self._lists)

    def words(self, name: str) -> frozenset[str]:
        """Return the entries of a list; empty when there is none of that name."""
        return self._lists.get(name, frozenset())

    def has(self, name: str, phrase: str) -> bool:
        """Tell whether a list has a word or phrase, in singular or plural."""
        entries = self._lists.get(name, frozenset())
        return phrase in entries or singular(phrase) in entries

    def longest(self, name: str, words: Sequence[str], at: int) -> int:
        """Return how many words from `at` are one entry of the list: the most; 0 when none."""
        if at >= len(words):
            return 0
        most = self._beginnings.get(name, {}).get(words[at], 0 if len(words[at]) < 4 else 1)
        for count in range(min(most, len(words) - at), 0, -1):
            if self.has(name, " ".join(words[at : at + count])):
                return count
        return 0


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


def _beginnings(words: Iterable[str]) -> Mapping[str, int]:
    """Return, by the first word of entries, how many words the longest of them has."""
    found: dict[str, int] = {}
    for entry in words:
        first, *rest = entry.split()
        found[first] = max(found.get(first, 0), len(rest) + 1)
    return found


def _included(name: str, entries: Mapping[str, frozenset[str]], seen: frozenset[str]) -> frozenset[str]:
    """Return a list with `@other` entries replaced by what `other` has."""
    found: set[str] = set()
    for entry in entries[name]:
        if not entry.startswith("@"):
            found.add(entry)
        elif entry[1:] in entries and entry[1:] not in seen:
            found |= _included(entry[1:], entries, seen | {name})
    return frozenset(found)

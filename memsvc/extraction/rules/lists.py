"""Lists that grow and shrink by what is said: pets, children, languages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from memsvc.extraction.rules.lexicon import singular


def elements(value_json: str) -> list[object]:
    """Return the elements of a list value; one for a scalar, none for no value."""
    if not value_json:
        return []
    try:
        value: object = msgspec.json.decode(value_json)
    except msgspec.DecodeError:
        return [value_json]
    return value if isinstance(value, list) else [value]


def grown(held: Sequence[object], added: Sequence[object]) -> list[object]:
    """Return a list with more elements: what says more about the same takes the place of what says less.

    "a dog" and "a dog named Max" are one dog, "kids" tells no more than "two sons", and "three cats" are no longer two.
    """
    result = list(held)
    for element in added:
        said = _Said(element)
        if any(_Said(each).covers(said) and said.count in ("", _Said(each).count) for each in result):
            continue
        result = [each for each in result if not said.covers(_Said(each))]
        result.append(element)
    return result


def shrunk(held: Sequence[object], gone: Sequence[object]) -> list[object]:
    """Return a list without what is gone: named as it was, or by its kind where there is only one of that kind."""
    result = list(held)
    for element in gone:
        said = _Said(element)
        named = [each for each in result if normalised(str(each)) == normalised(str(element))]
        named = named or [each for each in result if said.name and _Said(each).name == said.name]
        if not named and not said.name:
            named = [each for each in result if said.head == _Said(each).head]
        if len(named) == 1:
            result.remove(named[0])
    return result


class _Said:
    """What an element says: of how many, of what kind, and which."""

    def __init__(self, element: object) -> None:
        words = normalised(str(element)).split()
        cut = next((words.index(word) for word in ("named", "called") if word in words), len(words))
        self.name = " ".join(words[cut + 1 :])
        kind = [singular(word) for word in words[:cut]]
        self.count = next((word for word in kind if word in _COUNTS or word.isdigit()), "")
        self.kind = [word for word in kind if word not in _COUNTS and not word.isdigit() and word not in _ARTICLES]
        self.head = self.kind[-1] if self.kind else ""

    def covers(self, other: _Said) -> bool:
        """Tell whether this says all that the other says."""
        if not self.head or not other.head:
            return self.kind == other.kind and self.name == other.name
        generic = other.head in _GENERIC and self.head in _GENERIC[other.head]
        if other.name or not (generic or self.head == other.head):
            return bool(other.name) and self.name == other.name and self.head == other.head
        if self.count and other.count:
            return self.head == other.head
        return generic or bool(self.count) or (set(other.kind) <= set(self.kind) and not other.count)


def normalised(text: str) -> str:
    """Return a text for comparison: without case, punctuation and extra white space."""
    return " ".join("".join(character if character.isalnum() else " " for character in text.casefold()).split())


_ARTICLES: Final = frozenset({"a", "an", "the", "my", "their", "one"})
_COUNTS: Final = frozenset({"two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "several", "both"})
_GENERIC: Final = {
    "kid": frozenset({"kid", "child", "son", "daughter", "boy", "girl"}),
    "child": frozenset({"kid", "child", "son", "daughter", "boy", "girl"}),
    "children": frozenset({"kid", "child", "children", "son", "daughter", "boy", "girl"}),
    "sibling": frozenset({"sibling", "brother", "sister"}),
    "pet": frozenset({"pet", "dog", "cat"}),
}

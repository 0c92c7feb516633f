"""Texts that can be told apart whatever becomes of them: each holds a word that is used once."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

_CONSONANTS = "bdfgklmnprtvz"
_VOWELS = "aeiou"
_SYLLABLES = [consonant + vowel for consonant in _CONSONANTS for vowel in _VOWELS]
_LENGTH = 5
_STRIDE = 700_001
"""Shares no factor with the number of words, so that its multiples reach all of them in an order without order."""

WORD = re.compile(rf"\bzu(?:[{_CONSONANTS}][{_VOWELS}]){{{_LENGTH}}}\b", re.IGNORECASE)
"""Finds the words in a text."""


def new_words() -> Iterator[str]:
    """Yield words that look like any noun, never the same one twice: none is a part of another."""
    count = len(_SYLLABLES) ** _LENGTH
    for number in itertools.count(1):
        rest, word = number * _STRIDE % count, "zu"
        for _ in range(_LENGTH):
            rest, index = divmod(rest, len(_SYLLABLES))
            word += _SYLLABLES[index]
        yield word


def words_in(text: str) -> list[str]:
    """Return the words that a text holds."""
    return WORD.findall(text.lower())

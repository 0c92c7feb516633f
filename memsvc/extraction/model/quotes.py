"""Looking up quotes in what a message says: whole words, however they are written.

A model repeats words, and rarely the characters that make them: it leaves out soft hyphens and joiners, straightens
quotes, narrows full-width forms and drops the markdown around a word. What it may not do is quote less than a word, or
so little that anything could be read into it. For example "lin" is not found in "I live in Berlin", "NY" is in "in NY".
"""

from __future__ import annotations

import html
import unicodedata
from array import array
from typing import Final

_TYPOGRAPHY: Final = {
    **dict.fromkeys(map(ord, "‘’‛‚′`´"), "'"),
    **dict.fromkeys(map(ord, "“”„‟″«»「」『』"), '"'),
    **dict.fromkeys(map(ord, "‐‑‒–—―−"), "-"),
    **dict.fromkeys(map(ord, "。｡"), "."),
    **dict.fromkeys(map(ord, "、，､"), ","),
}
_MARKDOWN: Final = frozenset("*_~#>|`\\")
_AROUND_QUOTES: Final = " \"'.,:;!?…()[]-"
_UNSPACED: Final = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x3040, 0x30FF),
    (0x3400, 0x9FFF),
    (0xAC00, 0xD7AF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
"""Scripts whose words are not told apart by spaces, and Korean, whose words take endings."""
_LEAST_LETTERS: Final = 3
_MOST_PLACES: Final = 1_000
"""So many places are looked at: of a message of one letter a model might quote four, a thousand times over."""


class SaidText:
    """What one message says, to look quotes up in."""

    def __init__(self, text: str) -> None:
        self._text = unicodedata.normalize("NFC", text)
        self._plain = ""
        self._places = array("L")

    def find(self, quote: str) -> str:
        """Return the words that `quote` repeats, as they were written; empty: it repeats no words of the message."""
        if not self._plain:
            self._plain, self._places = _plain(self._text)
        for form in dict.fromkeys((quote, html.unescape(quote))):
            plain = _plain(unicodedata.normalize("NFC", form))[0].strip()
            if plain and plain == self._plain.strip():
                # The whole of it, were it only "5" or an emoji that answers a question.
                return self._text.strip()
            plain = plain.strip(_AROUND_QUOTES)
            start = self._whole_words(plain) if plain else -1
            if start < 0:
                continue
            words = self._text[self._places[start] : self._places[start + len(plain) - 1] + 1]
            if _says_enough(words):
                return words
        return ""

    def _whole_words(self, plain: str) -> int:
        """Return where `plain` stands as whole words; -1: nowhere."""
        start = self._plain.find(plain)
        for _ in range(_MOST_PLACES):
            if start < 0:
                break
            end = start + len(plain)
            before, after = self._plain[start - 1 : start], self._plain[end : end + 1]
            if not _inside_word(before, plain[0]) and not _inside_word(plain[-1], after):
                return start
            start = self._plain.find(plain, start + 1)
        return -1


def _plain(text: str) -> tuple[str, array[int]]:
    """Return `text` without case, typography and markup, and the place that each of its characters is from."""
    characters: list[str] = []
    places = array("L")
    for place, character in enumerate(text):
        if character in _MARKDOWN and not _joins_words(text, place):
            continue
        if unicodedata.category(character) == "Cf" or _selects_variation(character):
            continue
        for plain in unicodedata.normalize("NFKC", character).translate(_TYPOGRAPHY).casefold():
            if not plain.isspace():
                characters.append(plain)
            elif characters and characters[-1] != " ":
                characters.append(" ")
            else:
                continue
            places.append(place)
    return "".join(characters), places


def _joins_words(text: str, place: int) -> bool:
    """Tell whether a mark stands inside a word, as in snake_case."""
    return text[place - 1 : place].isalnum() and text[place + 1 : place + 2].isalnum() and text[place] in "_\\|~`"


def _selects_variation(character: str) -> bool:
    return "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"


def _inside_word(one: str, next_one: str) -> bool:
    """Tell whether two neighbours are of one word."""
    return one.isalnum() and next_one.isalnum() and not (_is_unspaced(one) or _is_unspaced(next_one))


def _is_unspaced(character: str) -> bool:
    return any(first <= ord(character) <= last for first, last in _UNSPACED)


def _says_enough(words: str) -> bool:
    letters = [character for character in words if character.isalnum()]
    if any(map(_is_unspaced, letters)) or any(not character.islower() for character in letters):
        # "NY", "42", a word of two signs.
        return len(letters) >= _LEAST_LETTERS - 1
    return len(letters) >= _LEAST_LETTERS

"""WordPiece: a text as the pieces of BERT's uncased vocabulary.

Words are folded (lower case, no accents), cut at punctuation and around each Chinese character; a word that is not in
the vocabulary is cut into the longest pieces that are, from left to right ("##ing" goes on a word). As BERT's own
tokenizer does it; a test holds it against that one's output.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Final

import msgspec

from memsvc.search.remembered import Remembered

_PIECE_BYTES: Final = 112
"""With its two numbers."""


class Piece(msgspec.Struct, frozen=True, gc=False):
    """A piece of a word: its number, and the share of the word's characters that it covers."""

    number: int
    coverage: float


class WordPiece:
    """Turns texts into pieces, and remembers the words it has cut, up to `cached_bytes`."""

    def __init__(self, numbers: Mapping[str, int], unknown: int, cached_bytes: int = 4 << 20) -> None:
        self._numbers = numbers
        self._unknown = unknown
        self._words: Remembered[tuple[Piece, ...]] = Remembered(cached_bytes)

    def pieces(self, text: str) -> list[Piece]:
        """Return a text's pieces, in order."""
        known = self._words
        pieces: list[Piece] = []
        for word in _words(text[:_MOST_CHARACTERS]):
            pieces += known.get(word) or self._cut(word)
        return pieces

    def _cut(self, word: str) -> tuple[Piece, ...]:
        numbers = self._numbers
        pieces: list[Piece] = []
        start = 0
        while start < len(word) <= _LONGEST_WORD:
            opening = "##" if start else ""
            end = len(word)
            while end > start and opening + word[start:end] not in numbers:
                end -= 1
            if end == start:
                break
            pieces.append(Piece(numbers[opening + word[start:end]], (end - start) / len(word)))
            start = end
        cut = tuple(pieces) if start == len(word) else (Piece(self._unknown, 1.0),)
        self._words.keep(word, cut, sys.getsizeof(cut) + _PIECE_BYTES * len(cut))
        return cut


def _words(text: str) -> list[str]:
    if text.isascii():
        return _ASCII_WORDS.findall(text.lower())
    import unicodedata

    return unicodedata.normalize("NFD", text.lower()).translate(_spaced).split()


class _Spaced(dict[int, str]):
    """What stands for each character: nothing, the character, or the character with spaces around it."""

    def __missing__(self, code: int) -> str:
        import unicodedata

        character = chr(code)
        category = unicodedata.category(character)
        made = character
        if category in ("Mn", "Cc", "Cf") and not character.isspace():
            made = ""
        elif category[0] == "P" or _CHINESE.match(character) or _ASCII_SYMBOL.match(character):
            made = f" {character} "
        if len(self) < _MOST_SPACED:
            self[code] = made
        return made


_spaced = _Spaced()
_MOST_SPACED = 4096
"""So many characters are remembered: of most scripts all, of Chinese those that are met first."""
_MOST_CHARACTERS = 8192
_LONGEST_WORD = 100
_CHINESE = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002ceaf\U0002f800-\U0002fa1f]")
# To BERT every ASCII symbol is punctuation; others, such as an emoji, are part of a word.
_ASCII_SYMBOL = re.compile(r"[!-/:-@\[-`{-~]")
_ASCII_WORDS = re.compile(r"[a-z0-9]+|[!-/:-@\[-`{-~]")

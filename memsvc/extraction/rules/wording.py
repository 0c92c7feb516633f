"""Words as they were written, and as they are told of the user."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from memsvc.extraction.rules.reading import Token

MAX_PHRASE_WORDS: Final = 12
LIST_MARKS: Final = frozenset({",", "and", "or"})
ARTICLES: Final = frozenset({"a", "an", "the"})


class Filling(msgspec.Struct, frozen=True, gc=False):
    """What one slot holds: as text for sentences, and as a value."""

    text: str
    value: object
    topics: tuple[str, ...] = ()


def filling(text: str, topics: tuple[str, ...] = ()) -> list[Filling]:
    """Return the one filling whose value is its text."""
    return [Filling(text, text, topics)]


def words_of(tokens: Sequence[Token]) -> list[str]:
    """Return the normalised words."""
    return [token.word for token in tokens]


def original(tokens: Sequence[Token], source: str) -> str:
    """Return the words as they were written, white space evened out and quotation marks left out."""
    return " ".join(source[tokens[0].start : tokens[-1].end].translate(_QUOTATION_MARKS).split())


def spoken(tokens: Sequence[Token], source: str) -> str:
    """Return the words as written, but told of the user: "my own boss" is "their own boss"."""
    parts: list[str] = []
    begin = 0
    for at, token in enumerate(tokens):
        if token.word in _TOLD:
            parts += [original(tokens[begin:at], source)] if at > begin else []
            parts.append(_TOLD[token.word])
            begin = at + 1
    parts += [original(tokens[begin:], source)] if begin < len(tokens) else []
    return " ".join(parts).replace(" ,", ",")


def is_proper(token: Token, source: str) -> bool:
    """Tell whether a word is capitalised, and not because everything around it is."""
    return source[token.start].isupper() and not _is_shouted(token, source)


def titled(text: str) -> str:
    """Return a name with capitals, unless it has some already."""
    if text.islower() or (text.isupper() and len(text) > 3):
        return " ".join(title_word(word.lower()) for word in text.split())
    return text


def title_word(word: str, at: int = 0) -> str:
    """Return a word of a name with a capital; small words only where they come first."""
    return word if at and word in _SMALL_WORDS else word[:1].upper() + word[1:]


def is_name_shaped(word: str) -> bool:
    """Tell whether a word has only what names have."""
    return len(word) > 1 and word.replace("'", "").replace("-", "").replace(".", "").isalpha()


def _is_shouted(token: Token, source: str) -> bool:
    around = source[max(0, token.start - 24) : token.end + 24]
    letters = [character for character in around if character.isalpha()]
    return len(letters) > 8 and sum(character.isupper() for character in letters) > 0.8 * len(letters)


_QUOTATION_MARKS: Final = dict.fromkeys(map(ord, '"\u201c\u201d\u201e\u00ab\u00bb'), " ")
_TOLD: Final = {"my": "their", "our": "their", "me": "them", "myself": "themselves", "mine": "theirs"}
_SMALL_WORDS: Final = frozenset({"of", "the", "and", "in", "for", "de", "la", "at", "on"})

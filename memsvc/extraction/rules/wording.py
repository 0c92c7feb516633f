"""Words as they were written, and as they are told of the user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

import msgspec

from memsvc.extraction.rules.sentences import Token


class Filling(msgspec.Struct, frozen=True, gc=False):
    """What one slot holds: as text for sentences, and as a value."""

    text: str
    value: object
    topics: tuple[str, ...] = ()


def original(tokens: Sequence[Token], source: str) -> str:
    """Return the words as they were written, white space evened out and quotation marks left out."""
    return " ".join(source[tokens[0].start : tokens[-1].end].translate(_QUOTATION_MARKS).split())


def spoken(tokens: Sequence[Token], source: str, instead: Mapping[int, str] | None = None) -> str:
    """Return the words as written, but told of the user: "my own boss" is "their own boss".

    `instead` has other words for the token at a place, and none for those that are left out.
    """
    parts: list[str] = []
    begin = 0
    for at, token in enumerate(tokens):
        told = instead.get(at) if instead and at in instead else _TOLD.get(token.word)
        if told is not None:
            parts += [original(tokens[begin:at], source)] if at > begin else []
            parts += [told] if told else []
            begin = at + 1
    parts += [original(tokens[begin:], source)] if begin < len(tokens) else []
    return " ".join(parts).replace(" ,", ",")


def told(
    tokens: Sequence[Token], source: str, irregular: Mapping[str, str], instead: Mapping[int, str], at: int = 0
) -> str:
    """Return a clause whose subject is at `at` as it is told of the user: "i don't eat pork" is "does not eat pork"."""
    others = dict(instead)
    for index, (token, following) in enumerate(pairwise(tokens)):
        if (token.start, token.end) == (following.start, following.end) and token.end > token.start:
            # The two words of a contraction have one place: "don't" is told in words.
            others |= {index: token.word, index + 1: following.word}
    if tokens[at].word in ("i", "we") and at + 1 < len(tokens):
        others |= dict.fromkeys(range(at + 1), "") | {at + 1: third_person(tokens[at + 1].word, irregular)}
    return spoken(tokens, source, others)


def is_proper(token: Token, source: str) -> bool:
    """Tell whether a word is capitalised, and not because everything around it is."""
    return source[token.start].isupper() and not _is_shouted(token, source)


def titled(text: str) -> str:
    """Return a name with capitals, unless it has some already."""
    if text.islower() or (text.isupper() and len(text) > 3):
        return " ".join(title_word(word.lower(), at) for at, word in enumerate(text.split()))
    return text


def title_word(word: str, at: int = 0) -> str:
    """Return a word of a name with a capital; small words only where they come first."""
    return word if at and word in _SMALL_WORDS else word[:1].upper() + word[1:]


def with_article(text: str) -> str:
    """Return a noun phrase with "a" or "an", unless it needs none."""
    words = text.lower().split()
    if not words or words[0] in _DETERMINERS or (words[-1].endswith("s") and not words[-1].endswith(("ss", "us"))):
        return text
    vowel = words[0][0] in "aeiou" and not words[0].startswith(("uni", "use", "one", "eu", "ux"))
    return f"{'an' if vowel else 'a'} {text}"


def third_person(verb: str, irregular: Mapping[str, str]) -> str:
    """Return the third person of a verb in the present tense; other forms as they are."""
    if verb in irregular:
        return irregular[verb]
    if verb.endswith("ed") and verb not in ("need", "feed", "breed"):
        return verb
    if verb.endswith(("s", "x", "z", "ch", "sh", "o")):
        return verb + "es"
    return verb[:-1] + "ies" if verb.endswith("y") and verb[-2:-1] not in "aeiou" else verb + "s"


def _is_shouted(token: Token, source: str) -> bool:
    around = source[max(0, token.start - 24) : token.end + 24]
    letters = [character for character in around if character.isalpha()]
    return len(letters) > 8 and sum(character.isupper() for character in letters) > 0.8 * len(letters)


_QUOTATION_MARKS: Final = dict.fromkeys(map(ord, '"\u201c\u201d\u201e\u00ab\u00bb'), " ")
_TOLD: Final = {
    **dict.fromkeys(("my", "our"), "their"),
    **dict.fromkeys(("me", "us"), "them"),
    **dict.fromkeys(("i", "we"), "they"),
    "myself": "themselves",
    "ourselves": "themselves",
    "mine": "theirs",
    "ours": "theirs",
}
_SMALL_WORDS: Final = frozenset({"of", "the", "and", "in", "for", "de", "la", "at", "on"})
_DETERMINERS: Final = frozenset(
    {
        "a",
        "an",
        "the",
        "my",
        "their",
        "our",
        "some",
        "several",
        "many",
        "no",
        "both",
        "one",
        "two",
        "three",
        "four",
        "five",
    }
)

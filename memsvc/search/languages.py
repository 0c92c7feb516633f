"""Folding, stop words and stemmers, and which language a text is in.

Stemming is PyStemmer's: Snowball in C, 1 us a word, where the pure Python port takes 75. It is imported, and stop words
are read, with the first text: a server that starts has none.
"""

from __future__ import annotations

import enum
import re
import struct
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import msgspec


class Language(enum.IntEnum):
    """A language with a stemmer; its value is its bit in `stop_languages`. Of equals the first wins."""

    ENGLISH = 0
    SPANISH = 1
    FRENCH = 2
    GERMAN = 3
    ITALIAN = 4
    PORTUGUESE = 5
    DUTCH = 6
    SWEDISH = 7
    DANISH = 8
    NORWEGIAN = 9
    FINNISH = 10
    POLISH = 11
    CZECH = 12
    ROMANIAN = 13
    TURKISH = 14
    HUNGARIAN = 15
    INDONESIAN = 16
    RUSSIAN = 17
    GREEK = 18
    ARABIC = 19
    HINDI = 20
    TAMIL = 21
    ARMENIAN = 22


def fold(text: str) -> str:
    """Return the text in compatibility form without accents, vowel points and what is invisible; case is kept.

    Marks that make another letter stay: й, Indic and Thai vowels, Japanese voicing. So does the non-joiner between
    Arabic letters, which parts a word as a hyphen does.
    """
    if text.isascii():
        return text
    import unicodedata

    bare = _MARKS.sub("", unicodedata.normalize("NFKD", text))
    # Not `translate`, which asks for each character.
    return _LETTER.sub(lambda found: _LETTERS[found[0]], unicodedata.normalize("NFC", bare))


def script_language(folded_word: str) -> Language:
    """Return the language that stems a script; ENGLISH for Latin, which `dominant_language` refines."""
    return _SCRIPTS[bisect_right(_SCRIPT_STARTS, folded_word[:1]) - 1]


def dominant_language(stop_bits: Sequence[int]) -> Language:
    """Return the Latin-script language of a text from the bits of its stop words: ENGLISH unless two others say no."""
    if all(bits & 1 for bits in stop_bits):
        return Language.ENGLISH
    counts = _COUNTS.unpack(sum(map(_as_counts, stop_bits)).to_bytes(_COUNTS.size, "little"))
    most = max(counts)
    return _LATIN[counts.index(most)] if most >= _LEAST_EVIDENCE else Language.ENGLISH


@cache
def _as_counts(stop_bits: int) -> int:
    """Return a count of 16 bits for each Latin-script language, so that all of them are added up by one addition."""
    return sum((stop_bits >> language & 1) << 16 * place for place, language in enumerate(_LATIN))


def stop_languages(folded_word: str) -> int:
    """Return a bit for each language in which the word is a stop word; 0: in none."""
    return _stopping().words.get(folded_word, 0)


def is_stop_gram(gram: str) -> bool:
    """Whether a character, or two, of a script without spaces is grammar rather than meaning."""
    return gram in _stopping().grams


def stem(language: Language, folded_word: str) -> str:
    """Return the word without the endings of its language."""
    stemmer = _stemmers.get(language)
    if stemmer is None:
        import Stemmer  # type: ignore[import-not-found]

        # 0: no cache of its own; the analyzer keeps whole words.
        stemmer = _stemmers[language] = Stemmer.Stemmer(language.name.lower(), 0)
    return stemmer.stemWord(folded_word)  # type: ignore[no-any-return]


_ACCENTS = r"\u0300-\u036f"
_UNSEEN = (
    r"\u0591-\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed\U0001f3fb-\U0001f3ff"
    # Characters that nobody sees.
    r"\u00ad\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200d-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
    r"\ufff9-\ufffb\U000e0000-\U000e0fff"
)
_ARABIC = r"[\u0600-\u06ff\u0750-\u077f]"
# It begins with one set of characters, so that the others are passed over fast.
_MARKS = re.compile(
    rf"[{_ACCENTS}{_UNSEEN}\u200c]"
    rf"(?:(?<![{_ACCENTS}\u200c])|(?<=[{_ACCENTS}])(?<![иИуУ].)|(?<=\u200c)(?:(?<!{_ARABIC}.)|(?!{_ARABIC})))"
)
_LETTERS = {
    "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "ı": "i", "æ": "ae",
    "Æ": "AE", "œ": "oe", "Œ": "OE", "þ": "th", "’": "'", "‐": "-", "‑": "-",
    # Arabic, Persian, Urdu and Kurdish spellings of one letter.
    "ٱ": "ا", "ٲ": "ا", "ٳ": "ا", "ک": "ك", "ڪ": "ك", "ی": "ي", "ى": "ي", "ې": "ي", "ے": "ي",
    "ۃ": "ة", "ہ": "ه", "ھ": "ه", "ە": "ه",
    **{chr(zero + digit): str(digit) for zero in (0x660, 0x6F0, 0x966, 0x9E6) for digit in range(10)},
}  # fmt: skip
_LETTER = re.compile(f"[{''.join(_LETTERS)}]")

_LEAST_EVIDENCE = 2
_LATIN = tuple(language for language in Language if language <= Language.INDONESIAN)
_COUNTS = struct.Struct(f"<{len(_LATIN)}H")
_SCRIPT_STARTS = ("\0", "\u0370", "\u0400", "\u0530", "\u0590", "\u0600", "\u0780", "\u0900", "\u0980", "\u0b80",
                  "\u0c00", "\u1f00", "\u2000")  # fmt: skip
_SCRIPTS = (
    Language.ENGLISH,
    Language.GREEK,
    Language.RUSSIAN,
    Language.ARMENIAN,
    Language.ENGLISH,
    Language.ARABIC,
    Language.ENGLISH,
    Language.HINDI,
    Language.ENGLISH,
    Language.TAMIL,
    Language.ENGLISH,
    Language.GREEK,
    Language.ENGLISH,
)

_stemmers: dict[Language, Any] = {}


class _Stopping(msgspec.Struct, frozen=True):
    words: Mapping[str, int]
    """The bits of their languages."""
    grams: frozenset[str]


@cache
def _stopping() -> _Stopping:
    """Return the stop words of all languages."""
    import unicodedata

    stop_words: dict[str, int] = {}
    stop_grams: frozenset[str] = frozenset()
    lines = Path(__file__).with_name("stop_words.txt").read_text(encoding="utf-8").splitlines()
    for line in lines:
        if line.startswith("#"):
            continue
        name, _, words = line.partition(": ")
        if name == "grams":
            stop_grams = frozenset(unicodedata.normalize("NFC", word) for word in words.split())
            continue
        language = Language[name.upper()]
        for word in fold(words).casefold().split():
            # A word of a script of its own is a stop word whatever the Latin words around it are.
            bits = 1 << language if language in _LATIN else -1
            stop_words[word] = stop_words.get(word, 0) | bits
    return _Stopping(stop_words, stop_grams)

"""A text's words as search terms: folded, stemmed, without stop words; characters where a script has no spaces."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache
from itertools import pairwise

import msgspec

from memsvc.search.languages import (
    Language,
    dominant_language,
    fold,
    is_stop_gram,
    script_language,
    stem,
    stop_languages,
)
from memsvc.search.postings import term_codes
from memsvc.search.remembered import Remembered


class Analyzer:
    """Turns texts into terms. Documents and queries agree whatever language either is taken for.

    Every Latin word is indexed by its English stem, and by the stem of its text's language where that differs: a wrong
    guess adds a term and loses none. Keeps the words it has seen, up to `cached_bytes`.
    """

    def __init__(self, stem: Callable[[Language, str], str] = stem, cached_bytes: int = 8 << 20) -> None:
        self._stem = stem
        self._words: Remembered[_Word] = Remembered(cached_bytes // 2)
        self._chunks: Remembered[bytes | None] = Remembered(cached_bytes // 2)

    def document_terms(self, text: str) -> list[str]:
        """Return the terms of a text to be found, repeated as they are in it."""
        words, runs = _split(text)
        terms = self._word_terms(words)
        for run in runs:
            if len(run) <= 2 or run >= _FIRST_EAST_ASIAN:
                terms.extend(run)
            terms.extend(_pairs(run))
        return terms

    def document_codes(self, text: str) -> bytes:
        """Return the codes of what `document_terms` returns, in order, as `term_codes` has them.

        Most of English is what its words are, one by one: then each of them is looked up, with its commas and quotes.
        """
        if text.isascii() and len(text) <= _MOST_CHARACTERS and not text.isupper():
            chunks = text.split()
            try:
                codes = b"".join(map(self._chunks.get, chunks))  # type: ignore[arg-type]
            except TypeError:
                # One of them is new, or depends on its text.
                known = self._chunks.get
                parts = [self._learn_chunk(each) if (part := known(each)) is None else part for each in chunks]
                codes = b"" if None in parts else b"".join(filter(None, parts))
            if codes:
                return codes
        return term_codes(self.document_terms(text))

    def query_terms(self, text: str) -> list[str]:
        """Return the distinct terms to look for, in order."""
        words, runs = _split_query(text)
        grams = [gram for run in runs for gram in _query_grams(run)]
        telling = [gram for gram in grams if not is_stop_gram(gram)]
        terms = self._word_terms(words, keep_stop_words=not telling)
        return list(dict.fromkeys(terms + (telling or ([] if terms else grams))))

    def stop_words(self, text: str) -> list[str]:
        """Return the words of a text, in order, if all are stop words of one language, in which case they matter."""
        words, runs = _split_query(text)
        if runs or not words:
            return []
        stop_bits = []
        for token in words:
            word = self._words.get(token) or self._learn(token)
            if not word.stop_bits:
                return []
            stop_bits.append(word.stop_bits)
        bit = 1 << dominant_language(stop_bits)
        return list(words) if all(bits & bit for bits in stop_bits) else []

    def _word_terms(self, tokens: Sequence[str], keep_stop_words: bool = True) -> list[str]:
        known = self._words
        words = [known.get(token) or self._learn(token) for token in tokens]
        stop_bits = [word.stop_bits for word in words if word.stop_bits]
        language = dominant_language(stop_bits)
        bit = 1 << language
        terms: list[str] = []
        for word in words:
            if not word.stop_bits & bit:
                terms += word.terms
                if language is not Language.ENGLISH and word.latin:
                    other = self._stem(language, word.latin)
                    if other != word.terms[0]:
                        terms.append(other)
        if terms or not keep_stop_words:
            return terms
        return [term for word in words for term in word.terms]

    def _learn(self, token: str) -> _Word:
        word = self._analyse(token[:_LONGEST_WORD])
        if len(token) <= _LONGEST_WORD:
            self._words.keep(token, word, word.size_bytes)
        return word

    def _learn_chunk(self, chunk: str) -> bytes | None:
        """Return the codes of what stands between two spaces; None: they depend on the language of its text."""
        if chunk in self._chunks:
            return self._chunks[chunk]
        words = [self._words.get(token) or self._learn(token) for token in _ASCII_WORD.findall(chunk)]
        codes = None
        if all(word.stop_bits & 1 for word in words if word.stop_bits):
            codes = term_codes(term for word in words if not word.stop_bits for term in word.terms)
        if len(chunk) <= _LONGEST_WORD:
            self._chunks.keep(chunk, codes, sys.getsizeof(codes))
        return codes

    def _analyse(self, token: str) -> _Word:
        folded = token.casefold()
        language = script_language(folded)
        if _SIMPLE_WORD.fullmatch(folded):
            # IT, US and WHO are names where it, us and who are not.
            bits = 0 if len(token) > 1 and token.isupper() else stop_languages(folded)
            latin = folded if language is Language.ENGLISH and not folded.isdecimal() else ""
            return _Word(tuple(self._stems(language, folded)), bits, latin)
        parts = [part for part in _JOINTS.split(folded) if part]
        bits = stop_languages(folded)
        if "'" in folded:
            parts = [part for part in parts if part not in _CLITICS] or parts
        terms = [term for part in parts for term in self._stems(script_language(part), part)]
        if len(parts) > 1:
            terms.append(self._stem(language, _joined(folded)))
        if folded.endswith(("#", "++")):
            terms.append(folded)
        latin = parts[0] if len(parts) == 1 and language is Language.ENGLISH else ""
        return _Word(tuple(terms), bits, latin)

    def _stems(self, language: Language, folded: str) -> list[str]:
        terms = [self._stem(language, folded)]
        if language is Language.ARABIC and folded.endswith("ه"):
            # Many write so what ends in ta marbuta, which the stemmer knows as an ending of its own.
            other = self._stem(language, folded[:-1] + "ة")
            if other not in terms:
                terms.append(other)
        return terms


class _Word(msgspec.Struct, frozen=True, gc=False):
    terms: tuple[str, ...]
    stop_bits: int
    """The languages in which it is a stop word."""
    latin: str
    """The folded word, for the stemmers of other Latin languages; empty: they have nothing to add."""

    @property
    def size_bytes(self) -> int:
        """What it takes in RAM."""
        return sum(map(sys.getsizeof, (self, self.terms, self.latin, *self.terms)))


@lru_cache(maxsize=1)
def _split_query(text: str) -> tuple[Sequence[str], Sequence[str]]:
    """Return what `_split` does, once for all who ask about a query: of a long one it takes a millisecond."""
    return _split(text)


def _split(text: str) -> tuple[list[str], list[str]]:
    """Return the words, with emoji, and the runs of characters of scripts without spaces."""
    # Cut twice: folding makes up to 18 characters of one.
    folded = fold(text[:_MOST_CHARACTERS])[:_MOST_CHARACTERS]
    if folded.isupper():
        folded = folded.lower()
    if folded.isascii():
        return _ASCII_WORD.findall(folded), []
    words: list[str] = []
    runs: list[str] = []
    for match in _token_pattern().finditer(folded):
        (runs if match.lastgroup == "run" else words).append(match[0])
    return words, runs


def _query_grams(run: str) -> Iterator[str]:
    # Chinese words, and nouns before a particle, are often one character; longer kana runs are better told by pairs.
    if len(run) <= 2 or _is_han(run):
        yield from run
    yield from _pairs(run)


def _is_han(run: str) -> bool:
    return "\u2e80" <= run < "\u3041" or "\u3400" <= run < "\ua000" or run >= "\uf900"


def _pairs(run: str) -> list[str]:
    return [first + second for first, second in pairwise(run)]


def _joined(folded: str) -> str:
    """Return `wifi` for wi-fi and `nodejs` for node.js, but 3.5 as it is."""
    if any(character.isdigit() for character in folded):
        return folded
    return _JOINTS.sub("", folded)


@cache
def _token_pattern() -> re.Pattern[str]:
    # Compiled when first met: it takes 20 ms, and many servers never see anything but ASCII.
    letter = rf"(?:[^\W_{_UNSPACED}]|[\u0300-\u036f\u0900-\u0963\u0966-\u0dff])"
    return re.compile(
        rf"(?P<run>[{_HAN}]+|[{_HIRAGANA}]+|[{_KATAKANA}]+|[{_HANGUL}]+|[{_SOUTH_EAST_ASIAN}]+)"
        rf"|(?P<word>{letter}+(?:[.@_'\u200c-]{letter}+)*(?:\+\+|\#)?)"
        r"|(?P<emoji>[\U0001f1e6-\U0001f1ff]{2}|[\u2190-\u21ff\u2300-\u27bf\u2900-\u2bff\U0001f000-\U0001faff])"
    )


_MOST_CHARACTERS = 16_384
_LONGEST_WORD = 64
_CLITICS = frozenset(("s", "t", "d", "m", "ll", "re", "ve", "l", "j", "c", "n", "qu"))

_HAN = "\u2e80-\u2fdf\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_HIRAGANA = "\u3041-\u309f"
_KATAKANA = "\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
_HANGUL = "\uac00-\ud7a3\u1100-\u11ff\u3130-\u318f"
_SOUTH_EAST_ASIAN = "\u0e00-\u0e4e\u0e80-\u0ece\u1000-\u103f\u1050-\u109f\u1780-\u17d3"
_UNSPACED = _HAN + _HIRAGANA + _KATAKANA + _HANGUL + _SOUTH_EAST_ASIAN

_ASCII_WORD = re.compile(r"[^\W_]+(?:[.@_'-][^\W_]+)*(?:\+\+|#)?", re.ASCII)
_FIRST_EAST_ASIAN = "\u2e80"
_SIMPLE_WORD = re.compile(r"[^.@_'#+\u200c-]+")
_JOINTS = re.compile(r"[.@_'#+\u200c-]+")

shared_analyzer = Analyzer()
"""Of the process: it remembers words for all indexes."""

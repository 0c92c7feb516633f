"""A user's message as sentences of tokens: only their own words, each token knowing where it stands.

Code, quotations and quoted replies are blanked out before anything is read. Tokens carry a normalised word (lower case,
contractions spelled out, common slips mended) and the span of the original, so that patterns match the one and quotes
and values are cut from the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

MAX_SENTENCE_TOKENS: Final = 96
"""Longer sentences are read in pieces: it bounds the work per sentence, whatever the input."""
MAX_WORD_CHARACTERS: Final = 80
_TOKENS_BETWEEN_PAUSES: Final = 500
BRACKET: Final = "]"
"""The word of what was blanked out: it ends a clause, and none starts right after it."""


class Token(msgspec.Struct, frozen=True, gc=False):
    """One word or punctuation mark of a message."""

    word: str
    """Normalised: what patterns match."""
    start: int
    end: int

    @property
    def is_word(self) -> bool:
        return self.word[0].isalnum()


class Sentence(msgspec.Struct, frozen=True, gc=False):
    """Tokens up to an end mark; `source` is the text that their spans point into."""

    tokens: tuple[Token, ...]
    end_mark: str
    source: str


class Spelling(msgspec.Struct, frozen=True, gc=False):
    """How words are normalised."""

    contractions: Mapping[str, tuple[str, ...]]
    slips: Mapping[str, str]
    abbreviations: frozenset[str]

    def words(self, written: str) -> tuple[str, ...]:
        """Return the words that a written one stands for."""
        return self.contractions.get(written) or (self.slips.get(written, written),)

    def keeps_dot(self, word: str) -> bool:
        """Tell whether the full stop after a word belongs to it: an initial, or a listed abbreviation."""
        initial = len(word) == 1 and word.isalpha() and word != "i"
        dotted = len(word) <= 5 and "." in word and all(len(part) == 1 for part in word.split("."))
        return word in self.abbreviations or initial or dotted


def sentences(text: str, spelling: Spelling) -> Iterator[Sentence]:
    """Yield the sentences that the author of `text` wrote themselves, one at a time.

    Now and then one is empty: nothing was said, but the caller may have other work to do.
    """
    start = 0
    for line in _without_code(text).split("\n"):
        yield from _sentences_of_line(_own_words(line), start, text, spelling)
        start += len(line) + 1


def _sentences_of_line(line: str, offset: int, source: str, spelling: Spelling) -> Iterator[Sentence]:
    pending: list[Token] = []
    for count, match in enumerate(_TOKEN.finditer(line), 1):
        raw, start = match[0], offset + match.start()
        if raw[0] in _END_MARKS:
            end_mark = "?" if "?" in raw else raw[-1]
        elif raw[0].isalnum():
            end_mark = "." if _append_word(pending, raw, start, spelling) else ""
        else:
            pending.append(Token(_MARKS.get(raw, raw), start, start + 1))
            end_mark = ""
        if pending and (end_mark or len(pending) >= MAX_SENTENCE_TOKENS):
            yield Sentence(tuple(pending), end_mark, source)
            pending = []
        elif count % _TOKENS_BETWEEN_PAUSES == 0:
            yield Sentence((), "", source)
    if pending or not line:
        yield Sentence(tuple(pending), "", source)


def _without_code(text: str) -> str:
    """Return `text`, equally long, with fenced code blanked out and quotation marks made plain."""
    text = text.replace("\u2019", "'").replace("\u2018", "'")
    return _CODE_FENCE.sub(_blank, text) if "```" in text or "~~~" in text else text


def _own_words(line: str) -> str:
    """Return a line, equally long, with code, quotations and what is quoted to reply to blanked out."""
    if line[:9].lstrip().startswith(">"):
        return BRACKET + " " * (len(line) - 1)
    line = _CODE_SPAN.sub(_blank, line)
    for quotation in (_QUOTATION, _SINGLE_QUOTATION):
        line = quotation.sub(_blank_if_speech, line)
    return line


def _append_word(pending: list[Token], raw: str, start: int, spelling: Spelling) -> bool:
    """Append a word, spelled out; tell whether a full stop that clung to it ended the sentence."""
    body = raw.rstrip("'.")
    ended = "." in raw[len(body) :] and not (
        raw.endswith(".") and not raw.endswith("..") and spelling.keeps_dot(body.lower())
    )
    end = start + len(body)
    # What is longer than any word is no word.
    words = spelling.words(body.lower()) if len(body) <= MAX_WORD_CHARACTERS else (BRACKET,)
    pending.extend(Token(word, start, end) for word in words)
    return ended


def _blank(match: re.Match[str]) -> str:
    return BRACKET + " " * (len(match[0]) - 1)


def _blank_if_speech(match: re.Match[str]) -> str:
    quoted = match[0]
    if len(quoted) > 120 or len(quoted.split()) > _MAX_TITLE_WORDS or _FIRST_PERSON.search(quoted):
        return _blank(match)
    return " " + quoted[1:-1] + " "


_END_MARKS: Final = ".!?\u2026\u3002"
_MARKS: Final = {"&": "and", "\u2014": "-", "\u2013": "-"}
_TOKEN: Final = re.compile(
    r"[^\W_](?:[^\s,;:!?()\[\]{}\"<>\u2026\u2014\u2013*|]|(?<=\d)[,:](?=\d))*"
    r"|[.!?\u2026\u3002]+|[,;:()\u2014\u2013&-]|[^\s\"*_]"
)
_CODE_FENCE: Final = re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)", re.DOTALL)
_CODE_SPAN: Final = re.compile(r"`[^`\n]+`")
_QUOTATION: Final = re.compile(
    r"\"[^\"\n]+\"|\u201c[^\u201d\n]+\u201d|\u00ab[^\u00bb\n]+\u00bb|\u201e[^\u201c\u201d\n]+[\u201c\u201d]"
)
_SINGLE_QUOTATION: Final = re.compile(r"(?<!\w)'(?:[^'\n]|(?<=\w)'(?=\w)){3,200}'(?!\w)")
_FIRST_PERSON: Final = re.compile(r"\b(?:i|i'?m|i've|my|me|we|our)\b", re.IGNORECASE)
_MAX_TITLE_WORDS: Final = 5
"""A short quotation without a first person is a title or a nickname, not speech."""

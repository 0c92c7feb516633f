"""A user's message as sentences of tokens: only their own words, each token knowing where it stands.

Code, logs, quotations and quoted replies are blanked out before anything is read. Tokens carry a normalised word (lower
case, contractions spelled out, common slips mended) and the span of the original, so that patterns match the one and
quotes and values are cut from the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

MAX_MESSAGE_CHARACTERS: Final = 16_384
"""No more of a message is read: who says more than that in one message has pasted it."""
MAX_SENTENCE_TOKENS: Final = 64
"""What is longer is no plain statement: it is passed over, and costs no more than being split."""
MAX_WORD_CHARACTERS: Final = 60
BRACKET: Final = "]"
"""The word of what was blanked out: nothing is read across it."""


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

    @property
    def words(self) -> list[str]:
        return words_of(self.tokens)


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
    """Yield the sentences of a message, one at a time; a line ends one too."""
    text = text[:MAX_MESSAGE_CHARACTERS]
    plain = text.replace("\u2019", "'").replace("\u2018", "'").replace("\u00b4", "'")
    if "```" in plain or "~~~" in plain:
        plain = _CODE_FENCE.sub(_blank, plain)
    is_diff = _DIFF.search(plain) is not None
    start = 0
    for line in plain.split("\n"):
        blanked = (is_diff and line[:1] in ("+", "-", "@", " ")) or _is_code(line)
        yield from _sentences_of_line(BRACKET if blanked else _own_words(line), start, text, spelling)
        start += len(line) + 1


def quoted(sentence: Sentence) -> str:
    """Return a sentence as it stands in the message."""
    return sentence.source[sentence.tokens[0].start : sentence.tokens[-1].end]


def words_of(tokens: Sequence[Token]) -> list[str]:
    """Return the normalised words."""
    return [token.word for token in tokens]


def _sentences_of_line(line: str, offset: int, source: str, spelling: Spelling) -> Iterator[Sentence]:
    pending: list[Token] = []
    for match in _TOKEN.finditer(line):
        raw, start = match[0], offset + match.start()
        if raw[0] in _END_MARKS:
            end_mark = "?" if "?" in raw else raw[-1]
        elif raw[0].isalnum():
            end_mark = "." if _append_word(pending, raw, start, spelling) else ""
        else:
            pending.append(Token(_MARKS.get(raw, raw), start, start + len(raw)))
            end_mark = ""
        if pending and end_mark:
            yield Sentence(tuple(pending), end_mark, source)
            pending = []
    if pending:
        yield Sentence(tuple(pending), "", source)


def _is_code(line: str) -> bool:
    """Tell whether a line is code, a log's, a comment or quoted to reply to."""
    return line.rstrip()[-1:] in (";", "{", "}", "\\") or _NOT_PROSE.match(line[:_LINE_START]) is not None


def _own_words(line: str) -> str:
    """Return a line, equally long, with code and quotations blanked out."""
    line = _CODE_SPAN.sub(_blank, line)
    for quotation in (_QUOTATION, _SINGLE_QUOTATION):
        line = quotation.sub(_blank_if_speech, line)
    return line


def _append_word(pending: list[Token], raw: str, start: int, spelling: Spelling) -> bool:
    """Append a word, spelled out; tell whether a full stop that clung to it ended the sentence."""
    body = raw.rstrip("'.")
    if body.endswith("--"):
        # "Message-----": a rule, and no part of the word.
        body = body.rstrip("-")
    ended = "." in raw[len(body) :] and not (
        raw.endswith(".") and not raw.endswith("..") and spelling.keeps_dot(body.lower())
    )
    end = start + len(body)
    # What is longer than any word is no word.
    words = spelling.words(body.lower()) if len(body) <= MAX_WORD_CHARACTERS else (BRACKET,)
    pending.extend(Token(word, start, end) for word in words)
    return ended


def _blank(match: re.Match[str]) -> str:
    # Lines stay lines: what follows the blank keeps its place.
    return BRACKET + "".join(character if character == "\n" else " " for character in match[0][1:])


def _blank_if_speech(match: re.Match[str]) -> str:
    quoted = match[0]
    if len(quoted.split()) > _MAX_TITLE_WORDS or _FIRST_PERSON.search(quoted):
        return _blank(match)
    return " " + quoted[1:-1] + " "


_END_MARKS: Final = ".!?\u2026\u3002"
_MARKS: Final = {"&": "and", "\u2014": "-", "\u2013": "-", "--": "-"}
_TOKEN: Final = re.compile(
    r"[^\W_](?:[^\s,;:!?()\[\]{}\"<>\u2026\u2014\u2013*|]|(?<=\d)[,:](?=\d))*"
    r"|[.!?\u2026\u3002]+|--|[,;:()\u2014\u2013&-]|[^\s\"*_]"
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
_DIFF: Final = re.compile(r"^(?:diff --git |@@ .*@@|\+\+\+ |--- a/)", re.MULTILINE)
_LINE_START: Final = 200
_NOT_PROSE: Final = re.compile(
    r"\s*(?:>|//|/\*|\*/|#|<!--|</?\w+[ >]|--\s|%|;;|\$ |@\w+\(|\d{4}-\d\d-\d\d[T ]\d|\[?\d\d:\d\d:\d\d"
    r"|\[?(?:info|warn|warning|error|debug|trace)\b[\]: ]"
    r"|.*\b(?:def|class|function|const|var|let|return|import|public|void)\b.*[({=;])",
    re.IGNORECASE,
)

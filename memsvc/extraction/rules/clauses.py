"""The clauses of a sentence that its author asserts of themselves: not asked, not supposed, not said by others.

A clause begins at a boundary with "i", "my", "we" or "mine", and goes up to the next boundary that has a subject. What
is turned away here is not read at all: what a sentence hides is still found in the history.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

import msgspec

from memsvc.extraction.rules.lexicon import Lexicon
from memsvc.extraction.rules.sentences import BRACKET, Sentence, Token, words_of
from memsvc.spoken_times import TIME_WORD

MAX_CLAUSES: Final = 8


class Clause(msgspec.Struct, frozen=True, gc=False):
    """Tokens with their subject first; a dropped subject is put back as a token of no width."""

    tokens: tuple[Token, ...]
    source: str

    @property
    def words(self) -> list[str]:
        return words_of(self.tokens)


def clauses(sentence: Sentence, lexicon: Lexicon) -> list[Clause]:
    """Return the asserted clauses of a sentence, in order."""
    tokens = _joined(_without_opening(sentence.tokens, lexicon))
    words = words_of(tokens)
    if _is_supposed(words, lexicon) or _is_reported(words, lexicon):
        return []
    starts = list(_starts(words, lexicon))
    if not starts:
        return []
    if sentence.end_mark == "?":
        # "I live in Rome, where should I eat?" asks only with its last clause, and asks for nothing about itself.
        if len(starts) < 2 or not starts[-1].asks:
            return []
        starts[-1] = msgspec.structs.replace(starts[-1], asserted=False)
    ends = [start.boundary for start in starts[1:]] + [len(tokens)]
    found: list[Clause] = []
    for start, end in zip(starts, ends, strict=True):
        body = tokens[start.at : end]
        if start.asserted and body and not any(token.word == BRACKET for token in body):
            if start.elided:
                body = (*(Token(word, body[0].start, body[0].start) for word in start.elided), *body)
            plain = tuple(_plain(list(body), lexicon))
            if len(plain) > 1:
                found.append(Clause(plain, sentence.source))
    return found[:MAX_CLAUSES]


class _Start(msgspec.Struct, frozen=True, gc=False):
    at: int
    boundary: int
    """Where the clause before it ends."""
    asserted: bool
    asks: bool = False
    elided: tuple[str, ...] = ()


def _is_supposed(words: Sequence[str], lexicon: Lexicon) -> bool:
    if not lexicon.words("past_verbs").isdisjoint(words):
        # "I worked there until March" supposes nothing.
        words = [word for word, next_ in pairwise([*words, ""]) if not (word in _UP_TO and _TIME.fullmatch(next_))]
    return not lexicon.words("supposing").isdisjoint(words)


def _is_reported(words: Sequence[str], lexicon: Lexicon) -> bool:
    """Tell whether somebody is said to say something: "she said i", "my boss told me"."""
    saying = lexicon.words("saying_verbs")
    if any(verb in ("be", "was", "were", "is") and like == "like" for verb, like in pairwise(words)):
        return True
    return any(
        word in saying and not (at and words[at - 1] in ("i", "to", "not")) and (at or word.endswith(("s", "d")))
        for at, word in enumerate(words)
    )


def _starts(words: Sequence[str], lexicon: Lexicon) -> Iterator[_Start]:
    """Yield where clauses begin; the words between a boundary and its subject decide what the clause is worth."""
    subject, goes_on = "", False
    at = 0
    while at < len(words):
        boundary, begin = at, at
        while begin < len(words) and _leads(words, begin, lexicon):
            begin += 1
        if begin == len(words):
            return
        word = words[begin]
        following = words[begin + 1] if begin + 1 < len(words) else ""
        if word in _OWN and not (word == "my" and following in ("god", "goodness", "bad", "oh", "word", "pleasure")):
            yield _Start(begin, boundary, asserted=True)
            subject, goes_on = word, True
        elif begin == 0 and word in lexicon.words("dropped_subject_verbs"):
            yield _Start(0, 0, asserted=True, elided=("i",))
            subject, goes_on = "i", True
        elif (
            at
            and subject in ("i", "we")
            and goes_on
            and word in lexicon.words("going_on_verbs")
            and (words[at] in ("and", "but") and "to" not in words[:at] and "can" not in words[:at])
        ):
            yield _Start(begin, boundary, asserted=True, elided=(subject,))
        elif (
            at == 0
            or word in lexicon.words("other_subjects")
            or word in lexicon.words("question_words")
            or (word in lexicon.words("auxiliaries"))
        ):
            asks = word in lexicon.words("question_words") or (
                word in lexicon.words("auxiliaries") and following in lexicon.words("other_subjects") | set(_OWN)
            )
            yield _Start(begin, boundary, asserted=False, asks=asks)
            subject, goes_on = word, False
        at = _next_boundary(words, begin + 1, lexicon)


def _leads(words: Sequence[str], at: int, lexicon: Lexicon) -> bool:
    word = words[at]
    return (not word[0].isalnum() and word != BRACKET) or word in lexicon.words("leads")


def _next_boundary(words: Sequence[str], at: int, lexicon: Lexicon) -> int:
    while at < len(words) and words[at] != "," and words[at] not in lexicon.words("boundaries"):
        at += 1
    return at


def _without_opening(tokens: tuple[Token, ...], lexicon: Lexicon) -> tuple[Token, ...]:
    """Leave out what only says that a statement comes: "it turns out that"."""
    begin = next((at for at, token in enumerate(tokens) if not _leads([token.word], 0, lexicon)), 0)
    count = lexicon.longest("openings", words_of(tokens), begin)
    if not count:
        return tokens
    rest = tokens[begin + count :]
    return rest[1:] if rest and rest[0].word in ("that", ",", ":") else rest


def _joined(tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    """Let "my wife and i" and "me and my wife" be "we"."""
    words = words_of(tokens[:6])
    for count in (5, 4):
        mine_and_i = words[:1] == ["my"] and words[count - 1 : count] == ["i"]
        me_and_mine = words[:3] == ["me", "and", "my"] and count == 4
        if len(words) > count and "and" in words[:count] and (mine_and_i or me_and_mine):
            return (Token("we", tokens[0].start, tokens[count - 1].end), *tokens[count:])
    return tokens


def _plain(tokens: list[Token], lexicon: Lexicon) -> list[Token]:
    """Leave out what only colours the verb: "i am currently a", "i do really like", "is, well, pizza"."""
    fillers = lexicon.words("fillers")
    kept: list[Token] = []
    for at, token in enumerate(tokens):
        before = kept[-1].word if kept else ""
        opens = len(kept) <= 3 and all(each.word in _VERB_GROUP or each.word in _OWN for each in kept)
        if (
            kept
            and token.word in fillers
            and (opens or before in _COPULAS or (before == "," and _is_comma(tokens, at + 1)))
        ):
            continue
        if token.word == "," and (opens or before in _COPULAS or (before == "," and _is_comma(tokens, at + 1))):
            continue
        if (
            token.word == "do"
            and before in ("i", "we")
            and at + 1 < len(tokens)
            and tokens[at + 1].word not in _AFTER_DO
        ):
            continue
        kept.append(token)
    return list(without_tail(kept, lexicon))


def without_tail(tokens: Sequence[Token], lexicon: Lexicon) -> Sequence[Token]:
    """Leave out what says nothing at the end: "now", "lol", a comma."""
    end = len(tokens)
    while end > 1 and (not tokens[end - 1].is_word or tokens[end - 1].word in lexicon.words("tail")):
        end -= 1
    return tokens[:end]


def _is_comma(tokens: list[Token], at: int) -> bool:
    return at < len(tokens) and tokens[at].word == ","


_UP_TO: Final = ("until", "till")
_TIME: Final = re.compile(TIME_WORD)
_OWN: Final = ("i", "my", "we", "our", "mine")
_VERB_GROUP: Final = frozenset({"am", "was", "have", "been", "do", "not", "are", "were", "had", "is"})
_COPULAS: Final = frozenset({"is", "are", "am", "was"})
_AFTER_DO: Final = frozenset(
    {"not", "yoga", "karate", "a", "the", "my", "some", "judo", "crossfit", "gymnastics", "pilates"}
)

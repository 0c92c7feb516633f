"""Times that are said in a text, as terms: what happened "yesterday" is found by the day that it means.

A text that says one holds the term `TIMED` besides, which counts where a question asks when something was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cache
from typing import Final

from memsvc.search.postings import term_codes
from memsvc.search.text import Analyzer
from memsvc.spoken_times import MAX_WORDS, TIME_WORD, on_calendar, said_at

TIMED: Final = "\0timed"
"""No word of any text."""


def time_codes(analyzer: Analyzer, text: str, time: int) -> bytes:
    """Return the codes of the terms of the times in an English text that was said at `time`, microseconds since the
    epoch."""
    folded = text[:_MOST_CHARACTERS].lower()
    if not _time().search(folded):
        return b""
    said = said_at(time)
    phrases = (phrase[0] for phrase in _phrase().finditer(folded) if _time().search(phrase[0]))
    days = {day: None for phrase in phrases for day in _days(_WORD.findall(phrase), said)}
    return term_codes([TIMED]) + b"".join(map(analyzer.document_codes, days))


def asks_when(query: str) -> bool:
    """Return whether a query asks, in English, for a time."""
    return _when().search(query) is not None


def _days(words: Sequence[str], said: datetime | None) -> Iterator[str]:
    """Yield what the longest expressions among the words mean, as "7 May 2023"."""
    start = 0
    while start < len(words):
        for end in range(min(len(words), start + MAX_WORDS), start, -1):
            dated = on_calendar(words[start:end], said)
            if dated:
                yield _BEFORE_DAY.sub("", dated)
                start = end - 1
                break
        start += 1


# Compiled when first met: it takes milliseconds of a start.


@cache
def _time() -> re.Pattern[str]:
    return re.compile(
        r"\b(?:today|tonight|yesterday|tomorrow|ago|(?:mon|tues|wednes|thurs|fri|satur|sun)day|weekend"
        r"|(?:day|week|month|year)s?|january|february|march|april|may|june|july|august|september|october|november"
        r"|december|spring|summer|autumn|winter|last night|this (?:morning|afternoon|evening)|(?:19|20)\d\d)\b"
    )


@cache
def _phrase() -> re.Pattern[str]:
    return re.compile(rf"\b{TIME_WORD}(?:,? {TIME_WORD})*\b")


@cache
def _when() -> re.Pattern[str]:
    return re.compile(
        r"^\W*(?:(?:and|so|by|since|until) )?when\b"
        r"|\bwhen(?: and where)? (?:did|do|does|is|are|was|were|will|would|has|have|had|can|could|should)\b"
        r"|\bhow long ago\b|\b(?:what|which) (?:day|date|week|month|year|time|season)\b",
        re.IGNORECASE,
    )


_MOST_CHARACTERS: Final = 1_024
_WORD: Final = re.compile(r"\w+|,")
_BEFORE_DAY: Final = re.compile(r"^(?:on|in|around)(?: the (?:week|weekend) of)? ")

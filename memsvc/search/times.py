"""Times that are said in a text, as terms: what happened "yesterday" is found by the day that it means.

A text that says one holds the term `TIMED` besides, which counts where a question asks when something was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from typing import Final

from memsvc.search.postings import term_codes
from memsvc.search.text import Analyzer
from memsvc.spoken_times import MAX_WORDS, TIME_WORD, on_calendar, said_at

TIMED: Final = "\0timed"
"""No word of any text."""


def time_codes(analyzer: Analyzer, text: str, time: int) -> bytes:
    """Return the codes of the terms of the times in an English text that was said at `time`, microseconds since the
    epoch."""
    # Words and what stands between them, in turn.
    pieces = _BETWEEN_WORDS.split(text[:_MOST_CHARACTERS].lower())
    telling = [place for place in range(0, len(pieces), 2) if pieces[place] in _TELLING and _tells(pieces, place)]
    if not telling:
        return b""
    days: dict[str, bytes] = {}
    for phrase in _phrases(pieces, telling):
        days |= _days(analyzer, phrase, time // _DAY_MICROSECONDS)
    return b"".join((_timed_code(), *days.values()))


def asks_when(query: str) -> bool:
    """Return whether a query asks, in English, for a time."""
    return _when().search(query) is not None


def _tells(pieces: Sequence[str], place: int) -> bool:
    """Return whether a word names a time: a part of the day does after "this", or "last" at night."""
    word = pieces[place]
    if word not in _PARTS_OF_DAY:
        return True
    return place > 1 and pieces[place - 1] == " " and pieces[place - 2] == ("last" if word == "night" else "this")


def _phrases(pieces: Sequence[str], telling: Sequence[int]) -> Iterator[str]:
    """Yield what is said around each word that names a time, as far as it may be part of that: "on friday, 5 may"."""
    end = -1
    for place in telling:
        if place < end:
            continue
        start, end = place, place + 1
        while start and pieces[start - 1] in _JOINTS and _is_time_word(pieces[start - 2]):
            start -= 2
        while end + 1 < len(pieces) and pieces[end] in _JOINTS and _is_time_word(pieces[end + 1]):
            end += 2
        yield "".join(pieces[start:end])


@lru_cache(maxsize=2048)
def _days(analyzer: Analyzer, phrase: str, said_on: int) -> dict[str, bytes]:
    """Return what the longest expressions in a phrase mean, said on a day since the epoch, as "7 May 2023"; and the
    codes of its terms."""
    words, said = _WORD.findall(phrase), said_at(said_on * _DAY_MICROSECONDS)
    days: dict[str, bytes] = {}
    start = 0
    while start < len(words):
        for end in range(min(len(words), start + MAX_WORDS), start, -1):
            dated = on_calendar(words[start:end], said)
            if dated:
                day = _BEFORE_DAY.sub("", dated)
                days[day] = analyzer.document_codes(day)
                start = end - 1
                break
        start += 1
    return days


@cache
def _timed_code() -> bytes:
    return term_codes([TIMED])


@lru_cache(maxsize=1024)
def _is_time_word(word: str) -> bool:
    return _time_word().fullmatch(word) is not None


# Compiled when first met: it takes milliseconds of a start.


@cache
def _time_word() -> re.Pattern[str]:
    return re.compile(TIME_WORD)


@cache
def _when() -> re.Pattern[str]:
    return re.compile(
        r"^\W*(?:(?:and|so|by|since|until) )?when\b"
        r"|\bwhen(?: and where)? (?:did|do|does|is|are|was|were|will|would|has|have|had|can|could|should)\b"
        r"|\bhow long ago\b|\b(?:what|which) (?:day|date|week|month|year|time|season)\b",
        re.IGNORECASE,
    )


_MOST_CHARACTERS: Final = 1_024
_DAY_MICROSECONDS: Final = 86_400_000_000
_BETWEEN_WORDS: Final = re.compile(r"(\W+)")
_JOINTS: Final = frozenset((" ", ", ", " , "))
_PARTS_OF_DAY: Final = frozenset(("night", "morning", "afternoon", "evening"))
_TELLING: Final = _PARTS_OF_DAY.union(
    ("today", "tonight", "yesterday", "tomorrow", "ago", "weekend", "spring", "summer", "autumn", "winter"),
    ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
    ("day", "week", "month", "year", "days", "weeks", "months", "years"),
    ("january", "february", "march", "april", "may", "june", "july", "august"),
    ("september", "october", "november", "december"),
    map(str, range(1900, 2100)),
)
"""Words that name a time, by themselves or with those beside them."""
_WORD: Final = re.compile(r"\w+|,")
_BEFORE_DAY: Final = re.compile(r"^(?:on|in|around)(?: the (?:week|weekend) of)? ")

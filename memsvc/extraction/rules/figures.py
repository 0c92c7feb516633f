"""Numbers, dates and addresses: kinds of slots."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from memsvc.extraction.rules.spans import Span, one
from memsvc.extraction.rules.wording import Filling, spoken
from memsvc.spoken_times import on_calendar


def text(span: Span) -> list[Filling]:
    """Read any few words: for patterns of one's own."""
    return one(spoken(span.tokens, span.source)) if len(span.words) <= 12 else []


def number(span: Span) -> list[Filling]:
    """Read a number, in digits or in words."""
    word = " ".join(span.words)
    value = _SPELLED.get(word.replace("-", " "))
    if value is None and word.isascii() and word.isdecimal() and len(word) <= 4:
        value = int(word)
    return one(str(value), value) if value is not None else []


def age(span: Span) -> list[Filling]:
    read = number(span)
    return read if read and isinstance(read[0].value, int) and 12 <= read[0].value <= 110 else []


def when(span: Span) -> list[Filling]:
    phrase = on_calendar(span.words, span.now)
    return one(phrase) if phrase else []


def date(span: Span) -> list[Filling]:
    """Read a time that stands after a preposition of its own: "since 2019", "until March", "from last summer"."""
    phrase = on_calendar(span.words, span.now) or on_calendar(["in", *span.words], span.now)
    return one(phrase) if phrase else []


def when_to_come(span: Span) -> list[Filling]:
    phrase = on_calendar(span.words, span.now, future=True)
    return one(phrase) if phrase else []


def birthday(span: Span) -> list[Filling]:
    """Read a date of birth: "3 May", "May 3rd, 1990"."""
    written = span.original.removeprefix("on ").removeprefix("the ")
    return one(written) if _BIRTHDAY.fullmatch(written) else []


def matching(expression: re.Pattern[str]) -> Callable[[Span], list[Filling]]:
    def read(span: Span) -> list[Filling]:
        written = span.original.rstrip(".,")
        return one(written) if expression.fullmatch(written) else []

    return read


_UNITS: Final = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS: Final = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SPELLED: Final = {
    **{word: number for number, word in enumerate(_UNITS)},
    **{ten: 10 * number for number, ten in enumerate(_TENS, 2)},
    **{f"{ten} {_UNITS[unit]}": 10 * number + unit for number, ten in enumerate(_TENS, 2) for unit in range(1, 10)},
}
_MONTH: Final = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_BIRTHDAY: Final = re.compile(
    rf"(?:{_MONTH} (?:the )?\d{{1,2}}(?:st|nd|rd|th)?(?:,? (?:19|20)\d\d)?"
    rf"|\d{{1,2}}(?:st|nd|rd|th)? (?:of )?{_MONTH}(?:,? (?:19|20)\d\d)?"
    r"|\d{1,2}[/.]\d{1,2}[/.](?:19|20)\d\d|(?:19|20)\d\d-\d\d-\d\d)",
    re.IGNORECASE,
)

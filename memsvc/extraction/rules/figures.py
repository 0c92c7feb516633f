"""Figures and addresses: ages, years, dates, heights, mail and phone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from memsvc.extraction.rules.reading import Token
from memsvc.extraction.rules.wording import LIST_MARKS, Filling, filling, original, spoken, title_word, words_of


def age(tokens: Sequence[Token], source: str) -> list[Filling]:
    """Read an age in years."""
    words = words_of(tokens)
    number = (
        number_of("-".join(words[:2]))
        if len(words) > 1 and words[0] in NUMBERS and NUMBERS[words[0]] % 10 == 0
        else None
    )
    used = 2 if number is not None else 1
    number = number if number is not None else number_of(words[0])
    if number is None or not 2 < number < 121 or len(words) > used:
        return []
    return [Filling(str(number), number)]


def aged(tokens: Sequence[Token], source: str) -> list[Filling]:
    """Read the age in "32-year-old"."""
    match = _AGED.fullmatch(tokens[0].word)
    number = number_of(match[1]) if match else None
    return [Filling(str(number), number)] if number and 2 < number < 121 and len(tokens) == 1 else []


def ages(tokens: Sequence[Token], source: str) -> list[Filling]:
    """Read several ages."""
    words = words_of(tokens)
    if not all(number_of(word) is not None or word in (*LIST_MARKS, "years", "old") for word in words):
        return []
    return filling(spoken(tokens, source))


def count(tokens: Sequence[Token], source: str) -> list[Filling]:
    """Read a number."""
    number = number_of(tokens[0].word)
    return [Filling(original(tokens[:1], source), number)] if number is not None and len(tokens) == 1 else []


def year(tokens: Sequence[Token], source: str) -> list[Filling]:
    """Read a year or a decade: "1988", "the early 80s"."""
    text = original(tokens, source)
    return filling(text) if _YEAR.fullmatch(text.lower()) else []


def date(tokens: Sequence[Token], source: str) -> list[Filling]:
    """Read a day of the year, or a date."""
    taken = [token for token in tokens[:6] if token.word not in ("tomorrow", "today")]
    text = original(taken, source) if taken else ""
    if not taken or not (any(token.word in _MONTHS for token in taken) or re.search(r"\d+[/.-]\d+", text)):
        return []
    text = " ".join(title_word(word, 0) if word in _MONTHS else word for word in text.split())
    return filling(text)


def height(tokens: Sequence[Token], source: str) -> list[Filling]:
    """Read the height of a person."""
    text = original(tokens[:6], source)
    match = _HEIGHT.match(text.lower())
    return filling(text[: match.end()].strip()) if match else []


def email(tokens: Sequence[Token], source: str) -> list[Filling]:
    """Read an email address."""
    text = original(tokens[:1], source)
    return filling(text) if _EMAIL.fullmatch(text) else []


def phone(tokens: Sequence[Token], source: str) -> list[Filling]:
    """Read a phone number."""
    match = _PHONE.match(source, tokens[0].start - (source[tokens[0].start - 1 : tokens[0].start] in ("+", "(")))
    text = match[0].strip() if match else ""
    return filling(text) if sum(character.isdigit() for character in text) >= 6 else []


def url(tokens: Sequence[Token], source: str) -> list[Filling]:
    """Read the address of a page."""
    match = _URL.match(source, tokens[0].start)
    return filling(match[0]) if match else []


def number_of(word: str) -> int | None:
    """Return the number that a word is, in figures or letters; None when it is none."""
    if word.isdecimal() and len(word) <= 4:
        return int(word)
    tens, _, ones = word.partition("-")
    if ones and tens in NUMBERS and ones in NUMBERS:
        return NUMBERS[tens] + NUMBERS[ones] if NUMBERS[ones] < 10 <= NUMBERS[tens] else None
    return NUMBERS.get(word)


_UNDER_TWENTY: Final = """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen
"""
_TENS: Final = "twenty thirty forty fifty sixty seventy eighty ninety"
NUMBERS: Final = {word: number for number, word in enumerate(_UNDER_TWENTY.split())} | {
    word: 10 * tens for tens, word in enumerate(_TENS.split(), 2)
}
_MONTH_NAMES: Final = """
    january february march april may june july august september october november december
    jan feb mar apr jun jul aug sep sept oct nov dec christmas halloween
"""
_MONTHS: Final = frozenset(_MONTH_NAMES.split())
_AGED: Final = re.compile(
    r"([a-z]+(?:-(?:one|two|three|four|five|six|seven|eight|nine))?|\d{1,3})-?(?:years?-?old|yo|y/o|yrs?-?old)"
)
_YEAR: Final = re.compile(
    r"(?:the )?(?:(?:early|late|mid|middle of the|mid-) )?(?:the )?'?(?:(?:19|20)\d\d|\d0)(?: ?'?s)?"
)
_HEIGHT: Final = re.compile(
    r"\d(?:'|\u2019| ?(?:ft|feet|foot)\b)(?: ?\d{1,2}(?:\"|''| ?(?:inches|inch|in)\b)?)?"
    r"|\d(?:\.\d+|,\d+)? ?m\b|(?:1\d\d|2[0-3]\d) ?cm\b|(?:four|five|six|seven) (?:feet|foot)(?: \w+(?: inches)?)?"
)
_EMAIL: Final = re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}\.[a-zA-Z]{2,}")
_PHONE: Final = re.compile(r"[+(]?\d[\d\s().-]{5,20}\d")
_URL: Final = re.compile(r"(?:https?://)?(?:[\w-]{1,63}\.){1,5}[a-zA-Z]{2,10}(?:/\S{0,100})?")

"""Times as people say them, from the time of the message to the calendar: "yesterday" is "on 8 May 2023".

A memory is read long after it was learned: one that said "last week" would be wrong by then.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from memsvc.periods import Period, period

MAX_WORDS: Final = 6


def said_at(time_micros: int, zone: tzinfo = UTC) -> datetime | None:
    """Return when a message was said, by the clocks of a zone, or None where that is not known."""
    try:
        return datetime.fromtimestamp(time_micros / 1_000_000, UTC).astimezone(zone) if time_micros > 0 else None
    except OverflowError:
        return None


def on_calendar(words: Sequence[str], now: datetime | None, *, future: bool = False) -> str:
    """Return what a time expression means, with its preposition; empty where it is none, or cannot be dated."""
    words = [word for word in words if word not in _LEFT_OUT]
    phrase = " ".join(words)
    if not words or len(words) > MAX_WORDS:
        return ""
    absolute = _absolute(words, now, future=future)
    if absolute or now is None:
        return absolute
    if phrase in _DAYS_FROM_NOW:
        return _day(now + timedelta(days=_DAYS_FROM_NOW[phrase]))
    ago = _ago(words, now)
    return ago or _relative(words, now, future=future)


def on_record(dated: str) -> Period | None:
    """Return the period that `on_calendar` has named: of "in March 2019" that month; None where it is no such one."""
    words = dated.removeprefix("around ").removeprefix("in the week of ").removeprefix("on the weekend of ").split()
    years = [int(word) for word in words if _is_year(word)]
    months = [_MONTHS[word.lower()] for word in words if word.lower() in _MONTHS]
    days = [int(word) for word in words if len(word) <= 2 and word.isdecimal()]
    seasons = [_SEASONS[word] for word in words if word in _SEASONS]
    if len(years) != 1 or len(months) > 1 or len(days) > 1:
        return None
    if seasons:
        first, last = period(years[0], seasons[0]), period(years[0], seasons[0] + 2)
        return Period(first.start, last.end) if first is not None and last is not None else None
    return period(years[0], months[0] if months else 0, days[0] if days else 0)


def _absolute(words: Sequence[str], now: datetime | None, *, future: bool) -> str:
    """Read "in 2019", "in June 2019", "in June", "on 5 June", "on June 5th, 2019"."""
    rest = [word for word in words if word not in ("in", "on", "of", "the", ",", "back", "since", "this", "coming")]
    year = next((int(word) for word in rest if _is_year(word)), 0)
    month = next((_MONTHS[word] for word in rest if word in _MONTHS), 0)
    day = next((int(word.rstrip("stndrh")) for word in rest if _is_day(word)), 0)
    if len(rest) != bool(year) + bool(month) + bool(day) or not (year or month) or (day and not month):
        return ""
    if not month:
        return f"in {year}" if words[0] in ("in", "since", "back") else ""
    if not year:
        if now is None:
            return ""
        # A month without a year is the next one in plans, else the one just past.
        ahead = month >= now.month if future else month <= now.month
        year = now.year if ahead else now.year + (1 if future else -1)
    if day:
        return f"on {day} {_MONTH_NAMES[month - 1]} {year}" if words[0] != "in" else ""
    return f"in {_MONTH_NAMES[month - 1]} {year}" if words[0] != "on" else ""


def _ago(words: Sequence[str], now: datetime) -> str:
    """Read "two weeks ago" and "in two weeks"."""
    sign = -1 if words[-1] == "ago" else 1 if words[0] == "in" else 0
    amount = [word for word in words if word not in ("ago", "in", "about", "around", "almost", "just")]
    if not sign or len(amount) != 2:
        return ""
    number, unit = _NUMBERS.get(amount[0], 0), amount[1].removesuffix("s")
    number = number or (int(amount[0]) if amount[0].isdigit() and len(amount[0]) < 4 else 0)
    if not number:
        return ""
    if unit == "day":
        return _day(now + timedelta(days=sign * number))
    if unit == "week":
        return "around " + _day(now + timedelta(weeks=sign * number)).removeprefix("on ")
    if unit == "month":
        months = now.year * 12 + now.month - 1 + sign * number
        return f"in {_MONTH_NAMES[months % 12]} {months // 12}"
    return f"in {now.year + sign * number}" if unit == "year" and number < 120 else ""


def _relative(words: Sequence[str], now: datetime, *, future: bool) -> str:
    """Read "last week", "next Friday", "this summer", "on Friday"."""
    words = [word for word in words if word not in ("on", "the", "of", "in", "over")]
    if len(words) != 2 and not (len(words) == 1 and words[0] in _WEEKDAYS):
        return ""
    which, unit = words[0] if len(words) == 2 else "", words[-1]
    step = {"last": -1, "past": -1, "this": 0, "next": 1, "coming": 1, "": 1 if future else -1}.get(which)
    if step is None:
        return ""
    if unit in _WEEKDAYS:
        return _day(_weekday(now, _WEEKDAYS.index(unit), forward=step > 0 or (step == 0 and future)))
    if unit in ("week", "weekend"):
        monday = now + timedelta(days=7 * step - now.weekday())
        if unit == "week":
            return f"in the week of {_written(monday)}"
        return f"on the weekend of {_written(monday + timedelta(days=5))}"
    if unit == "month":
        months = now.year * 12 + now.month - 1 + step
        return f"in {_MONTH_NAMES[months % 12]} {months // 12}"
    if unit == "year":
        return f"in {now.year + step}"
    if unit in _SEASONS:
        year = now.year + step if step else now.year
        # Said before this year's, "next summer" is this year's, and said after it "last summer" is.
        begins = _SEASONS[unit]
        if (step > 0 and now.month < begins) or (step < 0 and now.month > begins + 2):
            year = now.year
        return f"in {unit} {year}" if unit != "winter" else ""
    return ""


def _weekday(now: datetime, weekday: int, *, forward: bool) -> datetime:
    away = (weekday - now.weekday()) % 7 or 7
    return now + timedelta(days=away if forward else away - 7 if away < 7 else -7)


def _day(moment: datetime) -> str:
    return f"on {_written(moment)}"


def _written(moment: datetime) -> str:
    return f"{moment.day} {_MONTH_NAMES[moment.month - 1]} {moment.year}"


def _is_year(word: str) -> bool:
    return len(word) == 4 and word.isdecimal() and word.isascii() and 1900 <= int(word) <= 2100


def _is_day(word: str) -> bool:
    plain = word.rstrip("stndrh")
    return plain.isdecimal() and plain.isascii() and len(plain) <= 2 and 1 <= int(plain) <= 31


_LEFT_OUT: Final = frozenset({"just", "early", "earlier", "late", "exactly", "sometime"})
_MONTH_NAMES: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_MONTHS: Final = {
    **{name.lower(): number for number, name in enumerate(_MONTH_NAMES, 1)},
    **{name[:3].lower(): number for number, name in enumerate(_MONTH_NAMES, 1) if name != "May"},
    "sept": 9,
}
_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SEASONS: Final = {"spring": 3, "summer": 6, "fall": 9, "autumn": 9, "winter": 12}
_NUMBERS: Final = {
    word: number
    for number, words in enumerate(
        ("", "a an one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
    )
    for word in words.split()
}
_DAYS_FROM_NOW: Final = {
    **dict.fromkeys(("today", "this morning", "this afternoon", "this evening", "tonight"), 0),
    **dict.fromkeys(("yesterday", "last night", "yesterday morning", "yesterday evening"), -1),
    **dict.fromkeys(("the day before yesterday", "day before yesterday"), -2),
    **dict.fromkeys(("tomorrow", "tomorrow morning", "tomorrow evening", "tomorrow night"), 1),
    **dict.fromkeys(("the day after tomorrow", "day after tomorrow"), 2),
}
_OTHER_WORDS: Final = (
    "on|in|last|next|this|past|coming|the|of|back|ago|today|yesterday|tomorrow|tonight|night|morning|afternoon|evening"
    "|days?|weeks?|weekend|months?|years?|just|early|late|before|after|about|around|over"
)
TIME_WORD: Final = (
    rf"(?:{'|'.join([*_MONTHS, *_WEEKDAYS, *_SEASONS, *_NUMBERS])}|{_OTHER_WORDS}|,|\d{{1,4}}(?:st|nd|rd|th)?)"
)
"""An expression for one word of a time."""

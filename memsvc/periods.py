"""Days, months and years as periods of time, in UTC: what a validity is made of, and how it is shown.

A period is half-open: `2019` is from 1 January 2019 until before 1 January 2020. What holds "until 2019" ends with it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import Struct

from memsvc.model import Memory

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_ISO: Final = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2})(?:[T ].*)?)?)?")


class Period(Struct, frozen=True, gc=False):
    """From `start` until before `end`, microseconds since the epoch."""

    start: int
    end: int

    def end_by(self, time: int) -> int:
        """Return when something ended that was said, at `time`, to have ended in this period."""
        return min(self.end, time) if time > 0 and self.start < time else self.end


def period(year: int, month: int = 0, day: int = 0) -> Period | None:
    """Return a year, a month or a day; None where the calendar has none such."""
    try:
        start = datetime(year, month or 1, day or 1, tzinfo=UTC)
        if day:
            end = start + timedelta(days=1)
        elif month:
            end = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
        else:
            end = datetime(year + 1, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return Period(_micros(start), _micros(end))


def iso_period(text: str) -> Period | None:
    """Read `2019`, `2019-03` or `2019-03-05`, with or without a time of day; None: it is none."""
    match = _ISO.fullmatch(text.strip())
    return period(*(int(part or 0) for part in match.groups())) if match else None


def shown_validity(memory: Memory) -> str:
    """Return when a memory holds, as people write it, where that is known: `since 2019-03`, `2015 to 2019`.

    What begins with a month or a year is shown as that: nobody who says "in March" means its first night.
    """
    begins = _shown(memory.valid_from) if memory.valid_from else ""
    ends = _shown_end(memory.valid_to) if memory.valid_to else ""
    if begins and ends:
        return begins if begins == ends else f"{begins} to {ends}"
    if ends:
        return f"until {ends}"
    if not begins:
        return ""
    said = memory.observe_time or memory.update_time
    return f"since {begins}" if not said or memory.valid_from <= said else f"from {begins}"


def _shown(micros: int) -> str:
    try:
        moment = _EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        return ""
    return _written(moment, moment.month == 1, moment.day == 1) if _is_midnight(moment) else f"{moment:%Y-%m-%d}"


def _shown_end(micros: int) -> str:
    """Return the last period that is before an end."""
    try:
        end = _EPOCH + timedelta(microseconds=micros)
        last = end - _MICROSECOND
    except OverflowError:
        return ""
    return _written(last, end.month == 1, end.day == 1) if _is_midnight(end) else f"{end:%Y-%m-%d}"


def _written(moment: datetime, is_year: bool, is_month: bool) -> str:
    if is_year and is_month:
        return f"{moment:%Y}"
    return f"{moment:%Y-%m}" if is_month else f"{moment:%Y-%m-%d}"


def _is_midnight(moment: datetime) -> bool:
    return not (moment.hour or moment.minute or moment.second or moment.microsecond)


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND

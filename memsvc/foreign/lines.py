"""A text with one fact a line, as people paste it: bullets and numbers before them go, headings stay behind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from memsvc.foreign.facts import Damaged, Fact, Finds, LeftOut, string
from memsvc.foreign.files import read_text
from memsvc.limits import TEXT_BYTES

_BULLET: Final = re.compile(r"^\s*(?:[-*+•‣–]\s+|\(?\d{1,4}[.)]\s+|\[[ xX]\]\s+)+")
_HEADING: Final = re.compile(r"^\s*(?:#{1,6}\s|[-=*_]{3,}\s*$)")


def read(path: Path) -> Finds:
    """Yield the lines of a file."""
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        place = f"line {number}"
        if _HEADING.match(line):
            yield LeftOut(place, "is a heading or a rule")
            continue
        text = _BULLET.sub("", line).strip()
        if not text:
            continue
        try:
            yield Fact(place=place, text=string(place, "it", text, required=True))
        except Damaged as damaged:
            yield damaged


def facts_in(value: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of a text with their numbers, and of a line that is too long its sentences."""
    for number, line in enumerate(value.splitlines(), start=1):
        text = _BULLET.sub("", line).strip()
        if text and len(text.encode()) <= TEXT_BYTES:
            yield number, text
        elif text:
            for part in re.split(r"(?<=[.!?])\s+", text):
                yield number, part

"""What a memory can be found by: its text, topics, key, value, who said it and on which day."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from functools import lru_cache

from memsvc.model import Memory
from memsvc.search.text import Analyzer


def memory_codes(memory: Memory, analyzer: Analyzer) -> bytes:
    """Return the codes of a memory's terms, repeated as they are in it. The same memory has the same for ever."""
    codes = analyzer.document_codes(searchable_text(memory))
    if memory.observe_time:
        codes += day_codes(analyzer, memory.observe_time)
    return codes


def searchable_text(memory: Memory) -> str:
    """Return the words of a memory, a line for each of its parts."""
    parts = [memory.text, *memory.topics]
    if memory.key:
        parts.append(_KEY_JOINTS.sub(" ", memory.key))
    if memory.value_json:
        parts.append(_plain_value(memory.value_json))
    if memory.origin.author_id:
        parts.append(memory.origin.author_id)
    return "\n".join(parts)


def meant_text(memory: Memory) -> str:
    """Return what a memory's vector is made of."""
    key = (_KEY_JOINTS.sub(" ", memory.key),) if memory.key else ()
    return "\n".join((memory.text, *memory.topics, *key))


def _plain_value(value_json: str) -> str:
    if "\\" not in value_json:
        return value_json
    try:
        return json.dumps(json.loads(value_json), ensure_ascii=False).replace("\\", " ")
    except ValueError:
        return value_json


def day_codes(analyzer: Analyzer, time: int) -> bytes:
    """Return the codes of the terms of the day of a time, microseconds since the epoch."""
    return _day_codes(analyzer, time // _DAY_MICROSECONDS)


@lru_cache(maxsize=1024)
def _day_codes(analyzer: Analyzer, day: int) -> bytes:
    try:
        said = date(1970, 1, 1) + timedelta(days=day)
    except OverflowError:
        return b""
    return analyzer.document_codes(f"{said.year} {_MONTHS[said.month - 1]} {said.day}")


_DAY_MICROSECONDS = 86_400_000_000
_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
           "december")  # fmt: skip
_KEY_JOINTS = re.compile(r"[._]+|(?<=[a-z0-9])(?=[A-Z])")

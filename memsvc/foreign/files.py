"""Opening files: JSON, JSON Lines, SQLite. What is wrong is a Damaged that names the place, and no library's error."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from memsvc.foreign.facts import Damaged

MOST_BYTES: Final = 512 << 20
"""A file is read whole, but for SQLite's."""
_SQLITE: Final = b"SQLite format 3\x00"


def is_sqlite(path: Path) -> bool:
    """Tell whether a file is SQLite's."""
    with path.open("rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE


def read_text(path: Path) -> str:
    """Return a file of text, with or without a byte order mark. Raises Damaged."""
    if path.stat().st_size > MOST_BYTES:
        raise Damaged("", f"is larger than {MOST_BYTES >> 20} MiB")
    raw = path.read_bytes()
    try:
        return raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        line = raw[: _first_wrong(raw)].count(b"\n") + 1
        raise Damaged(f"line {line}", "is no UTF-8") from None


def parse_json(text: str, place: str = "") -> Any:
    """Return what JSON says. Raises Damaged."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise Damaged(place or f"line {error.lineno}", "is no JSON") from None
    except (ValueError, RecursionError):
        raise Damaged(place, "is no JSON that can be read") from None


def listed(path: Path, name: str, *holders: str) -> Iterator[tuple[str, Mapping[str, Any] | Damaged]]:
    """Yield the objects of a file with their places: of a list, of that in one of `holders`, or of JSON Lines."""
    text = read_text(path)
    try:
        whole = parse_json(text)
    except Damaged:
        lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
        if len(lines) < 2 or not lines[0][1].lstrip().startswith("{") or not lines[0][1].rstrip().endswith("}"):
            raise
        for number, line in lines:
            yield f"line {number}", _object_of(line, f"line {number}")
        return
    if isinstance(whole, dict):
        held = next((whole[holder] for holder in holders if holder in whole), None)
        whole = [whole] if held is None else held
    if not isinstance(whole, list):
        raise Damaged("", f"must be a list of {name}s")
    for number, each in enumerate(whole, start=1):
        place = f"{name} {number}"
        yield place, each if isinstance(each, dict) else Damaged(place, "must be an object")


def rows(path: Path, table: str, wanted: Sequence[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the rows of a table of a SQLite file, in the order of their making. Raises Damaged."""
    try:
        # By its path alone a file that is not there would be made.
        with closing(sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)) as database:
            database.row_factory = sqlite3.Row
            # Texts that are no UTF-8 are damaged rows, not a damaged file.
            database.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
            names = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            if table not in names:
                there = ", ".join(sorted(names)[:20]) or "none"
                raise Damaged("", f"has no table {table}: --table says its name; there are: {there}")
            quoted = '"' + table.replace('"', '""') + '"'
            has = [row["name"] for row in database.execute(f"PRAGMA table_info({quoted})")]
            if missing := [name for name in wanted if name not in has]:
                raise Damaged(f"table {table}", f"has no column {', '.join(missing)}")
            for number, row in enumerate(database.execute(f"SELECT * FROM {quoted}"), start=1):  # noqa: S608
                yield f"row {number}", dict(row)
    except sqlite3.Error:
        raise Damaged("", "cannot be read as a SQLite file") from None


def _object_of(line: str, place: str) -> Mapping[str, Any] | Damaged:
    try:
        read = parse_json(line, place)
    except Damaged as damaged:
        return damaged
    return read if isinstance(read, dict) else Damaged(place, "must be an object")


def _first_wrong(raw: bytes) -> int:
    try:
        raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return error.start
    return 0


def _no_constant(name: str) -> None:
    raise ValueError(name)

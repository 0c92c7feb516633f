"""What the SQL drivers share of statements that are compiled from SQLAlchemy Core ahead of time."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec

from memsvc_drivers.sql.names import TableNames

KIND_MARK = "t$kind$"
"""What stands in the compiled statements for a kind of row."""

_PACKAGE = Path(__file__).parents[1]
_TABLE_MARK = re.compile(r"t\$(\w+?)\$(\w*)")

_T = TypeVar("_T")


class Page(NamedTuple):
    """Which arguments of `rows` are given."""

    group: bool
    after: bool
    before: bool
    descending: bool

    @property
    def name(self) -> str:
        """Its key among the compiled statements."""
        return " ".join(name for name, given in self._asdict().items() if given)


def table_mark(name: str) -> str:
    """Return what stands in the compiled statements for a table's name."""
    return f"t${name}$"


def read_statements(file: str, kind: type[_T], names: TableNames) -> _T:
    """Return the statements compiled into a file of this package, for tables of these names."""
    compiled = (_PACKAGE / file).read_text(encoding="utf-8")
    return msgspec.json.decode(_TABLE_MARK.sub(lambda mark: _named(mark, names), compiled), type=kind)


def _named(mark: re.Match[str], names: TableNames) -> str:
    name, suffix = mark.groups()
    # Quoted: it may be a word that SQL keeps for itself.
    return mark[0] if mark[0] == KIND_MARK else f'\\"{getattr(names, name)}{suffix}\\"'

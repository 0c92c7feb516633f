"""How values show themselves: on one line, with what matters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from datetime import datetime

MAX_TEXT = 60
MAX_ITEMS = 3


class Shown:
    """A dataclass that shows the fields that say something, long ones cut."""

    __slots__ = ()

    def __repr__(self) -> str:
        pairs = [(each, getattr(self, each.name)) for each in fields(self)]  # type: ignore[arg-type]
        said = [f"{each.name}={shown(value)}" for each, value in pairs if each.repr and not _says_nothing(each, value)]
        return f"{type(self).__name__}({', '.join(said)})"


def shown(value: object) -> str:
    """Return a value on one line, cut where it is long."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, str):
        text = str(value)
        return repr(text) if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]!r}... ({len(text)} characters)"
    if isinstance(value, (tuple, list)):
        more = f", ... ({len(value)})" if len(value) > MAX_ITEMS else ""
        return f"[{', '.join(map(shown, value[:MAX_ITEMS]))}{more}]"
    text = repr(dict(value) if isinstance(value, Mapping) else value)
    return text if len(text) <= 2 * MAX_TEXT else f"{text[: 2 * MAX_TEXT]}..."


def _says_nothing(each: Field[object], value: object) -> bool:
    return (
        value is None
        or value == ""
        or value == ()
        or value == {}
        or (each.default is not MISSING and value == each.default)
    )

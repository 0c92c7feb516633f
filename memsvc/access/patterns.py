"""Names with `*` for anything: `cust-*`, `*@example.org`, `*`."""

from __future__ import annotations

from collections.abc import Iterable


class NamePattern:
    """Matches whole names. All but `*` stands for itself, and no pattern takes long, whatever the name is."""

    __slots__ = ("_between", "_first", "_last", "is_one_name", "text")

    def __init__(self, text: str, *, literal: bool = False) -> None:
        """`literal`: `*` stands for itself as well."""
        self.text = text
        parts = [text] if literal else text.split("*")
        self.is_one_name = len(parts) == 1
        self._first, self._between, self._last = parts[0], parts[1:-1], parts[-1]

    def matches(self, name: str) -> bool:
        if self.is_one_name:
            return name == self.text
        first, last = self._first, self._last
        if len(name) < len(first) + len(last) or not name.startswith(first) or not name.endswith(last):
            return False
        if not self._between:
            return True
        at, end = len(first), len(name) - len(last)
        # The first place of each is the best: what follows has the most room.
        for each in self._between:
            at = name.find(each, at, end)
            if at < 0:
                return False
            at += len(each)
        return True

    @property
    def matches_all(self) -> bool:
        return not self.is_one_name and not self.text.strip("*")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NamePattern) and (self.text, self.is_one_name) == (other.text, other.is_one_name)

    def __hash__(self) -> int:
        return hash((self.text, self.is_one_name))

    def __repr__(self) -> str:
        return f"NamePattern({self.text!r})"


def any_matches(patterns: Iterable[NamePattern], name: str) -> bool:
    """Tell whether one of the patterns matches."""
    for pattern in patterns:  # noqa: SIM110 - any() takes twice as long, and every call comes here
        if pattern.matches(name):
            return True
    return False


def as_patterns(texts: Iterable[str]) -> tuple[NamePattern, ...]:
    return tuple(NamePattern(text) for text in texts)

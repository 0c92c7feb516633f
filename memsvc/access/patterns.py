"""Names with `*` for anything: `cust-*`, `*@example.org`, `*`."""

from __future__ import annotations

from msgspec import Struct


class Pattern(Struct, frozen=True):
    """Matches whole names. All but `*` stands for itself, and no pattern takes long, whatever the name is."""

    text: str
    literal: bool = False
    """`*` stands for itself as well."""

    def matches(self, name: str) -> bool:
        if self.literal:
            return name == self.text
        first, *rest = self.text.split("*")
        if not rest:
            return name == first
        *between, last = rest
        if len(name) < len(first) + len(last) or not name.startswith(first) or not name.endswith(last):
            return False
        at, end = len(first), len(name) - len(last)
        # The first place of each is the best: what follows has the most room.
        for each in between:
            at = name.find(each, at, end)
            if at < 0:
                return False
            at += len(each)
        return True

    @property
    def is_one_name(self) -> bool:
        return self.literal or "*" not in self.text


def any_matches(patterns: tuple[Pattern, ...], name: str) -> bool:
    """Tell whether one of the patterns matches."""
    return any(pattern.matches(name) for pattern in patterns)


def as_patterns(texts: tuple[str, ...] | list[str]) -> tuple[Pattern, ...]:
    return tuple(Pattern(text) for text in texts)

"""Folding a text to one line that shows all that it says."""

from __future__ import annotations

import re
from typing import Final

from memsvc.invisible import DEFAULT_IGNORABLE, hides

REPLACEMENT: Final = "\ufffd"

_INVISIBLE: Final = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"  # controls that are not white space
    f"\ufff9-\ufffb{DEFAULT_IGNORABLE}]+"
)
_NEEDED: Final = re.compile("[\u180b-\u180d\u180f\ufe00-\ufe0f]?[\u200c\u200d]?")
"""What scripts and emoji need between two characters: the look of the first one, and whether they join."""
_NO_CHARACTER: Final = re.compile("[\ud800-\udfff\ufffe\uffff]")


def one_line(text: str) -> str:
    """Return `text` as one line without anything that a reader does not see.

    White space at the ends is dropped. Unless every character is seen, runs of white space (line and paragraph
    separators are some) become one space, invisible characters are dropped (controls, bidirectional marks and
    overrides, fillers, tags, but not the one variation selector and the one joiner that emoji and scripts need after a
    character), and what is no character becomes U+FFFD, as does a text of which nothing is left.
    """
    if not hides(text):
        return text.strip()
    seen = _NO_CHARACTER.sub(REPLACEMENT, _INVISIBLE.sub(_kept, text))
    return " ".join(seen.split()) or REPLACEMENT


def _kept(match: re.Match[str]) -> str:
    """Return what has to stay of a run of invisible characters."""
    start = match.start()
    if not start or match.string[start - 1].isspace():
        return ""
    needed = _NEEDED.match(match[0])
    return needed[0] if needed is not None else ""

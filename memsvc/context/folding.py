"""Folding a text to one line that shows all that it says."""

from __future__ import annotations

import re
from typing import Final

REPLACEMENT: Final = "\ufffd"

_INVISIBLE: Final = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"  # controls that are not white space
    "\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_NO_CHARACTER: Final = re.compile("[\ud800-\udfff\ufffe\uffff]")


def one_line(text: str) -> str:
    """Return `text` as one line without anything that a reader does not see.

    White space at the ends is dropped. Unless every character is printable, runs of white space (line and paragraph
    separators are some) become one space, invisible characters are dropped (controls, bidirectional marks and
    overrides, zero-width spaces and tags, but not the joiners that emoji and scripts need), and what is no character
    becomes U+FFFD, as does a text of which nothing is left.
    """
    if text.isprintable():
        return text.strip()
    return " ".join(_NO_CHARACTER.sub(REPLACEMENT, _INVISIBLE.sub("", text)).split()) or REPLACEMENT

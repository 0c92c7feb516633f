"""Characters that a reader does not see: in an id they make two names look like one, in a prompt they hide orders.

Unicode says which they are: the property Default_Ignorable_Code_Point (joiners, variation selectors, fillers, tags, and
the places kept for more of them, so that those of later versions count as well), and the controls. Format characters
that do show (an Arabic number sign, say) are none.
"""

from __future__ import annotations

import re
from typing import Final

DEFAULT_IGNORABLE: Final = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""The property, as the inside of a class of characters in a pattern. By Unicode's promise it only ever grows where
characters are assigned outside of the ranges that are kept for it."""
JOINING: Final = "\u180b-\u180d\u180f\u200c\u200d\ufe00-\ufe0f"
"""Those of them that scripts and emoji need after a character: one that says how it looks, one whether it joins."""
_HIDDEN: Final = re.compile(f"[{DEFAULT_IGNORABLE}]")


def hides(text: str) -> bool:
    """Whether there is anything in `text` that a reader does not see, white space but the space itself included."""
    if text.isascii():
        return not text.isprintable()
    return not text.isprintable() or _HIDDEN.search(text) is not None

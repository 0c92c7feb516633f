"""Where a team keeps what its members say of themselves, so that nobody's replaces another's.

For example Caroline's `location` is at `members.caroline.location`.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

_NOT_IN_KEYS: Final = re.compile(r"[^A-Za-z0-9_]+")
_BRANCH: Final = "members"
_LONGEST: Final = 60


def member_key(author_id: str, key: str) -> str:
    """Return the key of a member's fact; authors whose ids differ never share one."""
    name = _NOT_IN_KEYS.sub("_", author_id)[:_LONGEST]
    if name != author_id or not name[:1].isalpha():
        digest = hashlib.blake2b(author_id.encode(), digest_size=4).hexdigest()
        name = f"m_{name.strip('_')}_{digest}"
    return f"{_BRANCH}.{name}.{key}"

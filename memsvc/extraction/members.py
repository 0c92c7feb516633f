"""Where a team keeps what its members say of themselves, so that nobody's replaces another's.

For example Caroline's `location` is at `members.caroline.location`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from memsvc.extraction.engine import Conversation
from memsvc.model import Layer, Memory

_NOT_IN_KEYS: Final = re.compile(r"[^A-Za-z0-9_]+")
_BRANCH: Final = "members"
_BRANCHES: Final = 2
"""How many names stand before the key itself."""
_LONGEST: Final = 60


def member_key(author_id: str, key: str) -> str:
    """Return the key of a member's fact; authors whose ids differ never share one."""
    name = _NOT_IN_KEYS.sub("_", author_id)[:_LONGEST]
    if name != author_id or not name[:1].isalpha():
        digest = hashlib.blake2b(author_id.encode(), digest_size=4).hexdigest()
        name = f"m_{name.strip('_')}_{digest}"
    return f"{_BRANCH}.{name}.{key}"


def is_member_key(key: str) -> bool:
    """Tell whether a key is one that a member's fact has, as models are shown it."""
    return key.startswith(f"{_BRANCH}.") and key.count(".") >= _BRANCHES


def bare_key(key: str) -> str:
    """Return a key without the member whose it is."""
    return key.split(".", _BRANCHES)[_BRANCHES] if is_member_key(key) else key


def by_author(conversation: Conversation) -> Sequence[Conversation]:
    """Return the conversation once for each member who speaks in it, as if it were theirs; else the conversation.

    For engines that read what one person says of themselves.
    """
    if not conversation.shared:
        return (conversation,)
    authors = dict.fromkeys(each.author_id for each in conversation.messages if conversation.is_source(each))
    return [
        replace(conversation, author_id=author_id, known=_of_member(conversation.known, author_id))
        for author_id in authors
    ]


def _of_member(known: Sequence[Memory], author_id: str) -> Sequence[Memory]:
    """Return the memories that a member said, with the keys that they have for everybody else."""
    prefix = member_key(author_id, "")
    return [
        replace(memory, key=memory.key.removeprefix(prefix)) if memory.layer is Layer.PROFILE else memory
        for memory in known
        if memory.origin.author_id == author_id
    ]

"""Where items of a store are in memsvc: which user, and which key in the layer KNOWLEDGE.

The first labels of a namespace (two, unless the store is told otherwise) name a user, `langgraph:memories/ada`: that
user's items are one journal, written and cached together. A key holds a digest of each label and of the item's place,
`item.n1f0c….k77ab…`, so that a prefix of namespaces is a path of keys, which memsvc filters by. A digest is no proof:
an item holds its namespace and key, and whoever searches compares them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

USER_PREFIX = "langgraph:"
ID_BYTES = 256
LABELS_IN_KEY = 12
"""A key has 200 bytes."""
_SAFE = " !$&'()*+,-:;=@_~"

Namespace = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """An item's place in memsvc."""

    user_id: str
    key: str

    @property
    def parts(self) -> str:
        """The path below which the parts of a large value are."""
        return "part." + self.key.rpartition(".")[2]

    def part(self, number: int) -> str:
        return f"{self.parts}.p{number}"


@dataclass(frozen=True, slots=True)
class Places:
    """How namespaces are laid out."""

    user_labels: int = 2

    def of(self, namespace: Namespace, key: str) -> Place:
        place = json.dumps([namespace, key])
        return Place(self.user_of(namespace), f"{self.path(namespace)}.k{_digest(place)[:32]}")

    def user_of(self, namespace: Namespace) -> str:
        """Return the user that has the items of a namespace."""
        named = _escaped(namespace[: self.user_labels])
        if len(named) > ID_BYTES:
            return f"{USER_PREFIX}#{_digest(named)}"
        return named

    def path(self, namespace: Namespace) -> str:
        """Return the path of the keys of a namespace and of all below it; others may share it."""
        return ".".join(["item", *(f"n{_digest(label)[:10]}" for label in namespace[:LABELS_IN_KEY])])

    def single_user(self, prefix: Sequence[str]) -> str | None:
        """Return the user that has all namespaces below a prefix; None: several may."""
        return self.user_of(tuple(prefix)) if len(prefix) >= self.user_labels else None

    def users_below(self, prefix: Sequence[str], users: Iterable[str]) -> list[str]:
        """Return which of these users may have namespaces below a prefix."""
        named = _escaped(prefix)
        return [
            user
            for user in users
            if user.startswith(USER_PREFIX)
            and (not prefix or user == named or user.startswith((f"{named}/", f"{USER_PREFIX}#")))
        ]


def _escaped(labels: Iterable[str]) -> str:
    return USER_PREFIX + "/".join(quote(label, safe=_SAFE, errors="surrogatepass") for label in labels)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

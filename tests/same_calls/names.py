"""Replies of different servers made comparable: what a server made up is named by where it first turned up."""

from __future__ import annotations

import re
from typing import Any

READ_TIME = "read_time"
_OWN = "own-"
_IDS = frozenset(
    (
        *("memory_id", "memory_ids", "context_memory_ids", "purged_memory_ids", "successor_id"),
        *("run_id", "run_ids", "replaces_run_id"),
        *("extraction_id", "message_id", "next_page_token", "resume_token"),
    )
)
_ETAG = re.compile(r"\d+-[0-9a-f]+")
_MADE_UP = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b\d+-[0-9a-f]{6,}\b")
"""What servers make up, wherever it stands in a text."""
_SYMBOL = re.compile(r"«\d+»")
_FIRST_SERVER_YEAR = 2020
"""Times before are the clients'."""


def own(name: str) -> str:
    """Return an id that a client chose: it means the same to every server."""
    return _OWN + name


class Names:
    """Translates between what one server made up (ids, etags, tokens, times) and symbols that all have in common."""

    def __init__(self) -> None:
        self._symbols: dict[str, str] = {}
        self._values: dict[str, str] = {}

    def for_all(self, reply: Any, field: str = "") -> Any:
        """Return a reply, as JSON, with symbols in place of what the server made up."""
        if isinstance(reply, dict):
            return {name: value if name == "metadata" else self.for_all(value, name) for name, value in reply.items()}
        if isinstance(reply, list):
            return [self.for_all(value, field) for value in reply]
        if isinstance(reply, float):
            return round(reply, 6)
        if not isinstance(reply, str):
            return reply
        if field == READ_TIME:
            return "now"
        if self._is_made_up(reply, field):
            return self._symbol(reply)
        return reply

    def texts_for_all(self, value: Any) -> Any:
        """Return messages for people, as JSON, with symbols in them."""
        if isinstance(value, dict):
            return {name: self.texts_for_all(each) for name, each in value.items()}
        if isinstance(value, list):
            return [self.texts_for_all(each) for each in value]
        return _MADE_UP.sub(lambda found: self._symbol(found[0]), value) if isinstance(value, str) else value

    def for_server(self, request: Any) -> Any:
        """Return a request, as JSON, with what the server calls it in place of each symbol."""
        if isinstance(request, dict):
            return {name: self.for_server(value) for name, value in request.items()}
        if isinstance(request, list):
            return [self.for_server(value) for value in request]
        if isinstance(request, str) and _SYMBOL.fullmatch(request):
            return self._values[request]
        return request

    def _is_made_up(self, value: str, field: str) -> bool:
        if not value or value.startswith(_OWN):
            return False
        if field == "time" or field.endswith("_time") or field in ("valid_from", "valid_to"):
            return int(value[:4]) >= _FIRST_SERVER_YEAR
        # The etag of a context is a digest of its text: that is the same everywhere.
        return field in _IDS or (field == "etag" and _ETAG.fullmatch(value) is not None)

    def _symbol(self, value: str) -> str:
        if value not in self._symbols:
            symbol = f"«{len(self._symbols) + 1}»"
            self._symbols[value], self._values[symbol] = symbol, value
        return self._symbols[value]

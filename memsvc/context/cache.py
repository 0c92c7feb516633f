"""Compiled contexts of one user at one revision, those used last."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

from memsvc.context.contract import CompiledContext

MAX_ENTRIES: Final = 12
MAX_BYTES: Final = 128 << 10

_ENTRY_OVERHEAD_BYTES: Final = 1_500
_ID_BYTES: Final = 90


class ContextCache:
    """At most 12 contexts and 128 KiB."""

    def __init__(self) -> None:
        self.size_bytes = 0
        self._entries: OrderedDict[Hashable, CompiledContext] = OrderedDict()

    def get(self, key: Hashable) -> CompiledContext | None:
        context = self._entries.get(key)
        if context is not None:
            self._entries.move_to_end(key)
        return context

    def put(self, key: Hashable, context: CompiledContext) -> None:
        """Keep a context under a key that has none; those used longest ago make room."""
        size = _size_bytes(context)
        if size > MAX_BYTES:
            return
        self._entries[key] = context
        self.size_bytes += size
        while self.size_bytes > MAX_BYTES or len(self._entries) > MAX_ENTRIES:
            _, oldest = self._entries.popitem(last=False)
            self.size_bytes -= _size_bytes(oldest)


def _size_bytes(context: CompiledContext) -> int:
    ids = len(context.memory_ids) + sum(len(cut.memory_ids) for cut in context.cuts)
    return _ENTRY_OVERHEAD_BYTES + 2 * sys.getsizeof(context.text) + _ID_BYTES * ids

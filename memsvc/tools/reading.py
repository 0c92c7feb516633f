"""The tools that only read: memories, and what was said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, islice

from msgspec import Struct

from memsvc.memories.reading import MemoryReader, SearchMethod
from memsvc.model import Layer, Scope
from memsvc.search.filter import MemoryFilter
from memsvc.sessions.history import timed
from memsvc.sessions.searching import HistorySearch
from memsvc.sessions.sessions import Sessions
from memsvc.tools.answers import Answer, fitting, listed, said
from memsvc.tools.arguments import Arguments
from memsvc.tools.catalog import MAX_FOUND, MAX_LISTED, MAX_RUNS
from memsvc.tools.permissions import Permissions, forbidden
from memsvc.users import HotUser, Users

_FOUND = 10
_LISTED = 100
_RUNS = 3
_MORE = "... and more: ask for less of it, or search for what you need"


class MemoryTools(Struct):
    """Reads for models: `search_memories`, `get_memories`, `read_chat_history`, `search_history`."""

    users: Users
    reader: MemoryReader
    sessions: Sessions
    history: HistorySearch

    async def search(self, scope: Scope, given: Arguments, shared: Sequence[str], permissions: Permissions) -> Answer:
        """Return the memories nearest to a question, those of shared users among them."""
        layers = _layers(None, permissions)
        wanted = MemoryFilter(layers=layers if set(layers) != set(Layer) else ())
        limit = given.count("limit", _FOUND, MAX_FOUND)
        result = await self.reader.search(scope, given.query(), SearchMethod.DEFAULT, limit, wanted, shared)
        lines = chain.from_iterable(listed((hit.memory,), hit.shared_user_id) for hit in result.hits)
        return _answer(lines, "Nothing is remembered about that.", result.user)

    async def get(self, scope: Scope, given: Arguments, shared: Sequence[str], permissions: Permissions) -> Answer:
        """Return the memories of one or all layers, last changed first, then those of shared users."""
        layers = _layers(given.layer(), permissions)
        limit = given.count("limit", _LISTED, MAX_LISTED)
        user = await self.users.latest(scope)
        others = await self.users.read_shared(scope, shared)
        lines: list[str] = []
        for shared_user_id, source in {"": user, **others}.items():
            chosen = (memory for memory in source.newest() if memory.layer in layers)
            lines += listed(islice(chosen, limit - len(lines) + 1), shared_user_id)
        return _answer(lines[:limit], "Nothing is remembered yet.", user, more=len(lines) > limit)

    async def read_chat_history(self, scope: Scope, given: Arguments, session_id: str) -> Answer:
        """Return the last exchanges of the session (none: of all sessions), oldest first."""
        count = given.count("last_runs", _RUNS, MAX_RUNS)
        runs, _ = await self.sessions.runs(scope, session_id, count, "", descending=True, include_replaced=False)
        newest = [[line for message in run.messages for line in said(timed(message, run))] for run, _ in runs]
        # What does not fit is what was said first.
        kept, more = fitting(line for lines in newest for line in reversed(lines))
        lines = [*(("(what was said before is left out)",) if more else ()), *reversed(kept)]
        user = await self.users.latest(scope)
        return Answer(text="\n".join(lines) or "Nothing was said before.", revision=user.revision)

    async def search_history(self, scope: Scope, given: Arguments) -> Answer:
        """Return what was said that fits a question, best first."""
        limit = given.count("limit", _FOUND, MAX_FOUND)
        passages, user = await self.history.search(scope, given.query(), limit)
        lines = chain.from_iterable(said(passage.message) for passage in passages)
        return _answer(lines, "Nothing was said about that.", user)


def _layers(asked: Layer | None, permissions: Permissions) -> tuple[Layer, ...]:
    """Return the layers to read. Raises OPERATION_FORBIDDEN for one that is not shown."""
    if asked is None:
        return tuple(layer for layer in Layer if layer in permissions.readable)
    if asked not in permissions.readable:
        raise forbidden(f"the layer {asked} is switched off")
    return (asked,)


def _answer(lines: Iterable[str], nothing: str, user: HotUser, *, more: bool = False) -> Answer:
    kept, left_out = fitting(lines)
    if more or left_out:
        kept.append(_MORE)
    return Answer(text="\n".join(kept) or nothing, revision=user.revision)

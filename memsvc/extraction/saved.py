"""What tools saved in a conversation: where memory is changed both ways, it is not learned from the runs again.

A tool's memory says which session it is from; what a run's own calls of tools say counts too, whoever carried them out.
An engine is shown these memories as known. What it proposes all the same is held against them: the same key, or mostly
the same words.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from msgspec import Struct

from memsvc.model import TOOL_ENGINE, Layer, Memory, Run, ToolCallPart, ToolName
from memsvc.search.text import shared_analyzer

_SAVING: Final = frozenset((ToolName.SAVE_MEMORY, ToolName.UPDATE_MEMORY))
_SHARED_OF_FEWER, _SHARED_OF_MORE = 0.7, 0.4
"""So much in common, of the words of the shorter text and of those of the longer one, is the same fact."""


class Saved(Struct, frozen=True):
    """What tools saved."""

    memories: Sequence[Memory] = ()
    """As they are stored."""
    keys: frozenset[tuple[Layer, str]] = frozenset()
    words: Sequence[frozenset[str]] = ()
    """Of each text."""

    def holds(self, proposed: Memory) -> bool:
        """Return whether what is proposed is what a tool saved."""
        if not self.words:
            return False
        if proposed.key and (proposed.layer, proposed.key) in self.keys:
            return True
        words = _words(proposed.text)
        return any(_is_the_same(words, each) for each in self.words)


NOTHING_SAVED: Final = Saved()


def saved_by_tools(memories: Iterable[Memory], runs: Sequence[Run], since: int) -> Saved:
    """Return what tools saved in these runs of one session, the one before which was stored at `since`."""
    run_ids = {run.run_id for run in runs}
    session_id = runs[0].session_id if runs else ""
    stored = [
        memory
        for memory in memories
        if memory.origin.engine == TOOL_ENGINE
        and (memory.origin.run_id in run_ids or (session_id and memory.origin.session_id == session_id))
        and (memory.update_time > since or memory.origin.run_id in run_ids)
    ]
    called = list(_called(runs))
    words = [_words(text) for text in (*(memory.text for memory in stored), *(text for *_, text in called))]
    places = {(memory.layer, memory.key) for memory in stored if memory.key}
    places |= {(layer, key) for layer, key, _ in called if key and layer is not None}
    return Saved(stored, frozenset(places), [each for each in words if each])


def _called(runs: Sequence[Run]) -> Iterator[tuple[Layer | None, str, str]]:
    """Yield layer, key and text of each call of a tool that saves."""
    for run in runs:
        for message in run.messages:
            for part in message.parts:
                if isinstance(part, ToolCallPart) and part.name in _SAVING:
                    given = json.loads(part.arguments_json or "{}")
                    layer, key, text = (given.get(name) for name in ("layer", "key", "text"))
                    named = layer.lower() if isinstance(layer, str) else ""
                    yield (
                        Layer(named) if named in tuple(Layer) else None,
                        key if isinstance(key, str) else "",
                        text if isinstance(text, str) else "",
                    )


def _words(text: str) -> frozenset[str]:
    return frozenset(shared_analyzer.query_terms(text))


def _is_the_same(words: frozenset[str], others: frozenset[str]) -> bool:
    fewer, more = sorted((len(words), len(others)))
    shared = len(words & others)
    return bool(shared) and shared >= _SHARED_OF_FEWER * fewer and shared >= _SHARED_OF_MORE * more

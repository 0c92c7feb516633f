"""What tools saved in a conversation: where memory is changed both ways, it is not learned from the runs again.

A tool's memory says which session it is from; what a run's own calls of tools say counts too, whoever carried them out.
An engine is shown these memories as known. What it proposes all the same is held against them. For example, in a run in
which `save_memory(text="Is allergic to peanuts")` was called, "The user has a peanut allergy" with the quote "I'm
allergic to peanuts" says nothing new: all words of its quote were saved. "Moved to Oslo" is learned as ever.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from memsvc.model import TOOL_ENGINE, Layer, Memory, Run, ToolCallPart, ToolName, ToolResultPart, text_of
from memsvc.search.text import shared_analyzer

_SAVING: Final = (ToolName.SAVE_MEMORY, ToolName.UPDATE_MEMORY, ToolName.UPDATE_USER_MEMORY)
_NAME: Final = re.compile(rf"(?:.*[_.:/-])?({'|'.join(_SAVING)})")
"""Agents put names of their own in front: mcp__memsvc__save_memory."""
_FAILED: Final = "Error: "
"""How a tool's answer begins that has changed nothing."""
_ENOUGH: Final = 0.75
"""So much of the words of a text is the same fact in other words."""
_SAID_OF_ALL: Final = frozenset(("user", "i"))


class Saved(Struct, frozen=True):
    """What tools saved."""

    memories: Sequence[Memory] = ()
    """As they are stored."""
    values: Mapping[tuple[Layer, str], frozenset[str]] = {}
    """What was put at keys, by element."""
    words: Sequence[frozenset[str]] = ()
    """Of each text."""
    numbers: frozenset[int] = frozenset()
    """The memories that were written."""

    def holds(self, proposed: Memory, number: int = 0) -> bool:
        """Return whether what is proposed, in place of the memory `number` if there is one, is what a tool saved."""
        if number and number in self.numbers:
            return True
        there = self.values.get((proposed.layer, proposed.key)) if proposed.key else None
        if there is not None:
            value = _value(proposed.value_json)
            return not isinstance(value, list) or there.issuperset(_elements(value))
        text, quote = _words(proposed.text), _words(proposed.input)
        return any(_says(saved, text, quote) for saved in self.words)


NOTHING_SAVED: Final = Saved()


def saved_by_tools(memories: Iterable[Memory], runs: Sequence[Run], since: int) -> Saved:
    """Return what tools saved in these runs of one session, the one before which was stored at `since`."""
    run_ids = {run.run_id for run in runs}
    session_id = runs[0].session_id if runs else ""
    until = max((run.create_time for run in runs), default=0)
    stored = [
        memory
        for memory in memories
        if memory.origin.engine == TOOL_ENGINE
        and (
            memory.origin.run_id in run_ids
            or (session_id and memory.origin.session_id == session_id and since < memory.update_time <= until)
        )
    ]
    texts = [f"{memory.text} {memory.value_json}" for memory in stored]
    values = {(memory.layer, memory.key): _of(memory.value_json or memory.text) for memory in stored if memory.key}
    numbers = {memory.number for memory in stored}
    for name, given in _called(runs):
        texts.append(" ".join(str(given.get(each) or "") for each in ("text", "task", "value")))
        if name is ToolName.UPDATE_MEMORY and (match := re.search(r"\d{1,12}", str(given.get("number")))):
            numbers.add(int(match[0]))
        if name is ToolName.SAVE_MEMORY and (place := _place(given)) is not None:
            values[place] = values.get(place, frozenset()) | _elements(given.get("value") or given.get("text"))
    return Saved(stored, values, [words for words in map(_words, texts) if words], frozenset(numbers))


def _called(runs: Sequence[Run]) -> Iterator[tuple[ToolName, Mapping[str, Any]]]:
    """Yield the calls of tools that save, with their arguments, but for those that did nothing."""
    for run in runs:
        failed = {part.call_id for part in _parts(run) if isinstance(part, ToolResultPart) and _has_failed(part)}
        for part in _parts(run):
            if isinstance(part, ToolCallPart) and part.call_id not in failed and (match := _NAME.fullmatch(part.name)):
                given = _value(part.arguments_json)
                if isinstance(given, dict):
                    yield ToolName(match[1]), given


def _parts(run: Run) -> Iterator[object]:
    return (part for message in run.messages for part in message.parts)


def _has_failed(result: ToolResultPart) -> bool:
    return result.is_error or text_of(result.parts).startswith(_FAILED)


def _place(given: Mapping[str, Any]) -> tuple[Layer, str] | None:
    layer, key = str(given.get("layer", "")).strip().lower(), given.get("key")
    return (Layer(layer), key) if layer in set(Layer) and isinstance(key, str) and key else None


def _says(saved: frozenset[str], text: frozenset[str], quote: frozenset[str]) -> bool:
    if quote and quote <= saved:
        return True
    return bool(text) and len(text & saved) >= _ENOUGH * len(text)


def _words(text: str) -> frozenset[str]:
    """Return the words that say something: of "the user" everything here is."""
    return frozenset(shared_analyzer.query_terms(text)) - _SAID_OF_ALL if text.strip() else frozenset()


def _value(value_json: str) -> object:
    try:
        return json.loads(value_json)
    except (ValueError, RecursionError):
        return value_json


def _of(value_json: str) -> frozenset[str]:
    return _elements(_value(value_json))


def _elements(value: object) -> frozenset[str]:
    listed = value if isinstance(value, list) else [value]
    return frozenset(json.dumps(each, ensure_ascii=False).casefold() for each in listed)

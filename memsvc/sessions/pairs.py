"""Tools' calls and their results: model providers refuse one without the other."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from memsvc.model import Message, Role, ToolCallPart, ToolResultPart


def with_pairs(messages: Sequence[Message], roles: Collection[Role]) -> Sequence[Message]:
    """Return the messages of these roles (none: all), and those that hold the other half of a tool's call in them."""
    if not roles:
        return messages
    kept = {index for index, message in enumerate(messages) if message.role in roles}
    halves = list(_pairs(messages))
    size = -1
    while size != len(kept):
        size = len(kept)
        for call, result in halves:
            if call in kept or result in kept:
                kept |= {call, result}
    return [messages[index] for index in sorted(kept)]


def _pairs(messages: Sequence[Message]) -> Iterator[tuple[int, int]]:
    """Yield where a call is and where its result: ids need not be unique, a result answers the last call before it."""
    calls: dict[str, int] = {}
    for index, message in enumerate(messages):
        for part in message.parts:
            if isinstance(part, ToolCallPart):
                calls[part.call_id] = index
            elif isinstance(part, ToolResultPart) and part.call_id in calls:
                yield calls[part.call_id], index

"""What is too large for memory: a message is kept by its beginning, and a turn is stored as several runs.

The longest text of the message is cut, and the next, until it fits; a note behind each says how much is left out. A
part in its provider's own form cannot be cut, and goes: what it says stands beside it. Of too many parts the first are
kept. Nothing but the message decides, so that the same one is cut the same way each time that an agent hands it over.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any

from memsvc.v1 import common_pb2, message_pb2

MESSAGE_BYTES = 256 << 10
MESSAGE_PARTS = 1_000
RUN_BYTES = 2 << 20
RUN_MESSAGES = 1_000
LEFT_OUT = "\n[... {} bytes left out]"
"""What stands behind a text that was cut; the clients in other languages write the same."""
PARTS_LEFT_OUT = "[... {} parts left out]"
"""What stands behind the first parts, where there were more."""
_CUT = {"text": "text", "media": "caption", "tool_call": "arguments_json", "provider": "json"}
"""What there may be too much of in a part."""


def fit(message: message_pb2.Message) -> None:
    """Cut a message that is larger than one may be."""
    while _count(message.parts) > MESSAGE_PARTS:
        _keep_first_parts(message.parts)
    if message.ByteSize() <= MESSAGE_BYTES:
        return
    over = _size(message) - MESSAGE_BYTES
    texts = list(_texts(message.parts))
    while over > 0 and texts:
        longest = max(texts, key=itemgetter(0))
        length, parts, part = longest
        now = _shorten(parts, part, length - over)
        if now >= length:
            return
        longest[0] = now
        over -= length - now


def in_runs(messages: Sequence[message_pb2.Message]) -> Iterator[Sequence[message_pb2.Message]]:
    """Yield messages in as many runs as it takes; tools' answers stay with their call where they can."""
    sizes = [_size(message) for message in messages]
    start = 0
    while start < len(messages):
        end = start + 1
        room = RUN_BYTES - sizes[start]
        while end < len(messages) and end - start < RUN_MESSAGES and sizes[end] <= room:
            room -= sizes[end]
            end += 1
        call = end
        while start < call < len(messages) and messages[call].role == common_pb2.ROLE_TOOL:
            call -= 1
        end = call if call > start else end
        yield messages[start:end]
        start = end


def beginning(text: str, most: int) -> str:
    """Return the beginning of a text, and how much is left out, in at most so many bytes, if that note needs no more.

    >>> beginning("abcdé" * 9, 30)
    'abcd\\n[... 50 bytes left out]'
    """
    whole = text.encode()
    room = max(0, most - len(LEFT_OUT.format(len(whole))))
    kept = whole[:room].decode(errors="ignore")
    return kept + LEFT_OUT.format(len(whole) - len(kept.encode()))


def _keep_first_parts(parts: Any) -> None:
    """Leave out the last parts of where most of them are, until the message fits or none is left of these."""
    most = max(parts, *(part.tool_result.parts for part in parts), key=len)
    over, left_out = _count(parts) + 1 - MESSAGE_PARTS, 0
    while over > 0 and most:
        over -= _count(most[-1:])
        del most[-1]
        left_out += 1
    most.add().text.text = PARTS_LEFT_OUT.format(left_out)


def _count(parts: Any) -> int:
    """Return how many parts there are as the service counts them: those of tools' answers too."""
    return len(parts) + sum(len(part.tool_result.parts) for part in parts)


def _texts(parts: Any) -> Iterator[list[Any]]:
    """Yield what may be cut: how long it is, the parts among which it is, and its own."""
    for part in parts:
        kind = part.WhichOneof("part")
        if kind == "tool_result":
            yield from _texts(part.tool_result.parts)
        elif kind in _CUT:
            yield [len(getattr(getattr(part, kind), _CUT[kind]).encode()), parts, part]


def _shorten(parts: Any, part: message_pb2.Part, most: int) -> int:
    """Cut a part down to so many bytes, or leave it out; return how many there are now."""
    kind: Any = part.WhichOneof("part")
    held, name = getattr(part, kind), _CUT[kind]
    text = getattr(held, name)
    match kind:
        case "provider":
            parts.remove(part)
            if not parts:
                parts.add().text.text = beginning(text, 0).lstrip()
            return 0
        case "tool_call":
            # They are an object in any case; in a string of JSON its quotes take twice the room.
            cut = json.dumps({"input": beginning(text, most // 2 - 16)}, ensure_ascii=False)
        case _:
            cut = beginning(text, most)
    setattr(held, name, cut)
    return len(cut.encode())


def _size(of: Any) -> int:
    """Return the size of a message or part as the service counts it: all its parts' strings."""
    if isinstance(of, message_pb2.Message):
        return sum(map(_size, of.parts))
    held = getattr(of, of.WhichOneof("part"))
    strings = sum(len(value.encode()) for _, value in held.ListFields() if isinstance(value, str))
    return strings + (sum(map(_size, held.parts)) if of.HasField("tool_result") else 0)

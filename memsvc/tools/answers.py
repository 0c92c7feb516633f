"""What tools answer: plain lines, for models and for people.

A memory is one line, whatever is in it, so that no text can pass for another memory:

    m17 profile.role: Works as a Staff Engineer [work] (2026-11-28)
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import Struct

from memsvc.model import Cause, Change, ChangeKind, Commit, Extraction, Memory, Message, Polarity, Role

ERROR_OPENING: Final = "Error: "
"""What begins an answer that did nothing: history keeps no other sign of that."""
ANSWER_CHARACTERS: Final = 16_000
"""An answer goes into the prompt of the model that asked."""
_TEXT_CHARACTERS: Final = 2_000
_MOST_CHANGES: Final = 20
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_VERBS: Final = {ChangeKind.CREATED: "Saved", ChangeKind.UPDATED: "Changed", ChangeKind.DELETED: "Forgot"}
_SPEAKERS: Final = {Role.USER: "user", Role.ASSISTANT: "assistant"}


class Answer(Struct, frozen=True, kw_only=True):
    """What became of a call."""

    text: str
    is_error: bool = False
    reason: str = ""
    commit: Commit | None = None
    extraction: Extraction | None = None
    revision: int = 0


def failed(reason: str, sentence: str, *, extraction: Extraction | None = None, revision: int = 0) -> Answer:
    """Return the answer to a call that did nothing, for a reason that the model can mend."""
    text = f"{ERROR_OPENING}{sentence}"
    return Answer(text=text, is_error=True, reason=reason, extraction=extraction, revision=revision)


def listed(memories: Iterable[Memory], shared_user_id: str = "") -> list[str]:
    """Return a line for each memory; those of a shared user have no number, for nobody may change them here."""
    return [_line(memory, shared_user_id) for memory in memories]


def told(changes: Sequence[Change]) -> str:
    """Return what a commit has changed; what had expired by itself was not seen any more."""
    changes = [change for change in changes if change.cause is not Cause.EXPIRED]
    lines = [_told(change) for change in changes[:_MOST_CHANGES]]
    if len(changes) > _MOST_CHANGES:
        lines.append(f"... and {len(changes) - _MOST_CHANGES} more")
    return "\n".join(lines)


def said(message: Message) -> Iterator[str]:
    """Yield the line of what the user or the agent said, if the message says something."""
    speaker = _SPEAKERS.get(message.role)
    text = one_line(message.text)
    if speaker is not None and text:
        who = message.author_id or message.name if message.role is Role.USER else ""
        yield f"{_minute(message.time)} {f'{speaker} {one_line(who)}' if who else speaker}: {text}"


def fitting(lines: Iterable[str]) -> tuple[list[str], bool]:
    """Return as many of the lines as an answer holds, and whether some were left out."""
    kept: list[str] = []
    left = ANSWER_CHARACTERS
    for line in lines:
        left -= len(line) + 1
        if left < 0 and kept:
            return kept, True
        kept.append(line)
    return kept, False


def one_line(text: str) -> str:
    """Return a text without line breaks, and not longer than a line of an answer may be."""
    line = " ".join(text.split())
    return line if len(line) <= _TEXT_CHARACTERS else f"{line[:_TEXT_CHARACTERS]}…"


def _line(memory: Memory, shared_user_id: str = "") -> str:
    name = f"[{one_line(shared_user_id)}]" if shared_user_id else f"m{memory.number}"
    place = f"{memory.layer}.{memory.key}" if memory.key else memory.layer.value
    polarity = f" ({memory.polarity})" if memory.polarity is not Polarity.NONE else ""
    value = "" if _says_its_value(memory) else f" = {one_line(memory.value_json)}"
    topics = f" [{', '.join(map(one_line, memory.topics))}]" if memory.topics else ""
    return f"{name} {place}{polarity}: {one_line(memory.text)}{value}{topics}{_day(memory.observe_time)}"


def _says_its_value(memory: Memory) -> bool:
    try:
        value = json.loads(memory.value_json or "[]")
    except ValueError:
        return False
    elements = value if isinstance(value, list) else [value]
    return all(not isinstance(each, dict) and str(each) in memory.text for each in elements)


def _told(change: Change) -> str:
    verb, memory = _VERBS[change.kind], change.after or change.before
    assert memory is not None
    verb = f"{verb} as" if change.kind is ChangeKind.CREATED else verb
    return f"{verb} {_line(memory)}"


def _day(micros: int) -> str:
    moment = _moment(micros)
    return f" ({moment:%Y-%m-%d})" if moment is not None else ""


def _minute(micros: int) -> str:
    moment = _moment(micros)
    return f"{moment:%Y-%m-%d %H:%M}" if moment is not None else "-"


def _moment(micros: int) -> datetime | None:
    try:
        return _EPOCH + timedelta(microseconds=micros) if micros else None
    except OverflowError:
        return None

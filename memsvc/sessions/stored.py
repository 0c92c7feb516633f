"""What of a list of messages a session holds already: agents often hand over all messages of a conversation each turn.

The longest beginning of the list that is the end of the history is known. So a window of the last messages is
understood as well as the whole list, and nothing is left out that was not stored.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import aclosing

from msgspec import Struct

from memsvc.model import Message, Role, Run, Scope
from memsvc.sessions.walking import walk_runs
from memsvc.storage.driver import Driver, PageOf, RowKind


class Stored(Struct, frozen=True):
    """How a list of messages relates to the session's history."""

    new: Sequence[Message]
    """What is to be stored."""
    last: Run | None = None
    """The session's last run."""


def spoken(messages: Sequence[Message]) -> Sequence[Message]:
    """Return the messages without those of the system: they are the agent's, and hold memories that it was given."""
    return tuple(message for message in messages if message.role is not Role.SYSTEM)


async def stored(
    driver: Driver, scope: Scope, session_id: str, messages: Sequence[Message], replaced_run_id: str = ""
) -> Stored:
    """Return what of `messages` is new to the session, without system messages; nothing where all of it is known.

    One exchange that is the same as the last one is new, for people say "yes" twice; several exchanges, or a system
    message before them, are a whole list that is handed over again.
    """
    given = spoken(messages)
    history, last = await _history(driver, scope, session_id, len(given), replaced_run_id)
    whole = len(given) < len(messages) or _exchanges(given) > 1
    known = overlap([_said(message) for message in history], [_said(message) for message in given])
    if known == len(given) and not whole:
        known = 0
    return Stored(given[known:], last)


def overlap(history: Sequence[Hashable], given: Sequence[Hashable]) -> int:
    """Return the length of the longest beginning of `given` that `history` ends with (as Knuth, Morris, Pratt find it).

    >>> overlap("abcab", "abd")
    2
    """
    if not given:
        return 0
    fallback = [0] * len(given)
    length = 0
    for index in range(1, len(given)):
        length = _longer(given, fallback, length, given[index])
        fallback[index] = length
    length = 0
    for each in history:
        length = _longer(given, fallback, fallback[length - 1] if length == len(given) else length, each)
    return length


def _longer(given: Sequence[Hashable], fallback: Sequence[int], length: int, each: Hashable) -> int:
    while length and given[length] != each:
        length = fallback[length - 1]
    return length + (given[length] == each)


async def _history(
    driver: Driver, scope: Scope, session_id: str, wanted: int, replaced_run_id: str
) -> tuple[Sequence[Message], Run | None]:
    """Return the last messages of the session, `wanted` at least where there are so many, and its last run."""
    runs: list[Sequence[Message]] = []
    count, last = 0, None
    newest = PageOf(scope, RowKind.RUN, group=session_id, descending=True, limit=wanted)
    async with aclosing(walk_runs(driver, newest)) as walk:
        async for run, _ in walk:
            if not run.replaced and run.run_id != replaced_run_id:
                last = last or run
                runs.append(spoken(run.messages))
                count += len(runs[-1])
            if count >= wanted:
                break
    return [message for run in reversed(runs) for message in run], last


def _said(message: Message) -> Hashable:
    """What makes two messages the same: not when they were said, nor the ids that they were given."""
    return message.role, message.author_id, message.parts


def _exchanges(messages: Sequence[Message]) -> int:
    """Count how often a user speaks after somebody else."""
    roles = [message.role for message in messages]
    return sum(
        1 for index, role in enumerate(roles) if role is Role.USER and (not index or roles[index - 1] is not Role.USER)
    )

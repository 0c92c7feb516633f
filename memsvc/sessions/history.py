"""The history of a session: its last messages, as they were said."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import aclosing

from msgspec import Struct
from msgspec.structs import replace

from memsvc.limits import REPLY_BYTES
from memsvc.model import Message, Role, Run, Scope
from memsvc.sessions.pairs import with_pairs
from memsvc.sessions.walking import walk_runs
from memsvc.storage.driver import Driver, PageOf, RowKind


class History(Struct, frozen=True):
    """The last messages of a session, oldest first."""

    messages: Sequence[Message]
    run_count: int
    has_more: bool
    run_ids: Sequence[str] = ()


async def read_history(
    driver: Driver,
    scope: Scope,
    session_id: str,
    last_runs: int,
    roles: Collection[Role] = (),
    max_characters: int = 0,
    max_bytes: int = REPLY_BYTES,
) -> History:
    """Return the messages of the last runs, oldest first; replaced runs are left out.

    Runs are taken whole, newest first, as long as they have at most `max_characters` (0: any number).
    """
    runs: list[Run] = []
    size, characters, has_more = 0, 0, False
    newest = PageOf(scope, RowKind.RUN, group=session_id, descending=True, limit=last_runs + 1)
    async with aclosing(walk_runs(driver, newest)) as walk:
        async for run, row in walk:
            if run.replaced:
                continue
            characters += sum(message.character_count for message in run.messages)
            full = bool(runs) and size + len(row.body) > max_bytes
            if len(runs) == last_runs or full or 0 < max_characters < characters:
                has_more = True
                break
            runs.append(run)
            size += len(row.body)
    messages = [timed(message, run) for run in reversed(runs) for message in run.messages]
    return History(with_pairs(messages, roles), len(runs), has_more, [run.run_id for run in runs])


def timed(message: Message, run: Run) -> Message:
    """Return the message with a time: its own, else its run's."""
    return message if message.time else replace(message, time=run.create_time)


def said_by(message: Message, stored: int, now: int) -> Message:
    """Return the message with when it was said, to be learned from: its own time, else when it was stored.

    A time that is still to come counts as none: what was learned from it would be newer than all that follows.
    """
    return message if 0 < message.time <= now else replace(message, time=stored)

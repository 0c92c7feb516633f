"""The `rules` engine: learns from plain English statements and wishes, without a model."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final

from memsvc.extraction.engine import Conversation, EngineEvent, Finished, Operation, Proposal
from memsvc.extraction.members import by_author
from memsvc.foreground import Foreground

if TYPE_CHECKING:
    from memsvc.extraction.rules.reading import Reader

_MAX_BUSY_SECONDS: Final = 0.001
"""How long the event loop is held at most, a sentence more or less, before others may run."""


class RulesEngine:
    """Reads what users say of themselves by patterns from data files.

    `extra_patterns` is a file in the same form, whose patterns come first and whose words are added; it is read at
    once, and raises `PatternError`, naming the entry, when something in it is wrong. Without it, patterns are read on
    first use, and what reads by them is imported then: a server starts without it.
    """

    name = "rules"
    concurrency = 4
    """While one computes, others may wait for the database. Two computing at once would be no faster."""

    def __init__(self, extra_patterns: Path | None = None, foreground: Foreground | None = None) -> None:
        self._foreground = foreground or Foreground()
        self._loading = asyncio.Lock()
        self._reader = _new_reader(extra_patterns) if extra_patterns is not None else None

    async def extract(self, conversation: Conversation) -> AsyncGenerator[EngineEvent, None]:
        """Yield proposals as they are read, then `Finished`. Nothing is asked of a model.

        Conversations that are read at the same time take turns, a millisecond each: a long one holds up no other.
        """
        reader = await self._loaded()
        from memsvc.extraction.rules.reading import ConversationReading
        from memsvc.extraction.rules.tasks import as_said, quoting

        task = "\n".join(message.text for message in conversation.messages) if conversation.is_task else ""
        if task:
            conversation = as_said(conversation)
        readings = [ConversationReading(reader, each) for each in by_author(conversation)]
        steps = chain.from_iterable(reading.steps() for reading in readings)
        at_end = False
        while not at_end:
            found: list[Operation] = []
            async with self._foreground.background():
                began = time.monotonic()
                while time.monotonic() - began < _MAX_BUSY_SECONDS:
                    step = next(steps, None)
                    if step is None:
                        at_end = True
                        break
                    found += step
            for operation in found:
                yield Proposal(quoting(operation, task) if task else operation)
        gathered = (operation for reading in readings for operation in reading.gathering.operations())
        yield Finished(tuple(quoting(operation, task) if task else operation for operation in gathered))

    async def close(self) -> None:
        """Do nothing: the engine holds nothing."""

    async def _loaded(self) -> Reader:
        """Return what reads; made in a thread, as to compile its patterns takes longer than the event loop may wait."""
        async with self._loading:
            if self._reader is None:
                self._reader = await asyncio.to_thread(_new_reader, None)
        return self._reader


def _new_reader(extra_patterns: Path | None) -> Reader:
    from memsvc.extraction.rules.patterns import load_book
    from memsvc.extraction.rules.reading import Reader

    return Reader(load_book(extra_patterns))

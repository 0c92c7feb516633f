"""The `rules` engine: learns from English first-person statements, without a model."""

from __future__ import annotations

import asyncio
import functools
import time
import traceback
from collections.abc import AsyncGenerator, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from memsvc.extraction.engine import Conversation, EngineEvent, Finished, Operation, Proposal
from memsvc.extraction.rules.clauses import clauses
from memsvc.extraction.rules.facts import FactReader
from memsvc.extraction.rules.forgetting import Forgetting
from memsvc.extraction.rules.framing import Framing
from memsvc.extraction.rules.gathering import Gathering
from memsvc.extraction.rules.patterns import PatternBook, load_book
from memsvc.extraction.rules.reading import Sentence, sentences
from memsvc.extraction.rules.telling import Telling
from memsvc.extraction.rules.wording import words_of
from memsvc.foreground import Foreground
from memsvc.log import Log
from memsvc.model import Memory, TextPart

log = Log(__name__)

_MAX_BUSY_SECONDS: Final = 0.001
"""How long the event loop is held at most before others may run."""


class RulesEngine:
    """Reads what users say of themselves by patterns from data files.

    `extra_patterns` is a file in the same form, whose patterns come first and whose words are added; it is read at
    once, and raises `PatternError`, naming the entry, when something in it is wrong. Without it, patterns are read on
    first use.
    """

    name = "rules"
    concurrency = 4
    """While one computes, others may wait for the database. Two computing at once would be no faster."""

    def __init__(self, extra_patterns: Path | None = None, foreground: Foreground | None = None) -> None:
        self._extra_patterns = extra_patterns
        self._foreground = foreground or Foreground()
        self._computing = asyncio.Lock()
        if extra_patterns is not None:
            _ = self._reader

    async def extract(self, conversation: Conversation) -> AsyncGenerator[EngineEvent, None]:
        """Yield proposals as they are read, then `Finished`. Nothing is asked of a model."""
        gathering = Gathering(conversation.known)
        async with self._computing:
            busy_since = time.monotonic()
            for found in self._read(conversation):
                for operation in found:
                    standing = gathering.add(operation)
                    if standing is not None:
                        yield Proposal(standing)
                worked = time.monotonic() - busy_since
                if worked > _MAX_BUSY_SECONDS:
                    await self._foreground.give_way(worked)
                    busy_since = time.monotonic()
        yield Finished(gathering.operations())

    async def close(self) -> None:
        """Do nothing: the engine holds nothing."""

    def _read(self, conversation: Conversation) -> Iterator[Sequence[Operation]]:
        """Yield what is found in what the user says, a little at a time."""
        for index, message in enumerate(conversation.messages):
            if conversation.is_source(message):
                for text in (part.text for part in message.parts if isinstance(part, TextPart)):
                    for found in self._reader.read(text, conversation.known):
                        yield [msgspec.structs.replace(operation, message_index=index) for operation in found]

    @functools.cached_property
    def _reader(self) -> _Reader:
        return _Reader(load_book(self._extra_patterns))


class _Reader:
    """Reads texts, sentence by sentence."""

    def __init__(self, book: PatternBook) -> None:
        self._lexicon = book.lexicon
        self._spelling = book.spelling
        telling = Telling(book.canonical["third_person"])
        self._facts = FactReader(book, telling)
        self._forgetting = Forgetting(book, self._facts)
        self._framing = Framing(book.lexicon, telling)

    def read(self, text: str, known: Sequence[Memory]) -> Iterator[Sequence[Operation]]:
        """Yield operations as they are found; empty ones between, so that the caller can let others run."""
        held: list[Operation] = []
        for sentence in sentences(text, self._spelling):
            words = words_of(sentence.tokens)
            if not words:
                yield ()
            elif self._framing.hands_over_text(words):
                break
            elif self._framing.is_joke(words):
                # "... just kidding" takes back the sentence before it.
                held = []
            else:
                yield held
                held = []
                for found in self._isolated(self._read_sentence(sentence, known)):
                    held += found
                    yield ()
        yield held

    def _isolated(self, reading: Iterator[Sequence[Operation]]) -> Iterator[Sequence[Operation]]:
        """Yield what reading one sentence finds; where it fails, that sentence is lost and no other."""
        try:
            yield from reading
        except Exception as error:
            # The error's own text may hold what the user said, and a log never does.
            frame = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(frame.filename).name}:{frame.lineno}"
            log.error("sentence_not_read", kind=type(error).__name__, at=place)

    def _read_sentence(self, sentence: Sentence, known: Sequence[Memory]) -> Iterator[Sequence[Operation]]:
        rest = self._forgetting.rest(sentence)
        if rest is not None:
            yield list(self._forgetting.deletions(rest, known))
            return
        stated = False
        for clause in clauses(sentence, self._lexicon):
            found = list(self._facts.facts(clause))
            stated = stated or bool(found)
            yield found
        if not stated:
            yield self._framing.remembered(sentence)

"""What clients did, and what must therefore be there: one book a user, kept by the clients themselves.

Each text that is written holds a word of its own. What is expected is said of words, so that it can be checked wherever
the text may turn up: among the memories, in the history, in the runs.
"""

from __future__ import annotations

import asyncio
import enum
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

_POLL_SECONDS = 0.01


class Wrong(enum.StrEnum):
    """In which way the service failed."""

    LOST = "lost"
    """Something acknowledged is not there; or something is there whose deletion was acknowledged."""
    DOUBLED = "doubled"
    """Something happened twice."""
    UNFINISHED = "unfinished"
    """An accepted extraction did not end well, or a call never got an answer."""
    FAILED = "failed"
    """A server did not carry out a call although its database was well."""
    DAMAGED = "damaged"
    """Half of something, a gap, a wrong answer, an error that should not be."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One failure."""

    wrong: Wrong
    user_id: str
    what: str


class Answer(enum.Enum):
    """What is known of a word."""

    YES = enum.auto()
    NO = enum.auto()
    MAYBE = enum.auto()


@dataclass(slots=True)
class Trace:
    """Where a word must be found."""

    there: Answer
    """Whether exactly one memory has it now."""
    written: Answer
    """Whether exactly one change in the history brought it."""


@dataclass(slots=True, eq=False)
class Note:
    """A memory that a client wrote and may write again."""

    memory_id: str
    words: list[str]
    """Its texts so far; the last one is what it says now."""

    @property
    def word(self) -> str:
        return self.words[-1]


@dataclass(frozen=True, slots=True)
class Doubt:
    """A write that was given up: all of it happened, or nothing."""

    appeared: tuple[str, ...]
    vanished: tuple[str, ...] = ()


@dataclass(slots=True, eq=False)
class Lesson:
    """Something said that is to be learned from."""

    word: str
    in_session: bool
    extraction_id: str = ""
    """Empty: not acknowledged, or not told."""
    acknowledged: bool = False
    cancel_tried: bool = False
    cancelled: bool = False


@dataclass(slots=True)
class Book:
    """What is known of one user."""

    user_id: str
    traces: dict[str, Trace] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    """Those that nobody writes to at the moment and nothing is in doubt about."""
    doubts: list[Doubt] = field(default_factory=list)
    lessons: list[Lesson] = field(default_factory=list)
    erased: bool = False
    _sharing: int = 0
    _free: asyncio.Condition = field(default_factory=asyncio.Condition)

    @asynccontextmanager
    async def shared(self) -> AsyncIterator[None]:
        """Do something while nobody erases the user."""
        async with self._free:
            self._sharing += 1
        try:
            yield
        finally:
            async with self._free:
                self._sharing -= 1
                self._free.notify_all()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Do something while nobody does anything else."""
        async with self._free:
            await self._free.wait_for(lambda: not self._sharing)
            yield

    def created(self, memory_id: str, word: str) -> Note:
        self.traces[word] = Trace(Answer.YES, Answer.YES)
        return Note(memory_id, [word])

    def updated(self, note: Note, word: str) -> None:
        self.traces[note.word].there = Answer.NO
        self.traces[word] = Trace(Answer.YES, Answer.YES)
        note.words.append(word)

    def deleted(self, note: Note, *, purged: bool = False) -> None:
        self.traces[note.word].there = Answer.NO
        if purged:
            for word in note.words:
                self.traces[word].written = Answer.NO

    def doubted(self, doubt: Doubt) -> None:
        """A write was given up. The notes it is about must not be written to again."""
        for word in doubt.appeared:
            self.traces[word] = Trace(Answer.MAYBE, Answer.MAYBE)
        for word in doubt.vanished:
            self.traces[word].there = Answer.MAYBE
        if doubt.appeared:
            self.doubts.append(doubt)

    def doubted_purge(self, note: Note) -> None:
        """A deletion with purge was given up."""
        self.doubted(Doubt((), (note.word,)))
        for word in note.words:
            self.traces[word].written = Answer.MAYBE

    def erase(self) -> None:
        """Everything is gone for good."""
        for lesson in self.lessons:
            self.traces[lesson.word] = Trace(Answer.NO, Answer.NO)
        for trace in self.traces.values():
            trace.there = trace.written = Answer.NO
        self.notes, self.doubts, self.lessons = [], [], []
        self.erased = True


@dataclass(slots=True)
class Ledger:
    """All books, and what was found wrong so far."""

    books: list[Book]
    words: Iterator[str]
    findings: list[Finding] = field(default_factory=list)
    acknowledged: int = 0
    """Writes that were answered."""
    pauses: dict[str, list[float]] = field(default_factory=dict)
    """For how many seconds no write was answered, by what happened to the database meanwhile."""
    _answer_time: float = 0.0
    _longest_pause: float = 0.0
    given_up: int = 0
    repeated: int = 0
    """Sent once more after they had been answered."""

    def answered(self) -> None:
        """A write was acknowledged."""
        now = time.monotonic()
        self._longest_pause = max(self._longest_pause, now - self._answer_time)
        self._answer_time = now
        self.acknowledged += 1

    async def pause(self, harm: Awaitable[str]) -> None:
        """Keep for how long at most no write was answered while something happened, until one is answered again."""
        self._answer_time, self._longest_pause = time.monotonic(), 0.0
        what, count = await harm, self.acknowledged
        while self.acknowledged == count:
            await asyncio.sleep(_POLL_SECONDS)
        self.pauses.setdefault(what, []).append(self._longest_pause)

    def found(self, wrong: Wrong, user_id: str, what: str) -> None:
        self.findings.append(Finding(wrong, user_id, what))

    def count(self, wrong: Wrong) -> int:
        return sum(finding.wrong is wrong for finding in self.findings)

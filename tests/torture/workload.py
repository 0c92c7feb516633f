"""What clients do: write, learn, look, and repeat what got no answer, as any client would."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar

from memsvc_client import (
    Aborted,
    AsyncUser,
    Commit,
    DeadlineExceeded,
    FailedPrecondition,
    MemoryServiceError,
    NotFound,
    Unavailable,
    create,
    delete,
    update,
)
from tests.torture.ledger import Book, Doubt, Ledger, Lesson, Note, Wrong
from tests.torture.service import CALL_SECONDS, ServerGone, Service
from tests.torture.words import words_in

_T = TypeVar("_T")
_GIVES_UP = 0.05
"""How likely a client is not to repeat a call that got no answer."""
_REPEATS = 0.05
"""How likely a call is sent again although it was answered."""
_ANSWER_SECONDS = 120.0
_SESSIONS = 3
_SENTENCES = ("Remember that I love {}.", "Remember that I like {}.", "Remember that I enjoy {}.")
"""A wish: the rules engine need not know the word to learn it."""


class Refused(Exception):
    """The service refused what it must not refuse."""


@dataclass(slots=True)
class Client:
    """One of those who use the service at the same time; it works on any user."""

    service: Service
    ledger: Ledger
    random: Random
    steady: bool
    ending: bool = False
    _actions: dict[Callable[[Book], Awaitable[None]], int] = field(init=False)

    def __post_init__(self) -> None:
        self._actions = {
            self._create: 24,
            self._update: 12,
            self._delete: 6,
            self._batch: 10,
            self._say: 24,
            self._learn: 8,
            self._cancel: 3,
            self._look: 13,
        }

    async def work(self) -> None:
        """Do one thing after the other until told to end; leaves nothing half done."""
        while not self.ending:
            book = self.random.choice(self.ledger.books)
            if self.random.random() < 0.001:
                async with book.alone():
                    await self._guarded(self._erase, book)
            else:
                async with book.shared():
                    await self._guarded(self.random.choices(*zip(*self._actions.items(), strict=True))[0], book)

    async def _guarded(self, action: Callable[[Book], Awaitable[None]], book: Book) -> None:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await action(book)
        except TimeoutError:
            self.ledger.found(Wrong.UNFINISHED, book.user_id, f"no answer: {action.__name__}")
        except Refused as refused:
            self.ledger.found(Wrong.DAMAGED, book.user_id, f"{action.__name__}: {refused}")

    async def _create(self, book: Book) -> None:
        word, request_id = next(self.ledger.words), self._request_id()
        memory_id = await self._write(book, lambda user: user.memories.add(_noted(word), request_id=request_id))
        if memory_id is None:
            book.doubted(Doubt((word,)))
        else:
            book.notes.append(book.created(memory_id, word))

    async def _update(self, book: Book) -> None:
        note = self._take(book)
        if note is None:
            return
        word, request_id = next(self.ledger.words), self._request_id()
        text = _noted(word)
        memory = await self._write(
            book, lambda user: user.memories.update(note.memory_id, text=text, request_id=request_id)
        )
        if memory is None:
            book.doubted(Doubt((word,), (note.word,)))
            return
        book.updated(note, word)
        book.notes.append(note)

    async def _delete(self, book: Book) -> None:
        note = self._take(book)
        if note is None:
            return
        purge, request_id = self.random.random() < 0.2, self._request_id()
        revision = await self._write(
            book, lambda user: user.memories.delete(note.memory_id, purge=purge, request_id=request_id)
        )
        if revision is not None:
            book.deleted(note, purged=purge)
        elif purge:
            book.doubted_purge(note)
        else:
            book.doubted(Doubt((), (note.word,)))

    async def _batch(self, book: Book) -> None:
        changed, gone = self._take(book), self._take(book)
        words, request_id = [next(self.ledger.words) for _ in range(3)], self._request_id()
        operations = [create(_noted(word)) for word in words[:2]]
        if changed is not None:
            operations.append(update(changed.memory_id, text=_noted(words[2])))
        if gone is not None:
            operations.append(delete(gone.memory_id))
        commit = await self._write(book, lambda user: user.memories.batch(operations, request_id=request_id))
        if commit is None:
            appeared = words if changed is not None else words[:2]
            book.doubted(Doubt(tuple(appeared), tuple(note.word for note in (changed, gone) if note is not None)))
            return
        ids = _ids_by_word(commit)
        book.notes += [book.created(ids[word], word) for word in words[:2]]
        if changed is not None:
            book.updated(changed, words[2])
            book.notes.append(changed)
        if gone is not None:
            book.deleted(gone)

    async def _say(self, book: Book) -> None:
        session_id = f"session-{self.random.randrange(_SESSIONS)}"
        await self._append_run(book, session_id)

    async def _append_run(self, book: Book, session_id: str) -> Lesson | None:
        word, request_id = next(self.ledger.words), self._request_id()
        messages = [("user", self._sentence(word)), ("assistant", "Noted.")]
        lesson = Lesson(word, in_session=True)
        book.lessons.append(lesson)
        receipt = await self._write(
            book,
            lambda user: user.append_run(session_id, messages, request_id=request_id),
            lambda receipt: (receipt.run_id, receipt.index, receipt.extraction_id),
        )
        if receipt is None:
            return None
        lesson.acknowledged, lesson.extraction_id = True, receipt.extraction_id
        return lesson

    async def _learn(self, book: Book) -> None:
        word, request_id = next(self.ledger.words), self._request_id()
        sentence = self._sentence(word)
        lesson = Lesson(word, in_session=False)
        book.lessons.append(lesson)
        commit = await self._write(book, lambda user: user.learn(sentence, request_id=request_id, timeout=CALL_SECONDS))
        if commit is None:
            return
        lesson.acknowledged, lesson.extraction_id = True, commit.extraction_id
        if not any(change.after is not None and word in words_in(change.after.memory) for change in commit.changes):
            self.ledger.found(Wrong.LOST, book.user_id, f"learning from {sentence!r} was committed as {commit}")

    async def _cancel(self, book: Book) -> None:
        # A session of its own: so nothing else is learned in the same extraction.
        lesson = await self._append_run(book, f"session-{next(self.ledger.words)}")
        if lesson is None:
            return
        request_id = self._request_id()
        lesson.cancel_tried = True
        try:
            ended = await self._write(
                book,
                lambda user: user.extractions.cancel(lesson.extraction_id, request_id=request_id),
                refused=FailedPrecondition,
            )
        except FailedPrecondition:
            return
        lesson.cancelled = ended is not None

    async def _erase(self, book: Book) -> None:
        request_id = self._request_id()
        # Never given up: all that is expected of the user depends on whether it happened.
        await self._write(book, lambda user: user.erase(request_id=request_id), gives_up=0.0)
        book.erase()

    async def _look(self, book: Book) -> None:
        """What was acknowledged can be read at once, and after any crash."""
        note = self._take(book)
        if note is None:
            return
        try:
            memory = await self._answered(book, lambda user: user.memories.get(note.memory_id), NotFound)
        except NotFound:
            self.ledger.found(Wrong.LOST, book.user_id, f"{note.word}: not found when read")
            return
        if words_in(memory.memory) != [note.word]:
            self.ledger.found(Wrong.LOST, book.user_id, f"{note.word}: reads {memory.memory!r}")
        book.notes.append(note)

    async def _write(
        self,
        book: Book,
        send: Callable[[AsyncUser], Awaitable[_T]],
        of_note: Callable[[_T], object] = lambda answer: answer,
        *,
        refused: type[MemoryServiceError] | None = None,
        gives_up: float = _GIVES_UP,
    ) -> _T | None:
        """Send a write until it is answered and return the answer; None: it got none, and was given up."""
        answer: _T | None = await self._answered(book, send, refused, gives_up)
        if answer is None:
            self.ledger.given_up += 1
            return None
        self.ledger.answered()
        if self.random.random() < _REPEATS:
            self.ledger.repeated += 1
            again = await self._answered(book, send, refused)
            if of_note(again) != of_note(answer):
                self.ledger.found(Wrong.DOUBLED, book.user_id, f"a repeat answered {again}, the first {answer}")
        return answer

    async def _answered(
        self,
        book: Book,
        send: Callable[[AsyncUser], Awaitable[_T]],
        refused: type[MemoryServiceError] | None = None,
        gives_up: float = 0.0,
    ) -> Any:
        while True:
            started = time.monotonic()
            try:
                async with self.service.client(steady=self.steady) as client:
                    started = time.monotonic()
                    return await send(client.user(book.user_id))
            except (Unavailable, DeadlineExceeded, ServerGone) as error:
                self._judge(book, error, started)
                if self.random.random() < gives_up:
                    return None
            except Aborted:
                pass
            except MemoryServiceError as error:
                if refused is not None and isinstance(error, refused):
                    raise
                raise Refused(f"{type(error).__name__} {error} {error.metadata}") from error

    def _judge(self, book: Book, error: Exception, started: float) -> None:
        """Note a call that a server refused although its database was well."""
        reason = error.reason if isinstance(error, MemoryServiceError) else ""
        if reason not in ("", "SERVER_DRAINING") and self.service.was_well_since(started):
            self.ledger.found(Wrong.FAILED, book.user_id, f"{reason} after {time.monotonic() - started:.1f} s: {error}")

    def _take(self, book: Book) -> Note | None:
        """Take a note out of the book, so that nobody else writes to it meanwhile."""
        if not book.notes:
            return None
        index = self.random.randrange(len(book.notes))
        book.notes[index], book.notes[-1] = book.notes[-1], book.notes[index]
        return book.notes.pop()

    def _sentence(self, word: str) -> str:
        return self.random.choice(_SENTENCES).format(word)

    def _request_id(self) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))


def _noted(word: str) -> str:
    return f"Note on {word}"


def _ids_by_word(commit: Commit) -> dict[str, str]:
    return {
        word: change.after.memory_id
        for change in commit.changes
        if change.after is not None
        for word in words_in(change.after.memory)
    }

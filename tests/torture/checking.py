"""Holds what the service has against what its clients were told."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence

from memsvc_client import AsyncMemoryClient, AsyncUser, Commit, Extraction, ExtractionState, Memory, Run
from tests.torture.ledger import Answer, Book, Doubt, Ledger, Lesson, Wrong
from tests.torture.words import words_in

SETTLE_SECONDS = 120.0
_POLL_SECONDS = 0.1


async def check(client: AsyncMemoryClient, ledger: Ledger) -> None:
    """Wait until every extraction has ended, then look at everything; what is wrong goes into the ledger."""
    deadline = time.monotonic() + SETTLE_SECONDS
    for book in ledger.books:
        await _settle(client.user(book.user_id), book, ledger, deadline)
    for book in ledger.books:
        await _UserCheck(ledger, book).check(client.user(book.user_id))


async def _settle(user: AsyncUser, book: Book, ledger: Ledger, deadline: float) -> None:
    while (stats := await user.stats()).open_extraction_count:
        if time.monotonic() > deadline:
            ledger.found(Wrong.UNFINISHED, book.user_id, f"{stats.open_extraction_count} extractions have not ended")
            return
        await asyncio.sleep(_POLL_SECONDS)


class _UserCheck:
    """Checks one user."""

    def __init__(self, ledger: Ledger, book: Book) -> None:
        self._ledger = ledger
        self._book = book

    async def check(self, user: AsyncUser) -> None:
        memories = [memory async for memory in user.memories.list(page_size=1000)]
        commits = [commit async for commit in user.changes()]
        runs = [run async for run in user.runs()]
        extractions = {each.extraction_id: each async for each in user.extractions.list()}
        revision = (await user.stats()).revision
        self._check_memories(memories)
        self._check_history(commits, revision)
        self._check_runs(runs)
        there = Counter(word for memory in memories for word in words_in(memory.memory))
        written = Counter(word for commit in commits for word in _brought(commit))
        self._check_traces(there, written)
        for doubt in self._book.doubts:
            self._check_doubt(doubt, there)
        said = Counter(word for run in runs for word in words_in(run.messages[0].text))
        for lesson in self._book.lessons:
            self._check_lesson(lesson, said[lesson.word], there[lesson.word], extractions)
        known = {*self._book.traces, *(lesson.word for lesson in self._book.lessons)}
        for word in {*there, *said} - known:
            self._found(Wrong.DAMAGED, f"nobody wrote {word}")

    def _found(self, wrong: Wrong, what: str) -> None:
        self._ledger.found(wrong, self._book.user_id, what)

    def _check_memories(self, memories: Sequence[Memory]) -> None:
        for name, values in (
            ("memory_id", [memory.memory_id for memory in memories]),
            ("number", [memory.number for memory in memories]),
        ):
            for value, count in Counter(values).items():
                if count > 1:
                    self._found(Wrong.DOUBLED, f"{name} {value} is there {count} times")

    def _check_history(self, commits: Sequence[Commit], revision: int) -> None:
        revisions = [commit.revision for commit in reversed(commits)]
        # An erasure takes the history with it, and is a revision of its own.
        first = revisions[0] if revisions and self._book.erased else 1
        if revisions != list(range(first, first + len(revisions))) or (revisions and revisions[-1] != revision):
            self._found(Wrong.DAMAGED, f"revisions have gaps, or do not end at {revision}: {_spans(revisions)}")
        for name, values in (
            ("request", [commit.request_id for commit in commits if commit.request_id]),
            ("extraction", [commit.extraction_id for commit in commits if commit.extraction_id]),
        ):
            for value, count in Counter(values).items():
                if count > 1:
                    self._found(Wrong.DOUBLED, f"{name} {value} made {count} commits")

    def _check_runs(self, runs: Sequence[Run]) -> None:
        indexes = [run.index for run in runs]
        if indexes != sorted(set(indexes)):
            self._found(Wrong.DAMAGED, "indexes of runs do not rise")

    def _check_traces(self, there: Counter[str], written: Counter[str]) -> None:
        for word, trace in self._book.traces.items():
            self._check_count(f"memory {word}", trace.there, there[word])
            self._check_count(f"change {word}", trace.written, written[word])

    def _check_count(self, what: str, expected: Answer, count: int) -> None:
        if count > 1:
            self._found(Wrong.DOUBLED, f"{what} is there {count} times")
        elif expected is Answer.YES and not count:
            self._found(Wrong.LOST, f"{what} is not there")
        elif expected is Answer.NO and count:
            self._found(Wrong.LOST, f"{what} is there although it was replaced, deleted or erased")

    def _check_doubt(self, doubt: Doubt, there: Counter[str]) -> None:
        appeared = {bool(there[word]) for word in doubt.appeared}
        vanished = {not there[word] for word in doubt.vanished}
        if len(appeared | vanished) > 1:
            self._found(Wrong.DAMAGED, f"half of a write: {doubt}")

    def _check_lesson(self, lesson: Lesson, said: int, learned: int, extractions: dict[str, Extraction]) -> None:
        word = lesson.word
        if lesson.in_session:
            self._check_count(f"run {word}", Answer.YES if lesson.acknowledged else Answer.MAYBE, said)
        extraction = extractions.get(lesson.extraction_id)
        if lesson.acknowledged and extraction is None:
            self._found(Wrong.LOST, f"extraction {lesson.extraction_id} of {word} is not there")
        if extraction is not None:
            self._check_end(lesson, extraction)
        if extraction is not None and extraction.state is ExtractionState.CANCELLED:
            expected = Answer.NO
        elif lesson.in_session:
            expected = Answer.YES if said else Answer.NO
        else:
            expected = Answer.YES if lesson.acknowledged else Answer.MAYBE
        self._check_count(f"fact {word}", expected, learned)

    def _check_end(self, lesson: Lesson, extraction: Extraction) -> None:
        cancelled = extraction.state is ExtractionState.CANCELLED
        if lesson.cancelled and not cancelled:
            self._found(Wrong.LOST, f"the cancellation of {lesson.word}: {extraction.state}")
        if cancelled and not lesson.cancel_tried:
            self._found(Wrong.LOST, f"{lesson.word} was cancelled by nobody")
        if not cancelled and extraction.state is not ExtractionState.SUCCEEDED:
            self._found(Wrong.UNFINISHED, f"{lesson.word} is {extraction.state}: {extraction.reason}")


def _brought(commit: Commit) -> list[str]:
    """Return the words that a commit brought in."""
    words = []
    for change in commit.changes:
        after = words_in(change.after.memory) if change.after is not None else []
        before = words_in(change.before.memory) if change.before is not None else []
        words += [word for word in after if word not in before]
    return words


def _spans(numbers: Sequence[int]) -> str:
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ", ".join(f"{first}-{last}" for first, last in spans[:10])

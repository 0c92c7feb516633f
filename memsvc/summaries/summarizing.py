"""Summarizing a session: part by part, each stored before the next is read. Whoever goes on begins after the last."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from memsvc.asking import Asker
from memsvc.model import Extraction, Message, Scope, Session, Summary, TextPart, Usage, decode
from memsvc.redaction import Redactor
from memsvc.sessions import timed
from memsvc.sessions.walking import walk_runs
from memsvc.storage.driver import Driver, PageOf, RowKind
from memsvc.summaries.commands import SummarizedPart
from memsvc.summaries.extracts import extract_of
from memsvc.summaries.writing import written_summary

MOST_CHARACTERS: Final = 2_000
"""Of a summary."""
PART_CHARACTERS: Final = 24_000
"""Of what is read at once: a model call costs no more, however long the session is."""
_PART_RUNS: Final = 200
_PART_MESSAGES: Final = 400
_LEAST_CHARACTERS: Final = 60


class _Reading(Struct, frozen=True):
    messages: Sequence[Message]
    runs: int
    last_index: int
    more: bool


class Summarizer(Struct):
    """Summarizes sessions: with a model where there is one, else by extracts."""

    driver: Driver
    asker: Asker | None = None
    redactor: Redactor = field(default_factory=Redactor)

    async def read(self, scope: Scope, session_id: str) -> Summary | None:
        """Return the summary of a session, if it has one."""
        rows = await self.driver.get(scope, RowKind.SUMMARY, (session_id,))
        return decode(rows[session_id].body, Summary) if rows else None

    async def next_part(self, scope: Scope, extraction: Extraction) -> tuple[SummarizedPart | None, Usage]:
        """Return the summary as it is once more of its session has been read, and what that cost; None: nothing is new.

        Raises ExtractionError where the model does not do it.
        """
        session_id = extraction.session_id
        rows = await self.driver.get(scope, RowKind.SESSION, (session_id,))
        if not rows:
            return None, Usage()
        session = decode(rows[session_id].body, Session)
        before = await self.read(scope, session_id) if session.summarized_through else None
        reading = await self._new_runs(scope, session_id, before.covered_through if before is not None else 0)
        if not reading.runs:
            return None, Usage()
        text, usage, model = before.text if before is not None else "", Usage(), ""
        topics: tuple[str, ...] = ()
        if self.asker is not None:
            said = [message for message in reading.messages if message.text.strip()]
            if said:
                text, topics, usage, model = await written_summary(
                    self.asker, before, said, MOST_CHARACTERS, extraction.reason
                )
                text = self.redactor.text(text)
        else:
            text, topics = extract_of(before, reading.messages, MOST_CHARACTERS)
            await asyncio.sleep(0)
        summary = Summary(
            session_id=session_id,
            text=text,
            topics=topics or (before.topics if before is not None else ()),
            covered_through=reading.last_index,
            extractive=self.asker is None,
            model=model or (before.model if before is not None and self.asker is not None else ""),
            extraction_id=extraction.extraction_id,
            create_time=before.create_time if before is not None else 0,
        )
        return SummarizedPart(summary, reading.runs, session.replaced_runs, before is None, reading.more), usage

    async def _new_runs(self, scope: Scope, session_id: str, after: int) -> _Reading:
        """Return what was said after a run, as much as one part takes: one run at least."""
        messages: list[Message] = []
        runs, last_index, size, more = 0, after, 0, False
        page = PageOf(scope, RowKind.RUN, group=session_id, after=after, limit=_PART_RUNS)
        async with aclosing(walk_runs(self.driver, page)) as walk:
            async for run, _ in walk:
                characters = sum(len(message.text) for message in run.messages)
                if runs and (size + characters > PART_CHARACTERS or runs == _PART_RUNS):
                    more = True
                    break
                last_index = run.index
                if run.replaced:
                    continue
                runs += 1
                size += characters
                messages += [self.redactor.message(timed(message, run)) for message in run.messages]
        return _Reading(_shortened(messages), runs, last_index, more)


def _shortened(messages: Sequence[Message]) -> Sequence[Message]:
    """Return messages that have no more characters together than one part takes: the long ones are cut."""
    said = [message for message in messages if message.text][-_PART_MESSAGES:]
    texts = [message.text for message in said]
    if sum(map(len, texts)) <= PART_CHARACTERS:
        return said
    limit = max(_LEAST_CHARACTERS, PART_CHARACTERS // len(said))
    return [
        message if len(text) <= limit else replace(message, parts=(TextPart(text[: limit - 1] + "…"),))
        for message, text in zip(said, texts, strict=True)
    ]

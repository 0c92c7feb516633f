"""Passages of past conversations in a context: what was said, by whom and when, after what is remembered.

They stand in a section of their own, in the order in which they were said, under a line for each session and day.
Memories come first: passages get the room that these leave, and at least a third of the budget.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from functools import lru_cache
from typing import Final

import msgspec

from memsvc.context.contract import (
    DEFAULT_MAX_CHARACTERS,
    CompiledContext,
    ContextFormat,
    ContextRequest,
    Section,
    SectionKind,
    count_tokens,
    utf8_bytes,
)
from memsvc.context.folding import one_line
from memsvc.context.json import encode
from memsvc.context.markdown import escape as escape_markdown
from memsvc.context.xml import escape as escape_xml

LEAST_SHARE: Final = 3
"""One part in so many of the budget is theirs in any case."""
MOST_SHARE: Final = 2
"""They get no more than one part in so many."""
_LONGEST_PASSAGE: Final = 600
_USUAL: Final = 150
"""About what a passage takes."""
_SMALLEST: Final = 32
"""What takes less is not worth looking for."""
_MOST_MISSES: Final = 8
"""So many passages that do not fit are passed over: what comes then has less to do with the query."""
_BYTES_PER_TOKEN: Final = 4
_DAY_MICROSECONDS: Final = 86_400_000_000


class Recalled(msgspec.Struct, frozen=True, gc=False):
    """Something that was said."""

    session_id: str
    order: tuple[int, int]
    """Of its run, and within that."""
    time: int
    speaker: str
    text: str


def least_room(request: ContextRequest) -> tuple[int, int]:
    """Return how much of the budget is left to memories where passages take theirs: characters, tokens; 0: no limit."""
    if request.max_tokens and not request.max_characters:
        return 0, request.max_tokens - request.max_tokens // LEAST_SHARE
    limit = request.max_characters or DEFAULT_MAX_CHARACTERS
    return limit - limit // LEAST_SHARE, 0


class RecallSection:
    """The section behind a context: filled with passages, nearest first, as many as there is room for."""

    def __init__(self, context: CompiledContext, request: ContextRequest) -> None:
        self._context = context
        self._request = request
        self._form = form_of(request)
        self._measure: Callable[[str], int] = len
        limit = request.max_characters or DEFAULT_MAX_CHARACTERS
        if request.max_tokens and not request.max_characters:
            self._measure, limit = utf8_bytes, request.max_tokens * _BYTES_PER_TOKEN
        self._follows = bool(context.text)
        room = min(limit - self._measure(context.text or self._form.empty), limit // MOST_SHARE)
        self._left = room - self._measure(self._form.section((), follows=self._follows))
        self._misses = 0
        self._chosen: list[_Written] = []
        self._taken = 0
        self._headings: dict[tuple[str, str], str] = {}

    @property
    def room(self) -> int:
        """How many more passages to read at once, so as to fill it, about; 0: it is full."""
        if self._misses >= _MOST_MISSES or self._left < _SMALLEST:
            return 0
        usual = self._taken // len(self._chosen) if self._chosen else _USUAL
        return self._left // usual + _MOST_MISSES - self._misses

    def take(self, passages: Iterable[Recalled]) -> None:
        """Choose what fits, in this order, until it is full."""
        form, measure, headings = self._form, self._measure, self._headings
        for each in passages:
            if not self.room:
                return
            group = each.session_id, _day(each.time)
            line, heading = form.line(each), headings.get(group) or form.heading(each)
            cost = measure(line) + (0 if group in headings else measure(heading) + form.group_cost)
            if cost > self._left:
                self._misses += 1
                continue
            self._left -= cost
            self._taken += cost
            headings[group] = heading
            self._chosen.append(_Written(each.order, each.session_id, heading, line))

    def context(self) -> CompiledContext:
        """Return the context with what was chosen, in the order in which it was said."""
        if not self._chosen:
            return self._context
        shown = sorted(self._chosen, key=lambda each: (each.order, each.session_id))
        body = self._form.section(shown, follows=self._follows)
        section = Section(SectionKind.RECALL, None, body, count_tokens(body), False)
        return behind_memories(self._context, self._request, section)


def behind_memories(context: CompiledContext, request: ContextRequest, section: Section) -> CompiledContext:
    """Return the context with one more section, inside its wrapper."""
    form = form_of(request)
    sections = [each for each in context.sections if each.text]
    closing: list[Section] = []
    if not sections:
        sections, closing = form.around(section.stable)
    elif form.closing and sections[-1].kind is SectionKind.WRAPPER:
        closing = [sections.pop()]
    if not section.stable:
        closing = [_queried(each) for each in closing]
    sections = [*sections, section, *closing]
    return CompiledContext.of(request.format, sections, context.memory_ids, context.cuts)


class _Written(msgspec.Struct, frozen=True, gc=False):
    """A passage as it is written, below the heading of its session and day."""

    order: tuple[int, int]
    session_id: str
    heading: str
    line: str


def _grouped(shown: Sequence[_Written]) -> list[tuple[str, list[str]]]:
    """Return the heading and lines of what was said in one session on one day, in the order in which each began."""
    # Sessions may have the same heading, which shows nothing that is invisible.
    groups: dict[tuple[str, str], list[str]] = {}
    for each in shown:
        groups.setdefault((each.session_id, each.heading), []).append(each.line)
    return [(heading, lines) for (_, heading), lines in groups.items()]


def _day(time: int) -> str:
    return _date(time // _DAY_MICROSECONDS)


@lru_cache(maxsize=1024)
def _date(day: int) -> str:
    try:
        return (date(1970, 1, 1) + timedelta(days=day)).isoformat()
    except OverflowError:
        return "unknown"


def _said(each: Recalled) -> str:
    text = one_line(each.text)
    return text if len(text) <= _LONGEST_PASSAGE else text[: _LONGEST_PASSAGE - 1] + "…"


def _queried(section: Section) -> Section:
    return msgspec.structs.replace(section, stable=False)


class _Form:
    """How passages look in one format."""

    opening = closing = ""
    group_cost = 0

    def __init__(self, wrapped: bool) -> None:
        self.wrapped = wrapped

    @property
    def empty(self) -> str:
        return self.opening + self.closing

    def around(self, stable: bool) -> tuple[list[Section], list[Section]]:
        """Return what stands around the section where there are no memories: as stable as that is."""
        frames = [
            [Section(SectionKind.WRAPPER, None, text, count_tokens(text), stable)] if text else []
            for text in (self.opening, self.closing)
        ]
        return frames[0], frames[1]

    def section(self, shown: Sequence[_Written], *, follows: bool) -> str:
        raise NotImplementedError

    def heading(self, first: Recalled) -> str:
        raise NotImplementedError

    def line(self, each: Recalled) -> str:
        raise NotImplementedError


class _XmlRecall(_Form):
    group_cost = len("    </conversation>\n")

    def __init__(self, wrapped: bool) -> None:
        super().__init__(wrapped)
        self.opening, self.closing = ("<user_memory>\n", "</user_memory>\n") if wrapped else ("", "")
        self._indent = "  " * wrapped

    def section(self, shown: Sequence[_Written], *, follows: bool) -> str:
        lines = [f"{self._indent}<past_conversations>\n"]
        for heading, group in _grouped(shown):
            lines += [heading, *group, f"{self._indent}  </conversation>\n"]
        return "".join([*lines, f"{self._indent}</past_conversations>\n"])

    def heading(self, first: Recalled) -> str:
        session = escape_xml(one_line(first.session_id)).replace('"', "&quot;")
        return f'{self._indent}  <conversation date="{_day(first.time)}" session="{session}">\n'

    def line(self, each: Recalled) -> str:
        return f"{self._indent}    {escape_xml(one_line(each.speaker))}: {escape_xml(_said(each))}\n"


class _MarkdownRecall(_Form):
    def __init__(self, wrapped: bool) -> None:
        super().__init__(wrapped)
        self.opening = "# User memory\n" if wrapped else ""

    def section(self, shown: Sequence[_Written], *, follows: bool) -> str:
        lines = ["## Past conversations\n"]
        for heading, group in _grouped(shown):
            lines += [heading, *group]
        return "".join(lines)

    def heading(self, first: Recalled) -> str:
        session = escape_markdown(one_line(first.session_id)).replace("#", r"\#")
        return f"### {_day(first.time)}, session {session}\n"

    def line(self, each: Recalled) -> str:
        return f"- {escape_markdown(one_line(each.speaker))}: {escape_markdown(_said(each))}\n"


class _JsonRecall(_Form):
    group_cost = len("]},")

    def __init__(self, wrapped: bool) -> None:
        super().__init__(wrapped)
        self.opening, self.closing = ('{"user_memory":{', "\n}}\n") if wrapped else ("{", "\n}\n")

    def section(self, shown: Sequence[_Written], *, follows: bool) -> str:
        groups = [
            heading + ",".join(line.removesuffix(",") for line in group) + "]}" for heading, group in _grouped(shown)
        ]
        return f'{"," if follows else ""}\n  "past_conversations":[{",".join(groups)}]'

    def heading(self, first: Recalled) -> str:
        return f'{{"date":"{_day(first.time)}","session":{encode(first.session_id)},"said":['

    def line(self, each: Recalled) -> str:
        return f"{{{encode(each.speaker)}:{encode(_said(each))}}},"


_FORMS: Final[dict[ContextFormat, type[_Form]]] = {
    ContextFormat.XML: _XmlRecall,
    ContextFormat.MARKDOWN: _MarkdownRecall,
    ContextFormat.JSON: _JsonRecall,
}


def form_of(request: ContextRequest) -> _Form:
    """Return how what stands behind the memories looks."""
    return _FORMS[request.format](request.wrapper)

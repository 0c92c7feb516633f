"""Passages of past conversations in a context: what was said, by whom and when, after what is remembered.

They stand in a section of their own, in the order in which they were said, under a line for each session and day.
Memories come first: passages get the room that these leave, and at least a third of the budget.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from functools import lru_cache
from hashlib import blake2b
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


def with_recall(context: CompiledContext, request: ContextRequest, nearest: Sequence[Recalled]) -> CompiledContext:
    """Return the context with as many of the passages, nearest first, as there is room for."""
    measure: Callable[[str], int] = len
    limit = request.max_characters or DEFAULT_MAX_CHARACTERS
    if request.max_tokens and not request.max_characters:
        measure, limit = utf8_bytes, request.max_tokens * _BYTES_PER_TOKEN
    form = form_of(request)
    frame = context.text or form.empty
    room = min(limit - measure(frame), limit // MOST_SHARE)
    shown = _fitting(form, nearest, room, measure, follows=bool(context.text))
    if not shown:
        return context
    body = form.section(shown, follows=bool(context.text))
    return behind_memories(context, request, Section(SectionKind.RECALL, None, body, count_tokens(body), False))


def behind_memories(context: CompiledContext, request: ContextRequest, section: Section) -> CompiledContext:
    """Return the context with one more section, inside its wrapper."""
    form = form_of(request)
    sections = [each for each in context.sections if each.text]
    closing: list[Section] = []
    if not sections:
        sections, closing = form.around()
    elif form.closing and sections[-1].kind is SectionKind.WRAPPER:
        closing = [sections.pop()]
    if not section.stable:
        closing = [_queried(each) for each in closing]
    sections = [*sections, section, *closing]
    text = "".join(each.text for each in sections)
    return CompiledContext(
        sections=tuple(sections),
        text=text,
        etag=blake2b(f"{request.format}\n{text}".encode(), digest_size=16).hexdigest(),
        tokens=count_tokens(text),
        memory_ids=context.memory_ids,
        cuts=context.cuts,
    )


class _Written(msgspec.Struct, frozen=True, gc=False):
    """A passage as it is written, below the heading of its session and day."""

    order: tuple[int, int]
    session_id: str
    heading: str
    line: str


def _fitting(
    form: _Form, nearest: Sequence[Recalled], room: int, measure: Callable[[str], int], *, follows: bool
) -> list[_Written]:
    """Return what fits, in the order in which it was said."""
    chosen: list[_Written] = []
    headings: dict[tuple[str, str], str] = {}
    taken = measure(form.section((), follows=follows))
    for each in nearest:
        group = each.session_id, _day(each.time)
        line, heading = form.line(each), headings.get(group) or form.heading(each)
        cost = measure(line) + (0 if group in headings else measure(heading) + form.group_cost)
        if taken + cost <= room:
            taken += cost
            headings[group] = heading
            chosen.append(_Written(each.order, each.session_id, heading, line))
    return sorted(chosen, key=lambda each: (each.order, each.session_id))


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

    def around(self) -> tuple[list[Section], list[Section]]:
        """Return what stands around the section where there are no memories."""
        frames = [
            [Section(SectionKind.WRAPPER, None, text, count_tokens(text), False)] if text else []
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

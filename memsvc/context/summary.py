"""The summary of a session's older runs in a context: behind the memories, before what is recalled."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

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
from memsvc.context.recall import behind_memories
from memsvc.context.xml import escape as escape_xml
from memsvc.model import Summary

MOST_SHARE: Final = 4
"""It gets no more than one part in so many of the budget."""
_BYTES_PER_TOKEN: Final = 4


class SummarySection(Struct, frozen=True):
    """A summary as it stands in a context, and what of the budget it leaves."""

    text: str
    """As it stands alone; behind memories, JSON has a comma before it."""
    rest: ContextRequest


def summary_section(request: ContextRequest, summary: Summary | None) -> SummarySection | None:
    """Return a summary as it is written, as much of it as its share of the budget takes; None: there is none."""
    if summary is None or not summary.text.strip():
        return None
    measure: Callable[[str], int] = len
    limit = request.max_characters or DEFAULT_MAX_CHARACTERS
    by_tokens = bool(request.max_tokens and not request.max_characters)
    if by_tokens:
        measure, limit = utf8_bytes, request.max_tokens * _BYTES_PER_TOKEN
    lines = [line for line in map(one_line, summary.text.split("\n")) if line]
    while lines:
        text = _WRITTEN[request.format](summary, lines, request.wrapper)
        # One more for the comma between two parts of JSON.
        size = measure(text) + 1
        if size <= limit // MOST_SHARE:
            tokens = request.max_tokens - (size + _BYTES_PER_TOKEN - 1) // _BYTES_PER_TOKEN
            rest = replace(request, max_tokens=tokens) if by_tokens else replace(request, max_characters=limit - size)
            return SummarySection(text, rest)
        if summary.extractive:
            # The shortest sentences say least.
            lines.remove(min(lines, key=len))
        elif len(lines[-1]) > _SHORTEST:
            lines[-1] = lines[-1][: len(lines[-1]) * 3 // 4].rstrip() + "…"
        else:
            del lines[-1]
    return None


def with_summary(context: CompiledContext, request: ContextRequest, section: SummarySection) -> CompiledContext:
    """Return the context with a summary behind its memories; what `rest` left of the budget is enough for it."""
    comma = "," if request.format is ContextFormat.JSON and context.text else ""
    text = comma + section.text
    stable = all(each.stable for each in context.sections)
    return behind_memories(context, request, Section(SectionKind.SUMMARY, None, text, count_tokens(text), stable))


def _day(summary: Summary) -> str:
    try:
        return datetime.fromtimestamp(summary.update_time / 1_000_000, UTC).strftime("%Y-%m-%d")
    except (OverflowError, ValueError, OSError):
        return "unknown"


def _xml(summary: Summary, lines: list[str], wrapped: bool) -> str:
    indent = "  " * wrapped
    session = escape_xml(one_line(summary.session_id)).replace('"', "&quot;")
    kind = "extracts" if summary.extractive else "summary"
    body = "".join(f"{indent}  {escape_xml(line)}\n" for line in lines)
    opening = f'{indent}<conversation_summary session="{session}" until="{_day(summary)}" kind="{kind}">\n'
    return f"{opening}{body}{indent}</conversation_summary>\n"


def _markdown(summary: Summary, lines: list[str], wrapped: bool) -> str:
    kind = ", extracts" if summary.extractive else ""
    session = escape_markdown(one_line(summary.session_id)).replace("#", r"\#")
    body = "".join(f"- {escape_markdown(line.removeprefix('- '))}\n" for line in lines)
    return f"## Conversation so far (session {session}, until {_day(summary)}{kind})\n{body}"


def _json(summary: Summary, lines: list[str], wrapped: bool) -> str:
    kind = "extracts" if summary.extractive else "summary"
    fields = f'"session":{encode(summary.session_id)},"until":"{_day(summary)}","kind":"{kind}"'
    return f'\n  "conversation_summary":{{{fields},"text":{encode(chr(10).join(lines))}}}'


_SHORTEST: Final = 40
_WRITTEN: Final[dict[ContextFormat, Callable[[Summary, list[str], bool], str]]] = {
    ContextFormat.XML: _xml,
    ContextFormat.MARKDOWN: _markdown,
    ContextFormat.JSON: _json,
}

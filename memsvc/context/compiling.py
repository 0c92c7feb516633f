"""Compiling: from the cache where nothing changed, else select, write and digest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import filterfalse, islice
from operator import attrgetter
from typing import Final

from msgspec.structs import replace

from memsvc.context.block import Block, Frame
from memsvc.context.cache import ContextCache
from memsvc.context.contract import (
    DEFAULT_MAX_CHARACTERS,
    MAX_CUT_IDS,
    CompiledContext,
    ContextFormat,
    ContextRequest,
    Cut,
    CutReason,
    Section,
    SectionKind,
    Source,
    count_tokens,
    utf8_bytes,
)
from memsvc.context.form import Entry, Form
from memsvc.context.json import JsonForm
from memsvc.context.markdown import MarkdownForm
from memsvc.context.recall import RecallSection, least_room
from memsvc.context.selection import select
from memsvc.context.summary import summary_section, with_summary
from memsvc.context.xml import XmlForm
from memsvc.model import Layer, Summary

_FORMS: Final[dict[ContextFormat, Callable[[bool, bool], Form]]] = {
    ContextFormat.XML: XmlForm,
    ContextFormat.MARKDOWN: MarkdownForm,
    ContextFormat.JSON: JsonForm,
}
_CACHE_KEY: Final = "context"
_BYTES_PER_TOKEN: Final = 4


@cache
def _form(format_: ContextFormat, wrapped: bool, shared: bool) -> Form:
    return _FORMS[format_](wrapped, shared)


def compile_context(own: Source, shared: Sequence[Source], request: ContextRequest) -> CompiledContext:
    """Return the context of a user's memories, and of those of the users shared with it, within the budget.

    What was compiled is kept in `own.cache`, unless the request has a filter or a memory shown expires.
    """
    return _cached(own, shared, request) if request.matches is None else _compile(own, shared, request)[0]


def compile_for_recall(
    own: Source, shared: Sequence[Source], request: ContextRequest, summary: Summary | None = None
) -> RecallSection:
    """Return the section for passages of past conversations, behind the memories and the summary of a session."""
    section = summary_section(request, summary)
    rest = request if section is None else section.rest
    # Memories that fit into less than all of the budget are the same under either.
    characters, tokens = least_room(rest)
    context = compile_context(own, shared, replace(rest, max_characters=characters, max_tokens=tokens))
    return RecallSection(context if section is None else with_summary(context, request, section), request)


def compile_with_summary(
    own: Source, shared: Sequence[Source], request: ContextRequest, summary: Summary | None
) -> CompiledContext:
    """Return the context with the summary of a session, and no passages."""
    section = summary_section(request, summary)
    if section is None:
        return compile_context(own, shared, request)
    return with_summary(compile_context(own, shared, section.rest), request, section)


def unless_held(context: CompiledContext, etag: str) -> CompiledContext:
    """Return the context; without its text where that is what the caller holds."""
    if etag == context.etag:
        return CompiledContext(unchanged=True, etag=context.etag, tokens=context.tokens, cuts=context.cuts)
    return context


def kept_contexts(own: Source) -> ContextCache:
    """Return the contexts that are kept for a user at its revision."""
    kept = own.cache.get(_CACHE_KEY)
    if not isinstance(kept, ContextCache):
        kept = own.cache[_CACHE_KEY] = ContextCache()
    return kept


def _cached(own: Source, shared: Sequence[Source], request: ContextRequest) -> CompiledContext:
    kept = kept_contexts(own)
    shape = (
        request.format,
        request.max_characters,
        request.max_tokens,
        request.wrapper,
        request.layers,
        tuple((source.user_id, source.revision) for source in shared) if shared else (),
    )
    context = kept.get(shape) or kept.get((shape, request.query, request.vector))
    if context is None:
        context, asked_query, expires = _compile(own, shared, request)
        if not expires:
            kept.put((shape, request.query, request.vector) if asked_query else shape, context)
    return context


def _compile(own: Source, shared: Sequence[Source], request: ContextRequest) -> tuple[CompiledContext, bool, bool]:
    """Return the context, whether it depends on the query, and whether a memory in it expires."""
    forms = _form(request.format, request.wrapper, False), _form(request.format, request.wrapper, True)
    measure: Callable[[str], int] = len
    limit = request.max_characters or DEFAULT_MAX_CHARACTERS
    if request.max_tokens and not request.max_characters:
        measure, limit = utf8_bytes, request.max_tokens * _BYTES_PER_TOKEN
    blocks, asked_query = select(own, shared, request, forms, measure, limit)
    shown = sorted((block for block in blocks if block.chosen), key=lambda block: not block.stable)
    writer = _Writer()
    for block in shown:
        writer.write(block)
    writer.close()
    context = CompiledContext.of(request.format, writer.sections, writer.memory_ids, _cuts(blocks))
    return context, asked_query, any(block.expires for block in shown)


class _Writer:
    """Writes blocks as sections, and the frames around them as sections of their own."""

    def __init__(self) -> None:
        self.sections: list[Section] = []
        self.memory_ids: list[str] = []
        self._frames: list[Frame] = []
        self._separator = ""
        self._stable = True

    def write(self, block: Block) -> None:
        *around, frame = block.frames
        shared_frames = _count_equal(around, self._frames)
        self._close_down_to(shared_frames)
        self._stable = block.stable
        for outer in around[shared_frames:]:
            self._add(None, outer.opening, outer.shared_user_id)
            self._frames.append(outer)
        if block.written is None:
            block.written = _written(block)
        body, shown = block.written
        self.memory_ids.extend(shown)
        self._add(block.layer, frame.opening + body + frame.closing, frame.shared_user_id)
        self._separator = block.form.separator

    def close(self) -> None:
        self._close_down_to(0)

    def _close_down_to(self, depth: int) -> None:
        self._separator, separator = "", self._separator
        while len(self._frames) > depth:
            frame = self._frames.pop()
            self._add(None, frame.closing, frame.shared_user_id)
        self._separator = separator

    def _add(self, layer: Layer | None, text: str, shared_user_id: str) -> None:
        if text:
            text = self._separator + text
            self._separator = ""
            kind = SectionKind.WRAPPER if layer is None else SectionKind.MEMORIES
            self.sections.append(Section(kind, layer, text, count_tokens(text), self._stable, shared_user_id))


def _written(block: Block) -> tuple[str, Sequence[str]]:
    """Return the entries of a block, and the ids in their order."""
    chosen = sorted(block.chosen.values(), key=attrgetter("order"))
    memory_ids: list[str] = []
    if len(block.branches) > 1:
        return _body(block.form, chosen, 0, memory_ids), memory_ids
    return block.form.separator.join([entry.text for entry in chosen]), [entry.memory_id for entry in chosen]


def _body(form: Form, entries: Sequence[Entry], depth: int, memory_ids: list[str]) -> str:
    """Return the entries of one branch, `depth` deep, and note their ids.

    Each further branch is in the place of its first entry.
    """
    if all(len(entry.path) == depth for entry in entries):
        memory_ids.extend([entry.memory_id for entry in entries])
        return form.separator.join([entry.text for entry in entries])
    groups: dict[str | int, list[Entry]] = {}
    for index, entry in enumerate(entries):
        groups.setdefault(entry.path[depth] if len(entry.path) > depth else index, []).append(entry)
    parts = []
    for name, group in groups.items():
        if isinstance(name, int):
            parts.append(group[0].text)
            memory_ids.append(group[0].memory_id)
        else:
            opening, closing = form.branch(group[0].path[: depth + 1])
            parts.append(opening + _body(form, group, depth + 1, memory_ids) + closing)
    return form.separator.join(parts)


def _count_equal(frames: Sequence[Frame], others: Sequence[Frame]) -> int:
    count = 0
    for frame, other in zip(frames, others, strict=False):
        if frame.key != other.key:
            break
        count += 1
    return count


def _cuts(blocks: Sequence[Block]) -> tuple[Cut, ...]:
    """Return what is left out, without a look at more of it than is named."""
    cuts = []
    ids_left = MAX_CUT_IDS
    for block in blocks:
        outranked = [memory_id for memory_id in block.outranked if memory_id in block.memories]
        over_budget = len(block.memories) - len(block.chosen) - len(outranked)
        left_out = filterfalse((block.chosen.keys() | block.outranked.keys()).__contains__, block.memories)
        for reason, count, memory_ids in (
            (CutReason.OUTRANKED, len(outranked), iter(outranked)),
            (CutReason.BUDGET, over_budget, left_out),
        ):
            if count > 0:
                named = tuple(islice(memory_ids, min(count, ids_left)))
                ids_left -= len(named)
                cuts.append(Cut(block.layer, reason, count, named, block.shared_user_id))
    return tuple(cuts)

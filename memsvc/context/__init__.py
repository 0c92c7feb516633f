"""Compiles a user's memories into a block of text for a system prompt, under a budget."""

from memsvc.context.compiling import (
    compile_context,
    compile_for_recall,
    compile_with_summary,
    kept_contexts,
    unless_held,
)
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
)
from memsvc.context.recall import Recalled, RecallSection

__all__ = [
    "DEFAULT_MAX_CHARACTERS",
    "MAX_CUT_IDS",
    "CompiledContext",
    "ContextFormat",
    "ContextRequest",
    "Cut",
    "CutReason",
    "RecallSection",
    "Recalled",
    "Section",
    "SectionKind",
    "Source",
    "compile_context",
    "compile_for_recall",
    "compile_with_summary",
    "count_tokens",
    "kept_contexts",
    "unless_held",
]

"""What the messages of a run can be found by, as it is stored beside the run.

Terms are worked out once, when the run is stored: a search over 20,000 messages then reads numbers. They are the 32
bits that stand for a term in any index, not its letters.
"""

from __future__ import annotations

import msgspec

from memsvc.model import Message, Role, Run
from memsvc.search.embedders.contract import InstantEmbedder
from memsvc.search.memory_terms import day_codes
from memsvc.search.postings import CODE_BYTES, tallied
from memsvc.search.speakers import name_codes, without_speaker
from memsvc.search.text import Analyzer
from memsvc.search.times import time_codes

MOST_TERMS = 256
"""Of one message: what is pasted into a conversation is not what it is about, and takes no more room than this."""


class SaidMessage(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One message."""

    position: int
    """In its run."""
    role: Role
    time: int
    length: int
    """In terms."""
    codes: bytes
    """Of its distinct terms: 32 bits each, little-endian."""
    counts: bytes
    """How often each term is in it, at most 255 times."""
    vector: bytes = b""
    """Of what the user, or somebody by name, said, where an embedder takes microseconds; else empty."""
    speaker: bytes = b""
    """The codes of the terms of the speaker's name; empty: nobody by name."""


ANALYSIS = 1
"""Goes on where texts are turned into other terms: what is stored under an older number is not found."""


class SaidRun(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The body of a SAID row: the messages of one run that can be found."""

    session_id: str
    messages: tuple[SaidMessage, ...]
    agent_id: str = ""
    analysis: int = ANALYSIS
    model: str = ""
    """Of the vectors; empty: there are none."""


def said_in(run: Run, analyzer: Analyzer, embedder: InstantEmbedder | None = None) -> SaidRun:
    """Return what the messages of a run can be found by; those of the system are not for the user to find."""
    said = (
        _said(position, message, message.time or run.create_time, analyzer, embedder)
        for position, message in enumerate(run.messages)
        if message.role is not Role.SYSTEM
    )
    found = tuple(message for message in said if message.length)
    model = embedder.name if embedder is not None else ""
    return SaidRun(run.session_id, found, run.agent_id, model=model)


def _said(
    position: int, message: Message, time: int, analyzer: Analyzer, embedder: InstantEmbedder | None
) -> SaidMessage:
    codes = analyzer.document_codes("\n".join(filter(None, (message.text, message.author_id, message.name))))
    if codes:
        codes += day_codes(analyzer, time)
    length = len(codes) // CODE_BYTES
    if codes:
        codes += time_codes(analyzer, message.text, time)
    speaker = name_codes(message, analyzer)
    distinct, counts = tallied(codes, MOST_TERMS)
    # What an assistant without a name said is found by its words, and beside what the user said.
    embeds = embedder is not None and (message.role is Role.USER or (speaker and message.role is Role.ASSISTANT))
    vector = embedder.vector(without_speaker(message)) if embedder is not None and embeds else b""
    return SaidMessage(
        position,
        message.role,
        time,
        length,
        distinct,
        counts,
        vector,
        speaker,
    )

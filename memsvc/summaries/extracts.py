"""Extracts: what stands for a summary where no model writes one. The sentences that say most, as they were said.

A sentence counts by the words that it shares with the rest of what was said, those of the user above those of others.
What an earlier extract kept goes on as one of the sentences: so nothing is read twice, and what mattered stays a while.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from memsvc.model import Message, Role, Summary
from memsvc.search.text import shared_analyzer

_SENTENCE: Final = re.compile(r"[^.!?。！？\n]+[.!?。！？]*")
_WORD: Final = re.compile(r"[^\W\d_][\w'-]{2,}")
_LINE: Final = re.compile(r"- (?:(\d{4}-\d\d-\d\d) )?([^:\n]{1,80}): (.+)")
_LEAST_CHARACTERS, _MOST_CHARACTERS = 20, 240
_MOST_TERMS: Final = 40
_MOST_SENTENCES: Final = 2_000
_ROLE_WEIGHTS: Final = {Role.USER: 1.0, Role.ASSISTANT: 0.5}
"""What tools and the system say is no summary of a conversation."""
_QUESTION_WEIGHT: Final = 0.6
_KEPT_WEIGHT: Final = 0.8
"""Of what an earlier extract holds: what is new displaces it little by little."""
_TOPICS: Final = 5


class _Sentence(Struct, frozen=True, gc=False):
    line: str
    terms: frozenset[str]
    weight: float


def extract_of(before: Summary | None, messages: Sequence[Message], max_characters: int) -> tuple[str, tuple[str, ...]]:
    """Return the extract of what was said and of the extract before it, a line a sentence, and its topics."""
    sentences = [*_kept(before), *_said(messages)][-_MOST_SENTENCES:]
    counts = Counter(term for sentence in sentences for term in sentence.terms)
    scored = sorted(range(len(sentences)), key=lambda index: (-_score(sentences[index], counts), -index))
    chosen: list[int] = []
    seen: set[str] = set()
    left = max_characters
    for index in scored:
        line = sentences[index].line
        said = line.rpartition(": ")[2].casefold()
        if len(line) + 1 <= left and said not in seen:
            seen.add(said)
            chosen.append(index)
            left -= len(line) + 1
    lines = [sentences[index].line for index in sorted(chosen)]
    return "\n".join(lines), _topics(lines)


def _kept(before: Summary | None) -> Iterator[_Sentence]:
    for line in before.text.splitlines() if before is not None else ():
        match = _LINE.fullmatch(line)
        said = match[3] if match is not None else line
        yield _Sentence(line, _terms(said), _KEPT_WEIGHT)


def _said(messages: Sequence[Message]) -> Iterator[_Sentence]:
    for message in messages:
        weight = _ROLE_WEIGHTS.get(message.role, 0.0)
        if not weight:
            continue
        speaker = " ".join((message.author_id or message.name or message.role.value).split())[:64].replace(":", " ")
        head = f"- {_day(message.time)}{speaker}: "
        for match in _SENTENCE.finditer(message.text):
            said = " ".join(match[0].split())
            if len(said) < _LEAST_CHARACTERS:
                continue
            if len(said) > _MOST_CHARACTERS:
                said = said[: _MOST_CHARACTERS - 1] + "…"
            is_question = said[-1:] in "?？"
            yield _Sentence(head + said, _terms(said), weight * (_QUESTION_WEIGHT if is_question else 1.0))


def _score(sentence: _Sentence, counts: Counter[str]) -> float:
    if not sentence.terms:
        return 0.0
    shared = sum(min(counts[term], 5) for term in sentence.terms)
    # Long sentences say more, but not in proportion to their length.
    return float(sentence.weight * shared / len(sentence.terms) ** 0.5)


def _terms(text: str) -> frozenset[str]:
    return frozenset(shared_analyzer.document_terms(text)[:_MOST_TERMS])


def _topics(lines: Sequence[str]) -> tuple[str, ...]:
    """Return the words that most of the lines have in common, as they are written."""
    counts: Counter[str] = Counter()
    written: dict[str, str] = {}
    for line in lines:
        match = _LINE.fullmatch(line)
        for word in _WORD.findall(match[3] if match is not None else line):
            for term in shared_analyzer.document_terms(word)[:1]:
                counts[term] += 1
                written.setdefault(term, word.lower())
    return tuple(written[term] for term, count in counts.most_common(_TOPICS) if count > 1)


def _day(time: int) -> str:
    try:
        return f"{datetime.fromtimestamp(time / 1_000_000, UTC):%Y-%m-%d} " if time else ""
    except (OverflowError, ValueError, OSError):
        return ""

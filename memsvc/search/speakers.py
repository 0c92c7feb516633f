"""Who said each message of a history, by name, and whom a query names.

A question names the person that it is about, and the answer is mostly what that person said. Texts name others: who
is spoken to. So what was said by those whom a query names counts in full, what others said less, and names are no part
of what a query means.
"""

from __future__ import annotations

import re
import sys
from array import array
from collections.abc import Collection, Sequence, Set
from typing import Final

from memsvc.model import Message, Role
from memsvc.search.postings import CODE_BYTES, read_codes, term_code
from memsvc.search.ranking import Factors
from memsvc.search.text import Analyzer, shared_analyzer

_OTHERS: Final = 0.75
"""What counts of what others said, where a query names somebody."""
_NOBODY: Final = 0
_MOST_NAME_TERMS: Final = 8
_MOST_CHARACTERS: Final = 128
_ENTRY_BYTES: Final = 300
_WORD: Final = re.compile(r"[\w'’-]+")
_TRANSCRIPT: Final = re.compile(r"\A([^\W\d_][\w'’-]{0,30}(?: [^\W\d_][\w'’-]{0,30}){0,2}): (?=\S)")


def name_codes(message: Message, analyzer: Analyzer) -> bytes:
    """Return the codes of the terms of the names of who said a message; empty: it is not said."""
    if message.role not in (Role.USER, Role.ASSISTANT):
        return b""
    # What stands behind an @ is where somebody works.
    names = [name.partition("@")[0] for name in (message.author_id, message.name) if name]
    if not names:
        transcript = _TRANSCRIPT.match(message.text)
        names = [transcript[1]] if transcript and transcript[1][0].isupper() else []
    if not names:
        return b""
    return analyzer.document_codes("\n".join(names)[:_MOST_CHARACTERS])[: _MOST_NAME_TERMS * CODE_BYTES]


def without_speaker(message: Message) -> str:
    """Return a message's text without the speaker's name that transcripts begin with, as "Ann: Hello"."""
    return message.text if message.author_id or message.name else _TRANSCRIPT.sub("", message.text, count=1)


class Speakers:
    """Numbers of speakers by slot."""

    def __init__(self) -> None:
        self._numbers = array("i")
        self._known: dict[bytes, int] = {b"": _NOBODY}
        self._by_code: dict[int, set[int]] = {}

    def append(self, codes: bytes) -> None:
        """Note who said the message of the next slot, as `name_codes` has it."""
        number = self._known.setdefault(codes, len(self._known))
        self._numbers.append(number)
        if number == len(self._known) - 1:
            for code in read_codes(codes):
                self._by_code.setdefault(code, set()).add(number)

    def named(self, terms: Collection[str]) -> Set[int]:
        """Return the numbers of the speakers that the terms of a query name."""
        by_code = self._by_code
        if not by_code:
            return frozenset()
        return frozenset(number for term in terms for number in by_code.get(term_code(term), ()))

    def without_names(self, query: str) -> str:
        """Return a query without the names of speakers; as it is where nothing else would be left."""
        if not self.named(shared_analyzer.query_terms(query)):
            return query
        left = _WORD.sub(lambda word: "" if self._is_name(word[0]) else word[0], query)
        return left if _WORD.search(left) else query

    def preferred(self, named: Set[int], factors: Sequence[float]) -> Factors:
        """Return the factors where a query names these speakers."""
        return _Preferred(named, self._numbers, factors)

    @property
    def size_bytes(self) -> int:
        return sys.getsizeof(self._numbers) + len(self._known) * _ENTRY_BYTES

    def _is_name(self, word: str) -> bool:
        codes = read_codes(shared_analyzer.document_codes(word))
        return bool(codes) and all(code in self._by_code for code in codes)


class _Preferred:
    """The factors of slots where a query names some speakers."""

    __slots__ = ("_factors", "_named", "_numbers")

    def __init__(self, named: Set[int], numbers: Sequence[int], factors: Sequence[float]) -> None:
        self._named = named
        self._numbers = numbers
        self._factors = factors

    def __getitem__(self, slot: int, /) -> float:
        factor = self._factors[slot]
        if not factor:
            return factor
        return 1.0 if self._numbers[slot] in self._named else _OTHERS * factor

"""Who said each message of a history, by name, and whom a query names.

A question names the person that it is about, and the answer is mostly what that person said. Texts name others: who
is spoken to. So what was said by those whom a query names counts in full, what others said less, and names are no part
of what a query means. The assistant is named by "you", where it is asked what it said.
"""

from __future__ import annotations

import re
import sys
from array import array
from collections.abc import Collection, Sequence, Set
from functools import cache
from typing import TYPE_CHECKING, Final

from memsvc.model import Message, Role
from memsvc.search.postings import CODE_BYTES, read_codes, term_code
from memsvc.search.ranking import Factors
from memsvc.search.text import Analyzer, shared_analyzer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_OTHERS: Final = 0.75
"""What counts of what others said, where a query names somebody."""
_NOBODY: Final = 0
_ASSISTANT: Final = b"\0"
"""Stands for the name of an assistant without one: no codes of terms."""
_MOST_NAME_TERMS: Final = 8
_MOST_CHARACTERS: Final = 128
_ENTRY_BYTES: Final = 300
_WORD: Final = re.compile(r"[\w'’-]+")


def name_codes(message: Message, analyzer: Analyzer) -> bytes:
    """Return the codes of the terms of the names of who said a message; empty: it is not said."""
    if message.role not in (Role.USER, Role.ASSISTANT):
        return b""
    # What stands behind an @ is where somebody works.
    names = [name.partition("@")[0] for name in (message.author_id, message.name) if name]
    if not names:
        transcript = _transcript().match(message.text)
        names = [transcript[1]] if transcript and transcript[1][0].isupper() else []
    if not names:
        return b""
    return analyzer.document_codes("\n".join(names)[:_MOST_CHARACTERS])[: _MOST_NAME_TERMS * CODE_BYTES]


def without_speaker(message: Message) -> str:
    """Return a message's text without the speaker's name that transcripts begin with, as "Ann: Hello"."""
    return message.text if message.author_id or message.name else _transcript().sub("", message.text, count=1)


class Speakers:
    """Numbers of speakers by slot."""

    def __init__(self) -> None:
        self._numbers = array("i")
        self._known: dict[bytes, int] = {b"": _NOBODY, _ASSISTANT: _NOBODY + 1}
        self._by_code: dict[int, set[int]] = {}
        self._assistants: set[int] = set()

    def append(self, codes: bytes, role: Role) -> None:
        """Note who said the message of the next slot: in which role, and by which name, as `name_codes` has it."""
        is_assistant = role is Role.ASSISTANT
        number = self._known.get(codes or (_ASSISTANT if is_assistant else b""))
        if number is None:
            number = self._known[codes] = len(self._known)
            for code in read_codes(codes):
                self._by_code.setdefault(code, set()).add(number)
        if is_assistant:
            self._assistants.add(number)
        self._numbers.append(number)

    def asked(self, query: str, terms: Collection[str]) -> Set[int]:
        """Return the numbers of the speakers that a query is about: those that its terms name, and the assistant."""
        named = self._named(terms)
        return named | self._assistants if self._assistants and _of_assistant().search(query) else named

    def without_names(self, query: str) -> str:
        """Return a query without the names of speakers; as it is where nothing else would be left."""
        if not self._named(shared_analyzer.query_terms(query)):
            return query
        left = _WORD.sub(lambda word: "" if self._is_name(word[0]) else word[0], query)
        return left if _WORD.search(left) else query

    def preferred(self, asked: Set[int], factors: Sequence[float]) -> Factors:
        """Return the factors where a query is about these speakers."""
        return _Preferred(asked, self._numbers, factors)

    def preferred_at_once(self, asked: Set[int], factors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the same of all slots, as numpy has it."""
        import numpy as np

        is_asked = np.zeros(len(self._known), np.bool_)
        is_asked[list(asked)] = True
        by_asked = is_asked[np.frombuffer(self._numbers, np.intc)] & (factors > 0)
        return np.where(by_asked, 1.0, _OTHERS * factors)

    @property
    def size_bytes(self) -> int:
        return sys.getsizeof(self._numbers) + len(self._known) * _ENTRY_BYTES

    def _named(self, terms: Collection[str]) -> Set[int]:
        by_code = self._by_code
        if not by_code:
            return frozenset()
        return frozenset(number for term in terms for number in by_code.get(term_code(term), ()))

    def _is_name(self, word: str) -> bool:
        codes = read_codes(shared_analyzer.document_codes(word))
        return bool(codes) and all(code in self._by_code for code in codes)


class _Preferred:
    """The factors of slots where a query is about some speakers."""

    __slots__ = ("_asked", "_factors", "_numbers")

    def __init__(self, asked: Set[int], numbers: Sequence[int], factors: Sequence[float]) -> None:
        self._asked = asked
        self._numbers = numbers
        self._factors = factors

    def __getitem__(self, slot: int, /) -> float:
        factor = self._factors[slot]
        if not factor:
            return factor
        return 1.0 if self._numbers[slot] in self._asked else _OTHERS * factor


# Compiled when first met: it takes milliseconds of a start.


@cache
def _transcript() -> re.Pattern[str]:
    """Return what finds the speaker's name at the beginning of a text."""
    return re.compile(r"\A([^\W\d_][\w'’-]{0,30}(?: [^\W\d_][\w'’-]{0,30}){0,2}): (?=\S)")


@cache
def _of_assistant() -> re.Pattern[str]:
    """Return what finds a question to the assistant for what it said itself."""
    return re.compile(
        r"\b(?:assistant|chatbot)\b|\byour (?:answer|advice|suggestion|recommendation|reply|explanation)s?\b"
        r"|\byou(?:'ve| have| had| also| once| just)* (?:said|say|told|tell|wrote|write|gave|give"
        r"|(?:suggest|recommend|mention|propose|advise|explain|list|provide|answer|describe)e?d?)\b",
        re.IGNORECASE,
    )

"""Where the clauses of a sentence begin, and which of them are asserted."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import msgspec

from memsvc.extraction.rules.lexicon import Lexicon
from memsvc.extraction.rules.reading import BRACKET


class ClauseStart(msgspec.Struct, frozen=True, gc=False):
    """Where a clause begins, and what is known of it."""

    at: int
    asserted: bool
    subject: str = ""
    elided: bool = False
    """The subject is not written; it is that of the clause before."""
    copula: bool = False
    """What is not written is "i am"."""
    asks: bool = False


class Splitter:
    """Reads the words of one sentence from left to right."""

    def __init__(self, words: Sequence[str], lexicon: Lexicon) -> None:
        self._words = words
        self._lexicon = lexicon
        self._starts: list[ClauseStart] = []

    def starts(self) -> list[ClauseStart]:
        """Return where clauses begin, in order; a question ends the reading, a supposition lasts up to "but i"."""
        at = 0
        while at < len(self._words):
            start = self._start_at(at)
            at += 1
            if start is not None:
                self._starts.append(start)
                if start.asks:
                    break
                if not start.asserted and self._words[start.at] in self._lexicon.words("supposing"):
                    at = self._after_supposition(at)
        return self._starts

    def _after_supposition(self, at: int) -> int:
        for index, pair in enumerate(pairwise(self._words[at:]), at):
            if pair in (("but", "i"), ("but", "my")):
                return index + 1
        return len(self._words)

    def _start_at(self, at: int) -> ClauseStart | None:
        word, boundary = self._words[at], self._is_boundary(at)
        if word in self._lexicon.words("supposing") and not self._is_politeness(at):
            return ClauseStart(at, asserted=False)
        if self._asks(at, boundary=boundary):
            return ClauseStart(at, asserted=False, asks=True)
        if word == "i":
            return None if self._belongs_to_my(at) else ClauseStart(at, self._is_admitted(at, boundary=boundary), "i")
        if word in ("my", "we", "me") and (boundary or self._introduces_itself(at)):
            return ClauseStart(at, self._is_admitted(at, boundary=boundary), word)
        if at == 0:
            dropped = word in self._lexicon.words("dropped_subject_verbs")
            return ClauseStart(0, asserted=True, subject="i" if dropped else "", elided=dropped)
        return self._continued(at) if boundary else None

    def _continued(self, at: int) -> ClauseStart | None:
        """Return the start of a clause that goes on about the subject before, or has another."""
        word = self._words[at]
        before = self._starts[-1] if self._starts else None
        subject = before.subject if before and before.asserted else ""
        if subject in ("i", "we") and word in self._lexicon.words("finite_verbs") and self._goes_on(at):
            return ClauseStart(at, asserted=True, subject=subject, elided=True)
        if subject == "i" and self._goes_on_being(at):
            return ClauseStart(at, asserted=True, subject="i", elided=True, copula=True)
        opens = word in self._lexicon.words("answer_openers")
        commands = word in self._lexicon.words("command_words") and self._words[at - 1] != "and"
        commands = commands and not (word == "from" and self._words[at + 1 : at + 2] != ["now"])
        if word in self._lexicon.words("other_subjects") or (opens and subject not in ("i", "we")) or commands:
            return ClauseStart(at, asserted=opens or commands)
        return None

    def _is_boundary(self, at: int) -> bool:
        while at:
            before = self._words[at - 1]
            if before in self._lexicon.words("connectives") or not before[0].isalnum():
                return True
            if before not in self._lexicon.words("interjections"):
                return False
            at -= 1
        return True

    def _is_politeness(self, at: int) -> bool:
        return self._words[at] == "if" and tuple(self._words[at + 1 : at + 3]) in _POLITENESS

    def _asks(self, at: int, *, boundary: bool) -> bool:
        word, (first, second) = self._words[at], (*self._words[at + 1 : at + 3], "", "")[:2]
        if word in self._lexicon.words("interrogatives"):
            return self._asks_with_word(word, first, second, boundary=boundary)
        if word in self._lexicon.words("auxiliaries") and first in self._lexicon.words("asked_subjects"):
            statement = word in ("have", "do") and first in ("a", "my")
            return (boundary and not statement) or (first == "you" and bool(second) and word in _ASKS_YOU)
        return boundary and word in _YOU_TOO and at == len(self._words) - 1

    def _asks_with_word(self, word: str, first: str, second: str, *, boundary: bool) -> bool:
        auxiliaries = self._lexicon.words("auxiliaries")
        if first in auxiliaries and second != "not":
            return boundary or second in ("you", "your", "the", "a", "it") or first in ("about", "do", "does", "did")
        asked = first in self._lexicon.words("asked_nouns") or (bool(first) and second in auxiliaries)
        if boundary and asked and word in ("what", "which", "how"):
            return True
        return first == "about" or (first == "to" and boundary)

    def _belongs_to_my(self, at: int) -> bool:
        """Tell whether "i" ends a subject: "my wife and i"."""
        if at < 2 or self._words[at - 1] != "and" or not self._starts:
            return False
        start = self._starts[-1]
        near = start.subject in ("my", "me") and start.at >= at - 5
        return near and _COPULAS.isdisjoint(self._words[start.at : at])

    def _goes_on(self, at: int) -> bool:
        """Tell whether a verb after "and" has the subject of the clause before: it may be part of its object."""
        words = self._words
        if words[at] == "go" and (at + 1 == len(words) or words[at + 1] == "these"):
            return False
        stative = words[at] in self._lexicon.words("stative_verbs")
        if words[at - 1] == ",":
            return stative and words[at] != "like"
        clause = words[self._starts[-1].at : at]
        if "can" in clause or any(verb in _TAKES_INFINITIVE and to == "to" for verb, to in pairwise(clause)):
            return stative and words[at + 1 : at + 2] != ["fun"]
        return True

    def _goes_on_being(self, at: int) -> bool:
        """Tell whether "i am" also holds for what follows: "i am 28, married and a nurse"."""
        words, start = self._words, self._starts[-1]
        if list(words[start.at : start.at + 2]) != ["i", "am"] and not start.copula:
            return False
        word = words[at]
        if word in ("a", "an", "from"):
            return True
        alone = at + 1 == len(words) or words[at + 1] in (",", "and", "but", "years", "from", "with", "in")
        return alone and (word.isdigit() or any(self._lexicon.has(name, word) for name in _PREDICATES))

    def _introduces_itself(self, at: int) -> bool:
        """Tell whether "my" starts a clause without a boundary: "hello my name is"."""
        words = self._words
        following = words[at + 1] if at + 1 < len(words) else ""
        return (
            words[at] == "my"
            and following in self._lexicon.words("introduced")
            and not _COPULAS.isdisjoint(words[at + 1 : at + 5])
            and words[at - 1] not in self._lexicon.words("takes_object")
        )

    def _is_admitted(self, at: int, *, boundary: bool) -> bool:
        """Tell whether the words before a first person let it assert something."""
        begin = at
        while (
            begin > at - _MAX_LEAD_WORDS
            and begin
            and self._words[begin - 1][0].isalnum()
            and self._words[begin - 1] not in _NEW_THOUGHT
        ):
            begin -= 1
        if begin and self._words[begin - 1] == BRACKET:
            return False
        lead = [word for word in self._words[begin:at] if word not in self._lexicon.words("interjections")]
        return not lead or self._lets_assert(lead, at, boundary=boundary)

    def _lets_assert(self, lead: Sequence[str], at: int, *, boundary: bool) -> bool:
        last, admitting = lead[-1], self._lexicon.words("admitting")
        if last in self._lexicon.words("subordinators") and not (last == "as" and len(lead) == 1):
            return False
        if last == "that":
            return " ".join(lead[-3:-1]) in admitting or (len(lead) > 1 and lead[-2] in admitting)
        if last in admitting or " ".join(lead[-2:]) in admitting:
            return True
        if not self._lexicon.words("saying_verbs").isdisjoint(lead):
            return False
        if boundary or last in self._lexicon.words("connectives") or last in self._lexicon.words("time_nouns"):
            return True
        # A run-on ("i am a nurse i have two kids"), not a relative clause ("the car i drive").
        starts = " ".join(self._words[at + 1 : at + 3]) in self._lexicon.words("run_on_starts")
        return self._lexicon.words("determiners").isdisjoint(lead[-3:]) or (self._words[at] == "i" and starts)


_POLITENESS: Final = (("it", "helps"), ("it", "matters"), ("you", "must"), ("that", "helps"))
_ASKS_YOU: Final = frozenset({"do", "are", "have", "can", "did", "could", "would", "will"})
_YOU_TOO: Final = frozenset({"you", "u", "hbu", "wbu"})
_TAKES_INFINITIVE: Final = frozenset({"like", "love", "want", "enjoy", "hate"})
_PREDICATES: Final = ("marital", "jobless", "diets", "nationalities", "religions", "students", "traits")
_COPULAS: Final = frozenset({"is", "are", "was", "were", "would", "include"})
_MAX_LEAD_WORDS: Final = 12
_NEW_THOUGHT: Final = frozenset({"but", "and", "so", "because"})

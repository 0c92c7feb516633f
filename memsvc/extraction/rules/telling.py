"""Clauses retold as sentences about the user: "i run every day" is "Runs every day"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from memsvc.extraction.rules.clauses import Clause
from memsvc.extraction.rules.reading import Token
from memsvc.extraction.rules.wording import spoken, words_of


class Telling:
    """Retells clauses; `third_person` has the verbs that do not take an s."""

    def __init__(self, third_person: Mapping[str, str]) -> None:
        self._third_person = third_person

    def told(self, clause: Clause, how: str = "") -> str:
        """Return a clause without its subject; as a "wish" or "feedback" without what leads up to it."""
        tokens = self._without_end(clause.tokens)
        if how:
            return spoken(_after(tokens, _BEFORE[how]), clause.source)
        if tokens[0].word not in ("i", "we") or len(tokens) < 2:
            return spoken(tokens[1:] if tokens[0].word == "my" and len(tokens) > 1 else tokens, clause.source)
        verb = self.third_person(tokens[1].word)
        # The two words of a contraction have one place: "don't" is written once.
        rest = [token for token in tokens[2:] if token.start != tokens[1].start or token.end == token.start]
        middle = [token.word for token in tokens[2:] if token not in rest]
        return " ".join([verb, *middle, *([spoken(rest, clause.source)] if rest else [])])

    def third_person(self, verb: str) -> str:
        """Return the third person of a verb in the present tense; other forms as they are."""
        if verb in self._third_person:
            return self._third_person[verb]
        if verb.endswith("ed") and verb not in ("need", "feed", "breed", "shed"):
            return verb
        if verb.endswith(("s", "x", "z", "ch", "sh", "o")):
            return verb + "es"
        return verb[:-1] + "ies" if verb.endswith("y") and verb[-2:-1] not in "aeiou" else verb + "s"

    def _without_end(self, tokens: Sequence[Token]) -> list[Token]:
        """Leave out a remark at the end, and another statement after a comma."""
        words = words_of(tokens)
        for at, word in enumerate(words[:-1]):
            following = words[at + 1]
            if word == "," and at and (following.endswith("ed") or self._third_person.get(following) == following):
                tokens = tokens[:at]
                break
        kept = list(tokens)
        while len(kept) > 1 and kept[-1].word in _AFTERTHOUGHTS:
            kept.pop()
        return kept


def with_article(text: str) -> str:
    """Return a noun phrase with "a" or "an", unless it needs none."""
    words = text.lower().split()
    if not words:
        return text
    head = text.lower().split(" of ")[0].split()[-1]
    plural = head.endswith("s") and not head.endswith(("ss", "us", "is"))
    if words[0] in _DETERMINERS or plural or head in _MASS_NOUNS:
        return text
    vowel = words[0][0] in "aeiou" and not words[0].startswith(("uni", "use", "one", "eu"))
    return f"{'an' if vowel else 'a'} {text}"


def _after(tokens: list[Token], leading: frozenset[str]) -> list[Token]:
    at = 0
    while at < len(tokens) - 2 and tokens[at].word in leading:
        at += 1
    return tokens[at:]


_BEFORE: Final = {
    "wish": frozenset({"please", "just", "and", "so", "you", "should"}),
    "feedback": frozenset(
        {"i", "really", "great", "thanks", "hmm", "sorry", "no", "well", "wow", "ok", "nice", "perfect", "that", "this"}
        | {"your", "the", "those", "these", ","}
    ),
}
_DETERMINERS: Final = frozenset(
    {"a", "an", "the", "my", "their", "his", "her", "our", "some", "several", "many", "no", "both", "multiple"}
    | {"one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"}
)
_MASS_NOUNS: Final = frozenset({"staff", "human", "management", "sales"})
_AFTERTHOUGHTS: Final = frozenset(
    {",", "too", "also", "lol", "haha", "though", "and", "but", "so", "-", "actually", "really", "please"}
)

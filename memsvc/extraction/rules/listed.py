"""Phrases that word lists decide: entries, phrases around an entry, phrases that start with one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from memsvc.extraction.rules.figures import NUMBERS, number_of
from memsvc.extraction.rules.lexicon import Lexicon, singular
from memsvc.extraction.rules.reading import Token
from memsvc.extraction.rules.things import Things
from memsvc.extraction.rules.wording import (
    LIST_MARKS,
    MAX_PHRASE_WORDS,
    Filling,
    filling,
    original,
    spoken,
    title_word,
    words_of,
)

_MAX_FAVORED_WORDS: Final = 5
_TAKE_OBJECT: Final = frozenset({"ability_verbs", "goal_verbs"})
_HAD: Final = frozenset({"kids", "pets", "siblings", "possessions"})
"""Lists whose things one has: not "kids to pick up", "my hands full"."""
_CAPITALISED: Final = frozenset({"languages", "nationalities", "religions", "programming", "tools", "timezones"})
_AFTER_ENTRIES: Final = ("prepositions", "time_words", "fillers")
_AFTER_HEADS: Final = ("prepositions", "time_words", "head_ends")
_BETWEEN: Final = frozenset({"the", "a", "some", "also", "both", "little", "bit", "of", "i", "half", "part"})


class ListedPhrases:
    """Reads phrases with the help of a word list."""

    def __init__(self, lexicon: Lexicon, things: Things, canonical: Mapping[str, Mapping[str, str]]) -> None:
        self._lexicon = lexicon
        self._things = things
        self._canonical = canonical

    def entries(self, name: str, tokens: Sequence[Token], source: str) -> list[Filling]:
        """Read entries of a list, in the form that is kept: "french and a little german"."""
        found: list[Filling] = []
        words = words_of(tokens)
        at = 0
        while at < len(words):
            count = self._lexicon.longest(name, words, at)
            if count:
                found += filling(self._canonical_form(name, spoken(tokens[at : at + count], source)))
                at += count
                while at < len(words) and words[at] in LIST_MARKS:
                    at += 1
            elif found and words[at] in _BETWEEN:
                at += 1
            else:
                return found if self._may_end(words[at]) else []
        return found

    def around(self, name: str, tokens: Sequence[Token], source: str) -> list[Filling]:
        """Read phrases around an entry: "two big dogs named Rex and Max"."""

        def accepts(item: Sequence[Token], _source: str) -> bool:
            words = words_of(item)
            barred = self._lexicon.words("barred_heads") | self._lexicon.words("prepositions")
            borrowed = words[0] == "my" and words[1:2] != ["own"] and name in _HAD
            pointing = not self._lexicon.words("pointing").isdisjoint(words)
            if words[0] in barred or borrowed or pointing or len(words) > MAX_PHRASE_WORDS:
                return False
            return self.heads(name, words)

        return list(self._things.listed(tokens, source, accepts))

    def starting(self, name: str, tokens: Sequence[Token], source: str) -> list[Filling]:
        """Read a phrase that starts with an entry: "play the piano"."""
        words = words_of(tokens)
        count = self._lexicon.longest(name, words, 0)
        if not count or (name != "instruction_verbs" and self._lexicon.speaks_to_others(words)):
            return []
        after = tokens[count:]
        if not after and " ".join(words) in self._lexicon.words("transitive_verbs"):
            return []
        if name in _TAKE_OBJECT and after:
            specific = after[0].word == "the" and not self._things.is_general(after, source)
            if specific or after[0].word in self._lexicon.words("deixis"):
                return []
        return self._things.text(tokens, source)

    def heads(self, name: str, words: Sequence[str]) -> bool:
        """Tell whether the head of a noun phrase is on a list: the last word before what only describes it."""
        quantity = next((count for count in (3, 2) if " ".join(words[:count]) in self._lexicon.words("quantities")), 0)
        words = words[quantity:] if len(words) > quantity else words
        end = next((at for at, word in enumerate(words) if at and self._ends_head(word, at)), len(words))
        to_do = end + 1 < len(words) and words[end] == "to" and name in _HAD
        counts = range(1, min(3, end) + 1)
        return not to_do and any(self._lexicon.has(name, " ".join(words[end - count : end])) for count in counts)

    def brood(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        """Read children after "mother of": "two", "twin boys"."""
        number = number_of(tokens[0].word)
        alone = len(tokens) == 1 or tokens[1].word == ","
        if number is not None and alone:
            return filling(f"{original(tokens[:1], source)} {'child' if number == 1 else 'children'}")
        return self.around("kids", tokens, source)

    def favored(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        """Read what a favorite is of; its value is the canonical word: "colours" is color."""
        words = words_of(tokens)
        vague = words[0] in self._lexicon.words("deixis") or words[0] in ("part", "thing", "things")
        if vague or len(words) > _MAX_FAVORED_WORDS or "," in words:
            return []
        text = original(tokens, source).lower()
        return [Filling(text, self._canonical.get("favored", {}).get(singular(text), singular(text)))]

    def _may_end(self, word: str) -> bool:
        """Tell whether a list of entries may end before `word`: "french at home"."""
        return word[0].isdigit() or word in NUMBERS or any(word in self._lexicon.words(name) for name in _AFTER_ENTRIES)

    def _ends_head(self, word: str, at: int) -> bool:
        rate = at > 1 and word in ("a", "an", "per")
        return rate or any(word in self._lexicon.words(name) for name in _AFTER_HEADS)

    def _canonical_form(self, name: str, text: str) -> str:
        if name.startswith("possessive_"):
            return singular(text.rstrip("'").removesuffix("'s"))
        form = self._canonical.get(name, {}).get(text.lower())
        if form is not None or not text.islower() or name not in _CAPITALISED:
            return form or text
        if text in self._lexicon.words("upper_names"):
            return text.upper()
        return " ".join(title_word(word) for word in text.split())

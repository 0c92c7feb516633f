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

_TAKE_OBJECT: Final = frozenset({"ability_verbs", "goal_verbs"})
_NOT_TO_DO: Final = frozenset({"kids", "pets", "siblings", "possessions"})
"""Lists whose things one has: not "kids to pick up"."""
_CAPITALISED: Final = frozenset({"languages", "nationalities", "religions", "programming", "tools", "timezones"})
_BETWEEN: Final = frozenset({"the", "a", "some", "also", "both", "little", "bit", "of", "i", "half", "part"})


class ListedPhrases:
    """Reads phrases with the help of a word list."""

    def __init__(self, lexicon: Lexicon, things: Things, canonical: Mapping[str, Mapping[str, str]]) -> None:
        self._lexicon = lexicon
        self._things = things
        self._canonical = canonical

    def entries(self, name: str, tokens: Sequence[Token], source: str) -> list[Filling]:
        found: list[Filling] = []
        words = words_of(tokens)
        at = 0
        while at < len(words):
            if found and words[at] in ("the", "a", "some", "also", "both", "little", "bit", "of", "i", "half", "part"):
                at += 1
                continue
            count = self._lexicon.longest(name, words, at)
            if not count:
                if (
                    words[at] in self._lexicon.words("prepositions")
                    or words[at] in self._lexicon.words("time_words")
                    or words[at] in NUMBERS
                ):
                    break
                return []
            text = self._canonical_form(name, spoken(tokens[at : at + count], source))
            found.append(Filling(text, text))
            at += count
            while at < len(words) and words[at] in LIST_MARKS:
                at += 1
        return found

    def _canonical_form(self, name: str, text: str) -> str:
        if name.startswith("possessive_"):
            return singular(text.rstrip("'").removesuffix("'s"))
        form = self._canonical.get(name, {}).get(text.lower())
        if form is not None or not text.islower() or name not in _CAPITALISED:
            return form or text
        return (
            text.upper()
            if text in self._lexicon.words("upper_names")
            else " ".join(title_word(word, 0) for word in text.split())
        )

    def around(self, name: str, tokens: Sequence[Token], source: str) -> list[Filling]:
        def accepts(item: Sequence[Token], _source: str) -> bool:
            words = words_of(item)
            if words[0] == "my" and words[1:2] != ["own"]:
                return False
            return (
                words[0] not in self._lexicon.words("barred_heads")
                and not self._lexicon.words("pointing") & set(words)
                and len(words) <= MAX_PHRASE_WORDS
                and self.heads(name, words)
            )

        return list(self._things.listed(tokens, source, accepts, topical=False))

    def heads(self, name: str, words: Sequence[str]) -> bool:
        """Tell whether the head of a noun phrase is on a list: the last word before what only describes it."""
        if len(words) > 2 and " ".join(words[:3]) in self._lexicon.words("quantities"):
            words = words[3:]
        elif len(words) > 1 and " ".join(words[:2]) in self._lexicon.words("quantities"):
            words = words[2:]
        end = next(
            (
                at
                for at, word in enumerate(words)
                if at
                and (
                    (at > 1 and word in ("a", "an", "per"))
                    or word in self._lexicon.words("prepositions")
                    or word in self._lexicon.words("head_ends")
                    or word in self._lexicon.words("time_words")
                )
            ),
            len(words),
        )
        if words[end : end + 1] == ["to"] and end + 1 < len(words) and name in _NOT_TO_DO:
            return False
        return any(end >= count and self._lexicon.has(name, " ".join(words[end - count : end])) for count in (1, 2, 3))

    def starting(self, name: str, tokens: Sequence[Token], source: str) -> list[Filling]:
        words = words_of(tokens)
        if not self._lexicon.longest(name, words, 0) or (
            name != "instruction_verbs" and self._lexicon.speaks_to_others(words)
        ):
            return []
        after = tokens[self._lexicon.longest(name, words, 0) :]
        if (
            name in _TAKE_OBJECT
            and after
            and (
                after[0].word in self._lexicon.words("deixis")
                or (after[0].word == "the" and not self._things.is_general(after, source))
            )
        ):
            return []
        return self._things.text(tokens, source)

    def brood(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        around = self.around("kids", tokens, source)
        if around:
            return around
        number = number_of(tokens[0].word)
        if number is None or (len(tokens) > 1 and tokens[1].word != ","):
            return []
        text = f"{original(tokens[:1], source)} {'child' if number == 1 else 'children'}"
        return filling(text)

    def favored(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        """What a favorite is of; its value is the canonical word: "colours" is color."""
        words = words_of(tokens)
        if (
            len(words) > 5
            or words[0] in self._lexicon.words("deixis")
            or words[0] in ("part", "thing", "things")
            or "," in words
        ):
            return []
        text = original(tokens, source).lower()
        return [Filling(text, self._canonical.get("favored", {}).get(singular(text), singular(text)))]

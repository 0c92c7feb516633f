"""Names of people, companies and schools."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from memsvc.extraction.rules.lexicon import Lexicon
from memsvc.extraction.rules.reading import Token
from memsvc.extraction.rules.things import Things
from memsvc.extraction.rules.wording import (
    Filling,
    filling,
    is_name_shaped,
    is_proper,
    original,
    title_word,
    titled,
    words_of,
)

_MAX_NAME_WORDS: Final = 4
_MAX_BARE_NAME_WORDS: Final = 3
_MAX_ORG_WORDS: Final = 6
_NOT_GIVEN: Final = (
    "nationalities",
    "religions",
    "languages",
    "professions",
    "countries",
    "marital",
    "jobless",
    "diets",
    "traits",
    "genders",
    "parents_words",
    "programming",
    "tools",
    "students",
    "timezones",
    "transient_states",
)
"""Lists whose words are no names although they are capitalised: "I'm Canadian"."""


class Names:
    """Reads proper names, by capitals where there are some and by lists where there are none."""

    def __init__(self, lexicon: Lexicon, things: Things) -> None:
        self._lexicon = lexicon
        self._things = things

    def name(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        """Read the name that a clause announces, as far as it goes: "my name is bob nice to meet you"."""
        proper = is_proper(tokens[0], source)
        taken: list[Token] = []
        for token in tokens[:_MAX_NAME_WORDS]:
            known = token.word in self._lexicon.words("names")
            if not self._may_be_name(token.word) or (not proper and not known and _is_participle(token.word)):
                break
            goes_on = is_proper(token, source) if proper else known or len(tokens) == 2
            if taken and not goes_on:
                break
            taken.append(token)
        return filling(titled(original(taken, source))) if taken else []

    def names(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        """Read several names as one filling: "Salt and Pepper"."""
        found = [name.text for item in self._things.elements(tokens) for name in self.name(item, source)]
        return filling(" and ".join(found)) if found else []

    def bare_name(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        """Read a name that nothing announces: capitalised where its sentence is not, or a common given name."""
        tokens = self._things.before_comma(tokens)
        words = words_of(tokens)
        if len(words) > _MAX_BARE_NAME_WORDS or not all(self._may_be_name(word) for word in words):
            return []
        proper = [is_proper(token, source) for token in tokens]
        given = words[0] in self._lexicon.words("names")
        listed = any(self._lexicon.has(name, words[0]) for name in _NOT_GIVEN)
        accepted = all(proper[1:2]) if given else all(proper) and not listed
        return filling(titled(original(tokens, source))) if accepted else []

    def org(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        """Read a company or school by its name: not "a hospital", "home", "night"."""
        words = words_of(tokens)
        barred = self._lexicon.words("barred_for_names") | self._lexicon.words("not_orgs")
        if words[0] in barred or self._lexicon.speaks_to_others(words):
            return []
        ends = self._lexicon.words("org_ends") | self._lexicon.words("time_words") | {","}
        end = next((at for at, word in enumerate(words) if at and word in ends), len(words))
        named = any(is_proper(token, source) for token in tokens[1:end])
        if words[0] == "the" and not named and not any(self._lexicon.has("org_nouns", word) for word in words[1:end]):
            return []
        if self._lexicon.has("venues", words[end - 1]) and not (named or is_proper(tokens[0], source)):
            return []
        taken = tokens[words[0] == "the" : end]
        return filling(self._org_name(original(taken, source))) if taken and end <= _MAX_ORG_WORDS else []

    def school(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        """Read a school where "go to" may also lead to a shop: known, or with a word for schools in its name."""
        tokens = self._things.before_comma(tokens)
        words = words_of(tokens)
        schools, nouns = self._lexicon.words("schools"), self._lexicon.words("school_nouns")
        called_so = len(words) > 1 and not nouns.isdisjoint(words)
        known = words[0] in schools or " ".join(words[:2]) in schools
        return self.org(tokens, source) if called_so or known else []

    def _may_be_name(self, word: str) -> bool:
        return is_name_shaped(word) and word not in self._lexicon.words("not_names")

    def _org_name(self, text: str) -> str:
        if not text.islower():
            return text
        upper = self._lexicon.words("upper_names")
        return " ".join(word.upper() if word in upper else title_word(word, at) for at, word in enumerate(text.split()))


def _is_participle(word: str) -> bool:
    """Tell whether a word without a capital rather says something: "my name is misspelled"."""
    return word.endswith(("ed", "ing", "ly"))

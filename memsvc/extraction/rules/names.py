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
        taken: list[Token] = []
        proper = is_proper(tokens[0], source)
        for token in tokens[:4]:
            word = token.word
            if not is_name_shaped(word) or word in self._lexicon.words("not_names"):
                break
            if not proper and word.endswith(("ed", "ing", "ly")) and word not in self._lexicon.words("names"):
                break
            if taken and (
                not is_proper(token, source)
                if proper
                else not (len(tokens) == 2 or word in self._lexicon.words("names"))
            ):
                break
            taken.append(token)
        if not taken:
            return []
        text = titled(original(taken, source))
        return filling(text)

    def names(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        found = [name for item in self._things.elements(tokens) for name in self.name(item, source)]
        text = " and ".join(name.text for name in found)
        return filling(text) if found else []

    def bare_name(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        """A name that nothing announces: capitalised where its sentence is not, or a common given name, alone."""
        tokens = self._things.before_comma(tokens)
        words = words_of(tokens)
        if len(words) > 3 or not all(
            is_name_shaped(word) and word not in self._lexicon.words("not_names") for word in words
        ):
            return []
        given = words[0] in self._lexicon.words("names")
        listed = any(self._lexicon.has(name, words[0]) for name in _NOT_GIVEN)
        if not given and (listed or not all(is_proper(token, source) for token in tokens)):
            return []
        if given and len(words) > 1 and not is_proper(tokens[1], source):
            return []
        text = titled(original(tokens, source))
        return filling(text)

    def org(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        """A company or school by its name: not "a hospital", "home", "night"."""
        words = words_of(tokens)
        if (
            words[0] in self._lexicon.words("barred_for_names")
            or words[0] in self._lexicon.words("not_orgs")
            or self._lexicon.speaks_to_others(words)
        ):
            return []
        end = next(
            (
                at
                for at, word in enumerate(words)
                if at and (word in self._lexicon.words("org_ends") or word in self._lexicon.words("time_words"))
            ),
            len(words),
        )
        taken = list(tokens[:end])
        if len(taken) > 6:
            return []
        proper = any(is_proper(token, source) for token in taken[1:])
        if words[0] == "the" and not proper and not any(self._lexicon.has("org_nouns", word) for word in words[1:end]):
            return []
        if self._lexicon.has("venues", words[end - 1]) and not any(is_proper(token, source) for token in taken):
            return []
        taken = taken[1:] if words[0] == "the" else taken
        text = original(taken, source)
        if text.islower():
            text = " ".join(
                word.upper() if word in self._lexicon.words("upper_names") else title_word(word, at)
                for at, word in enumerate(text.split())
            )
        return filling(text) if text else []

    def school(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        tokens = self._things.before_comma(tokens)
        words = words_of(tokens)
        if (
            any(word in self._lexicon.words("school_nouns") for word in words)
            and words[0] not in self._lexicon.words("barred_for_names")
            and len(words) > 1
        ):
            return self.org(tokens, source)
        proper = [token for token in tokens if is_proper(token, source)]
        known = " ".join(words[:2]) in self._lexicon.words("schools") or words[0] in self._lexicon.words("schools")
        return self.org(tokens, source) if known or (proper and words[0] in self._lexicon.words("schools")) else []

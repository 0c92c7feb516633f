"""Places: where somebody lives or is from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from memsvc.extraction.rules.lexicon import Lexicon
from memsvc.extraction.rules.reading import Token
from memsvc.extraction.rules.things import Things
from memsvc.extraction.rules.wording import LIST_MARKS, Filling, filling, is_proper, original, title_word, words_of

_MAX_PLACE_WORDS: Final = 4
_SETTING_STARTS: Final = frozenset({"a", "an", "the", "my", "our", "two", "three", "several"})


class Places:
    """Reads places with a name, and settings without one."""

    def __init__(self, lexicon: Lexicon, things: Things) -> None:
        self._lexicon = lexicon
        self._things = things

    def place(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        """Read a place by its name, as far as it goes: "Boston, MA with my wife"."""
        taken = self._place_tokens(tokens, source)
        return filling(self._place_name(taken, source)) if taken else []

    def sure_place(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        """Read a place where the clause does not make sure that it is one: known or capitalised, and nothing after."""
        taken = self._place_tokens(tokens, source)
        if not taken or (len(taken) < len(tokens) and tokens[len(taken)].word != ","):
            return []
        name = " ".join(words_of(taken)).removeprefix("the ")
        known = self._lexicon.has("countries", name) or name in self._lexicon.words("the_places")
        return self.place(tokens, source) if known or is_proper(taken[-1], source) else []

    def setting(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        """Read a place without a name: "a small town in Ohio"."""
        words = words_of(tokens)
        if words[0] not in _SETTING_STARTS or self._lexicon.speaks_to_others(words):
            return []
        return self._things.text(tokens, source) if any(map(self._is_setting, words[1:])) else []

    def _is_setting(self, word: str) -> bool:
        return self._lexicon.has("settings", word)

    def _place_tokens(self, tokens: Sequence[Token], source: str) -> list[Token]:
        words = words_of(tokens)
        begin = int(words[0] == "the")
        if not self._may_be_place(words[begin:]) or (begin and not self._may_have_article(tokens, source)):
            return []
        capitalised = is_proper(tokens[begin], source)
        ends = (self._lexicon.words("prepositions") - {"of"}) | self._lexicon.words("time_words") | LIST_MARKS
        taken = list(tokens[:begin])
        for at, token in enumerate(tokens[begin:], begin):
            if token.word == ",":
                region = self._region(tokens[at + 1 :], source)
                return [*taken, token, *region] if region else taken
            if at > begin and capitalised and not is_proper(token, source) and token.word != "of":
                return [*taken, *self._region(tokens[at:], source)]
            if (at > begin and token.word in ends) or not token.is_word or at >= begin + _MAX_PLACE_WORDS:
                break
            if self._lexicon.has("professions", token.word):
                break
            taken.append(token)
        return taken if len(taken) > begin and taken[-1].word[0].isalpha() else []

    def _may_be_place(self, words: Sequence[str]) -> bool:
        names = ("prepositions", "not_a_place", "not_places")
        if not words or any(words[0] in self._lexicon.words(name) for name in names):
            return False
        return self._lexicon.words("no_place_has").isdisjoint(words[:_MAX_PLACE_WORDS])

    def _may_have_article(self, tokens: Sequence[Token], source: str) -> bool:
        """Tell whether "the ..." is a name: "the Bay Area", not "the north side"."""
        words = words_of(tokens)
        if not self._lexicon.words("part_words").isdisjoint(words[2:4]):
            return False
        known = any(" ".join(words[1 : 1 + count]) in self._lexicon.words("the_places") for count in (1, 2, 3))
        return known or is_proper(tokens[1], source)

    def _region(self, tokens: Sequence[Token], source: str) -> Sequence[Token]:
        """Return the "MA" of "Boston, MA": known, or short and capitalised."""
        words = words_of(tokens)
        for count in (3, 2, 1):
            phrase = " ".join(words[:count])
            short = count == 1 and phrase in self._lexicon.words("upper_names")
            if len(words) >= count and (short or phrase in self._lexicon.words("countries")):
                return tokens[:count]
        capitalised = all(token.is_word and is_proper(token, source) for token in tokens)
        return tokens if len(tokens) <= 2 and capitalised and words[:1] != ["i"] else ()

    def _place_name(self, tokens: Sequence[Token], source: str) -> str:
        text = original(tokens, source)
        if not text.islower() and not text.isupper():
            return text
        words = text.split()
        return " ".join(self._place_word(word, at, len(words)) for at, word in enumerate(words))

    def _place_word(self, word: str, at: int, count: int) -> str:
        plain = word.strip(",.").lower()
        if plain in self._lexicon.words("upper_names") and (at or count == 1):
            return word.upper()
        return word if plain == "the" else title_word(word.lower(), at)

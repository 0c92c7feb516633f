"""Places: where somebody lives or is from."""

from __future__ import annotations

from collections.abc import Sequence

from memsvc.extraction.rules.lexicon import Lexicon
from memsvc.extraction.rules.reading import Token
from memsvc.extraction.rules.things import Things
from memsvc.extraction.rules.wording import LIST_MARKS, Filling, filling, is_proper, original, title_word, words_of


class Places:
    """Reads places with a name, and settings without one."""

    def __init__(self, lexicon: Lexicon, things: Things) -> None:
        self._lexicon = lexicon
        self._things = things

    def place(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        taken = self._place_tokens(tokens, source)
        if not taken:
            return []
        text = self._place_name(taken, source)
        return filling(text)

    def sure_place(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        taken = self._place_tokens(tokens, source)
        words = " ".join(token.word for token in taken)
        known = words.removeprefix("the ")
        if len(taken) < len(tokens) and tokens[len(taken)].word != ",":
            return []
        if taken and (
            is_proper(taken[-1], source)
            or self._lexicon.has("countries", known)
            or known in self._lexicon.words("the_places")
        ):
            return self.place(tokens, source)
        return []

    def _place_tokens(self, tokens: Sequence[Token], source: str) -> list[Token]:
        words = words_of(tokens)
        if words[0] in self._lexicon.words("prepositions"):
            return []
        begin = 1 if words[0] == "the" else 0
        if begin and any(word in self._lexicon.words("part_words") for word in words[2:4]):
            return []
        if begin and not (self._is_known_place(words) or (len(words) > 1 and is_proper(tokens[1], source))):
            return []
        if any(word in self._lexicon.words("no_place_has") for word in words[:4]):
            return []
        if words[begin:][:1] and (
            words[begin] in self._lexicon.words("not_a_place") or words[begin] in self._lexicon.words("not_places")
        ):
            return []
        taken: list[Token] = []
        for at, token in enumerate(tokens[:8]):
            word = token.word
            if word == ",":
                region = self._region(tokens[at + 1 :], source)
                return [*taken, token, *region] if region else taken
            if at > begin and (
                word in self._lexicon.words("prepositions") - {"of"} or word in self._lexicon.words("time_words")
            ):
                break
            if (
                word in LIST_MARKS
                or not token.is_word
                or len(taken) >= 4 + begin
                or self._lexicon.has("professions", word)
            ):
                break
            if at > begin and not is_proper(token, source) and is_proper(tokens[begin], source) and word != "of":
                region = self._region(tokens[at:], source)
                return [*taken, *region]
            taken.append(token)
        return taken if not taken or taken[-1].word[0].isalpha() else []

    def _is_known_place(self, words: Sequence[str]) -> bool:
        return any(" ".join(words[1 : 1 + count]) in self._lexicon.words("the_places") for count in (1, 2, 3))

    def _region(self, tokens: Sequence[Token], source: str) -> list[Token]:
        """The "MA" of "Boston, MA": short, and a known region or written as one."""
        words = words_of(tokens)
        for count in (3, 2, 1):
            phrase = " ".join(words[:count])
            if len(words) >= count and (
                phrase in self._lexicon.words("countries")
                or (count == 1 and phrase in self._lexicon.words("upper_names"))
            ):
                return list(tokens[:count])
        proper = [token for token in tokens[:2] if token.is_word and is_proper(token, source)]
        return (
            proper
            if tokens[:1]
            and proper
            and proper[0] is tokens[0]
            and words[0] not in ("i", "and")
            and len(words) == len(proper)
            else []
        )

    def _place_name(self, tokens: Sequence[Token], source: str) -> str:
        text = original(tokens, source)
        if not text.islower() and not text.isupper():
            return text
        words = text.split()
        return " ".join(self._place_word(word, at, len(words)) for at, word in enumerate(words))

    def _place_word(self, word: str, at: int, count: int) -> str:
        plain = word.strip(",.").lower()
        known = (at or count == 1) and plain in self._lexicon.words("upper_names")
        return word.upper() if known else word if plain == "the" else title_word(word, at)

    def setting(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        words = words_of(tokens)
        if (
            words[0] not in ("a", "an", "the", "my", "our", "two", "three", "several")
            or len(words) < 2
            or self._lexicon.speaks_to_others(words)
        ):
            return []
        if not any(self._lexicon.has("settings", word) for word in words[1:]):
            return []
        return self._things.text(tokens, source)

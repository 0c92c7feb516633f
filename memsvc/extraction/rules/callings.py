"""Callings: jobs, the places people work at, and what else somebody may be."""

from __future__ import annotations

from collections.abc import Sequence

from memsvc.extraction.rules.lexicon import Lexicon
from memsvc.extraction.rules.listed import ListedPhrases
from memsvc.extraction.rules.reading import Token
from memsvc.extraction.rules.things import Things
from memsvc.extraction.rules.wording import Filling, filling, original, words_of


class Callings:
    """Reads what people are and where they are it."""

    def __init__(self, lexicon: Lexicon, things: Things, listed: ListedPhrases) -> None:
        self._lexicon = lexicon
        self._things = things
        self._listed = listed

    def venue(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        tokens = self._things.before_comma(tokens)
        ends = self._lexicon.words("prepositions") - {"of", "for"}
        tokens = tokens[: next((at for at, token in enumerate(tokens) if at and token.word in ends), len(tokens))]
        words = words_of(tokens)
        return (
            self._things.text(tokens, source)
            if self._listed.heads("venues", words) and not self._lexicon.speaks_to_others(words)
            else []
        )

    def job(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        taken = self._job_tokens(tokens)
        words = words_of(taken)
        head = next((at for at, word in enumerate(words) if word == "of"), len(words))
        if not words or words[0] in self._lexicon.words("barred_for_jobs") or words[0].endswith("'s"):
            return []
        if not any(
            head >= count and self._lexicon.has("professions", " ".join(words[head - count : head]))
            for count in (1, 2, 3, 4, 5)
        ):
            return []
        text = original(taken, source)
        return filling(text)

    def role(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        taken = self._job_tokens(tokens)
        words = words_of(taken)
        if (
            not words
            or len(words) > 6
            or words[0] in self._lexicon.words("deixis")
            or words[-1] in self._lexicon.words("transient")
        ):
            return []
        text = original(taken, source)
        return filling(text)

    def _job_tokens(self, tokens: Sequence[Token]) -> list[Token]:
        taken: list[Token] = []
        ends = self._lexicon.words("prepositions") - {"of"}
        for token in tokens[:8]:
            if (
                token.word in ends
                or token.word in self._lexicon.words("job_ends")
                or token.word == ","
                or (token.word == "and" and taken)
            ):
                break
            if token.word in ("a", "an", "the") and not taken:
                continue
            taken.append(token)
        return self._things.without_trailing(taken)

    def is_a(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        """What "I am a ..." says beyond professions: lasting, and not of the moment."""
        tokens = self._things.before_comma(tokens)
        words = words_of(tokens)
        end = next(
            (at for at, word in enumerate(words) if at and word in self._lexicon.words("prepositions")), len(words)
        )
        vetoes, transient = self._lexicon.words("an_vetoes"), self._lexicon.words("transient")
        if (
            end > 4
            or len(words) > 8
            or self._lexicon.speaks_to_others(words)
            or words[0] in vetoes
            or words[end - 1] in transient
        ):
            return []
        if (
            " ".join(words[:end]) in vetoes
            or " ".join(words[end - 2 : end]) in vetoes
            or not self._listed.heads("characters", words)
        ):
            return []
        return self._things.text(tokens, source)

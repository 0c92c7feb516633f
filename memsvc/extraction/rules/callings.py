"""Callings: jobs, the kinds of places people work at, and what else somebody may be."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from memsvc.extraction.rules.lexicon import Lexicon
from memsvc.extraction.rules.listed import ListedPhrases
from memsvc.extraction.rules.reading import Token
from memsvc.extraction.rules.things import Things
from memsvc.extraction.rules.wording import ARTICLES, Filling, filling, original, words_of

_MAX_ROLE_WORDS: Final = 6
_MAX_TITLE_WORDS: Final = 5
_MAX_CHARACTER_WORDS: Final = 8


class Callings:
    """Reads what people are and where they are it."""

    def __init__(self, lexicon: Lexicon, things: Things, listed: ListedPhrases) -> None:
        self._lexicon = lexicon
        self._things = things
        self._listed = listed

    def venue(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        """Read a kind of workplace: "a hospital"."""
        tokens = self._things.before_comma(tokens)
        ends = self._lexicon.words("prepositions") - {"of", "for"}
        tokens = tokens[: next((at for at, token in enumerate(tokens) if at and token.word in ends), len(tokens))]
        words = words_of(tokens)
        known = self._listed.heads("venues", words) and not self._lexicon.speaks_to_others(words)
        return self._things.text(tokens, source) if known else []

    def job(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        """Read a job that is a known profession: "senior software engineer", "director of sales"."""
        taken = self._job_tokens(tokens)
        words = words_of(taken)
        if not words or words[0] in self._lexicon.words("barred_for_jobs") or words[0].endswith("'s"):
            return []
        title = words[: words.index("of")] if "of" in words else words
        counts = range(1, min(_MAX_TITLE_WORDS, len(title)) + 1)
        known = any(self._lexicon.has("professions", " ".join(title[-count:])) for count in counts)
        return filling(original(taken, source)) if known else []

    def role(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        """Read any job, where the clause says that it is one: "works as ..."."""
        taken = self._job_tokens(tokens)
        words = words_of(taken)
        if not words or len(words) > _MAX_ROLE_WORDS or words[0] in self._lexicon.words("deixis"):
            return []
        return filling(original(taken, source)) if words[-1] not in self._lexicon.words("transient") else []

    def is_a(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        """Read what "I am a ..." says beyond professions: lasting, and not of the moment."""
        tokens = self._things.before_comma(tokens)
        words = words_of(tokens)
        prepositions = self._lexicon.words("prepositions")
        end = next((at for at, word in enumerate(words) if at and word in prepositions), len(words))
        vetoes = self._lexicon.words("an_vetoes")
        vetoed = words[0] in vetoes or {" ".join(words[:end]), " ".join(words[end - 2 : end])} & vetoes
        if vetoed or end > 4 or len(words) > _MAX_CHARACTER_WORDS or self._lexicon.speaks_to_others(words):
            return []
        return self._things.text(tokens, source) if self._listed.heads("characters", words) else []

    def _job_tokens(self, tokens: Sequence[Token]) -> list[Token]:
        """Return the tokens of a job title without its article and what comes after it."""
        if tokens and tokens[0].word in ARTICLES:
            tokens = tokens[1:]
        ends = (self._lexicon.words("prepositions") - {"of"}) | self._lexicon.words("job_ends") | {",", "and"}
        words = words_of(tokens[:9])
        end = next((at for at, word in enumerate(words[:8]) if word in ends), min(len(words), 8))
        # "CTO of a startup": the startup is not part of the title.
        of_some = next((at for at, pair in enumerate(pairwise(words)) if pair in (("of", "a"), ("of", "an"))), end)
        return self._things.without_trailing(list(tokens[: min(end, of_some)]))

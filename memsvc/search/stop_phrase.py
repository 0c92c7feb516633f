"""A query of stop words alone ("The Who", "It", "to be or not to be"), looked for in the texts themselves.

No index has stop words: they would take as much room as all others. So each text is read, by one regular expression
that matches the longest run of the query's words: a few microseconds a text.
"""

from __future__ import annotations

import re

import msgspec

from memsvc.search.languages import fold
from memsvc.search.text import Analyzer


class StopPhrase(msgspec.Struct, frozen=True):
    """Words to be found as they follow each other."""

    words: int
    runs: re.Pattern[str]

    @classmethod
    def of(cls, query: str, analyzer: Analyzer) -> StopPhrase | None:
        """Return the phrase that a query asks for; None if it asks for anything but stop words."""
        words = [re.escape(word) for word in analyzer.stop_words(query)[:_MOST_WORDS]]
        if not words:
            return None
        # The longest first, so that a match is the longest run that begins where it does.
        runs = {
            r"[^\w]+".join(words[start : start + length]): None
            for length in range(len(words), 0, -1)
            for start in range(len(words) - length + 1)
        }
        return cls(len(words), re.compile(rf"(?<!\w)(?:{'|'.join(runs)})(?!\w)", re.IGNORECASE))

    def score(self, text: str) -> float:
        """Return how much of the phrase a text says in one run, 0 to 1; a little less where it is not a name there."""
        best = 0.0
        for match in self.runs.finditer(fold(text)):
            said = match[0]
            length = len(said.split())
            # A name begins with a capital, and not only because a line does.
            is_name = said[0].isupper() and match.start() > 0 and text[match.start() - 1 : match.start()] != "\n"
            best = max(best, length / self.words * (1.0 if is_name else _NO_NAME))
        return best


_MOST_WORDS = 12
_NO_NAME = 0.9

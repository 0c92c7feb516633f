"""Whose words a message holds: from where on they are not the user's, or not about the user's life.

A [[frame]] of the pattern files says what opens one, and how far it reaches:
    rest       the sentence and all that follows in the message: a pasted mail, a text to work on, a supposition
    always     and the messages after it too: role-play, until it is said to be over
    private    the rest of the message is not to be learned: "off the record"
    taken_back what was just said is not to be kept: "don't save that", "just kidding"
    over       ends what reached into the messages after it
"""

from __future__ import annotations

from typing import Final

from memsvc.extraction.rules.patterns import PatternBook
from memsvc.extraction.rules.say import compiled
from memsvc.extraction.rules.sentences import BRACKET, Sentence, Token, quoted
from memsvc.extraction.rules.wording import is_proper

_MAX_COLON_LEAD: Final = 12
_MAX_GREETED: Final = 3
"""So many names a salutation has at most: "Dear Mr Jones"."""


class Framing:
    """Reads the frames of sentences."""

    def __init__(self, book: PatternBook) -> None:
        self._lexicon = book.lexicon
        self._says = [(frame.reach, compiled(say, book.lexicon)) for frame in book.frames for say in frame.say]

    def of(self, sentence: Sentence) -> str:
        """Return how far the frame reaches that a sentence opens; empty: it opens none."""
        words = sentence.words
        present = frozenset(words)
        phrase = " ".join(words) + " "
        for reach, say in self._says:
            if say.firsts and say.firsts.isdisjoint(present):
                continue
            # A frame may open anywhere in its sentence, at a word.
            match = say.expression.search(phrase)
            while match and match.start() and phrase[match.start() - 1] != " ":
                match = say.expression.search(phrase, match.start() + 1)
            if match and (reach != "taken_back" or not phrase[match.end() : match.end() + 1].isalnum()):
                return reach
        return "rest" if self._announces(sentence) else ""

    def greets(self, sentence: Sentence) -> bool:
        """Tell whether a line is the salutation of a letter, "Hi Bob,", to somebody that it names."""
        words = sentence.words
        count = self._lexicon.longest("greetings", words, 0)
        named = [token for token in sentence.tokens[count:] if token.is_word]
        if not count or not 1 <= len(named) <= _MAX_GREETED or _line_of(sentence) != quoted(sentence).strip(" .!,"):
            return False
        return all(is_proper(token, sentence.source) for token in named)

    def _announces(self, sentence: Sentence) -> bool:
        """Tell whether a sentence hands over to other words with a colon: "my sister wrote:", "Bob:"."""
        words = sentence.words
        colon = next(
            (at for at, token in enumerate(sentence.tokens) if token.word == ":" and _ends(sentence, token)), -1
        )
        if colon < 0:
            return False
        lead = words[:colon]
        if not lead or len(lead) > _MAX_COLON_LEAD or BRACKET in lead:
            return bool(lead)
        return lead[-1] not in self._lexicon.words("own_labels") and lead[0] not in self._lexicon.words("own_labels")


def _line_of(sentence: Sentence) -> str:
    source, start, end = sentence.source, sentence.tokens[0].start, sentence.tokens[-1].end
    until = source.find("\n", end)
    return source[source.rfind("\n", 0, start) + 1 : until if until >= 0 else len(source)].strip(" \t\r.!,")


def _ends(sentence: Sentence, colon: Token) -> bool:
    """Tell whether a colon ends what comes before it, and is no part of an address, a time or a smile."""
    following = sentence.source[colon.end : colon.end + 1]
    return not following or following.isspace()

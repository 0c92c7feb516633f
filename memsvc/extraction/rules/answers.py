"""A few words that answer a question: "What's your favorite color?" "Teal!" says as much as a whole sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from memsvc.extraction.rules.clauses import Clause
from memsvc.extraction.rules.pattern_files import SLOT
from memsvc.extraction.rules.patterns import PatternBook
from memsvc.extraction.rules.say import compiled
from memsvc.extraction.rules.sentences import BRACKET, Sentence, Token, sentences
from memsvc.extraction.rules.things import LIKEABLE
from memsvc.extraction.rules.wording import is_proper

_MAX_ANSWER_WORDS: Final = 6
_LAST_CHARACTERS: Final = 400


class Answers:
    """Reads answers as the statements that they stand for."""

    def __init__(self, book: PatternBook) -> None:
        self._book = book
        self._asks = [
            (compiled(ask, book.lexicon), question.states) for question in book.questions for ask in question.asks
        ]

    def statement(self, question: str, answer: Sentence) -> Clause | None:
        """Return what the first sentence of an answer says, or None where it does not just answer the question."""
        tokens = self._answer(answer)
        words = [token.word for token in tokens]
        if not 1 <= len(words) <= _MAX_ANSWER_WORDS or BRACKET in words or {"i", "my", "not", "no"} & set(words):
            return None
        states = self._asked(question) if answer.end_mark != "?" and "?" in question else ""
        if not states:
            return None
        if states.startswith("my favorite") and not self._is_certain(tokens, answer):
            return None
        before = states.split("{answer}")[0].split()
        here = tokens[0].start
        return Clause((*(Token(word, here, here) for word in before), *tokens), answer.source)

    def _asked(self, text: str) -> str:
        """Return the statement that an answer to the last question of a message completes."""
        asked = [each for each in sentences(text[-_LAST_CHARACTERS:], self._book.spelling) if each.end_mark == "?"]
        if len(asked) != 1:
            return ""
        words = asked[0].words
        while words and (words[0] in self._book.lexicon.words("leads") or not words[0].isalnum()):
            words = words[1:]
        phrase = " ".join(words) + " "
        for say, states in self._asks:
            match = say.expression.fullmatch(phrase)
            if match:
                asked_for = match.groupdict()
                return SLOT.sub(lambda slot: (asked_for.get(slot[1]) or slot[0]).strip(), states)  # noqa: B023
        return ""

    def _is_certain(self, tokens: Sequence[Token], answer: Sentence) -> bool:
        """Tell whether an answer is surely what was asked for: known, or a name, where "yayyy" would do as well."""
        lexicon = self._book.lexicon
        last = tokens[-1].word
        known = any(lexicon.has(name, last) for name in ("colors", *LIKEABLE))
        named = len(tokens) > 1 and all(is_proper(token, answer.source) for token in (tokens[0], tokens[-1]))
        return known or named

    def _answer(self, answer: Sentence) -> Sequence[Token]:
        tokens = answer.tokens
        polite = self._book.lexicon.words("leads") | {"mine", "is", "it", "probably", "that"}
        while tokens and (tokens[0].word in polite or not tokens[0].is_word):
            if tokens[0].word == "probably":
                return ()
            tokens = tokens[1:]
        while tokens and (not tokens[-1].is_word or tokens[-1].word in self._book.lexicon.words("tail")):
            tokens = tokens[:-1]
        return tokens

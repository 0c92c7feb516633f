"""What the user asks for in a sentence: standing wishes, and things to remember.

A request is brought into one form, so that patterns need only one: "Could you answer in German from now on?" and
"please always answer in German" are both "always answer in german".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from memsvc.extraction.engine import Action, Operation
from memsvc.extraction.rules.clauses import Clause
from memsvc.extraction.rules.lexicon import Lexicon
from memsvc.extraction.rules.sentences import BRACKET, Sentence, Token, words_of
from memsvc.extraction.rules.wording import told

_MAX_REMEMBERED_TOKENS: Final = 40


class Requests:
    """Reads requests."""

    def __init__(self, lexicon: Lexicon, irregular: dict[str, str]) -> None:
        self._lexicon = lexicon
        self._irregular = irregular

    def request(self, sentence: Sentence) -> Clause | None:
        """Return a sentence as a request, its politeness left out and a standing wish marked with "always"."""
        tokens, asked = self._without_politeness(sentence.tokens)
        if not tokens or (sentence.end_mark == "?" and not asked) or BRACKET in words_of(tokens):
            return None
        if tokens[0].word in ("i", "my", "we", "our", "mine"):
            return None
        tokens, standing = self._without_standing(tokens)
        # Between "from now on" and the wish there may be politeness again.
        tokens, _ = self._without_politeness(tokens)
        while tokens and (not tokens[-1].is_word or tokens[-1].word in self._lexicon.words("polite_endings")):
            tokens = tokens[:-1]
        if not tokens or (sentence.end_mark == "?" and not standing):
            return None
        if standing and tokens[0].word not in ("always", "never"):
            tokens = (Token("always", tokens[0].start, tokens[0].start), *tokens)
        return Clause(tokens, sentence.source)

    def remembered(self, sentence: Sentence) -> tuple[Sentence, Operation | None] | None:
        """Return what a sentence asks to remember: as a sentence to read, and as a memory where no pattern knows it."""
        tokens = self._asked_to_remember(sentence)
        words = words_of(tokens)
        if not tokens or BRACKET in words or len(words) > _MAX_REMEMBERED_TOKENS:
            return None
        rest = Sentence(tuple(tokens), ".", sentence.source)
        before = sentence.tokens[: len(sentence.tokens) - len(tokens)]
        return rest, self._note(rest, before)

    def _note(self, rest: Sentence, before: Sequence[Token]) -> Operation | None:
        """Return what follows a command as a memory, where it says something lasting."""
        asserted = any(token.word == "that" for token in before)
        tokens, words = rest.tokens, rest.words
        if len(words) < 3 or (words[0] in self._lexicon.words("not_remembered") and not asserted):
            return None
        if any(not self._lexicon.words(name).isdisjoint(words) for name in ("speaking_to_others", "secrets")):
            return None
        own = not {"i", "my", "we", "our", "me"}.isdisjoint(words)
        certain = any(token.word.isdigit() or rest.source[token.start].isupper() for token in tokens[1:])
        if not own and (not certain or "forget" in words_of(before)):
            return None
        text = told(tokens, rest.source, self._irregular, {})
        quote = rest.source[tokens[0].start : tokens[-1].end]
        return Operation(action=Action.ADD, text=text[:1].upper() + text[1:], quote=quote, topics=("notes",))

    def _asked_to_remember(self, sentence: Sentence) -> Sequence[Token]:
        if sentence.end_mark == "?":
            return ()
        tokens, _ = self._without_politeness(sentence.tokens)
        count = self._lexicon.longest("remember_commands", words_of(tokens), 0)
        rest = tokens[count:] if count else ()
        # "Remember, every step counts!" and "remember I was late?" ask for nothing.
        if rest and tokens[count - 1].word == "remember":
            reminds = rest[0].word in ("i", "we") and words_of(rest[1:2])[0:1] != []
            if rest[0].word == "," or (reminds and rest[1].word not in self._lexicon.words("remembered_verbs")):
                return ()
        while rest and rest[0].word in (":", ",", "-", "that"):
            rest = rest[1:]
        while rest and not rest[-1].is_word:
            rest = rest[:-1]
        return rest

    def _without_politeness(self, tokens: tuple[Token, ...]) -> tuple[tuple[Token, ...], bool]:
        """Return a sentence without what only makes it polite, and whether that was a request put as a question."""
        asked = False
        while tokens:
            count = self._lexicon.longest("polite_openings", words_of(tokens), 0)
            if count:
                asked = True
            elif tokens[0].word in self._lexicon.words("polite_words") or not tokens[0].is_word:
                count = 1
            else:
                break
            tokens = tokens[count:]
        return tokens, asked

    def _without_standing(self, tokens: tuple[Token, ...]) -> tuple[tuple[Token, ...], bool]:
        words = words_of(tokens)
        for at in range(len(words)):
            count = self._lexicon.longest("standing", words, at)
            if count and (at == 0 or at + count >= len(words) - 1):
                rest = (*tokens[:at], *tokens[at + count :])
                while rest and not rest[0].is_word:
                    rest = rest[1:]
                return rest, True
        return tokens, False

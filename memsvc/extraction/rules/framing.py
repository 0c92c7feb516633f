"""What frames a sentence from outside: a joke taken back, a text handed over, a wish to have it remembered."""

from __future__ import annotations

from collections.abc import Sequence

from memsvc.extraction.engine import Action, Operation
from memsvc.extraction.rules.clauses import Clause
from memsvc.extraction.rules.lexicon import Lexicon
from memsvc.extraction.rules.reading import Sentence, Token
from memsvc.extraction.rules.telling import Telling
from memsvc.extraction.rules.wording import words_of

_MAX_JOKE_WORDS = 6
_MAX_REMEMBERED_TOKENS = 64


class Framing:
    """Reads the frames of sentences."""

    def __init__(self, lexicon: Lexicon, telling: Telling) -> None:
        self._lexicon = lexicon
        self._telling = telling

    def is_joke(self, words: Sequence[str]) -> bool:
        """Tell whether a sentence takes back the one before it."""
        return len(words) <= _MAX_JOKE_WORDS and bool(self._lexicon.longest("joke_openers", words, 0))

    def hands_over_text(self, words: Sequence[str]) -> bool:
        """Tell whether what follows is a text to work on, not the user speaking: "translate this: ..."."""
        head = [word for word in words[:7] if word not in self._lexicon.words("polite_words")]
        if not head or head[0] not in self._lexicon.words("task_verbs"):
            return False
        handed = not self._lexicon.words("handed_over").isdisjoint(head[1:5])
        return ":" in words or (handed and not self._lexicon.words("text_nouns").isdisjoint(words))

    def remembered(self, sentence: Sentence) -> list[Operation]:
        """Return what the user asks to have remembered and no pattern knows: "remember that the demo is on Friday"."""
        tokens = self._asked_to_remember(sentence)
        words = words_of(tokens)
        if len(words) < 3 or words[0] in self._lexicon.words("not_remembered"):
            return []
        if not {"you", "your", "yours"}.isdisjoint(words) or not self._lexicon.words("doubt_words").isdisjoint(words):
            return []
        text = self._telling.told(Clause(tuple(tokens), sentence.source))
        text = f"Their {text}" if words[0] == "my" else text[:1].upper() + text[1:]
        quote = sentence.source[tokens[0].start : tokens[-1].end]
        return [Operation(action=Action.ADD, text=text, quote=quote, topics=("notes",))]

    def _asked_to_remember(self, sentence: Sentence) -> Sequence[Token]:
        tokens = sentence.tokens
        if sentence.end_mark == "?":
            return ()
        while tokens and (tokens[0].word in self._lexicon.words("polite_words") or not tokens[0].is_word):
            tokens = tokens[1:]
        command = self._lexicon.longest("remember_commands", words_of(tokens), 0)
        tokens = tokens[command:] if command else ()
        while tokens and tokens[0].word in (":", ",", "-", "that"):
            tokens = tokens[1:]
        return tokens[:_MAX_REMEMBERED_TOKENS]

"""What the user asks to be forgotten: "forget my job", "forget that I like sushi", "delete all my data".

The thing to forget must be the whole object of the command. "Remove my name from the list" is work to do, and forgets
nothing: remove, erase and clear only mean memories where they say "memory" or "about me".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from memsvc.extraction.engine import Action, Operation
from memsvc.extraction.rules.lexicon import entries_of, singular
from memsvc.extraction.rules.lists import normalised
from memsvc.extraction.rules.patterns import PatternBook
from memsvc.extraction.rules.say import compiled
from memsvc.extraction.rules.sentences import Sentence, Token, words_of
from memsvc.model import Memory

_VERB: Final = "(forget|delete|erase|clear|wipe|remove)"
_FROM_MEMORY: Final = "[(from|in) [your|the] memory]"
_KNOW: Final = "[(know|remember|have|saved|stored|learned|have saved|have stored|have learned)]"
_EVERY: Final = "[all|all of] [your|the|my|any] [existing|saved|stored|previous|old]"
_ALL: Final = (
    f"{_VERB} (everything|all|all [the] data|all memories) [that] [you] {_KNOW} [(about|on) me] {_FROM_MEMORY}",
    f"{_VERB} [all|all of] my (data|memories|information|memory|history) {_FROM_MEMORY}",
    f"{_VERB} {_EVERY} (memory|memories) [that] [you have] [(about|of|on) me] {_FROM_MEMORY}",
    "forget (me|all about me|everything about me)",
)
_TASK_VERBS: Final = ("clear", "remove", "erase", "wipe")
_NAMED: Final = (
    "(forget|unlearn) [about] [what i (said|told you|mentioned) [about]] <object:text>",
    "(forget|unlearn) (everything|anything|all) [that] [you know|i (said|told you|mentioned)] [about] <object:text>",
    f"{_VERB} [what you know about|everything about] <object:text> (from|in) [your|the] (memory|memories)",
    "delete <object:text>",
    "(do not remember|stop remembering) <object:text> [anymore]",
)


class Forgetting:
    """Reads commands to forget, and names what they mean by key, topic or number."""

    def __init__(self, book: PatternBook) -> None:
        self._lexicon = book.lexicon
        self._subjects = {words: subject for subject in book.subjects for words in entries_of(subject.words)}
        self._all = [compiled(say, book.lexicon) for say in _ALL]
        self._named = [compiled(say, book.lexicon) for say in _NAMED]

    def commands(self, sentence: Sentence) -> bool:
        """Tell whether a sentence is a command to forget or delete: it states nothing."""
        words = self._command(sentence)
        return bool(words) and (
            words[0] in ("forget", "unlearn", "delete", *_TASK_VERBS)
            or words[:3] == ["do", "not", "remember"]
            or words[:2] == ["stop", "remembering"]
        )

    def clears(self, sentence: Sentence) -> bool:
        """Tell whether all that is remembered is to be forgotten."""
        words = self._command(sentence)
        phrase = " ".join(words) + " "
        if not any(say.expression.fullmatch(phrase) for say in self._all):
            return False
        about = {"me", "memory", "memories", "data", "know", "remember", "everything"} & set(words)
        return bool(about) if words[0] in ("forget", "delete") else bool({"me", "memory", "memories"} & set(words))

    def object(self, sentence: Sentence) -> Sentence | None:
        """Return what a command wants forgotten, or None when it is no such command."""
        words = self._command(sentence)
        phrase = " ".join(words) + " "
        for say in self._named:
            match = say.expression.fullmatch(phrase)
            if match is None:
                continue
            first = phrase.count(" ", 0, match.start("object"))
            tokens = self._tokens(sentence)[
                first : first + phrase.count(" ", match.start("object"), match.end("object"))
            ]
            while len(tokens) > 1 and tokens[0].word in ("that", "the", "fact", ",", ":"):
                tokens = tokens[1:]
            if tokens[0].word not in self._lexicon.words("nothing_named"):
                return Sentence(tokens, ".", sentence.source)
        return None

    def deletions(self, named: Sentence, sentence: Sentence, known: Sequence[Memory]) -> Iterator[Operation]:
        """Yield the deletions of what a command names: a subject, or memories that hold all of its words."""
        words = named.words
        own = words[1:] if words[0] in ("my", "our") else words
        for end in ("details", "detail", "info", "information", "anymore", "please", "now"):
            own = own[:-1] if len(own) > 1 and own[-1] == end else own
        phrase = " ".join(own)
        subject = self._subjects.get(phrase) or self._subjects.get(singular(phrase))
        quote = sentence.source[sentence.tokens[0].start : sentence.tokens[-1].end]
        if subject is not None:
            for key in subject.keys:
                yield Operation(action=Action.DELETE, layer=subject.layer, key=key, quote=quote)
            for topic in subject.topics:
                yield Operation(action=Action.DELETE, layer=subject.layer, topic=topic, quote=quote)
        elif self._command(sentence)[0] in ("forget", "unlearn", "do", "stop"):
            about = self._content(phrase)
            for memory in known:
                if about and about <= self._content(f"{memory.text} {memory.input} {' '.join(memory.topics)}"):
                    yield Operation(action=Action.DELETE, layer=memory.layer, number=memory.number, quote=quote)

    def _tokens(self, sentence: Sentence) -> tuple[Token, ...]:
        tokens = sentence.tokens
        while tokens:
            count = self._lexicon.longest("polite_openings", words_of(tokens), 0)
            if not count and (tokens[0].word in self._lexicon.words("polite_words") or not tokens[0].is_word):
                count = 1
            if not count:
                break
            tokens = tokens[count:]
        while tokens and (
            not tokens[-1].is_word or tokens[-1].word in ("please", "now", "thanks", "again", "ok", "okay")
        ):
            tokens = tokens[:-1]
        return tokens

    def _command(self, sentence: Sentence) -> list[str]:
        return words_of(self._tokens(sentence))

    def _content(self, text: str) -> set[str]:
        return {singular(word) for word in normalised(text).split()} - self._lexicon.words("function_words")

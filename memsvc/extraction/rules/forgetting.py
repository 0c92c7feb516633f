"""What the user asks to be forgotten: "forget my workplace details", "forget that I like sushi"."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from memsvc.extraction.engine import Action, Operation
from memsvc.extraction.rules.clauses import clauses
from memsvc.extraction.rules.facts import FactReader
from memsvc.extraction.rules.gathering import elements, normalised
from memsvc.extraction.rules.lexicon import entries_of, singular
from memsvc.extraction.rules.patterns import PatternBook, Subject
from memsvc.extraction.rules.reading import Sentence
from memsvc.extraction.schemas import is_list_key, list_text
from memsvc.model import Layer, Memory


class Forgetting:
    """Reads commands to forget, and names what they mean by key, topic or number."""

    def __init__(self, book: PatternBook, facts: FactReader) -> None:
        self._lexicon = book.lexicon
        self._facts = facts
        self._subjects = {words: subject for subject in book.subjects for words in entries_of(subject.words)}

    def rest(self, sentence: Sentence) -> Sentence | None:
        """Return what follows the command in a sentence, or None when it is none."""
        words = [token.word for token in sentence.tokens]
        at = 0
        while at < len(words) and (words[at] in _POLITE or not words[at][0].isalnum()):
            at += 1
        for command in _COMMANDS:
            if tuple(words[at : at + len(command)]) == command:
                rest = sentence.tokens[at + len(command) :]
                return Sentence(rest, ".", sentence.source) if rest and rest[0].word not in _NOTHING_NAMED else None
        return None

    def deletions(self, rest: Sentence, known: Sequence[Memory]) -> Iterator[Operation]:
        """Yield the deletions that a command asks for; the memories it means are looked up in `known`."""
        words = [token.word for token in rest.tokens]
        quote = rest.source[rest.tokens[0].start : rest.tokens[-1].end]
        facts = list(self.meant(rest))
        if facts:
            yield from (deletion for fact in facts for deletion in self._of_fact(fact, known, quote))
            return
        subject = self._subject(words)
        if subject is not None:
            yield from self._of_subject(subject, quote)
            return
        yield from self._by_words(words, known, quote)

    def meant(self, rest: Sentence) -> Iterator[Operation]:
        """Yield the facts that a command names by stating them."""
        tokens = rest.tokens
        while tokens and tokens[0].word in ("that", "about", "the", "fact", ":", ","):
            tokens = tokens[1:]
        if tokens and tokens[0].word in ("i", "my", "we"):
            for clause in clauses(Sentence(tokens, ".", rest.source), self._lexicon):
                yield from self._facts.facts(clause)

    def _subject(self, words: Sequence[str]) -> Subject | None:
        if not {"my", "i", "me"} & set(words):
            return None
        for count in (3, 2, 1):
            for at in range(len(words) - count + 1):
                phrase = " ".join(words[at : at + count])
                subject = self._subjects.get(phrase) or self._subjects.get(singular(phrase))
                if subject is not None:
                    return subject
        return None

    def _of_subject(self, subject: Subject, quote: str) -> Iterator[Operation]:
        for key in subject.keys:
            yield Operation(action=Action.DELETE, layer=subject.layer, key=key, quote=quote)
        for topic in subject.topics:
            for layer in (Layer.PROFILE, Layer.KNOWLEDGE):
                yield Operation(action=Action.DELETE, layer=layer, topic=topic, quote=quote)

    def _of_fact(self, fact: Operation, known: Sequence[Memory], quote: str) -> Iterator[Operation]:
        if fact.key and not is_list_key(fact.layer, fact.key):
            yield Operation(action=Action.DELETE, layer=fact.layer, key=fact.key, value_json=fact.value_json, quote=quote)
            return
        # Without number, key and topic it takes back only what this conversation said.
        yield Operation(action=Action.DELETE, layer=fact.layer, text=fact.text, quote=quote)
        same = [memory for memory in known if memory.layer is fact.layer and normalised(memory.text) == normalised(fact.text)]
        about = _content(fact.text)
        for memory in same or [memory for memory in known if about and about <= _content(memory.text)]:
            yield _without(memory, fact, quote)

    def _by_words(self, words: Sequence[str], known: Sequence[Memory], quote: str) -> Iterator[Operation]:
        about = _content(" ".join(words))
        if not about or not {"my", "i"} & set(words):
            return
        for memory in known:
            if about <= _content(f"{memory.text} {memory.input} {' '.join(memory.topics)}"):
                yield Operation(action=Action.DELETE, layer=memory.layer, number=memory.number, quote=quote)


def _without(memory: Memory, fact: Operation, quote: str) -> Operation:
    """Return the deletion of a memory, or, where it is a list with other elements, its update."""
    if memory.key and memory.key == fact.key and is_list_key(memory.layer, memory.key):
        gone = elements(fact.value_json)
        values = [value for value in elements(memory.value_json) if value not in gone]
        if values:
            return Operation(
                action=Action.UPDATE,
                layer=memory.layer,
                number=memory.number,
                key=memory.key,
                text=list_text(memory.layer, memory.key, values),
                value_json=msgspec.json.encode(values).decode(),
                topics=memory.topics,
                quote=quote,
            )
    return Operation(action=Action.DELETE, layer=memory.layer, number=memory.number, quote=quote)


def _content(text: str) -> set[str]:
    return {singular(word) for word in normalised(text).split()} - _FUNCTION_WORDS


_COMMANDS: Final = (
    ("forget",), ("delete",), ("erase",), ("remove",), ("clear",), ("do", "not", "remember"), ("stop", "remembering"), ("unlearn",), ("disregard", "that"),
)
_POLITE: Final = frozenset({"please", "can", "could", "would", "you", "now", "ok", "okay", "and", "also", "actually", "just", "hey", "i", "want", "need", "like", "to", "hi", "so"})
_NOTHING_NAMED: Final = frozenset({"it", "this", "them", "to", "you", "what", "how", "these", "those", "him", "her"})
_FUNCTION_WORDS: Final = frozenset(
    ["i", "my", "me", "a", "an", "the", "is", "am", "are", "was", "to", "of", "in", "on", "at", "for", "with", "and", "or", "that", "this", "like", "likes", "love", "have", "has", "my", "about", "everything", "anything", "all", "detail", "details", "info", "information", "fact", "you", "know", "memory", "memories", "from", "what", "where", "who", "their", "it", "do", "does", "not", "be", "prefer", "prefers", "hate", "dislike", "dislikes"]
)

"""What the user asks to be forgotten: "forget my workplace details", "forget that I like sushi"."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

import msgspec

from memsvc.extraction.engine import Action, Operation
from memsvc.extraction.rules.clauses import clauses
from memsvc.extraction.rules.facts import FactReader
from memsvc.extraction.rules.gathering import elements, normalised
from memsvc.extraction.rules.lexicon import entries_of, singular
from memsvc.extraction.rules.pattern_files import Subject
from memsvc.extraction.rules.patterns import PatternBook
from memsvc.extraction.rules.reading import Sentence
from memsvc.extraction.rules.wording import words_of
from memsvc.extraction.schemas import is_list_key, list_text
from memsvc.model import Memory


class Forgetting:
    """Reads commands to forget, and names what they mean by key, topic or number."""

    def __init__(self, book: PatternBook, facts: FactReader) -> None:
        self._lexicon = book.lexicon
        self._facts = facts
        self._subjects = {words: subject for subject in book.subjects for words in entries_of(subject.words)}

    def rest(self, sentence: Sentence) -> Sentence | None:
        """Return what follows the command in a sentence, or None when it is none."""
        tokens = sentence.tokens
        while tokens and (tokens[0].word in self._lexicon.words("polite_words") or not tokens[0].is_word):
            tokens = tokens[1:]
        command = self._lexicon.longest("forget_commands", words_of(tokens), 0)
        rest = tokens[command:]
        if not command or not rest or rest[0].word in self._lexicon.words("nothing_named"):
            return None
        words = words_of(rest)
        told = "memory" in words or "memories" in words or ("about", "me") in pairwise(words)
        if not told and (tokens[0].word in _TASK_VERBS or (tokens[0].word == "delete" and not self._subject(words))):
            # "Clear my home directory", "remove my name from the list": work to do, nothing to forget.
            return None
        return Sentence(rest, ".", sentence.source)

    def deletions(self, rest: Sentence, known: Sequence[Memory]) -> Iterator[Operation]:
        """Yield the deletions that a command asks for; the memories it means are looked up in `known`."""
        words = words_of(rest.tokens)
        quote = rest.source[rest.tokens[0].start : rest.tokens[-1].end]
        facts = list(self._stated(rest))
        if facts:
            for fact in facts:
                yield from self._of_fact(fact, known, quote)
        elif not {"my", "i", "me"}.isdisjoint(words):
            subject = self._subject(words)
            yield from self._of_subject(subject, quote) if subject else self._by_words(words, known, quote)

    def _stated(self, rest: Sentence) -> Iterator[Operation]:
        """Yield the facts that a command names by stating them."""
        tokens = rest.tokens
        while tokens and tokens[0].word in ("that", "about", "the", "fact", ":", ","):
            tokens = tokens[1:]
        if tokens and tokens[0].word in ("i", "my", "we"):
            for clause in clauses(Sentence(tokens, ".", rest.source), self._lexicon):
                yield from self._facts.facts(clause)

    def _subject(self, words: Sequence[str]) -> Subject | None:
        """Return the subject that is the whole object of a command: "delete my dog picture" names none."""
        match = _OBJECT.fullmatch(" ".join(words))
        return self._subjects.get(match[1]) or self._subjects.get(singular(match[1])) if match else None

    def _of_subject(self, subject: Subject, quote: str) -> Iterator[Operation]:
        for key in subject.keys:
            yield Operation(action=Action.DELETE, layer=subject.layer, key=key, quote=quote)
        for topic in subject.topics:
            yield Operation(action=Action.DELETE, layer=subject.layer, topic=topic, quote=quote)

    def _of_fact(self, fact: Operation, known: Sequence[Memory], quote: str) -> Iterator[Operation]:
        if fact.key and not is_list_key(fact.layer, fact.key):
            yield Operation(
                action=Action.DELETE, layer=fact.layer, key=fact.key, value_json=fact.value_json, quote=quote
            )
            return
        # Without number, key and topic it takes back only what this conversation said.
        yield Operation(action=Action.DELETE, layer=fact.layer, text=fact.text, quote=quote)
        wanted, about = normalised(fact.text), self._content(fact.text)
        same = [memory for memory in known if memory.layer is fact.layer and normalised(memory.text) == wanted]
        for memory in same or [memory for memory in known if about and about <= self._content(memory.text)]:
            yield from _without(memory, fact, quote)

    def _by_words(self, words: Sequence[str], known: Sequence[Memory], quote: str) -> Iterator[Operation]:
        about = self._content(" ".join(words))
        for memory in known:
            if about and about <= self._content(f"{memory.text} {memory.input} {' '.join(memory.topics)}"):
                yield Operation(action=Action.DELETE, layer=memory.layer, number=memory.number, quote=quote)

    def _content(self, text: str) -> set[str]:
        return {singular(word) for word in normalised(text).split()} - self._lexicon.words("function_words")


_TASK_VERBS: Final = frozenset({"erase", "remove", "clear"})
_OBJECT: Final = re.compile(
    r"(?:(?:what|everything|anything|all|that) (?:you know |i (?:said|told you) )?)?(?:about )?(?:my )?"
    r"([a-z -]+?)(?: (?:details|detail|info|information))?"
    r"(?: (?:from|in) (?:your |the )?(?:memory|memories))?(?: (?:please|now|\.))*"
)
"""The object of a command to forget, from its first word to its last."""


def _without(memory: Memory, fact: Operation, quote: str) -> Iterator[Operation]:
    """Yield the deletion of a memory, and, where it is a list with other elements, what is left of it."""
    yield Operation(action=Action.DELETE, layer=memory.layer, number=memory.number, quote=quote)
    if not memory.key or memory.key != fact.key or not is_list_key(memory.layer, memory.key):
        return
    gone = {normalised(str(value)) for value in elements(fact.value_json)}
    values = [value for value in elements(memory.value_json) if normalised(str(value)) not in gone]
    if values:
        yield Operation(
            action=Action.ADD,
            layer=memory.layer,
            key=memory.key,
            text=list_text(memory.layer, memory.key, values),
            value_json=msgspec.json.encode(values).decode(),
            topics=memory.topics,
            quote=quote,
        )

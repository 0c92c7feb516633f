"""From a matched pattern to operations: slots read, sentences written."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from memsvc.extraction.engine import Operation
from memsvc.extraction.rules.clauses import Clause
from memsvc.extraction.rules.pattern_files import SLOT, Fact
from memsvc.extraction.rules.patterns import Pattern, PatternBook
from memsvc.extraction.rules.phrases import Phrases
from memsvc.extraction.rules.telling import Telling, with_article
from memsvc.extraction.rules.wording import Filling
from memsvc.extraction.schemas import default_schemas, is_list_key

_MAX_READINGS: Final = 8

Fillings = Mapping[str, Sequence[Filling]]


class FactReader:
    """Reads the facts of a clause by the patterns of a book."""

    def __init__(self, book: PatternBook, telling: Telling) -> None:
        self._book = book
        self._phrases = Phrases(book.lexicon, book.canonical)
        self._telling = telling
        self._canonical_keys = {schema.layer: frozenset(schema.keys) for schema in default_schemas()}

    def facts(self, clause: Clause) -> Iterator[Operation]:
        """Yield what a clause says, without message index."""
        words = clause.words
        # What an earlier pattern took for a pet is not a possession besides.
        said: set[str] = set()
        read: dict[tuple[str, int, int], Sequence[Filling]] = {}
        for pattern in self._book.candidates(words):
            fillings = self._fillings(pattern, clause, words, read)
            if fillings is None:
                continue
            found = [
                operation
                for fact in pattern.entry.facts
                for about, operation in self._operations(fact, fillings, clause)
                if not about or about not in said
            ]
            yield from found
            if found and not pattern.entry.more:
                return
            if found:
                said.update(filling.text for several in fillings.values() for filling in several)

    def _fillings(
        self,
        pattern: Pattern,
        clause: Clause,
        words: Sequence[str],
        read: dict[tuple[str, int, int], Sequence[Filling]],
    ) -> Fillings | None:
        """Return what the slots hold: by the first reading in which all make sense, else all that must.

        `read` remembers the slots of this clause: many patterns look for the same at the same place.
        """
        best: Fillings | None = None
        for spans in itertools.islice(self._book.matches(pattern, words), _MAX_READINGS):
            fillings = {}
            for name, (start, end) in spans.items():
                slot = (pattern.kinds[name], start, end)
                if slot not in read:
                    read[slot] = self._read(*slot, clause)
                fillings[name] = read[slot]
            if all(fillings.values()):
                return fillings
            if best is None and all(fillings.get(name) for name in pattern.required):
                best = fillings
        return best

    def _read(self, kind: str, start: int, end: int, clause: Clause) -> Sequence[Filling]:
        fillings = self._phrases.read(kind, clause.tokens[start:end], clause.source)
        if start or not fillings or not self._is_common(clause.tokens[0].word):
            return fillings
        # A capital that only begins the sentence: "Cheeseburgers are my favorite food".
        first = fillings[0].text[:1].lower() + fillings[0].text[1:]
        return [Filling(first, first, fillings[0].topics), *fillings[1:]]

    def _is_common(self, word: str) -> bool:
        return word.endswith("ing") or any(self._book.lexicon.has(name, word) for name in _COMMON_NOUNS)

    def _operations(self, fact: Fact, fillings: Fillings, clause: Clause) -> Iterator[tuple[str, Operation]]:
        """Yield the operations of a fact, each with the words that it is about."""
        slots = fact.slots
        names = sorted(slots - {"whole"}, key=(fact.text + fact.key + fact.value).index)
        if any(not fillings.get(name) for name in (*names, *fact.needs)) or any(
            name in fillings for name in fact.without
        ):
            return
        # A slot that matched but could not be read makes "{whole}" doubtful: it would repeat what was turned away.
        if "whole" in slots and not all(fillings.values()):
            return
        if fact.key and not is_list_key(fact.layer, fact.key):
            fillings = {name: _joined(read) for name, read in fillings.items()}
        several = next((name for name in names if len(fillings[name]) > 1), "")
        for index in range(len(fillings[several]) if several else 1):
            chosen = {name: fillings[name][index if name == several else 0] for name in names}
            text = self._rendered(fact.text, chosen, clause)
            key, value_json = self._keyed(fact, chosen, clause)
            topics = (*fact.topics, *(topic for filling in chosen.values() for topic in filling.topics))
            operation = Operation(
                action=fact.action,
                layer=fact.layer,
                text=text[:1].upper() + text[1:],
                key=key,
                value_json=value_json,
                topics=tuple(dict.fromkeys(topics)),
                polarity=fact.polarity,
                trust=fact.trust,
                quote=clause.source[clause.tokens[0].start : clause.tokens[-1].end],
            )
            about = chosen[names[0]] if names else next((read[0] for read in fillings.values() if read), None)
            yield (about.text if about else ""), operation

    def _keyed(self, fact: Fact, chosen: Mapping[str, Filling], clause: Clause) -> tuple[str, str]:
        key = SLOT.sub(lambda match: str(chosen[match[1]].value), fact.key)
        if not key or ("{" in fact.key and key not in self._canonical_keys[fact.layer]):
            return "", ""
        template = fact.value or next((match[0] for match in SLOT.finditer(fact.text)), "")
        alone = SLOT.fullmatch(template)
        value = chosen[alone[1]].value if alone and not alone[2] else self._rendered(template, chosen, clause)
        return key, msgspec.json.encode([value] if is_list_key(fact.layer, key) else value).decode()

    def _rendered(self, template: str, chosen: Mapping[str, Filling], clause: Clause) -> str:
        def rendered(match: re.Match[str]) -> str:
            name, how = match[1], match[2] or ""
            if name == "whole":
                return self._telling.told(clause, how)
            text = chosen[name].text
            return with_article(text) if how == "a" else f"to {text.removeprefix('to ')}" if how == "to" else text

        return SLOT.sub(rendered, template)


def _joined(fillings: Sequence[Filling]) -> Sequence[Filling]:
    """Return one filling for several, where a key holds one value: "a son and two daughters"."""
    if len(fillings) < 2:
        return fillings
    *first, last = (filling.text for filling in fillings)
    text = f"{', '.join(first)} and {last}"
    return [Filling(text, text)]


_COMMON_NOUNS: Final = (
    "topic_food",
    "topic_sports",
    "topic_animals",
    "topic_hobbies",
    "topic_entertainment",
    "topic_music",
)

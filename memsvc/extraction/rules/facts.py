"""From a matched pattern to operations: slots read, sentences written."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from memsvc.extraction.engine import Operation
from memsvc.extraction.rules.clauses import Clause
from memsvc.extraction.rules.patterns import SLOT, Fact, Pattern, PatternBook
from memsvc.extraction.rules.phrases import Filling, Phrases, spoken
from memsvc.extraction.schemas import default_schemas, is_list_key
from memsvc.model import Layer

Fillings = Mapping[str, Sequence[Filling]]


class FactReader:
    """Reads the facts of a clause by the patterns of a book."""

    def __init__(self, book: PatternBook) -> None:
        self._book = book
        self._phrases = Phrases(book.lexicon, book.canonical)

    def facts(self, clause: Clause) -> Iterator[Operation]:
        """Yield what a clause says, without message index."""
        words = clause.words
        # What an earlier pattern took for a pet is not a possession besides.
        said: set[str] = set()
        for pattern in self._book.candidates(words):
            fillings = self._fillings(pattern, clause, words)
            if fillings is None:
                continue
            found = [
                operation
                for fact in pattern.entry.facts
                for about, operation in _operations(fact, fillings, clause)
                if not (about and about in said)
            ]
            yield from found
            if found and not pattern.entry.more:
                return
            said |= {filling.text for several in fillings.values() for filling in several} if found else set()

    def _fillings(self, pattern: Pattern, clause: Clause, words: Sequence[str]) -> Fillings | None:
        """Return what the slots hold: by the first reading in which all make sense, else all that must."""
        best: Fillings | None = None
        for spans in itertools.islice(self._book.matches(pattern, words), _MAX_READINGS):
            fillings = {
                name: self._read(pattern.kinds[name], clause, start, end) for name, (start, end) in spans.items()
            }
            if all(fillings.values()):
                return fillings
            if best is None and all(fillings.get(name) for name in pattern.required):
                best = fillings
        return best


    def _read(self, kind: str, clause: Clause, start: int, end: int) -> Sequence[Filling]:
        fillings = self._phrases.read(kind, clause.tokens[start:end], clause.source)
        if start or not fillings or not self._is_common(clause.words[0]):
            return fillings
        # A capital that only begins the sentence: "Cheeseburgers are my favorite food".
        first = fillings[0].text[:1].lower() + fillings[0].text[1:]
        return [Filling(first, first, fillings[0].topics), *fillings[1:]]

    def _is_common(self, word: str) -> bool:
        lexicon = self._book.lexicon
        return word.endswith("ing") or any(lexicon.has(name, word) for name in ("topic_food", "topic_sports", "topic_animals", "topic_hobbies", "topic_entertainment", "topic_music"))


_MAX_READINGS: Final = 8


def _operations(fact: Fact, fillings: Fillings, clause: Clause) -> Iterator[tuple[str, Operation]]:
    """Yield the operations of a fact, each with the words that it is about."""
    names = sorted(fact.slots - {"whole"}, key=(fact.text + fact.key + fact.value).index)
    if any(not fillings.get(name) for name in (*names, *fact.needs)) or any(name in fillings for name in fact.without):
        return
    # Slots that matched but could not be read make "{whole}" doubtful: it would repeat what was turned away.
    if "whole" in fact.slots and not all(fillings.values()):
        return
    if fact.key and not is_list_key(fact.layer, fact.key):
        fillings = {name: _joined(read) for name, read in fillings.items()}
    several = next((name for name in names if len(fillings[name]) > 1), None)
    for index in range(len(fillings[several]) if several else 1):
        chosen = {name: fillings[name][index if name == several else 0] for name in names}
        text = _rendered(fact.text, chosen, clause)
        text = text[:1].upper() + text[1:]
        key, value_json = _keyed(fact, chosen)
        topics = tuple(dict.fromkeys((*fact.topics, *(topic for filling in chosen.values() for topic in filling.topics))))
        yield chosen[names[0]].text if names else "", Operation(
            action=fact.action,
            layer=fact.layer,
            text=text,
            key=key,
            value_json=value_json,
            topics=topics,
            polarity=fact.polarity,
            trust=fact.trust,
            quote=clause.source[clause.tokens[0].start : clause.tokens[-1].end],
        )


def _joined(fillings: Sequence[Filling]) -> Sequence[Filling]:
    """Return one filling for several where a key holds one value: "a son and two daughters"."""
    if len(fillings) < 2:
        return fillings
    *first, last = (filling.text for filling in fillings)
    text = f"{', '.join(first)} and {last}"
    return [Filling(text, text)]


def _keyed(fact: Fact, chosen: Mapping[str, Filling]) -> tuple[str, str]:
    if not fact.key:
        return "", ""
    key = SLOT.sub(lambda match: str(chosen[match[1]].value), fact.key)
    if "{" in fact.key and key not in _canonical_keys(fact.layer):
        return "", ""
    value: object
    if not fact.value:
        slot = SLOT.search(fact.text.replace("{what}", "") if "favorites" in fact.key else fact.text)
        value = chosen[slot[1]].value if slot else True
    else:
        only = SLOT.fullmatch(fact.value)
        value = chosen[only[1]].value if only and not only[2] else _rendered(fact.value, chosen, None)
    if is_list_key(fact.layer, key):
        value = [value]
    return key, msgspec.json.encode(value).decode()


def _canonical_keys(layer: Layer) -> Mapping[str, str]:
    return next(schema.keys for schema in default_schemas() if schema.layer is layer)


def _rendered(template: str, chosen: Mapping[str, Filling], clause: Clause | None) -> str:
    def slot(match: object) -> str:
        name, how = match[1], match[2]  # type: ignore[index]
        if name == "whole":
            assert clause is not None
            return told(clause, how or "")
        text = chosen[name].text
        return with_article(text) if how == "a" else "to " + text.removeprefix("to ") if how == "to" else text

    return SLOT.sub(slot, template)


def told(clause: Clause, how: str = "") -> str:
    """Return a clause about the user without its subject: "i run every day" is "runs every day"."""
    tokens = list(clause.tokens)
    for at, token in enumerate(tokens[:-1]):
        if token.word == "," and (tokens[at + 1].word in _PAST or tokens[at + 1].word.endswith("ed")):
            tokens = tokens[:at]
            break
    while tokens and tokens[-1].word in _TRAILING:
        tokens.pop()
    words = [token.word for token in tokens]
    if how == "wish":
        while tokens and tokens[0].word in ("please", "just", "and", "so", "you", "should"):
            tokens.pop(0)
        return spoken(tokens, clause.source)
    if how == "feedback":
        while len(tokens) > 2 and tokens[0].word in _BEFORE_FEEDBACK:
            tokens.pop(0)
        return spoken(tokens[1:] if tokens[0].word in ("i", "you") and tokens[0].word == "i" else tokens, clause.source)
    if words[0] not in ("i", "we") or len(tokens) < 2:
        return spoken(tokens[1:] if words[0] == "my" else tokens, clause.source)
    verb = third_person(words[1])
    if len(tokens) > 2 and tokens[1].start == tokens[2].start:
        # A contraction: the written form stands for both words.
        rest = [token for token in tokens[2:] if token.start != tokens[1].start]
        middle = " ".join(word for token, word in zip(tokens[2:], words[2:], strict=True) if token.start == tokens[1].start)
        return " ".join(part for part in (verb, middle, spoken(rest, clause.source) if rest else "") if part)
    return f"{verb} {spoken(tokens[2:], clause.source)}" if len(tokens) > 2 else verb


def third_person(verb: str) -> str:
    """Return the third person of a verb in the present tense; other forms as they are."""
    if verb in _THIRD_PERSON:
        return _THIRD_PERSON[verb]
    if verb in _PAST or (verb.endswith("ed") and verb not in ("need", "feed", "breed", "shed")):
        return verb
    if verb.endswith(("s", "x", "z", "ch", "sh", "o")):
        return verb + "es"
    return verb[:-1] + "ies" if verb.endswith("y") and verb[-2:-1] not in "aeiou" else verb + "s"


def with_article(text: str) -> str:
    """Return a noun phrase with "a" or "an", unless it needs none."""
    first, *_ = text.lower().split() or [""]
    last = text.lower().split(" of ")[0].split()[-1] if text else ""
    if not text or first in _DETERMINERS or (last.endswith("s") and not last.endswith(("ss", "us", "is"))) or last in _MASS:
        return text
    return ("an " if first[:1] in "aeiou" and not first.startswith(("uni", "use", "one", "eu")) else "a ") + text


_THIRD_PERSON: Final = {"am": "is", "have": "has", "do": "does", "are": "is", "were": "was", "can": "can", "go": "goes", "'m": "is"}
_PAST: Final = frozenset(["was", "had", "can", "could", "will", "would", "should", "did", "got", "went", "met", "ran", "won", "lost", "quit", "grew", "became", "fought", "began", "broke", "wrote", "saw", "been", "never", "always", "just", "used", "has", "is", "made", "took", "bought", "built", "gave", "sold", "taught", "drove", "read", "hurt", "cut", "left", "moved"]) - {"always", "just", "cut", "hurt", "quit", "read"}
_DETERMINERS: Final = frozenset(["a", "an", "the", "my", "their", "his", "her", "our", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "many", "some", "several", "no", "both", "multiple"])
_MASS: Final = frozenset(["staff", "human", "management", "sales"])
_TRAILING: Final = frozenset({",", "too", "also", "lol", "haha", "though", "and", "but", "so", "-", "actually", "really", "please"})
_BEFORE_FEEDBACK: Final = frozenset({"great", "thanks", "hmm", "sorry", "no", "well", "wow", "ok", "nice", "perfect", "that", "this", "your", "the", "those", "these", ","})

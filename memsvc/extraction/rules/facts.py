"""Facts of a clause: the first pattern that says something with all of its words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec

from memsvc.extraction.engine import Operation
from memsvc.extraction.rules.clauses import Clause, without_tail
from memsvc.extraction.rules.kinds import read
from memsvc.extraction.rules.pattern_files import SLOT, Fact
from memsvc.extraction.rules.patterns import Pattern, PatternBook
from memsvc.extraction.rules.sentences import Token
from memsvc.extraction.rules.spans import Span
from memsvc.extraction.rules.wording import Filling, original, told, with_article
from memsvc.extraction.schemas import default_schemas, is_list_key
from memsvc.model import Layer
from memsvc.spoken_times import on_record

_MAX_ENDS: Final = 6
_TIMES: Final = ("when", "when_to_come", "date")


class FactReader:
    """Reads clauses by the patterns of a book."""

    def __init__(self, book: PatternBook) -> None:
        self._book = book
        self._irregular = book.canonical["third_person"]

    def facts(self, clause: Clause, now: datetime | None, *, whole: bool = False) -> list[Operation]:
        """Return what a clause states: of the first pattern that has something to say, from the longest reading.

        A request is read only as a `whole`: "no jokes though" wishes for nothing.
        """
        for tokens in [clause.tokens] if whole else self._readings(clause.tokens):
            cut = Clause(tokens, clause.source)
            words = cut.words
            phrase = " ".join(words) + " "
            for pattern in self._book.candidates(words):
                match = pattern.say.expression.fullmatch(phrase)
                found = list(self._by(pattern, match, cut, now)) if match else []
                if found:
                    return found
        return []

    def _readings(self, tokens: tuple[Token, ...]) -> Iterator[tuple[Token, ...]]:
        """Yield a clause, and then what is left of it without its last additions."""
        yield tokens
        lexicon = self._book.lexicon
        ends = []
        for at in range(len(tokens) - 1, 1, -1):
            word = tokens[at].word
            following = tokens[at + 1].word if at + 1 < len(tokens) else ""
            goes_on = word != "and" or following in lexicon.words("after_and")
            if (
                (word == "," or word in lexicon.words("additions"))
                and goes_on
                and (following not in lexicon.words("taking_back"))
            ):
                ends.append(at)
        # What takes a statement back, or limits it, is part of it wherever it stands.
        for at in ends[-_MAX_ENDS:] if len(ends) > _MAX_ENDS else ends:
            if lexicon.words("limiting").isdisjoint(token.word for token in tokens[at:]):
                yield tuple(without_tail(tokens[:at], lexicon))

    def _by(self, pattern: Pattern, match: re.Match[str], clause: Clause, now: datetime | None) -> Iterator[Operation]:
        phrase = match.string
        fillings: dict[str, list[Filling]] = {}
        places: dict[str, tuple[int, int]] = {}
        for name, kind in pattern.say.kinds.items():
            begin, end = match.span(name)
            if begin < 0:
                continue
            first = phrase.count(" ", 0, begin)
            places[name] = first, first + phrase.count(" ", begin, end)
            tokens = clause.tokens[first : places[name][1]]
            if kind != "phone" and not (tokens[0].is_word and tokens[-1].is_word):
                return
            span = Span(tokens, clause.source, self._book.lexicon, self._book.canonical, now)
            fillings[name] = read(kind, span)
            if not fillings[name]:
                if now is not None or kind not in _TIMES:
                    return
                # Said at a time that nobody knows, "last week" cannot be dated; the rest can still be learned.
                del fillings[name]
        undated = any(
            kind in _TIMES and name in places and name not in fillings for name, kind in pattern.say.kinds.items()
        )
        for fact in pattern.entry.facts:
            if fact.slots <= fillings.keys() and not (undated and "{whole}" in fact.text):
                yield from self._operations(fact, fillings, places, pattern, clause, now)

    def _operations(
        self,
        fact: Fact,
        fillings: Mapping[str, list[Filling]],
        places: Mapping[str, tuple[int, int]],
        pattern: Pattern,
        clause: Clause,
        now: datetime | None,
    ) -> Iterator[Operation]:
        several = next((name for name in fact.slots if len(fillings[name]) > 1), "")
        whole = self._whole(pattern, clause, fillings, places) if "{whole" in fact.text else ""
        for index in range(len(fillings[several]) if several else 1):
            chosen = {name: found[index if name == several else 0] for name, found in fillings.items()}
            text = self._rendered(fact.text, chosen, whole)
            key, value_json = self._keyed(fact, chosen)
            valid_from, valid_to = _validity(fact, chosen, now)
            topics = (*fact.topics, *(topic for name in fact.slots for topic in chosen[name].topics))
            yield Operation(
                action=fact.action,
                layer=fact.layer,
                text=text[:1].upper() + text[1:],
                key=key,
                value_json=value_json,
                topics=tuple(dict.fromkeys(topics)),
                polarity=fact.polarity,
                trust=fact.trust,
                valid_from=valid_from,
                valid_to=valid_to,
                quote=original_quote(clause),
            )

    def _keyed(self, fact: Fact, chosen: Mapping[str, Filling]) -> tuple[str, str]:
        key = SLOT.sub(lambda match: str(chosen[match[1]].value), fact.key)
        if not key or ("{" in fact.key and not _is_canonical(fact.layer, key)):
            return "", ""
        template = fact.value or next((match[0] for match in SLOT.finditer(fact.text) if match[1] != "whole"), "")
        if not template:
            return key, ""
        alone = SLOT.fullmatch(template)
        value = chosen[alone[1]].value if alone and not alone[2] else self._rendered(template, chosen, "")
        return key, msgspec.json.encode([value] if is_list_key(fact.layer, key) else value).decode()

    def _rendered(self, template: str, chosen: Mapping[str, Filling], whole: str) -> str:
        def rendered(match: re.Match[str]) -> str:
            name, how = match[1], match[2]
            if name == "whole":
                return whole
            return with_article(chosen[name].text) if how == "a" else chosen[name].text

        return SLOT.sub(rendered, template)

    def _whole(
        self,
        pattern: Pattern,
        clause: Clause,
        fillings: Mapping[str, list[Filling]],
        places: Mapping[str, tuple[int, int]],
    ) -> str:
        """Return the clause told of the user, with its times on the calendar."""
        tokens, first = clause.tokens, 0
        instead: dict[int, str] = {}
        for name, kind in pattern.say.kinds.items():
            if kind in _TIMES and name in fillings:
                begin, end = places[name]
                instead |= dict.fromkeys(range(begin, end), "")
                # A time that came first is told last: "last month i visited" is "Visited ... in April 2023".
                instead[begin if begin else len(tokens) - 1] = (
                    fillings[name][0].text
                    if begin
                    else f"{original(tokens[-1:], clause.source)} {fillings[name][0].text}"
                )
                first = 0 if begin else end + (tokens[end].word == ",")
        if tokens[0].word in ("your", "that", "this", "the") or (
            tokens[0].word == "always" and tokens[1].word in ("never", "do")
        ):
            # "Always" that only stands for "from now on", and what points at an answer.
            instead |= {0: ""}
        elif tokens[0].word == "always":
            instead |= {0: "always"}
        return told(tokens, clause.source, self._irregular, instead, first)


def _validity(fact: Fact, chosen: Mapping[str, Filling], now: datetime | None) -> tuple[int, int]:
    """Return since when and until when a fact holds, as far as its clause says so."""
    begins, ends = (on_record(chosen[name].text) if name in chosen else None for name in (fact.since, fact.until))
    said_time = int(now.timestamp() * 1_000_000) if now is not None else 0
    return begins.start if begins is not None else 0, ends.end_by(said_time) if ends is not None else 0


def original_quote(clause: Clause) -> str:
    """Return the words of a clause as they stand in the message."""
    written: Sequence[Token] = [token for token in clause.tokens if token.end > token.start]
    return clause.source[written[0].start : written[-1].end] if written else ""


def _is_canonical(layer: Layer, key: str) -> bool:
    return any(schema.layer is layer and key in schema.keys for schema in default_schemas())

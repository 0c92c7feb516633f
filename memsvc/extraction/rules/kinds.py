"""What a slot may hold: each kind reads its words strictly, and reads nothing rather than something else."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from memsvc.extraction.rules import figures, names, things
from memsvc.extraction.rules.lexicon import Lexicon, singular
from memsvc.extraction.rules.spans import Span, one, parts_of
from memsvc.extraction.rules.wording import Filling, titled


def is_kind(kind: str, lexicon: Lexicon) -> bool:
    """Tell whether `kind` is one: a name below, or a word list after @."""
    return kind[1:].removesuffix("+") in lexicon if kind[0] == "@" else kind in _KINDS


def read(kind: str, span: Span) -> list[Filling]:
    """Return what a slot holds: several for a list of things, none when the words are not of the kind."""
    if kind[0] != "@":
        return _KINDS[kind](span)
    name = kind[1:].removesuffix("+")
    if not kind.endswith("+"):
        return _listed(name, span)
    found = [_listed(name, _without_amount(part)) for part in parts_of(span)]
    return [filling for fillings in found for filling in fillings] if found and all(found) else []


def _without_amount(span: Span) -> Span:
    """Leave out what says how much: "a little German"."""
    count = span.lexicon.longest("amounts", span.words, 0)
    return span.part(count) if count < len(span.words) else span


def _listed(name: str, span: Span) -> list[Filling]:
    """Read an entry of a word list, in the spelling that is kept."""
    phrase = " ".join(span.words)
    for form in (phrase, singular(phrase)):
        if form in span.lexicon.words(name):
            kept = span.canonical.get(name.removeprefix("sure_"), {}).get(form)
            if kept is None and name in _CAPITALISED and span.original.islower():
                kept = titled(form)
            return one(kept or (span.original if name in _CAPITALISED else phrase))
    return []


_KINDS: Final[Mapping[str, Callable[[Span], list[Filling]]]] = {
    "a_workplace": names.a_workplace,
    "age": figures.age,
    "birthday": figures.birthday,
    "children": things.children,
    "color": things.color,
    "date": figures.date,
    "email": figures.matching(re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")),
    "event": things.event,
    "favorite": things.favorite,
    "given": names.given,
    "habit": things.habit,
    "hobbies": things.hobbies,
    "job": names.job,
    "known_place": names.known_place,
    "likes": things.likes,
    "limit": things.limit,
    "name": names.person,
    "noun": things.noun,
    "number": figures.number,
    "organisation": names.organisation,
    "pets": things.pets,
    "phone": figures.matching(re.compile(r"\+?\(?\d[\d ()./-]{5,18}\d")),
    "place": names.place,
    "promoted": names.promoted,
    "proper": things.proper,
    "school": names.school,
    "siblings": things.siblings,
    "substances": things.substances,
    "text": figures.text,
    "url": figures.matching(re.compile(r"(?:https?://|www\.)\S+|[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}(?:/\S*)?")),
    "vehicle": things.vehicle,
    "when": figures.when,
    "when_to_come": figures.when_to_come,
    "wish": things.wish,
}
_CAPITALISED: Final = ("languages", "nationalities", "religions", "makes", "programming", "tools")

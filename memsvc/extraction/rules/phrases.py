"""What fills a slot of a pattern: tokens read as a place, a name, a list of things ...

A kind of slot is a function from tokens to fillings. No filling means that the words are not of that kind, and so that
the pattern has nothing to say: this is where most of what only looks like a fact is turned away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from memsvc.extraction.rules import figures
from memsvc.extraction.rules.callings import Callings
from memsvc.extraction.rules.lexicon import Lexicon
from memsvc.extraction.rules.listed import ListedPhrases
from memsvc.extraction.rules.names import Names
from memsvc.extraction.rules.places import Places
from memsvc.extraction.rules.reading import Token
from memsvc.extraction.rules.things import Things
from memsvc.extraction.rules.wording import Filling


class Phrases:
    """Reads slots of every kind."""

    def __init__(self, lexicon: Lexicon, canonical: Mapping[str, Mapping[str, str]]) -> None:
        self._lexicon = lexicon
        self._things = things = Things(lexicon)
        listed = ListedPhrases(lexicon, things, canonical)
        names, places, callings = Names(lexicon, things), Places(lexicon, things), Callings(lexicon, things, listed)
        self._by_list = {"@": listed.entries, "~": listed.around, "^": listed.starting}
        self._kinds: dict[str, Callable[[Sequence[Token], str], list[Filling]]] = {
            "text": things.text,
            "one": things.one,
            "field": things.field,
            "thing": things.things,
            "bare": things.bare,
            "choice": things.choice,
            "habitual": things.habitual,
            "doing": things.doing,
            "favored": listed.favored,
            "brood": listed.brood,
            "name": names.name,
            "names": names.names,
            "barename": names.bare_name,
            "org": names.org,
            "school": names.school,
            "place": places.place,
            "sureplace": places.sure_place,
            "setting": places.setting,
            "job": callings.job,
            "role": callings.role,
            "venue": callings.venue,
            "isa": callings.is_a,
            "age": figures.age,
            "aged": figures.aged,
            "ages": figures.ages,
            "count": figures.count,
            "year": figures.year,
            "date": figures.date,
            "height": figures.height,
            "email": figures.email,
            "phone": figures.phone,
            "url": figures.url,
        }

    def knows(self, kind: str) -> bool:
        """Tell whether `kind` is one: a name above, or a word list after @, ~ or ^."""
        return kind[1:] in self._lexicon if kind[0] in self._by_list else kind in self._kinds

    def read(self, kind: str, tokens: Sequence[Token], source: str) -> list[Filling]:
        """Return the fillings of a slot: several for a list of things, none when the words are not of the kind."""
        trimmed = self._things.trimmed(tokens)
        if not trimmed or trimmed[0].word == ",":
            return []
        if kind[0] in self._by_list:
            return self._by_list[kind[0]](kind[1:], trimmed, source)
        # "I am Legend is a great movie": what is the subject of a verb is no name that was told.
        following = tokens[len(trimmed)].word if len(trimmed) < len(tokens) else ""
        if kind == "barename" and following in self._lexicon.words("finite_be"):
            return []
        return self._kinds[kind](trimmed, source)

"""Relatives, pets and businesses in passing: "I took my dog out" says that there is a dog.

What is said of them is not read, only that they are: with the name where it follows.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import msgspec

from memsvc.extraction.engine import Action, Operation
from memsvc.extraction.rules.lexicon import Lexicon, singular
from memsvc.extraction.rules.names import person
from memsvc.extraction.rules.patterns import PatternBook
from memsvc.extraction.rules.sentences import Sentence
from memsvc.extraction.rules.spans import Span
from memsvc.extraction.rules.wording import is_proper, with_article
from memsvc.extraction.schemas import list_text
from memsvc.model import Layer, Trust


class Passing:
    """Reads who and what belongs to the user, wherever a sentence has it."""

    def __init__(self, book: PatternBook) -> None:
        self._book = book
        self._lexicon: Lexicon = book.lexicon

    def mentioned(self, sentence: Sentence) -> Iterator[Operation]:
        """Yield what is mentioned as the user's own."""
        words = sentence.words
        gone = not self._lexicon.words("no_more").isdisjoint(words) or not self._lexicon.words("supposing").isdisjoint(
            words
        )
        if gone:
            return
        for at, word in enumerate(words[:-1]):
            if word == "my" and not (at and words[at - 1] in ("not", "like", "as", "]")):
                found = self._thing(sentence, at + 1)
                if found is not None:
                    yield found

    def _thing(self, sentence: Sentence, at: int) -> Operation | None:
        words = sentence.words
        count = words[at] if words[at] in _COUNTS else ""
        noun_at = at + bool(count)
        age = words[noun_at] if noun_at < len(words) and words[noun_at] in _AGES else ""
        noun_at += bool(age)
        noun = words[noun_at] if noun_at < len(words) else ""
        following = words[noun_at + 1] if noun_at + 1 < len(words) else ""
        name = self._name(sentence, noun_at + 1)
        if "law" in words[noun_at + 1 : noun_at + 6] or "laws" in words[noun_at + 1 : noun_at + 6]:
            return None
        if following and not name and following not in self._lexicon.words("after_nouns") and following[0].isalnum():
            return None
        kept = " ".join(part for part in (age, noun) if part and part not in _SUPERLATIVES)
        if not _PAST.isdisjoint(words) and singular(noun) in _LISTED["pets"]:
            return None
        if noun in ("boy", "girl", "boys", "girls") and not count:
            return None
        if not following and len([word for word in words if word.isalnum()]) < _MIN_WORDS:
            # "Amen, my brother": who is spoken to is no relative.
            return None
        to_come = not _TO_COME.isdisjoint(words) or ("one", "day") in pairwise(words)
        for key, members in _LISTED.items():
            if key == "children" and to_come:
                continue
            plural = singular(noun) != noun
            if (singular(noun) in members and (not plural or count or noun in _PLURALS)) or noun in members:
                text = f"{count} {kept}" if count else kept if plural or noun == "children" else with_article(kept)
                value = f"{text} named {name}" if name and not plural else text
                return self._fact(sentence, at - 1, noun_at, key, [value], list_text(Layer.PROFILE, key, [value]))
        if noun in _STATUS and not count:
            status = _STATUS[noun]
            text = f"Is {status}"
            return self._fact(sentence, at - 1, noun_at, "marital_status", status, text)
        if noun in self._lexicon.words("own_businesses") and not count:
            text = f"Has {with_article(noun)}"
            quote = self._quote(sentence, at - 1, noun_at)
            return Operation(action=Action.ADD, text=text, quote=quote, topics=("work",))
        return None

    def _fact(self, sentence: Sentence, begin: int, end: int, key: str, value: object, text: str) -> Operation:
        return Operation(
            action=Action.ADD,
            layer=Layer.PROFILE,
            key=key,
            value_json=msgspec.json.encode(value).decode(),
            text=text,
            topics=("pets",) if key == "pets" else ("family",),
            quote=self._quote(sentence, begin, end),
            # "My dog" says that there is a dog; that who has a wife is married only follows.
            trust=Trust.INFERRED if key == "marital_status" else Trust.STATED,
        )

    def _quote(self, sentence: Sentence, begin: int, end: int) -> str:
        return sentence.source[sentence.tokens[begin].start : sentence.tokens[end].end]

    def _name(self, sentence: Sentence, at: int) -> str:
        """Return the name that follows a noun: "my dog Max"."""
        tokens = sentence.tokens[at : at + 1]
        if not tokens or not is_proper(tokens[0], sentence.source):
            return ""
        if sentence.source[tokens[0].start : tokens[0].end].isupper():
            return ""
        if tokens[0].word in self._lexicon.words("after_nouns"):
            return ""
        span = Span(tokens, sentence.source, self._lexicon, self._book.canonical, None)
        found = person(span)
        return found[0].text if found else ""


_COUNTS: Final = frozenset({"two", "three", "four", "five", "six"})
_AGES: Final = frozenset({"older", "younger", "little", "big", "oldest", "youngest", "twin", "eldest", "elder"})
_SUPERLATIVES: Final = frozenset({"oldest", "youngest", "eldest"})
_PLURALS: Final = frozenset({"kids", "dogs", "cats", "sons", "daughters", "brothers", "sisters", "siblings"})
_LISTED: Final = {
    "pets": frozenset(
        {"dog", "cat", "puppy", "kitten", "hamster", "rabbit", "parrot", "tortoise", "goldfish", "ferret"}
    ),
    "children": frozenset({"son", "daughter", "kid", "children", "boy", "girl", "stepson", "stepdaughter"}),
    "siblings": frozenset({"brother", "sister", "sibling"}),
}
_MIN_WORDS: Final = 5
_TO_COME: Final = frozenset({"will", "when", "retire", "hopefully", "future", "excited"})
"""Told with one of these, children may be yet to come."""
_PAST: Final = frozenset({"was", "were", "had"})
"""Told with one of these, a pet may be no more."""
_STATUS: Final = {
    **dict.fromkeys(("wife", "husband", "hubby"), "married"),
    **dict.fromkeys(("girlfriend", "boyfriend"), "in a relationship"),
    **dict.fromkeys(("fiance", "fiancee", "fiancé", "fiancée"), "engaged"),
}

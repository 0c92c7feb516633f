"""General phrases: what can be liked, owned or done, one or a list of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from memsvc.extraction.rules.lexicon import MAX_ENTRY_WORDS, Lexicon
from memsvc.extraction.rules.reading import Token
from memsvc.extraction.rules.wording import ARTICLES, LIST_MARKS, MAX_PHRASE_WORDS, Filling, filling, spoken, words_of

_MAX_LIST_ITEMS: Final = 12
_MAX_BARE_WORDS: Final = 3
_TOPICS: Final = ("food", "music", "sports", "entertainment", "animals", "travel", "hobbies")
_VERB_LISTS: Final = ("finite_verbs", "habit_verbs", "ability_verbs", "going_verbs")

Accepts = Callable[[Sequence[Token], str], bool]


class Things:
    """Reads phrases that no word list binds; what they must not be is listed."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon

    def text(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        """Read any phrase."""
        return filling(spoken(tokens[:MAX_PHRASE_WORDS], source))

    def one(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        """Read one thing."""
        tokens = self.before_comma(tokens)
        return filling(spoken(tokens, source), self._topics(tokens)) if self._is_thing(tokens, source) else []

    def things(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        """Read a thing, or a list of them, up to the first element that is none."""
        return list(self.listed(tokens, source, self._is_thing, stops=True))

    def field(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        """Read a field of study: not "hard", "abroad"."""
        return [] if tokens[0].word in self._lexicon.words("not_fields") else self.one(tokens, source)

    def bare(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        """Read a thing where there is no subject: only the plainest, "love sushi"."""
        plain = len(tokens) <= _MAX_BARE_WORDS and tokens[0].word not in ARTICLES
        return self.things(tokens, source) if plain else []

    def choice(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        """Read what is named as a favorite: "the Beatles" too."""
        words = words_of(tokens)
        tokens = tokens if "and" in words else self.before_comma(tokens)
        words = words_of(tokens)
        if words[0] in self._lexicon.words("deixis") or words[-1] in ("one", "ones"):
            return []
        vague = len(words) > MAX_PHRASE_WORDS or self._lexicon.speaks_to_others(words)
        return [] if vague else self.text(tokens, source)

    def habitual(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        """Read what somebody does again and again: "books", "a lot of jazz"; not "a line between the points"."""
        some = " ".join(words_of(tokens[:3])) in self._lexicon.words("quantities")
        return self.one(tokens, source) if some or tokens[0].word not in ARTICLES else []

    def doing(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        """Read how time is spent: "reading", "with my kids"."""
        spent = tokens[0].word == "with" or tokens[0].word.endswith("ing")
        return self.things(tokens, source) if spent else []

    def listed(
        self, tokens: Sequence[Token], source: str, accepts: Accepts, *, stops: bool = False
    ) -> Iterator[Filling]:
        """Yield a filling per accepted element of "a, b and c"; with `stops` the first other one ends the list."""
        items = self.elements(tokens)
        verb = self._shared_verb(items[0]) if items else ()
        for index, item in enumerate(items[:_MAX_LIST_ITEMS]):
            item = self.without_trailing(item)
            if index and item and item[0].word in self._lexicon.words("fillers"):
                item = item[1:]
            if item and accepts(item, source):
                text = self._with_verb(verb, item, source) if index else spoken(item, source)
                yield Filling(text, text, self._topics(item) if stops else ())
            elif stops:
                return

    def elements(self, tokens: Sequence[Token]) -> list[list[Token]]:
        """Return the elements of a list; of one that nothing closes only the first, unless all are short."""
        words = words_of(tokens)
        items: list[list[Token]] = [[]]
        for at, token in enumerate(tokens):
            pair = " ".join(words[max(0, at - 1) : at + 2])
            if token.word not in LIST_MARKS or pair in self._lexicon.words("pairs"):
                items[-1].append(token)
            elif items[-1]:
                items.append([])
        items = [item for item in items if item]
        closed = "and" in words or "or" in words
        return items if closed or all(len(item) <= 3 for item in items) else items[:1]

    def trimmed(self, tokens: Sequence[Token]) -> list[Token]:
        """Cut where another clause or remark begins, and drop "too", "a lot" and the like at the end."""
        stops = self._lexicon.words("stops")
        kept: list[Token] = []
        for token in tokens[: MAX_PHRASE_WORDS * 3]:
            if token.word in stops or (not token.is_word and token.word not in ",'$#@+%/."):
                break
            kept.append(token)
        return self.without_trailing(kept)

    def without_trailing(self, tokens: Sequence[Token]) -> list[Token]:
        """Drop "too", "a lot" and the like at the end."""
        trailing = self._lexicon.words("trailing")
        kept = list(tokens)
        while kept:
            words = words_of(kept[-MAX_ENTRY_WORDS:])
            endings = (count for count in range(len(words), 0, -1) if " ".join(words[-count:]) in trailing)
            dropped = next(endings, 0 if kept[-1].is_word else 1)
            if not dropped:
                break
            del kept[-dropped:]
        return kept

    def before_comma(self, tokens: Sequence[Token]) -> Sequence[Token]:
        """Return the tokens up to the first comma."""
        words = words_of(tokens)
        return tokens[: words.index(",")] if "," in words else tokens

    def is_general(self, tokens: Sequence[Token], source: str) -> bool:
        """Tell whether "the ..." is something everybody knows, rather than something just mentioned."""
        words = words_of(tokens)
        if len(words) < 2:
            return False
        general = self._lexicon.words("the_nouns")
        known = words[1] in general or " ".join(words[1:3]) in general or (len(words) == 3 and words[2] in general)
        if known:
            return words[-1] not in self._lexicon.words("transient")
        return source[tokens[1].start].isupper()

    def _is_thing(self, tokens: Sequence[Token], source: str) -> bool:
        """Tell whether a phrase can be what somebody likes, does or is interested in, in general."""
        words = words_of(tokens)
        infinitive = words[0] == "to"
        words = words[1:] if infinitive else words
        if not words or len(words) > MAX_PHRASE_WORDS or not words[0][0].isalnum() or self._points(words):
            return False
        doing = infinitive or words[0].endswith("ing")
        if doing and {words[0], " ".join(words[:2])} & self._lexicon.words("vague_verbs"):
            return False
        if words[0] == "the":
            return self.is_general(tokens[-len(words) :], source)
        return not self._is_of_the_moment(words)

    def _points(self, words: Sequence[str]) -> bool:
        """Tell whether a phrase points at the talk or at others, or at nothing."""
        opens = {words[0], " ".join(words[:2])} & self._lexicon.words("deixis")
        empty = (
            words[-1] in ARTICLES
            or words[-1].isdigit()
            or (self._lexicon.words("degree_adjectives") | ARTICLES).issuperset(words)
        )
        pointing = not self._lexicon.words("pointing").isdisjoint(words) or self._lexicon.speaks_to_others(words)
        return bool(opens) or empty or pointing or words[0] in self._lexicon.words("prepositions")

    def _is_of_the_moment(self, words: Sequence[str]) -> bool:
        transient = self._lexicon.words("transient")
        if words[0] in ("a", "an") and len(words) > 1 and words[1] in transient:
            return True
        return words[-1] in transient and (len(words) <= 3 or words[0] in ("my", "all"))

    def _shared_verb(self, item: Sequence[Token]) -> Sequence[str]:
        """Return the words with which a list of doings begins: "to eat" of "to eat burgers and fries"."""
        words = words_of(item)
        count = 2 if words[0] == "to" else 1
        if len(words) <= 1 or not (words[0] == "to" or words[0].endswith("ing")):
            return ()
        preposition = len(words) > count + 1 and words[count] in self._lexicon.words("prepositions")
        return words[: count + preposition]

    def _with_verb(self, verb: Sequence[str], item: Sequence[Token], source: str) -> str:
        """Return an element with what the first one lends to it: "fries" is "to eat fries", "ski" is "to ski"."""
        text, first = spoken(item, source), item[0].word
        if not verb or first == "to" or first.endswith("ing"):
            return text
        if any(first in self._lexicon.words(name) for name in _VERB_LISTS):
            return f"to {text}" if verb[0] == "to" else text
        return f"{' '.join(verb)} {text}"

    def _topics(self, tokens: Sequence[Token]) -> tuple[str, ...]:
        for topic in _TOPICS:
            if any(self._lexicon.has("topic_" + topic, token.word) for token in tokens):
                return (topic,)
        doing = bool(tokens) and (tokens[0].word == "to" or tokens[0].word.endswith("ing"))
        return ("hobbies",) if doing else ()

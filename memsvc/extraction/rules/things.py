"""General phrases: what can be liked, owned or done, one or a list of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from memsvc.extraction.rules.lexicon import Lexicon, singular
from memsvc.extraction.rules.reading import Token
from memsvc.extraction.rules.wording import ARTICLES, LIST_MARKS, MAX_PHRASE_WORDS, Filling, filling, spoken, words_of

_MAX_LIST_ITEMS: Final = 12
_TOPICS: Final = ("food", "music", "sports", "entertainment", "animals", "travel", "hobbies")
_VERB_LISTS: Final = ("finite_verbs", "habit_verbs", "ability_verbs", "going_verbs")


class Things:
    """Reads phrases that no word list binds; what they must not be is listed."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon

    def trimmed(self, tokens: Sequence[Token]) -> list[Token]:
        """Cut where another clause or remark begins, and drop "too", "a lot" and the like at the end."""
        stops = self._lexicon.words("stops")
        kept: list[Token] = []
        for token in tokens[: MAX_PHRASE_WORDS * 3]:
            if token.word in stops or (not token.is_word and token.word not in ",'$#@+%/."):
                break
            kept.append(token)
        return self.without_trailing(kept)

    def without_trailing(self, tokens: list[Token]) -> list[Token]:
        trailing = self._lexicon.words("trailing")
        while tokens:
            if not tokens[-1].is_word:
                tokens = tokens[:-1]
                continue
            for count in (4, 3, 2, 1):
                if len(tokens) >= count and " ".join(token.word for token in tokens[-count:]) in trailing:
                    tokens = tokens[:-count]
                    break
            else:
                break
        return tokens

    def text(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        text = spoken(tokens[:MAX_PHRASE_WORDS], source)
        return filling(text)

    def one(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        tokens = self.before_comma(tokens)
        if not self._is_thing(tokens, source):
            return []
        text = spoken(tokens, source)
        return [Filling(text, text, self._topics(tokens))]

    def field(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        return [] if tokens[0].word in self._lexicon.words("not_fields") else self.one(tokens, source)

    def things(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        return list(self.listed(tokens, source, self._is_thing))

    def bare(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        # Without a subject, only the plainest: "love sushi", not "love all the details in it".
        return self.things(tokens, source) if len(tokens) <= 3 and tokens[0].word not in ARTICLES else []

    def choice(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        tokens = self.before_comma(tokens) if not any(token.word == "and" for token in tokens) else tokens
        words = words_of(tokens)
        if (
            words[0] in self._lexicon.words("deixis")
            or words[-1] in ("one", "ones")
            or len(words) > MAX_PHRASE_WORDS
            or self._lexicon.speaks_to_others(words)
        ):
            return []
        return self.text(tokens, source)

    def habitual(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        return [] if tokens[0].word in ARTICLES else self.one(tokens, source)

    def doing(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        word = tokens[0].word
        return self.things(tokens, source) if word.endswith("ing") or word == "with" else []

    def listed(
        self,
        tokens: Sequence[Token],
        source: str,
        accepts: Callable[[Sequence[Token], str], bool],
        *,
        topical: bool = True,
    ) -> Iterator[Filling]:
        """Yield a filling per element of "a, b and c"; what is none of it ends a list of things."""
        items = self.elements(tokens)
        verb = self._shared_verb(items[0]) if items else ()
        for index, item in enumerate(items[:_MAX_LIST_ITEMS]):
            item = self.without_trailing(list(item))
            if item and index and item[0].word in self._lexicon.words("fillers"):
                item = item[1:]
            if not item or not accepts(item, source):
                if topical:
                    return
                continue
            text = spoken(item, source)
            if verb and index:
                text = self._with_verb(verb, item, text)
            yield Filling(text, text, self._topics(item) if topical else ())

    def _shared_verb(self, item: Sequence[Token]) -> tuple[str, ...]:
        """Return the words with which a list of doings begins: "to eat" of "to eat burgers and fries"."""
        words = words_of(item)
        count = 2 if words[0] == "to" else 1 if words[0].endswith("ing") and len(words) > 1 else 0
        return (
            tuple(words[: count + (count < len(words) - 1 and words[count] in self._lexicon.words("prepositions"))])
            if count
            else ()
        )

    def _with_verb(self, verb: Sequence[str], item: Sequence[Token], text: str) -> str:
        first = item[0].word
        if first == "to" or first.endswith("ing"):
            return text
        if any(first in self._lexicon.words(name) for name in _VERB_LISTS):
            return f"to {text}" if verb[0] == "to" else text
        return f"{' '.join(verb)} {text}"

    def elements(self, tokens: Sequence[Token]) -> list[list[Token]]:
        pairs = self._lexicon.words("pairs")
        items: list[list[Token]] = [[]]
        for index, token in enumerate(tokens):
            if token.word in LIST_MARKS:
                around = tokens[max(0, index - 1) : index + 2]
                if len(around) == 3 and " ".join(one.word for one in around) in pairs:
                    items[-1].append(token)
                elif items[-1]:
                    items.append([])
            else:
                items[-1].append(token)
        items = [item for item in items if item]
        closed = any(token.word in ("and", "or") for token in tokens)
        if len(items) == 1 or closed or all(len(item) <= 3 for item in items):
            return items
        return items[:1]

    def _is_thing(self, tokens: Sequence[Token], source: str) -> bool:
        """Tell whether a phrase can be what somebody likes, does or is interested in, in general."""
        words = words_of(tokens)
        infinitive = words[0] == "to"
        words = words[1:] if infinitive else words
        if (
            not words
            or len(words) > MAX_PHRASE_WORDS
            or not words[0][0].isalnum()
            or self._lexicon.speaks_to_others(words)
        ):
            return False
        first, last = words[0], words[-1]
        if (
            last in ARTICLES
            or not self._lexicon.words("pointing").isdisjoint(words)
            or (self._lexicon.words("degree_adjectives") | ARTICLES).issuperset(words)
        ):
            return False
        if (infinitive or first.endswith("ing")) and (
            first in self._lexicon.words("vague_verbs") or " ".join(words[:2]) in self._lexicon.words("vague_verbs")
        ):
            return False
        deixis, transient = self._lexicon.words("deixis"), self._lexicon.words("transient")
        if first in deixis or " ".join(words[:2]) in deixis or first in self._lexicon.words("prepositions"):
            return False
        if first == "the":
            return self.is_general(tokens[-len(words) :], source)
        if first in ("a", "an") and words[1:2] and words[1] in transient:
            return False
        return not (last in transient and (len(words) <= 3 or first in ("my", "all")))

    def is_general(self, tokens: Sequence[Token], source: str) -> bool:
        """Tell whether "the ..." is something everybody knows, rather than something just mentioned."""
        words = words_of(tokens)
        general = self._lexicon.words("the_nouns")
        if len(words) > 1 and (
            words[1] in general or " ".join(words[1:3]) in general or (len(words) == 3 and words[-1] in general)
        ):
            return words[-1] not in self._lexicon.words("transient")
        return len(words) > 1 and source[tokens[1].start].isupper()

    def before_comma(self, tokens: Sequence[Token]) -> Sequence[Token]:
        for index, token in enumerate(tokens):
            if token.word == ",":
                return tokens[:index]
        return tokens

    def _topics(self, tokens: Sequence[Token]) -> tuple[str, ...]:
        for topic in _TOPICS:
            words = self._lexicon.words("topic_" + topic)
            if any(token.word in words or singular(token.word) in words for token in tokens):
                return (topic,)
        if tokens and (tokens[0].word == "to" or tokens[0].word.endswith("ing")):
            return ("hobbies",)
        return ()

"""What fills a slot of a pattern: tokens read as a place, a name, a list of things ...

A kind of slot is a function from tokens to fillings. No filling means that the words are not of that kind, and so that
the pattern has nothing to say: this is where most of what only looks like a fact is turned away.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from memsvc.extraction.rules.lexicon import Lexicon, singular
from memsvc.extraction.rules.reading import Token

MAX_PHRASE_WORDS: Final = 12
_MAX_LIST_ITEMS: Final = 12


class Filling(msgspec.Struct, frozen=True, gc=False):
    """What one slot holds: as text for sentences, and as a value."""

    text: str
    value: object
    topics: tuple[str, ...] = ()


class Phrases:
    """Reads slots with the help of the word lists."""

    def __init__(self, lexicon: Lexicon, canonical: Mapping[str, Mapping[str, str]]) -> None:
        self._lexicon = lexicon
        self._canonical = canonical
        self._kinds: dict[str, Callable[[Sequence[Token], str], list[Filling]]] = {
            "text": self._text,
            "one": self._one,
            "thing": self._things,
            "bare": self._bare,
            "choice": self._choices,
            "habitual": self._habitual,
            "doing": self._doing,
            "name": self._name,
            "names": self._names,
            "barename": self._bare_name,
            "place": self._place,
            "sureplace": self._sure_place,
            "setting": self._setting,
            "org": self._org,
            "venue": self._venue,
            "school": self._school,
            "job": self._job,
            "role": self._role,
            "isa": self._is_a,
            "favored": self._favored,
            "brood": self._brood,
            "age": self._age,
            "aged": self._aged,
            "ages": self._ages,
            "count": self._count,
            "year": self._year,
            "date": self._date,
            "height": self._height,
            "email": self._email,
            "phone": self._phone,
            "url": self._url,
        }

    def knows(self, kind: str) -> bool:
        """Tell whether `kind` is one: a name above, or a word list after @, ~ or ^."""
        return kind[1:] in self._lexicon if kind[:1] in "@~^" else kind in self._kinds

    def read(self, kind: str, tokens: Sequence[Token], source: str) -> list[Filling]:
        """Return the fillings of a slot: several for a list of things, none when the words are not of the kind."""
        tokens = self._trimmed(tokens)
        if not tokens:
            return []
        if kind[0] == "@":
            return self._entries(kind[1:], tokens, source)
        if kind[0] == "~":
            return self._around(kind[1:], tokens, source)
        if kind[0] == "^":
            return self._starting(kind[1:], tokens, source)
        return self._kinds[kind](tokens, source)

    def _trimmed(self, tokens: Sequence[Token]) -> list[Token]:
        """Cut where another clause or remark begins, and drop "too", "a lot" and the like at the end."""
        stops = self._lexicon.words("stops")
        kept: list[Token] = []
        for token in tokens[: MAX_PHRASE_WORDS * 3]:
            if token.word in stops or (not token.is_word and token.word not in ",'$#@+%/."):
                break
            kept.append(token)
        return self._without_trailing(kept)

    def _without_trailing(self, tokens: list[Token]) -> list[Token]:
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

    # General phrases.

    def _text(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        text = spoken(tokens[:MAX_PHRASE_WORDS], source)
        return [Filling(text, text)]

    def _one(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        tokens = self._before_comma(tokens)
        if not self._is_thing(tokens, source):
            return []
        text = spoken(tokens, source)
        return [Filling(text, text, self._topics(tokens))]

    def _things(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        return list(self._list(tokens, source, self._is_thing))

    def _bare(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        # Without a subject, only the plainest: "love sushi", not "love all the details in it".
        return self._things(tokens, source) if len(tokens) <= 3 and tokens[0].word not in _ARTICLES else []

    def _choices(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        tokens = self._before_comma(tokens) if not any(token.word == "and" for token in tokens) else tokens
        words = [token.word for token in tokens]
        if words[0] in self._lexicon.words("deixis") or len(words) > MAX_PHRASE_WORDS or _speaks_to_someone(words):
            return []
        return self._text(tokens, source)

    def _habitual(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        return [] if tokens[0].word in _ARTICLES else self._one(tokens, source)

    def _doing(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        word = tokens[0].word
        return self._things(tokens, source) if word.endswith("ing") or word == "with" else []

    def _list(
        self, tokens: Sequence[Token], source: str, accepts: Callable[[Sequence[Token], str], bool], *, topical: bool = True
    ) -> Iterator[Filling]:
        """Yield a filling per element of "a, b and c"; what is none of it ends a list of things."""
        items = self._elements(tokens)
        verb = self._shared_verb(items[0]) if items else ()
        for index, item in enumerate(items[:_MAX_LIST_ITEMS]):
            item = self._without_trailing(list(item))
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
        """Return the words with which a list of doings begins: "to eat" of "to eat burgers and fries", "going to" ..."""
        words = [token.word for token in item]
        count = 2 if words[0] == "to" else 1 if words[0].endswith("ing") and len(words) > 1 else 0
        return tuple(words[: count + (count < len(words) - 1 and words[count] in self._lexicon.words("prepositions"))]) if count else ()

    def _with_verb(self, verb: Sequence[str], item: Sequence[Token], text: str) -> str:
        first = item[0].word
        if first == "to" or first.endswith("ing"):
            return text
        if any(first in self._lexicon.words(name) for name in _VERB_LISTS):
            return f"to {text}" if verb[0] == "to" else text
        return f"{' '.join(verb)} {text}"

    def _elements(self, tokens: Sequence[Token]) -> list[list[Token]]:
        pairs = self._lexicon.words("pairs")
        items: list[list[Token]] = [[]]
        for index, token in enumerate(tokens):
            if token.word in _LIST_MARKS:
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
        words = [token.word for token in tokens]
        infinitive = words[0] == "to"
        words = words[1:] if infinitive else words
        if not words or len(words) > MAX_PHRASE_WORDS or not words[0][0].isalnum() or _speaks_to_someone(words):
            return False
        first, last = words[0], words[-1]
        if last in _ARTICLES or last in _POINTING or (_DEGREES | _ARTICLES).issuperset(words):
            return False
        if (infinitive or first.endswith("ing")) and (first in self._lexicon.words("vague_verbs") or " ".join(words[:2]) in self._lexicon.words("vague_verbs")):
            return False
        deixis, transient = self._lexicon.words("deixis"), self._lexicon.words("transient")
        if first in deixis or " ".join(words[:2]) in deixis or first in self._lexicon.words("prepositions"):
            return False
        if first == "the":
            return self._is_general(tokens[-len(words) :], source)
        if first in ("a", "an") and words[1:2] and words[1] in transient:
            return False
        return not (last in transient and (len(words) <= 3 or first in ("my", "all")))

    def _is_general(self, tokens: Sequence[Token], source: str) -> bool:
        """Tell whether "the ..." is something everybody knows, rather than something just mentioned."""
        words = [token.word for token in tokens]
        general = self._lexicon.words("the_nouns")
        if len(words) > 1 and (words[1] in general or " ".join(words[1:3]) in general or (len(words) == 3 and words[-1] in general)):
            return words[-1] not in self._lexicon.words("transient")
        return len(words) > 1 and source[tokens[1].start].isupper()

    def _before_comma(self, tokens: Sequence[Token]) -> Sequence[Token]:
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

    # Phrases by word lists.

    def _entries(self, name: str, tokens: Sequence[Token], source: str) -> list[Filling]:
        found: list[Filling] = []
        words = [token.word for token in tokens]
        at = 0
        while at < len(words):
            if found and words[at] in ("the", "a", "some", "also", "both", "little", "bit", "of", "i", "half", "part"):
                at += 1
                continue
            count = self._lexicon.longest(name, words, at)
            if not count:
                if words[at] in self._lexicon.words("prepositions") or words[at] in self._lexicon.words("time_words") or words[at] in _NUMBERS:
                    break
                return []
            text = self._canonical_form(name, spoken(tokens[at : at + count], source))
            found.append(Filling(text, text))
            at += count
            while at < len(words) and words[at] in _LIST_MARKS:
                at += 1
        return found

    def _canonical_form(self, name: str, text: str) -> str:
        if name.startswith("possessive_"):
            return singular(text.rstrip("'").removesuffix("'s"))
        form = self._canonical.get(name, {}).get(text.lower())
        if form is not None or not text.islower() or name not in _CAPITALISED_LISTS:
            return form or text
        return text.upper() if text in self._lexicon.words("upper_names") else " ".join(_title_word(word, 0) for word in text.split())

    def _around(self, name: str, tokens: Sequence[Token], source: str) -> list[Filling]:
        def accepts(item: Sequence[Token], _source: str) -> bool:
            words = [token.word for token in item]
            return words[0] not in _BARRED_HEADS and len(words) <= MAX_PHRASE_WORDS and self._heads(name, words)

        return list(self._list(tokens, source, accepts, topical=False))

    def _heads(self, name: str, words: Sequence[str]) -> bool:
        """Tell whether the head of a noun phrase is on a list: the last word before what only describes it."""
        if len(words) > 2 and " ".join(words[:3]) in _QUANTITIES:
            words = words[3:]
        elif len(words) > 1 and " ".join(words[:2]) in _QUANTITIES:
            words = words[2:]
        end = next(
            (at for at, word in enumerate(words) if at and ((at > 1 and word in ("a", "an", "per")) or word in self._lexicon.words("prepositions") or word in _HEAD_ENDS or word in self._lexicon.words("time_words"))),
            len(words),
        )
        return any(end >= count and self._lexicon.has(name, " ".join(words[end - count : end])) for count in (1, 2, 3))

    def _starting(self, name: str, tokens: Sequence[Token], source: str) -> list[Filling]:
        words = [token.word for token in tokens]
        if not self._lexicon.longest(name, words, 0) or (name != "instruction_verbs" and _speaks_to_someone(words)):
            return []
        return self._text(tokens, source)

    # Names, places, work.

    def _name(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        taken: list[Token] = []
        proper = is_proper(tokens[0], source)
        for token in tokens[:4]:
            word = token.word
            if not _is_name_shaped(word) or word in self._lexicon.words("not_names"):
                break
            if taken and (not is_proper(token, source) if proper else not (len(tokens) == 2 or word in self._lexicon.words("names"))):
                break
            taken.append(token)
        if not taken:
            return []
        text = titled(original(taken, source))
        return [Filling(text, text)]

    def _names(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        found = [name for item in self._elements(tokens) for name in self._name(item, source)]
        text = " and ".join(name.text for name in found)
        return [Filling(text, text)] if found else []

    def _bare_name(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        """A name that nothing announces: capitalised where its sentence is not, or a common given name, alone."""
        tokens = self._before_comma(tokens)
        words = [token.word for token in tokens]
        if len(words) > 3 or not all(_is_name_shaped(word) and word not in self._lexicon.words("not_names") for word in words):
            return []
        given = words[0] in self._lexicon.words("names")
        listed = any(self._lexicon.has(name, words[0]) for name in _NOT_GIVEN)
        if not given and (listed or not all(is_proper(token, source) for token in tokens)):
            return []
        if given and len(words) > 1 and not is_proper(tokens[1], source):
            return []
        text = titled(original(tokens, source))
        return [Filling(text, text)]

    def _place(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        taken = self._place_tokens(tokens, source)
        if not taken:
            return []
        text = self._place_name(taken, source)
        return [Filling(text, text)]

    def _sure_place(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        taken = self._place_tokens(tokens, source)
        words = " ".join(token.word for token in taken)
        known = words.removeprefix("the ")
        if taken and (is_proper(taken[-1], source) or self._lexicon.has("countries", known) or known in self._lexicon.words("the_places")):
            return self._place(tokens, source)
        return []

    def _place_tokens(self, tokens: Sequence[Token], source: str) -> list[Token]:
        words = [token.word for token in tokens]
        if words[0] in self._lexicon.words("prepositions"):
            return []
        begin = 1 if words[0] == "the" else 0
        if begin and any(word in _PARTS for word in words[2:4]):
            return []
        if begin and not (self._is_known_place(words) or (len(words) > 1 and is_proper(tokens[1], source))):
            return []
        if words[begin:][:1] and (words[begin] in _NOT_A_PLACE or words[begin] in self._lexicon.words("not_places")):
            return []
        taken: list[Token] = []
        for at, token in enumerate(tokens[:8]):
            word = token.word
            if word == ",":
                region = self._region(tokens[at + 1 :], source)
                return [*taken, token, *region] if region else taken
            if at > begin and (word in self._lexicon.words("prepositions") - {"of"} or word in self._lexicon.words("time_words")):
                break
            if word in _LIST_MARKS or not token.is_word or len(taken) >= 4 + begin or self._lexicon.has("professions", word):
                break
            if at > begin and not is_proper(token, source) and is_proper(tokens[begin], source) and word != "of":
                region = self._region(tokens[at:], source)
                return [*taken, *region]
            taken.append(token)
        return taken if not taken or taken[-1].word[0].isalpha() else []

    def _is_known_place(self, words: Sequence[str]) -> bool:
        return any(" ".join(words[1 : 1 + count]) in self._lexicon.words("the_places") for count in (1, 2, 3))

    def _region(self, tokens: Sequence[Token], source: str) -> list[Token]:
        """The "MA" of "Boston, MA": short, and a known region or written as one."""
        words = [token.word for token in tokens]
        for count in (3, 2, 1):
            phrase = " ".join(words[:count])
            if len(words) >= count and (phrase in self._lexicon.words("countries") or (count == 1 and phrase in self._lexicon.words("upper_names"))):
                return list(tokens[:count])
        proper = [token for token in tokens[:2] if token.is_word and is_proper(token, source)]
        return proper if tokens[:1] and proper and proper[0] is tokens[0] and words[0] not in ("i", "and") and len(words) == len(proper) else []

    def _place_name(self, tokens: Sequence[Token], source: str) -> str:
        text = original(tokens, source)
        if not text.islower() and not text.isupper():
            return text
        words = text.split()
        return " ".join(
            word.upper() if _letters(word) in self._lexicon.words("upper_names") and (len(words) == 1 or at) else _title_word(word, at)
            for at, word in enumerate(words)
        )

    def _setting(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        words = [token.word for token in tokens]
        if words[0] not in ("a", "an", "the", "my", "our", "two", "three", "several") or len(words) < 2 or _speaks_to_someone(words):
            return []
        if not any(self._lexicon.has("settings", word) for word in words[1:]):
            return []
        return self._text(tokens, source)

    def _org(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        """A company or school by its name: not "a hospital", "home", "night"."""
        words = [token.word for token in tokens]
        if words[0] in _BARRED_FOR_NAMES or words[0] in self._lexicon.words("not_orgs") or _speaks_to_someone(words):
            return []
        end = next((at for at, word in enumerate(words) if at and (word in _ORG_ENDS or word in self._lexicon.words("time_words"))), len(words))
        taken = list(tokens[:end])
        if len(taken) > 6:
            return []
        proper = any(is_proper(token, source) for token in taken[1:])
        if words[0] == "the" and not proper and not any(self._lexicon.has("org_nouns", word) for word in words[1:end]):
            return []
        if self._lexicon.has("venues", words[end - 1]) and not any(is_proper(token, source) for token in taken):
            return []
        taken = taken[1:] if words[0] == "the" else taken
        text = original(taken, source)
        if text.islower():
            text = " ".join(
                word.upper() if word in self._lexicon.words("upper_names") else _title_word(word, at) for at, word in enumerate(text.split())
            )
        return [Filling(text, text)] if text else []

    def _venue(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        tokens = self._before_comma(tokens)
        ends = self._lexicon.words("prepositions") - {"of", "for"}
        tokens = tokens[: next((at for at, token in enumerate(tokens) if at and token.word in ends), len(tokens))]
        words = [token.word for token in tokens]
        return self._text(tokens, source) if self._heads("venues", words) and not _speaks_to_someone(words) else []

    def _school(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        tokens = self._before_comma(tokens)
        words = [token.word for token in tokens]
        if any(word in self._lexicon.words("school_nouns") for word in words) and words[0] not in _BARRED_FOR_NAMES and len(words) > 1:
            return self._org(tokens, source)
        proper = [token for token in tokens if is_proper(token, source)]
        known = " ".join(words[:2]) in self._lexicon.words("schools") or words[0] in self._lexicon.words("schools")
        return self._org(tokens, source) if known or (proper and words[0] in self._lexicon.words("schools")) else []

    def _job(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        taken = self._job_tokens(tokens)
        words = [token.word for token in taken]
        head = next((at for at, word in enumerate(words) if word == "of"), len(words))
        if not words or words[0] in _BARRED_FOR_JOBS:
            return []
        if not any(head >= count and self._lexicon.has("professions", " ".join(words[head - count : head])) for count in (1, 2, 3, 4, 5)):
            return []
        text = original(taken, source)
        return [Filling(text, text)]

    def _role(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        taken = self._job_tokens(tokens)
        words = [token.word for token in taken]
        if not words or len(words) > 6 or words[0] in self._lexicon.words("deixis") or words[-1] in self._lexicon.words("transient"):
            return []
        text = original(taken, source)
        return [Filling(text, text)]

    def _job_tokens(self, tokens: Sequence[Token]) -> list[Token]:
        taken: list[Token] = []
        ends = self._lexicon.words("prepositions") - {"of"}
        for token in tokens[:8]:
            if token.word in ends or token.word in _JOB_ENDS or token.word == "," or (token.word == "and" and taken):
                break
            if token.word in ("a", "an", "the") and not taken:
                continue
            taken.append(token)
        return self._without_trailing(taken)

    def _is_a(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        """What "I am a ..." says beyond professions: lasting, and not of the moment."""
        tokens = self._before_comma(tokens)
        words = [token.word for token in tokens]
        end = next((at for at, word in enumerate(words) if at and word in self._lexicon.words("prepositions")), len(words))
        vetoes, transient = self._lexicon.words("an_vetoes"), self._lexicon.words("transient")
        if end > 4 or len(words) > 8 or _speaks_to_someone(words) or words[0] in vetoes or words[end - 1] in transient:
            return []
        if " ".join(words[:end]) in vetoes or " ".join(words[end - 2 : end]) in vetoes or not self._heads("characters", words):
            return []
        return self._text(tokens, source)

    def _favored(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        """What a favorite is of; its value is the canonical word: "colours" is color."""
        words = [token.word for token in tokens]
        if len(words) > 5 or words[0] in self._lexicon.words("deixis") or words[0] in ("part", "thing", "things") or "," in words:
            return []
        text = original(tokens, source).lower()
        return [Filling(text, self._canonical.get("favored", {}).get(singular(text), singular(text)))]

    def _brood(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        around = self._around("kids", tokens, source)
        if around:
            return around
        number = _number(tokens[0].word)
        if number is None or (len(tokens) > 1 and tokens[1].word != ","):
            return []
        text = f"{original(tokens[:1], source)} {'child' if number == 1 else 'children'}"
        return [Filling(text, text)]

    # Figures and addresses.

    def _age(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        words = [token.word for token in tokens]
        number = _number("-".join(words[:2])) if len(words) > 1 and words[0] in _NUMBERS and _NUMBERS[words[0]] % 10 == 0 else None
        used = 2 if number is not None else 1
        number = number if number is not None else _number(words[0])
        if number is None or not 2 < number < 121 or len(words) > used:
            return []
        return [Filling(str(number), number)]

    def _aged(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        match = _AGED.fullmatch(tokens[0].word)
        number = _number(match[1]) if match else None
        return [Filling(str(number), number)] if number and 2 < number < 121 and len(tokens) == 1 else []

    def _ages(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        words = [token.word for token in tokens]
        if not all(_number(word) is not None or word in (*_LIST_MARKS, "years", "old") for word in words):
            return []
        return self._text(tokens, source)

    def _count(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        number = _number(tokens[0].word)
        return [Filling(original(tokens[:1], source), number)] if number is not None and len(tokens) == 1 else []

    def _year(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        text = original(tokens, source)
        return [Filling(text, text)] if _YEAR.fullmatch(text.lower()) else []

    def _date(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        taken = [token for token in tokens[:6] if token.word not in ("tomorrow", "today")]
        text = original(taken, source) if taken else ""
        if not taken or not (any(token.word in _MONTHS for token in taken) or re.search(r"\d+[/.-]\d+", text)):
            return []
        text = " ".join(_title_word(word, 0) if word in _MONTHS else word for word in text.split())
        return [Filling(text, text)]

    def _height(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        text = original(tokens[:6], source)
        match = _HEIGHT.match(text.lower())
        return [Filling(text[: match.end()].strip(), text[: match.end()].strip())] if match else []

    def _email(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        text = original(tokens[:1], source)
        return [Filling(text, text)] if _EMAIL.fullmatch(text) else []

    def _phone(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        match = _PHONE.match(source, tokens[0].start - (source[tokens[0].start - 1 : tokens[0].start] in ("+", "(")))
        text = match[0].strip() if match else ""
        return [Filling(text, text)] if sum(character.isdigit() for character in text) >= 6 else []

    def _url(self, tokens: Sequence[Token], source: str) -> list[Filling]:
        match = _URL.match(source, tokens[0].start)
        return [Filling(match[0], match[0])] if match else []


def original(tokens: Sequence[Token], source: str) -> str:
    """Return the words as they were written, white space evened out."""
    return " ".join(source[tokens[0].start : tokens[-1].end].replace('"', " ").replace("\u201c", " ").replace("\u201d", " ").split())


def spoken(tokens: Sequence[Token], source: str) -> str:
    """Return the words as written, but told of the user: "my own boss" is "their own boss"."""
    if not any(token.word in _TOLD for token in tokens):
        return original(tokens, source)
    parts: list[str] = []
    run: list[Token] = []
    for token in tokens:
        if token.word in _TOLD:
            parts.extend([original(run, source)] if run else [])
            parts.append(_TOLD[token.word])
            run = []
        else:
            run.append(token)
    parts.extend([original(run, source)] if run else [])
    return " ".join(parts).replace(" ,", ",")


def is_proper(token: Token, source: str) -> bool:
    """Tell whether a word is capitalised where shouting does not explain it."""
    return source[token.start].isupper() and not _is_shouted(token, source)


def titled(text: str) -> str:
    """Return a name with capitals, unless it has some already."""
    return text if not text.islower() and not (text.isupper() and len(text) > 3) else " ".join(_title_word(word, 0) for word in text.split())


def _is_shouted(token: Token, source: str) -> bool:
    around = source[max(0, token.start - 24) : token.end + 24]
    letters = [character for character in around if character.isalpha()]
    return len(letters) > 8 and sum(character.isupper() for character in letters) > 0.8 * len(letters)


def _is_name_shaped(word: str) -> bool:
    return len(word) > 1 and word.replace("'", "").replace("-", "").replace(".", "").isalpha()


def _speaks_to_someone(words: Sequence[str]) -> bool:
    return not _PERSONS.isdisjoint(words)


def _title_word(word: str, at: int) -> str:
    return word if at and word in _SMALL_WORDS else word[:1].upper() + word[1:]


def _letters(word: str) -> str:
    return word.strip(",.")


def _number(word: str) -> int | None:
    if word.isdigit() and len(word) <= 4:
        return int(word)
    tens, _, ones = word.partition("-")
    if ones and tens in _NUMBERS and ones in _NUMBERS:
        return _NUMBERS[tens] + _NUMBERS[ones] if _NUMBERS[ones] < 10 <= _NUMBERS[tens] else None
    return _NUMBERS.get(word)


_POINTING: Final = frozenset({"this", "that", "it", "these", "those", "them", "him", "her", "here", "there"})
_DEGREES: Final = frozenset({"big", "huge", "massive", "great", "real", "true", "total", "major", "super", "hardcore", "bigger", "biggest", "good", "avid", "new", "old", "long", "also", "such"})
_QUANTITIES: Final = frozenset({"a lot of", "lots of", "a couple of", "a bunch of", "a pair of", "a number of", "plenty of", "tons of", "a ton of", "hundreds of", "dozens of", "a collection of", "couple of", "all kinds of"})
_PARTS: Final = frozenset({"part", "side", "end", "area", "of", "middle", "center", "centre"})
_VERB_LISTS: Final = ("finite_verbs", "habit_verbs", "ability_verbs", "going_verbs")
_LIST_MARKS: Final = frozenset({",", "and", "or"})
_ARTICLES: Final = frozenset({"a", "an", "the"})
_BARRED_HEADS: Final = frozenset({"wanted", "needed", "always", "loved", "tried", "used", "heard", "seen", "read", "met", "gone", "worked", "played", "taken", "made", "done", "watched", "thought", "lost", "found", "noticed", "considered", "owned", "only", "been", "had", "to", "not", "never", "has", "have", "got", "the", "this", "that", "these", "those", "your", "his", "her", "their", "no", "any", "its"})
_BARRED_FOR_NAMES: Final = frozenset({"a", "an", "my", "this", "that", "it", "our", "your", "one", "some", "two", "three", "four", "what", "when", "where", "how", "all"})
_BARRED_FOR_JOBS: Final = frozenset({"not", "retired", "former", "ex", "aspiring", "future", "failed", "wannabe", "never", "hardly", "like", "better", "my", "your", "our", "their", "his", "her", "no", "any", "this", "that"})
_NOT_A_PLACE: Final = frozenset({"a", "an", "my", "our", "your", "this", "that", "these", "his", "her", "their", "one", "some", "any"})
_HEAD_ENDS: Final = frozenset({"named", "called", "who", "that", "which", "aged", "ages"})
_ORG_ENDS: Final = frozenset({"as", "in", "on", "with", "since", "near", "from", "to", "and", ",", "for", "by", "or", "doing", "part", "full", "majoring", "studying"})
_JOB_ENDS: Final = frozenset({"based", "living", "working", "specializing", "specialising", "currently", "turned", "focused", "focusing", "here", "doing", "making", "making", "looking", "trying", "now", "again", "today", "myself", "married", "since", "last", "this"})
_PERSONS: Final = frozenset({"you", "your", "i", "he", "she", "him", "his", "they", "them", "their", "ours", "yours", "we", "u"})
_NOT_GIVEN: Final = ("nationalities", "religions", "languages", "professions", "countries", "marital", "jobless", "diets", "traits", "genders", "parents_words", "programming", "tools", "students", "timezones", "transient_states")
_TOPICS: Final = ("food", "music", "sports", "entertainment", "animals", "travel", "hobbies")
_TOLD: Final = {"my": "their", "our": "their", "me": "them", "myself": "themselves", "mine": "theirs"}
_SMALL_WORDS: Final = frozenset({"of", "the", "and", "in", "for", "de", "la", "at", "on"})
_CAPITALISED_LISTS: Final = frozenset({"languages", "nationalities", "religions", "programming", "tools", "timezones"})
_NUMBERS: Final = {
    word: number
    for number, word in enumerate(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
    )
} | {word: (at + 2) * 10 for at, word in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"])}
_MONTHS: Final = frozenset(
    ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec", "christmas", "halloween"]
)
_AGED: Final = re.compile(r"([a-z]+(?:-(?:one|two|three|four|five|six|seven|eight|nine))?|\d{1,3})-?(?:years?-?old|yo|y/o|yrs?-?old)")
_YEAR: Final = re.compile(r"(?:the )?(?:(?:early|late|mid|middle of the|mid-) )?(?:the )?'?(?:(?:19|20)\d\d|\d0)(?: ?'?s)?")
_HEIGHT: Final = re.compile(r"(?:\d(?:'|\u2019| ?(?:ft|feet|foot)\b)(?: ?\d{1,2}(?:\"|''| ?(?:inches|inch|in)\b)?)?|\d(?:\.\d+|,\d+)? ?m\b|(?:1\d\d|2[0-3]\d) ?cm\b|(?:four|five|six|seven) (?:feet|foot)(?: \w+(?: inches)?)?)")
_EMAIL: Final = re.compile(r"[^@\s]{1,64}@[^@\s]+\.[a-zA-Z]{2,}")
_PHONE: Final = re.compile(r"[+(]?\d[\d\s().-]{5,20}\d")
_URL: Final = re.compile(r"(?:https?://)?(?:[\w-]{1,63}\.){1,5}[a-zA-Z]{2,10}(?:/\S{0,100})?")

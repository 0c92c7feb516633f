"""Things: what can be liked, had, done again and again or wished for: kinds of slots."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from memsvc.extraction.rules.lexicon import singular
from memsvc.extraction.rules.names import person
from memsvc.extraction.rules.spans import Span, one, parts_of
from memsvc.extraction.rules.wording import Filling, original, spoken
from memsvc.spoken_times import on_calendar


def _food_or_thing(span: Span) -> bool:
    return any(span.lexicon.has(name, " ".join(span.words[-count:])) for count in (1, 2) for name in LIKEABLE)


def likes(span: Span) -> list[Filling]:
    """Read what can be liked for good: activities, kinds of things, names; each of a list must be one."""
    to_do = span.words[0] == "to"
    parts = parts_of(span)
    found = [_to(part) if to_do and at else _like(part) for at, part in enumerate(parts)]
    # What is not known among others that are is passed over, unless it may be the beginning of something else.
    harmless = all(fillings or _is_harmless(part) for part, fillings in zip(parts, found, strict=True))
    return [filling for fillings in found for filling in fillings] if harmless and found and found[0] else []


def _is_harmless(span: Span) -> bool:
    listed = any(
        span.has_any(name) for name in ("deixis", "clause_words", "determiners", "pastime_verbs", "prepositions")
    )
    return len(span.words) <= 2 and all(map(str.isalpha, span.words)) and not listed


def _like(span: Span) -> list[Filling]:
    words = span.words
    if not 1 <= len(words) <= 7 or span.has_any("deixis") or span.has_any("clause_words"):
        return []
    if not all(map(str.isalnum, (word.replace("-", "").replace("'", "") for word in words))):
        return []
    if words[0] in span.lexicon.words("determiners") or words[-1] in span.lexicon.words("fleeting"):
        return []
    if words[-1] in span.lexicon.words("prepositions"):
        return []
    if words[0] == "to":
        return _plain(span) if len(words) > 1 and _is_pastime(words[1:], span) else []
    if words[0].endswith("ing"):
        stem = words[0].removesuffix("ing")
        verbs = span.lexicon.words("pastime_verbs")
        bare = next((verb for verb in (stem, stem + "e", stem[:-1]) if verb in verbs), "")
        active = _is_pastime([bare, *words[1:]], span) if bare else span.lexicon.has("pastimes", words[0])
        unknown = (
            len(words) == 1 and not bare and len(words[0]) > 6 and words[0] not in span.lexicon.words("vague_gerunds")
        )
        return _plain(span) if active or unknown or _food_or_thing(span) else []
    if len(words) > 4 or (len(words) > 1 and words[0] in span.lexicon.words("bare_verbs")):
        return []
    # "Anywhere with water": what it is stands before the preposition.
    cut = next((at for at, word in enumerate(words) if at and word in span.lexicon.words("prepositions")), len(words))
    return _plain(span) if _food_or_thing(span.part(0, cut)) else []


def _to(span: Span) -> list[Filling]:
    """Read what goes on after "to": "to ride horses, play games"."""
    if (
        span.words[0] == "to"
        or not _is_pastime(span.words, span)
        or span.has_any("deixis")
        or span.has_any("clause_words")
    ):
        return _like(span)
    text = f"to {spoken(span.tokens, span.source)}"
    return [Filling(text, text)]


def _is_pastime(words: Sequence[str], span: Span) -> bool:
    """Tell whether what begins with a bare verb is something to do: "play tennis", not "play"."""
    if words[0] not in span.lexicon.words("pastime_verbs"):
        return False
    if words[0] == "go":
        return len(words) > 1 and (words[1].endswith("ing") or words[1] in ("to", "on", "for"))
    return len(words) > 1 or words[0] not in span.lexicon.words("needs_object")


def _plain(span: Span) -> list[Filling]:
    text = spoken(span.tokens, span.source)
    text = text.lower() if text.isupper() and len(text) > 4 else text
    topic = next(
        (
            topic
            for topic in ("food", "music", "sports", "animals", "entertainment", "travel", "hobbies")
            for count in (1, 2)
            if span.lexicon.has(f"topic_{topic}", " ".join(span.words[-count:]))
        ),
        "",
    )
    return [Filling(text, text, (topic,) if topic else ())]


def favorite(span: Span) -> list[Filling]:
    """Read what a favorite is: a name or a kind, no sentence."""
    words = span.words
    if not 1 <= len(words) <= 6 or "," in words or span.has_any("deixis") or span.has_any("clause_words"):
        return []
    if words[0] in span.lexicon.words("not_favorites") or (words[0] == "to" and not span.is_proper(0)):
        return []
    if words[-1] in span.lexicon.words("fleeting") or not words[0][0].isalnum():
        return []
    return one(spoken(span.tokens, span.source))


def color(span: Span) -> list[Filling]:
    """Read a color: "blue", "dark green"."""
    known = span.lexicon.has("colors", span.words[-1]) and len(span.words) <= 3
    return one(span.original) if known and not span.has_any("deixis") and "," not in span.words else []


def noun(span: Span) -> list[Filling]:
    """Read a noun phrase: no pronouns, no clause within."""
    words = span.words
    if not 1 <= len(words) <= 8 or span.has_any("deixis") or span.has_any("clause_words"):
        return []
    if words[-1] in span.lexicon.words("fleeting") or words[0] in span.lexicon.words("prepositions"):
        return []
    if not all(word[0].isalnum() for word in words) or span.has_any("speaking_to_others"):
        return []
    return one(spoken(span.tokens, span.source))


def substances(span: Span) -> list[Filling]:
    """Read what somebody is allergic to: one or two words each."""
    parts = parts_of(span)
    good = all(
        len(part.words) <= 3
        and all(map(str.isalpha, part.words))
        and not part.has_any("deixis")
        and not part.has_any("clause_words")
        and part.words[0] not in ("a", "an", "the", "my", "most", "certain")
        and part.words[-1] not in part.lexicon.words("fleeting")
        and not part.lexicon.has("not_allergens", part.words[-1])
        for part in parts
    )
    return [Filling(part.original, part.original) for part in parts] if parts and good else []


def hobbies(span: Span) -> list[Filling]:
    """Read activities: each a known one, or a gerund."""
    parts = parts_of(span)
    good = all(
        len(part.words) <= 4 and not part.has_any("deixis") and (part.words[0].endswith("ing") or _food_or_thing(part))
        for part in parts
    )
    return [Filling(part.original, part.original) for part in parts] if parts and good else []


def event(span: Span) -> list[Filling]:
    """Read what was joined, visited or bought: a thing that makes a day of a life, or a name."""
    words = span.words
    named = all(map(span.is_proper, range(len(words))))
    own = span.part(1) if words[0] in _EVENT_STARTS and len(words) > 1 else span
    cut = next((at for at, word in enumerate(own.words) if at and word in own.lexicon.words("prepositions")), None)
    head = own.part(0, cut).words[-1]
    named = named or any(own.lexicon.has(name, " ".join(own.words)) for name in ("pastimes", "sports"))
    memorable = own.lexicon.has("event_things", head) or own.lexicon.has("event_things", " ".join(own.words[-2:]))
    # A second time in it would stand as it was said.
    timed = any(on_calendar(words[at:], span.now) for at in range(1, len(words)))
    if timed or not (named or (memorable and own is not span)):
        return []
    return noun(span) if noun(own) else []


def habit(span: Span) -> list[Filling]:
    """Read what is done again and again: "to yoga", "the newspaper"; no pronouns, and not more than a few words."""
    leads = span.words[0] in span.lexicon.words("prepositions") and len(span.words) > 1
    known = noun(span.part(1)) if leads else noun(span)
    return (
        one(spoken(span.tokens, span.source))
        if known and len(span.words) <= 6 and not span.has_any("taking_back")
        else []
    )


def proper(span: Span) -> list[Filling]:
    """Read words with capitals: a name of something."""
    return one(span.original) if len(span.words) <= 4 and all(map(span.is_proper, range(len(span.words)))) else []


def wish(span: Span) -> list[Filling]:
    """Read what a standing wish is about: complete in itself, and about answers."""
    words = span.words
    dangling = {"it", "this", "that", "them", "these", "those", "here", "there", "up", "him", "her"}
    if len(words) > 14 or dangling & set(words) or not span.has_any("answer_matters"):
        return []
    return one(span.original)


def limit(span: Span) -> list[Filling]:
    """Read a length: "100 words", "two short paragraphs"."""
    words = span.words
    counted = words[0].isdecimal() or words[0] in _COUNTS
    unit = singular(words[-1]) in ("word", "sentence", "paragraph", "line", "character", "point", "token")
    return one(span.original) if counted and unit and 2 <= len(words) <= 3 else []


def children(span: Span) -> list[Filling]:
    return _counted(span, "child_words")


def siblings(span: Span) -> list[Filling]:
    return _counted(span, "sibling_words")


def pets(span: Span) -> list[Filling]:
    return _counted(span, "pet_kinds")


def vehicle(span: Span) -> list[Filling]:
    """Read what somebody drives: the make must be known."""
    words = span.words
    known = span.has_any("makes") and all(word.replace("-", "").isalnum() for word in words)
    good = words[0] in ("a", "an", "my") and 2 <= len(words) <= 6 and known and not span.has_any("deixis")
    return one("a " + span.part(1).original if words[0] == "my" else span.original) if good else []


def _counted(span: Span, name: str) -> list[Filling]:
    """Read one or several of a kind: "two dogs", "a cat named Max"; each of a list must be one."""
    found = [_one_counted(part, name) for part in parts_of(span)]
    return [filling for fillings in found for filling in fillings] if found and all(found) else []


def _one_counted(span: Span, name: str) -> list[Filling]:
    words = span.words
    cut = next((at for at, word in enumerate(words) if word in ("named", "called")), len(words))
    who = person(span.part(cut + 1)) if cut < len(words) - 1 else []
    counted = words[0] in _COUNTS or words[0] in ("a", "an") or (words[0].isdecimal() and len(words[0]) < 3)
    if not counted or not 2 <= cut <= 5 or (cut < len(words) and not who):
        return []
    kind = " ".join(words[cut - 1 : cut]), " ".join(words[cut - 2 : cut])
    if not any(span.lexicon.has(name, each) for each in kind) or not all(map(_PLAIN.fullmatch, words[1:cut])):
        return []
    if span.part(1, cut).has_any("deixis") or span.part(1, cut).has_any("not_job_words"):
        return []
    text = original(span.tokens[:cut], span.source)
    return one(f"{text} named {who[0].text}" if who else text)


_COUNTS: Final = frozenset({"one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"})
_PLAIN: Final = re.compile(r"[^\W\d_]+(?:-[^\W_]+)*")
_EVENT_STARTS: Final = frozenset({"a", "an", "the", "my", "our", "two", "three", "four", "another"})
LIKEABLE: Final = (
    *("topic_food", "topic_music", "topic_sports", "topic_animals", "topic_entertainment", "topic_travel"),
    *("topic_hobbies", "pastimes", "sports", "instruments", "programming", "tools"),
)

"""Names of people, places, companies and schools, and of what people do: kinds of slots.

A city needs a capital or a place in the list, a job its noun: what is kept under a key stands first in every prompt, so
its evidence is in the words themselves.
"""

from __future__ import annotations

import re
from typing import Final

from memsvc.extraction.rules.spans import Span, one
from memsvc.extraction.rules.wording import Filling, title_word, titled


def person(span: Span) -> list[Filling]:
    """Read the name of a person: capitalised words that are nothing else, or known names."""
    words, lexicon = span.words, span.lexicon
    if words[0] in _TITLES and len(words) == 2:
        found = person(span.part(1))
        return one(span.original) if found and span.is_proper(1) else []
    if not 1 <= len(words) <= 4 or not all(_NAME.fullmatch(word) for word in words):
        return []
    if span.has_any("not_names") or any(lexicon.has(name, word) for word in words for name in _NOT_NAMES):
        return []
    if words[0] not in lexicon.words("names") and not all(map(span.is_proper, range(len(words)))):
        return []
    if len(words) > 1 and not span.original.islower() and not span.is_proper(len(words) - 1):
        return []
    return one(titled(span.original))


def given(span: Span) -> list[Filling]:
    """Read a name where only the name itself tells that it is one: "I'm Dana"."""
    return person(span) if span.words[0] in span.lexicon.words("names") and len(span.words) <= 3 else []


def place(span: Span) -> list[Filling]:
    """Read the name of a place: "Boston, MA", "the Bay Area", "san francisco"."""
    words = span.words
    begin = 1 if words[0] == "the" and len(words) > 1 else 0
    if "," in words:
        comma = words.index(",")
        city, region = span.part(0, comma), span.part(comma + 1)
        if not city.tokens or not region.tokens or len(region.words) > 3:
            return []
        known = _known_place(region) or (len(region.words) == 1 and len(region.words[0]) == 2 and region.is_proper(0))
        found = place(city) if known and words[0] != "the" else []
        return one(f"{found[0].text}, {_place_name(region)}") if found else []
    if not 1 <= len(words) - begin <= 4 or span.has_any("not_places"):
        return []
    if _known_place(span):
        return one(_place_name(span))
    if begin and words[-1] not in ("area", "islands", "valley", "coast", "county", "region", "highlands", "district"):
        return []
    proper = all(
        span.is_proper(at) or (words[at] in ("of", "de", "la", "upon") and begin < at < len(words) - 1)
        for at in range(begin, len(words))
    )
    others = any(span.lexicon.has(name, word) for word in words[begin:] for name in _NOT_PLACES)
    shaped = all(_NAME.fullmatch(word) for word in words)
    return one(span.original) if proper and shaped and not others else []


def known_place(span: Span) -> list[Filling]:
    """Read a place that the lists have: where the clause itself does not tell that it is one."""
    words = span.words
    if "," in words:
        known = _known_place(span.part(0, words.index(","))) or _known_place(span.part(words.index(",") + 1))
        return place(span) if known else []
    return place(span) if _known_place(span) else []


def _known_place(span: Span) -> bool:
    phrase = " ".join(span.words).removeprefix("the ")
    return phrase in span.lexicon.words("places")


def _place_name(span: Span) -> str:
    written = span.original
    if not written.islower() and not written.isupper():
        return written
    words = written.lower().split()
    return " ".join(
        word.upper() if word in span.lexicon.words("upper_names") else word if word == "the" else title_word(word, at)
        for at, word in enumerate(words)
    )


def organisation(span: Span) -> list[Filling]:
    """Read the name of a company: every word of it with a capital."""
    words = span.words
    begin = 1 if words[0] == "the" and len(words) > 1 else 0
    if not 1 <= len(words) - begin <= 5 or span.part(begin).has_any("deixis"):
        return []
    if len(words) - begin == 1 and span.has_any("not_organisations"):
        return []
    if len(words) == 1 and words[0] in span.lexicon.words("names"):
        return []
    if any(span.lexicon.has(name, words[begin]) for name in ("nationalities", "languages", "places", "relatives")) and (
        len(words) - begin == 1
    ):
        return []
    inner = {"of", "and", "for", "the"}
    proper = all(
        span.is_proper(at) or (words[at] in inner and begin < at < len(words) - 1) for at in range(begin, len(words))
    )
    if proper or " ".join(words) in span.lexicon.words("companies"):
        return one(titled(span.original))
    return []


def school(span: Span) -> list[Filling]:
    """Read the name of a school: it says that it is one, or is known."""
    words = span.words
    known = " ".join(words).removeprefix("the ") in span.lexicon.words("schools")
    said = span.has_any("school_nouns") and len(words) > 1
    inner = {"of", "the", "at", "for", "and"}
    proper = all(span.is_proper(at) or words[at] in inner for at in range(len(words)))
    if len(words) > 6 or not (known or (said and proper)):
        return []
    text = span.original
    return one(text.upper() if known and text.islower() and len(text) <= 4 else titled(text))


def job(span: Span) -> list[Filling]:
    """Read an occupation: its last word is in the list, and nothing before it tells of something else."""
    words = span.words
    # "The professor" is one that was spoken of; "the CEO of ..." is what somebody is.
    begin = 1 if words[0] in ("a", "an") or (words[0] == "the" and "of" in words) else 0
    if words[0] == "the" and not begin:
        return []
    body = span.part(begin)
    words = body.words
    if not 1 <= len(words) <= 5 or not all(_NAME.fullmatch(word) for word in words):
        return []
    of = words.index("of") if "of" in words[1:] else len(words)
    head = " ".join(words[max(0, of - 2) : of]), words[of - 1]
    occupations = span.lexicon.words("occupations")
    if not (head[0] in occupations or head[1] in occupations) or body.has_any("not_job_words"):
        return []
    if any(word.startswith(("no-", "non-", "ex-", "wannabe")) for word in words):
        return []
    if any(word.endswith("ing") and word not in span.lexicon.words("job_fields") for word in words):
        return []
    if of < len(words) and words[of - 1] not in (
        "head",
        "director",
        "vp",
        "president",
        "manager",
        "chief",
        "professor",
    ):
        return []
    return one(body.original)


def promoted(span: Span) -> list[Filling]:
    """Read what somebody rose to: a title of rank, not "a friend of the family"."""
    return job(span) if span.words[-1] in _RANKS or " of " in f" {' '.join(span.words)} " else []


def a_workplace(span: Span) -> list[Filling]:
    """Read a kind of place to work at: "a hospital", "the local library"."""
    words = span.words
    begin = 1 if words[0] in ("a", "an", "the") else 0
    if not begin or not 1 <= len(words) - 1 <= 4 or span.has_any("deixis"):
        return []
    ends = (" ".join(words[-count:]) for count in (1, 2, 3) if len(words) > count)
    known = any(span.lexicon.has("workplaces", end) for end in ends)
    return one(span.original) if known and all(map(_NAME.fullmatch, words)) else []


_NAME: Final = re.compile(r"[^\W\d_]+(?:[-'.][^\W\d_]+)*\.?")
_NOT_NAMES: Final = (
    "nationalities",
    "religions",
    "languages",
    "occupations",
    "places",
    "programming",
    "tools",
    "diets",
)
_NOT_PLACES: Final = ("programming", "tools", "names", "languages", "relatives")
_TITLES: Final = ("mr", "mrs", "ms", "dr", "professor", "captain")
_RANKS: Final = frozenset(
    {"manager", "director", "supervisor", "engineer", "president", "lead", "chef", "partner", "vp", "editor"}
)

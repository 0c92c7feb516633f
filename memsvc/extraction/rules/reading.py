"""A user's message as sentences of tokens: only their own words, each token knowing where it stands.

Code, quotations and quoted replies are blanked out before anything is read. Tokens carry a normalised word (lower case,
contractions spelled out, common slips mended) and the span of the original, so that patterns match the one and quotes
and values are cut from the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec

MAX_SENTENCE_TOKENS: Final = 96
"""Longer sentences are read in pieces: it bounds the work per sentence, whatever the input."""
MAX_WORD_CHARACTERS: Final = 80


class Token(msgspec.Struct, frozen=True, gc=False):
    """One word or punctuation mark of a message."""

    word: str
    """Normalised: what patterns match."""
    start: int
    end: int

    @property
    def is_word(self) -> bool:
        return self.word[0].isalnum()


class Sentence(msgspec.Struct, frozen=True, gc=False):
    """Tokens up to an end mark; `source` is the text that their spans point into."""

    tokens: tuple[Token, ...]
    end_mark: str
    source: str


def sentences(text: str) -> Iterator[Sentence]:
    """Yield the sentences that the author of `text` wrote themselves, one at a time."""
    pending: list[Token] = []
    for match in _TOKEN.finditer(own_words(text)):
        raw, start = match[0], match.start()
        if raw[0] in _END_MARKS:
            if pending:
                yield Sentence(tuple(pending), raw[-1] if "?" not in raw else "?", text)
                pending = []
            continue
        ends = _append_word(pending, raw, start) if raw[0].isalnum() else _append_mark(pending, raw, start)
        if pending and (ends or len(pending) >= MAX_SENTENCE_TOKENS):
            yield Sentence(tuple(pending), "." if ends else "", text)
            pending = []
    if pending:
        yield Sentence(tuple(pending), "", text)


def own_words(text: str) -> str:
    """Return `text`, equally long, with code, quotations and quoted replies blanked out."""
    text = text.replace("\u2019", "'").replace("\u2018", "'")
    for pattern in (_CODE_FENCE, _CODE_SPAN, _QUOTED_LINE):
        text = pattern.sub(_blank, text)
    for pattern in (_QUOTATION, _SINGLE_QUOTATION):
        text = pattern.sub(_blank_if_speech, text)
    return text


_END_MARKS: Final = ".!?\n\u2026\u3002"
_TOKEN: Final = re.compile(
    r"[^\W_](?:[^\s,;:!?()\[\]{}\"<>\u2026\u2014\u2013*|]|(?<=\d)[,:](?=\d))*|[.!?\u2026\u3002]+|\n+|[,;:()\u2014\u2013&-]|[^\s\"*_]"
)
_CODE_FENCE: Final = re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)", re.DOTALL)
_CODE_SPAN: Final = re.compile(r"`[^`\n]+`")
_QUOTED_LINE: Final = re.compile(r"^[ \t]{0,8}>[^\n]*", re.MULTILINE)
_QUOTATION: Final = re.compile(r"\"[^\"\n]+\"|\u201c[^\u201d\n]+\u201d|\u00ab[^\u00bb\n]+\u00bb|\u201e[^\u201c\u201d\n]+[\u201c\u201d]")
_SINGLE_QUOTATION: Final = re.compile(r"(?<!\w)'(?:[^'\n]|(?<=\w)'(?=\w)){3,200}'(?!\w)")
_FIRST_PERSON: Final = re.compile(r"\b(?:i|i'?m|i've|my|me|we|our)\b", re.IGNORECASE)
_MAX_NAME_WORDS: Final = 5
"""A short quotation without a first person is a title or a nickname, not speech."""


def _blank(match: re.Match[str]) -> str:
    # A bracket ends a clause and can start none.
    return "]" + " " * (len(match[0]) - 1)


def _blank_if_speech(match: re.Match[str]) -> str:
    quoted = match[0]
    if len(quoted) > 120 or len(quoted.split()) > _MAX_NAME_WORDS or _FIRST_PERSON.search(quoted):
        return _blank(match)
    return " " + quoted[1:-1] + " "


def _append_mark(pending: list[Token], raw: str, start: int) -> bool:
    word = "and" if raw == "&" else "-" if raw in "\u2014\u2013" else raw
    pending.append(Token(word, start, start + 1))
    return False


def _append_word(pending: list[Token], raw: str, start: int) -> bool:
    """Append a word, spelled out; tell whether a full stop that clung to it ended the sentence."""
    body = raw.rstrip("'.")
    dots = len(raw) - len(body.rstrip("."))
    ends = "." in raw[len(body) :] and not _is_abbreviation(body.lower(), dots)
    if not body:
        return ends
    word = body[:MAX_WORD_CHARACTERS].lower()
    end = start + len(body)
    for part in _SPELLED_OUT.get(word) or (_MENDED.get(word, word),):
        pending.append(Token(part, start, end))
    return ends


def _is_abbreviation(word: str, dots: int) -> bool:
    return dots == 1 and (word in _ABBREVIATIONS or (len(word) == 1 and word not in "i0123456789") or _DOTTED(word))


def _DOTTED(word: str) -> bool:  # noqa: N802
    return len(word) <= 5 and "." in word and all(len(part) == 1 for part in word.split("."))


_ABBREVIATIONS: Final = frozenset(["dr", "mr", "mrs", "ms", "st", "mt", "ft", "jr", "sr", "vs", "approx", "dept", "prof", "inc", "ltd", "co", "e.g", "i.e", "ph.d", "u.s", "a.k.a"])
_SPELLED_OUT: Final[dict[str, tuple[str, ...]]] = {
    contraction: tuple(words.split())
    for contraction, words in (
        pair.split("=")
        for pair in ["i'm=i am", "im=i am", "i´m=i am", "iam=i am", "i've=i have", "ive=i have", "i'd=i would", "i'll=i will", "we're=we are", "we've=we have", "don't=do not", "dont=do not", "doesn't=does not", "doesnt=does not", "didn't=did not", "didnt=did not", "can't=can not", "cant=can not", "cannot=can not", "won't=will not", "wont=will not", "isn't=is not", "isnt=is not", "aren't=are not", "wasn't=was not", "wasnt=was not", "weren't=were not", "haven't=have not", "havent=have not", "hasn't=has not", "wouldn't=would not", "wouldnt=would not", "couldn't=could not", "shouldn't=should not", "ain't=am not", "aint=am not", "wanna=want to", "gonna=going to", "gotta=have to", "i'ma=i will", "imma=i will", "you're=you are", "youre=you are", "it's=it is", "that's=that is", "thats=that is", "there's=there is", "he's=he is", "she's=she is", "they're=they are", "what's=what is", "whats=what is", "where's=where is", "who's=who is", "how's=how is", "let's=let us", "name's=name is"]
    )
}
_MENDED: Final[dict[str, str]] = dict(
    pair.split("=")
    for pair in ["luv=love", "luvv=love", "lov=love", "fav=favorite", "fave=favorite", "favourite=favorite", "favorit=favorite", "favrite=favorite", "favs=favorites", "faves=favorites", "favourites=favorites", "u=you", "ur=your", "ya=you", "r=are", "cuz=because", "coz=because", "cos=because", "bc=because", "b/c=because", "'cause=because", "tho=though", "w/=with", "n=and", "liek=like", "lieks=like", "vegitarian=vegetarian", "vegeterian=vegetarian", "studing=studying", "livin=living", "workin=working", "lovin=loving", "goin=going", "tryin=trying", "playin=playing", "hav=have", "allergix=allergic", "alergic=allergic", "allegic=allergic", "teh=the", "realy=really", "rly=really", "definately=definitely", "enjoi=enjoy", "preffer=prefer", "perfer=prefer", "hte=the", "plz=please", "pls=please", "thx=thanks", "thanx=thanks", "becuase=because", "becasue=because", "favoirte=favorite", "favortie=favorite", "wrk=work", "liv=live", "frm=from", "yrs=years", "yr=year", "bday=birthday", "becouse=because", "marryed=married", "maried=married", "somtimes=sometimes", "alot=lot", "abt=about", "collage=college", "profesion=profession", "colour=color"]
)

"""Clauses of a sentence that its author asserts: not asked, not supposed, not said by others.

A clause begins with "i", "my" or "we", with a verb that goes on about the same subject, or with anything else at a
boundary (for wishes and feedback). What is turned away here is not read at all.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import msgspec

from memsvc.extraction.rules.lexicon import Lexicon
from memsvc.extraction.rules.reading import BRACKET, Sentence, Token
from memsvc.extraction.rules.splitting import ClauseStart, Splitter
from memsvc.extraction.rules.wording import ARTICLES, words_of

MAX_CLAUSES: Final = 16
"""How many statements one sentence is read for: it bounds the work per sentence, whatever the input."""


class Clause(msgspec.Struct, frozen=True, gc=False):
    """Tokens with their subject first; a dropped subject is put back as a token of no width."""

    tokens: tuple[Token, ...]
    source: str

    @property
    def words(self) -> list[str]:
        return words_of(self.tokens)


def clauses(sentence: Sentence, lexicon: Lexicon) -> list[Clause]:
    """Return the asserted clauses of a sentence, in order."""
    tokens = sentence.tokens
    words = words_of(tokens)
    frames = lexicon.words("frame_words")
    if not frames.isdisjoint(words) or any(f"{first} {second}" in frames for first, second in pairwise(words)):
        return []
    starts = Splitter(words, lexicon).starts()
    if sentence.end_mark == "?" and not any(start.asks for start in starts):
        return []
    found: list[Clause] = []
    for start, following in zip(starts, [*starts[1:], None], strict=True):
        if start.asserted:
            body = _body(tokens[start.at : following.at if following else len(tokens)], lexicon, last=following is None)
            if body:
                whole = _plain(_joined(_with_subject(body, start)), lexicon)
                # One word alone states nothing.
                found += [Clause(tuple(whole), sentence.source)] if len(whole) > 1 else []
    return found[:MAX_CLAUSES]


def _body(tokens: tuple[Token, ...], lexicon: Lexicon, *, last: bool) -> list[Token]:
    """Return the tokens of a clause without what leads over to the next one."""
    body = list(tokens)
    leading = (
        lexicon.words("connectives") | ARTICLES
        if last
        else lexicon.words("connectives") | ARTICLES | lexicon.words("clause_leads")
    )
    while body and (body[-1].word in leading or not body[-1].is_word) and body[-1].word != BRACKET:
        body.pop()
    return body


def _with_subject(body: list[Token], start: ClauseStart) -> list[Token]:
    if not start.elided:
        return body
    here = body[0].start
    subject = (start.subject, "am") if start.copula else (start.subject,)
    return [*(Token(word, here, here) for word in subject), *body]


def _joined(tokens: list[Token]) -> list[Token]:
    """Let "my wife and i" and "me and my wife" be "we"."""
    words = words_of(tokens[:5])
    for count in (5, 4):
        if len(words) >= count and "and" in words[:count]:
            mine_and_i = words[0] == "my" and words[count - 1] == "i"
            me_and_mine = words[0] == "me" and words[2] == "my" and count == 4
            if mine_and_i or me_and_mine:
                return [Token("we", tokens[0].start, tokens[count - 1].end), *tokens[count:]]
    return tokens


def _plain(tokens: list[Token], lexicon: Lexicon) -> list[Token]:
    """Leave out what only colours the verb: "i am currently a", "i do really like"."""
    if tokens[0].word not in ("i", "we"):
        return tokens
    fillers = lexicon.words("fillers")
    words = words_of(tokens)
    kept, at = [tokens[0]], 1
    while at < len(tokens):
        filler = next((count for count in (3, 2, 1) if " ".join(words[at : at + count]) in fillers), 0)
        emphatic = (
            words[at] == "do"
            and len(kept) == 1
            and words[at + 1 : at + 2]
            and words[at + 1] in lexicon.words("emphasised_verbs")
        )
        if filler:
            at += filler
        elif words[at] == "," or emphatic:
            at += 1
        elif words[at] in _VERB_GROUP:
            kept.append(tokens[at])
            at += 1
        else:
            break
    return [*kept, *tokens[at:]]


_VERB_GROUP: Final = frozenset({"am", "was", "have", "been", "do", "not", "are", "were", "had", "can"})

"""What is no longer so, is denied, or was said wrong: "I don't play the guitar anymore", "Sorry, I meant Munich".

An ending is read as the statement that it ends, so that every pattern that learns something also knows how it ends.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from memsvc.extraction.engine import Action, Operation
from memsvc.extraction.rules.clauses import Clause
from memsvc.extraction.rules.gathering import Effect
from memsvc.extraction.rules.sentences import Sentence, Token, quoted, words_of
from memsvc.extraction.rules.wording import original


def ended(clause: Clause) -> list[Clause]:
    """Return the statements that a clause says are no longer so; none where it says no such thing."""
    words = clause.words
    subject = words[0]
    if subject not in ("i", "we") or len(words) < 4:
        return []
    tokens = clause.tokens
    last = " ".join(words[-2:])
    anymore = 1 if words[-1] in ("anymore", "any-more") else 2 if last in ("any more", "any longer") else 0
    if words[1:3] == ["no", "longer"]:
        return [_positive(clause, 3, 0)]
    if words[1:3] in (["do", "not"], ["am", "not"], ["are", "not"], ["can", "not"]) and anymore:
        verb = [tokens[1]] if words[1] in ("am", "are") else []
        return [Clause((tokens[0], *verb, *tokens[3 : len(tokens) - anymore]), clause.source)]
    if words[1:4] in (["am", "no", "longer"], ["are", "no", "longer"]):
        return [Clause((tokens[0], tokens[1], *tokens[4:]), clause.source)]
    if words[1] in ("stopped", "quit") and words[2].endswith("ing") and len(words[2]) > 4:
        return [
            Clause((tokens[0], Token(verb, tokens[2].start, tokens[2].end), *tokens[3:]), clause.source)
            for verb in _bare(words[2])
        ]
    if words[1:3] == ["gave", "up"]:
        rest = tokens[3:]
        if rest[0].word.endswith("ing") and len(rest[0].word) > 4:
            verbs = [Token(verb, rest[0].start, rest[0].end) for verb in _bare(rest[0].word)]
            return [Clause((tokens[0], verb, *rest[1:]), clause.source) for verb in verbs]
        return [Clause((tokens[0], Token("play", rest[0].start, rest[0].start), *rest), clause.source)]
    return []


def denied(clause: Clause) -> Clause | None:
    """Return the statement that a clause denies: "I do not live in Paris"; None: it denies none.

    What was never said is not denied: it is for whoever has learned it to take back.
    """
    words, tokens = clause.words, clause.tokens
    verb = next((at for at, word in enumerate(words[:_MOST_OF_A_SUBJECT]) if word in ("do", "am", "are", "is")), 0)
    if not verb or words[verb + 1 : verb + 2] != ["not"] or words[0] not in ("i", "we", "my", "our"):
        return None
    kept = verb if words[verb] == "do" else verb + 1
    rest = tokens[verb + 2 :]
    return Clause((*tokens[:kept], *rest), clause.source) if rest else None


def without_contrast(sentence: Sentence) -> Sentence:
    """Return a sentence without what it says is not so: "I live in Lyon, not Paris", "I'm not Bob, it is Rob"."""
    tokens, words = sentence.tokens, sentence.words
    match = _NOT_BUT.fullmatch(" ".join(words) + " ")
    if match is not None:
        lead, right = match["lead"].count(" "), match["right"].count(" ")
        end = len(tokens) - match["rest"].count(" ")
        return Sentence((*tokens[:lead], *tokens[end - right : end]), sentence.end_mark, sentence.source)
    for at in range(max(2, len(words) - _MOST_CONTRASTED - 1), len(words) - 1):
        if words[at] != "not" or words[at - 1] not in (",", "and", "but", "-"):
            continue
        contrasted = words[at + 1 :]
        if _LIMITED.isdisjoint(contrasted) and "not" not in words[:at]:
            end = at - 1 - (words[at - 2] == ",")
            return Sentence(tokens[:end], sentence.end_mark, sentence.source)
    return sentence


def _positive(clause: Clause, begin: int, end: int) -> Clause:
    tokens = clause.tokens
    return Clause((tokens[0], *tokens[begin : len(tokens) - end]), clause.source)


def _bare(gerund: str) -> Sequence[str]:
    stem = gerund.removesuffix("ing")
    doubled = stem[:-1] if len(stem) > 2 and stem[-1] == stem[-2] else ""
    return [form for form in (stem, stem + "e", doubled) if form]


def correction(sentence: Sentence) -> tuple[Sentence, Effect] | None:
    """Return what a sentence says up to a correction, and the correction; None where it has none."""
    tokens = sentence.tokens
    phrase = " ".join(words_of(tokens)) + " "
    match = _CORRECTION.search(phrase)
    if match is None or sentence.end_mark == "?":
        return None

    def part(name: str) -> Sequence[Token]:
        begin = phrase.count(" ", 0, match.start(name))
        return tokens[begin : begin + phrase.count(" ", match.start(name), match.end(name))]

    right, wrong = original(part("right"), sentence.source), ""
    if match["wrong"]:
        wrong = original(part("wrong"), sentence.source)
    before = Sentence(tokens[: phrase.count(" ", 0, match.start())], ".", sentence.source)
    if not wrong and not before.tokens and tokens[0].word not in ("sorry", "oops", "wait", "correction"):
        return None
    return before, Effect(
        Operation(action=Action.UPDATE, text=right, quote=quoted(sentence)), corrects=True, wrong=wrong
    )


_MOST_OF_A_SUBJECT: Final = 5
_MOST_CONTRASTED: Final = 5
_NOT_BUT: Final = re.compile(
    r"(?P<lead>(?:[^ ,]+ ,? ?){0,2}?(?:my (?:[^ ,]+ ){1,3}is |(?:i am|we are) ))not (?:[^ ,]+ ){1,4}?"
    r"(?:, |- )?(?:it is|but|rather) (?P<right>(?:[^ ,]+ ){1,4})(?P<rest>(?:[^\w ]+ )*)"
)
# fmt: off
_LIMITED: Final = frozenset((
    "always", "really", "yet", "quite", "exactly", "entirely", "completely", "fully", "currently", "now", "anymore",
    "sure", "today", "officially", "often", "only", "just", "because", "that", "if", "when", "much", "so", "too",
    "very", "i", "my", "we", "though",
))
# fmt: on
"""What makes "not" say how far something is so, or begin another clause."""
_OPENING: Final = (
    r"(?:(?:sorry|oops|wait|no wait|no|actually|correction|ugh|my bad|typo|er|um) )?(?:[,:] )?"
    r"(?:(?:i mean|i meant|i meant to say|make that|rather) "
    r"|(?<=sorry )|(?<=sorry , )|(?<=correction )|(?<=correction : ))"
)
_CORRECTION: Final = re.compile(
    rf"(?:^|(?<= ))(?:[,-] )?{_OPENING}"
    r"(?P<right>(?:[^ ,]+ ){1,3}?)(?:,? ?(?:and )?not (?P<wrong>(?:[^ ,]+ ){1,3}))?$"
)

"""Clauses of a sentence that its author asserts: not asked, not supposed, not said by others.

Works on normalised words. A clause begins with "i", "my" or "we", with a verb that goes on about the same subject, or
with anything else at a boundary (for wishes and feedback). What is turned away here is not read at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from memsvc.extraction.rules.lexicon import Lexicon
from memsvc.extraction.rules.reading import Sentence, Token


class Clause(msgspec.Struct, frozen=True, gc=False):
    """Tokens with their subject first; a dropped subject is put back as a token of no width."""

    tokens: tuple[Token, ...]
    source: str

    @property
    def words(self) -> list[str]:
        return [token.word for token in self.tokens]


def clauses(sentence: Sentence, lexicon: Lexicon) -> list[Clause]:
    """Return the asserted clauses of a sentence, in order."""
    tokens = sentence.tokens
    words = [token.word for token in tokens]
    if not _VETOES.isdisjoint(words) or any(" ".join(words[at : at + 2]) in _VETO_PAIRS for at in range(len(words))):
        return []
    starts = _Splitter(words, lexicon).starts()
    if sentence.end_mark == "?" and not any(start.asks for start in starts):
        return []
    found: list[Clause] = []
    for start, following in zip(starts, [*starts[1:], None], strict=True):
        if not start.asserted:
            continue
        body = list(tokens[start.at : following.at if following else len(tokens)])
        while body and (body[-1].word in _CONNECTIVES or not body[-1].is_word or (following and body[-1].word in _LEADING)) and body[-1].word != "]":
            body.pop()
        if start.elided and body:
            here = body[0].start
            body[:0] = [Token(word, here, here) for word in ((start.subject, "am") if start.copula else (start.subject,))]
        if body:
            found.append(Clause(tuple(_plain(_joined(body), lexicon)), sentence.source))
    return found


class _Start(msgspec.Struct, frozen=True, gc=False):
    at: int
    asserted: bool
    subject: str = ""
    elided: bool = False
    copula: bool = False
    """The dropped subject is "i am"."""
    asks: bool = False


class _Splitter:
    """Finds where the clauses of a sentence begin, from left to right."""

    def __init__(self, words: Sequence[str], lexicon: Lexicon) -> None:
        self._words = words
        self._lexicon = lexicon
        self._finite = lexicon.words("finite_verbs")
        self._stative = lexicon.words("stative_verbs")
        self._starts: list[_Start] = []

    def starts(self) -> list[_Start]:
        at = 0
        while at < len(self._words):
            start = self._start_at(at)
            if start is not None:
                self._starts.append(start)
                if start.asks or (not start.asserted and self._words[at] in _SUPPOSING):
                    at = self._resume(at + 1, asks=start.asks)
                    continue
            at += 1
        return self._starts

    def _resume(self, at: int, *, asks: bool) -> int:
        """Return where reading may go on after a question (nowhere) or a supposition ("... but i")."""
        if asks:
            return len(self._words)
        for index in range(at, len(self._words) - 1):
            if self._words[index] == "but" and self._words[index + 1] in ("i", "my"):
                return index + 1
        return len(self._words)

    def _start_at(self, at: int) -> _Start | None:
        words, word = self._words, self._words[at]
        boundary = self._is_boundary(at)
        if word in _SUPPOSING and not self._is_politeness(at):
            return _Start(at, asserted=False)
        if self._asks(at, boundary=boundary):
            return _Start(at, asserted=False, asks=True)
        if word == "i":
            return self._first_person(at, boundary=boundary)
        if word in ("my", "we", "me") and (boundary or self._introduces_itself(at)):
            return _Start(at, self._is_admitted(at, boundary=boundary), word)
        if at == 0:
            dropped = word in _DROPS_SUBJECT
            return _Start(0, asserted=True, subject="i" if dropped else "", elided=dropped)
        if not boundary:
            return None
        subject = self._subject()
        if subject in ("i", "we") and word in self._finite and self._goes_on(at):
            return _Start(at, asserted=True, subject=subject, elided=True)
        if subject == "i" and self._goes_on_being(at):
            return _Start(at, asserted=True, subject="i", elided=True, copula=True)
        if word in _OTHERS or (word in _OPENERS and subject not in ("i", "we")) or (word in _WISHES and self._previous(at) != "and"):
            return _Start(at, asserted=word in _OPENERS or word in _WISHES or word in _ANSWERS)
        if subject == "my" and words[at - 1] in (",", "and", "but") and word in ("is", "was"):
            return None
        return None

    def _first_person(self, at: int, *, boundary: bool) -> _Start | None:
        words = self._words
        if at >= 3 and words[at - 1] == "and" and words[at - 3] in ("my", "me") and self._starts and self._starts[-1].at == at - 3:
            return None
        if at >= 2 and words[at - 1] == "and" and self._starts and self._starts[-1].subject in ("my", "me") and self._starts[-1].at >= at - 5:
            if not _COPULAS.isdisjoint(words[self._starts[-1].at : at]):
                return _Start(at, self._is_admitted(at, boundary=boundary), "i")
            return None
        return _Start(at, self._is_admitted(at, boundary=boundary), "i")

    def _is_boundary(self, at: int) -> bool:
        if at == 0:
            return True
        before = self._words[at - 1]
        return before in _CONNECTIVES or not before[0].isalnum() or (before in _ADVERBS_FIRST and self._is_boundary(at - 1))

    def _previous(self, at: int) -> str:
        return self._words[at - 1] if at else ""

    def _subject(self) -> str:
        return self._starts[-1].subject if self._starts and self._starts[-1].asserted else ""

    def _is_politeness(self, at: int) -> bool:
        return self._words[at] == "if" and self._words[at + 1 : at + 3] in (["it", "helps"], ["it", "matters"], ["you", "must"], ["that", "helps"])

    def _asks(self, at: int, *, boundary: bool) -> bool:
        word, following = self._words[at], self._words[at + 1 : at + 3]
        first, second = (*following, "", "")[:2]
        if word in _INTERROGATIVES:
            if first in _AUXILIARIES and second not in ("not",):
                return boundary or second in ("you", "your", "the", "a", "it") or first in ("about", "do", "does", "did")
            if boundary and word in ("what", "which", "how") and (first in _ASKED_NOUNS or (first and second in _AUXILIARIES)):
                return True
            return first == "about" or (first in ("to",) and boundary)
        if word in _AUXILIARIES and first in _ASKED_SUBJECTS:
            return (boundary and not (word in ("have", "do") and first in ("a", "not", "my"))) or (first == "you" and second != "" and word in ("do", "are", "have", "can", "did", "could", "would", "will"))
        return boundary and word in ("you", "u", "hbu", "wbu") and at == len(self._words) - 1

    def _goes_on(self, at: int) -> bool:
        """Tell whether a verb after "and" has the subject of the clause before, rather than being part of its object."""
        if self._words[at] == "go" and not self._words[at + 1 : at + 2] or self._words[at : at + 2] == ["go", "these"]:
            return False
        start = self._starts[-1]
        words = self._words[start.at : at]
        before = self._words[at - 1]
        if before == "," and (self._words[at] not in self._stative or self._words[at] == "like"):
            return False
        if any(pair in (("like", "to"), ("love", "to"), ("want", "to"), ("enjoy", "to"), ("hate", "to"), ("to", words[-2] if len(words) > 1 else "")) for pair in zip(words, words[1:], strict=False)) or "can" in words:
            return self._words[at] in self._stative and self._words[at + 1 : at + 2] != ["fun"]
        return True

    def _goes_on_being(self, at: int) -> bool:
        """Tell whether "i am" also holds for what follows: "i am 28, married and a nurse"."""
        words, start = self._words, self._starts[-1]
        if words[start.at : start.at + 2] != ["i", "am"] and not start.copula:
            return False
        word = words[at]
        if word in ("a", "an", "from"):
            return True
        alone = at + 1 == len(words) or words[at + 1] in (",", "and", "but", "years", "from", "with", "in")
        return alone and (word.isdigit() or any(self._lexicon.has(name, word) for name in _PREDICATES))

    def _introduces_itself(self, at: int) -> bool:
        words = self._words
        return words[at] == "my" and words[at + 1 : at + 2] != [] and (
            words[at + 1] in _INTRODUCED and not _COPULAS.isdisjoint(words[at + 1 : at + 5]) and words[at - 1] not in _TAKES_OBJECT
        )

    def _is_admitted(self, at: int, *, boundary: bool) -> bool:
        """Tell whether the words before a first person let it assert something."""
        words = self._words
        begin = at
        while begin and (words[begin - 1][0].isalnum() or words[begin - 1] == "'") and words[begin - 1] not in ("but", "and", "so", "because"):
            begin -= 1
        lead = [word for word in words[begin:at] if word not in _ADVERBS_FIRST]
        if begin and words[begin - 1] == "]":
            return False
        if not lead:
            return True
        last = lead[-1]
        if last in _SUBORDINATORS and not (last == "as" and len(lead) == 1):
            return False
        if last == "that":
            return _tail(lead[:-1]) in _ADMITTING or (bool(lead[:-1]) and lead[-2] in _ADMITTING)
        if not _SAYING.isdisjoint(lead):
            return last in _ADMITTING or _tail(lead) in _ADMITTING
        if last in _ADMITTING or last in _CONNECTIVES or last in _TIME_NOUNS or last in _INTERJECTIONS or boundary:
            return True
        if not _DETERMINERS.isdisjoint(lead[-3:]):
            return self._is_strong(at)
        return True

    def _is_strong(self, at: int) -> bool:
        """Tell a run-on ("i am a nurse i have two kids") from a relative clause ("the car i drive")."""
        return self._words[at] == "i" and " ".join(self._words[at + 1 : at + 3]) in _STRONG


def _joined(tokens: list[Token]) -> list[Token]:
    """Let "my wife and i" and "me and my wife" be "we"."""
    words = [token.word for token in tokens[:6]]
    for count in (5, 4):
        if len(words) >= count and "and" in words[:count] and ((words[0] == "my" and words[count - 1] == "i") or (words[0] == "me" and words[2:3] == ["my"] and count == 4)):
            return [Token("we", tokens[0].start, tokens[count - 1].end), *tokens[count:]]
    return tokens


def _plain(tokens: list[Token], lexicon: Lexicon) -> list[Token]:
    """Leave out what only colours the verb: "i am currently a", "i do really like"."""
    if tokens[0].word not in ("i", "we"):
        return tokens
    fillers = lexicon.words("fillers")
    kept, at = [tokens[0]], 1
    while at < len(tokens):
        word = tokens[at].word
        pair = word + " " + tokens[at + 1].word if at + 1 < len(tokens) else ""
        triple = pair + " " + tokens[at + 2].word if at + 2 < len(tokens) else ""
        if triple in fillers:
            at += 3
        elif pair in fillers:
            at += 2
        elif word in fillers or word == "," or (word == "do" and len(kept) == 1 and at + 1 < len(tokens) and tokens[at + 1].word in _EMPHASISED):
            at += 1
        elif word in _VERB_GROUP:
            kept.append(tokens[at])
            at += 1
        else:
            break
    return [*kept, *tokens[at:]]


_PREDICATES: Final = ("marital", "jobless", "diets", "nationalities", "religions", "students", "traits")


def _tail(words: Sequence[str]) -> str:
    return " ".join(words[-2:])


_DROPS_SUBJECT: Final = frozenset({"grew", "moved", "lived", "graduated", "majored"})
_VETOES: Final = frozenset(
    ["jk", "roleplay", "role-play", "hypothetically", "sarcasm", "kidding", "joking", "lorem", "imaginary", "fictional"]
)
_VETO_PAIRS: Final = frozenset(
    {"just kidding", "in this", "what if", "role play", "not really", "my character", "let us", "act as", "pretend to", "said no", "as if", "true or", "for example", "dear sir", "yeah right"}
) - {"in this", "not really", "let us"}
_SUPPOSING: Final = frozenset({"if", "unless", "suppose", "supposing", "imagine", "pretend", "wish", "whether", "assuming", "assume", "wished", "hypothetical"})
_CONNECTIVES: Final = frozenset({"and", "but", "or", "so", "because", "plus", "also", "since", "although", "though", "however", "then", "yet", "as", "cause", "anyway", "btw", "besides"})
_ADVERBS_FIRST: Final = frozenset({"well", "actually", "honestly", "personally", "currently", "yes", "yeah", "yep", "yup", "oh", "ok", "okay", "hi", "hello", "hey", "thanks", "now", "lol", "haha", "sadly", "unfortunately", "luckily", "also", "too", "plus", "no", "nope", "sure", "wow", "um", "uh", "hmm", "please", "fyi", "btw", "recently", "then", "though", "anyway", "basically", "there", "today", "nowadays", "still", "just", "even", "right", "cool", "nice", "great", "awesome", "same", "sorry", "howdy", "greetings", "sometimes", "usually", "ahh", "ah", "aww", "yay", "omg", "dang", "lately", "previously", "originally", "additionally", "interestingly", "nah", "hehe", "true", "good", "agreed", "indeed", "welcome", "only"})
_INTERJECTIONS: Final = _ADVERBS_FIRST
_TIME_NOUNS: Final = frozenset({"year", "years", "day", "days", "week", "weeks", "weekend", "weekends", "month", "months", "summer", "winter", "fall", "spring", "night", "nights", "time", "fun", "living", "morning", "mornings", "evening", "evenings", "ago", "moment", "life", "monday", "sunday", "saturday", "friday", "school", "college", "work", "job", "side", "free", "spare", "home", "me", "you", "too", "again", "here", "hobby"})
_SUBORDINATORS: Final = frozenset({"when", "where", "what", "how", "why", "who", "whom", "which", "while", "before", "after", "until", "till", "once", "whenever", "wherever", "than", "like", "whatever", "if", "whether", "everything", "anything", "nothing", "something", "everywhere", "everyone", "anyone", "someone", "all", "as", "whose", "things", "way", "unless", "is", "was", "of", "about", "for", "one"})
_SAYING: Final = frozenset({"said", "say", "says", "saying", "told", "tell", "tells", "think", "thinks", "thought", "believe", "believes", "claim", "claims", "claimed", "heard", "hear", "know", "knows", "knew", "hope", "hoped", "guess", "feel", "feels", "felt", "doubt", "dreamed", "dreamt", "wrote", "writes", "asked", "asks", "ask", "joke", "joked", "joking", "assume", "assumed", "mean", "means", "translate", "write", "rewrite", "correct", "rephrase", "proofread", "wonder", "wondering", "swear", "lied", "lie", "sure", "story", "quote", "reads", "note", "remember", "mention", "forgot", "add", "imagine", "seems", "seem", "not", "bet", "worried", "afraid", "ensure", "check", "explain", "show", "prove", "forget"})
_ADMITTING: Final = frozenset({"remember", "note", "noted", "guess", "mean", "fyi", "remember that", "note that", "so you know", "you know", "in mind", "mind", "i think", "i guess", "i believe", "i mean", "to mention", "to add", "mention", "add", "i forgot", "should know", "to know", "fact", "the record", "record", "is", "you should", "tell you", "told you", "let you", "must say", "to say", "i said", "memory", "context", "reference", "background", "please remember", "please note", "save", "store", "keep", "don't forget", "not forget", "glad", "happy", "proud"}) - {"is", "keep", "tell you", "told you", "i said"}
_DETERMINERS: Final = frozenset({"the", "a", "an", "every", "all", "any", "some", "this", "that", "those", "these", "first", "last", "only", "one", "my", "your", "his", "her", "their", "our", "no"})
_STRONG: Final = frozenset(
    [f"am {word}" for word in ("a", "an", "from", "married", "single", "allergic", "vegan", "vegetarian", "retired", "in", "years", "very", "also", "currently", "studying", "working", "living")]
    + [f"have {word}" for word in ("a", "an", "no", "one", "two", "three", "four", "five", "2", "3", "4", "5", "1", "6", "been", "my", "never", "many", "several", "blue", "brown", "green", "long", "short", "curly")]
    + ["live in", "live with", "work as", "work at", "work for", "work in", "was born", "grew up", "also like", "also love", "also have", "like to", "love to", "enjoy playing", "do not", "drive a", "own a", "play the", "play guitar", "moved to", "go to"]
)
_INTERROGATIVES: Final = frozenset({"what", "where", "who", "whom", "whose", "which", "when", "why", "how", "what's"})
_AUXILIARIES: Final = frozenset({"do", "does", "did", "is", "are", "am", "was", "were", "can", "could", "should", "would", "will", "have", "has", "shall", "may", "might", "about", "must"})
_ASKED_SUBJECTS: Final = frozenset({"you", "i", "we", "they", "he", "she", "it", "there", "this", "that", "these", "those", "your", "my", "the", "any", "anyone", "anybody", "someone", "not", "u", "people"}) - {"not"}
_ASKED_NOUNS: Final = frozenset({"kind", "type", "sort", "many", "much", "long", "old", "often", "far", "come", "else", "color", "kinds", "time", "big", "else's"})
_OTHERS: Final = frozenset({"he", "she", "they", "it", "there", "you", "this", "that", "these", "those", "everyone", "everybody", "people", "who", "which", "what", "how", "where", "when", "why", "someone", "nobody", "his", "her", "their", "your", "its", "while", "whereas", "until", "after", "before", "whenever", "whose"})
_OPENERS: Final = frozenset({"that", "this", "your", "those", "these", "the", "you"})
_ANSWERS: Final = frozenset({"the"})
_LEADING: Final = frozenset({"now", "also", "currently", "then", "just", "still", "recently", "lately"})
"""Words at the end of a clause that belong to the one after it."""
_WISHES: Final = frozenset({"please", "always", "never", "do", "use", "answer", "respond", "reply", "call", "keep", "speak", "forget", "remember", "update", "avoid", "stop", "contact", "be", "from", "going", "in", "write", "talk", "email", "name", "change", "set", "delete", "remove", "erase", "great", "good", "too", "working", "living", "born", "married", "big", "love", "hate"}) - {"in", "be", "good", "great", "going", "do", "use", "write", "keep", "love", "hate", "big", "name", "set", "change"}
_COPULAS: Final = frozenset({"is", "are", "was", "were", "would", "include"})
_INTRODUCED: Final = frozenset({"name", "favorite", "nickname", "age", "birthday", "hobby", "hobbies", "email", "job", "wife", "husband", "dog", "cat"})
_TAKES_OBJECT: Final = frozenset({"forget", "update", "change", "delete", "remove", "know", "of", "about", "what", "is", "love", "like", "hate", "to", "with", "for", "in", "on", "set", "was", "are", "guess", "say", "call", "not", "at", "by", "from", "miss", "said", "told", "meet", "if", "does", "do", "did", "walk", "take", "feed", "has", "have"})
_EMPHASISED: Final = frozenset({"like", "love", "enjoy", "have", "live", "work", "want", "prefer", "hate", "need", "own", "play", "speak", "drive", "collect", "read", "watch", "listen", "really", "also", "eat", "drink", "cook", "go", "know"})
_VERB_GROUP: Final = frozenset({"am", "was", "have", "been", "do", "not", "are", "were", "had", "can"})

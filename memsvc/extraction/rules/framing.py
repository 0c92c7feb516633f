"""What frames a sentence from outside: a joke taken back, a text handed over, a wish to have it remembered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from memsvc.extraction.engine import Action, Operation
from memsvc.extraction.rules.clauses import Clause
from memsvc.extraction.rules.facts import told
from memsvc.extraction.rules.reading import Sentence


def is_joke(words: Sequence[str]) -> bool:
    """Tell whether a sentence takes back the one before it."""
    return len(words) <= 6 and any(tuple(words[: len(joke)]) == joke for joke in _JOKES)


def hands_over_text(words: Sequence[str]) -> bool:
    """Tell whether what follows is a text to work on, not the user speaking: "translate this: ..."."""
    head = [word for word in words[:7] if word not in _POLITE]
    if not head or head[0] not in _TASKS:
        return False
    return ":" in words or (len(head) > 1 and not _HANDED.isdisjoint(head[1:5]) and not _TEXTS.isdisjoint(words))


def remembered(sentence: Sentence) -> list[Operation]:
    """Return what the user explicitly asks to have remembered and no pattern knows: "remember that the demo is on Friday"."""
    tokens = list(sentence.tokens)
    while tokens and (tokens[0].word in _POLITE or not tokens[0].is_word):
        tokens.pop(0)
    words = [token.word for token in tokens[:4]]
    command = next((command for command in _REMEMBER if tuple(words[: len(command)]) == command), None)
    if command is None or sentence.end_mark == "?":
        return []
    tokens = tokens[len(command) :]
    while tokens and tokens[0].word in (":", ",", "-", "that"):
        tokens.pop(0)
    words = [token.word for token in tokens]
    if len(words) < 3 or words[0] in _NOT_FACTS or not _ADDRESS.isdisjoint(words) or not _DOUBT.isdisjoint(words):
        return []
    text = told(Clause(tuple(tokens[:64]), sentence.source))
    text = f"Their {text}" if words[0] == "my" else text[:1].upper() + text[1:]
    return [Operation(action=Action.ADD, text=text, quote=sentence.source[tokens[0].start : tokens[-1].end], topics=("notes",))]


_JOKES: Final = (("just", "kidding"), ("jk",), ("haha", "just", "kidding"), ("lol", "jk"), ("haha", "jk"), ("lol", "just", "kidding"), ("no", "just", "kidding"), ("ok", "just", "kidding"), ("kidding",), ("i", "am", "joking"), ("just", "joking"), ("only", "joking"), ("i", "lied"))
_POLITE: Final = frozenset({"please", "can", "could", "would", "you", "now", "ok", "okay", "and", "also", "hey", "hi", "help", "me", "just", "i", "want", "need", "to", "so"})
_TASKS: Final = frozenset(
    ["translate", "rewrite", "rephrase", "paraphrase", "proofread", "summarize", "summarise", "correct", "edit", "fix", "improve", "classify", "analyze", "analyse", "complete", "continue", "reword", "polish", "shorten", "grammar", "review", "write", "draft", "compose", "check", "convert", "explain", "parse", "extract", "label", "answer", "generate", "create", "respond", "reply", "read", "act", "play", "roleplay", "imagine", "pretend"]
)
_HANDED: Final = frozenset({"this", "the", "following", "below", "these", "following:", "my"})
_TEXTS: Final = frozenset(["text", "email", "message", "sentence", "sentences", "paragraph", "essay", "letter", "passage", "article", "transcript", "dialogue", "following", "below", "story", "bio", "post", "tweet", "review", "statement", "conversation", "abstract", "script"])
_REMEMBER: Final = (
    ("remember",), ("note",), ("keep", "in", "mind"), ("do", "not", "forget"), ("save", "this"), ("for", "later"), ("for", "the", "record"), ("make", "a", "note"), ("take", "note"), ("bear", "in", "mind"), ("memorize",),
)
_NOT_FACTS: Final = frozenset(["to", "when", "how", "what", "it", "this", "me", "the-time", "us", "him", "her", "them", "you", "your", "if", "that", "these", "those", "where", "why", "who", "about", "for", "of", "from", "again", "for", "and"])
_ADDRESS: Final = frozenset({"you", "your", "yours"})
_DOUBT: Final = frozenset({"if", "would", "might", "maybe", "imagine", "suppose"})

"""What an operation may do to what is remembered, whichever engine proposes it.

What was stated outranks what is inferred, what is newer outranks what is older, and nothing is forgotten by the way: an
operation deletes what its engine was shown or what the user's words name, and more than a few at once only on request.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from msgspec import Struct, field

from memsvc.errors import Reason
from memsvc.extraction.engine import Action, Operation
from memsvc.model import Layer, Memory, Trust
from memsvc.search.text import shared_analyzer
from memsvc.settings import DEFAULT_SETTINGS, LayerSettings, MemorySettings


class Rights(Struct, frozen=True):
    """What engines may do, whatever was asked of them."""

    clear: bool = False
    """Forget everything at once."""
    max_deletions: int = 5
    """How many memories one extraction deletes that nobody asked to be forgotten."""
    add: bool = True
    update: bool = True
    delete: bool = True
    layers: Mapping[Layer, LayerSettings] = field(default_factory=lambda: DEFAULT_SETTINGS.layers)
    """What each layer takes."""
    config_revision: int = 0
    """The configuration that says so."""


def rights_of(settings: MemorySettings, max_deletions: int) -> Rights:
    """Return what engines may do under these settings."""
    allowed = settings.operations
    return Rights(
        allowed.clear,
        max_deletions,
        allowed.add,
        allowed.update,
        allowed.delete,
        settings.layers,
        settings.config_revision,
    )


CLEARING_IS_OFF: Final = "clearing a user's memory is switched off"
ADDING_IS_OFF: Final = "adding memories is switched off"
UPDATING_IS_OFF: Final = "changing memories is switched off"
DELETING_IS_OFF: Final = "deleting memories is switched off"
REFUSALS: Final = {
    Reason.OPERATION_FORBIDDEN: CLEARING_IS_OFF,
    Reason.OUTRANKED: "what is inferred does not replace what was stated",
    Reason.OUTDATED: "what was said earlier does not replace what was said later",
    Reason.TOO_MANY_DELETIONS: "too many memories would go that nobody asked to be forgotten",
    Reason.QUOTA_EXCEEDED: "memories did not fit the quota",
}
"""What is told of each reason why an operation is not carried out."""


def objection(memory: Memory, trust: Trust, observe_time: int, now: int) -> Reason | None:
    """Return why something of this trust, said at this time, may not replace or delete `memory`; None: it may.

    A memory that says of itself that it is still to be said has a wrong date, and is no newer than anything.
    """
    if observe_time < memory.observe_time <= now:
        return Reason.OUTDATED
    if trust is Trust.INFERRED and memory.trust in (Trust.STATED, Trust.IMPORTED):
        return Reason.OUTRANKED
    return None


def is_meant(memory: Memory, operation: Operation) -> bool:
    """Tell whether a DELETE by key or topic, or a CLEAR, is about `memory`."""
    if operation.action is Action.CLEAR:
        return True
    if operation.among and memory.number not in operation.among:
        return False
    key, topic = operation.key, operation.topic.casefold()
    by_key = bool(key) and memory.layer is operation.layer and f"{memory.key}.".startswith(f"{key}.")
    return by_key or (bool(topic) and topic in {each.casefold() for each in memory.topics})


def asks_to_forget(quote: str, said: str = "") -> bool:
    """Tell whether `quote`, with the rest of its sentence in `said`, asks for something to be forgotten."""
    return _FORGET.search(_sentence(quote, said)) is not None


def terms_said(quote: str, said: str) -> frozenset[str]:
    """Return the terms of `quote`, with the rest of its sentence in `said`."""
    return _terms(_sentence(quote, said))


def tells_of(terms: frozenset[str], memory: Memory) -> bool:
    """Tell whether one of the terms that were said is in a memory.

    "Forget everything" has none: by whatever operation it is carried out, it comes to clearing.
    """
    about = " ".join((memory.text, memory.key.replace(".", " ").replace("_", " "), *memory.topics))
    return not terms.isdisjoint(_terms(about))


def _terms(text: str) -> frozenset[str]:
    return frozenset(shared_analyzer.query_terms(text))


def names(quote: str, name: str) -> bool:
    """Tell whether a word of a key or topic is among the words of `quote`."""
    said = {_stem(word) for word in _WORD.findall(quote.casefold())}
    return any(_stem(word) in said for word in _WORD.findall(name.casefold().replace("_", " ")))


_WORD: Final = re.compile(r"\w+")
_SENTENCE_ENDS: Final = re.compile(r"[.!?。！？\n]+")
_FORGET: Final = re.compile(
    r"\b(?:forget|delete|remove|erase|clear|wipe|purge|unlearn|scrub|get rid of|throw away"
    r"|(?:don'?t|do not|stop|no longer) (?:remember|keep|stor|sav)\w*"
    r"|vergiss|vergessen|vergesst|lösch\w*|entfern\w*|streich\w*"
    r"|oubli\w*|supprim\w*|effac\w*|enlèv\w*"
    r"|olvid\w*|borr[ae]\w*|elimin\w*|quita\w*|suprim\w*"
    r"|esque[cç]\w*|apag\w*|delet\w*|remov\w*|exclu\w*"
    r"|dimentic\w*|scord\w*|cancell\w*|rimuov\w*"
    r"|vergeet|vergeten|verwijder\w*|wis|wissen|glöm\w*|radera\w*|ta bort|glem\w*|slett\w*|fjern\w*|unohda|poista\w*"
    r"|zapomnij|usuń|usunąć|skasuj|zapomeň|smaž|odstraň|zabudni|felejts\w*|töröl\w*|uită|șterge\w*"
    r"|забуд\w*|забы\w*|удали\w*|сотри|стер\w*|видали\w*|ξέχασε|διάγραψε|σβήσε|unut\w*|sil|lupakan|hapus\w*|quên|xóa)\b"
    r"|انس|امسح|احذف|שכח|תשכח|מחק|भूल|हटा|मिटा|忘|删|刪|清除|抹掉|削除|消し|消去|잊|삭제|지워|ลืม|ลบ",
    re.IGNORECASE,
)


def _sentence(quote: str, said: str) -> str:
    at = said.find(quote) if quote else -1
    if at < 0:
        return quote
    start = max((match.end() for match in _SENTENCE_ENDS.finditer(said, 0, at)), default=0)
    end = _SENTENCE_ENDS.search(said, at + len(quote))
    return said[start : end.start() if end else len(said)]


def _stem(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") else word

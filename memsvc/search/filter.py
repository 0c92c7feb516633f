"""Which memories are meant: the same filter for list, search, clear, watch and context."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import msgspec

from memsvc.invisible import DEFAULT_IGNORABLE
from memsvc.model import Layer, Memory, Polarity, Trust
from memsvc.search.languages import fold


class TimeRange(msgspec.Struct, frozen=True, gc=False):
    """Half-open, microseconds since the epoch; 0: no bound."""

    start: int = 0
    end: int = 0

    def holds(self, time: int) -> bool:
        return (not self.start or time >= self.start) and (not self.end or time < self.end)


ALWAYS = TimeRange()


class MemoryFilter(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """Fields are combined with AND, values of one field with OR. Empty: all memories."""

    layers: tuple[Layer, ...] = ()
    topics_any: tuple[str, ...] = ()
    topics_all: tuple[str, ...] = ()
    key_path: str = ""
    text_contains: str = ""
    agent_ids: tuple[str, ...] = ()
    team_ids: tuple[str, ...] = ()
    session_ids: tuple[str, ...] = ()
    trusts: tuple[Trust, ...] = ()
    polarities: tuple[Polarity, ...] = ()
    engines: tuple[str, ...] = ()
    metadata: Mapping[str, str] = {}
    create_time: TimeRange = ALWAYS
    update_time: TimeRange = ALWAYS
    observe_time: TimeRange = ALWAYS
    memory_ids: tuple[str, ...] = ()
    config_before: int = 0
    valid_at: int = 0
    """Microseconds since the epoch; 0: as it is now. Readers ask `with_past` for the facts that were so then."""
    include_superseded: bool = False

    @property
    def empty(self) -> bool:
        return self is ANY or self == ANY


ANY = MemoryFilter()


def fold_text(text: str) -> str:
    """Return `text` without case, accents and what is invisible, in one spelling of each letter."""
    import unicodedata

    decomposed = unicodedata.normalize("NFKD", fold(text).casefold()).translate(_ONE_SPELLING)
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def wording(text: str) -> str:
    """Return what two texts share that say the same in the same words: `text` without case and a closing dot.

    Accents stay, unlike in what is searched: they tell バス from パス, "mà" from "má", "schon" from "schön".
    """
    folded = text.casefold() if text.isascii() else _one_form(text)
    return " ".join(folded.split()).rstrip(".!。")


def plain_wording(text: str) -> str:
    """Return `wording` without accents, as what is searched is without them: for whoever asks for that."""
    return fold(wording(text))


def _one_form(text: str) -> str:
    import unicodedata

    decomposed = unicodedata.normalize("NFKD", text).casefold().translate(_ONE_SPELLING)
    return unicodedata.normalize("NFC", _UNWRITTEN.sub("", decomposed))


_ONE_SPELLING = str.maketrans({"\u200c": " ", "ة": "ه"})
_UNWRITTEN = re.compile(
    rf"[{DEFAULT_IGNORABLE}\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670]"
)
"""What is invisible, and the vowel points of Hebrew and Arabic, which most people leave out."""


def matcher(wanted: MemoryFilter) -> Callable[[Memory], bool]:
    """Return the filter as a predicate, with only the tests that it asks for."""
    tests: list[Callable[[Memory], bool]] = []
    _membership(wanted, tests)
    if wanted.topics_any:
        any_of = {topic.casefold() for topic in wanted.topics_any}
        tests.append(lambda memory: any(topic.casefold() in any_of for topic in memory.topics))
    if wanted.topics_all:
        all_of = {topic.casefold() for topic in wanted.topics_all}
        tests.append(lambda memory: all_of <= {topic.casefold() for topic in memory.topics})
    if wanted.key_path:
        prefix, below = wanted.key_path, wanted.key_path + "."
        tests.append(lambda memory: memory.key == prefix or memory.key.startswith(below))
    if wanted.text_contains:
        needle = fold_text(wanted.text_contains)
        tests.append(lambda memory: needle in fold_text(memory.text))
    if wanted.metadata:
        entries = wanted.metadata.items()
        tests.append(lambda memory: all(memory.metadata.get(key) == value for key, value in entries))
    if wanted.create_time != ALWAYS:
        tests.append(lambda memory: wanted.create_time.holds(memory.create_time))
    if wanted.update_time != ALWAYS:
        tests.append(lambda memory: wanted.update_time.holds(memory.update_time))
    if wanted.observe_time != ALWAYS:
        tests.append(lambda memory: wanted.observe_time.holds(memory.observe_time))
    if wanted.valid_at:
        tests.append(lambda memory: memory.holds_at(wanted.valid_at))
    if wanted.config_before:
        tests.append(lambda memory: memory.config_revision < wanted.config_before)
    return lambda memory: all(test(memory) for test in tests)


def _membership(wanted: MemoryFilter, tests: list[Callable[[Memory], bool]]) -> None:
    if wanted.layers:
        layers = frozenset(wanted.layers)
        tests.append(lambda memory: memory.layer in layers)
    if wanted.agent_ids:
        agents = frozenset(wanted.agent_ids)
        tests.append(lambda memory: memory.origin.agent_id in agents)
    if wanted.team_ids:
        teams = frozenset(wanted.team_ids)
        tests.append(lambda memory: memory.origin.team_id in teams)
    if wanted.session_ids:
        sessions = frozenset(wanted.session_ids)
        tests.append(lambda memory: memory.origin.session_id in sessions)
    if wanted.trusts:
        trusts = frozenset(wanted.trusts)
        tests.append(lambda memory: memory.trust in trusts)
    if wanted.polarities:
        polarities = frozenset(wanted.polarities)
        tests.append(lambda memory: memory.polarity in polarities)
    if wanted.engines:
        engines = frozenset(wanted.engines)
        tests.append(lambda memory: memory.origin.engine in engines)
    if wanted.memory_ids:
        ids = frozenset(wanted.memory_ids)
        tests.append(lambda memory: memory.memory_id in ids)

"""Which inferred policies give way to an explicit one about the same thing.

Two policies are about the same thing when their keys are the same but for parts in front (`tone`, `email.tone`), when
one of them has no key and both have the same topics, or when one has no key and a topic that is the other's key or its
last part (`response style`, `answers.response_style`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Final

from msgspec import Struct

from memsvc.context.contract import Source
from memsvc.model import Layer, Memory, Trust

MAX_COMPARED: Final = 256
"""Policies of a user, from the first on, that are compared with each other."""
_INFERRED_KEY: Final = "context.inferred_policies"
_STATED_KEY: Final = "context.stated_policies"


def outranked(source: Source, own: Source) -> Mapping[str, Memory]:
    """Return, by id, the source's inferred policies of which its own, or the user's, explicit ones speak."""
    inferred = _inferred_of(source)
    if source is own or not inferred.policies:
        return inferred.outranked
    stated = _stated_of(own)
    return inferred.outranked | {each.memory_id: each for each in inferred.policies if stated.speak_of(each)}


class _Inferred(Struct, frozen=True, gc=False):
    """A user's inferred policies, and which of them give way to its explicit ones."""

    policies: tuple[Memory, ...] = ()
    outranked: dict[str, Memory] = {}


_NOTHING_INFERRED: Final = _Inferred()
"""One for all users who have none, as most do: whatever is kept of a hot user costs the collector time."""


def _inferred_of(source: Source) -> _Inferred:
    known = source.cache.get(_INFERRED_KEY)
    if not isinstance(known, _Inferred):
        known = _NOTHING_INFERRED
        policies = tuple(each for each in _policies(source) if each.trust is Trust.INFERRED)
        if policies:
            stated = _stated_of(source)
            known = _Inferred(policies, {each.memory_id: each for each in policies if stated.speak_of(each)})
        source.cache[_INFERRED_KEY] = known
    return known


def _stated_of(source: Source) -> _Stated:
    known = source.cache.get(_STATED_KEY)
    if not isinstance(known, _Stated):
        known = source.cache[_STATED_KEY] = _Stated(_policies(source))
    return known


def _policies(source: Source) -> Iterable[Memory]:
    return islice(source.layer(Layer.POLICY).values(), MAX_COMPARED)


class _Stated:
    """What the explicit ones of a user's policies are about."""

    def __init__(self, policies: Iterable[Memory]) -> None:
        self._keys: set[str] = set()
        self._ends: set[str] = set()
        self._topics: set[frozenset[str]] = set()
        self._unkeyed_topics: set[frozenset[str]] = set()
        self._single_topics: set[str] = set()
        for policy in policies:
            if policy.trust is Trust.STATED:
                self._note(policy)

    def _note(self, memory: Memory) -> None:
        topics = _topics(memory)
        self._topics.add(topics)
        if memory.key:
            key, *rest = _ends(memory.key)
            self._keys.add(key)
            self._ends.update((key, *rest))
        else:
            self._unkeyed_topics.add(topics)
            self._single_topics |= topics

    def speak_of(self, memory: Memory) -> bool:
        """Tell whether an explicit policy is about the same thing as this one."""
        topics = _topics(memory)
        if not memory.key:
            return (bool(topics) and topics in self._topics) or any(topic in self._ends for topic in topics)
        ends = list(_ends(memory.key))
        return (
            ends[0] in self._ends
            or any(end in self._keys for end in ends)
            or (bool(topics) and topics in self._unkeyed_topics)
            or ends[-1] in self._single_topics
        )


def _ends(key: str) -> Iterator[str]:
    """Yield the key, and what is left of it without its first part, without its first two, and so on."""
    key = key.casefold()
    yield key
    while "." in key:
        key = key.partition(".")[2]
        yield key


def _topics(memory: Memory) -> frozenset[str]:
    return frozenset("_".join(topic.casefold().replace("-", " ").split()) for topic in memory.topics)

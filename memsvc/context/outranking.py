"""Which inferred policies give way to an explicit one about the same thing.

Two policies are about the same thing when their keys are the same but for parts in front (`tone`, `email.tone`), when
one of them has no key and both have the same topics, or when one has no key and a topic that is the other's key or its
last part (`response style`, `answers.response_style`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Final

from memsvc.context.contract import Source
from memsvc.model import Layer, Memory, Trust

MAX_COMPARED: Final = 256
"""Policies of a user, from the first on, that are compared with each other."""
_CACHE_KEY: Final = "context.policies"


def outranked(source: Source, own: Source) -> Mapping[str, Memory]:
    """Return, by id, the source's inferred policies of which its own, or the user's, explicit ones speak."""
    policies = _policies_of(source)
    if source is own or not policies.inferred:
        return policies.outranked
    users = _policies_of(own)
    return policies.outranked | {memory.memory_id: memory for memory in policies.inferred if users.speak_of(memory)}


class _Policies:
    """A user's inferred policies, what its explicit ones are about, and which of the former give way to the latter."""

    def __init__(self, memories: Iterable[Memory]) -> None:
        self.inferred: list[Memory] = []
        self._keys: set[str] = set()
        self._ends: set[str] = set()
        self._topics: set[frozenset[str]] = set()
        self._unkeyed_topics: set[frozenset[str]] = set()
        self._single_topics: set[str] = set()
        for memory in memories:
            if memory.trust is Trust.INFERRED:
                self.inferred.append(memory)
            elif memory.trust is Trust.STATED:
                self._note(memory)
        self.outranked = {memory.memory_id: memory for memory in self.inferred if self.speak_of(memory)}

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


def _policies_of(source: Source) -> _Policies:
    known = source.cache.get(_CACHE_KEY)
    if not isinstance(known, _Policies):
        known = _Policies(islice(source.layer(Layer.POLICY).values(), MAX_COMPARED))
        source.cache[_CACHE_KEY] = known
    return known


def _ends(key: str) -> Iterator[str]:
    """Yield the key, and what is left of it without its first part, without its first two, and so on."""
    key = key.casefold()
    yield key
    while "." in key:
        key = key.partition(".")[2]
        yield key


def _topics(memory: Memory) -> frozenset[str]:
    return frozenset("_".join(topic.casefold().replace("-", " ").split()) for topic in memory.topics)

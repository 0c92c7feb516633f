"""What a consolidation would do, as operations on memories that were read; and doing it, on a draft.

Without a model only what cannot be wrong: the same words twice, and what its own dates say is over. For example "Likes
dogs." and "The user likes dogs" are one memory; "Likes cats", "Liked dogs" and "Likes two dogs" are others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from memsvc.journal.draft import Draft
from memsvc.limits import METADATA_BYTES, TOPICS
from memsvc.model import Memory, Trust, encode
from memsvc.search.filter import wording

PART_CHANGES: Final = 250
PART_BYTES: Final = 1 << 20
"""One consolidation changes so many memories at most, or so much: the next one has the others."""

_STOPS: Final = ".,;:!?…\"'“”„‘’«»()[]。、，！？；：「」"
_NOT_TELLING: Final = frozenset(("the", "a", "an", "user", "user's", "users", "their", "his", "her", "my"))
_RANKS: Final = (Trust.STATED, Trust.IMPORTED, Trust.FROM_TOOL, Trust.INFERRED)
"""From what is trusted most to what is trusted least."""


class Known(Struct, frozen=True, gc=False):
    """A memory as it was read: one that has changed since is left alone."""

    memory_id: str
    etag: str


class Merging(Struct, frozen=True, gc=False):
    """Several memories become the first of them."""

    memories: tuple[Known, ...]
    text: str = ""
    """What it says then; empty: what the one of them says that is trusted most and says most."""


class Retiring(Struct, frozen=True, gc=False):
    """A memory becomes a fact of the past."""

    memory: Known
    time: int
    """Since when it is no longer so."""
    successor: Known | None = None
    """What is so instead."""


Operation = Merging | Retiring


def known(memory: Memory) -> Known:
    """Return what names a memory as it is."""
    return Known(memory.memory_id, memory.etag)


def plain_operations(memories: Sequence[Memory], now: int) -> list[Operation]:
    """Return what there is to do without a model: duplicates by words, and what is over by its own dates."""
    operations: list[Operation] = []
    over = {each.memory_id for each in memories if is_over(each, now)}
    operations += [Retiring(known(each), each.valid_to) for each in memories if each.memory_id in over]
    alike: dict[tuple[object, ...], list[Memory]] = {}
    for memory in memories:
        if memory.key or memory.memory_id in over:
            continue
        place = (memory.layer, memory.polarity, memory.origin.author_id, telling_words(memory.text))
        alike.setdefault(place, []).append(memory)
    for group in alike.values():
        for compatible in _compatible(group):
            if len(compatible) > 1:
                operations.append(Merging(tuple(map(known, compatible))))
    return operations


def is_over(memory: Memory, now: int) -> bool:
    """Return whether a memory was so when it was said, and is no longer: "is on vacation until June"."""
    return 0 < memory.valid_to <= now and memory.valid_to > (memory.observe_time or memory.create_time)


def telling_words(text: str) -> tuple[str, ...]:
    """Return the words of a text in order, without articles, "the user" and plural endings.

    Not stemmed further: what was so ("liked") is not what is so. Signs are words or belong to them, but for those that
    end a part of a sentence: 🍕 is not 🍔, "A-" not "A", "10 %" not "10". The last word always tells: "vitamin A".
    """
    words = [word for each in wording(text).split() if (word := each.strip(_STOPS))]
    telling = [word for word in words[:-1] if word not in _NOT_TELLING]
    return tuple(_singular(word) for word in (*telling, *words[-1:])) or (wording(text),)


def carry_out(draft: Draft, operations: Iterable[Operation]) -> None:
    """Put into `draft` what operations lead to; those are left out whose memories are no longer as they were read."""
    size = 0
    for operation in operations:
        if len(draft.changes) >= PART_CHANGES or size > PART_BYTES:
            return
        if isinstance(operation, Retiring):
            memory = _unchanged(draft, operation.memory)
            successor = _unchanged(draft, operation.successor) if operation.successor is not None else None
            if memory is not None and (operation.successor is None or successor is not None):
                size += 2 * len(encode(memory))
                draft.end(memory, operation.time, successor.memory_id if successor is not None else "")
            continue
        memories = [_unchanged(draft, each) for each in operation.memories]
        if any(each is None for each in memories):
            continue
        together = [each for each in memories if each is not None]
        size += sum(len(encode(each)) for each in together)
        _merge(draft, together, operation.text)


def _merge(draft: Draft, memories: Sequence[Memory], text: str) -> None:
    kept = min(memories, key=lambda each: each.number)
    best = min(memories, key=lambda each: (_RANKS.index(each.trust), -len(each.text), -each.observe_time))
    expiries = [each.expire_time for each in memories]
    metadata = {name: value for each in reversed(memories) for name, value in each.metadata.items()}
    topics = tuple(dict.fromkeys(topic for each in memories for topic in each.topics))
    merged = replace(
        kept,
        text=text or best.text,
        input=best.input,
        origin=best.origin,
        # What a model has made of several is trusted no more than the least of them.
        trust=max((each.trust for each in memories), key=_RANKS.index) if text else best.trust,
        topics=topics[:TOPICS],
        metadata=metadata if _size(metadata) <= METADATA_BYTES else kept.metadata,
        observe_time=max(each.observe_time for each in memories),
        expire_time=max(expiries) if all(expiries) else 0,
        valid_from=next((each.valid_from for each in (best, *memories) if each.valid_from), 0),
        valid_to=next((each.valid_to for each in (best, *memories) if each.valid_to), 0),
    )
    for memory in memories:
        if memory is not kept:
            draft.delete(memory)
    draft.replace(kept, merged)


def _compatible(group: Sequence[Memory]) -> Iterable[list[Memory]]:
    """Yield those together whose dates do not contradict each other."""
    rest = list(group)
    while rest:
        first, *others = rest
        fitting = [each for each in others if _date_alike(first, each)]
        yield [first, *fitting]
        rest = [each for each in others if each not in fitting]


def _date_alike(one: Memory, other: Memory) -> bool:
    pairs = ((one.valid_from, other.valid_from), (one.valid_to, other.valid_to))
    return all(first == second for first, second in pairs)


def _unchanged(draft: Draft, wanted: Known) -> Memory | None:
    memory = draft.find(wanted.memory_id)
    return memory if memory is not None and memory.etag == wanted.etag and not memory.superseded else None


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _size(metadata: dict[str, str]) -> int:
    return sum(len(name.encode()) + len(value.encode()) for name, value in metadata.items())

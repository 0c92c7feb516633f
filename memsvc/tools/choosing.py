"""Which memories a model wants forgotten: by number, key, topic or description, or all of them.

What is not certain is not forgotten: a description has to fit one memory, all of its words; where it fits several, or
only nearly, the answer says which there are, so that the model can name one by its number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct

from memsvc.errors import FailedPrecondition, NotFound, Reason, invalid
from memsvc.model import Layer, Memory
from memsvc.search.filter import MemoryFilter, matcher
from memsvc.search.memory_terms import searchable_text
from memsvc.search.text import shared_analyzer
from memsvc.tools.answers import listed
from memsvc.tools.arguments import Arguments
from memsvc.tools.permissions import Permissions

_MOST_SHOWN = 5
_FEW = 5
"""So many memories are forgotten by a key or topic, even if there are no others."""


class Choice(Struct, frozen=True):
    """How memories are named: in exactly one way."""

    number: int = 0
    key: str = ""
    topic: str = ""
    description: str = ""
    everything: bool = False
    layer: Layer | None = None
    nearest: Mapping[str, str] = {}
    """With a description: the etags, by id, of the memories that may be meant, nearest first."""


def read_choice(given: Arguments) -> Choice:
    """Return what a call of `forget` names. Raises InvalidArgument unless it is named in one way."""
    choice = Choice(
        given.number(),
        given.key(),
        given.text("topic"),
        given.text("description"),
        given.flag("all"),
        given.layer(),
    )
    ways = [choice.number, choice.key, choice.topic, choice.description, choice.everything]
    if sum(map(bool, ways)) != 1:
        raise invalid("arguments", "must name what to forget in exactly one way: number, key, topic or description")
    if choice.description and not _terms(choice.description):
        raise invalid("description", "must hold words that tell which memory is meant")
    return choice


def chosen(
    choice: Choice,
    memories: Iterable[Memory],
    permissions: Permissions,
    former: Iterable[Memory] = (),
    gone: int = 0,
) -> Sequence[Memory]:
    """Return the memories that are meant, of those that can be seen; by key, topic or all those of the past, too.

    `gone` is how many went lately without being named one by one.

    Raises NotFound where there is none, FailedPrecondition (AMBIGUOUS) where a description does not tell which one,
    and OPERATION_FORBIDDEN where it comes to forgetting everything and that is not allowed.
    """
    if choice.everything:
        permissions.require_clear()
    everything = list(memories)
    seen = [memory for memory in everything if choice.layer in (None, memory.layer)]
    if choice.description:
        return [_described(choice, seen)]
    if choice.number:
        found = [memory for memory in seen if memory.number == choice.number]
    elif choice.everything:
        found = list(seen)
    else:
        found = list(filter(_matcher(choice), seen))
    if not choice.number and len(found) + gone > _FEW and len(found) == len(everything):
        # By another name, or in several steps, it is the same.
        permissions.require_clear()
    if not choice.number:
        past = [memory for memory in former if choice.layer in (None, memory.layer)]
        found += past if choice.everything else filter(_matcher(choice), past)
    if not found:
        raise nothing_there(choice)
    return found


def _matcher(choice: Choice) -> Callable[[Memory], bool]:
    return matcher(MemoryFilter(key_path=choice.key, topics_any=(choice.topic,) if choice.topic else ()))


def nothing_there(choice: Choice) -> NotFound:
    """Return the error of a name that no memory has."""
    if choice.number:
        named = f"has the number m{choice.number}"
    elif choice.key:
        named = f"is at the key {choice.key}"
    elif choice.topic:
        named = f"has the topic {choice.topic}"
    else:
        named = "is there"
    message = f"no memory {named}: search_memories and get_memories show what there is"
    return NotFound(Reason.MEMORY_NOT_FOUND, message)


def _described(choice: Choice, seen: Sequence[Memory]) -> Memory:
    near = {memory.memory_id: memory for memory in seen if choice.nearest.get(memory.memory_id) == memory.etag}
    wanted = _terms(choice.description)
    ordered = [near[memory_id] for memory_id in choice.nearest if memory_id in near]
    exact = [memory for memory in ordered if wanted <= _terms(_said(memory))]
    if len(exact) == 1:
        return exact[0]
    candidates = exact or ordered
    if not candidates:
        raise NotFound(Reason.MEMORY_NOT_FOUND, "no memory is about that: get_memories shows what there is")
    which = "several memories fit that" if exact else "no memory holds all of these words; the nearest"
    shown = "\n".join(listed(candidates[:_MOST_SHOWN]))
    raise FailedPrecondition(Reason.AMBIGUOUS, f"{which}: name one by its number\n{shown}")


def _said(memory: Memory) -> str:
    return f"{searchable_text(memory)} {memory.input}"


def _terms(text: str) -> set[str]:
    return set(shared_analyzer.query_terms(text)) if text.strip() else set()

"""From proposed operations to changes: the same for every engine, on the state that the commit is decided on.

Duplicates merge, contradictions supersede, what an operation may not do is dropped.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from msgspec import Struct
from msgspec.structs import replace

from memsvc.errors import Error, Reason
from memsvc.extraction.engine import Action, Operation
from memsvc.ids import derived_id
from memsvc.journal.draft import Draft
from memsvc.limits import TEXT_BYTES, TOPIC_BYTES, TOPICS, check_memory
from memsvc.model import Layer, Memory, Origin, Polarity, Refusal, Trust
from memsvc.search.filter import fold_text


class Source(Struct, frozen=True):
    """Where a message of the conversation came from."""

    origin: Origin
    time: int


class Sources(Struct, frozen=True):
    """Where a conversation came from: one source a message, in order, and one for what names no message."""

    messages: Sequence[Source]
    default: Source

    def of(self, operation: Operation) -> Source:
        if 0 <= operation.message_index < len(self.messages):
            return self.messages[operation.message_index]
        return self.default


class Rights(Struct, frozen=True):
    """What engines may do, whatever was asked of them."""

    clear: bool = False
    """Forget everything at once."""


def reconcile(draft: Draft, operations: Sequence[Operation], sources: Sources, rights: Rights) -> tuple[Refusal, ...]:
    """Put into `draft` what `operations` lead to; return what was not done, by reason."""
    texts = _Texts(draft.state.memories())
    refused: list[Refusal] = []
    for index, operation in enumerate(operations):
        source = sources.of(operation)
        try:
            if operation.action is Action.CLEAR and not rights.clear:
                refused.append(Refusal(Reason.OPERATION_FORBIDDEN, "clearing a user's memory is switched off"))
            elif operation.action in (Action.CLEAR, Action.DELETE):
                for memory in _meant(draft, operation):
                    draft.delete(memory)
                    texts.remove(memory)
            else:
                memory_id = derived_id(draft.moment.time, draft.moment.nonce, index)
                _learn(draft, texts, _memory(memory_id, operation, source), operation)
        except Error as error:
            if error.reason is Reason.QUOTA_EXCEEDED:
                refused.append(Refusal(Reason.QUOTA_EXCEEDED, "memories did not fit the quota"))
    return joined(refused)


def joined(*refusals: Iterable[Refusal]) -> tuple[Refusal, ...]:
    """Return one refusal a reason, with how many operations it is about."""
    counted: dict[str, Refusal] = {}
    for refusal in chain(*refusals):
        earlier = counted.get(refusal.reason)
        count = refusal.count + (earlier.count if earlier is not None else 0)
        counted[refusal.reason] = replace(earlier or refusal, count=count)
    return tuple(counted.values())


class _Texts:
    """The memories by their folded text, so that the same fact in the same words is found at once."""

    def __init__(self, memories: Iterable[Memory]) -> None:
        self._by_text: dict[tuple[Layer, str], str] = {
            (memory.layer, _normal(memory.text)): memory.memory_id for memory in memories
        }

    def find(self, layer: Layer, text: str) -> str | None:
        return self._by_text.get((layer, _normal(text)))

    def add(self, memory: Memory) -> None:
        self._by_text[memory.layer, _normal(memory.text)] = memory.memory_id

    def remove(self, memory: Memory) -> None:
        self._by_text.pop((memory.layer, _normal(memory.text)), None)


def _normal(text: str) -> str:
    return " ".join(fold_text(text).split()).rstrip(".!")


def _learn(draft: Draft, texts: _Texts, proposed: Memory, operation: Operation) -> None:
    check_memory(proposed)
    before = _superseded(draft, operation, proposed)
    if before is None:
        duplicate = texts.find(proposed.layer, proposed.text)
        same = draft.find(duplicate) if duplicate is not None else None
        if same is not None:
            _merge(draft, same, proposed)
            return
        if proposed.key and draft.conflicting_key(proposed.layer, proposed.key) is not None:
            proposed = replace(proposed, key="", value_json="")
        texts.add(draft.create(proposed))
        return
    after = replace(
        before,
        text=proposed.text,
        value_json=_value(before, proposed),
        topics=_union(before.topics, proposed.topics),
        input=proposed.input or before.input,
        origin=proposed.origin,
        trust=proposed.trust,
        polarity=proposed.polarity,
        observe_time=proposed.observe_time,
    )
    if after.value_json != proposed.value_json:
        after = replace(after, text=_list_text(proposed, after.value_json))
    if (after.text, after.value_json, after.topics) == (before.text, before.value_json, before.topics):
        return
    if before.observe_time > proposed.observe_time and not operation.number:
        return
    texts.remove(before)
    texts.add(draft.replace(before, after))


def _memory(memory_id: str, operation: Operation, source: Source) -> Memory:
    return Memory(
        memory_id=memory_id,
        number=0,
        layer=operation.layer,
        text=operation.text.strip(),
        key=operation.key,
        value_json=operation.value_json if operation.key else "",
        topics=tuple(topic for topic in operation.topics if 0 < len(topic.encode()) <= TOPIC_BYTES)[:TOPICS],
        input=operation.quote if len(operation.quote.encode()) <= TEXT_BYTES else "",
        origin=source.origin,
        trust=operation.trust,
        polarity=operation.polarity if operation.layer is Layer.FEEDBACK else Polarity.NONE,
        observe_time=source.time,
    )


def _superseded(draft: Draft, operation: Operation, proposed: Memory) -> Memory | None:
    """Return the memory that the operation replaces: the one it names, or the one at its key."""
    if operation.number:
        named = _numbered(draft, operation.number)
        if named is not None and named.layer is proposed.layer and proposed.key in ("", named.key):
            return named
        if named is not None and operation.action is Action.UPDATE:
            draft.delete(named)
    if proposed.key:
        return draft.at(proposed.layer, proposed.key)
    return None


def _numbered(draft: Draft, number: int) -> Memory | None:
    for memory in draft.state.memories():
        if memory.number == number:
            return draft.find(memory.memory_id)
    return None


def _meant(draft: Draft, operation: Operation) -> list[Memory]:
    """Return the memories that are to be forgotten: all, one by number, or those by key and below, or by topic."""
    if operation.action is Action.CLEAR:
        return [memory for memory in map(draft.find, _ids(draft)) if memory is not None]
    if operation.number:
        named = _numbered(draft, operation.number)
        return [named] if named is not None else []
    key, topic = operation.key, operation.topic.casefold()
    if not key and not topic:
        return []
    found = []
    for memory in draft.state.memories():
        by_key = bool(key) and memory.layer is operation.layer and (memory.key + ".").startswith(key + ".")
        by_topic = bool(topic) and topic in {each.casefold() for each in memory.topics}
        if (by_key or by_topic) and draft.find(memory.memory_id) is not None:
            found.append(memory)
    return found


def _ids(draft: Draft) -> list[str]:
    """Return the memories there are, with those of the draft."""
    made = [change.memory_id for change in draft.changes]
    return list(dict.fromkeys([*(memory.memory_id for memory in draft.state.memories()), *made]))


def _merge(draft: Draft, same: Memory, proposed: Memory) -> None:
    """The fact is known: keep it, with the topics of both and the better trust."""
    topics = _union(same.topics, proposed.topics)
    trust = Trust.STATED if Trust.STATED in (same.trust, proposed.trust) else same.trust
    if topics != same.topics or trust is not same.trust:
        draft.replace(same, replace(same, topics=topics, trust=trust))


def _union(first: Sequence[str], second: Sequence[str]) -> tuple[str, ...]:
    seen: Mapping[str, str] = {topic.casefold(): topic for topic in (*second, *first)}
    return tuple(seen.values())[:TOPICS]


def _value(before: Memory, proposed: Memory) -> str:
    """Return the value after: lists merge by element, everything else is replaced."""
    old, new = _list(before.value_json), _list(proposed.value_json)
    if old is None or new is None:
        return proposed.value_json
    known = {json.dumps(item).casefold() for item in old}
    merged = [*old, *(item for item in new if json.dumps(item).casefold() not in known)]
    return json.dumps(merged, ensure_ascii=False)


def _list_text(proposed: Memory, value_json: str) -> str:
    """Return the text for a merged list: the sentence proposed, with the whole list in place of its part."""
    merged, part = _list(value_json) or [], _list(proposed.value_json) or []
    listed, wanted = ", ".join(map(str, part)), ", ".join(map(str, merged))
    if listed and listed in proposed.text:
        return proposed.text.replace(listed, wanted)
    return f"{proposed.key.replace('_', ' ').replace('.', ' ').capitalize()}: {wanted}"


def _list(value_json: str) -> list[object] | None:
    try:
        value = json.loads(value_json)
    except ValueError:
        return None
    return value if isinstance(value, list) else None

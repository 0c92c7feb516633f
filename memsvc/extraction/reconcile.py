"""From proposed operations to changes: the same for every engine, on the state that the commit is decided on.

Duplicates merge, contradictions supersede, what an operation may not do is refused (see `authority`). One record holds
only so many changes: what does not fit goes on in the next one, from where this one ended.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from memsvc.errors import Error, InvalidArgument, Reason
from memsvc.extraction.authority import (
    ADDING_IS_OFF,
    CLEARING_IS_OFF,
    DELETING_IS_OFF,
    REFUSALS,
    UPDATING_IS_OFF,
    Rights,
    asks_to_forget,
    is_meant,
    objection,
    tells_of,
    terms_said,
)
from memsvc.extraction.engine import Action, Operation
from memsvc.extraction.members import bare_key, is_member_key, member_key
from memsvc.extraction.saved import NOTHING_SAVED, Saved
from memsvc.extraction.schemas import in_form, is_single_key
from memsvc.ids import derived_id
from memsvc.journal.draft import Draft
from memsvc.json_text import json_text
from memsvc.limits import TEXT_BYTES, TOPIC_BYTES, TOPICS, check_memory
from memsvc.model import Layer, Memory, Origin, Polarity, Refusal, Trust, encode
from memsvc.search.filter import wording
from memsvc.settings.fitting import fitted, misfit, said
from memsvc.users.wordings import Wordings

NAMED_DETAILS: Final = 8
"""So many refusals of one reason are told apart."""
PART_CHANGES: Final = 250
PART_BYTES: Final = 1 << 20
"""One record takes operations until it holds so many changes, or so much."""


class Source(Struct, frozen=True):
    """Where a message of the conversation came from."""

    origin: Origin
    time: int
    said: str = ""
    """Its text."""


class Sources(Struct, frozen=True):
    """Where a conversation came from: one source a message, in order, and one for what names no message."""

    messages: Sequence[Source]
    default: Source
    shown: Mapping[int, str] | None = None
    """The memories that the engine saw: their ids by their numbers; None: it saw all."""
    of_members: bool = False
    """The user is a team: what an author says is kept as that author's."""
    saved: Saved = NOTHING_SAVED
    """What tools saved in the conversation: it is not learned again."""

    def of(self, operation: Operation) -> Source:
        if 0 <= operation.message_index < len(self.messages):
            return self.messages[operation.message_index]
        return self.default


class Reconciled(Struct, frozen=True):
    """How far the operations of an extraction have been reconciled."""

    next_operation: int = 0
    """The first that is not done, or not wholly."""
    deletions: int = 0
    """How many memories went that nobody asked to be forgotten."""
    refusals: tuple[Refusal, ...] = ()
    unnamed_deletions: int = 0
    """How many memories go in this record that no words of the user name."""


def reconcile(
    draft: Draft,
    operations: Sequence[Operation],
    sources: Sources,
    rights: Rights,
    before: Reconciled | None = None,
    wordings: Wordings | None = None,
) -> Reconciled:
    """Put into `draft` what `operations` lead to, going on after `before`, as many as one record takes.

    `wordings`: of the user's memories; where they are not of the draft's, all memories are read.
    """
    return _Reconciling(draft, sources, rights, before or Reconciled(), wordings).through(operations)


def joined(*refusals: Iterable[Refusal]) -> tuple[Refusal, ...]:
    """Return one refusal for each reason and detail, with how many operations it is about.

    Of a reason with very many details, those that are not named count as the first.
    """
    counted: dict[tuple[str, str], Refusal] = {}
    named: dict[str, list[str]] = {}
    for refusal in chain(*refusals):
        details = named.setdefault(refusal.reason, [])
        if refusal.detail not in details and len(details) < NAMED_DETAILS:
            details.append(refusal.detail)
        key = refusal.reason, refusal.detail if refusal.detail in details else details[0]
        earlier = counted.get(key)
        count = refusal.count + (earlier.count if earlier is not None else 0)
        counted[key] = replace(earlier or refusal, count=count)
    return tuple(counted.values())


class _Reconciling:
    """One pass over the operations, on one draft."""

    def __init__(
        self, draft: Draft, sources: Sources, rights: Rights, before: Reconciled, wordings: Wordings | None
    ) -> None:
        self._draft = draft
        self._sources = sources
        self._rights = rights
        self._start = before.next_operation
        self._deletions = before.deletions
        self._unnamed = 0
        self._refused = list(before.refusals)
        self._texts = _Texts(draft, wordings)
        self._bytes = 0

    def through(self, operations: Sequence[Operation]) -> Reconciled:
        for index in range(self._start, len(operations)):
            operation = operations[index]
            if self._is_full:
                return self._reached(index)
            try:
                if operation.action in (Action.CLEAR, Action.DELETE):
                    if not self._forget(operation):
                        return self._reached(index)
                else:
                    self._learn(index, operation)
            except Error as error:
                if error.reason is Reason.QUOTA_EXCEEDED:
                    self._refuse(Reason.QUOTA_EXCEEDED)
        return self._reached(len(operations))

    def _reached(self, index: int) -> Reconciled:
        return Reconciled(index, self._deletions, joined(self._refused), self._unnamed)

    @property
    def _is_full(self) -> bool:
        return len(self._draft.changes) >= PART_CHANGES or self._bytes > PART_BYTES

    @property
    def _comes_to_clearing(self) -> bool:
        """Whether one more memory that no words name, after those of the last month, is more than half of all.

        A wish that is repeated, or a model that is talked into it anew in each extraction, would clear as well.
        """
        state = self._draft.state
        gone = state.core.unnamed_deletions.within(self._draft.moment.time)
        most = max(self._rights.max_deletions, (state.memory_count + gone) // 2)
        return gone + self._unnamed >= most

    def _refuse(self, reason: Reason, detail: str = "") -> None:
        self._refused.append(Refusal(reason, detail or REFUSALS[reason]))

    def _objection(self, memory: Memory, trust: Trust, observe_time: int) -> Reason | None:
        return objection(memory, trust, observe_time, self._draft.moment.now)

    def _may(self, allowed: bool, detail: str) -> bool:
        """Return whether an operation is allowed; note that it is refused where not."""
        if not allowed:
            self._refuse(Reason.OPERATION_FORBIDDEN, detail)
        return allowed

    def _takes(self, layer: Layer) -> bool:
        """Return whether anything is learned into a layer, or from it forgotten; note that it is refused where not."""
        if not self._rights.layers[layer].learned:
            self._refuse(Reason.LAYER_NOT_LEARNED, f"nothing is learned into {layer}")
            return False
        return True

    def _forget(self, operation: Operation) -> bool:
        """Delete what an operation means; return False where more of it is left than the record takes."""
        if operation.action is Action.CLEAR:
            if not self._may(self._rights.clear, CLEARING_IS_OFF):
                return True
        elif not self._may(self._rights.delete, DELETING_IS_OFF):
            return True
        source = self._sources.of(operation)
        is_wish = asks_to_forget(operation.quote, source.said)
        terms = terms_said(operation.quote, source.said)
        for memory in self._meant(operation, source, is_asked_for=is_wish):
            if self._is_full:
                return False
            if not self._takes(memory.layer):
                continue
            if self._draft.find(memory.memory_id) is None:
                # It went with the memory that took its place.
                continue
            is_named = self._rights.clear or tells_of(terms, memory)
            if reason := self._objection(memory, operation.trust, source.time):
                self._refuse(reason)
            elif not is_wish and self._deletions >= self._rights.max_deletions:
                self._refuse(Reason.TOO_MANY_DELETIONS)
            elif not is_named and self._comes_to_clearing:
                self._refuse(Reason.OPERATION_FORBIDDEN, CLEARING_IS_OFF)
            else:
                self._deletions += not is_wish
                self._unnamed += not is_named
                if is_wish:
                    self._delete(memory)
                else:
                    self._end(memory, operation.valid_to or source.time)
        return True

    def _delete(self, memory: Memory) -> None:
        self._bytes += len(encode(memory))
        self._draft.delete(memory)

    def _end(self, memory: Memory, time: int) -> None:
        """Let a memory be a fact of the past: nobody asked for it to be forgotten."""
        self._bytes += 2 * len(encode(memory))
        self._draft.end(memory, time)

    def _meant(self, operation: Operation, source: Source, *, is_asked_for: bool) -> list[Memory]:
        """Return the memories that are to be forgotten, as they are in the draft; if asked for, of the past too."""
        if operation.number:
            named = self._numbered(operation.number)
            return [named] if named is not None else []
        operation = replace(operation, key=self._key(operation, source))
        made = [change.memory_id for change in self._draft.changes]
        state = self._draft.state
        known = state.all_memories() if is_asked_for else state.memories()
        ids = dict.fromkeys([*(memory.memory_id for memory in known), *made])
        present = [memory for memory in map(self._draft.find, ids) if memory is not None]
        author_id = source.origin.author_id
        if self._sources.of_members and author_id:
            # "Forget my job": a member's own, and nobody else's.
            present = [memory for memory in present if memory.origin.author_id == author_id]
        return [memory for memory in present if is_meant(memory, operation)]

    def _key(self, operation: Operation, source: Source) -> str:
        author_id = source.origin.author_id
        if self._sources.of_members and author_id and operation.layer is Layer.PROFILE and operation.key:
            return member_key(author_id, operation.key)
        return operation.key

    def _placed(self, operation: Operation, source: Source) -> Operation:
        """Return a fact at its place, in its form; what a member says of another one's has no place of its own."""
        if self._rights.layers[operation.layer].schema is None and operation.key:
            key = bare_key(operation.key)
            value_json = in_form(operation.layer, key, operation.value_json, operation.text)
            operation = replace(operation, value_json=value_json)
        author_id = source.origin.author_id
        is_shown = self._sources.of_members and operation.layer is Layer.PROFILE and is_member_key(operation.key)
        if not is_shown or not author_id:
            return replace(operation, key=self._key(operation, source))
        if operation.key.startswith(member_key(author_id, "")):
            return operation
        return replace(operation, action=Action.ADD, number=0, key="", value_json="")

    def _numbered(self, number: int) -> Memory | None:
        shown = self._sources.shown
        if shown is not None:
            named = self._draft.find(shown[number]) if number in shown else None
            # What was deleted meanwhile may be there anew, under its id: it is another memory.
            return named if named is not None and named.number == number else None
        for memory in self._draft.state.memories():
            if memory.number == number:
                return self._draft.find(memory.memory_id)
        return None

    def _learn(self, index: int, operation: Operation) -> None:
        draft, source = self._draft, self._sources.of(operation)
        operation = self._placed(operation, source)
        if operation.valid_from > source.time or 0 < operation.valid_to <= source.time:
            # What is over, or still to come, is not what the key says now.
            operation = replace(operation, key="", value_json="")
        memory_id = derived_id(draft.moment.time, draft.moment.nonce, index)
        proposed = self._acceptable(_memory(memory_id, operation, source))
        if proposed is None or self._sources.saved.holds(proposed, operation.number):
            return
        check_memory(proposed)
        before = self._superseded(operation, proposed)
        if before is not None:
            self._replace(before, proposed, operation)
            return
        author_id = source.origin.author_id if self._sources.of_members else ""
        same = self._texts.find(proposed.layer, proposed.text)
        if same is not None and (not self._sources.of_members or same.origin.author_id == author_id):
            self._merge(same, proposed)
            return
        if proposed.key and draft.conflicting_key(proposed.layer, proposed.key) is not None:
            proposed = replace(proposed, key="", value_json="")
        if self._may(self._rights.add, ADDING_IS_OFF):
            self._put(draft.create(proposed))

    def _acceptable(self, proposed: Memory) -> Memory | None:
        """Return what is proposed as its layer takes it; None: it does not, which is noted."""
        layer = self._rights.layers[proposed.layer]
        if not self._takes(proposed.layer):
            return None
        if layer.stated_only and proposed.trust is not Trust.STATED:
            self._refuse(Reason.NOT_STATED, f"only what is stated is learned into {proposed.layer}")
            return None
        if layer.schema is not None:
            proposed = fitted(proposed, layer.schema)
            wrong = misfit(proposed, layer.schema)
            if wrong is not None:
                # A key that the schema does not have is a model's own words: it is not repeated.
                detail = f"{proposed.layer} has a schema without such a key" if wrong.is_unknown_key else ""
                self._refuse(Reason.SCHEMA_VIOLATION, detail or said(proposed, wrong))
                return None
        return replace(proposed, config_revision=self._rights.config_revision)

    def _put(self, memory: Memory) -> None:
        self._bytes += len(encode(memory))
        self._texts.add(memory)

    def _superseded(self, operation: Operation, proposed: Memory) -> Memory | None:
        """Return the memory that the operation replaces: the one it names, or the one at its key."""
        if operation.number:
            named = self._draft.unless_expired(self._numbered(operation.number))
            if named is not None and named.layer is proposed.layer and proposed.key in ("", named.key):
                return named
            if named is not None and operation.action is Action.UPDATE:
                if reason := self._objection(named, proposed.trust, proposed.observe_time):
                    self._refuse(reason)
                elif self._takes(named.layer) and self._may(self._rights.delete, DELETING_IS_OFF):
                    self._end(named, operation.valid_from or proposed.observe_time)
        if proposed.key:
            return self._draft.unless_expired(self._draft.at(proposed.layer, proposed.key))
        return None

    def _replace(self, before: Memory, proposed: Memory, operation: Operation) -> None:
        # An update names the whole list: what it leaves out is no longer so.
        has_form = self._rights.layers[before.layer].schema is None
        value_json = proposed.value_json
        if operation.action is not Action.UPDATE:
            value_json = united_value(before, proposed, has_form=has_form)
        after = replace(
            before,
            text=proposed.text,
            value_json=value_json,
            topics=_union(before.topics, proposed.topics),
            input=proposed.input or before.input,
            origin=proposed.origin,
            trust=proposed.trust,
            polarity=proposed.polarity,
            observe_time=proposed.observe_time,
            config_revision=proposed.config_revision,
            valid_from=proposed.valid_from,
            valid_to=proposed.valid_to,
        )
        if after.value_json != proposed.value_json:
            after = replace(after, text=list_sentence(proposed, after.value_json))
        says_the_same = after.value_json == before.value_json and wording(after.text) == wording(before.text)
        if says_the_same or _list(after.value_json) is not None:
            # It goes on to be so, since when it was.
            after = _dated(after, after, before)
        if _content(after) == _content(before):
            return
        if reason := self._objection(before, proposed.trust, proposed.observe_time):
            self._refuse(reason)
            return
        if not self._may(self._rights.update, UPDATING_IS_OFF):
            return
        if not _is_within_limits(after):
            # Each part of a list is within them, and the list has grown beyond.
            self._refuse(Reason.REQUEST_TOO_LARGE, f"a list of {after.layer} takes no more: it would pass a limit")
            return
        schema = self._rights.layers[after.layer].schema
        wrong = misfit(after, schema) if schema is not None else None
        if wrong is not None:
            # Each part of a list may fit, and the list be too long.
            self._refuse(Reason.SCHEMA_VIOLATION, said(after, wrong))
            return
        if says_the_same or operation.corrects or _list(after.value_json) is not None:
            self._put(self._draft.replace(before, after))
        else:
            self._bytes += len(encode(before))
            self._put(self._draft.supersede(before, after, proposed.valid_from or proposed.observe_time))

    def _merge(self, same: Memory, proposed: Memory) -> None:
        """The fact is known: keep it, with the topics of both and the better trust."""
        topics = _union(same.topics, proposed.topics)
        trust = Trust.STATED if Trust.STATED in (same.trust, proposed.trust) else same.trust
        merged = _dated(replace(same, topics=topics, trust=trust), proposed, same)
        if self._rights.update and merged != same:
            self._put(self._draft.replace(same, merged))


class _Texts:
    """Finds the memory that says something in the same words, as the changes so far leave it."""

    def __init__(self, draft: Draft, wordings: Wordings | None) -> None:
        self._draft = draft
        self._wordings = wordings
        self._put: dict[tuple[Layer, str], str] = {}
        """The memories that the draft has made or changed."""

    def find(self, layer: Layer, text: str) -> Memory | None:
        layers = self._draft.state.layers
        if self._wordings is None or self._wordings.layers is not layers:
            self._wordings = Wordings.build(layers)
        wanted = layer, wording(text)
        for memory_id in (self._put.get(wanted, ""), *reversed(self._wordings.find(layer, text))):
            memory = self._draft.unless_expired(self._draft.find(memory_id))
            if memory is not None and (memory.layer, wording(memory.text)) == wanted:
                return memory
        return None

    def add(self, memory: Memory) -> None:
        self._put[memory.layer, wording(memory.text)] = memory.memory_id


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
        valid_from=operation.valid_from,
        valid_to=operation.valid_to if operation.valid_to > operation.valid_from else 0,
    )


def _dated(memory: Memory, said: Memory, before: Memory) -> Memory:
    """Return a memory with the dates that were said, and those known before; what contradicts these stands alone."""
    since, until = said.valid_from or before.valid_from, said.valid_to or before.valid_to
    if since and until and until <= since:
        since, until = said.valid_from, said.valid_to
    return replace(memory, valid_from=since, valid_to=until)


def _is_within_limits(memory: Memory) -> bool:
    try:
        check_memory(memory)
    except InvalidArgument:
        return False
    return True


def _content(memory: Memory) -> tuple[object, ...]:
    return memory.text, memory.value_json, memory.topics, memory.valid_from, memory.valid_to


def _union(first: Sequence[str], second: Sequence[str]) -> tuple[str, ...]:
    seen: Mapping[str, str] = {topic.casefold(): topic for topic in (*second, *first)}
    return tuple(seen.values())[:TOPICS]


def united_value(before: Memory, proposed: Memory, *, has_form: bool) -> str:
    """Return the value after something was added: lists unite by element, everything else is replaced.

    `has_form`: canonical keys have the values that are theirs; else a schema of the layer says what they are.
    """
    key, held = bare_key(before.key), before.value_json
    if has_form and is_single_key(before.layer, key):
        return proposed.value_json
    if has_form:
        # A client may have written "French" where a list belongs.
        held = in_form(before.layer, key, held, before.text)
    old, new = _list(held), _list(proposed.value_json)
    if old is None or new is None:
        return proposed.value_json
    known = {json.dumps(item).casefold() for item in old}
    merged = [*old, *(item for item in new if json.dumps(item).casefold() not in known)]
    return json_text(merged)


def list_sentence(proposed: Memory, value_json: str) -> str:
    """Return the text for a united list: the sentence proposed, with the whole list in place of its part."""
    merged, part = _list(value_json) or [], _list(proposed.value_json) or []
    listed, wanted = (", ".join(map(str, each)).encode("utf-8", "replace").decode() for each in (part, merged))
    if listed and listed in proposed.text:
        return proposed.text.replace(listed, wanted)
    return f"{proposed.key.replace('_', ' ').replace('.', ' ').capitalize()}: {wanted}"


def _list(value_json: str) -> list[object] | None:
    try:
        value = json.loads(value_json)
    except ValueError:
        return None
    return value if isinstance(value, list) else None

"""What tools do to memories: save, change, forget. Each is one command, decided on the user's state.

What a tool writes is trusted as what a tool says: whether the user said so is not known here. It may take the place of
what the user stated all the same, for the user is there when the model calls, and the configuration lets it.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from memsvc.errors import NotFound, Reason, invalid
from memsvc.extraction.reconcile import list_sentence, united_value
from memsvc.extraction.schemas import in_form
from memsvc.ids import derived_id
from memsvc.journal.commands import Command, Decision, Recorded
from memsvc.journal.draft import Draft, Moment
from memsvc.journal.records import Request, commit_of
from memsvc.journal.state import State
from memsvc.limits import check_memory
from memsvc.memories.writing import clearable, merged, saying_the_same
from memsvc.model import Commit, Layer, Memory, Origin, Polarity, Trust
from memsvc.search.filter import wording
from memsvc.storage.driver import RecordKind
from memsvc.tools.choosing import Choice, chosen
from memsvc.tools.permissions import Permissions


class Fact(Struct, frozen=True, kw_only=True):
    """What a model gave of a memory, without secrets; what is empty was not given."""

    layer: Layer = Layer.KNOWLEDGE
    text: str = ""
    key: str = ""
    value_json: str = ""
    topics: tuple[str, ...] = ()
    polarity: Polarity = Polarity.NONE


class Written(Struct, frozen=True):
    """What a command of a tool changed."""

    commit: Commit
    revision: int
    count: int = 0
    """How many memories were forgotten, with those of earlier records of the same call."""
    more: bool = False


class ToolCommand(Command[Written]):
    """One call of a tool that writes."""

    call: Request | None
    origin: Origin
    permissions: Permissions
    quota: int

    @property
    def request(self) -> Request | None:
        return self.call

    def decide(self, state: State, moment: Moment) -> Decision:
        draft = Draft(state, moment, quota=self.quota)
        self.change(draft)
        return Decision(RecordKind.COMMIT, draft.body(self.request, actor=self.origin.agent_id))

    def change(self, draft: Draft) -> None:
        """Put into `draft` what the call leads to. Raises Error."""
        raise NotImplementedError

    def result(self, recorded: Recorded) -> Written:
        body = recorded.body
        return Written(commit_of(body, recorded.time), body.revision, body.cleared, body.more)


class SaveCommand(ToolCommand):
    """Remember a fact: at its key in place of what is there, else as a memory of its own, once."""

    fact: Fact

    def change(self, draft: Draft) -> None:
        fact = self.fact
        value_json = fact.value_json
        if fact.key and self.permissions.has_form(fact.layer):
            value_json = in_form(fact.layer, fact.key, value_json, fact.text)
        proposed = Memory(
            memory_id=derived_id(draft.moment.time, draft.moment.nonce, 0),
            number=0,
            layer=fact.layer,
            text=fact.text,
            key=fact.key,
            value_json=value_json,
            topics=fact.topics,
            origin=self.origin,
            trust=Trust.FROM_TOOL,
            polarity=fact.polarity,
            observe_time=draft.moment.time,
        )
        before = draft.at(fact.layer, fact.key) if fact.key else saying_the_same(draft, proposed, wording)
        before = draft.unless_expired(before)
        if before is None:
            self.permissions.require_add(fact.layer)
            draft.create(self.permissions.fitting(proposed))
            return
        after = self._superseding(before, proposed) if fact.key else merged(before, proposed)
        if _content(after) != _content(before):
            self.permissions.require_update(fact.layer, f"m{before.number}")
            check_memory(after)
            after = self.permissions.fitting(after)
            if not fact.key or after.value_json.startswith("[") or wording(after.text) == wording(before.text):
                draft.replace(before, after)
            else:
                # It was so until now.
                draft.supersede(before, after, draft.moment.time)

    def _superseding(self, before: Memory, proposed: Memory) -> Memory:
        value_json = united_value(before, proposed, has_form=self.permissions.has_form(before.layer))
        text = proposed.text if value_json == proposed.value_json else list_sentence(proposed, value_json)
        return replace(
            before,
            text=text,
            value_json=value_json,
            topics=proposed.topics or before.topics,
            input="",
            origin=self.origin,
            trust=Trust.FROM_TOOL,
            polarity=proposed.polarity or before.polarity,
            observe_time=proposed.observe_time,
            valid_from=0,
            valid_to=0,
        )


class UpdateCommand(ToolCommand):
    """Change the memory with a number: what is given of it."""

    number: int
    fact: Fact

    def change(self, draft: Draft) -> None:
        before = self._named(draft)
        fact = self.fact
        if fact.value_json and not before.key:
            raise invalid("value", f"m{before.number} has no key: give its text")
        if fact.polarity and before.layer is not Layer.FEEDBACK:
            raise invalid("polarity", f"m{before.number} is no feedback")
        self.permissions.require_update(before.layer, f"m{before.number}")
        says_more = bool(fact.text or fact.value_json)
        after = replace(
            before,
            text=fact.text or (f"{before.key}: {fact.value_json}" if fact.value_json else before.text),
            # A value goes with the text that said it.
            value_json=fact.value_json if says_more else before.value_json,
            topics=fact.topics or before.topics,
            input="" if says_more else before.input,
            origin=self.origin,
            trust=Trust.FROM_TOOL if says_more else before.trust,
            polarity=fact.polarity or before.polarity,
            observe_time=draft.moment.time if says_more else before.observe_time,
        )
        check_memory(after)
        if _content(after) != _content(before):
            draft.replace(before, self.permissions.fitting(after))

    def _named(self, draft: Draft) -> Memory:
        for memory in _visible(draft):
            if memory.number == self.number and memory.layer in self.permissions.readable:
                return memory
        message = f"no memory has the number m{self.number}: search_memories and get_memories show what there is"
        raise NotFound(Reason.MEMORY_NOT_FOUND, message)


class ForgetCommand(ToolCommand):
    """Forget the memories that are named: as many as one record takes, `more` says whether some are left."""

    choice: Choice
    part: int = 0
    forgotten: int = 0
    """In the parts before."""

    @property
    def request(self) -> Request | None:
        return self.call.of_part(self.part) if self.call is not None else None

    def decide(self, state: State, moment: Moment) -> Decision:
        self.permissions.require_delete()
        draft = Draft(state, moment, quota=0)
        seen = [memory for memory in _visible(draft) if memory.layer in self.permissions.readable]
        former = [memory for memory in state.former.values() if memory.layer in self.permissions.readable]
        # A part is not the whole: what is left of many memories may be all that there is.
        permissions = replace(self.permissions, clears=True) if self.part else self.permissions
        try:
            gone = state.core.unnamed_deletions.within(moment.time)
            meant = chosen(self.choice, seen, permissions, former, gone)
        except NotFound:
            if not self.part:
                raise
            meant = ()
        deleted, more = clearable(state, meant)
        for memory in deleted:
            # What was so before went with the memory that took its place.
            if draft.find(memory.memory_id) is not None:
                draft.delete(memory)
        named = {memory.memory_id for memory in meant}
        forgotten = sum(memory.memory_id in named for memory in deleted)
        count = self.forgotten + forgotten
        is_named = self.choice.number or self.choice.description or self.permissions.clears
        unnamed = 0 if is_named else forgotten
        body = draft.body(self.request, actor=self.origin.agent_id, cleared=count, more=more, unnamed_deletions=unnamed)
        return Decision(RecordKind.COMMIT, body)


def _visible(draft: Draft) -> Iterator[Memory]:
    for memory in draft.state.memories():
        if not 0 < memory.expire_time <= draft.moment.now:
            yield memory


def _content(memory: Memory) -> tuple[object, ...]:
    return memory.text, memory.value_json, memory.topics, memory.polarity

"""The contract between the worker and an extraction engine.

An engine reads one conversation and proposes operations on the user's memories. It decides nothing: what it proposes is
checked and turned into changes by `memsvc.extraction.reconcile`. Engines share no state with the worker and touch no
database.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from typing import Protocol

import msgspec

from memsvc.model import Layer, Memory, Message, Polarity, Refusal, Role, Trust, Usage


class Action(enum.StrEnum):
    """What an operation wants done."""

    ADD = "add"
    """A fact. With a key that is already taken it supersedes what is there."""
    UPDATE = "update"
    """Replace the memory `number` (or the one at `layer` and `key`)."""
    DELETE = "delete"
    """Forget the memory `number`, or all whose key is `key` or below it, or all about `topic`."""
    CLEAR = "clear"
    """Forget everything about the user. Configuration may forbid it (it does by default): that is a `Refusal` then,
    which reconciling makes; an engine proposes it whenever it was asked for."""


class Operation(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """One proposed change."""

    action: Action
    layer: Layer = Layer.KNOWLEDGE
    number: int = 0
    """The memory that an UPDATE or DELETE means, by its number; 0: named by key or topic."""
    text: str = ""
    key: str = ""
    value_json: str = ""
    topics: tuple[str, ...] = ()
    topic: str = ""
    """DELETE only: forget every memory with this topic."""
    among: tuple[int, ...] = ()
    """DELETE by key or topic only: of these memories at most; empty: of all."""
    quote: str = ""
    """The words of the conversation that say so, verbatim."""
    polarity: Polarity = Polarity.NONE
    trust: Trust = Trust.STATED
    valid_from: int = 0
    """Since when it is so, microseconds since the epoch; 0: not said."""
    valid_to: int = 0
    """Until when it was so; of a DELETE since when it is no longer so. 0: not said."""
    corrects: bool = False
    """What it replaces never was so: a slip of the tongue, not a fact of the past."""
    message_index: int = -1
    """Which of `Conversation.messages` the quote is from; -1: unknown."""


class LayerSchema(msgspec.Struct, frozen=True, gc=False):
    """What a layer wants learned: its canonical keys and what each one means."""

    layer: Layer
    description: str
    keys: Mapping[str, str]
    """Canonical key to its one-line meaning."""
    list_keys: Collection[str] = ()
    """Those whose value is a list, to which statements add."""


class Conversation(msgspec.Struct, frozen=True, gc=False):
    """What an engine reads."""

    messages: Sequence[Message]
    """What to learn from, in order, of all roles."""
    earlier: Sequence[Message] = ()
    """The messages just before them: context, never a source."""
    known: Sequence[Memory] = ()
    """The memories nearest to the conversation, best first: bounded by the worker."""
    schemas: Sequence[LayerSchema] = ()
    user_id: str = ""
    """Whose memory it is."""
    last_failure: str = ""
    """Why the attempt before had no effect, a word of `errors.Reason`; empty: this is the first."""
    shared: bool = False
    """The user is a team or an organisation: whoever speaks in it is a source."""

    instructions: str = ""
    """What an engine is told besides, by who configures it; engines without a language model cannot heed it."""
    author_id: str | None = None
    """Whose messages alone are sources; None: those of the user, or of all members of a team."""
    is_task: bool = False
    """The messages are a task that the user's agent gives, about the user, in whatever person."""

    def is_source(self, message: Message) -> bool:
        """Tell whether `message` is the user's own words: the only ones that become memories.

        A message of another author is context, as what the assistant says is.
        """
        if message.role is not Role.USER:
            return False
        if self.author_id is not None:
            return message.author_id == self.author_id
        return self.shared or message.author_id in ("", self.user_id)


class Proposal(msgspec.Struct, frozen=True, gc=False):
    """One operation, as soon as the engine is sure of it."""

    operation: Operation


class Progress(msgspec.Struct, frozen=True, gc=False):
    """A sign of life: how much of the answer has arrived."""

    output_bytes: int


class Finished(msgspec.Struct, frozen=True, gc=False):
    """Always last: the operations to commit. Proposals before it are hints; only this list counts."""

    operations: Sequence[Operation]
    usage: Usage = Usage()
    model: str = ""
    refusals: Sequence[Refusal] = ()
    """What was asked for and the engine proposes nothing for. Shown in the extraction's stream."""


EngineEvent = Proposal | Progress | Finished


class Engine(Protocol):
    """Turns a conversation into operations. Shared by all tasks of a process."""

    name: str
    """`rules`, `openai`: recorded in the origin of what it learned."""
    concurrency: int
    """How many conversations are worth reading at once: few for one that computes, many for one that waits."""

    def extract(self, conversation: Conversation) -> AsyncGenerator[EngineEvent, None]:
        """Read `conversation`; yield proposals as they become known, then `Finished`, once, last.

        MUST raise a subclass of `ExtractionError` instead of `Finished` when the conversation could not be read:
        unusable output is never "nothing to learn".
        Closing the generator MUST stop all work that it started.
        """
        ...

    async def close(self) -> None:
        """Free what the engine holds."""
        ...

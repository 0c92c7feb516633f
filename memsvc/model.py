"""The words of the service as frozen values: no protobuf, no I/O.

They are `msgspec.Struct`s rather than dataclasses: slotted and frozen alike, but not tracked by the garbage collector
(`gc=False`: none of them can be part of a cycle), and msgspec is also the codec of what is stored (`encode`, `decode`).
Field names are what is stored and what people read in the tables; a renamed field needs a migration.

All times are microseconds since the Unix epoch (`..._time`); 0 means not set.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

import msgspec


class Layer(enum.StrEnum):
    """Which part of a user's memory a fact belongs to."""

    PROFILE = "profile"
    POLICY = "policy"
    KNOWLEDGE = "knowledge"
    FEEDBACK = "feedback"


class Trust(enum.StrEnum):
    """Where a fact came from; a derived memory is never trusted more than its sources."""

    STATED = "stated"
    INFERRED = "inferred"
    FROM_TOOL = "from_tool"
    IMPORTED = "imported"


class Polarity(enum.StrEnum):
    """Whether a FEEDBACK memory says what worked or what did not."""

    NONE = ""
    POSITIVE = "positive"
    NEGATIVE = "negative"


class Role(enum.StrEnum):
    """Who wrote a message."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


_SHARED_PREFIXES = ("team:", "org:")


def is_shared(user_id: str) -> bool:
    """Tell whether a user is a team or an organisation."""
    return user_id.startswith(_SHARED_PREFIXES)


class Scope(msgspec.Struct, frozen=True, gc=False, order=True, cache_hash=True):
    """Whose memory: one user of one namespace."""

    namespace: str
    user_id: str

    @property
    def is_shared(self) -> bool:
        """Whether the user is a team or an organisation: what any of its members says is remembered."""
        return is_shared(self.user_id)


class Origin(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Who and what a memory came from. Every field may be empty."""

    agent_id: str = ""
    team_id: str = ""
    session_id: str = ""
    run_id: str = ""
    message_id: str = ""
    author_id: str = ""
    engine: str = ""
    model: str = ""
    extraction_id: str = ""


class Memory(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True, rename={"text": "memory"}):
    """One remembered fact of one user."""

    memory_id: str
    number: int
    """Small, per user, never reused: how models name it (`m17`)."""
    layer: Layer = Layer.KNOWLEDGE
    text: str
    """The fact as one self-contained sentence, at most 8 KiB of UTF-8."""
    key: str = ""
    """Place in the layer's document (`role`, `stack.languages`), unique per user and layer; empty: none."""
    value_json: str = ""
    """The value at `key`, a JSON scalar, list or object; empty: the text is the value."""
    topics: tuple[str, ...] = ()
    input: str = ""
    """The words it came from."""
    origin: Origin = Origin()
    trust: Trust = Trust.STATED
    polarity: Polarity = Polarity.NONE
    metadata: Mapping[str, str] = {}
    create_time: int = 0
    update_time: int = 0
    observe_time: int = 0
    """When it was said; differs from `create_time` when messages are dated back."""
    expire_time: int = 0
    valid_from: int = 0
    """When it became so in the world, as far as that was said; 0: nobody said when."""
    valid_to: int = 0
    """When it stopped being so; 0: it is so, as far as is known."""
    superseded: bool = False
    """It is a fact of the past: another memory took its place, or it is no longer so. Its key is free for others."""
    successor_id: str = ""
    """The memory that took its place; empty: nothing did."""
    etag: str = ""
    """The revision, with its nonce, that last changed it."""
    config_revision: int = 0

    def holds_at(self, time: int) -> bool:
        """Whether it was so at a time, as far as is known."""
        return (not self.valid_from or self.valid_from <= time) and (not self.valid_to or time < self.valid_to)


class ChangeKind(enum.StrEnum):
    """What a change did to its memory."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"


class Cause(enum.StrEnum):
    """Why a memory changed."""

    REQUESTED = "requested"
    EXTRACTED = "extracted"
    EXPIRED = "expired"
    RESTORED = "restored"
    IMPORTED = "imported"
    CONSOLIDATED = "consolidated"


class ImportMode(enum.StrEnum):
    """What an import does where something is there already."""

    FAIL = "fail"
    SKIP = "skip"
    OVERWRITE = "overwrite"


class ImportResult(enum.StrEnum):
    """What became of an imported record."""

    CREATED = "created"
    SKIPPED = "skipped"
    OVERWRITTEN = "overwritten"


class Change(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Create, update or delete of one memory, with before and after."""

    kind: ChangeKind
    before: Memory | None = None
    after: Memory | None = None
    cause: Cause = Cause.REQUESTED
    former: Memory | None = None
    """What was so before, where the change says that it no longer is: kept as a fact of the past, with its own id."""

    @property
    def memory_id(self) -> str:
        memory = self.after or self.before
        assert memory is not None
        return memory.memory_id


class Commit(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """Changes made together, all or none."""

    revision: int
    """The user's revision after it; 0: nothing was changed."""
    time: int = 0
    changes: tuple[Change, ...] = ()
    request_id: str = ""
    actor: str = ""
    extraction_id: str = ""


class TextPart(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag="text"):
    """Text of a message."""

    text: str


class ToolCallPart(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag="tool_call"):
    """A call of a tool, made by the model."""

    call_id: str
    name: str
    arguments_json: str = ""


class MediaPart(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag="media"):
    """A reference to an image, sound or file; never its bytes."""

    mime_type: str
    uri: str
    caption: str = ""


class ProviderPart(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag="provider"):
    """A part in its model provider's own form, kept as it is."""

    provider: str
    """Whose form it is: openai, anthropic; empty: not said."""
    json: str


PlainPart = TextPart | MediaPart | ProviderPart
"""What needs no tool."""


class ToolResultPart(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag="tool_result"):
    """What a tool answered."""

    call_id: str
    parts: tuple[PlainPart, ...] = ()
    is_error: bool = False


Part = PlainPart | ToolCallPart | ToolResultPart


class Message(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One message of a conversation."""

    role: Role
    parts: tuple[Part, ...] = ()
    message_id: str = ""
    author_id: str = ""
    """Who said it; empty: the user (role USER) or the agent."""
    name: str = ""
    time: int = 0

    @property
    def text(self) -> str:
        """Its text parts and captions, those of tools' answers too, joined by newlines."""
        if len(self.parts) == 1 and isinstance(self.parts[0], TextPart):
            return self.parts[0].text
        return text_of(self.parts)

    @property
    def character_count(self) -> int:
        """How much there is to read for a model: tools' calls and parts of providers too."""
        return sum(map(_character_count, self.parts))


def text_of(parts: Iterable[Part]) -> str:
    """Return the texts and captions of parts, joined by newlines."""
    return "\n".join(_texts(parts))


def _texts(parts: Iterable[Part]) -> Iterator[str]:
    for part in parts:
        if isinstance(part, TextPart):
            yield part.text
        elif isinstance(part, ToolResultPart):
            yield from _texts(part.parts)
        elif isinstance(part, MediaPart) and part.caption:
            yield part.caption


def _character_count(part: Part) -> int:
    match part:
        case TextPart():
            return len(part.text)
        case ToolCallPart():
            return len(part.name) + len(part.arguments_json)
        case ToolResultPart():
            return sum(map(_character_count, part.parts))
        case MediaPart():
            return len(part.caption) + len(part.uri)
        case ProviderPart():
            return len(part.json)


class LearningMode(enum.StrEnum):
    """How memory changes."""

    AUTOMATIC = "automatic"
    """Runs are learned from."""
    AGENTIC = "agentic"
    """The agent's model changes it by tools; runs are not learned from."""
    BOTH = "both"
    """Both; what a tool saved in a run is not learned from it again."""
    OFF = "off"
    """By direct calls only."""


class LearningState(enum.StrEnum):
    """How far learning from a run has come."""

    OFF = "off"
    PENDING = "pending"
    LEARNED = "learned"
    SKIPPED = "skipped"
    FAILED = "failed"


class Run(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """One exchange of a session. How far learning has come follows from the extraction it belongs to."""

    session_id: str
    run_id: str
    index: int
    """Order among all runs of the user, from 1, without reuse."""
    messages: tuple[Message, ...]
    agent_id: str = ""
    team_id: str = ""
    create_time: int = 0
    replaces_run_id: str = ""
    replaced_by: str = ""
    """The run that took its place, or a later one of that chain: it is kept, but no longer part of the history."""
    extraction_id: str = ""
    """The extraction that learns from it; empty: learning was OFF."""
    learning: LearningState | None = None
    """How far learning had come where the run was imported from, whose extraction stayed there; None: not imported."""
    context_memory_ids: tuple[str, ...] = ()
    metadata: Mapping[str, str] = {}
    observed_number: int = 0
    """The client's number of its message, where the conversation was observed; 0: it was not."""

    @property
    def replaced(self) -> bool:
        return bool(self.replaced_by)


class ToolName(enum.StrEnum):
    """The tools that an agent's own model may call."""

    SAVE_MEMORY = "save_memory"
    UPDATE_MEMORY = "update_memory"
    FORGET = "forget"
    UPDATE_USER_MEMORY = "update_user_memory"
    SEARCH_MEMORIES = "search_memories"
    GET_MEMORIES = "get_memories"
    READ_CHAT_HISTORY = "read_chat_history"
    SEARCH_HISTORY = "search_history"


READING_TOOLS = frozenset(
    (ToolName.SEARCH_MEMORIES, ToolName.GET_MEMORIES, ToolName.READ_CHAT_HISTORY, ToolName.SEARCH_HISTORY)
)
"""Those that change nothing."""

TOOL_ENGINE = "tool"
"""The engine, in its origin, of what a tool wrote."""


class Session(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """A conversation: its runs share the session's id."""

    session_id: str
    run_count: int = 0
    message_count: int = 0
    last_index: int = 0
    observed_number: int = 0
    """Of the last message that was observed; 0: none was."""
    agent_id: str = ""
    team_id: str = ""
    create_time: int = 0
    update_time: int = 0
    summarized_through: int = 0
    """The index of the last run that its summary covers; 0: it has none."""
    summarized_runs: int = 0
    """How many runs that are."""
    replaced_runs: int = 0
    """How many of its runs were replaced."""


class Summary(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """What was said in a session, in short: of all its runs up to one."""

    session_id: str
    text: str
    topics: tuple[str, ...] = ()
    covered_through: int = 0
    """The index of the last run that it covers."""
    extractive: bool = False
    """It is sentences of the conversation, as they were said: no model wrote it."""
    model: str = ""
    """The model that wrote it."""
    extraction_id: str = ""
    create_time: int = 0
    """Of the session's first summary."""
    update_time: int = 0


class ExtractionKind(enum.StrEnum):
    """What an extraction reads."""

    RUNS = "runs"
    MESSAGES = "messages"
    TASK = "task"
    SUMMARY = "summary"
    """A session, to summarize it."""
    CONSOLIDATION = "consolidation"
    """The memories themselves, to tidy them."""

    @property
    def learns(self) -> bool:
        """Whether it turns what was said into memories."""
        return self in (ExtractionKind.RUNS, ExtractionKind.MESSAGES, ExtractionKind.TASK)


class ExtractionState(enum.StrEnum):
    """Where an extraction is in its life."""

    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self in (ExtractionState.SUCCEEDED, ExtractionState.FAILED, ExtractionState.CANCELLED)


class Usage(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What the model cost: calls made and tokens as the provider counted them, or about so many where it did not."""

    calls: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.calls + other.calls,
            self.input_tokens + other.input_tokens,
            self.cached_tokens + other.cached_tokens,
            self.output_tokens + other.output_tokens,
        )


class Refusal(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Something that was asked for in a conversation, and that is not done: told aloud, never in silence."""

    reason: str
    """A word of `errors.Reason`."""
    detail: str
    """A sentence for people; nothing of what was said."""
    count: int = 1
    """How many operations it is about."""


class Ending(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """How an extraction ended before it was retried."""

    state: ExtractionState
    reason: str
    detail: str


class Extraction(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """The durable job that reads runs, or messages, and turns them into a commit."""

    extraction_id: str
    kind: ExtractionKind = ExtractionKind.RUNS
    state: ExtractionState = ExtractionState.WAITING
    reason: str = ""
    """A word of `errors.Reason` for why it waits, failed or was cancelled."""
    detail: str = ""
    """A sentence for people; never the text of an internal exception."""
    attempt: int = 0
    next_attempt_time: int = 0
    session_id: str = ""
    run_ids: tuple[str, ...] = ()
    """What it reads. Messages given without a session are a run of the session "" until they are learned."""
    agent_id: str = ""
    team_id: str = ""
    position: int = 0
    """Order among the user's extractions: the seq of the record that accepted it."""
    revision: int = 0
    """The commit that it made; 0: none, or nothing to learn."""
    change_count: int = 0
    usage: Usage = Usage()
    create_time: int = 0
    start_time: int = 0
    end_time: int = 0
    size_bytes: int = 0
    """Bytes of the messages it reads."""
    end_seq: int = 0
    """The record that ended it."""
    retries: int = 0
    """How often it was made to wait again after it had ended."""
    wait_time: int = 0
    """When it was last made to wait again after it had ended; 0: never."""
    endings: tuple[Ending, ...] = ()
    """How it ended before each of its retries; of the last ones only."""
    refusals: tuple[Refusal, ...] = ()
    """What was proposed and not done, by reason."""
    config_revision: int = 0
    """The revision of the namespace's configuration that it was accepted under; 0: nothing was configured."""
    settings_digest: str = ""
    """Of what was in force for learning then: extractions of one digest may be worked on together."""
    overrides: str = ""
    """The settings that its request brought, as `memsvc.configuration.written` has them; empty: none."""
    trace: str = ""
    """The sampled call that it was accepted in, as a traceparent; empty: none. Of several runs the first one's."""


_T = TypeVar("_T")
_encoder = msgspec.json.Encoder()
_decoders: dict[type, msgspec.json.Decoder[object]] = {}


def encode(value: msgspec.Struct) -> bytes:
    """Return the stored form of a value: JSON with the field names above, defaults left out."""
    return _encoder.encode(value)


def decode(body: bytes, kind: type[_T]) -> _T:
    """Return the value of `kind` that `body` holds. Raises msgspec.ValidationError when it does not."""
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    return decoder.decode(body)  # type: ignore[return-value]

"""The closed sets of values. Members are strings, and every parameter takes the plain string too: `layer="profile"`.

What a newer server sends and this client does not know yet reads as UNKNOWN.
"""

from __future__ import annotations

import enum


class Layer(enum.StrEnum):
    """Which part of a user's memory a fact belongs to."""

    PROFILE = "profile"
    """Who the user is."""
    POLICY = "policy"
    """How the user wants to be served."""
    KNOWLEDGE = "knowledge"
    """Facts and context. The default."""
    FEEDBACK = "feedback"
    """What worked for the user, or did not."""
    UNKNOWN = "unknown"


class Trust(enum.StrEnum):
    """Where a fact came from; a derived memory is never trusted more than its sources."""

    STATED = "stated"
    INFERRED = "inferred"
    FROM_TOOL = "from_tool"
    IMPORTED = "imported"
    UNKNOWN = "unknown"


class Polarity(enum.StrEnum):
    """Whether a FEEDBACK memory says what worked or what did not."""

    NONE = ""
    POSITIVE = "positive"
    NEGATIVE = "negative"
    UNKNOWN = "unknown"


class Role(enum.StrEnum):
    """Who wrote a message."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"
    UNKNOWN = "unknown"


class ChangeKind(enum.StrEnum):
    """What a change did to its memory."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"
    UNKNOWN = "unknown"


class ChangeCause(enum.StrEnum):
    """Why a memory changed."""

    REQUESTED = "requested"
    EXTRACTED = "extracted"
    EXPIRED = "expired"
    RESTORED = "restored"
    IMPORTED = "imported"
    CONSOLIDATED = "consolidated"
    UNKNOWN = "unknown"


class ImportMode(enum.StrEnum):
    """What an import does where something is there already: a memory with the id or at the key, a run with the id."""

    FAIL = "fail"
    """Import nothing, and raise AlreadyExists."""
    SKIP = "skip"
    """Leave what is there as it is."""
    OVERWRITE = "overwrite"
    UNKNOWN = "unknown"


class ImportResult(enum.StrEnum):
    """What became of an imported record."""

    CREATED = "created"
    SKIPPED = "skipped"
    """Something was there already, and stays."""
    OVERWRITTEN = "overwritten"
    UNKNOWN = "unknown"


class MemoryOrder(enum.StrEnum):
    """What a list is ordered by; ties by memory_id."""

    UPDATE_TIME_DESC = "update_time_desc"
    UPDATE_TIME_ASC = "update_time_asc"
    CREATE_TIME_DESC = "create_time_desc"
    CREATE_TIME_ASC = "create_time_asc"
    OBSERVE_TIME_DESC = "observe_time_desc"
    OBSERVE_TIME_ASC = "observe_time_asc"
    KEY = "key"


class SearchMethod(enum.StrEnum):
    """How to search."""

    LEXICAL = "lexical"
    """By words: BM25 with stems and folded accents."""
    SEMANTIC = "semantic"
    """By meaning: vectors."""
    HYBRID = "hybrid"
    """Both, scores fused."""
    AGENTIC = "agentic"
    """A model picks."""
    LAST_N = "last_n"
    """Newest first; takes no query."""
    FIRST_N = "first_n"
    """Oldest first; takes no query."""
    UNKNOWN = "unknown"


class LearningMode(enum.StrEnum):
    """How memory changes."""

    AUTOMATIC = "automatic"
    """Runs are learned from."""
    AGENTIC = "agentic"
    """The agent's model changes it by tools."""
    BOTH = "both"
    OFF = "off"
    UNKNOWN = "unknown"


class LearningState(enum.StrEnum):
    """How far learning from a run has come."""

    OFF = "off"
    PENDING = "pending"
    LEARNED = "learned"
    SKIPPED = "skipped"
    """Its extraction was cancelled."""
    FAILED = "failed"
    UNKNOWN = "unknown"


class ExtractionKind(enum.StrEnum):
    """What an extraction reads."""

    RUNS = "runs"
    MESSAGES = "messages"
    TASK = "task"
    SUMMARY = "summary"
    CONSOLIDATION = "consolidation"
    UNKNOWN = "unknown"


class ExtractionState(enum.StrEnum):
    """Where an extraction is in its life."""

    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


class ContextFormat(enum.StrEnum):
    """The form of a context's text."""

    XML = "xml"
    MARKDOWN = "markdown"
    JSON = "json"


class ContextSectionKind(enum.StrEnum):
    """What a block of a context's text is."""

    WRAPPER = "wrapper"
    """A line around others: of the wrapper, or of a shared user."""
    MEMORIES = "memories"
    """The memories of one layer."""
    SUMMARY = "summary"
    HISTORY = "history"
    RECALL = "recall"
    UNKNOWN = "unknown"


class CutReason(enum.StrEnum):
    """Why memories were left out of a context."""

    BUDGET = "budget"
    """They did not fit."""
    OUTRANKED = "outranked"
    """An explicit policy or fact says otherwise about the same key."""
    UNKNOWN = "unknown"


class ToolFormat(enum.StrEnum):
    """Whose form the definitions of tools have."""

    GENERIC = "generic"
    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    MCP = "mcp"
    UNKNOWN = "unknown"

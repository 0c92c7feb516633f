"""What goes into compiling a context and what comes out."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from hashlib import blake2b
from typing import Any, Final, Protocol

import msgspec

from memsvc.model import Layer, Memory
from memsvc.search.together import Searchable

DEFAULT_MAX_CHARACTERS: Final = 8_000
MAX_CUT_IDS: Final = 50


def count_tokens(text: str) -> int:
    """Return the tokens of `text` by the counter "bytes4": its UTF-8 bytes divided by four, rounded up."""
    return _tokens(utf8_bytes(text))


def _tokens(encoded_bytes: int) -> int:
    return (encoded_bytes + 3) // 4


def utf8_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


class Source(Searchable, Protocol):
    """A user's memories at one revision."""

    @property
    def user_id(self) -> str: ...

    @property
    def revision(self) -> int: ...

    @property
    def cache(self) -> MutableMapping[object, object]:
        """What was derived from the memories; MUST be emptied when the revision moves."""

    @property
    def written(self) -> MutableMapping[object, dict[str, Any]]:
        """What was derived from single memories, by what for and id; that of a memory which changes MUST go."""

    def layer(self, layer: Layer) -> Mapping[str, Memory]:
        """Return the layer's visible memories by id, in the order of their numbers."""

    def newest(self) -> Iterable[Memory]:
        """Yield the visible memories of all layers, last changed first."""


class ContextFormat(enum.StrEnum):
    """The form of the text."""

    XML = "xml"
    MARKDOWN = "markdown"
    JSON = "json"


class ContextRequest(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What to compile. At most one of `max_characters` and `max_tokens` is set; neither: 8,000 characters."""

    layers: tuple[Layer, ...] = ()
    """Empty: all."""
    query: str = ""
    vector: bytes = b""
    """Of the query; empty: what is nearest is found by words."""
    matches: Callable[[Memory], bool] | None = None
    """Among which memories; None: all."""
    format: ContextFormat = ContextFormat.XML
    wrapper: bool = True
    """Whether there is a wrapper around the layers' blocks."""
    max_characters: int = 0
    """Unicode characters of the whole text."""
    max_tokens: int = 0
    """Tokens of the whole text, as `count_tokens` counts them."""


class SectionKind(enum.StrEnum):
    """What a block of the text is."""

    WRAPPER = "wrapper"
    """A line around others: of the wrapper, or of a shared user."""
    MEMORIES = "memories"
    """The memories of one layer."""
    SUMMARY = "summary"
    """What was said in a session before its last runs, in short."""
    RECALL = "recall"
    """Passages of past conversations."""


class Section(msgspec.Struct, frozen=True, gc=False):
    """One block of the text; those that do not depend on the query (`stable`) come first."""

    kind: SectionKind
    layer: Layer | None
    """The layer that it shows; None around layers."""
    text: str
    tokens: int
    stable: bool
    """Whether neither it nor what is before it depends on the query."""
    shared_user_id: str = ""


class CutReason(enum.StrEnum):
    """Why memories were left out."""

    BUDGET = "budget"
    OUTRANKED = "outranked"
    """An explicit policy speaks of the same thing."""


class Cut(msgspec.Struct, frozen=True, gc=False):
    """Memories of one layer that were left out for one reason."""

    layer: Layer
    reason: CutReason
    count: int
    memory_ids: tuple[str, ...] = ()
    """The first of them; at most 50 over all cuts of a context."""
    shared_user_id: str = ""


class CompiledContext(msgspec.Struct, frozen=True, gc=False, eq=False, kw_only=True):
    """A context. Calls that are answered from the cache get one and the same object."""

    @classmethod
    def of(
        cls, format_: ContextFormat, sections: Sequence[Section], memory_ids: Sequence[str], cuts: tuple[Cut, ...]
    ) -> CompiledContext:
        """Return the context of these sections. Its text becomes bytes once: that costs as much as all else here."""
        text = "".join([section.text for section in sections])
        encoded = text.encode()
        return cls(
            sections=tuple(sections),
            text=text,
            etag=blake2b(b"%b\n%b" % (format_.encode(), encoded), digest_size=16).hexdigest(),
            tokens=_tokens(len(encoded)),
            memory_ids=tuple(memory_ids),
            cuts=cuts,
        )

    sections: tuple[Section, ...] = ()
    text: str = ""
    """The sections joined."""
    unchanged: bool = False
    """The text is what the caller holds, and is left out here with its sections and ids."""
    etag: str
    tokens: int
    memory_ids: tuple[str, ...] = ()
    """In the order of the text."""
    cuts: tuple[Cut, ...] = ()
    encoded: bytes = b""
    """In a reader's own form, once a reader has made it."""

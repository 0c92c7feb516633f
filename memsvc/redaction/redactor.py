"""Taking secrets out of texts, messages and memories, and counting them: `my password is [redacted: password]`."""

from __future__ import annotations

import asyncio
import json
import math
import re
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from memsvc.errors import invalid
from memsvc.json_text import json_text
from memsvc.model import (
    MediaPart,
    Memory,
    Message,
    Part,
    PlainPart,
    ProviderPart,
    Run,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from memsvc.redaction.kinds import DEFAULT_KINDS, OTHER_KINDS, SIGNED_KINDS, Finder, Span, has_sign

_LEAST_CHARACTERS: Final = 4
_MOST_CHARACTERS: Final = 4_096
_LONGEST_WORD: Final = 32
_PLAIN_WORDS: Final = 8_192
"""About a megabyte."""
_LARGE_BYTES: Final = 256 << 10
"""What takes ten milliseconds; two megabytes take a hundred."""
_SLICE_SECONDS: Final = 0.005
_MARK: Final = re.compile(r"\[redacted: [a-z0-9_]+\]")
_KIND: Final = re.compile(r"[a-z][a-z0-9_]{0,40}")


class Redactor:
    """Redacts secrets of the kinds that it is given; shared by a process, and counts what it takes out."""

    def __init__(self, kinds: Collection[str] = ("default",), patterns: Mapping[str, str] | None = None) -> None:
        """Take kinds by name; `default` stands for all of `DEFAULT_KINDS`, `none` for none.

        `patterns` are more kinds, by name: what the first group of a pattern matches goes, or all of it.
        Raises InvalidArgument for a kind that does not exist and for a pattern that is none.
        """
        self.counts: Counter[str] = Counter()
        self._large = asyncio.Lock()
        self._finders: dict[str, Finder] = {}
        known = {**DEFAULT_KINDS, **OTHER_KINDS}
        for kind in kinds:
            if kind == "default":
                self._finders |= DEFAULT_KINDS
            elif kind in known:
                self._finders[kind] = known[kind]
            elif kind != "none":
                raise invalid("redact", f"has no kind {kind}: it may be default, none, {', '.join(known)}")
        for name, pattern in (patterns or {}).items():
            self._finders[name] = _of_pattern(name, pattern)
        self._of_plain = {
            kind: find
            for kind, find in self._finders.items()
            if kind not in SIGNED_KINDS or find is not DEFAULT_KINDS[kind]
        }
        """What is left to look for where all words are plain."""
        self.plain_words: set[str] = set()
        """Words of texts without a sign of a secret: most texts hold no others."""

    def text(self, text: str) -> str:
        """Return a text without its secrets."""
        if len(text) < _LEAST_CHARACTERS:
            return text
        is_plain = len(text) <= _MOST_CHARACTERS and self._are_plain(text.split())
        return self._redacted(text, self._of_plain if is_plain else self._finders)

    def json(self, document: str, name: str = "") -> str:
        """Return a JSON document without the secrets in it; unchanged, to the byte, where there are none.

        `name` is what it is the value of. What is nested too deep to be gone through is read as text.
        """
        try:
            value = json.loads(document, parse_float=_number)
            redacted = self._value(value, name)
            return document if redacted == value else json_text(redacted, (",", ":"))
        except (ValueError, RecursionError):
            return self.text(document)

    def message(self, message: Message) -> Message:
        """Return a message without secrets in its parts."""
        parts = tuple(map(self._part, message.parts))
        return message if parts == message.parts else replace(message, parts=parts)

    def messages(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Return messages without secrets."""
        return tuple(map(self.message, messages))

    async def large_messages(self, messages: Sequence[Message], size_bytes: int) -> Sequence[Message]:
        """Return messages without secrets as `messages` does, and let others have their turn where they are large.

        That is some milliseconds at a time, and for one caller: many at once would each take a turn in every round.
        """
        if size_bytes <= _LARGE_BYTES:
            return self.messages(messages)
        redacted = []
        async with self._large:
            started = time.monotonic()
            for message in messages:
                redacted.append(self.message(message))
                worked = time.monotonic() - started
                if worked > _SLICE_SECONDS:
                    # In a round of the event loop at most one of the calls that have come is heard.
                    await asyncio.sleep(worked)
                    started = time.monotonic()
        return tuple(redacted)

    def run(self, run: Run) -> Run:
        """Return a run without secrets in its messages."""
        return replace(run, messages=tuple(map(self.message, run.messages)))

    def memory(self, memory: Memory) -> Memory:
        """Return a memory without secrets in its text, value and quote."""
        text, value_json, quote = self.text(memory.text), memory.value_json, self.text(memory.input)
        if value_json:
            value_json = self.json(value_json, memory.key.rpartition(".")[2])
        if (text, value_json, quote) == (memory.text, memory.value_json, memory.input):
            return memory
        return replace(memory, text=text, value_json=value_json, input=quote)

    def _are_plain(self, words: Sequence[str]) -> bool:
        """Return whether none of a text's words has a sign of a secret; if so, remember them."""
        if self.plain_words.issuperset(words):
            return True
        new = set(words) - self.plain_words
        if any(map(has_sign, new)):
            return False
        if len(self.plain_words) + len(new) > _PLAIN_WORDS:
            self.plain_words.clear()
        self.plain_words.update(word for word in new if len(word) <= _LONGEST_WORD)
        return True

    def _redacted(self, text: str, finders: Mapping[str, Finder]) -> str:
        for kind, find in finders.items():
            spans = [span for span in find(text) if span.end > span.start and not _MARK.search(text, *_around(span))]
            if spans:
                self.counts[kind] += len(spans)
                text = _without(text, spans, f"[redacted: {kind}]")
        return text

    def _part(self, part: Part) -> Part:
        if isinstance(part, ToolCallPart):
            return replace(part, arguments_json=self.json(part.arguments_json)) if part.arguments_json else part
        if isinstance(part, ToolResultPart):
            return replace(part, parts=tuple(map(self._plain_part, part.parts)))
        return self._plain_part(part)

    def _plain_part(self, part: PlainPart) -> PlainPart:
        if isinstance(part, TextPart):
            return replace(part, text=self.text(part.text))
        if isinstance(part, MediaPart):
            return replace(part, uri=self.text(part.uri), caption=self.text(part.caption))
        return self._provider_part(part)

    def _provider_part(self, part: ProviderPart) -> ProviderPart:
        return replace(part, json=self.json(part.json)) if part.json else part

    def _value(self, value: object, name: str) -> object:
        if isinstance(value, dict):
            return {key: self._value(each, key) for key, each in value.items()}
        if isinstance(value, list):
            return [self._value(each, name) for each in value]
        if isinstance(value, str):
            return self._named(value, name)
        if isinstance(value, int) and not isinstance(value, bool):
            redacted = self._named(str(value), name)
            return value if redacted == str(value) else redacted
        return value

    def _named(self, value: str, name: str) -> str:
        """Return a value without secrets, of which its name may be the only sign."""
        redacted = self.text(value)
        if not name or redacted != value:
            return redacted
        head = f"{name}: "
        given = head + (value if value.isdigit() else f'"{value}"')
        named = self.text(given)
        return named.removeprefix(head).strip('"') if named != given and named.startswith(head) else value


def _number(digits: str) -> float | str:
    """Return a number of a document; what no double holds stays as it is written, for it cannot be written as one."""
    number = float(digits)
    return number if math.isfinite(number) else digits


def _of_pattern(name: str, pattern: str) -> Finder:
    if not _KIND.fullmatch(name):
        raise invalid("redact_patterns", f"{name}: a kind's name is lower-case letters, digits and _")
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise invalid("redact_patterns", f"{name}: {error}") from error
    group = 1 if compiled.groups else 0
    return lambda text: (Span(*match.span(group)) for match in compiled.finditer(text))


def _around(span: Span) -> tuple[int, int]:
    """Return where a mark would stand that a span touches: what is redacted is no secret of another kind."""
    return max(0, span.start - 40), span.end + 40


def _without(text: str, spans: Sequence[Span], mark: str) -> str:
    pieces, at = [], 0
    for start, end in sorted(spans):
        if start >= at:
            pieces += [text[at:start], mark]
            at = end
    return "".join([*pieces, text[at:]])

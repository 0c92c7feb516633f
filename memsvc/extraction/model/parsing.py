"""Reading a model's answer while it arrives: each proposed operation once, as soon as its object is closed.

The answer is `{"operations": [{...}, ...]}`. `OperationReader` looks only for where objects begin and end, so every
character is seen once by its scanner and once by a JSON parser, however the answer is cut into pieces. What it yields
early are hints: `finish` judges the whole answer and decides.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from memsvc.errors import Reason, Unusable

Fields = Mapping[str, Any]
"""One operation as the model wrote it, unchecked."""

_LIST: Final = re.compile(r'"operations"\s*:\s*\[')
_LIST_CHARACTERS: Final = 64
"""How much text is kept to find the start of the list when it arrives in pieces."""
_BRACKET_OR_QUOTE: Final = re.compile(r'["{}\[\]]')
_QUOTE_OR_ESCAPE: Final = re.compile(r'["\\]')

_ROOT: Final = re.compile(r'\{\s*"operations"\s*:')
_END_OF_THOUGHTS: Final = re.compile(r"</(?:think|thinking|thought|thoughts|reasoning)>", re.IGNORECASE)
_FENCED: Final = re.compile(r"```\w*\s(.*?)```", re.DOTALL)
_STRING_OR_COMMA: Final = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\Z)|[\[{,]\s*,|,(?=\s*[}\]])', re.DOTALL)
_LENIENT: Final = json.JSONDecoder(strict=False)


class OperationReader:
    """Takes one answer in pieces."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._scanner = _Scanner()

    def feed(self, piece: str) -> list[Fields]:
        """Return the operations that `piece` completes."""
        self._pieces.append(piece)
        values = [_strict(text) for text in self._scanner.scan(piece)]
        return [value for value in values if isinstance(value, dict)]

    @property
    def is_complete(self) -> bool:
        """Whether what has arrived is one whole document that needs no repair."""
        return _listed(_strict("".join(self._pieces))) is not None

    def finish(self) -> Sequence[object]:
        """Return all operations of the answer, which has ended.

        Repairs what leaves no doubt about the meaning: thoughts, prose or a code fence around the JSON, trailing
        commas, line breaks in strings, a missing last brace. Raises Unusable for everything else, above all for a list
        that was never closed: what would have followed is not known.
        """
        readings = map(_listed, _readings(_well_formed("".join(self._pieces))))
        operations = next((listed for listed in readings if listed is not None), None)
        if operations is not None:
            return operations
        raise Unusable(Reason.MODEL_OUTPUT_UNUSABLE, "the model's answer is not a list of operations")


def read_object(text: str, fields: Collection[str]) -> Fields | None:
    """Return the JSON object with these fields that an answer is, or that stands in it; None: there is none."""
    text = _well_formed(text)
    stripped = _after_thoughts(text).strip()
    start, end = stripped.find("{"), stripped.rfind("}")
    for candidate in (text, stripped, *(match[1].strip() for match in _FENCED.finditer(stripped)), stripped[start:]):
        value = _lenient(candidate, prose_may_follow=start >= 0 <= end)
        if isinstance(value, dict) and set(fields) & set(value):
            return value
    return None


class _Scanner:
    """Cuts the elements out of the list of operations in a text that arrives in pieces."""

    def __init__(self) -> None:
        self._before = ""
        """The end of what came before the list."""
        self._depth = 0
        """Brackets open, the list's own being the first; 0: outside of it."""
        self._in_string = False
        self._escaped = False
        self._element: list[str] = []

    def scan(self, piece: str) -> list[str]:
        """Return the texts of the elements that `piece` closes."""
        closed: list[str] = []
        position = 0
        while position < len(piece):
            step = self._scan_list if self._depth else self._seek_list
            position = step(piece, position, closed)
        return closed

    def _seek_list(self, piece: str, position: int, _closed: list[str]) -> int:
        before, self._before = self._before, ""
        text = before + piece if before else piece
        match = _LIST.search(text, position)
        if match is None:
            self._before = text[max(position, len(text) - _LIST_CHARACTERS) :]
            return len(piece)
        self._depth = 1
        return match.end() - len(before)

    def _scan_list(self, piece: str, position: int, closed: list[str]) -> int:
        start = position
        while position < len(piece) and self._depth:
            if self._escaped:
                self._escaped = False
                position += 1
                continue
            match = (_QUOTE_OR_ESCAPE if self._in_string else _BRACKET_OR_QUOTE).search(piece, position)
            if match is None:
                position = len(piece)
                break
            position = match.end()
            mark = match.group()
            self._note(mark)
            if mark in "{[" and self._depth == 2:
                start = match.start()
            elif mark in "}]" and self._depth == 1:
                closed.append("".join(self._element) + piece[start:position])
                self._element.clear()
        if self._depth > 1:
            self._element.append(piece[start:])
        return position

    def _note(self, mark: str) -> None:
        if mark == '"':
            self._in_string = not self._in_string
        elif mark == "\\":
            self._escaped = True
        else:
            self._depth += 1 if mark in "{[" else -1


def _readings(text: str) -> Iterator[object]:
    """Yield what the answer may mean, best first."""
    yield _strict(text)
    text = _after_thoughts(text).strip()
    yield _lenient(text)
    fences = [match for match in _FENCED.finditer(text) if "{" in match.group(1) or "[" in match.group(1)]
    if fences and not _ROOT.search(text, fences[-1].end()):
        text = fences[-1].group(1).strip()
    text = _STRING_OR_COMMA.sub(lambda match: "" if match.group() == "," else match.group(), text)
    yield _lenient(text)
    if _ROOT.match(text):
        yield _lenient(text + "}")
    # Of several documents the last one counts, if it is whole: what comes before it is a draft.
    roots = [match.start() for match in _ROOT.finditer(text)]
    if roots:
        yield _lenient(text[roots[-1] :], prose_may_follow=True)


def _after_thoughts(text: str) -> str:
    """Return what follows the last thought, which may lack its opening tag."""
    end = 0
    for match in _END_OF_THOUGHTS.finditer(text):
        end = match.end()
    # A tag inside the answer's own strings ends no thought.
    return text[end:] if "{" in text[end:] or "[" in text[end:] else text


def _listed(value: object) -> Sequence[object] | None:
    if isinstance(value, dict):
        operations = value.get("operations")
        if isinstance(operations, list):
            return operations
        if isinstance(operations, dict) and "action" in operations:
            return [operations]
        return [value] if "action" in value else None
    if isinstance(value, list) and all(isinstance(element, dict) for element in value):
        return value
    return None


def _strict(text: str) -> object:
    try:
        return msgspec.json.decode(_well_formed(text))
    except (msgspec.DecodeError, RecursionError):
        return None


def _lenient(text: str, *, prose_may_follow: bool = False) -> object:
    try:
        value, end = _LENIENT.raw_decode(text)
    except (ValueError, RecursionError):
        return None
    return value if prose_may_follow or end == len(text) else None


def _well_formed(text: str) -> str:
    """Return `text` with surrogate pairs joined: an emoji may have been cut in two between pieces."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

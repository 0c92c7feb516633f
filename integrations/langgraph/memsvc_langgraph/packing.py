"""How an item is written into memories: one, and more for the parts of what is too large for one.

The item itself (namespace, key and value, as JSON) is in the metadata, which no server redacts or reads; the text is
what a search finds it by. JSON that fits is kept as it is, and readable; what does not is compressed and cut.
"""

from __future__ import annotations

import base64
import json
import uuid
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from langgraph.store.base import Item, PutOp, SearchItem, get_text_at_path, tokenize_path

from memsvc_client import Memory, Operation, update
from memsvc_langgraph.places import Namespace, Place

PIECE_BYTES = 3_800
"""Metadata has 4 KiB."""
MAX_PARTS = 700
"""Of one request: at most 4 MiB, in 1,000 operations."""
TEXT_BYTES = 4 << 10
"""Half of what a text may have: where a secret is taken out, the mark that stands there may be longer."""
SHORT_TEXT_BYTES = 256
"""Of a text that is nothing but secrets."""
LAYER = "knowledge"
NOTHING_TO_FIND = "item"
"""The text of an item that no search is to find."""


@dataclass(frozen=True, slots=True)
class Packed:
    """What a memory says of an item."""

    memory: Memory

    @property
    def part_count(self) -> int:
        return int(self.memory.metadata.get("parts", "0"))

    @property
    def generation(self) -> str:
        return self.memory.metadata.get("generation", "")

    @property
    def is_indexed(self) -> bool:
        return "unindexed" not in self.memory.metadata

    @property
    def ttl_minutes(self) -> float | None:
        given = self.memory.metadata.get("ttl")
        return None if given is None else float(given)

    def unpacked(self, parts: Sequence[Memory] = ()) -> Unpacked | None:
        """Return the item; None where these are not its parts: it was written anew meanwhile."""
        if not self.part_count:
            return Unpacked.of(self.memory, self.memory.metadata["item"])
        pieces = {each.key.rpartition(".")[2]: each.metadata for each in parts}
        wanted = [pieces.get(f"p{number}", {}) for number in range(self.part_count)]
        if any(piece.get("generation") != self.generation for piece in wanted):
            return None
        packed = "".join(piece["item"] for piece in wanted)
        return Unpacked.of(self.memory, zlib.decompress(base64.b85decode(packed)).decode())


@dataclass(frozen=True, slots=True)
class Unpacked:
    """An item that was read."""

    memory: Memory
    namespace: Namespace
    key: str
    value: dict[str, Any]

    @classmethod
    def of(cls, memory: Memory, document: str) -> Unpacked:
        namespace, key, value = json.loads(document)
        return cls(memory, tuple(namespace), key, value)

    def item(self) -> Item:
        return Item(value=self.value, key=self.key, namespace=self.namespace, **self._times())

    def found(self, score: float | None) -> SearchItem:
        return SearchItem(self.namespace, self.key, self.value, **self._times(), score=score)

    def _times(self) -> dict[str, datetime]:
        created = self.memory.create_time or datetime.now(UTC)
        touched = self.memory.update_time or created
        written = self.memory.metadata.get("updated")
        return {"created_at": created, "updated_at": datetime.fromisoformat(written) if written else touched}


def writes(op: PutOp, place: Place, fields: Sequence[str] | None, text_bytes: int = TEXT_BYTES) -> list[Operation]:
    """Return what writes an item. Raises TypeError for what JSON does not hold, ValueError for what is too large."""
    document = _json([list(op.namespace), op.key, op.value])
    expiring: dict[str, Any] = {"expire_time": None} if op.ttl is None else {"ttl": op.ttl * 60}
    metadata = {} if op.ttl is None else {"ttl": repr(float(op.ttl))}
    pieces: list[str] = []
    if len(document.encode()) <= PIECE_BYTES:
        metadata["item"] = document
    else:
        pieces = list(_pieces(base64.b85encode(zlib.compress(document.encode())).decode()))
        if len(pieces) > MAX_PARTS:
            raise ValueError(
                f"value is too large: {len(document)} bytes, compressed more than {MAX_PARTS * PIECE_BYTES}"
            )
        metadata |= {"parts": str(len(pieces)), "generation": uuid.uuid4().hex}
    text = _text(op, fields, text_bytes)
    if text == NOTHING_TO_FIND:
        metadata["unindexed"] = "true"
    head = update(
        layer=LAYER,
        key=place.key,
        allow_missing=True,
        text=text,
        metadata=metadata,
        **expiring,
    )
    return [
        head,
        *(
            update(
                layer=LAYER,
                key=place.part(number),
                allow_missing=True,
                text=NOTHING_TO_FIND,
                metadata={"generation": metadata["generation"], "item": piece},
                **expiring,
            )
            for number, piece in enumerate(pieces)
        ),
    ]


def refreshes(packed: Packed, place: Place) -> list[Operation]:
    """Return what lets an item live its whole time again, unless it was written meanwhile."""
    memory, minutes = packed.memory, packed.ttl_minutes or 0.0
    metadata = dict(memory.metadata)
    if memory.update_time is not None:
        metadata.setdefault("updated", memory.update_time.isoformat())
    head = update(layer=LAYER, key=place.key, etag=memory.etag, metadata=metadata, ttl=minutes * 60)
    parts = (update(layer=LAYER, key=place.part(number), ttl=minutes * 60) for number in range(packed.part_count))
    return [head, *parts]


def is_worth_refreshing(packed: Packed) -> bool:
    """Tell whether an item has lived for more than a hundredth of its time: not every read needs to be a write."""
    minutes, expires = packed.ttl_minutes, packed.memory.expire_time
    if minutes is None or expires is None:
        return False
    left = (expires - datetime.now(UTC)).total_seconds()
    return left < minutes * 60 * 0.99


def _json(item: Sequence[Any]) -> str:
    _check(item[2], "value")
    text = json.dumps(item, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(item, separators=(",", ":"))
    return text


def _check(value: object, path: str) -> None:
    """Raise TypeError where JSON would hold something else than was given."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            if not isinstance(key, str):
                raise TypeError(f"{path} has a key that is no string: {key!r:.80}")
            _check(each, f"{path}.{key}")
    elif isinstance(value, (list, tuple)):
        for index, each in enumerate(value):
            _check(each, f"{path}[{index}]")
    elif value is not None and not isinstance(value, (str, int, float)):
        raise TypeError(f"{path} must be what JSON holds, not {type(value).__name__}")


def _pieces(text: str) -> Iterator[str]:
    for start in range(0, len(text), PIECE_BYTES):
        yield text[start : start + PIECE_BYTES]


def _text(op: PutOp, fields: Sequence[str] | None, text_bytes: int) -> str:
    """Return what a search finds an item by: the words at its fields, or all of it."""
    if op.index is False or op.value is None:
        return NOTHING_TO_FIND
    paths = op.index or fields
    if paths is None:
        words = list(_words(op.value))
    else:
        words = [text for path in paths for text in get_text_at_path(op.value, tokenize_path(path))]
    text = "\n".join(words).replace("\0", " ").encode("utf-8", "replace")[:text_bytes].decode(errors="ignore")
    return text if text.strip() else NOTHING_TO_FIND


def _words(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for each in value.values():
            yield from _words(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _words(each)
    elif isinstance(value, str) or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        yield str(value)

"""Hindsight: the archive of `export-bank`, a ZIP whose documents hold facts.

Of what a bank holds besides (observations, mental models, pages, attachments, settings) the archive says how much there
is; all of that follows from the facts, or is no memory, and stays behind.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from memsvc.foreign.facts import Damaged, Fact, Finds, Found, LeftOut, mapping, moment, string, strings
from memsvc.foreign.files import MOST_BYTES, parse_json
from memsvc.foreign.metadata import as_texts

_MANIFEST: Final = "manifest.json"
_OTHERS: Final = {
    "observation_count": "observations",
    "mental_model_count": "mental models",
    "knowledge_page_count": "knowledge pages",
    "attachment_count": "attachments",
    "invalidated_memory_count": "invalidated memories",
}


def read(path: Path) -> Finds:
    """Yield the facts of an archive. The bank is their user."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield from _found(archive)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError):
        raise Damaged("", "cannot be read as a ZIP archive") from None


def _found(archive: zipfile.ZipFile) -> Finds:
    sizes = {each.filename: each.file_size for each in archive.infolist()}
    if sum(sizes.values()) > MOST_BYTES:
        raise Damaged("", f"holds more than {MOST_BYTES >> 20} MiB")
    if _MANIFEST not in sizes:
        raise Damaged("", "has no manifest.json: it is no archive of Hindsight")
    manifest = mapping(_MANIFEST, "it", _read(archive, _MANIFEST))
    bank = string(_MANIFEST, "source_bank_id", manifest.get("source_bank_id"))
    for name in sorted(name for name in sizes if name.startswith("documents/") and name.endswith(".json")):
        try:
            document = _read(archive, name)
            if not isinstance(document, dict) or not isinstance(document.get("facts", []), list):
                raise Damaged(name, "must be an object with a list of facts")
            yield from _facts(name, document, bank)
        except Damaged as damaged:
            yield damaged
    for field, what in _OTHERS.items():
        if manifest.get(field):
            yield LeftOut(_MANIFEST, f"{what} are not imported")


def _read(archive: zipfile.ZipFile, name: str) -> Any:
    try:
        text = archive.read(name).decode()
    except (UnicodeDecodeError, zipfile.BadZipFile, OSError, ValueError):
        raise Damaged(name, "is damaged") from None
    return parse_json(text, name)


def _facts(name: str, document: Mapping[str, Any], bank: str) -> Iterator[Found]:
    document_id = string(name, "id", document.get("id"))
    for number, fact in enumerate(document.get("facts", []), start=1):
        place = f"{name}, fact {number}"
        try:
            if not isinstance(fact, dict):
                raise Damaged(place, "must be an object")
            start = moment(place, "occurred_start", fact.get("occurred_start"))
            end = moment(place, "occurred_end", fact.get("occurred_end"))
            said = {each: fact[each] for each in ("fact_type", "context", "entities") if fact.get(each)}
            kept = mapping(place, "metadata", fact.get("metadata"))
            yield Fact(
                place=place,
                source_id=json.dumps([bank, document_id, fact.get("source_id") or number], ensure_ascii=False),
                text=string(place, "text", fact.get("text"), required=True),
                user_id=bank,
                topics=strings(place, "tags", fact.get("tags")),
                metadata=as_texts("hindsight", {**kept, **said, "document": document_id}),
                create_time=moment(place, "mentioned_at", fact.get("mentioned_at"))
                or moment(place, "created_at", fact.get("created_at"))
                or moment(place, "event_date", fact.get("event_date")),
                valid_from=start,
                # Of what happened in one moment, it is no end.
                valid_to=end if start is not None and end is not None and end > start and _is_state(fact) else None,
            )
        except Damaged as damaged:
            yield damaged


def _is_state(fact: Mapping[str, Any]) -> bool:
    return fact.get("fact_type") == "world"

"""Letta: an agent file (`.af`), whose memory blocks are split into lines. Tools, prompts and messages stay behind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from memsvc.foreign.facts import Damaged, Fact, Finds, LeftOut, moment, string
from memsvc.foreign.files import parse_json, read_text
from memsvc.foreign.lines import facts_in
from memsvc.model import Layer

_LAYERS: Final = {"human": Layer.PROFILE, "persona": Layer.POLICY}


def read(path: Path) -> Finds:
    """Yield the lines of the blocks of a file."""
    whole = parse_json(read_text(path))
    if not isinstance(whole, dict) or not isinstance(_blocks(whole), list):
        raise Damaged("", "must be an agent file: an object with blocks, or with core_memory")
    for number, block in enumerate(_blocks(whole) or [], start=1):
        place = f"block {number}"
        try:
            if not isinstance(block, dict):
                raise Damaged(place, "must be an object")
            yield from _facts(place, block)
        except Damaged as damaged:
            yield damaged
    if whole.get("messages") or any(isinstance(each, dict) and each.get("messages") for each in _agents(whole)):
        yield LeftOut("messages", "conversations of the agent are not imported")


def _blocks(whole: Mapping[str, Any]) -> Any:
    return whole.get("blocks", whole.get("core_memory"))


def _agents(whole: Mapping[str, Any]) -> list[Any]:
    agents = whole.get("agents")
    return agents if isinstance(agents, list) else []


def _facts(place: str, block: Mapping[str, Any]) -> Iterator[Fact | LeftOut]:
    label = string(place, "label", block.get("label"))
    value = string(place, "value", block.get("value"))
    named = f"{place} ({label})" if label.isprintable() and label else place
    if not value.strip():
        yield LeftOut(named, "is empty")
        return
    time = moment(place, "updated_at", block.get("updated_at")) or moment(place, "created_at", block.get("created_at"))
    layer = _LAYERS.get(label.lower())
    for line, text in facts_in(value):
        yield Fact(
            place=f"{named}, line {line}",
            source_id="",
            text=text,
            layer=layer,
            topics=[label] if layer is None and label else [],
            metadata={"letta.block": label[:256]},
            create_time=time,
        )

"""Metadata of other systems, as the texts that memsvc keeps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from memsvc.limits import METADATA_BYTES

_LEFT_OUT: Final = "left_out"
_ROOM_BYTES: Final = METADATA_BYTES - 512
"""What importing itself notes needs room too."""


def as_texts(system: str, given: Mapping[str, Any]) -> dict[str, str]:
    """Return each entry as a text under `system.name`; what does not fit is named under `system.left_out`."""
    kept: dict[str, str] = {}
    size, left_out = 0, []
    for name, value in given.items():
        if value is None or value == "":
            continue
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        key = f"{system}.{name}"
        entry = len(key.encode("utf-8", "replace")) + len(text.encode("utf-8", "replace"))
        if size + entry > _ROOM_BYTES or not _can_be_kept(key + text):
            left_out.append(name)
            continue
        size += entry
        kept[key] = text
    if left_out:
        kept[f"{system}.{_LEFT_OUT}"] = str(len(left_out))
    return kept


def _can_be_kept(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text

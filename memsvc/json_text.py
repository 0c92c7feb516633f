"""JSON as text that can be stored and sent: all of it is whole Unicode characters, whatever was read."""

from __future__ import annotations

import json


def json_text(value: object, separators: tuple[str, str] | None = None) -> str:
    """Return a value as JSON with its characters as they are; halves of surrogate pairs, which are none, escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=separators)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=separators)
    return text

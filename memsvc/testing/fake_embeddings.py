"""Embeddings of the fake endpoint: texts that share words have like vectors."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from zlib import crc32

DIMENSIONS: Final = 64


def embeddings(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the reply to a request, its vectors in reverse order: clients have to go by `index`."""
    given = request["input"]
    texts: Sequence[str] = [given] if isinstance(given, str) else given
    if not texts or not all(isinstance(text, str) and text for text in texts):
        raise ValueError("input must be texts")
    length = int(request.get("dimensions") or DIMENSIONS)
    data = [
        {"object": "embedding", "index": number, "embedding": _vector(text, length)}
        for number, text in enumerate(texts)
    ]
    used = sum(len(text) for text in texts) // 4
    usage = {"prompt_tokens": used, "total_tokens": used}
    return {"object": "list", "model": request["model"], "data": data[::-1], "usage": usage}


def _vector(text: str, length: int) -> list[float]:
    vector = [0.0] * length
    for word in re.findall(r"\w+", text.lower()):
        vector[crc32(word.encode()) % length] += 1.0
    return vector

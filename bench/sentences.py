"""Made-up memories, questions and conversations: many sentence forms, words as unevenly used as in real text."""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

from memsvc.v1 import common_pb2, memory_pb2

_PLACE: Final = re.compile(r"\{(\w+)\}")
_SHARES: Final = {"PROFILE": 5, "POLICY": 3, "KNOWLEDGE": 85, "FEEDBACK": 7}
_KEYED: Final = (
    ("PROFILE", "name", "name"),
    ("PROFILE", "role", "job"),
    ("PROFILE", "company", "company"),
    ("PROFILE", "location", "city"),
    ("POLICY", "response_style", "format"),
    ("POLICY", "tone", "tone"),
)
_SYLLABLES: Final = (
    "ka",
    "ro",
    "ven",
    "ti",
    "mar",
    "lo",
    "sch",
    "el",
    "du",
    "pin",
    "ost",
    "wy",
    "bra",
    "ne",
    "gu",
    "ith",
)
_ALL_LAYERS: Final = 300
"""Of so many memories some are about who the user is and how to be served; what comes later is all else."""
_FIRST_TIME: Final = 1_700_000_000


def memories(count: int, seed: int) -> Iterator[memory_pb2.Memory]:
    """Yield as many memories of one user: the first few with keys, no two with the same text."""
    source = random.Random(seed)
    seen: set[str] = set()
    for number in range(count):
        if number < len(_KEYED) and number < count - 3:
            layer, key, slot = _KEYED[number]
            value = _word(slot, source)
            text, value_json = f"The user's {key.replace('_', ' ')} is {value}", f'"{value}"'
        else:
            layer, key, value_json = _layer(number, source), "", ""
            text = _new_sentence(layer, source, seen)
        memory = memory_pb2.Memory(
            layer=common_pb2.Layer.Value(f"LAYER_{layer}"),
            text=text,
            key=key,
            value_json=value_json,
            topics=source.sample(
                ("work", "food", "travel", "family", "health", "leisure", "home"), source.randint(1, 2)
            ),
            origin=common_pb2.Origin(agent_id="assistant", session_id=f"session-{number // 5}"),
        )
        memory.observe_time.FromSeconds(_FIRST_TIME + number * 7_000)
        yield memory


def _layer(number: int, source: random.Random) -> str:
    layer = source.choices(list(_SHARES), weights=list(_SHARES.values()))[0]
    return "KNOWLEDGE" if number >= _ALL_LAYERS and layer in ("PROFILE", "POLICY") else layer


def questions(count: int, seed: int) -> list[str]:
    """Return questions in natural language about such memories, no two alike."""
    source = random.Random(seed)
    seen: set[str] = set()
    return [_new_sentence("QUESTIONS", source, seen) for _ in range(count)]


def exchange(source: random.Random) -> tuple[str, str]:
    """Return what a user says, one or two sentences, and what an assistant answers."""
    said = _sentence("KNOWLEDGE", source)
    if source.random() < 0.5:
        said = f"{said}. {_sentence('QUESTIONS', source)}"
    answer = " ".join(f"{_sentence('KNOWLEDGE', source)}." for _ in range(source.randint(2, 5)))
    return f"I think I told you: {said}", f"Here is what I would do. {answer}"


def _new_sentence(kind: str, source: random.Random, seen: set[str]) -> str:
    while True:
        text = _sentence(kind, source)
        if text not in seen:
            seen.add(text)
            return text
        if source.random() < 0.2:
            return f"{text} in {_word('month', source)} {source.randint(1990, 2026)}"


def _sentence(kind: str, source: random.Random) -> str:
    text = _PLACE.sub(lambda match: _word(match.group(1), source), source.choice(_forms(kind)))
    if kind == "KNOWLEDGE" and source.random() < 0.35:
        return f"{text}; {_sentence(kind, source)}"
    return text


def _word(slot: str, source: random.Random) -> str:
    words, weights = _words(slot)
    word = source.choices(words, cum_weights=weights)[0]
    if slot in ("name", "company") and source.random() < 0.4:
        return f"{word} {_surname(source)}"
    return word


def _surname(source: random.Random) -> str:
    """Return a made-up name: real text never runs out of new words."""
    return "".join(source.choices(_SYLLABLES, k=source.randint(2, 4))).capitalize()


@cache
def _forms(kind: str) -> Sequence[str]:
    data = _data()
    return {**data["memories"], **data["questions"]}[kind]  # type: ignore[no-any-return]


@cache
def _words(slot: str) -> tuple[Sequence[str], Sequence[float]]:
    words = _data()["words"][slot]
    return words, list(accumulate(1 / (rank + 2) for rank in range(len(words))))


@cache
def _data() -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parent / "sentences.toml").read_text(encoding="utf-8"))

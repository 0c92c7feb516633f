"""How well the `rules` engine reads statements that it was, and was not, tuned on.

Each line of `corpus/first_person_*.jsonl` is a message with the slots that it states: `[label, value]`, none for small
talk. A predicted slot counts when its label is of the same group and its value shares all words with the expected one,
or the other way round (word endings, case and articles aside). Patterns were written against `tune`. `held` is as old
and was only measured until, at the very end, its false positives were read; `fresh` was written after the patterns and
measured only.

    python bench/extraction_quality.py [--misses]
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from memsvc.extraction.engine import Action, Conversation, Finished, Operation
from memsvc.extraction.rules import RulesEngine
from memsvc.extraction.rules.lexicon import singular
from memsvc.extraction.rules.lists import normalised
from memsvc.model import Layer, Message, Role, TextPart

CORPUS = Path(__file__).with_name("corpus")
SPLITS = ("tune", "held", "fresh")
GOAL_F1 = 0.51
GOAL_FALSE_POSITIVE_RATE = 0.02

Slot = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Line:
    """A message, the slots it states, and those the engine found in it."""

    text: str
    expected: tuple[Slot, ...]
    found: tuple[Slot, ...]

    @property
    def hits(self) -> int:
        """How many expected slots were found, each by another prediction."""
        left = list(self.found)
        count = 0
        for slot in self.expected:
            match = next((found for found in left if _same(slot, found)), None)
            if match is not None:
                left.remove(match)
                count += 1
        return count


def measure() -> dict[str, dict[str, float]]:
    """Return, by split, precision, recall and F1 of slots, and the rate of false positives on lines without a fact."""
    return {split: _scores(read(split)) for split in SPLITS}


def read(split: str) -> Sequence[Line]:
    """Return the lines of a split with what the engine makes of them, each read as a conversation of its own."""
    return asyncio.run(_read(split))


async def _read(split: str) -> Sequence[Line]:
    engine = RulesEngine()
    lines: list[Line] = []
    for raw in (CORPUS / f"first_person_{split}.jsonl").read_text("utf-8").splitlines():
        entry = json.loads(raw)
        message = Message(Role.USER, (TextPart(entry["text"]),))
        async for event in engine.extract(Conversation([message])):
            if isinstance(event, Finished):
                found = tuple(slot for operation in event.operations for slot in _slots(operation))
                lines.append(Line(entry["text"], tuple((label, value) for label, value in entry["slots"]), found))
    return lines


def _scores(lines: Sequence[Line]) -> dict[str, float]:
    hits = sum(line.hits for line in lines)
    expected = sum(len(line.expected) for line in lines)
    found = sum(len(line.found) for line in lines)
    without = [line for line in lines if not line.expected]
    precision, recall = hits / max(found, 1), hits / max(expected, 1)
    return {
        "lines": len(lines),
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / max(precision + recall, 1e-9),
        "lines_without_fact": len(without),
        "false_positive_rate": sum(bool(line.found) for line in without) / max(len(without), 1),
    }


def _slots(operation: Operation) -> Iterator[Slot]:
    """Yield what an operation says as slots: an element each for lists."""
    if operation.action is Action.DELETE:
        yield f"delete.{operation.key or 'other'}", ""
        return
    label = (
        f"{operation.layer}.{operation.key.partition('.')[0] if operation.layer is Layer.KNOWLEDGE else operation.key}"
    )
    if operation.layer is Layer.FEEDBACK:
        label = f"feedback.{operation.polarity}"
    elif not operation.key:
        first = operation.text.split()[0].lower()
        label = f"{operation.layer}.{first if first in ('likes', 'dislikes', 'prefers') else 'other'}"
    if operation.value_json.startswith("["):
        for element in json.loads(operation.value_json):
            yield label, str(element)
    else:
        yield label, f"{json.loads(operation.value_json)}" if operation.value_json else operation.text


_INTERESTS = frozenset(
    {
        "knowledge.likes",
        "knowledge.other",
        "knowledge.favorites",
        "profile.hobbies",
        "profile.instruments",
        "profile.vehicle",
    }
)
"""Labels between which the line is thin: "my passion is painting", "I love to paint", "I paint a lot"."""


def _same(expected: Slot, found: Slot) -> bool:
    (label, value), (found_label, found_value) = expected, found
    if label != found_label and not (label in _INTERESTS and found_label in _INTERESTS):
        return False
    wanted, had = _words(value), _words(found_value)
    return not wanted or (bool(had) and (wanted <= had or had <= wanted))


def _words(text: str) -> frozenset[str]:
    number = _SPELLED.get(normalised(text), text)
    return frozenset(singular(word) for word in normalised(number).split()) - _IGNORED


_SPELLED = {"fifty six": "56"}
_IGNORED = frozenset({"a", "an", "the", "to", "of", "in", "at", "likes", "dislikes", "has", "is", "my", "their"})


def main() -> None:
    for split, scores in measure().items():
        figures = "  ".join(f"{name} {value:.3f}" for name, value in scores.items() if value <= 1)
        print(f"{split:5} {scores['lines']:.0f} lines, {scores['lines_without_fact']:.0f} without a fact  {figures}")
    if "--misses" in sys.argv:
        for line in read("tune"):
            if line.hits < max(len(line.expected), len(line.found)):
                print(f"{line.text}\n    expected {line.expected}\n    found    {line.found}")


if __name__ == "__main__":
    main()
